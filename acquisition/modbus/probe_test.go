package modbus

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"scada/acquisition/tag"
)

func probeDevice(mode string) Device {
	d := plainDevice("plc", 1, 1, 0, 2)
	d.Probe = mode
	return d
}

func TestProbe(t *testing.T) {
	for _, c := range []struct {
		name, mode string
		set        func(*slave)
		err        bool
		requests   int
		dials      int
	}{
		{"none", "none", func(s *slave) { s.refuse = errReset }, false, 0, 0},
		{"default is none", "", func(s *slave) { s.refuse = errReset }, false, 0, 0},
		{"tcp", "tcp", func(s *slave) { s.mute = true }, false, 0, 1},
		{"tcp refused", "tcp", func(s *slave) { s.refuse = errReset }, true, 0, 1},
		{"tcp black hole", "tcp", func(s *slave) { s.black = true }, true, 0, 1},
		{"read", "read", func(s *slave) {}, false, 1, 1},
		{"read silent", "read", func(s *slave) { s.mute = true }, true, 1, 1},
		{"read exception", "read", func(s *slave) { s.holes[0] = true }, false, 1, 1},
		{"read gateway says no", "read", func(s *slave) { s.except[0] = 11 }, true, 1, 1},
		{"read malformed", "read", func(s *slave) { s.bad[0] = reshaped(func([]byte) []byte { return []byte{3, 4, 0, 0, 0, 0} }) }, true, 1, 1},
		{"read bad header", "read", func(s *slave) { s.bad[0] = patch(3, 1) }, true, 1, 1},
		{"read closed", "read", func(s *slave) { s.bad[0] = func(_ *slave, c *memConn, _ []byte) { c.Close() } }, true, 1, 1},
		{"read drip", "read", func(s *slave) { s.bad[0] = drip(time.Millisecond, 0) }, false, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, probeDevice(c.mode))
				c.set(r.slave)
				start := time.Now()
				err := r.c.Probe(t.Context(), "plc")
				if (err != nil) != c.err {
					t.Errorf("probe: %v", err)
				}
				if d := time.Since(start); d > testTimeout {
					t.Errorf("it took %v", d)
				}
				synctest.Wait()
				if r.slave.dials != c.dials || r.slave.n != c.requests {
					t.Errorf("%d connections and %d requests, want %d and %d", r.slave.dials, r.slave.n, c.dials, c.requests)
				}
				for _, conn := range r.slave.conns {
					if conn.in.closed == nil {
						t.Error("the connection is still open")
					}
				}
				if len(r.sink.all) > 0 {
					t.Error("a probe published samples")
				}
				r.slave.stop()
			})
		})
	}
}

// TestRunInterruptsProbe: the take-over does not wait for a probe's time-out, and never has two connections.
func TestRunInterruptsProbe(t *testing.T) {
	for _, set := range []func(*slave, bool){func(s *slave, on bool) { s.mute = on }, func(s *slave, on bool) { s.black = on }} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, probeDevice("read"))
			set(r.slave, true)
			probed := make(chan error, 1)
			go func() { probed <- r.c.Probe(context.Background(), "plc") }()
			time.Sleep(50 * time.Millisecond)
			if err := r.c.Probe(t.Context(), "plc"); !errors.Is(err, ErrBusy) {
				t.Errorf("second probe: %v", err)
			}
			r.slave.mu.Lock()
			set(r.slave, false)
			r.slave.mu.Unlock()
			before := time.Now()
			r.start()
			if err := <-probed; err == nil || time.Since(before) > 0 {
				t.Errorf("the probe ended with %v after %v", err, time.Since(before))
			}
			time.Sleep(50 * time.Millisecond)
			r.allGood(50 * time.Millisecond)
			if err := r.c.Probe(t.Context(), "plc"); !errors.Is(err, ErrBusy) {
				t.Errorf("probe while running: %v", err)
			}
			r.stop()
			if r.slave.maxConns != 1 {
				t.Errorf("%d connections at once", r.slave.maxConns)
			}
		})
	}
}

// TestLastKnownSamples: a node that takes over goes on from the mirrored values when a device is silent.
func TestLastKnownSamples(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, plainDevice("plc", 1, 1, 0, 2))
		r.c.opts.Last = func(id tag.ID) tag.Sample {
			if id == 5 {
				return tag.Sample{Quality: tag.BadWaitingForInitialData}
			}
			return tag.Sample{Time: 1, Value: tag.Uint(tag.TypeUint16, uint64(register(1, int(id/3)*200+int(id%3))))}
		}
		r.slave.black = true
		r.start()
		time.Sleep(testTimeout + time.Millisecond)
		if q := r.sink.qualities(); q[tag.UncertainNoCommunicationLastUsable] != 5 || q[tag.BadNoCommunication] != 1 {
			t.Errorf("qualities: %v", q)
		}
		r.stop()
	})
}

// TestOverload: a channel with more to do than it can drops slots, counts them, and says so in the quality of what
// comes too rarely.
func TestOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := plainDevice("plc", 1, 1, 0, 40)
		r := newRig(t, d)
		r.slave.latency = 20 * time.Millisecond // 800 ms for a scan every 100 ms
		r.start()
		time.Sleep(20 * time.Second)
		n := r.status(0).Counters
		if n.Answers < 950 || n.Overruns < 5000 || n.Timeouts > 0 {
			t.Errorf("%+v", n)
		}
		stale := 0
		for _, u := range r.sink.history() {
			if u.Quality == tag.UncertainLastUsableValue {
				stale++
			}
		}
		if stale == 0 {
			t.Error("no value was marked stale")
		}
		r.stop()
	})
}
