package modbus

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	goburrow "github.com/goburrow/modbus"

	"scada/acquisition"
	"scada/acquisition/plan"
	"scada/acquisition/tag"
)

// maxWaitingWrites bounds the operator writes waiting on one channel.
const maxWaitingWrites = 64

var (
	errQueue = errors.New("too many writes are waiting on this channel")
	errNoTag = errors.New("no such tag on this channel")
	errWrong = errors.New("the device holds another value")
)

// step is where an operator write is.
type step uint8

const (
	stepMask   step = iota // change one bit of a register with function 22
	stepFetch              // or read the register,
	stepWrite              // and write it with the bit changed; any other write begins here
	stepVerify             // read back
	stepRaw                // a single request of the client face
)

// op is an operator write, or a single request, on its way through the channel. One is executed at a time, so reading a
// register, changing a bit and writing it back is not interleaved with another write of ours.
type op struct {
	ctx    context.Context
	dev    *device
	point  *point
	index  int
	fence  func() error
	wanted []byte // registers, or one byte for a bit
	raw    goburrow.ProtocolDataUnit

	step    step
	word    uint16 // the register as fetched, when one bit is to change
	flying  bool
	sent    bool  // a frame that may have changed the device is out
	doubt   error // why it is unknown whether it was executed
	repeats int   // of the read back

	result chan acquisition.WriteResult // holds one
	answer chan rawAnswer               // holds one; for stepRaw
}

type rawAnswer struct {
	pdu goburrow.ProtocolDataUnit
	err error
}

// Write implements [acquisition.Source].
func (c *Channel) Write(ctx context.Context, w acquisition.Write) acquisition.WriteResult {
	refuse := func(err error) acquisition.WriteResult {
		return acquisition.WriteResult{Outcome: acquisition.Refused, Err: err}
	}
	at, ok := c.byTag[w.Tag]
	if !ok {
		return refuse(fmt.Errorf("tag %d: %w", w.Tag, errNoTag))
	}
	p := &at.dev.points[at.point]
	wanted, err := p.encode(w.Value)
	if err != nil {
		return refuse(err)
	}
	o := &op{ctx: ctx, dev: at.dev, point: p, index: at.point, fence: w.Fence, wanted: wanted, step: stepWrite, result: make(chan acquisition.WriteResult, 1)}
	if p.addr.Bit >= 0 {
		o.step = stepMask
	}
	if err := c.enqueue(o); err != nil {
		return refuse(err)
	}
	select {
	case r := <-o.result:
		return r
	case <-ctx.Done():
	}
	if c.withdraw(o) {
		return refuse(ctx.Err())
	}
	return acquisition.WriteResult{Outcome: acquisition.Unknown, Err: ctx.Err()}
}

// enqueue hands an op to the goroutine of Run.
func (c *Channel) enqueue(o *op) error {
	c.mu.Lock()
	switch {
	case !c.running:
		c.mu.Unlock()
		return errStopped
	case len(c.ops) >= maxWaitingWrites:
		c.mu.Unlock()
		return errQueue
	}
	c.ops = append(c.ops, o)
	c.mu.Unlock()
	c.kick()
	return nil
}

// withdraw takes an op out of the queue; false means that it has begun.
func (c *Channel) withdraw(o *op) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, other := range c.ops {
		if other == o {
			c.ops = append(c.ops[:i], c.ops[i+1:]...)
			return true
		}
	}
	return false
}

// takeOp begins the next op if none is being executed.
func (s *session) takeOp() {
	if s.op != nil {
		return
	}
	s.c.mu.Lock()
	if len(s.c.ops) > 0 {
		s.op = s.c.ops[0]
		s.c.ops = s.c.ops[1:]
	}
	s.c.mu.Unlock()
}

// refuseOps refuses everything that waits.
func (s *session) refuseOps(err error) {
	s.c.refuseTrial(err)
	for s.takeOp(); s.op != nil; s.takeOp() {
		s.op.interrupted(err)
		s.op = nil
	}
}

// interrupted ends an op from outside: refused if nothing was sent, else unknown.
func (o *op) interrupted(err error) {
	outcome := acquisition.Refused
	if o.sent {
		outcome = acquisition.Unknown
	}
	o.finish(acquisition.WriteResult{Outcome: outcome, Err: err})
}

func (o *op) finish(r acquisition.WriteResult) {
	if o.answer != nil {
		o.answer <- rawAnswer{err: r.Err}
		return
	}
	o.result <- r
}

// sendOp sends the frame of the present step. Polls that are queued go out first, so that the fence is the last thing
// before the write.
func (s *session) sendOp() error {
	o := s.op
	if o.step == stepMask && o.dev.noMask {
		o.step = stepFetch
	}
	if o.changes() {
		if err := s.flush(); err != nil {
			return err
		}
		if err := o.permitted(); err != nil {
			s.endOp(acquisition.Refused, tag.Sample{}, err)
			return nil
		}
		o.sent = true
		s.c.count(o.dev, func(n *acquisition.Counters) { n.Writes++ })
	}
	o.flying = true
	s.transmit(o.dev, nil, o, o.request(), nil)
	return s.flush()
}

// changes reports whether the frame of the present step could change the device.
func (o *op) changes() bool {
	return o.step == stepMask || o.step == stepWrite || o.step == stepRaw && !isHarmless(o.raw.FunctionCode)
}

func (o *op) permitted() error {
	if err := o.ctx.Err(); err != nil {
		return err
	}
	if o.fence != nil {
		return o.fence()
	}
	return nil
}

// request returns the PDU of the present step.
func (o *op) request() goburrow.ProtocolDataUnit {
	switch o.step {
	case stepRaw:
		return o.raw
	case stepFetch:
		return readRequest(plan.Holding, o.point.addr.Number, 1)
	case stepVerify:
		return readRequest(o.point.addr.Area, o.point.addr.Number, o.point.count)
	case stepMask:
		mask, set := o.bit()
		return request(fcMaskWrite, o.point.addr.Number, ^mask, set)
	}
	return o.writeRequest()
}

func (o *op) writeRequest() goburrow.ProtocolDataUnit {
	p := o.point
	switch {
	case p.addr.Area == plan.Coil:
		return request(fcWriteCoil, p.addr.Number, uint16(o.wanted[0])*0xFF00)
	case p.addr.Bit >= 0:
		mask, set := o.bit()
		return request(fcWriteRegister, p.addr.Number, o.word&^mask|set)
	case p.count == 1 && !o.dev.cfg.WriteMultiple:
		return request(fcWriteRegister, p.addr.Number, binary.BigEndian.Uint16(o.wanted))
	}
	pdu := request(fcWriteRegisters, p.addr.Number, p.count)
	pdu.Data = append(append(pdu.Data, byte(len(o.wanted))), o.wanted...)
	return pdu
}

// bit returns the mask of the bit to change and its new value, as on the wire.
func (o *op) bit() (mask, set uint16) {
	at := uint(o.point.addr.Bit)
	if o.point.order.swapBytes() {
		at ^= 8
	}
	return 1 << at, uint16(o.wanted[0]) << at
}

func request(fc byte, words ...uint16) goburrow.ProtocolDataUnit {
	data := make([]byte, 0, 2*len(words))
	for _, w := range words {
		data = binary.BigEndian.AppendUint16(data, w)
	}
	return goburrow.ProtocolDataUnit{FunctionCode: fc, Data: data}
}

// opAnswered takes the next step.
func (s *session) opAnswered(o *op, pdu *goburrow.ProtocolDataUnit, err error) {
	var exception *Exception
	isException := errors.As(err, &exception)
	switch {
	case o.step == stepRaw:
		s.rawAnswered(o, pdu, err, isException)
	case isException && o.step == stepMask && exception.Code == exIllegalFunction:
		o.dev.noMask, o.sent, o.step = true, false, stepFetch
	case isException && o.step == stepVerify:
		s.endOp(acquisition.Unknown, tag.Sample{}, fmt.Errorf("written, but reading back: %w", err))
	case isException && (noUnit(exception) || exception.Code == exAcknowledge): // it may be executed, or come to be
		s.opLost(o, err)
	case isException:
		s.endOp(acquisition.Rejected, tag.Sample{}, err)
	case err != nil:
		s.opLost(o, err)
	case o.step == stepFetch:
		o.word, o.step = binary.BigEndian.Uint16(pdu.Data[1:]), stepWrite
	case o.step == stepVerify:
		s.verified(o, pdu.Data[1:])
	default:
		o.step = stepVerify
	}
}

func (s *session) rawAnswered(o *op, pdu *goburrow.ProtocolDataUnit, err error, isException bool) {
	a := rawAnswer{err: err}
	if pdu != nil && (err == nil || isException) {
		a.err = nil
		a.pdu = goburrow.ProtocolDataUnit{FunctionCode: pdu.FunctionCode, Data: append([]byte(nil), pdu.Data...)}
	}
	o.answer <- a
	s.op = nil
}

// verified compares what was read back and publishes it.
func (s *session) verified(o *op, data []byte) {
	s.publishHeld()
	v, q := o.point.decode(data, 0, o.dev.last.text(o.index))
	read := tag.Sample{Time: s.wall, Value: o.dev.last.learn(o.index, v, q), Quality: q}
	s.batch = append(s.batch[:0], tag.Update{Tag: o.point.id, Sample: read})
	s.sink.Publish(s.batch)
	switch {
	case o.point.holds(data, o.wanted):
		s.endOp(acquisition.Confirmed, read, nil)
	case o.doubt != nil: // it may still be executed
		s.endOp(acquisition.Unknown, read, o.doubt)
	default:
		s.endOp(acquisition.Mismatch, read, errWrong)
	}
}

// opLost handles a step that brought no usable answer. A write is never sent again: what became of it is found out by
// reading. Only reads are repeated.
func (s *session) opLost(o *op, err error) {
	switch {
	case o.step == stepRaw:
		o.answer <- rawAnswer{err: err}
		s.op = nil
	case o.step == stepVerify && o.repeats >= o.dev.cfg.Retries:
		if o.doubt != nil {
			err = o.doubt
		}
		s.endOp(acquisition.Unknown, tag.Sample{}, err)
	case o.step == stepVerify:
		o.repeats++
	case o.step == stepFetch:
		s.endOp(acquisition.Refused, tag.Sample{}, fmt.Errorf("reading the register first: %w", err))
	default:
		o.doubt, o.step = err, stepVerify
	}
}

func (s *session) endOp(outcome acquisition.Outcome, back tag.Sample, err error) {
	o := s.op
	s.op = nil
	if outcome == acquisition.Refused && o.sent {
		outcome = acquisition.Unknown
	}
	o.finish(acquisition.WriteResult{Outcome: outcome, ReadBack: back, Err: err})
}
