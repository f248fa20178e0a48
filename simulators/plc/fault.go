package plc

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"
)

// Kind names a misbehaviour.
type Kind string

// The misbehaviours. Those of the answer's bytes work on Modbus TCP framing unless they say otherwise.
const (
	Silent          Kind = "silent"            // no answer
	Reset           Kind = "reset"             // TCP reset in place of an answer
	Close           Kind = "close"             // the connection is closed in place of an answer
	CloseAfter      Kind = "close-after"       // a good answer, then close
	Refuse          Kind = "refuse"            // no listener, existing connections reset
	Freeze          Kind = "freeze"            // values stand still, answers go on
	Slow            Kind = "slow"              // each answer takes Delay longer, the next request waits
	Late            Kind = "late"              // each answer comes after Delay, the next request does not wait
	Drip            Kind = "drip"              // one byte each Delay
	Stall           Kind = "stall"             // half a frame, then nothing
	CutHeader       Kind = "cut-header"        // half a header, then close
	CutFrame        Kind = "cut-frame"         // half a frame, then reset
	Garbage         Kind = "garbage"           // other bytes in place of the answer
	GarbageFirst    Kind = "garbage-first"     // five other bytes, then the answer
	Duplicate       Kind = "duplicate"         // the answer twice
	WrongTID        Kind = "wrong-tid"         // another transaction id
	WrongProtocol   Kind = "wrong-protocol"    // protocol id 1
	WrongUnit       Kind = "wrong-unit"        // the next unit id (either framing)
	WrongFunction   Kind = "wrong-function"    // another function code
	LengthZero      Kind = "length-zero"       // header length 0
	LengthHuge      Kind = "length-huge"       // header length 65535
	LengthPlus      Kind = "length-plus"       // header length 2 too many
	LengthMinus     Kind = "length-minus"      // header length 2 too few
	ByteCount       Kind = "byte-count"        // byte count 250
	ShortAnswer     Kind = "short"             // one register fewer, consistent with itself (either framing)
	LongAnswer      Kind = "long"              // one register more, consistent with itself (either framing)
	ExceptionAnswer Kind = "exception"         // exception Code
	ExceptionEmpty  Kind = "exception-no-code" // exception without its code
	SplitException  Kind = "split-exception"   // exception Code, its second half after Delay (either framing)
	Echo            Kind = "echo"              // the request comes back before the answer, as on a line with local echo (either framing)
	BadCRC          Kind = "bad-crc"           // RTU framing: checksum off by one
)

// Kinds returns every kind, in alphabetical order.
func Kinds() []Kind {
	all := []Kind{
		Silent, Reset, Close, CloseAfter, Refuse, Freeze, Slow, Late, Drip, Stall, CutHeader, CutFrame, Garbage, GarbageFirst,
		Duplicate, WrongTID, WrongProtocol, WrongUnit, WrongFunction, LengthZero, LengthHuge, LengthPlus, LengthMinus,
		ByteCount, ShortAnswer, LongAnswer, ExceptionAnswer, ExceptionEmpty, SplitException, Echo, BadCRC,
	}
	slices.Sort(all)
	return all
}

// maxFaultDelay is the longest delay a fault may ask for.
const maxFaultDelay = 10 * time.Minute

// Fault is one misbehaviour and when it happens.
type Fault struct {
	Kind     Kind
	Unit     uint8         // only this unit; 0 means every unit. Refuse concerns them all.
	Function uint8         // only this function; 0 means every function
	Delay    time.Duration // of Slow, Late, Drip and SplitException
	Code     Exception     // of ExceptionAnswer and SplitException; 0 means [DeviceFailure]
	After    int           // this many matching requests are still answered well
	Count    int           // it happens this many times, then it is over; 0 means until cleared
}

// Check says what is wrong with the fault.
func (f Fault) Check() error {
	if !slices.Contains(Kinds(), f.Kind) {
		return fmt.Errorf("unknown kind %q (one of %v)", f.Kind, Kinds())
	}
	if f.Delay < 0 || f.Delay > maxFaultDelay {
		return fmt.Errorf("delay %v is outside 0..%v", f.Delay, maxFaultDelay)
	}
	if f.After < 0 || f.Count < 0 {
		return fmt.Errorf("after %d and count %d must not be negative", f.After, f.Count)
	}
	return nil
}

func (f Fault) matches(unit, function uint8) bool {
	return (f.Unit == 0 || f.Unit == unit) && (f.Function == 0 || f.Function == function)
}

// perRequest reports whether the fault happens to answers, as opposed to the whole device.
func (f Fault) perRequest() bool { return f.Kind != Freeze && f.Kind != Refuse }

// mangle returns the bytes to send in place of the good answer.
func (f Fault) mangle(good frame, framing Framing) []byte {
	good.pdu = slices.Clone(good.pdu)
	switch f.Kind {
	case WrongTID:
		good.tid ^= 0x5555
	case WrongProtocol:
		good.protocol = 1
	case WrongUnit:
		good.unit++
	case WrongFunction:
		good.pdu[0] ^= 7
	case ByteCount:
		if len(good.pdu) > 1 {
			good.pdu[1] = 250
		}
	case ShortAnswer, LongAnswer:
		good.pdu = resize(good.pdu, f.Kind == LongAnswer)
	case ExceptionAnswer, SplitException:
		good.pdu = []byte{good.pdu[0] | 0x80, byte(f.Code)}
		if f.Code == 0 {
			good.pdu[1] = byte(DeviceFailure)
		}
	case ExceptionEmpty:
		good.pdu = []byte{good.pdu[0] | 0x80}
	}
	out := good.bytes(framing)
	switch f.Kind {
	case Garbage:
		for i := range out {
			out[i] = byte(i*37 + 11)
		}
	case GarbageFirst:
		out = append([]byte{0xDE, 0xAD, 0xBE, 0xEF, 0x00}, out...)
	case Duplicate:
		out = append(out, out...)
	case LengthZero, LengthHuge, LengthPlus, LengthMinus:
		f.length(out, framing)
	case BadCRC:
		out[len(out)-1]++
	}
	return out
}

func (f Fault) length(out []byte, framing Framing) {
	if framing != TCP {
		return
	}
	n := binary.BigEndian.Uint16(out[4:])
	n = map[Kind]uint16{LengthZero: 0, LengthHuge: 0xFFFF, LengthPlus: n + 2, LengthMinus: n - 2}[f.Kind]
	binary.BigEndian.PutUint16(out[4:], n)
}

// resize makes the answer to a read one register longer or shorter without contradicting itself.
func resize(pdu []byte, longer bool) []byte {
	if pdu[0] > fcReadInput && pdu[0] != fcReadWrite || len(pdu) < 4 {
		return pdu
	}
	if longer {
		pdu = append(pdu, 0x12, 0x34)
		pdu[1] += 2
		return pdu
	}
	pdu[1] -= 2
	return pdu[:len(pdu)-2]
}
