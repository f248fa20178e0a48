package modbus

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	goburrow "github.com/goburrow/modbus"

	"scada/acquisition"
	"scada/acquisition/tag"
)

// matrixFunctions are all functions that travel on a channel. 1 to 4 are polled, 5, 6, 16 and 22 are operator writes,
// 15 and 23 go through the client face.
var matrixFunctions = []byte{fcReadCoils, fcReadDiscrete, fcReadHolding, fcReadInput, fcWriteCoil, fcWriteRegister, fcWriteCoils, fcWriteRegisters, fcMaskWrite, fcReadWrite}

// The tags of a matrix device that are written; they are polled once in ten minutes.
const (
	matrixCoil tag.ID = 1000 + iota
	matrixWord
	matrixFloat
	matrixBit
)

// matrixDevice has five blocks in each of the four areas, and a tag for each kind of write.
func matrixDevice(window int) Device {
	d := Device{Name: "plc", Endpoints: []string{"tcp://plc:502"}, Unit: 1, Timeout: testTimeout, Retries: 1, Window: window}
	def := func(id tag.ID, address string, typ tag.Type, period time.Duration) {
		d.Tags = append(d.Tags, tag.Definition{ID: id, Name: address, Address: address, Type: typ, ScanPeriod: period, Writable: id >= matrixCoil})
	}
	for i := range 60 {
		block, at := i/3%5, i%3
		switch i / 15 {
		case 0:
			def(tag.ID(i), fmt.Sprintf("co:%d", 2500*block+at), tag.TypeBool, testPeriod)
		case 1:
			def(tag.ID(i), fmt.Sprintf("di:%d", 2500*block+at), tag.TypeBool, testPeriod)
		case 2:
			def(tag.ID(i), fmt.Sprintf("ir:%d", 200*block+at), tag.TypeUint16, testPeriod)
		default:
			def(tag.ID(i), fmt.Sprintf("hr:%d", 200*block+at), tag.TypeUint16, testPeriod)
		}
	}
	def(matrixCoil, "co:60001", tag.TypeBool, 10*time.Minute)
	def(matrixWord, "hr:50001", tag.TypeUint16, 10*time.Minute)
	def(matrixFloat, "hr:51001", tag.TypeFloat32, 10*time.Minute)
	def(matrixBit, "hr:52001.3", tag.TypeBool, 10*time.Minute)
	return d
}

// matrixRig expects of every polled tag, bits included, the value of its own register.
func matrixRig(t *testing.T, window int) *rig { return matrixRigAt(t, "tcp://plc:502", window) }

func matrixRigAt(t *testing.T, endpoint string, window int) *rig {
	d := matrixDevice(window)
	d.Endpoints = []string{endpoint}
	r := newRig(t, d)
	expect := map[tag.ID]uint64{}
	for _, p := range r.c.devices[0].points[:60] {
		v := uint64(register(1, int(p.addr.Number)))
		if p.addr.Area.IsBits() {
			v &= 1
		}
		expect[p.id] = v
	}
	r.sink.expect = func(id tag.ID) (uint64, bool) { v, ok := expect[id]; return v, ok }
	return r
}

// exchange makes the rig use a function once and returns what was wrong with the outcome. certain says that nothing may
// be lost; a write whose answer was spoilt is read back, so its outcome is known all the same.
func (r *rig) exchange(fc byte, certain bool) error {
	write := func(id tag.ID, v tag.Value) error {
		got := r.write(id, v)
		if got.Outcome != acquisition.Confirmed {
			return fmt.Errorf("outcome %v, %w", got.Outcome, got.Err)
		}
		if got.ReadBack.Value != v {
			return fmt.Errorf("read back %v, wrote %v", got.ReadBack.Value, v)
		}
		return nil
	}
	switch fc {
	case fcWriteCoil:
		return write(matrixCoil, tag.Bool(true))
	case fcWriteRegister:
		return write(matrixWord, tag.Uint(tag.TypeUint16, 4711))
	case fcWriteRegisters:
		return write(matrixFloat, tag.Float32(1.5))
	case fcMaskWrite:
		return write(matrixBit, tag.Bool(register(1, 52001)>>3&1 == 0))
	case fcWriteCoils, fcReadWrite:
		return r.single(fc, certain)
	}
	time.Sleep(2 * testPeriod) // polled anyhow
	return nil
}

// single uses the client face: it may fail, but must not return anything wrong.
func (r *rig) single(fc byte, certain bool) error {
	c, err := r.c.Client(r.t.Context(), "plc")
	if err != nil {
		return err
	}
	var got, want []byte
	if fc == fcWriteCoils {
		got, err = c.WriteMultipleCoils(61000, 10, []byte{0xA5, 1})
		want = []byte{0, 10}
	} else {
		got, err = c.ReadWriteMultipleRegisters(400, 3, 53000, 1, []byte{1, 2})
		for i := range 3 {
			want = append(want, byte(register(1, 400+i)>>8), byte(register(1, 400+i)))
		}
	}
	switch {
	case err == nil && !bytes.Equal(got, want):
		return fmt.Errorf("WRONG VALUE: % x, want % x", got, want)
	case certain && err != nil:
		return err
	}
	return nil
}

// TestMisbehaviour: every misbehaviour, once, as the answer to every function, at every window: no wrong value, the right
// counter, at most one further transaction lost, a write executed once and its outcome known.
func TestMisbehaviour(t *testing.T) {
	for _, m := range misbehaviours {
		for _, window := range []int{1, 4, 16} {
			for _, fc := range matrixFunctions {
				t.Run(fmt.Sprintf("%s/W%d/FC%d", m.name, window, fc), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { misbehaveOnce(t, window, fc, m) })
				})
			}
		}
	}
}

func misbehaveOnce(t *testing.T, window int, fc byte, m misbehaviour) {
	r := matrixRig(t, window)
	r.start()
	time.Sleep(250 * time.Millisecond)
	r.slave.mu.Lock()
	r.slave.bad[-1] = m.do
	r.slave.badReq = func(pdu []byte) bool { return pdu[0] == fc }
	r.slave.mu.Unlock()
	certain := m.in == nil && !m.drop || m.name == "duplicate answer" || m.name == "duplicate answer later" || m.name == "close after a good answer"
	if err := r.exchange(fc, certain); err != nil && !m.long {
		t.Errorf("function %d: %v", fc, err)
	}
	wait := 2 * time.Second // for what is late
	if m.long {
		wait = 6 * time.Second
	}
	time.Sleep(wait)
	for range 100 { // 10 s
		if r.polledWell() {
			break
		}
		time.Sleep(testPeriod)
	}
	if !r.polledWell() {
		t.Errorf("not all good after %v: %v", wait, r.sink.qualities())
	}
	r.slave.mu.Lock()
	if r.slave.badReq != nil {
		t.Error("the misbehaviour never happened")
	}
	r.slave.mu.Unlock()
	r.checkCounters(window, m)
	r.checkWrittenOnce(fc)
	r.stop()
}

// polledWell reports whether every polled tag is good and fresh.
func (r *rig) polledWell() bool {
	r.sink.mu.Lock()
	defer r.sink.mu.Unlock()
	for id, s := range r.sink.last {
		if id < matrixCoil && (!s.Quality.IsGood() || time.Now().UnixNano()-s.Time > int64(2*testPeriod+20*time.Millisecond)) {
			return false
		}
	}
	return len(r.sink.last) >= 60
}

func (r *rig) checkCounters(window int, m misbehaviour) {
	r.t.Helper()
	n := r.status(0).Counters
	lost := n.Requests - n.Answers
	allowed := uint64(2) // the one, and one more
	if m.drop {
		allowed += uint64(window) // what was in flight on the connection that was given up
	}
	if lost > allowed+uint64(window) && !m.long { // so many may be in flight at this instant
		r.t.Errorf("%d transactions lost, at most %d may be: %+v", lost, allowed, n)
	}
	if m.in != nil && m.in(n) == 0 {
		r.t.Errorf("it did not show: %+v", n)
	}
	if m.drop != (n.Reconnects > 0) && m.in != nil && !(m.in(n) > 0 && n.Reconnects <= 1) {
		r.t.Errorf("%d reconnections, dropping the connection is %v", n.Reconnects, m.drop)
	}
	if n.Reconnects > 3 || n.Demotions > 1 {
		r.t.Errorf("%d reconnections, %d demotions", n.Reconnects, n.Demotions)
	}
}

// checkWrittenOnce: what was to be written was executed exactly once.
func (r *rig) checkWrittenOnce(fc byte) {
	r.t.Helper()
	writes := r.writes()
	want := 0
	if !isRead(fc) || fc == goburrow.FuncCodeReadWriteMultipleRegisters {
		want = 1
	}
	if len(writes) != want || slices.ContainsFunc(writes, func(w string) bool { return w[:2] != fmt.Sprintf("%02x", fc) }) {
		r.t.Errorf("the device executed %q", writes)
	}
}
