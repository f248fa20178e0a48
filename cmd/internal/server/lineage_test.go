package server

import (
	"encoding/json"
	"testing"
	"time"

	"scada/alarms"
	"scada/history/journal"
	"scada/simulators/plc"
)

// TestWhatASnapshotContainedIsNoFork: a node takes the snapshot of the active and becomes active itself before it has
// the journal. What the other one recorded in its term is no fork then: it is how things came to be as they are.
func TestWhatASnapshotContainedIsNoFork(t *testing.T) {
	bubble(t, func(w *world) {
		w.ready()
		w.bank.Set(plc.Coils, 0, 1)
		w.within(2*time.Second, "both have the alarm", w.alarm("b", "tripped", "UNACK"))
		if err := w.node["b"].pair.Switch(w.t.Context(), "main", "test"); err != nil {
			w.t.Fatal(err)
		}
		w.net.Kill("a")
		_ = w.stop["a"]()
		w.start("a") // it takes the snapshot of b
		w.ready2()
		raised := *w.events("b", "tripped")[0].Alarm
		term := w.node["b"].pair.Status().Areas[0].Epoch
		if w.activeNode() != "b" {
			w.t.Skip("b has given the area back already")
		}
		if err := w.node["a"].pair.Switch(w.t.Context(), "main", "and back"); err != nil {
			w.t.Fatal(err)
		}
		before, after := raised, raised
		before.Term, after.Term = term, term
		before.Kind, after.Kind = alarms.KindComment, alarms.KindComment
		after.Time = time.Now().UnixNano()
		var list []forked
		for _, ev := range []*alarms.Event{&before, &after} {
			ev.Key = alarms.KeyOf(ev)
			list = append(list, forked{Entry: journal.Entry{Key: ev.Key, Time: ev.Time, Class: journal.ClassAlarm, Kind: ev.Kind.String(), Area: "main", Source: ev.Condition, Epoch: term, Alarm: ev}})
		}
		body, err := json.Marshal(list)
		if err != nil {
			w.t.Fatal(err)
		}
		a := w.node["a"]
		if _, err := a.mergeForks(w.t.Context(), a.areas["main"], body); err != nil {
			w.t.Fatal(err)
		}
		w.sameJournals()
		all := w.journalOf("b")
		if x, y := all[before.Key], all[after.Key]; x.Alarm == nil || x.Alarm.Note != "" || y.Alarm == nil || y.Alarm.Note != alarms.NoteFork {
			w.t.Errorf("what the snapshot contained is %+v, what came after it %+v", x.Alarm, y.Alarm)
		}
	})
}
