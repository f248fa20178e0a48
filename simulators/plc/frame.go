package plc

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Framing is how a PDU travels on the stream.
type Framing uint8

// The framings.
const (
	TCP Framing = iota // MBAP header, the usual Modbus TCP
	RTU                // unit, PDU, CRC: what a transparent serial gateway speaks
)

// String returns the configuration name.
func (f Framing) String() string {
	if f == RTU {
		return "rtu"
	}
	return "tcp"
}

// maxPDU is the longest PDU the protocol has, in bytes.
const maxPDU = 253

var errFrame = errors.New("malformed frame")

// frame is one request or answer with its address.
type frame struct {
	tid      uint16
	protocol uint16
	unit     uint8
	pdu      []byte
}

// readFrame reads the next request.
func readFrame(r *bufio.Reader, framing Framing) (frame, error) {
	if framing == RTU {
		return readRTU(r)
	}
	var head [7]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return frame{}, err
	}
	f := frame{tid: binary.BigEndian.Uint16(head[:]), protocol: binary.BigEndian.Uint16(head[2:]), unit: head[6]}
	size := int(binary.BigEndian.Uint16(head[4:])) - 1
	if f.protocol != 0 || size < 1 || size > maxPDU {
		return frame{}, fmt.Errorf("%w: protocol %d, length %d", errFrame, f.protocol, size+1)
	}
	f.pdu = make([]byte, size)
	_, err := io.ReadFull(r, f.pdu)
	return f, err
}

// readRTU reads a request whose length follows from its function, as a controller must that cannot see silence.
func readRTU(r *bufio.Reader) (frame, error) {
	var head [7]byte
	if _, err := io.ReadFull(r, head[:2]); err != nil {
		return frame{}, err
	}
	size, err := rtuRequestSize(r, head[1])
	if err != nil {
		return frame{}, err
	}
	body := make([]byte, 2+size+2) // unit, function, the rest of the PDU, CRC
	copy(body, head[:2])
	if _, err := io.ReadFull(r, body[2:]); err != nil {
		return frame{}, err
	}
	if binary.LittleEndian.Uint16(body[len(body)-2:]) != crc(body[:len(body)-2]) {
		return frame{}, fmt.Errorf("%w: CRC", errFrame)
	}
	return frame{unit: body[0], pdu: body[1 : len(body)-2]}, nil
}

// rtuRequestSize returns how many bytes of the PDU follow the function code.
func rtuRequestSize(r *bufio.Reader, function byte) (int, error) {
	count := func(at int) (int, error) {
		b, err := r.Peek(at + 1)
		if err != nil {
			return 0, err
		}
		return at + 1 + int(b[at]), nil
	}
	switch function {
	case fcReadCoils, fcReadDiscreteInputs, fcReadHolding, fcReadInput, fcWriteCoil, fcWriteRegister:
		return 4, nil
	case fcWriteCoils, fcWriteRegisters:
		return count(4)
	case fcMaskWrite:
		return 6, nil
	case fcReadWrite:
		return count(8)
	case fcReadFIFO:
		return 2, nil
	case fcEncapsulated:
		return 3, nil
	}
	return 0, fmt.Errorf("%w: function %d has no known length", errFrame, function)
}

// bytes returns the frame as it goes on the wire.
func (f frame) bytes(framing Framing) []byte {
	if framing == RTU {
		out := append([]byte{f.unit}, f.pdu...)
		return binary.LittleEndian.AppendUint16(out, crc(out))
	}
	out := binary.BigEndian.AppendUint16(make([]byte, 0, 7+len(f.pdu)), f.tid)
	out = binary.BigEndian.AppendUint16(out, f.protocol)
	out = binary.BigEndian.AppendUint16(out, uint16(len(f.pdu)+1))
	return append(append(out, f.unit), f.pdu...)
}

// crc is the CRC-16 of Modbus: polynomial 0xA001, start 0xFFFF.
func crc(b []byte) uint16 {
	sum := uint16(0xFFFF)
	for _, x := range b {
		sum ^= uint16(x)
		for range 8 {
			if sum&1 != 0 {
				sum = sum>>1 ^ 0xA001
			} else {
				sum >>= 1
			}
		}
	}
	return sum
}
