package modbus

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	goburrow "github.com/goburrow/modbus"

	"scada/acquisition"
	"scada/acquisition/tag"
)

const deviceFailure = 4 // the exception

// everyFunction runs a test for every function at every window. The transaction ids start over meanwhile.
func everyFunction(t *testing.T, test func(r *rig, fc byte)) {
	for _, window := range []int{1, 4, 16} {
		for _, fc := range matrixFunctions {
			t.Run(fmt.Sprintf("W%d/FC%d", window, fc), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := matrixRig(t, window)
					r.c.firstID = 65535 - 90
					r.slave.latency = time.Millisecond
					r.start()
					time.Sleep(250 * time.Millisecond)
					test(r, fc)
					r.stop()
				})
			})
		}
	}
}

// once has the device do something to the next answer to a function.
func (r *rig) once(fc byte, do behaviour) {
	r.slave.mu.Lock()
	defer r.slave.mu.Unlock()
	r.slave.bad[-1] = do
	r.slave.badReq = func(pdu []byte) bool { return pdu[0] == fc }
}

// TestEverySegmentationOfEveryFunction: the answer in two segments, cut at each of its bytes, is the same answer.
func TestEverySegmentationOfEveryFunction(t *testing.T) {
	everyFunction(t, func(r *rig, fc byte) {
		cuts, length := 0, 2
		for cut := 1; cut < length; cut++ {
			answer := make(chan int, 1)
			r.once(fc, func(_ *slave, c *memConn, good []byte) {
				c.turn <- struct{}{}
				c.Write(good[:cut])
				time.Sleep(10 * time.Millisecond)
				c.Write(good[cut:])
				<-c.turn
				answer <- len(good)
			})
			if err := r.exchange(fc, true); err != nil {
				r.t.Errorf("cut at %d: %v", cut, err)
			}
			time.Sleep(2 * testPeriod)
			length = <-answer
			cuts++
		}
		n := r.status(0).Counters
		if cuts != length-1 || cuts < 8 || n.Requests < 100 {
			r.t.Errorf("%d cuts of %d bytes, %d requests", cuts, length, n.Requests)
		}
		if n.Timeouts+n.Malformed+n.Late+n.Reconnects+n.Overruns > 0 || !r.polledWell() {
			r.t.Errorf("%+v, %v", n, r.sink.qualities())
		}
		if w := r.writes(); len(w) > 0 && len(w) != cuts {
			r.t.Errorf("%d writes executed, %d asked for", len(w), cuts)
		}
	})
}

// TestEveryExceptionOfEveryFunction: an exception fails its own request and nothing else, and its code is counted. A
// write the device refuses is not executed; a code that leaves that open has it read back.
func TestEveryExceptionOfEveryFunction(t *testing.T) {
	codes := []byte{2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0x80, 0xAA, 0xFF, 1} // 1 last: the function is not used again
	everyFunction(t, func(r *rig, fc byte) {
		for _, code := range codes {
			if fc == fcMaskWrite && code == 1 {
				continue // TestFenceBeforeEachSend: another function takes its place
			}
			r.once(fc, func(s *slave, c *memConn, good []byte) {
				s.mu.Lock()
				s.writes, s.override = nil, map[int]uint16{} // it does nothing
				s.mu.Unlock()
				c.send(s.frame(good, 1, []byte{fc | 0x80, code}))
			})
			r.refusal(fc, code)
			r.settles()
			n := r.status(0).Counters
			if n.Exceptions[code] != 1 || n.Timeouts+n.Malformed+n.Late+n.Reconnects+n.Demotions > 0 {
				r.t.Errorf("code %d: %+v", code, n)
			}
			if q := r.sink.qualities(); code == 1 && slices.Contains(matrixFunctions[:4], fc) {
				if n := q[tag.BadConfigurationError]; n < 1 || n > 3 { // the block may have been divided by code 2
					r.t.Errorf("code %d: %v", code, q)
				}
			} else if !r.polledWell() {
				r.t.Errorf("code %d: %v", code, q)
			}
			if w := r.writes(); len(w) > 0 {
				r.t.Errorf("code %d: the device executed %q", code, w)
			}
		}
	})
}

// settles gives the rig time to be polled well again.
func (r *rig) settles() {
	time.Sleep(3 * testPeriod)
	for range 30 {
		if r.polledWell() {
			return
		}
		time.Sleep(testPeriod)
	}
}

// refusal uses a function once and checks what comes of the exception it is answered with.
func (r *rig) refusal(fc, code byte) {
	r.t.Helper()
	var got acquisition.WriteResult
	switch fc {
	case fcWriteCoil:
		got = r.write(matrixCoil, tag.Bool(true))
	case fcWriteRegister:
		got = r.write(matrixWord, tag.Uint(tag.TypeUint16, 4711))
	case fcWriteRegisters:
		got = r.write(matrixFloat, tag.Float32(1.5))
	case fcMaskWrite:
		got = r.write(matrixBit, tag.Bool(register(1, 52001)>>3&1 == 0))
	case fcWriteCoils, fcReadWrite:
		var refused *goburrow.ModbusError
		if err := r.single(fc, true); !errors.As(err, &refused) || refused.ExceptionCode != code {
			r.t.Errorf("code %d: %v", code, err)
		}
		return
	default:
		return
	}
	want := acquisition.Rejected
	if code == exAcknowledge || code == exGatewayPath || code == exGatewayTarget { // it may come to be executed
		want = acquisition.Unknown
	}
	if got.Outcome != want || got.Err == nil {
		r.t.Errorf("code %d: %v, %v; want %v", code, got.Outcome, got.Err, want)
	}
}

// TestCoalescedFunctions: the answers of a full window, of all functions, in one segment and in either order.
func TestCoalescedFunctions(t *testing.T) {
	for _, window := range []int{1, 4, 16} {
		for _, backwards := range []bool{false, true} {
			t.Run(fmt.Sprintf("W%d/%v", window, backwards), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { coalesce(t, window, backwards) })
			})
		}
	}
}

func coalesce(t *testing.T, window int, backwards bool) {
	r := matrixRig(t, window)
	var held [][]byte
	most := 0
	flush := func(c *memConn) {
		r.slave.mu.Lock()
		all := held
		held = nil
		most = max(most, len(all))
		r.slave.mu.Unlock()
		if backwards {
			slices.Reverse(all)
		}
		c.Write(bytes.Join(all, nil))
	}
	r.slave.latency = time.Millisecond
	r.slave.chance = func() behaviour {
		return func(s *slave, c *memConn, good []byte) {
			s.mu.Lock()
			held = append(held, good)
			first := len(held) == 1
			s.mu.Unlock()
			if first {
				time.Sleep(2 * time.Millisecond)
				flush(c)
			}
		}
	}
	r.start()
	time.Sleep(time.Second)
	for _, fc := range matrixFunctions {
		if err := r.exchange(fc, true); err != nil {
			t.Errorf("function %d: %v", fc, err)
		}
	}
	time.Sleep(time.Second)
	if n := r.status(0).Counters; n.Timeouts+n.Malformed+n.Late+n.Reconnects > 0 || !r.polledWell() {
		t.Errorf("%+v, %v", n, r.sink.qualities())
	}
	r.stop()
	r.slave.mu.Lock()
	defer r.slave.mu.Unlock()
	if most != window {
		t.Errorf("%d answers in a segment, want %d", most, window)
	}
}

// altered sends the good frame with a change to what its checksum covers.
func altered(f func(b []byte)) behaviour {
	return func(_ *slave, c *memConn, good []byte) {
		b := slices.Clone(good[:len(good)-2])
		f(b)
		c.send(rtuFrame(b))
	}
}

// lineMisbehaviours are those of serial framing that do not depend on the function.
var lineMisbehaviours = []struct {
	name string
	do   behaviour
	in   class // nil: nothing is lost
}{
	{"noise before", before(0xFF, 0x00, 0x55), malformed},
	{"noise after", func(_ *slave, c *memConn, good []byte) { c.send(append(slices.Clone(good), 0xFF, 1, 3)) }, nil},
	{"wrong checksum", func(_ *slave, c *memConn, good []byte) { good[len(good)-1] ^= 1; c.send(good) }, timeouts},
	{"one bit wrong", func(_ *slave, c *memConn, good []byte) { good[3] ^= 0x10; c.send(good) }, timeouts},
	{"another unit's frame", altered(func(b []byte) { b[0] = 2 }), timeouts},
	{"another unit's frame first", func(_ *slave, c *memConn, good []byte) {
		b := slices.Clone(good[:len(good)-2])
		b[0] = 2
		c.send(append(rtuFrame(b), good...))
	}, malformed},
	{"another function", altered(func(b []byte) { b[1] ^= 7 }), timeouts},
	{"local echo", func(s *slave, c *memConn, good []byte) {
		s.mu.Lock()
		asked := s.asked
		s.mu.Unlock()
		c.send(append(slices.Clone(asked), good...))
	}, nil},
	{"one byte at a time", drip(2*time.Millisecond, 0), nil},
	{"silence", func(*slave, *memConn, []byte) {}, timeouts},
	{"late", delayed(testTimeout + 20*time.Millisecond), timeouts},
	{"late by a period", delayed(testTimeout + testPeriod), timeouts},
	{"cut short", func(_ *slave, c *memConn, good []byte) { c.send(good[:len(good)-3]) }, timeouts},
	{"twice", func(_ *slave, c *memConn, good []byte) { c.send(append(slices.Clone(good), good...)) }, nil},
}

// TestLineMisbehaviour: every misbehaviour of a serial line, once, as the answer to every function: no wrong value, a
// write executed once and its outcome known.
func TestLineMisbehaviour(t *testing.T) {
	for _, m := range lineMisbehaviours {
		for _, fc := range matrixFunctions {
			t.Run(fmt.Sprintf("%s/FC%d", m.name, fc), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := lineRig(t)
					r.once(fc, m.do)
					if err := r.exchange(fc, m.in == nil); err != nil {
						t.Error(err)
					}
					r.lineRecovers()
					if n := r.status(0).Counters; m.in != nil && m.in(n) == 0 || n.Timeouts > 2 || n.Reconnects+n.Demotions > 0 {
						t.Errorf("%+v", n)
					}
					r.checkWrittenOnce(fc)
					r.stop()
				})
			})
		}
	}
}

// TestSplitExceptionOnLine: an exception in two pieces is that exception, whatever was asked.
func TestSplitExceptionOnLine(t *testing.T) {
	for _, fc := range matrixFunctions {
		t.Run(fmt.Sprintf("FC%d", fc), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := lineRig(t)
				r.once(fc, func(s *slave, c *memConn, _ []byte) {
					s.mu.Lock()
					s.writes, s.override = nil, map[int]uint16{} // it does nothing
					s.mu.Unlock()
					f := rtuFrame([]byte{1, fc | 0x80, deviceFailure})
					c.send(f[:3])
					time.Sleep(10 * time.Millisecond)
					c.send(f[3:])
				})
				r.refusal(fc, deviceFailure)
				r.lineRecovers()
				if n := r.status(0).Counters; n.Exceptions[deviceFailure] != 1 || n.Timeouts+n.Malformed+n.Reconnects+n.Demotions > 0 {
					t.Errorf("%+v", n)
				}
				r.stop()
			})
		})
	}
}

// lineRig is the device of the matrix behind a converter that speaks serial framing, polled well.
func lineRig(t *testing.T) *rig {
	r := matrixRigAt(t, "rtuovertcp://plc:4001", 1)
	r.slave.latency = time.Millisecond
	r.start()
	time.Sleep(250 * time.Millisecond)
	return r
}

// lineRecovers waits until the misbehaviour is over and every polled tag is good and fresh.
func (r *rig) lineRecovers() {
	r.t.Helper()
	time.Sleep(time.Second)
	r.settles()
	r.slave.mu.Lock()
	defer r.slave.mu.Unlock()
	if r.slave.badReq != nil {
		r.t.Error("the misbehaviour never happened")
	}
	if !r.polledWell() {
		r.t.Errorf("not all good: %v", r.sink.qualities())
	}
}
