package server

import (
	"os"
	"testing"
	"time"

	"scada/alarms"
	"scada/redundancy/role"
	"scada/simulators/plc"
	"scada/web/api"
)

// TestAlarmsSurviveARestartOfBothNodes: what operators did with alarms is known to a node that starts alone.
func TestAlarmsSurviveARestartOfBothNodes(t *testing.T) {
	bubble(t, func(w *world) {
		w.ready()
		w.bank.Set(plc.HoldingRegisters, 1, 90)
		w.bank.Set(plc.Coils, 0, 1)
		w.within(3*time.Second, "the alarms are on b", w.alarm("b", "tripped", "UNACK"))
		w.within(3*time.Second, "the alarms are on b", w.alarm("b", "high", "UNACK"))
		if got := w.ack("a", "high", 1); got != api.AlarmOK {
			t.Fatalf("acknowledging is %q", got)
		}
		w.bank.Set(plc.Coils, 0, 0)
		w.within(3*time.Second, "it is gone, not acknowledged", w.alarm("b", "tripped", "RTN_UNACK"))
		for _, name := range []string{"a", "b"} {
			if err := w.stop[name](); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		w.start("b")
		w.within(30*time.Second, "b acts alone", w.roleIs("b", role.Active))
		w.within(5*time.Second, "b polls", w.counts("b"))
		for id, want := range map[string]string{"high": "ACKED", "tripped": "RTN_UNACK"} {
			if err := w.alarm("b", id, want)(); err != nil {
				t.Error(err)
			}
		}
		w.start("a")
		w.ready()
		w.sameJournals()
		for _, id := range []string{"high", "tripped"} {
			w.raisedOnce("a", id)
			for _, e := range w.events("a", id) {
				if e.Alarm.Note == alarms.NoteFork {
					t.Errorf("a record of the pair counts as that of a split brain: %+v", e)
				}
			}
		}
	})
}

// TestTornImageCostsNoStart: a file that is cut short or altered is set aside.
func TestTornImageCostsNoStart(t *testing.T) {
	for name, tear := range map[string]func([]byte) []byte{
		"empty":   func([]byte) []byte { return nil },
		"cut":     func(b []byte) []byte { return b[:len(b)/2] },
		"altered": func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(w *world) {
				w.ready()
				if err := w.stop["b"](); err != nil {
					t.Fatal(err)
				}
				path := w.node["b"].areas["main"].image.path
				b, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, tear(b), 0o600); err != nil {
					t.Fatal(err)
				}
				w.start("b")
				if _, err := os.Stat(path + ".bad"); err != nil {
					t.Error(err)
				}
				w.ready()
			})
		})
	}
}
