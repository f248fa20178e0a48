//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scada/web/api"
)

// TestSerialLine has one controller of the demo on a serial line, a pseudo terminal the simulation makes: what spoils an
// answer there takes its values their good quality, what only disturbs it does not harm for long, and an adapter that is
// unplugged is found again.
func TestSerialLine(t *testing.T) {
	if _, err := os.Stat("/dev/ptmx"); err != nil {
		t.Skipf("no pseudo terminals here: %v", err)
	}
	r := newRig(t, nil)
	line := filepath.Join(r.dir, "plc1.line")
	r.edit("sim.yaml", replace(t, fmt.Sprintf(`listen: "127.0.0.1:%d"`, r.ports.PLC1), `listen: "pty:plc1.line"`))
	r.edit("plant.yaml", replace(t, fmt.Sprintf("tcp://127.0.0.1:%d", r.ports.PLC1), "rtu://"+line+"?baud=115200&parity=N"))
	r.startPlant()
	if said, err := os.ReadFile(filepath.Join(r.dir, "plant.log")); err != nil || !strings.Contains(string(said), line) {
		t.Errorf("the simulation does not say where the line is: %s %v", said, err)
	}
	r.startNode("a")
	r.eventually(30*time.Second, "plc1 is read over the line", func() error { return r.onLine(true) })
	for _, f := range []struct {
		kind string
		lost bool // its values are, while it lasts
	}{{"bad-crc", true}, {"split-exception", true}, {"garbage-first", false}, {"echo", false}, {"late", false}, {"refuse", true}} {
		if err := r.sim(http.MethodPost, "/fault", map[string]string{"device": "plc1", "kind": f.kind, "delay": "30ms"}, nil); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if f.lost {
			r.eventually(10*time.Second, "plc1 "+f.kind+": its values are not good", func() error { return r.onLine(false) })
			t.Logf("%s: noticed after %s", f.kind, time.Since(began).Round(time.Millisecond))
		} else {
			time.Sleep(300 * time.Millisecond) // it happens to a few answers
		}
		if err := r.sim(http.MethodDelete, "/fault?device=plc1", nil, nil); err != nil {
			t.Fatal(err)
		}
		began = time.Now()
		r.eventually(20*time.Second, "plc1 after "+f.kind, func() error { return r.onLine(true) })
		t.Logf("%s: good again after %s", f.kind, time.Since(began).Round(time.Millisecond))
	}
}

// onLine returns nil when fast values of plc1 are good, or none is.
func (r *rig) onLine(want bool) error {
	var tags api.Tags
	if err := r.call("a", http.MethodGet, "/api/v1/tags?limit=1000", nil, &tags); err != nil {
		return err
	}
	good := 0
	for _, x := range tags.Tags {
		if x.Device == "plc1" && x.ScanMs == 100 && x.Quality == "Good" {
			good++
		}
	}
	if (good > 0) != want {
		return fmt.Errorf("%d are good", good)
	}
	return nil
}

// edit changes a file of the rig before anything starts.
func (r *rig) edit(name string, change func(string) string) {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	b, err := os.ReadFile(path)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(change(string(b))), 0o600); err != nil {
		r.t.Fatal(err)
	}
}
