package modbus

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"scada/acquisition"
	"scada/acquisition/tag"
)

func rtuDevice(name string, unit byte, firstID, blocks int) Device {
	d := plainDevice(name, unit, 1, firstID, blocks)
	d.Endpoints = []string{"rtuovertcp://plc:4001"}
	return d
}

// before sends bytes in front of the good answer.
func before(b ...byte) behaviour {
	return func(_ *slave, c *memConn, good []byte) { c.send(append(b, good...)) }
}

var rtuMisbehaviours = []struct {
	name string
	do   behaviour
	in   class
}{
	{"noise before", before(0xFF, 0x00, 0x55), malformed},
	{"noise that looks like the beginning of an answer", before(1, 3, 6, 9, 9), malformed},
	{"noise after", func(_ *slave, c *memConn, good []byte) { c.send(append(good, 0xFF, 1, 3)) }, nil},
	{"wrong checksum", func(_ *slave, c *memConn, good []byte) { good[len(good)-1] ^= 1; c.send(good) }, timeouts},
	{"one bit wrong", func(_ *slave, c *memConn, good []byte) { good[4] ^= 0x10; c.send(good) }, timeouts},
	{"another unit's frame", func(_ *slave, c *memConn, _ []byte) { c.send(rtuFrame([]byte{2, 3, 6, 0, 3, 0, 10, 0, 17})) }, timeouts},
	{"another unit's frame first", before(rtuFrame([]byte{2, 3, 6, 0, 3, 0, 10, 0, 17})...), malformed},
	{"another function", func(_ *slave, c *memConn, _ []byte) { c.send(rtuFrame([]byte{1, 4, 6, 0, 3, 0, 10, 0, 17})) }, timeouts},
	{"echo of the request", before(rtuFrame([]byte{1, 3, 0, 0, 0, 3})...), malformed},
	{"one register fewer", func(_ *slave, c *memConn, _ []byte) { c.send(rtuFrame([]byte{1, 3, 4, 0, 3, 0, 10})) }, timeouts},
	{"one register more", func(_ *slave, c *memConn, _ []byte) { c.send(rtuFrame([]byte{1, 3, 8, 0, 3, 0, 10, 0, 17, 0, 24})) }, timeouts},
	{"one byte at a time", drip(2*time.Millisecond, 0), nil},
	{"exception in two pieces", func(_ *slave, c *memConn, _ []byte) {
		f := rtuFrame([]byte{1, 0x83, 4})
		c.send(f[:4])
		time.Sleep(10 * time.Millisecond)
		c.send(f[4:])
	}, func(n acquisition.Counters) uint64 { return n.Exceptions[4] }},
	{"silence", func(_ *slave, c *memConn, _ []byte) {}, timeouts},
	{"late", delayed(testTimeout + 20*time.Millisecond), timeouts},
	{"late by a period", delayed(testTimeout + testPeriod), timeouts},
	{"late by ten periods", delayed(testTimeout + 10*testPeriod), timeouts},
	{"cut short", func(_ *slave, c *memConn, good []byte) { c.send(good[:len(good)-3]) }, timeouts},
	{"twice", func(_ *slave, c *memConn, good []byte) { c.send(append(append([]byte(nil), good...), good...)) }, nil},
}

func TestRTUMisbehaviour(t *testing.T) {
	for _, m := range rtuMisbehaviours {
		t.Run(m.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, rtuDevice("plc", 1, 0, 8))
				r.slave.bad[25] = m.do
				r.start()
				time.Sleep(8 * time.Second)
				r.allGood(2*testPeriod + 20*time.Millisecond)
				n := r.status(0).Counters
				if m.in != nil && m.in(n) == 0 {
					t.Errorf("it did not show: %+v", n)
				}
				if stalled := m.name == "late by ten periods"; !stalled && (n.Timeouts > 2 || n.Reconnects > 0 || n.Demotions > 0) {
					t.Errorf("%+v", n)
				}
				r.stop()
			})
		})
	}
}

func TestRTUMisbehaviourForEver(t *testing.T) {
	for _, m := range rtuMisbehaviours {
		t.Run(m.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, rtuDevice("plc", 1, 0, 8))
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

// TestRTULateAnswerIsNeverAnotherRegister: a device whose answers are late again and again, by one request or several.
// All blocks look alike, so without care the value of one would be taken for that of another.
func TestRTULateAnswerIsNeverAnotherRegister(t *testing.T) {
	for _, every := range []int{2, 3, 5, 7} {
		for _, by := range []time.Duration{testTimeout + time.Millisecond, testTimeout + 40*time.Millisecond, 2*testTimeout + time.Millisecond, 3 * testTimeout, 5*testTimeout + 7*time.Millisecond} {
			t.Run(fmt.Sprintf("every %d by %v", every, by), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t, rtuDevice("plc", 1, 0, 8))
					r.slave.latency = time.Millisecond
					for i := range 1000 {
						if i%every == every-1 {
							r.slave.bad[i] = delayed(by)
						}
					}
					r.start()
					time.Sleep(2 * time.Minute)
					if n := r.status(0).Counters; n.Timeouts == 0 || n.Answers < 5 {
						t.Errorf("%+v", n)
					}
					r.stop()
				})
			})
		}
	}
}

func TestRTUUnitsShareTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rtuDevice("a", 1, 0, 3), rtuDevice("b", 2, 100, 3), rtuDevice("c", 3, 200, 3))
		r.slave.latency = 2 * time.Millisecond
		r.slave.dead[2] = true
		r.start()
		time.Sleep(30 * time.Second)
		if q := r.sink.qualities(); q[tag.Good] != 18 || q[tag.BadNoCommunication] != 9 {
			t.Errorf("qualities: %v", q)
		}
		for _, i := range []int{0, 2} {
			if n := r.status(i).Counters; n.Answers < 800 {
				t.Errorf("unit %d: %+v", i, n)
			}
		}
		r.stop()
	})
}

func TestSyncRequest(t *testing.T) {
	d := &device{}
	for _, c := range []struct {
		address, count uint16
		owed           []uint16
		want           uint16
	}{
		{10, 3, []uint16{3}, 2}, {10, 3, []uint16{3, 2}, 1}, {10, 3, []uint16{3, 2, 1}, 4}, {10, 1, []uint16{1}, 2}, {10, 1, []uint16{1, 2}, 3},
	} {
		d.shapes = nil
		for _, n := range c.owed {
			d.shapes = append(d.shapes, shape{fcReadHolding, n})
		}
		got := shapeOf(d.syncRequest(readRequest(3, c.address, c.count)))
		if got.count != c.want || d.owes(got) {
			t.Errorf("%d registers with %v owed: %d, want %d", c.count, c.owed, got.count, c.want)
		}
	}
	d.shapes = []shape{{fcReadCoils, 16}}
	if got := shapeOf(d.syncRequest(readRequest(0, 0, 16))); got.count != 8 {
		t.Errorf("coils: %d, want 8: one byte, not two", got.count)
	}
}
