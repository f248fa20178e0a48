package modbus

import (
	"encoding/binary"
	"math"
	"strings"

	"scada/acquisition/tag"
)

// decode cuts the value of p out of the data of an answer, offset registers (or bits) from its start. last is the
// previous text, which is used again if it is the same, so that only a changed text costs memory.
func (p *point) decode(data []byte, offset int, last string) (tag.Value, tag.Quality) {
	if p.addr.Area.IsBits() {
		return tag.Bool(data[offset>>3]>>(offset&7)&1 == 1), tag.Good
	}
	data = data[2*offset : 2*(offset+int(p.count))]
	if p.raw == tag.TypeUint16 && p.encoding == tag.Plain && p.plain && !p.bounded && p.order == orderABCD {
		return tag.Uint(tag.TypeUint16, uint64(binary.BigEndian.Uint16(data))), tag.Good
	}
	if p.raw == tag.TypeString {
		return p.text(data, last), tag.Good
	}
	bits := p.assemble(data)
	if p.addr.Bit >= 0 {
		return p.finish(tag.Bool(bits>>uint(p.addr.Bit)&1 == 1))
	}
	switch p.encoding {
	case tag.BCD:
		n, ok := fromBCD(bits)
		if !ok {
			return tag.Value{}, tag.BadSensorFailure
		}
		bits = n
	case tag.Float16:
		return p.finish(tag.Float32(fromHalf(uint16(bits))))
	}
	switch p.raw {
	case tag.TypeFloat32:
		return p.finish(tag.Float32(math.Float32frombits(uint32(bits))))
	case tag.TypeFloat64:
		return p.finish(tag.Float64(math.Float64frombits(bits)))
	case tag.TypeBool:
		return p.finish(tag.Bool(bits != 0))
	case tag.TypeInt8:
		return p.finish(tag.Int(p.raw, int64(int8(bits))))
	case tag.TypeInt16:
		return p.finish(tag.Int(p.raw, int64(int16(bits))))
	case tag.TypeInt32:
		return p.finish(tag.Int(p.raw, int64(int32(bits))))
	case tag.TypeInt64:
		return p.finish(tag.Int(p.raw, int64(bits)))
	case tag.TypeUint8:
		return p.finish(tag.Uint(p.raw, bits&0xFF))
	}
	return p.finish(tag.Uint(p.raw, bits))
}

// assemble puts the registers of a value together, most significant first.
func (p *point) assemble(data []byte) (bits uint64) {
	for i := 0; i < len(data); i += 2 {
		at := i
		if p.order.swapWords() {
			at = len(data) - 2 - i
		}
		word := binary.BigEndian.Uint16(data[at:])
		if p.order.swapBytes() {
			word = word>>8 | word<<8
		}
		bits = bits<<16 | uint64(word)
	}
	return bits
}

// scatter is the inverse of assemble: it writes the value into len(data) bytes.
func (p *point) scatter(bits uint64, data []byte) {
	for i := len(data) - 2; i >= 0; i -= 2 {
		at := i
		if p.order.swapWords() {
			at = len(data) - 2 - i
		}
		word := uint16(bits)
		if p.order.swapBytes() {
			word = word>>8 | word<<8
		}
		binary.BigEndian.PutUint16(data[at:], word)
		bits >>= 16
	}
}

// text returns the characters up to the first NUL, without trailing spaces.
func (p *point) text(data []byte, last string) tag.Value {
	var buf [2 * maxText]byte
	b := buf[:copy(buf[:], data)]
	if p.order.swapBytes() {
		for i := 0; i+1 < len(b); i += 2 {
			b[i], b[i+1] = b[i+1], b[i]
		}
	}
	for i, c := range b {
		if c == 0 {
			b = b[:i]
			break
		}
	}
	for len(b) > 0 && b[len(b)-1] == ' ' {
		b = b[:len(b)-1]
	}
	if last == string(b) {
		return tag.String(last)
	}
	return tag.String(strings.ToValidUTF8(string(b), "\uFFFD"))
}

// finish scales a raw value, converts it to the type users see and judges it. No value means that what the device sent
// is not one; the last stays.
func (p *point) finish(raw tag.Value) (tag.Value, tag.Quality) {
	if p.raw.IsFloat() {
		if f := raw.Number(); math.IsNaN(f) || math.IsInf(f, 0) {
			return tag.Value{}, tag.BadSensorFailure
		}
	}
	v := raw
	if !p.plain {
		var err error
		if v, err = p.convert(raw); err != nil {
			return tag.Value{}, tag.BadOutOfRange
		}
	}
	if p.bounded {
		if f := v.Number(); f < p.low || f > p.high {
			return v, tag.UncertainEngineeringUnitsExceeded
		}
	}
	return v, tag.Good
}

func (p *point) convert(raw tag.Value) (tag.Value, error) {
	if p.def.Scale.IsZero() {
		if p.def.Type == tag.TypeBool {
			return tag.Bool(raw.Truth()), nil
		}
		if p.def.Type.IsInteger() && raw.Type().IsInteger() {
			if fits(raw, p.def.Type) {
				return tag.FromBits(p.def.Type, raw.Bits(), ""), nil
			}
		}
	}
	f := p.def.ToUnits(raw.Number())
	if p.def.Type.IsInteger() {
		f = math.Round(f)
	}
	return tag.FromNumber(p.def.Type, f)
}

// fits reports whether an integer can change its type and keep its digits.
func fits(v tag.Value, t tag.Type) bool {
	if v.Type().IsSigned() {
		return t.IsSigned() && t >= v.Type()
	}
	return t == tag.TypeUint64 || t == tag.TypeInt64 && v.Type() != tag.TypeUint64
}
