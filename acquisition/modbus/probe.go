package modbus

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// probing is a probe on its way.
type probing struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// ErrBusy is the reason a probe is refused: the channel is running or another probe is on its way.
var ErrBusy = errors.New("the channel is in use")

// Probe implements [acquisition.Source].
func (c *Channel) Probe(ctx context.Context, name string) error {
	d := c.byName[name]
	if d == nil {
		return fmt.Errorf("no device %q on this channel", name)
	}
	if d.cfg.Probe == "" || d.cfg.Probe == "none" || c.endpoints[0].kind == kindRTU {
		return nil // a serial line has one master
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := &probing{cancel: cancel, done: make(chan struct{})}
	c.mu.Lock()
	if c.running || c.probe != nil {
		c.mu.Unlock()
		return ErrBusy
	}
	c.probe = p
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.probe = nil
		c.mu.Unlock()
		close(p.done)
	}()
	return c.look(ctx, d)
}

// look connects to a device and, if it may, reads the smallest block.
func (c *Channel) look(ctx context.Context, d *device) error {
	var conn stream
	var err error
	for _, ep := range c.endpoints {
		if conn, err = c.open(ctx, ep, d.timeout); err == nil {
			break
		}
	}
	if err != nil {
		return err
	}
	defer conn.Close()
	if d.cfg.Probe != "read" || len(d.points) == 0 {
		return nil
	}
	stop := context.AfterFunc(ctx, func() { conn.SetReadDeadline(past) })
	defer stop()
	if err := c.readOnce(ctx, conn, d); err != nil {
		return fmt.Errorf("probing %s: %w", d.cfg.Name, err)
	}
	return nil
}

func (c *Channel) readOnce(ctx context.Context, conn stream, d *device) error {
	pt := d.points[0]
	pdu := readRequest(pt.addr.Area, pt.addr.Number, pt.count)
	t := &tx{dev: d, pdu: pdu, adu: d.encode(pdu)}
	deadline := time.Now().Add(d.timeout)
	if err := errors.Join(conn.SetReadDeadline(deadline), conn.SetWriteDeadline(deadline), ctx.Err()); err != nil {
		return err
	}
	if _, err := conn.Write(t.adu); err != nil {
		return err
	}
	buf := make([]byte, 0, 2*maxADU)
	for len(buf) < cap(buf) {
		n, err := conn.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		adu, ferr := c.firstFrame(buf, t)
		if ferr != nil {
			return ferr
		}
		if adu != nil {
			_, err := decodeAnswer(t, adu)
			var exception *Exception
			if errors.As(err, &exception) && !noUnit(exception) {
				return nil // it answers
			}
			return err
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errNoAnswer, err)
		}
	}
	return fmt.Errorf("%w: %d bytes without a frame", ErrMalformed, len(buf))
}

func (c *Channel) firstFrame(b []byte, t *tx) ([]byte, error) {
	if c.endpoints[0].isRTU() {
		frame, _ := findRTU(b, t.dev.cfg.Unit, t.pdu.FunctionCode, answerSize(t.pdu.FunctionCode, t.pdu.Data))
		return frame, nil
	}
	n, err := splitTCP(b)
	if n == 0 {
		return nil, err
	}
	return b[:n], err
}
