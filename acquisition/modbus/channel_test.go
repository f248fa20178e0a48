package modbus

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"scada/acquisition"
	"scada/acquisition/tag"
)

// rig is a channel, a slave and a sink in a bubble.
type rig struct {
	t      *testing.T
	slave  *slave
	sink   *recorder
	c      *Channel
	cancel context.CancelFunc
	done   chan error
}

const (
	testTimeout = 300 * time.Millisecond
	testPeriod  = 100 * time.Millisecond
	testBlocks  = 20
)

// plainTags are blocks of three registers, far enough apart to be requests of their own.
func plainTags(device string, firstID, blocks int) []tag.Definition {
	var defs []tag.Definition
	for b := range blocks {
		for i := range 3 {
			defs = append(defs, tag.Definition{ID: tag.ID(firstID + 3*b + i), Name: fmt.Sprintf("%s/t%d", device, 3*b+i), Device: device,
				Address: fmt.Sprintf("hr:%d", 200*b+i), Type: tag.TypeUint16, ScanPeriod: testPeriod, Writable: true})
		}
	}
	return defs
}

func plainDevice(name string, unit byte, window, firstID, blocks int) Device {
	return Device{Name: name, Endpoints: []string{"tcp://plc:502"}, Unit: unit, Timeout: testTimeout, Retries: 1, Window: window, Tags: plainTags(name, firstID, blocks)}
}

func newRig(t *testing.T, devices ...Device) *rig {
	t.Helper()
	r := &rig{t: t, slave: newSlave(t), sink: newRecorder(t), done: make(chan error, 1)}
	r.slave.rtu = devices[0].Endpoints[0][:3] == "rtu"
	sources, err := New(devices, Options{Dial: r.slave.dial})
	if err != nil {
		t.Fatal(err)
	}
	r.c = sources[0].(*Channel)
	expect := map[tag.ID]uint64{}
	for _, d := range r.c.devices {
		for _, p := range d.points {
			if p.raw == tag.TypeUint16 && p.def.Scale.IsZero() {
				expect[p.def.ID] = uint64(register(d.cfg.Unit, int(p.addr.Number)))
			}
		}
	}
	r.sink.expect = func(id tag.ID) (uint64, bool) { v, ok := expect[id]; return v, ok }
	return r
}

func (r *rig) start() {
	ctx, cancel := context.WithCancel(r.t.Context())
	r.cancel = cancel
	go func() { r.done <- r.c.Run(ctx, r.sink) }()
}

// stop ends the run, which must not take any time.
func (r *rig) stop() {
	r.t.Helper()
	before := time.Now()
	r.cancel()
	if err := <-r.done; err != nil {
		r.t.Errorf("Run: %v", err)
	}
	if d := time.Since(before); d > 0 {
		r.t.Errorf("Run took %v to end", d)
	}
	r.slave.stop()
}

// restartWith runs the channel again with another window and other periods.
func (r *rig) restartWith(window int, period time.Duration) {
	r.t.Helper()
	r.cancel()
	if err := <-r.done; err != nil {
		r.t.Error(err)
	}
	r.c.window, r.c.auto = max(1, window), auto{on: window == WindowAuto, window: 1}
	for _, b := range r.c.devices[0].plan.Blocks() {
		b.Period = period
	}
	r.start()
}

func (r *rig) status(i int) acquisition.DeviceStatus { return r.c.Status()[i] }

// allGood fails unless every tag is good and fresh.
func (r *rig) allGood(within time.Duration) {
	r.t.Helper()
	r.sink.mu.Lock()
	defer r.sink.mu.Unlock()
	for _, d := range r.c.devices {
		for _, p := range d.points {
			s, ok := r.sink.last[p.def.ID]
			if !ok || !s.Quality.IsGood() {
				r.t.Errorf("%s: %v %v", p.def.Name, s.Value, s.Quality)
			} else if age := time.Now().UnixNano() - s.Time; age > int64(within) {
				r.t.Errorf("%s: last good %v ago", p.def.Name, time.Duration(age))
			}
		}
	}
}

// recovers waits until every tag is good and fresh again, at most as long as the longest pause between probes.
func (r *rig) recovers() {
	r.t.Helper()
	for range 65 {
		time.Sleep(time.Second)
		if r.fresh() {
			return
		}
	}
	r.allGood(2*testPeriod + 50*time.Millisecond)
}

func (r *rig) fresh() bool {
	r.sink.mu.Lock()
	defer r.sink.mu.Unlock()
	for _, s := range r.sink.last {
		if !s.Quality.IsGood() || time.Now().UnixNano()-s.Time > int64(2*testPeriod+50*time.Millisecond) {
			return false
		}
	}
	return true
}

func TestFirstScanAtOnceThenSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := plainDevice("plc", 1, 1, 0, 4)
		for i := range d.Tags[9:] {
			d.Tags[9+i].ScanPeriod = 10 * time.Second
		}
		r := newRig(t, d)
		r.start()
		time.Sleep(21 * time.Millisecond)
		r.allGood(21 * time.Millisecond)
		if got := r.sink.settled["plc"]; len(got) != 1 || got[0] != nil {
			t.Errorf("settled: %v", got)
		}
		time.Sleep(10 * time.Second)
		fast, slow, onGrid := 0, 0, map[int64]bool{}
		for _, u := range r.sink.history() {
			if u.Tag == 0 {
				fast++
				if fast > 1 {
					onGrid[u.Time%int64(testPeriod)] = true
				}
			}
			if u.Tag == 9 {
				slow++
			}
		}
		if fast < 100 || fast > 102 || slow != 2 {
			t.Errorf("in 10 s: %d fast polls, %d slow ones", fast, slow)
		}
		if len(onGrid) > 2 { // alone, or behind the others of its slot
			t.Errorf("polls are not on the grid: %v", onGrid)
		}
		r.stop()
		if st := r.status(0); st.State != acquisition.Stopped || st.Counters.Timeouts+st.Counters.Malformed != 0 {
			t.Errorf("status %+v", st)
		}
	})
}

func TestRunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, plainDevice("plc", 1, 4, 0, 5))
		for range 3 {
			r.start()
			time.Sleep(time.Second)
			if err := r.c.Run(t.Context(), r.sink); !errors.Is(err, errRunning) {
				t.Errorf("second Run: %v", err)
			}
			r.allGood(testPeriod + 20*time.Millisecond)
			r.stop()
		}
		if n := len(r.sink.settled["plc"]); n != 3 {
			t.Errorf("settled %d times in 3 runs", n)
		}
		if r.slave.maxConns != 1 {
			t.Errorf("%d connections at once", r.slave.maxConns)
		}
	})
}

// TestStopWhileWaiting: ending the run never waits for the device.
func TestStopWhileWaiting(t *testing.T) {
	for name, set := range map[string]func(*slave){
		"silent":     func(s *slave) { s.mute = true },
		"connecting": func(s *slave) { s.black = true },
		"refused":    func(s *slave) { s.refuse = errors.New("connection refused") },
		"not read":   func(s *slave) { s.deaf = true },
		"normal":     func(s *slave) {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, plainDevice("plc", 1, 4, 0, 5))
				set(r.slave)
				for _, after := range []time.Duration{0, time.Millisecond, 50 * time.Millisecond, 333 * time.Millisecond, 5 * time.Second} {
					r.start()
					time.Sleep(after)
					r.stop()
				}
			})
		})
	}
}

func TestSilentDeviceIsMarkedWithinOneTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := plainDevice("dead", 1, 1, 0, 5), plainDevice("alive", 2, 1, 100, 5)
		r := newRig(t, a, b)
		r.start()
		time.Sleep(time.Second)
		r.allGood(testPeriod + 60*time.Millisecond)
		r.slave.mu.Lock()
		r.slave.dead[1] = true
		r.slave.mu.Unlock()
		time.Sleep(testTimeout + testPeriod + 60*time.Millisecond)
		q := r.sink.qualities()
		if q[tag.UncertainNoCommunicationLastUsable] != 15 || q[tag.Good] != 15 {
			t.Errorf("qualities after one time-out: %v", q)
		}
		// Once it is demoted, the other keeps its period.
		time.Sleep(3 * time.Second)
		before := r.status(1).Counters
		time.Sleep(20 * time.Second)
		after := r.status(1).Counters
		if n := after.Answers - before.Answers; n < 900 { // 5 blocks, 10 a second, less a twentieth and the time-outs of the probes
			t.Errorf("the other device got %d answers in 20 s", n)
		}
		if st := r.status(0); st.State != acquisition.Demoted || st.Counters.Demotions != 1 {
			t.Errorf("status of the silent device: %+v", st)
		}
		r.slave.mu.Lock()
		r.slave.dead[1] = false
		r.slave.mu.Unlock()
		time.Sleep(70 * time.Second)
		r.allGood(testPeriod + 60*time.Millisecond)
		if st := r.status(0); st.State != acquisition.Good || st.Counters.Late > 0 {
			t.Errorf("status after it is back: %+v", st)
		}
		r.stop()
	})
}

func TestNeverReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, plainDevice("plc", 1, 1, 0, 5))
		r.slave.black = true
		r.start()
		time.Sleep(testTimeout + time.Millisecond)
		if q := r.sink.qualities(); q[tag.BadNoCommunication] != 15 {
			t.Errorf("qualities: %v", q)
		}
		if got := r.sink.settled["plc"]; len(got) != 1 || got[0] == nil {
			t.Errorf("settled: %v", got)
		}
		r.slave.mu.Lock()
		r.slave.black = false
		r.slave.mu.Unlock()
		time.Sleep(2 * time.Second)
		r.allGood(testPeriod + 60*time.Millisecond)
		if got := r.sink.settled["plc"]; len(got) != 2 || got[1] != nil {
			t.Errorf("settled: %v", got)
		}
		r.stop()
	})
}

// TestRestart: a device that goes away for some seconds is read again within a second of its return.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, plainDevice("plc", 1, 4, 0, 5))
		r.start()
		for range 5 {
			time.Sleep(3 * time.Second)
			r.allGood(testPeriod + 20*time.Millisecond)
			r.slave.mu.Lock()
			r.slave.refuse = errors.New("connection refused")
			for _, c := range r.slave.conns {
				c.reset()
			}
			r.slave.mu.Unlock()
			time.Sleep(10 * time.Second)
			if q := r.sink.qualities(); q[tag.UncertainNoCommunicationLastUsable] != 15 {
				t.Errorf("qualities while it is away: %v", q)
			}
			r.slave.mu.Lock()
			r.slave.refuse = nil
			r.slave.mu.Unlock()
			time.Sleep(time.Second + testPeriod)
			r.allGood(testPeriod + 20*time.Millisecond)
		}
		if d := r.status(0).Counters.Demotions; d != 0 {
			t.Errorf("%d demotions: a broken connection is nobody's fault", d)
		}
		r.stop()
	})
}

func TestSecondEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := plainDevice("plc", 1, 1, 0, 5)
		d.Endpoints = []string{"tcp://first:502", "tcp://second:502"}
		r := newRig(t, d)
		inner := r.c.opts.Dial
		r.c.opts.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			if address == "first:502" {
				return nil, errors.New("no route to host")
			}
			return inner(ctx, network, address)
		}
		r.start()
		time.Sleep(50 * time.Millisecond)
		r.allGood(50 * time.Millisecond)
		for _, u := range r.sink.history() {
			if !u.Quality.IsGood() {
				t.Errorf("tag %d was %v although the second path works", u.Tag, u.Quality)
			}
		}
		if got := r.sink.settled["plc"]; len(got) != 1 || got[0] != nil {
			t.Errorf("settled: %v", got)
		}
		r.slave.mu.Lock()
		r.slave.refuse = errors.New("connection refused")
		for _, c := range r.slave.conns {
			c.reset()
		}
		dials := r.slave.dials
		r.slave.mu.Unlock()
		time.Sleep(50 * time.Second)
		r.slave.mu.Lock()
		n := r.slave.dials - dials
		r.slave.mu.Unlock()
		if n < 40 || n > 60 { // a round a second, not a storm
			t.Errorf("%d attempts in 50 s", n)
		}
		if q := r.sink.qualities(); q[tag.UncertainNoCommunicationLastUsable] != 15 {
			t.Errorf("qualities: %v", q)
		}
		r.slave.mu.Lock()
		r.slave.refuse = nil
		r.slave.mu.Unlock()
		r.recovers()
		r.stop()
	})
}

func TestHolesAndLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var defs []tag.Definition
		for i := range 100 {
			defs = append(defs, tag.Definition{ID: tag.ID(i), Name: fmt.Sprint(i), Address: fmt.Sprintf("hr:%d", i), Type: tag.TypeUint16, ScanPeriod: testPeriod})
		}
		r := newRig(t, Device{Name: "plc", Endpoints: []string{"tcp://plc:502"}, Unit: 1, Timeout: testTimeout, Tags: defs})
		r.slave.holes[37] = true
		r.slave.most = 60
		r.start()
		time.Sleep(time.Second)
		if q := r.sink.qualities(); q[tag.BadConfigurationError] != 1 || q[tag.Good] != 99 || r.sink.sample(37).Quality != tag.BadConfigurationError {
			t.Errorf("qualities: %v", q)
		}
		if n := r.status(0).Blocks; n > 5 {
			t.Errorf("%d requests per scan after learning", n)
		}
		before := r.status(0).Counters.Exceptions[2]
		time.Sleep(time.Minute)
		if now := r.status(0).Counters.Exceptions[2]; now != before {
			t.Errorf("%d more exceptions in a minute after learning", now-before)
		}
		r.slave.mu.Lock()
		delete(r.slave.holes, 37)
		r.slave.mu.Unlock()
		time.Sleep(11 * time.Minute)
		if s := r.sink.sample(37); !s.Quality.IsGood() {
			t.Errorf("the register is there again, its tag is %v", s.Quality)
		}
		r.stop()
	})
}
