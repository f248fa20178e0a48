package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scada/simulators/plc"
)

// TestTheActiveHasAnotherDisk: while the standby is off, the active is started on an empty disk. What both had agreed on long
// ago is not on it: the standby brings all of it, not what came after alone.
func TestTheActiveHasAnotherDisk(t *testing.T) {
	bubble(t, func(w *world) {
		w.ready()
		w.bank.Set(plc.Coils, 0, 1)
		w.within(2*time.Second, "both have the alarm", w.alarm("b", "tripped", "UNACK"))
		w.bank.Set(plc.Coils, 0, 0)
		time.Sleep(3 * healMargin)
		w.restart("b") // both agree once more, long after the alarm
		w.ready()
		time.Sleep(time.Second)
		raised := len(w.events("b", "tripped"))
		for _, name := range []string{"b", "a"} {
			if err := w.stop[name](); err != nil {
				w.t.Fatal(err)
			}
		}
		folder := w.cfg.Nodes["a"].Data
		if err := os.RemoveAll(folder); err != nil {
			w.t.Fatal(err)
		}
		w.start("a")
		w.within(30*time.Second, "a acts alone", w.counts("a"))
		if n := len(w.events("a", "tripped")); n != 0 {
			w.t.Fatalf("the new disk has %d records already", n)
		}
		w.start("b")
		w.ready()
		w.sameArchives()
		if n := len(w.events("a", "tripped")); n < raised || raised == 0 {
			w.t.Errorf("%d of %d records", n, raised)
		}
	})
}

// TestTheStandbyHasAnOlderBackup: an older history and journal are put back on the standby while it is off. Its note of when both
// were last equal is newer than they are; it gets everything back all the same.
func TestTheStandbyHasAnOlderBackup(t *testing.T) {
	bubble(t, func(w *world) {
		w.ready()
		folder, backup := w.cfg.Nodes["b"].Data, t.TempDir()
		if err := w.stop["b"](); err != nil {
			w.t.Fatal(err)
		}
		if err := os.CopyFS(backup, os.DirFS(folder)); err != nil {
			w.t.Fatal(err)
		}
		w.start("b")
		w.ready()
		w.bank.Set(plc.Coils, 0, 1)
		w.within(2*time.Second, "both have the alarm", w.alarm("b", "tripped", "UNACK"))
		w.bank.Set(plc.Coils, 0, 0)
		time.Sleep(3 * healMargin)
		w.restart("b") // both agree once more, long after the alarm
		w.ready()
		raised := len(w.events("b", "tripped"))
		if err := w.stop["b"](); err != nil {
			w.t.Fatal(err)
		}
		for _, name := range []string{"history", "journal.db"} {
			if err := os.RemoveAll(filepath.Join(folder, name)); err != nil {
				w.t.Fatal(err)
			}
			if err := os.Rename(filepath.Join(backup, name), filepath.Join(folder, name)); err != nil {
				w.t.Fatal(err)
			}
		}
		w.start("b")
		w.ready()
		w.sameArchives()
		if n := len(w.events("b", "tripped")); n < raised || raised == 0 {
			w.t.Errorf("%d of %d records", n, raised)
		}
	})
}

// TestAYoungPairLacksNothing: neither has anything from before the two were first equal. That is no new disk.
func TestAYoungPairLacksNothing(t *testing.T) {
	bubble(t, func(w *world) {
		w.ready()
		var log strings.Builder
		w.logTo = &log
		w.restart("b")
		w.ready()
		time.Sleep(3 * healMargin)
		if err := w.stop["b"](); err != nil { // it writes no more into the log
			w.t.Error(err)
		}
		w.stop["b"] = func() error { return nil }
		if strings.Contains(log.String(), "lacks what both had") {
			w.t.Error(log.String())
		}
	})
}
