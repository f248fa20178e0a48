package modbus

import (
	"context"
	"encoding/binary"
	"fmt"

	goburrow "github.com/goburrow/modbus"
)

// Client returns goburrow's client for one device, whose requests travel on this channel between the polls. It is for
// testing a device and for functions the polling does not use; it works while Run runs. Its writes are not fenced, not
// read back and not repeated.
func (c *Channel) Client(ctx context.Context, device string) (goburrow.Client, error) {
	d := c.byName[device]
	if d == nil {
		return nil, fmt.Errorf("no device %q on this channel", device)
	}
	return goburrow.NewClient2(d.pack, &single{c: c, ctx: ctx, dev: d}), nil
}

// single is the transporter of a Client.
type single struct {
	c   *Channel
	ctx context.Context
	dev *device
}

// Send implements goburrow's Transporter.
func (t *single) Send(adu []byte) ([]byte, error) {
	rtu := t.c.endpoints[0].isRTU()
	body := adu[mbapHeader:]
	if rtu {
		body = adu[1 : len(adu)-2]
	}
	pdu := goburrow.ProtocolDataUnit{FunctionCode: body[0], Data: append([]byte(nil), body[1:]...)}
	if rtu && answerSize(pdu.FunctionCode, pdu.Data) < 0 && !isHarmless(pdu.FunctionCode) {
		return nil, fmt.Errorf("function %d: the length of its answer on a serial line is not known", pdu.FunctionCode)
	}
	got, err := t.c.ask(t.ctx, t.dev, pdu)
	if err != nil {
		return nil, err
	}
	answer, err := t.dev.pack.Encode(&got)
	if err == nil && !rtu { // the channel numbers its requests itself
		binary.BigEndian.PutUint16(answer, binary.BigEndian.Uint16(adu))
	}
	return answer, err
}

// ask has one request travel between the polls and returns its answer, which may be an exception.
func (c *Channel) ask(ctx context.Context, d *device, pdu goburrow.ProtocolDataUnit) (goburrow.ProtocolDataUnit, error) {
	o := &op{ctx: ctx, dev: d, step: stepRaw, raw: pdu, answer: make(chan rawAnswer, 1)}
	if err := c.enqueue(o); err != nil {
		return goburrow.ProtocolDataUnit{}, err
	}
	select {
	case a := <-o.answer:
		return a.pdu, a.err
	case <-ctx.Done():
		c.withdraw(o)
		return goburrow.ProtocolDataUnit{}, ctx.Err()
	}
}
