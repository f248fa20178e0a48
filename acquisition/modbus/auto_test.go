package modbus

import (
	"testing"
	"time"

	"scada/simulators/plc"
)

// TestWindowIsFound: a device that works in parallel is given as many requests as it gains by, one that does not is given
// one, and trouble takes half of them away.
func TestWindowIsFound(t *testing.T) {
	for _, c := range []struct {
		name        string
		window      int // more than 1: the device works in parallel
		least, most int
	}{{"parallel", 16, 12, 16}, {"serial", 1, 1, 1}} {
		t.Run(c.name, func(t *testing.T) {
			simulatedBlocks(t, c.window, plc.TCP, 40, func(r *rig, server *plc.Server) {
				// More than the device can answer one after the other, so that polls wait for room.
				r.restartWith(WindowAuto, minPeriod/5)
				time.Sleep(2 * time.Second)
				if w := r.status(0).Window; w < c.least || w > c.most {
					t.Errorf("window %d, want %d to %d", w, c.least, c.most)
				}
				if c.window == 1 {
					return
				}
				before := r.status(0).Window
				if err := server.Inject(plc.Fault{Kind: plc.Silent, Count: 1}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(testTimeout + 50*time.Millisecond)
				if w := r.status(0).Window; w > before/2 {
					t.Errorf("window %d after a request was not answered, it was %d", w, before)
				}
			})
		})
	}
}

// TestWindowIsLeftAlone: a device that is not asked all it could answer says nothing of windows.
func TestWindowIsLeftAlone(t *testing.T) {
	simulated(t, 16, plc.TCP, func(r *rig, _ *plc.Server) {
		r.restartWith(WindowAuto, testPeriod)
		time.Sleep(time.Minute)
		if w := r.status(0).Window; w != 1 {
			t.Errorf("window %d", w)
		}
	})
}

// TestSearchForTheWindow: devices that answer so many requests at a time, and how the search ends with each.
func TestSearchForTheWindow(t *testing.T) {
	for _, limit := range []int{1, 2, 4, 8, 16, 64} {
		a := auto{on: true, window: 1}
		now := int64(time.Hour)
		run := func(d time.Duration) {
			for end := now + int64(d); now < end; now += int64(5*time.Millisecond) / int64(min(a.window, limit)) {
				a.answered(now, true)
			}
		}
		run(time.Minute)
		want := min(limit, maxWindow)
		if a.window != want {
			t.Errorf("a device that answers %d at a time is given %d", limit, a.window)
		}
		a.trouble(now)
		if a.window != max(1, want/2) {
			t.Errorf("after trouble: %d of %d", a.window, want)
		}
		run(autoTrouble - time.Second)
		if a.window != max(1, want/2) {
			t.Errorf("soon after trouble: %d of %d", a.window, want)
		}
		run(time.Minute)
		if a.window != want {
			t.Errorf("long after trouble: %d of %d", a.window, want)
		}
		wide := 0
		for range 3600 { // in an hour of rest it is tried a few times more
			if run(time.Second); a.window != want {
				wide++
			}
		}
		if wide > 30 {
			t.Errorf("another window than %d for %d of 3600 seconds", want, wide)
		}
	}
}
