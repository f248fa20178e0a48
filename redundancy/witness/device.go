package witness

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/goburrow/modbus"

	"scada/redundancy/witness/lease"
)

// The frame of Modbus TCP, in bytes.
const (
	frameHeader = 7   // transaction, protocol, length, unit
	lowLength   = 3   // of the length field: unit, function, one byte
	highLength  = 254 // unit and a PDU of 253
)

const (
	cellRegisters  = lease.CellSize / 2
	nonceRegisters = lease.NonceSize / 2
	blockRegisters = lease.BlockSize / 2
)

// registers writes holding registers and then reads others, or only reads when there is nothing to write.
type registers interface {
	readWrite(ctx context.Context, readAt, readCount, writeAt uint16, write []byte) ([]byte, error)
	close()
}

// device is a lease in the holding registers of a field device: nine of the first node, nine of the second. A node writes
// only its own.
type device struct {
	registers
	index int
	base  uint16
}

func newDevice(m Modbus, index int, dial func(ctx context.Context, network, address string) (net.Conn, error)) *device {
	handler := modbus.NewTCPClientHandler("")
	handler.SlaveId = byte(m.Unit)
	return &device{index: index, base: uint16(m.Register), registers: &line{
		address: strings.TrimPrefix(m.Endpoint, "tcp://"), dial: dial, packager: handler, separate: m.Separate,
	}}
}

func (d *device) exchange(ctx context.Context, r lease.Request) (lease.Picture, error) {
	own := d.base + uint16(d.index)*cellRegisters
	var at uint16
	var write []byte
	switch r.Do {
	case lease.Mark:
		at, write = own+blockRegisters, lease.AppendNonce(nil, r.Nonce)
	case lease.Put:
		at, write = own, r.Block.Append(nil)
	case lease.Read:
	}
	b, err := d.readWrite(ctx, d.base, Registers, at, write)
	if err != nil {
		return lease.Picture{}, err
	}
	return lease.ParseCells(d.index, b)
}

// line is one connection to a device, made anew after every error: an answer that comes late must not be taken for the
// next one. goburrow's client and packager speak the protocol; the connection is ours, because the library's own keeps a
// broken one for ever.
type line struct {
	address  string
	dial     func(ctx context.Context, network, address string) (net.Conn, error)
	packager modbus.Packager
	separate bool
	conn     net.Conn
}

var _ modbus.Transporter = bound{}

// bound is the line for the time of one context.
type bound struct {
	*line
	ctx context.Context //nolint:containedctx // the library's interface has no room for it
}

func (l *line) readWrite(ctx context.Context, readAt, readCount, writeAt uint16, write []byte) ([]byte, error) {
	client := modbus.NewClient2(l.packager, bound{l, ctx})
	b, err := l.ask(client, readAt, readCount, writeAt, write)
	var refusal *modbus.ModbusError
	if err != nil && !errors.As(err, &refusal) {
		l.close()
	}
	if err != nil {
		return nil, fmt.Errorf("registers %d to %d: %w", readAt, readAt+readCount-1, err)
	}
	return b, nil
}

func (l *line) ask(client modbus.Client, readAt, readCount, writeAt uint16, write []byte) (b []byte, err error) {
	switch {
	case len(write) == 0:
		b, err = client.ReadHoldingRegisters(readAt, readCount)
	case l.separate:
		if _, err = client.WriteMultipleRegisters(writeAt, uint16(len(write)/2), write); err == nil {
			b, err = client.ReadHoldingRegisters(readAt, readCount)
		}
	default:
		b, err = client.ReadWriteMultipleRegisters(readAt, readCount, writeAt, uint16(len(write)/2), write)
	}
	if err == nil && len(b) != 2*int(readCount) {
		err = fmt.Errorf("%d bytes for %d registers", len(b), readCount)
	}
	return b, err
}

// Send implements [modbus.Transporter].
func (b bound) Send(request []byte) ([]byte, error) {
	if b.conn == nil {
		conn, err := b.dial(b.ctx, "tcp", b.address)
		if err != nil {
			return nil, fmt.Errorf("connecting to %s: %w", b.address, err)
		}
		b.conn = conn
	}
	conn := b.conn
	conn.SetDeadline(time.Time{})
	stop := context.AfterFunc(b.ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	frame, err := converse(conn, request)
	if !stop() && err == nil {
		err = b.ctx.Err() // the deadline may be set a moment later, and would hit the next request
	}
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", b.address, err)
	}
	return frame, nil
}

func converse(conn net.Conn, request []byte) ([]byte, error) {
	if _, err := conn.Write(request); err != nil {
		return nil, err
	}
	return readFrame(conn)
}

// readFrame reads one answer.
func readFrame(r io.Reader) ([]byte, error) {
	frame := make([]byte, frameHeader, frameHeader+highLength)
	if _, err := io.ReadFull(r, frame); err != nil {
		return nil, fmt.Errorf("waiting for the answer: %w", err)
	}
	length := int(binary.BigEndian.Uint16(frame[4:]))
	if length < lowLength || length > highLength {
		return nil, fmt.Errorf("an answer with length %d, outside %d to %d", length, lowLength, highLength)
	}
	frame = frame[:frameHeader+length-1]
	if _, err := io.ReadFull(r, frame[frameHeader:]); err != nil {
		return nil, fmt.Errorf("waiting for the rest of the answer: %w", err)
	}
	return frame, nil
}

func (l *line) close() {
	if l.conn != nil {
		l.conn.Close()
		l.conn = nil
	}
}
