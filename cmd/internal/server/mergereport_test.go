package server

import (
	"fmt"
	"strings"
	"testing"

	"scada/alarms"
)

func TestMergeReport(t *testing.T) {
	event := func(kind alarms.Kind, condition string, at int64, confirmed bool) alarms.Forked {
		return alarms.Forked{Event: alarms.Event{Kind: kind, Condition: condition, Time: at}, Confirmed: confirmed}
	}
	got := mergeReport("b", []alarms.Forked{
		event(alarms.KindRaise, "high", 60e9, true), event(alarms.KindRaise, "trip", 120e9, true), event(alarms.KindAck, "high", 61e9, false),
	})
	want := "3 alarm records of b that were not known here have been merged (1 ACK, 2 RAISE), from 1970-01-01T00:01:00Z to 1970-01-01T00:02:00Z, " +
		"of 2 conditions: high, trip; 1 commands among them had no confirmed outcome and were not carried out"
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	var many []alarms.Forked
	for i := range 1000 {
		many = append(many, event(alarms.KindRaise, fmt.Sprintf("%04d%s", i, strings.Repeat("x", 200)), 1, true))
	}
	if got := mergeReport("b", many); len(got) > alarms.MaxText || !strings.HasPrefix(got, "1000 alarm records of b") {
		t.Errorf("%d bytes: %.100s", len(got), got)
	}
}
