package modbus

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	goburrow "github.com/goburrow/modbus"

	"scada/acquisition"
	"scada/acquisition/schedule"
)

// fill puts requests in flight until the window is full: operator writes first, then what is due.
func (s *session) fill() error {
	if s.now < s.notBefore {
		return nil
	}
	for s.flying < s.window() {
		if s.op != nil && !s.op.flying {
			if err := s.sendOp(); err != nil {
				return err
			}
			s.takeOp()
			continue
		}
		if s.leaving {
			break
		}
		j := s.sched.Next(s.now)
		if j == nil && s.sendTrial() {
			continue
		}
		if j == nil {
			break
		}
		p := j.Data
		s.countPoll(p, j)
		s.transmit(p.dev, p, nil, p.pdu, p.adu)
	}
	s.backlog = s.c.auto.on && s.trial == nil && s.flying >= s.window() && s.sched.Deadline() <= s.now
	return s.flush()
}

// countPoll counts the slots that were missed and how late this one is.
func (s *session) countPoll(p *poll, j *schedule.Job[*poll]) {
	missed := j.TakeMissed()
	s.c.mu.Lock()
	p.dev.status.Counters.Overruns += missed
	p.dev.status.Lateness = time.Duration(s.now - j.Due())
	s.c.mu.Unlock()
}

// shape is what the answer to a read looks like on a line where answers carry no number.
type shape struct {
	fc    byte
	count uint16
}

func shapeOf(pdu goburrow.ProtocolDataUnit) shape {
	return shape{pdu.FunctionCode, binary.BigEndian.Uint16(pdu.Data[2:])}
}

// maxShapes bounds what is remembered about answers that never came.
const maxShapes = 16

// transmit queues a request. adu is its frame, or nil to have it made.
//
// On a serial line an answer does not say which request it belongs to: the late answer to a read of register 20 would
// pass for the answer to a read of register 30. After a time-out, a read that looks like the one that was not answered
// is therefore preceded by one of another length. A unit answers in order: once that is answered, nothing of the past
// can come any more.
func (s *session) transmit(d *device, p *poll, o *op, pdu goburrow.ProtocolDataUnit, adu []byte) {
	t := s.slot()
	*t = tx{busy: true, dev: d, poll: p, op: o, pdu: pdu, adu: adu, sent: s.now}
	if s.ep.isRTU() && isRead(pdu.FunctionCode) && d.owes(shapeOf(pdu)) {
		t.sync, t.pdu = true, d.syncRequest(pdu)
		t.adu = nil
	}
	if t.adu == nil {
		t.adu = d.encode(t.pdu)
	}
	if !s.ep.isRTU() {
		t.id = s.freshID()
		binary.BigEndian.PutUint16(t.adu, t.id)
	}
	t.deadline = s.now + int64(d.timeout) + s.ep.lineTime(len(t.adu)+max(0, answerSize(t.pdu.FunctionCode, t.pdu.Data))+4)
	s.out = append(s.out, t.adu...)
	s.flying++
	s.c.mu.Lock()
	d.status.Counters.Requests++
	s.c.mu.Unlock()
}

func (d *device) owes(sh shape) bool {
	for _, o := range d.shapes {
		if o == sh {
			return true
		}
	}
	return false
}

// syncRequest returns a read at the same place whose answer cannot be mistaken for one that is owed.
func (d *device) syncRequest(pdu goburrow.ProtocolDataUnit) goburrow.ProtocolDataUnit {
	want := shapeOf(pdu)
	if want.fc == fcReadWrite { // what only clears the way must not write
		want.fc = fcReadHolding
	}
	address := binary.BigEndian.Uint16(pdu.Data)
	step := uint16(1)
	if pdu.FunctionCode <= fcReadDiscrete {
		step = 8 // lengths in bytes must differ
	}
	count := want.count
	if !d.owes(want) { // it was function 23 that is owed
		return readPDU(want.fc, address, count)
	}
	for n := want.count; n > step; n -= step {
		if sh := (shape{want.fc, n - step}); !d.owes(sh) {
			count = n - step
			break
		}
	}
	for n := want.count + step; count == want.count && n < 100*step && int(address)+int(n) <= addressSpace; n += step {
		if !d.owes(shape{want.fc, n}) {
			count = n
		}
	}
	return readPDU(want.fc, address, count)
}

// slot returns a free place in flight; fill has made sure that there is one.
func (s *session) slot() *tx {
	for i := range s.txs {
		if !s.txs[i].busy {
			return &s.txs[i]
		}
	}
	return &s.txs[0]
}

func (s *session) free(t *tx) {
	t.busy = false
	s.flying--
	if t.op != nil {
		t.op.flying = false
	}
}

// freshID returns a transaction id that is not in flight.
func (s *session) freshID() uint16 {
	for {
		s.nextID++
		taken := false
		for i := range s.txs {
			taken = taken || s.txs[i].busy && s.txs[i].id == s.nextID
		}
		if !taken {
			return s.nextID
		}
	}
}

// writeTimeout is how long a peer may leave our requests unread.
const writeTimeout = 2 * time.Second

// flush writes what transmit has queued.
func (s *session) flush() error {
	if len(s.out) == 0 {
		return nil
	}
	if s.writeBy < s.now+int64(writeTimeout)/2 {
		s.writeBy = s.now + int64(writeTimeout)
		if err := s.conn.SetWriteDeadline(s.at(s.writeBy)); err != nil {
			return err
		}
		if err := s.ctx.Err(); err != nil { // the deadline may just have overwritten the interrupt
			return err
		}
	}
	_, err := s.conn.Write(s.out)
	s.out = s.out[:0]
	if err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	return nil
}

// errNoAnswer is why a device is not reached.
var errNoAnswer = errors.New("no answer")

// expire ends the requests whose time is up. The connection is given up if the stream stopped inside a frame, or if
// nothing at all has come for as long as it takes to demote the unit.
func (s *session) expire() error {
	silent := false
	for i := range s.txs {
		t := &s.txs[i]
		if !t.busy || t.deadline > s.now {
			continue
		}
		s.free(t)
		silent = s.timedOut(t) || silent
	}
	switch {
	case silent && !s.ep.isRTU() && s.to > s.from:
		return fmt.Errorf("%w: stopped inside a frame", ErrMalformed)
	case silent && s.ep.kind != kindRTU && s.forsaken():
		return fmt.Errorf("%w on this connection", errNoAnswer)
	}
	return nil
}

// forsaken reports whether no unit of the channel answers any more.
func (s *session) forsaken() bool {
	longest := time.Duration(0)
	for _, d := range s.c.devices {
		longest = max(longest, d.timeout*time.Duration(d.cfg.Retries+1))
	}
	return s.now-s.lastRx >= int64(longest)
}

// timedOut books a request that was not answered in time.
func (s *session) timedOut(t *tx) bool {
	s.expired[s.nExpired%len(s.expired)] = t.id
	s.nExpired++
	if s.ep.isRTU() && isRead(t.pdu.FunctionCode) && len(t.dev.shapes) < maxShapes {
		t.dev.shapes = append(t.dev.shapes, shapeOf(t.pdu))
	}
	s.c.count(t.dev, func(n *acquisition.Counters) { n.Timeouts++ })
	s.trouble()
	err := fmt.Errorf("%w within %v", errNoAnswer, t.dev.timeout)
	s.note(t.dev, err)
	switch {
	case t.op != nil:
		s.opLost(t.op, err)
	case t.poll != nil:
		s.silent(t, err)
	}
	return true
}

// silent books a poll that brought no usable answer. If the unit has been heard since, only this block is affected.
func (s *session) silent(t *tx, err error) {
	if t.dev.lastGood > t.sent {
		s.blockLost(t.poll)
	} else {
		s.deviceLost(t.dev, err)
	}
	s.pollDone(t.poll, schedule.Silent)
}

// pollDone hands a poll back to the schedule and shows what that does to the unit.
func (s *session) pollDone(p *poll, result schedule.Result) {
	before, after := s.sched.Done(p.job, s.now, result)
	if before == after {
		return
	}
	d := p.dev
	switch after {
	case schedule.Suspect:
		s.setState(d, acquisition.Suspect)
	case schedule.Demoted:
		s.setState(d, acquisition.Demoted)
		s.c.count(d, func(n *acquisition.Counters) { n.Demotions++ })
		s.c.log.Warn("device demoted", "device", d.cfg.Name, "endpoint", s.ep.address)
	case schedule.Healthy:
		if before == schedule.Demoted {
			s.c.log.Info("device restored", "device", d.cfg.Name, "endpoint", s.ep.address)
		}
	}
}
