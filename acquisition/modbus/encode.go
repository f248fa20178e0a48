package modbus

import (
	"bytes"
	"fmt"
	"math"

	"scada/acquisition/plan"
	"scada/acquisition/tag"
)

// encode turns a value an operator wants into the bytes of its registers, or for a bit into one byte 0 or 1. It refuses
// what the tag, its range or its type on the wire cannot hold.
func (p *point) encode(v tag.Value) ([]byte, error) {
	def := p.def
	if !def.Writable {
		return nil, fmt.Errorf("tag %s is not writable", def.Name)
	}
	if p.raw == tag.TypeString {
		return p.encodeText(v)
	}
	if v.Type() == tag.TypeString || v.IsNone() {
		return nil, fmt.Errorf("tag %s takes a %s, not a %s", def.Name, def.Type, v.Type())
	}
	f := v.Number()
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, fmt.Errorf("tag %s: %v is not a number to write", def.Name, v)
	}
	if r := def.Range; !r.IsZero() && def.Type != tag.TypeBool && (f < r.Low || f > r.High) {
		return nil, fmt.Errorf("tag %s: %s is outside its range %g to %g", def.Name, v, r.Low, r.High)
	}
	raw, err := p.unconvert(v)
	if err != nil {
		return nil, fmt.Errorf("tag %s: %w", def.Name, err)
	}
	if p.addr.Area == plan.Coil || p.addr.Bit >= 0 {
		return []byte{byte(raw.Bits())}, nil
	}
	bits := raw.Bits()
	switch {
	case p.encoding == tag.BCD:
		if bits, err = toBCD(bits, int(p.count)); err != nil {
			return nil, fmt.Errorf("tag %s: %w", def.Name, err)
		}
	case p.encoding == tag.Float16:
		half, err := toHalf(float32(raw.Number()))
		if err != nil {
			return nil, fmt.Errorf("tag %s: %w", def.Name, err)
		}
		bits = uint64(half)
	case p.raw == tag.TypeFloat32:
		bits = uint64(math.Float32bits(float32(raw.Number())))
	}
	data := make([]byte, 2*int(p.count))
	p.scatter(bits, data)
	return data, nil
}

// unconvert is the inverse of convert.
func (p *point) unconvert(v tag.Value) (tag.Value, error) {
	if v.Type() == p.raw && p.def.Scale.IsZero() {
		return v, nil
	}
	if p.def.Scale.IsZero() && p.raw.IsInteger() && v.Type().IsInteger() && fits(v, p.raw) {
		return tag.FromBits(p.raw, v.Bits(), ""), nil
	}
	f := p.def.ToRaw(v.Number())
	if p.raw.IsInteger() && !p.def.Scale.IsZero() {
		f = math.Round(f)
	}
	return tag.FromNumber(p.raw, f)
}

func (p *point) encodeText(v tag.Value) ([]byte, error) {
	if v.Type() != tag.TypeString {
		return nil, fmt.Errorf("tag %s takes text, not a %s", p.def.Name, v.Type())
	}
	data := make([]byte, 2*int(p.count))
	if len(v.Text()) > len(data) {
		return nil, fmt.Errorf("tag %s holds %d bytes of text, not %d", p.def.Name, len(data), len(v.Text()))
	}
	copy(data, v.Text())
	if p.order.swapBytes() {
		for i := 0; i < len(data); i += 2 {
			data[i], data[i+1] = data[i+1], data[i]
		}
	}
	return data, nil
}

// holds reports whether the registers (or bits) read back contain what encode had made.
func (p *point) holds(read, wrote []byte) bool {
	switch {
	case p.addr.Area.IsBits():
		return read[0]&1 == wrote[0]&1
	case p.addr.Bit >= 0:
		return byte(p.assemble(read)>>uint(p.addr.Bit)&1) == wrote[0]&1
	}
	return bytes.Equal(read, wrote)
}
