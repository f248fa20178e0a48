package server

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scada/history/journal"
	"scada/redundancy/role"
	"scada/web/api"
)

// TestRecordOfASwitch: a first start is no switch; a switch leaves its record in both journals, with every device, and
// both nodes still show it after both were stopped.
func TestRecordOfASwitch(t *testing.T) {
	bubble(t, func(w *world) {
		w.ready()
		for _, node := range []string{"a", "b"} {
			if p := (backend{w.node[node]}).Role(); p.LastSwitch != nil {
				w.t.Errorf("%s shows a switch after the first start: %+v", node, p.LastSwitch)
			}
		}
		if err := w.node["b"].pair.Switch(w.t.Context(), "main", "test"); err != nil {
			w.t.Fatal(err)
		}
		var entry journal.Entry
		for _, node := range []string{"a", "b"} {
			w.within(5*time.Second, "the record is in the journal of "+node, func() error {
				page, err := w.node[node].journal.Query(journal.Query{Class: journal.ClassRole, Text: "first values of every device", Limit: 10})
				if err != nil || len(page.Entries) != 1 {
					return fmt.Errorf("%d entries, %w", len(page.Entries), err)
				}
				entry = page.Entries[0]
				return nil
			})
			if entry.Kind != eventSwitchOver || entry.Old != "a" || entry.New != "b" || entry.Result != "planned" || !strings.Contains(entry.Message, "(plc ") {
				w.t.Errorf("%+v", entry)
			}
		}
		for _, node := range []string{"a", "b"} {
			if err := w.stop[node](); err != nil {
				w.t.Fatal(err)
			}
		}
		for _, node := range []string{"a", "b"} {
			w.start(node)
		}
		w.ready()
		for _, node := range []string{"a", "b"} {
			p := (backend{w.node[node]}).Role()
			if sw := p.LastSwitch; sw == nil || sw.From != "a" || sw.To != "b" || sw.Kind != role.Planned.String() || sw.FirstValueMs == 0 {
				w.t.Errorf("%s shows %+v after a cold start", node, sw)
			}
		}
	})
}

// TestTornSwitches: a file that cannot be read costs the view of the past, not the start.
func TestTornSwitches(t *testing.T) {
	bubble(t, func(w *world) {
		w.ready()
		dir := w.t.TempDir()
		for _, text := range []string{`{"main": {"to": "b"`, strings.Repeat("x", smallFile+1)} {
			if err := os.WriteFile(filepath.Join(dir, "switches.json"), []byte(text), 0o600); err != nil {
				w.t.Fatal(err)
			}
			if s := openSwitches(w.node["a"], dir); len(s.last) != 0 {
				w.t.Errorf("%+v", s.last)
			}
		}
		s := openSwitches(w.node["a"], w.t.TempDir())
		s.keep(api.Switch{Area: "main", From: "a", To: "b", Epoch: 4})
		s.save()
		if again := openSwitches(w.node["a"], filepath.Dir(s.path)); again.last["main"].To != "b" {
			w.t.Errorf("%+v", again.last)
		}
		if s.keep(api.Switch{Area: "main", From: "b", To: "a", Epoch: 3}) {
			w.t.Error("an older record replaced a newer one")
		}
	})
}
