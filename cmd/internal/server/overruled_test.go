package server

import (
	"fmt"
	"testing"
	"time"

	"scada/alarms"
	"scada/history/journal"
	"scada/simulators/plc"
)

// TestRecordsOfAnActiveThatWasOverruledMeanwhile: a acted in a term, b in the next beside it, and a took over b's state
// and acts again before anybody has asked what it had recorded beside b. The first comparison finds it out: what both saw
// is one alarm, what only a saw is shown.
func TestRecordsOfAnActiveThatWasOverruledMeanwhile(t *testing.T) {
	for _, descends := range []bool{true, false} {
		t.Run(fmt.Sprintf("descends=%t", descends), func(t *testing.T) {
			bubble(t, func(w *world) {
				w.ready()
				w.bank.Set(plc.Coils, 0, 1)
				w.within(3*time.Second, "both have the alarm", w.alarm("b", "tripped", "UNACK"))
				a, b := w.node["a"].areas["main"], w.node["b"].areas["main"]
				seen := w.events("a", "tripped")[0]
				term := seen.Epoch + 2 // of a, too
				own := []journal.Entry{relived(seen, "tripped", term), relived(seen, "high", term)}
				if err := w.node["a"].journal.Append(own...); err != nil {
					t.Fatal(err)
				}
				b.mu.Lock()
				b.lineage = append(b.lineage, ancestor{term: term})
				b.reigns = append(b.reigns, reign{followed: term, acted: term + 1})
				b.mu.Unlock()
				if descends {
					a.mu.Lock()
					a.lineage = append(a.lineage, ancestor{term: term + 1})
					a.mu.Unlock()
				}
				w.node["b"].heal("main")
				time.Sleep(5 * time.Second)
				w.sameJournals()
				for _, node := range []string{"a", "b"} {
					kinds := map[string]int{}
					for _, e := range append(w.events(node, "tripped"), w.events(node, "high")...) {
						kinds[e.Source+" "+e.Kind+" "+e.Alarm.Note]++
					}
					want := map[string]int{"tripped RAISE ": 1, "tripped RAISE fork": 1, "high RAISE fork": 1, "high MERGE adopted": 1}
					want[fmt.Sprintf("tripped MERGE dup_of term %d occ 1", term)] = 1
					state := "RTN_UNACK"
					if !descends { // then nothing says that they are not of the line: they stay as they are
						want, state = map[string]int{"tripped RAISE ": 2, "high RAISE ": 1}, "NORM"
					}
					if fmt.Sprint(kinds) != fmt.Sprint(want) {
						t.Errorf("%s has %v, want %v", node, kinds, want)
					}
					if err := w.alarm(node, "high", state)(); err != nil {
						t.Error(err)
					}
				}
				time.Sleep(time.Second)
				w.node["b"].heal("main")
				time.Sleep(5 * time.Second)
				if n := len(w.events("a", "tripped")); n > 3 {
					t.Errorf("a second comparison merged again: %d records", n)
				}
			})
		})
	}
}

// relived is the record of an activation a moment before, in another term and perhaps of another condition.
func relived(e journal.Entry, condition string, term uint64) journal.Entry {
	ev := *e.Alarm
	ev.Condition, ev.Term, ev.Time = condition, term, ev.Time-int64(50*time.Millisecond)
	ev.Key = alarms.KeyOf(&ev)
	e.Key, e.Source, e.Epoch, e.Time, e.Alarm = ev.Key, condition, term, ev.Time, &ev
	return e
}
