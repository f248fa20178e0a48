package modbus

import (
	"encoding/binary"
	"math"
	"testing"

	"scada/acquisition/tag"
)

// TestHalfPrecision: every number there is, there and back, and what lies between two of them.
func TestHalfPrecision(t *testing.T) {
	for h := range 1 << 16 {
		f := fromHalf(uint16(h))
		if back, err := toHalf(f); f-f == 0 && (err != nil || back != uint16(h)) {
			t.Fatalf("%04x is %g, which is %04x, %v", h, f, back, err)
		}
	}
	for h, want := range map[uint16]float32{0x3C00: 1, 0xC000: -2, 0x3555: 0.33325195, 0x7BFF: 65504, 0x0001: 5.9604645e-08, 0x03FF: 6.0975552e-05, 0x0400: 6.1035156e-05} {
		if f := fromHalf(h); f != want {
			t.Errorf("%04x is %g, want %g", h, f, want)
		}
	}
	for f, want := range map[float32]uint16{1.0004882: 0x3C00, 1.0004884: 0x3C01, 1.0014648: 0x3C02, 65519: 0x7BFF, 2.9e-08: 0, 3e-08: 1} {
		if h, err := toHalf(f); err != nil || h != want {
			t.Errorf("%g becomes %04x, want %04x, %v", f, h, want, err)
		}
	}
	for _, f := range []float32{65520, 1e9, float32(math.Inf(1)), float32(math.NaN())} {
		if _, err := toHalf(f); err == nil {
			t.Errorf("%g fits", f)
		}
	}
}

// TestEncodings: digits and half precision are read, scaled, written, and refused where they are no numbers.
func TestEncodings(t *testing.T) {
	const none = uint64(1) << 63
	for _, c := range []struct {
		name  string
		def   tag.Definition
		words []uint16
		want  tag.Value
		q     tag.Quality
	}{
		{"bcd16", tag.Definition{Address: "hr:0", Type: tag.TypeUint16, Encoding: tag.BCD}, []uint16{0x9876}, tag.Uint(tag.TypeUint16, 9876), tag.Good},
		{"bcd32", tag.Definition{Address: "hr:0", Type: tag.TypeUint32, Encoding: tag.BCD}, []uint16{0x0123, 0x4567}, tag.Uint(tag.TypeUint32, 1234567), tag.Good},
		{"bcd32 CDAB", tag.Definition{Address: "hr:0", Type: tag.TypeUint32, Encoding: tag.BCD, ByteOrder: "CDAB"}, []uint16{0x4567, 0x0123}, tag.Uint(tag.TypeUint32, 1234567), tag.Good},
		{"bcd64", tag.Definition{Address: "hr:0", Type: tag.TypeUint64, Encoding: tag.BCD}, []uint16{0x9999, 0x9999, 0x9999, 0x9999}, tag.Uint(tag.TypeUint64, 9999999999999999), tag.Good},
		{"no digit", tag.Definition{Address: "hr:0", Type: tag.TypeUint16, Encoding: tag.BCD}, []uint16{0x123A}, tag.Value{}, tag.BadSensorFailure},
		{"scaled bcd", tag.Definition{Address: "hr:0", Type: tag.TypeFloat64, RawType: tag.TypeUint16, Encoding: tag.BCD, Scale: tag.Linear{RawHigh: 1000, High: 10}}, []uint16{0x0250}, tag.Float64(2.5), tag.Good},
		{"float16", tag.Definition{Address: "hr:0", Type: tag.TypeFloat32, Encoding: tag.Float16}, []uint16{0xC000}, tag.Float32(-2), tag.Good},
		{"float16 BADC", tag.Definition{Address: "hr:0", Type: tag.TypeFloat32, Encoding: tag.Float16, ByteOrder: "BADC"}, []uint16{0x00C0}, tag.Float32(-2), tag.Good},
		{"float16 infinite", tag.Definition{Address: "hr:0", Type: tag.TypeFloat32, Encoding: tag.Float16}, []uint16{0x7C00}, tag.Value{}, tag.BadSensorFailure},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.def.Writable = true
			p := mustPoint(t, c.def)
			if int(p.count) != len(c.words) {
				t.Fatalf("takes %d registers", p.count)
			}
			var data []byte
			for _, w := range c.words {
				data = binary.BigEndian.AppendUint16(data, w)
			}
			v, q := p.decode(data, 0, "")
			if v != c.want || q != c.q {
				t.Errorf("%v %v, want %v %v", v, q, c.want, c.q)
			}
			if c.q != tag.Good {
				return
			}
			if back, err := p.encode(v); err != nil || string(back) != string(data) {
				t.Errorf("written as % x, %v", back, err)
			}
		})
	}
	for _, c := range []struct {
		def tag.Definition
		v   tag.Value
	}{
		{tag.Definition{Address: "hr:0", Type: tag.TypeUint16, Encoding: tag.BCD}, tag.Uint(tag.TypeUint16, 10000)},
		{tag.Definition{Address: "hr:0", Type: tag.TypeUint64, Encoding: tag.BCD}, tag.Uint(tag.TypeUint64, none)},
		{tag.Definition{Address: "hr:0", Type: tag.TypeFloat32, Encoding: tag.Float16}, tag.Float32(70000)},
	} {
		c.def.Writable = true
		p := mustPoint(t, c.def)
		if data, err := p.encode(c.v); err == nil {
			t.Errorf("%v is written as % x", c.v, data)
		}
	}
	for _, def := range []tag.Definition{
		{Address: "hr:0", Type: tag.TypeInt16, Encoding: tag.BCD}, {Address: "hr:0", Type: tag.TypeFloat64, Encoding: tag.Float16},
		{Address: "hr:0.3", Type: tag.TypeBool, Encoding: tag.BCD}, {Address: "co:0", Type: tag.TypeBool, Encoding: tag.Float16},
	} {
		if err := ValidateTag(def); err == nil {
			t.Errorf("%+v is allowed", def)
		}
	}
}
