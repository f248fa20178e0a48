package modbus

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"scada/acquisition"
	"scada/acquisition/tag"
)

// class is the counter a misbehaviour must show up in.
type class func(acquisition.Counters) uint64

func timeouts(n acquisition.Counters) uint64   { return n.Timeouts }
func malformed(n acquisition.Counters) uint64  { return n.Malformed }
func reconnects(n acquisition.Counters) uint64 { return n.Reconnects }
func late(n acquisition.Counters) uint64       { return n.Late }

// misbehaviour is something a device does to a request, and what must come of it.
type misbehaviour struct {
	name string
	do   behaviour
	in   class // nil: nothing is lost
	drop bool  // the connection is given up
	long bool  // a state of some seconds, not one answer
}

// misbehaviours are done once, to one request.
var misbehaviours = []misbehaviour{
	{"wrong transaction id", patch(0, 0xEE), timeouts, false, false},
	{"wrong protocol id", patch(3, 1), reconnects, true, false},
	{"wrong unit", patch(6, 99), malformed, false, false},
	{"wrong function", reshaped(func(pdu []byte) []byte { pdu[0] ^= 7; return pdu }), malformed, false, false},
	{"length 0", length(func(int) int { return 0 }), reconnects, true, false},
	{"length 1", length(func(int) int { return 1 }), reconnects, true, false},
	{"length 2", length(func(int) int { return 2 }), reconnects, true, false},
	{"length 255", length(func(int) int { return 255 }), reconnects, true, false},
	{"length 65535", length(func(int) int { return 65535 }), reconnects, true, false},
	{"length two more", length(func(n int) int { return n + 2 }), reconnects, true, false},
	{"length two less", length(func(n int) int { return n - 2 }), reconnects, true, false},
	{"byte count too big", patch(8, 250), malformed, false, false},
	{"one register fewer", resized(false), malformed, false, false},
	{"one register more", resized(true), malformed, false, false},
	{"exception without code", reshaped(func(pdu []byte) []byte { return []byte{pdu[0] | 0x80} }), reconnects, true, false},
	{"exception with two codes", reshaped(func(pdu []byte) []byte { return []byte{pdu[0] | 0x80, 2, 2} }), malformed, false, false},
	{"exception to another function", reshaped(func(pdu []byte) []byte { return []byte{(pdu[0] ^ 7) | 0x80, 2} }), malformed, false, false},
	{"duplicate answer", func(_ *slave, c *memConn, good []byte) { c.send(good); c.send(good) }, malformed, false, false},
	{"duplicate answer later", func(_ *slave, c *memConn, good []byte) {
		c.send(good)
		time.Sleep(40 * time.Millisecond)
		c.send(good)
	}, malformed, false, false},
	{"garbage first", func(_ *slave, c *memConn, good []byte) { c.Write([]byte{1, 2, 3, 4, 5}); c.send(good) }, reconnects, true, false},
	{"one byte a segment", drip(2*time.Millisecond, 0), nil, false, false},
	{"slow loris on the header", drip(60*time.Millisecond, 0), reconnects, true, false},
	{"slow loris on the body", drip(200*time.Millisecond, 8), reconnects, true, false},
	{"stops reading", func(s *slave, c *memConn, good []byte) {
		c.in.mu.Lock()
		c.in.limit = 20
		c.in.mu.Unlock()
		s.mu.Lock()
		s.deaf = true
		s.mu.Unlock()
		time.Sleep(5 * time.Second)
		s.mu.Lock()
		s.deaf = false
		s.mu.Unlock()
	}, reconnects, true, true},
	{"half a header, then close", func(_ *slave, c *memConn, good []byte) { c.Write(good[:3]); c.Close() }, reconnects, true, false},
	{"half a frame, then reset", func(_ *slave, c *memConn, good []byte) { c.Write(good[:9]); c.reset() }, reconnects, true, false},
	{"half a frame, then silence", func(_ *slave, c *memConn, good []byte) { c.Write(good[:9]) }, reconnects, true, false},
	{"reset", func(_ *slave, c *memConn, good []byte) { c.reset() }, reconnects, true, false},
	{"close after a good answer", func(_ *slave, c *memConn, good []byte) { c.send(good); c.Close() }, reconnects, true, false},
	{"silence", func(_ *slave, c *memConn, good []byte) {}, timeouts, false, false},
	{"late by one period", delayed(testTimeout + testPeriod), late, false, false},
	{"late by two periods", delayed(testTimeout + 2*testPeriod), late, false, false},
	{"late by ten periods", delayed(testTimeout + 10*testPeriod), late, false, false},
	{"answered after the others", delayed(testTimeout / 2), nil, false, false},
	{"half-open", func(s *slave, c *memConn, good []byte) {
		s.mu.Lock()
		s.mute = true
		s.mu.Unlock()
		time.Sleep(3 * testTimeout)
		s.mu.Lock()
		s.mute = false
		s.mu.Unlock()
	}, timeouts, true, true},
	{"packets vanish, connecting hangs", func(s *slave, _ *memConn, _ []byte) {
		s.mu.Lock()
		s.mute, s.black = true, true
		s.mu.Unlock()
		time.Sleep(3 * time.Second)
		s.mu.Lock()
		s.mute, s.black = false, false
		s.mu.Unlock()
	}, reconnects, true, true},
}

// TestMisbehaviourForEver: the same, all the time, to every third request: never a wrong value, never a lost device.
func TestMisbehaviourForEver(t *testing.T) {
	for _, m := range misbehaviours {
		if m.long {
			continue
		}
		for _, window := range []int{1, 16} {
			t.Run(fmt.Sprintf("%s/W%d", m.name, window), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t, plainDevice("plc", 1, window, 0, 8))
					for i := range 200 {
						r.slave.bad[3*i] = m.do
					}
					r.start()
					time.Sleep(25 * time.Second)
					r.slave.mu.Lock()
					clear(r.slave.bad)
					r.slave.mu.Unlock()
					r.recovers()
					r.stop()
				})
			})
		}
	}
}

// TestIDWrapsWhileOneIsOutstanding: ids start over while the answer to an old one is still owed.
func TestIDWrapsWhileOneIsOutstanding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := plainDevice("plc", 1, 4, 0, testBlocks)
		d.Timeout = time.Minute
		r := newRig(t, d)
		r.c.firstID = 65535 - 4
		r.slave.latency = 100 * time.Microsecond
		r.slave.bad[2] = func(*slave, *memConn, []byte) {} // its id, 65534, stays in flight
		r.start()
		time.Sleep(50 * time.Second)
		s := r.status(0).Counters
		if s.Malformed+s.Timeouts > 0 || s.Answers < 9000 {
			t.Errorf("%+v", s)
		}
		r.stop()
	})
	s := &session{nextID: 65533}
	s.txs[3] = tx{busy: true, id: 65534}
	s.txs[7] = tx{busy: true, id: 0}
	if a, b, c := s.freshID(), s.freshID(), s.freshID(); a != 65535 || b != 1 || c != 2 {
		t.Errorf("ids %d, %d, %d are not the free ones", a, b, c)
	}
}

// TestUnsupportedFunction: a block whose function the device does not know is asked for again after an hour.
func TestUnsupportedFunction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := plainDevice("plc", 1, 1, 0, 2)
		for i := range d.Tags {
			d.Tags[i].ScanPeriod = time.Minute
		}
		r := newRig(t, d)
		r.slave.except[1] = 1
		r.start()
		time.Sleep(59 * time.Minute)
		if q := r.sink.qualities(); q[tag.BadConfigurationError] != 3 || q[tag.Good] != 3 {
			t.Errorf("qualities: %v", q)
		}
		time.Sleep(3 * time.Minute)
		r.allGood(2 * time.Minute)
		r.stop()
	})
}

// TestBusyDevice: half a minute of "busy" demotes nobody and drops nothing; the values grow stale meanwhile.
func TestBusyDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, plainDevice("plc", 1, 1, 0, 5))
		r.start()
		time.Sleep(time.Second)
		busy := func(s *slave, c *memConn, good []byte) { c.send(s.frame(good, 1, []byte{0x83, 6})) }
		r.slave.mu.Lock()
		n := r.slave.n
		for i := range 10000 {
			r.slave.bad[n+i] = busy
		}
		r.slave.mu.Unlock()
		time.Sleep(30 * time.Second)
		if q := r.sink.qualities(); q[tag.UncertainLastUsableValue] != 15 {
			t.Errorf("qualities: %v", q)
		}
		r.slave.mu.Lock()
		clear(r.slave.bad)
		r.slave.mu.Unlock()
		time.Sleep(time.Second)
		r.allGood(2 * testPeriod)
		if n := r.status(0).Counters; n.Demotions+n.Reconnects+n.Timeouts != 0 {
			t.Errorf("%+v", n)
		}
		r.stop()
	})
}

// TestGatewayUnits: a gateway's word that a unit is dead costs the other units nothing.
func TestGatewayUnits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, plainDevice("a", 1, 1, 0, 5), plainDevice("b", 2, 1, 100, 5), plainDevice("c", 3, 1, 200, 5))
		gone := true
		for i := range 100000 {
			r.slave.bad[i] = func(s *slave, c *memConn, good []byte) {
				if good[6] == 2 && gone {
					good = s.frame(good, 2, []byte{0x83, 11})
				}
				c.send(good)
			}
		}
		r.slave.latency = time.Millisecond
		r.start()
		time.Sleep(10 * time.Second)
		for _, i := range []int{0, 2} {
			if n := r.status(i).Counters; n.Overruns > 1 || n.Answers < 500 {
				t.Errorf("unit %d: %+v", i, n)
			}
		}
		if st := r.status(1); st.State != acquisition.Demoted || st.Counters.Timeouts != 0 {
			t.Errorf("dead unit: %+v", st)
		}
		gone = false
		time.Sleep(20 * time.Second)
		r.allGood(2 * testPeriod)
		r.stop()
	})
}

// TestBlackHole: packets of the connection vanish, and connecting again hangs for a while.
func TestBlackHole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, plainDevice("plc", 1, 4, 0, 5))
		r.start()
		for range 3 {
			time.Sleep(5 * time.Second)
			r.allGood(2 * testPeriod)
			r.slave.mu.Lock()
			r.slave.mute, r.slave.black = true, true
			r.slave.mu.Unlock()
			time.Sleep(20 * time.Second)
			r.slave.mu.Lock()
			r.slave.mute, r.slave.black = false, false
			r.slave.mu.Unlock()
		}
		time.Sleep(5 * time.Second)
		r.allGood(2 * testPeriod)
		r.stop()
	})
}

// TestOneShotDevice: a device that closes after every answer is polled all the same, without its quality flapping.
func TestOneShotDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, plainDevice("plc", 1, 1, 0, 2))
		for i := range 10000 {
			r.slave.bad[i] = func(_ *slave, c *memConn, good []byte) { c.send(good); c.Close() }
		}
		r.start()
		time.Sleep(10 * time.Second)
		r.allGood(2 * testPeriod)
		for _, u := range r.sink.history() {
			if !u.Quality.IsGood() {
				t.Fatalf("tag %d was %v", u.Tag, u.Quality)
			}
		}
		r.stop()
		if r.slave.maxConns > 1 {
			t.Errorf("%d connections at once", r.slave.maxConns)
		}
	})
}

// TestRequestThatBreaksTheLine: a device that closes on one particular request loses that block, not the others for good.
func TestRequestThatBreaksTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, plainDevice("plc", 1, 1, 0, 3))
		for i := range 100000 {
			r.slave.bad[i] = func(_ *slave, c *memConn, good []byte) {
				if binary.BigEndian.Uint16(good[9:]) == register(1, 200) {
					c.Close()
					return
				}
				c.send(good)
			}
		}
		r.start()
		time.Sleep(30 * time.Second)
		n := r.status(0).Counters
		if n.Answers < 30 || n.Requests > 3000 {
			t.Errorf("%+v", n)
		}
		r.stop()
	})
}

func TestEverySegmentation(t *testing.T) {
	frame := []byte{0, 1, 0, 0, 0, 9, 1, 3, 6, 0, 3, 0, 10, 0, 17}
	stream := append(append([]byte(nil), frame...), frame...)
	for cut := range len(stream) {
		var got int
		var buf []byte
		for _, part := range [][]byte{stream[:cut], stream[cut:]} {
			buf = append(buf, part...)
			for {
				n, err := splitTCP(buf)
				if err != nil {
					t.Fatalf("cut at %d: %v", cut, err)
				}
				if n == 0 {
					break
				}
				got++
				buf = buf[n:]
			}
		}
		if got != 2 || len(buf) != 0 {
			t.Errorf("cut at %d: %d frames, %d bytes left", cut, got, len(buf))
		}
	}
	if _, err := splitTCP([]byte{0, 1, 0, 0, 0, 255}); !errors.Is(err, ErrMalformed) {
		t.Errorf("length 255: %v", err)
	}
	if n, err := splitTCP([]byte{0, 1, 0, 0, 0, 254}); n != 0 || err != nil {
		t.Errorf("length 254: %d %v", n, err)
	}
}

// TestDeadUnitBehindGateway: one of 32 units behind a gateway that answers one request at a time is dead, and the gateway
// says nothing: after three cycles the achieved period of the others is at most a twentieth longer than before.
func TestDeadUnitBehindGateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const units, period = 32, time.Second
		var devices []Device
		for u := range units {
			d := plainDevice(fmt.Sprint("unit", u+1), byte(u+1), 1, 100*u, 2)
			d.Timeout, d.Retries = time.Second, 2
			for i := range d.Tags {
				d.Tags[i].ScanPeriod = period
			}
			devices = append(devices, d)
		}
		r := newRig(t, devices...)
		r.slave.latency = 10 * time.Millisecond // 64 requests of 10 ms a second: two thirds of the gateway's time
		r.start()
		time.Sleep(10 * period)
		r.slave.mu.Lock()
		r.slave.dead[7] = true
		r.slave.mu.Unlock()
		time.Sleep(3 * period)
		const cycles = 60
		before := r.c.Status()
		time.Sleep(cycles * period)
		after := r.c.Status()
		worst := 0.0
		for u := range units {
			if u+1 == 7 {
				continue
			}
			n := after[u].Counters.Answers - before[u].Counters.Answers
			achieved := float64(cycles) * 2 / float64(n) // periods, of two blocks each
			if worst = max(worst, achieved); achieved > 1.05 {
				t.Errorf("unit %d: an achieved period of %.3f s (%d answers in %d cycles)", u+1, achieved, n, cycles)
			}
		}
		t.Logf("the longest achieved period of the 31 others is %.3f s", worst)
		if st := r.status(6); st.State != acquisition.Demoted {
			t.Errorf("the dead unit is %v", st.State)
		}
		r.slave.mu.Lock()
		r.slave.dead[7] = false
		r.slave.mu.Unlock()
		time.Sleep(70 * time.Second)
		r.allGood(2*period + 50*time.Millisecond)
		r.stop()
	})
}
