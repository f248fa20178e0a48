package modbus

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"scada/acquisition"
	"scada/simulators/plc"
)

// TestExamine: the windows of a device that works in parallel, of one that does not, and of a line.
func TestExamine(t *testing.T) {
	for _, c := range []struct {
		name    string
		window  int // more than 1: the device works in parallel
		framing plc.Framing
		trials  int
		best    int
		rate    float64 // of the best
	}{
		{"parallel", 16, plc.TCP, 5, 16, 8000},
		{"serial", 1, plc.TCP, 5, 1, 500},
		{"line", 1, plc.RTU, 1, 1, 330},
	} {
		t.Run(c.name, func(t *testing.T) {
			simulated(t, c.window, c.framing, func(r *rig, _ *plc.Server) {
				e, err := r.c.Examine(r.t.Context(), "plc")
				if err != nil {
					t.Fatal(err)
				}
				if len(e.Identity) != 3 || e.Identity[0] != (acquisition.Fact{Name: "vendor", Text: "Maker"}) {
					t.Errorf("identity %v", e.Identity)
				}
				if len(e.Trials) != c.trials || e.Best != c.best || e.Largest != 125 {
					t.Errorf("best %d, largest %d, notes %q, trials %+v", e.Best, e.Largest, e.Notes, e.Trials)
				}
				for _, x := range e.Trials {
					if !x.Good() || x.P50 < 2*time.Millisecond || x.P99 < x.P50 || x.Max < x.P99 || x.Took < trialLength {
						t.Errorf("%+v", x)
					}
					if x.Window == c.best && (x.Rate() < 0.8*c.rate || x.Rate() > 1.2*c.rate) {
						t.Errorf("%.0f answers a second, not %.0f", x.Rate(), c.rate)
					}
				}
				time.Sleep(time.Second)
				r.allGood(2 * testPeriod)
				if n := r.status(0).Counters; n.Timeouts+n.Malformed+n.Late+n.Demotions > 0 {
					t.Errorf("%+v", n)
				}
			})
		})
	}
}

// TestExamineStopsAtTrouble: where a window does harm no larger one is tried.
func TestExamineStopsAtTrouble(t *testing.T) {
	for _, kind := range []plc.Kind{plc.Reset, plc.Silent, plc.WrongTID, plc.ExceptionAnswer} {
		t.Run(string(kind), func(t *testing.T) {
			simulated(t, 16, plc.TCP, func(r *rig, server *plc.Server) {
				if err := server.Inject(plc.Fault{Kind: kind, Code: 6, After: 30, Count: 3}); err != nil {
					t.Fatal(err)
				}
				e, err := r.c.Examine(r.t.Context(), "plc")
				if err != nil {
					t.Fatal(err)
				}
				if n := len(e.Trials); n != 1 || e.Trials[0].Good() || e.Best != 0 {
					t.Errorf("best %d, trials %+v", e.Best, e.Trials)
				}
				server.Clear(0)
				r.recovers()
			})
		})
	}
}

// TestExamineFindsTheLargest: a device that takes no more than ten registers, and one whose registers end.
func TestExamineFindsTheLargest(t *testing.T) {
	for _, c := range []struct {
		name    string
		change  func(*slave)
		largest int
	}{
		{"limit", func(s *slave) { s.most = 10 }, 10},
		{"hole", func(s *slave) { s.holes[1417] = true }, 17},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, plainDevice("plc", 1, 1, 0, 8))
				c.change(r.slave)
				r.start()
				time.Sleep(time.Second)
				r.c.mu.Lock()
				r.c.devices[0].longest = longestOf(r.c.devices[0].plan.Blocks()[7:])
				r.c.mu.Unlock()
				e, err := r.c.Examine(t.Context(), "plc")
				if err != nil || e.Largest != c.largest || len(e.Notes) == 0 {
					t.Errorf("largest %d, notes %q, %v", e.Largest, e.Notes, err)
				}
				r.stop()
			})
		})
	}
}

// TestExamineNeedsTheDevice: on a stopped channel and on one without a connection nothing is sent, and a channel that
// stops in the middle ends it.
func TestExamineNeedsTheDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, plainDevice("plc", 1, 1, 0, 2))
		if _, err := r.c.Examine(t.Context(), "plc"); err == nil {
			t.Error("a stopped channel was examined")
		}
		r.start()
		time.Sleep(time.Second)
		ended := make(chan error)
		go func() {
			_, err := r.c.Examine(t.Context(), "plc")
			ended <- err
		}()
		time.Sleep(trialLength / 2)
		ctx, cancel := context.WithTimeout(t.Context(), trialLength/8)
		if _, err := r.c.Examine(ctx, "plc"); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, errTrialsTwice) {
			t.Errorf("the second at a time: %v", err)
		}
		cancel()
		r.stop()
		if err := <-ended; !errors.Is(err, errStopped) {
			t.Errorf("examining a channel that stops: %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, plainDevice("plc", 1, 1, 0, 2))
		r.slave.refuse = errReset
		r.start()
		time.Sleep(time.Second)
		if _, err := r.c.Examine(t.Context(), "plc"); !errors.Is(err, errReset) && !errors.Is(err, errNotConnected) {
			t.Errorf("without a connection: %v", err)
		}
		r.stop()
	})
}
