package modbus

import (
	"encoding/binary"
	"errors"
	"fmt"

	goburrow "github.com/goburrow/modbus"

	"scada/acquisition/plan"
)

// The sizes of frames, in bytes.
const (
	mbapHeader   = 7   // transaction, protocol, length, unit
	mbapLowest   = 3   // smallest length field: unit, function, one byte
	mbapHighest  = 254 // largest: unit and a PDU of 253
	maxADU       = 260
	minRTU       = 5   // unit, function, exception, CRC
	maxRTU       = 256 // bytes
	exceptionBit = 0x80
)

// The functions we use.
const (
	fcReadCoils      = goburrow.FuncCodeReadCoils
	fcReadDiscrete   = goburrow.FuncCodeReadDiscreteInputs
	fcReadHolding    = goburrow.FuncCodeReadHoldingRegisters
	fcReadInput      = goburrow.FuncCodeReadInputRegisters
	fcWriteCoil      = goburrow.FuncCodeWriteSingleCoil
	fcWriteRegister  = goburrow.FuncCodeWriteSingleRegister
	fcWriteCoils     = goburrow.FuncCodeWriteMultipleCoils
	fcWriteRegisters = goburrow.FuncCodeWriteMultipleRegisters
	fcMaskWrite      = goburrow.FuncCodeMaskWriteRegister
	fcReadWrite      = goburrow.FuncCodeReadWriteMultipleRegisters
	fcReadFIFO       = goburrow.FuncCodeReadFIFOQueue
	fcEncapsulated   = 43 // with meiIdentity: who the device is
)

var areaFunction = [...]byte{plan.Coil: fcReadCoils, plan.Discrete: fcReadDiscrete, plan.Input: fcReadInput, plan.Holding: fcReadHolding}

// ErrMalformed is in the chain of errors about answers that do not fit their request.
var ErrMalformed = errors.New("malformed answer")

// errHeader means that the stream is out of step: the connection is of no more use.
var errHeader = fmt.Errorf("%w: header", ErrMalformed)

// Exception is an error answer of a device. Codes the specification does not know are carried through.
type Exception struct {
	Function byte // of the request
	Code     byte
}

// The exception codes that are treated in a way of their own.
const (
	exIllegalFunction = 1
	exIllegalAddress  = 2
	exIllegalValue    = 3
	exAcknowledge     = 5
	exBusy            = 6
	exGatewayPath     = 10
	exGatewayTarget   = 11
)

var exceptionNames = map[byte]string{
	1: "illegal function", 2: "illegal data address", 3: "illegal data value", 4: "device failure", 5: "acknowledge",
	6: "device busy", 7: "negative acknowledge", 8: "memory parity error", 10: "gateway path unavailable", 11: "gateway target did not respond",
}

// Error implements error.
func (e *Exception) Error() string {
	name := exceptionNames[e.Code]
	if name == "" {
		name = "unknown"
	}
	return fmt.Sprintf("exception %d (%s) to function %d", e.Code, name, e.Function)
}

// readRequest returns the PDU of a read.
func readRequest(area plan.Area, address, count uint16) goburrow.ProtocolDataUnit {
	return readPDU(areaFunction[area], address, count)
}

func readPDU(fc byte, address, count uint16) goburrow.ProtocolDataUnit {
	data := make([]byte, 4)
	binary.BigEndian.PutUint16(data, address)
	binary.BigEndian.PutUint16(data[2:], count)
	return goburrow.ProtocolDataUnit{FunctionCode: fc, Data: data}
}

// answerSize returns how many bytes of data after the function code a good answer to the request has, or -1 if the
// function says nothing about it.
func answerSize(fc byte, request []byte) int {
	switch fc {
	case fcReadCoils, fcReadDiscrete:
		if len(request) >= 4 {
			return 1 + (int(binary.BigEndian.Uint16(request[2:]))+7)/8
		}
	case fcReadHolding, fcReadInput, fcReadWrite:
		if len(request) >= 4 {
			return 1 + 2*int(binary.BigEndian.Uint16(request[2:]))
		}
	case fcWriteCoil, fcWriteRegister, fcWriteCoils, fcWriteRegisters:
		return 4
	case fcMaskWrite:
		return 6
	}
	return -1
}

// checkShape compares an answer with its request: goburrow accepts answers with fewer or more values than were asked
// for, and takes any other function for an exception.
func checkShape(fc byte, request []byte, answerFC byte, answer []byte) error {
	if answerFC == fc|exceptionBit {
		if len(answer) != 1 {
			return fmt.Errorf("%w: exception with %d bytes", ErrMalformed, len(answer))
		}
		return &Exception{Function: fc, Code: answer[0]}
	}
	if answerFC != fc {
		return fmt.Errorf("%w: function %d to a request of %d", ErrMalformed, answerFC, fc)
	}
	want := answerSize(fc, request)
	if want < 0 {
		return nil
	}
	if len(answer) != want {
		return fmt.Errorf("%w: %d bytes where %d fit the request", ErrMalformed, len(answer), want)
	}
	if want == 4 || want == 6 {
		switch fc {
		case fcWriteCoil, fcWriteRegister, fcWriteCoils, fcWriteRegisters, fcMaskWrite:
			if string(answer) != string(request[:want]) {
				return fmt.Errorf("%w: % x repeats the request % x wrongly", ErrMalformed, answer, request[:want])
			}
			return nil
		}
	}
	if int(answer[0]) != want-1 {
		return fmt.Errorf("%w: byte count %d of %d", ErrMalformed, answer[0], want-1)
	}
	return nil
}

// splitTCP returns the length of the Modbus TCP frame at the start of b, 0 if it is not complete yet. An error means
// that what follows cannot be found any more.
func splitTCP(b []byte) (int, error) {
	if len(b) >= 4 && binary.BigEndian.Uint16(b[2:]) != 0 {
		return 0, fmt.Errorf("%w: protocol %d", errHeader, binary.BigEndian.Uint16(b[2:]))
	}
	if len(b) < 6 {
		return 0, nil
	}
	length := int(binary.BigEndian.Uint16(b[4:]))
	if length < mbapLowest || length > mbapHighest {
		return 0, fmt.Errorf("%w: length %d", errHeader, length)
	}
	if len(b) < 6+length {
		return 0, nil
	}
	return 6 + length, nil
}

// findRTU looks for the answer to a request of unit and fc with size bytes of data (-1: take the byte count). It returns
// the frame; used says how much of b, noise included, is done with. Anything may precede the frame: noise, an echo of
// our own request, the late answer to another request.
func findRTU(b []byte, unit, fc byte, size int) (frame []byte, used int) {
	open := len(b) // everything before cannot become a frame any more
	for i := 0; i < len(b); i++ {
		n := rtuLength(b[i:], unit, fc, size)
		switch {
		case n == 0:
			continue
		case i+n > len(b):
			open = min(open, i)
		case crc(b[i:i+n-2]) == binary.LittleEndian.Uint16(b[i+n-2:]):
			return b[i : i+n], i + n
		}
	}
	return nil, open
}

// rtuLength returns how long the frame at the start of b is if it is the answer looked for, and 0 if it is not.
func rtuLength(b []byte, unit, fc byte, size int) int {
	if b[0] != unit {
		return 0
	}
	if len(b) < 2 {
		return minRTU
	}
	switch {
	case b[1] == fc|exceptionBit:
		return minRTU
	case b[1] != fc:
		return 0
	case size >= 0:
		if isRead(fc) && len(b) > 2 && int(b[2]) != size-1 {
			return 0
		}
		return 2 + size + 2
	case fc == fcReadFIFO:
		return fifoLength(b)
	case fc == fcEncapsulated:
		return identityLength(b)
	case len(b) < 3:
		return minRTU
	}
	return min(3+int(b[2])+2, maxRTU)
}

// isRead reports whether the answer to a function carries values behind a byte count.
func isRead(fc byte) bool { return fc <= fcReadInput || fc == fcReadWrite }

// isHarmless reports whether a function changes nothing in a device.
func isHarmless(fc byte) bool { return fc <= fcReadInput || fc == fcReadFIFO || fc == fcEncapsulated }

var crcTable = makeCRC()

func makeCRC() (table [256]uint16) {
	for i := range table {
		c := uint16(i)
		for range 8 {
			if c&1 == 1 {
				c = c>>1 ^ 0xA001
			} else {
				c >>= 1
			}
		}
		table[i] = c
	}
	return table
}

// crc is the checksum of RTU frames.
func crc(b []byte) uint16 {
	c := uint16(0xFFFF)
	for _, v := range b {
		c = c>>8 ^ crcTable[byte(c)^v]
	}
	return c
}
