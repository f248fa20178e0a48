//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"scada/web/api"
)

// TestMisbehavingDevice makes one controller silent, and so on: its values lose their good quality within one timeout
// (1 s in the demo, and a second for a loaded machine), those of the others stay fresh, and all is well again afterwards.
func TestMisbehavingDevice(t *testing.T) {
	r := newRig(t, nil)
	r.start()
	r.freshOnAllDevices("a")
	for _, kind := range []string{"silent", "reset", "garbage", "refuse"} {
		if err := r.sim(http.MethodPost, "/fault", map[string]string{"device": "plc1", "kind": kind}, nil); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		r.eventually(2*time.Second, "plc1 "+kind+": its fast values are not good", func() error {
			good, worst := r.qualities(t)
			if worst > 1500*time.Millisecond {
				t.Errorf("%s: a value of another device is %s old", kind, worst)
			}
			if good > 0 {
				return fmt.Errorf("%d are", good)
			}
			return nil
		})
		t.Logf("plc1 %s: noticed after %s", kind, time.Since(began).Round(time.Millisecond))
		if err := r.sim(http.MethodDelete, "/fault?device=plc1", nil, nil); err != nil {
			t.Fatal(err)
		}
		began = time.Now()
		r.freshOnAllDevices("a")
		t.Logf("plc1 %s: good again after %s", kind, time.Since(began).Round(time.Millisecond))
	}
}

// qualities returns how many fast values of plc1 are good, and the age of the oldest fast value of the other controllers.
func (r *rig) qualities(t *testing.T) (good int, worst time.Duration) {
	t.Helper()
	var tags api.Tags
	if err := r.call("a", http.MethodGet, "/api/v1/tags?limit=1000", nil, &tags); err != nil {
		t.Fatal(err)
	}
	for _, tag := range tags.Tags {
		if tag.ScanMs != 100 || tag.Device == "mixer" {
			continue
		}
		if tag.Device == "plc1" {
			if tag.Quality == "Good" {
				good++
			}
			continue
		}
		worst = max(worst, time.Since(*tag.Time))
	}
	return good, worst
}
