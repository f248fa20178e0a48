package alarms_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"scada/alarms"
	"scada/alarms/vectors"
)

// compare checks the whole journal. Records of different conditions at one instant have no order.
func (w *world) compare(got []alarms.Event) string {
	want := slices.Clone(w.v.Expect.Events)
	slices.SortStableFunc(want, func(a, b vectors.Event) int { return cmp.Compare(a.T, b.T) })
	if len(got) != len(want) {
		return fmt.Sprintf("%d records, want %d", len(got), len(want))
	}
	left := slices.Clone(got)
	for i := range want {
		x := &want[i]
		id := cmp.Or(x.Alarm, w.file.First(w.v).ID)
		at := slices.IndexFunc(left, func(ev alarms.Event) bool { return ev.Condition == id })
		if at < 0 {
			return fmt.Sprintf("missing %s of %s", x.E, id)
		}
		if left[at].Time != left[0].Time {
			return fmt.Sprintf("%s of %s is out of order", x.E, id)
		}
		if d := frame(id).Differs(x, &left[at]); d != "" {
			return fmt.Sprintf("record %d (%s of %s): %s", i+1, x.E, id, d)
		}
		left = slices.Delete(left, at, at+1)
	}
	return ""
}

// frame is a story that begins at the epoch, to the microsecond.
func frame(first string) *vectors.Frame {
	return &vectors.Frame{Begin: time.Unix(0, epoch), First: first}
}

func describe(ev *alarms.Event) string { return "  " + frame("").Tell(ev) + "\n" }

func describeAll(list []alarms.Event) string {
	var b strings.Builder
	for i := range list {
		b.WriteString(describe(&list[i]))
	}
	return b.String()
}

func describeWanted(list []vectors.Event) string {
	var b strings.Builder
	for i := range list {
		fmt.Fprintf(&b, "  %s\n", list[i].Tell())
	}
	return b.String()
}
