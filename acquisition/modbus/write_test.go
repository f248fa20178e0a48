package modbus

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"scada/acquisition"
	"scada/acquisition/tag"
)

// writeTags are one tag of each kind that can be written; none is in a block the recorder checks.
func writeTags() []tag.Definition {
	def := func(id int, address string, typ tag.Type) tag.Definition {
		return tag.Definition{ID: tag.ID(id), Name: address, Address: address, Type: typ, ScanPeriod: testPeriod, Writable: true}
	}
	word := def(1, "hr:10", tag.TypeInt16)
	scaled := def(4, "hr:16", tag.TypeFloat64)
	scaled.RawType, scaled.Scale, scaled.Range = tag.TypeUint16, tag.Linear{RawHigh: 65535, High: 3000}, tag.Range{High: 2500}
	swapped := def(7, "hr:40.3", tag.TypeBool)
	swapped.ByteOrder = "BADC"
	readOnly := def(8, "hr:50", tag.TypeInt16)
	readOnly.Writable = false
	return []tag.Definition{def(0, "co:5", tag.TypeBool), word, def(2, "hr:12", tag.TypeFloat32), def(3, "hr:20[4]", tag.TypeString), scaled,
		def(5, "hr:30.3", tag.TypeBool), def(6, "hr:34", tag.TypeInt64), swapped, readOnly}
}

func writeRig(t *testing.T, endpoint string, window int) *rig {
	return newRig(t, Device{Name: "plc", Endpoints: []string{endpoint}, Unit: 1, Timeout: testTimeout, Retries: 1, Window: window, Tags: writeTags()})
}

func (r *rig) write(id tag.ID, v tag.Value) acquisition.WriteResult {
	return r.c.Write(r.t.Context(), acquisition.Write{Tag: id, Value: v})
}

func (r *rig) writes() []string {
	r.slave.mu.Lock()
	defer r.slave.mu.Unlock()
	var all []string
	for _, w := range r.slave.writes {
		all = append(all, fmt.Sprintf("% x", w))
	}
	return all
}

func TestWriteEveryKind(t *testing.T) {
	for _, endpoint := range []string{"tcp://plc:502", "rtuovertcp://plc:502"} {
		for _, c := range []struct {
			id   tag.ID
			v    tag.Value
			want string
		}{
			{0, tag.Bool(true), "05 00 05 ff 00"},
			{0, tag.Bool(false), "05 00 05 00 00"},
			{1, tag.Int(tag.TypeInt16, -2), "06 00 0a ff fe"},
			{1, tag.Float64(7), "06 00 0a 00 07"},
			{2, tag.Float32(1.5), "10 00 0c 00 02 04 3f c0 00 00"},
			{2, tag.Float64(1.5), "10 00 0c 00 02 04 3f c0 00 00"},
			{3, tag.String("Pump"), "10 00 14 00 04 08 50 75 6d 70 00 00 00 00"},
			{4, tag.Float64(1500), "06 00 10 80 00"},
			{5, tag.Bool(true), "16 00 1e ff f7 00 08"},
			{6, tag.Int(tag.TypeInt64, -1<<62), "10 00 22 00 04 08 c0 00 00 00 00 00 00 00"},
			{7, tag.Bool(true), "16 00 28 f7 ff 08 00"},
		} {
			t.Run(fmt.Sprintf("%s/%d/%v", endpoint, c.id, c.v), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := writeRig(t, endpoint, 1)
					r.start()
					time.Sleep(time.Second)
					got := r.write(c.id, c.v)
					if got.Outcome != acquisition.Confirmed || got.Err != nil || !got.ReadBack.Quality.IsGood() {
						t.Errorf("result %+v", got)
					}
					if w := r.writes(); len(w) != 1 || w[0] != c.want {
						t.Errorf("the device got %q, want %q", w, c.want)
					}
					if s := r.sink.sample(c.id); s.Value != got.ReadBack.Value {
						t.Errorf("published %v, read back %v", s.Value, got.ReadBack.Value)
					}
					r.stop()
				})
			})
		}
	}
}

func TestWriteRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := writeRig(t, "tcp://plc:502", 1)
		if got := r.write(1, tag.Float64(1)); got.Outcome != acquisition.Refused || !errors.Is(got.Err, errStopped) {
			t.Errorf("while stopped: %+v", got)
		}
		r.start()
		time.Sleep(time.Second)
		for name, c := range map[string]struct {
			id tag.ID
			v  tag.Value
		}{
			"unknown tag": {99, tag.Float64(1)}, "read only": {8, tag.Float64(1)}, "too big": {1, tag.Float64(40000)}, "fraction": {1, tag.Float64(1.5)},
			"outside the range": {4, tag.Float64(2501)}, "below the range": {4, tag.Float64(-1)}, "text too long": {3, tag.String("123456789")},
			"text for a number": {1, tag.String("1")}, "number for a text": {3, tag.Float64(1)}, "none": {1, tag.Value{}}, "two for a bit": {0, tag.Float64(2)},
		} {
			if got := r.write(c.id, c.v); got.Outcome != acquisition.Refused || got.Err == nil {
				t.Errorf("%s: %+v", name, got)
			}
		}
		lost := errors.New("the role is lost")
		got := r.c.Write(t.Context(), acquisition.Write{Tag: 1, Value: tag.Float64(1), Fence: func() error { return lost }})
		if got.Outcome != acquisition.Refused || !errors.Is(got.Err, lost) {
			t.Errorf("fenced: %+v", got)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if got := r.c.Write(gone, acquisition.Write{Tag: 1, Value: tag.Float64(1)}); got.Outcome == acquisition.Confirmed {
			t.Errorf("cancelled: %+v", got)
		}
		if w := r.writes(); len(w) != 0 {
			t.Errorf("the device got %q", w)
		}
		r.stop()
	})
}

// TestFenceBeforeEachSend: changing a bit by reading and writing asks the fence before the write, after the read.
func TestFenceBeforeEachSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := writeRig(t, "tcp://plc:502", 1)
		r.slave.badReq = func(pdu []byte) bool { return pdu[0] == 22 }
		r.slave.bad[-1] = func(s *slave, c *memConn, good []byte) {
			s.mu.Lock()
			s.writes, s.override = nil, map[int]uint16{} // it did not know the function
			s.mu.Unlock()
			c.send(s.frame(good, 1, []byte{0x96, 1}))
		}
		r.start()
		time.Sleep(time.Second)
		calls := 0
		got := r.c.Write(t.Context(), acquisition.Write{Tag: 5, Value: tag.Bool(true), Fence: func() error { calls++; return nil }})
		want := fmt.Sprintf("06 00 1e %02x %02x", register(1, 30)>>8, register(1, 30)&0xFF|8)
		if w := r.writes(); got.Outcome != acquisition.Confirmed || len(w) != 1 || w[0] != want || calls != 2 {
			t.Errorf("%+v, %d calls, the device got %q, want %q", got, calls, w, want)
		}
		// From now on function 22 is not tried; the fence falls between the read and the write.
		got = r.c.Write(t.Context(), acquisition.Write{Tag: 5, Value: tag.Bool(false), Fence: func() error { return errors.New("lost") }})
		if got.Outcome != acquisition.Refused || len(r.writes()) != 1 {
			t.Errorf("%+v, %q", got, r.writes())
		}
		r.stop()
	})
}

// TestAmbiguousWrite: a write without an answer is never sent again; reading tells what became of it.
func TestAmbiguousWrite(t *testing.T) {
	isWrite := func(pdu []byte) bool { return pdu[0] == 6 }
	for _, c := range []struct {
		name string
		set  func(s *slave)
		want acquisition.Outcome
	}{
		{"executed, answer lost", func(s *slave) { s.lose = isWrite }, acquisition.Confirmed},
		{"not executed, no answer", func(s *slave) {
			s.badReq = isWrite
			s.bad[-1] = func(s *slave, _ *memConn, _ []byte) { s.mu.Lock(); delete(s.override, 10); s.mu.Unlock() }
		}, acquisition.Unknown},
		{"executed, connection lost", func(s *slave) {
			s.badReq = isWrite
			s.bad[-1] = func(_ *slave, c *memConn, _ []byte) { c.reset() }
		}, acquisition.Confirmed},
		{"executed late", func(s *slave) {
			s.badReq = isWrite
			s.bad[-1] = delayed(testTimeout + 20*time.Millisecond)
		}, acquisition.Confirmed},
		{"answer malformed", func(s *slave) {
			s.badReq = isWrite
			s.bad[-1] = func(s *slave, c *memConn, good []byte) { c.send(s.frame(good, 1, []byte{6, 0, 11, 0, 9})) }
		}, acquisition.Confirmed},
		{"then silence", func(s *slave) {
			s.badReq = isWrite
			s.bad[-1] = func(s *slave, _ *memConn, _ []byte) { s.mu.Lock(); s.mute = true; s.mu.Unlock() }
		}, acquisition.Unknown},
		{"connection lost and device gone", func(s *slave) {
			s.badReq = isWrite
			s.bad[-1] = func(s *slave, c *memConn, _ []byte) {
				s.mu.Lock()
				s.refuse = errors.New("connection refused")
				s.mu.Unlock()
				c.reset()
			}
		}, acquisition.Unknown},
		{"rejected", func(s *slave) {
			s.badReq = isWrite
			s.bad[-1] = func(s *slave, c *memConn, good []byte) { c.send(s.frame(good, 1, []byte{0x86, 3})) }
		}, acquisition.Rejected},
		{"accepted but another value", func(s *slave) {
			s.badReq = isWrite
			s.bad[-1] = func(s *slave, c *memConn, good []byte) {
				s.mu.Lock()
				s.override[10] = 1
				s.mu.Unlock()
				c.send(good)
			}
		}, acquisition.Mismatch},
	} {
		for _, window := range []int{1, 4, 16} {
			t.Run(fmt.Sprintf("%s/W%d", c.name, window), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := writeRig(t, "tcp://plc:502", window)
					r.start()
					time.Sleep(time.Second)
					r.slave.mu.Lock()
					c.set(r.slave)
					r.slave.mu.Unlock()
					before := time.Now()
					got := r.write(1, tag.Float64(9))
					if got.Outcome != c.want {
						t.Errorf("%v after %v: %v", got.Outcome, time.Since(before), got.Err)
					}
					if (got.Outcome == acquisition.Confirmed) != (got.Err == nil) {
						t.Errorf("%v with error %v", got.Outcome, got.Err)
					}
					time.Sleep(10 * time.Second)
					if w := r.writes(); len(w) != 1 {
						t.Errorf("the device got %d writes", len(w))
					}
					r.stop()
				})
			})
		}
	}
}

// TestWriteGoesNext: while polls saturate the channel a write waits for one answer at most.
func TestWriteGoesNext(t *testing.T) {
	for _, window := range []int{1, 4} {
		synctest.Test(t, func(t *testing.T) {
			d := plainDevice("plc", 1, window, 100, 30)
			d.Tags = append(d.Tags, writeTags()...)
			for i := range d.Tags {
				if d.Tags[i].ID < 100 { // keep the address spaces apart
					a, _ := ParseAddress(d.Tags[i].Address)
					a.Number += 20000
					d.Tags[i].Address = a.String()
				}
			}
			r := newRig(t, d)
			r.start()
			time.Sleep(time.Second)
			before := time.Now()
			if got := r.write(1, tag.Float64(9)); got.Outcome != acquisition.Confirmed {
				t.Errorf("%+v", got)
			}
			if took := time.Since(before); took > 3*r.slave.latency {
				t.Errorf("window %d: the write and its verification took %v, the latency is %v", window, took, r.slave.latency)
			}
			r.stop()
		})
	}
}

// TestConcurrentBits: sixteen writers of sixteen bits of one register, without function 22, lose nothing.
func TestConcurrentBits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var defs []tag.Definition
		for i := range 16 {
			defs = append(defs, tag.Definition{ID: tag.ID(i), Name: fmt.Sprint(i), Address: fmt.Sprintf("hr:7.%d", i), Type: tag.TypeBool, ScanPeriod: testPeriod, Writable: true})
		}
		r := newRig(t, Device{Name: "plc", Endpoints: []string{"tcp://plc:502"}, Unit: 1, Timeout: testTimeout, Window: 16, Tags: defs})
		r.c.devices[0].noMask = true
		r.slave.override[7] = 0
		r.start()
		time.Sleep(time.Second)
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				if got := r.write(tag.ID(i), tag.Bool(i%3 != 0)); got.Outcome != acquisition.Confirmed {
					t.Errorf("bit %d: %+v", i, got)
				}
			})
		}
		wg.Wait()
		want := uint16(0)
		for i := range 16 {
			if i%3 != 0 {
				want |= 1 << i
			}
		}
		if got := r.slave.override[7]; got != want {
			t.Errorf("register %016b, want %016b", got, want)
		}
		r.stop()
	})
}

func TestWriteQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := writeRig(t, "tcp://plc:502", 1)
		r.slave.mute = true
		r.start()
		synctest.Wait()
		full := make(chan acquisition.WriteResult, 2*maxWaitingWrites)
		for range maxWaitingWrites + 2 {
			go func() { full <- r.write(1, tag.Float64(1)) }()
			synctest.Wait()
		}
		refused := 0
		for len(full) > 0 {
			if got := <-full; errors.Is(got.Err, errQueue) {
				refused++
			}
		}
		if refused != 1 && refused != 2 { // the one in hand is not in the queue
			t.Errorf("%d refused for a full queue", refused)
		}
		r.stop()
		for range maxWaitingWrites + 2 - refused {
			if got := <-full; got.Outcome == acquisition.Confirmed {
				t.Errorf("%+v", got)
			}
		}
	})
}

// TestClient: every function of goburrow's client travels on the channel between the polls.
func TestClient(t *testing.T) {
	for _, endpoint := range []string{"tcp://plc:502", "rtuovertcp://plc:502"} {
		synctest.Test(t, func(t *testing.T) {
			r := writeRig(t, endpoint, 1)
			r.start()
			time.Sleep(time.Second)
			c, err := r.c.Client(t.Context(), "plc")
			if err != nil {
				t.Fatal(err)
			}
			word := func(b []byte, err error) uint16 {
				t.Helper()
				if err != nil || len(b) < 2 {
					t.Fatalf("%s: % x %v", endpoint, b, err)
				}
				return binary.BigEndian.Uint16(b)
			}
			check := func(got, want uint16) {
				t.Helper()
				if got != want {
					t.Errorf("%s: %d, want %d", endpoint, got, want)
				}
			}
			check(word(c.ReadHoldingRegisters(300, 2)), register(1, 300))
			check(word(c.ReadInputRegisters(301, 1)), register(1, 301))
			check(word(c.WriteSingleRegister(310, 77)), 77)
			check(word(c.ReadHoldingRegisters(310, 1)), 77)
			check(word(c.WriteMultipleRegisters(311, 2, []byte{0, 1, 0, 2})), 2)
			check(word(c.MaskWriteRegister(311, 0, 0x55)), 0)
			check(word(c.ReadWriteMultipleRegisters(311, 2, 320, 1, []byte{0, 9})), 0x55)
			check(word(c.ReadHoldingRegisters(320, 1)), 9)
			check(word(c.WriteMultipleCoils(400, 9, []byte{0xFF, 1})), 9)
			check(word(c.ReadCoils(400, 9)), 0xFF01)
			check(word(c.WriteSingleCoil(400, 0)), 0)
			check(word(c.ReadDiscreteInputs(400, 9)), 0xFE01)
			r.slave.mu.Lock()
			r.slave.holes[500] = true
			r.slave.mu.Unlock()
			if _, err := c.ReadHoldingRegisters(500, 1); err == nil || err.Error() != "modbus: exception '2' (illegal data address), function '131'" {
				t.Errorf("%s: %v", endpoint, err)
			}
			r.stop()
			if _, err := c.ReadHoldingRegisters(300, 1); !errors.Is(err, errStopped) {
				t.Errorf("%s: %v", endpoint, err)
			}
		})
	}
}

// TestDevicesWithTheirOwnWays: one without function 6 is written with 16, nothing is read of a stretch that is none of a
// tag's, and no request is longer than the device takes.
func TestDevicesWithTheirOwnWays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := Device{Name: "plc", Endpoints: []string{"tcp://plc:502"}, Unit: 1, WriteMultiple: true, MaxBlock: 5, NeverGap: []string{"hr:11", "hr:20-29"}}
		for id, at := range []int{10, 12, 13, 16, 17, 18, 19, 30} {
			d.Tags = append(d.Tags, tag.Definition{ID: tag.ID(id), Name: fmt.Sprint(at), Address: fmt.Sprintf("hr:%d", at), Type: tag.TypeUint16, ScanPeriod: testPeriod, Writable: true})
		}
		r := newRig(t, d)
		var asked []string
		r.slave.badReq = func(pdu []byte) bool { asked = append(asked, fmt.Sprintf("% x", pdu)); return false }
		r.start()
		time.Sleep(testPeriod / 2)
		r.slave.mu.Lock()
		slices.Sort(asked)
		r.slave.badReq = nil
		r.slave.mu.Unlock()
		if got := fmt.Sprintf("%q", asked); got != `["03 00 0a 00 01" "03 00 0c 00 05" "03 00 11 00 03" "03 00 1e 00 01"]` {
			t.Errorf("reads: %s", got)
		}
		r.sink.mu.Lock()
		r.sink.expect = nil
		r.sink.mu.Unlock()
		if got := r.write(0, tag.Uint(tag.TypeUint16, 7)); got.Outcome != acquisition.Confirmed {
			t.Errorf("%+v", got)
		}
		if w := r.writes(); len(w) != 1 || w[0] != "10 00 0a 00 01 02 00 07" {
			t.Errorf("writes: %q", w)
		}
		r.stop()
	})
}
