package server

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"scada/alarms"
	"scada/history/journal"
	"scada/redundancy/role"
	"scada/simulators/plc"
)

// TestAFloodOfAlarmsThroughATakeOver: two alarms in a minute are a flood here. The node that takes over in the middle
// ends it when it is over, and both journals say from when to when it was.
func TestAFloodOfAlarmsThroughATakeOver(t *testing.T) {
	plant := strings.Replace(bubblePlant, "alarms:\n", "alarms:\n  flood: {enter: 1, leave: 1, window: 60, keep: high}\n", 1)
	synctest.Test(t, func(t *testing.T) {
		w := newWorldOf(t, plant, nil)
		defer w.end()
		w.ready()
		w.bank.Set(plc.HoldingRegisters, 1, 90)
		w.within(5*time.Second, "the urgent alarm is shown", w.alarm("b", "high", "UNACK"))
		w.within(25*time.Second, "the next is a flood", w.alarm("b", "slow", "SUPPRESSED"))
		w.within(2*time.Second, "both say so", w.floodTold("alarm-flood", "a", "b"))
		if err := w.stopDead("a"); err != nil {
			t.Log(err)
		}
		w.within(5*time.Second, "b is active", w.roleIs("b", role.Active))
		time.Sleep(50 * time.Second)
		if err := w.alarm("b", "slow", "SUPPRESSED")(); err != nil {
			t.Error(err)
		}
		w.within(10*time.Second, "the flood is over", w.alarm("b", "slow", "UNACK"))
		w.within(2*time.Second, "b says so", w.floodTold("alarm-flood,alarm-flood-over", "b"))
		w.net.Power("a", true)
		w.start("a")
		w.ready()
		w.within(10*time.Second, "a has it, too", w.floodTold("alarm-flood,alarm-flood-over", "a", "b"))
		for _, name := range []string{"a", "b"} {
			w.lastEvents(name)
		}
	})
}

// floodTold checks which floods the journals of some nodes know.
func (w *world) floodTold(want string, nodes ...string) func() error {
	return func() error {
		for _, name := range nodes {
			page, err := w.node[name].journal.Query(journal.Query{Class: journal.ClassSystem, Limit: journal.MaxPage})
			if err != nil {
				return err
			}
			var kinds []string
			for _, e := range page.Entries {
				if strings.HasPrefix(e.Kind, kindFlood) {
					kinds = append(kinds, e.Kind)
				}
			}
			slices.Sort(kinds)
			if got := strings.Join(kinds, ","); got != want {
				return fmt.Errorf("the journal of %s has %q, want %q", name, got, want)
			}
		}
		return nil
	}
}

// lastEvents compares what an OPC UA client is told of the last event of each condition with the journal.
func (w *world) lastEvents(name string) {
	w.t.Helper()
	u, told := uaAlarms{w.node[name]}, 0
	for _, c := range u.Conditions() {
		if c.ChangedAt == 0 {
			continue
		}
		told++
		got, ok := u.LastEvent(w.t.Context(), c.ID)
		all := u.alarmEvents(journal.Query{From: c.ChangedAt, To: c.ChangedAt + 1, Source: c.ID})
		if !ok || len(all) == 0 || got.Key != all[len(all)-1].Key || got.Key != c.Last.Key || got.Key == (alarms.Key{}) {
			w.t.Errorf("%s: the last event of %s is %+v, the journal has %+v", name, c.ID, got, all)
		}
	}
	if told == 0 {
		w.t.Errorf("%s knows of no event", name)
	}
}
