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
	o := &op{ctx: t.ctx, dev: t.dev, step: stepRaw, answer: make(chan rawAnswer, 1)}
	o.raw = goburrow.ProtocolDataUnit{FunctionCode: body[0], Data: append([]byte(nil), body[1:]...)}
	if rtu && answerSize(o.raw.FunctionCode, o.raw.Data) < 0 {
		return nil, fmt.Errorf("function %d: the length of its answer on a serial line is not known", o.raw.FunctionCode)
	}
	if err := t.c.enqueue(o); err != nil {
		return nil, err
	}
	select {
	case a := <-o.answer:
		if a.err != nil {
			return nil, a.err
		}
		answer, err := t.dev.pack.Encode(&a.pdu)
		if err == nil && !rtu { // the channel numbers its requests itself
			binary.BigEndian.PutUint16(answer, binary.BigEndian.Uint16(adu))
		}
		return answer, err
	case <-t.ctx.Done():
		t.c.withdraw(o)
		return nil, t.ctx.Err()
	}
}
