package modbus

import (
	"encoding/hex"
	"math"
	"strings"
	"testing"

	"scada/acquisition/tag"
)

func mustPoint(t testing.TB, def tag.Definition) *point {
	t.Helper()
	p, err := newPoint(&def, "")
	if err != nil {
		t.Fatal(err)
	}
	return &p
}

func raw(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

func TestDecode(t *testing.T) {
	for _, c := range []struct {
		addr  string
		typ   tag.Type
		order string
		data  string
		want  tag.Value
	}{
		{"hr:0", tag.TypeInt16, "", "fffe", tag.Int(tag.TypeInt16, -2)},
		{"hr:0", tag.TypeUint16, "", "fffe", tag.Uint(tag.TypeUint16, 0xfffe)},
		{"hr:0", tag.TypeUint16, "CDAB", "1234", tag.Uint(tag.TypeUint16, 0x1234)},
		{"hr:0", tag.TypeUint16, "BADC", "1234", tag.Uint(tag.TypeUint16, 0x3412)},
		{"hr:0", tag.TypeUint16, "DCBA", "1234", tag.Uint(tag.TypeUint16, 0x3412)},
		{"hr:0", tag.TypeInt8, "", "12ff", tag.Int(tag.TypeInt8, -1)},
		{"hr:0", tag.TypeUint8, "", "12ff", tag.Uint(tag.TypeUint8, 255)},
		{"hr:0", tag.TypeBool, "", "0000", tag.Bool(false)},
		{"hr:0", tag.TypeBool, "", "0100", tag.Bool(true)},
		{"hr:0.0", tag.TypeBool, "", "0001", tag.Bool(true)},
		{"hr:0.15", tag.TypeBool, "", "8000", tag.Bool(true)},
		{"hr:0.8", tag.TypeBool, "", "feff", tag.Bool(false)},
		{"hr:0.8", tag.TypeBool, "BADC", "0001", tag.Bool(true)},
		{"hr:0", tag.TypeUint32, "ABCD", "01020304", tag.Uint(tag.TypeUint32, 0x01020304)},
		{"hr:0", tag.TypeUint32, "CDAB", "03040102", tag.Uint(tag.TypeUint32, 0x01020304)},
		{"hr:0", tag.TypeUint32, "BADC", "02010403", tag.Uint(tag.TypeUint32, 0x01020304)},
		{"hr:0", tag.TypeUint32, "DCBA", "04030201", tag.Uint(tag.TypeUint32, 0x01020304)},
		{"hr:0", tag.TypeInt32, "", "ffffffff", tag.Int(tag.TypeInt32, -1)},
		{"hr:0", tag.TypeFloat32, "", "3fc00000", tag.Float32(1.5)},
		{"hr:0", tag.TypeFloat32, "CDAB", "00003fc0", tag.Float32(1.5)},
		{"hr:0", tag.TypeFloat64, "", "3ff8000000000000", tag.Float64(1.5)},
		{"hr:0", tag.TypeFloat64, "DCBA", "000000000000f83f", tag.Float64(1.5)},
		{"hr:0", tag.TypeUint64, "CDAB", "0708 0506 0304 0102", tag.Uint(tag.TypeUint64, 0x0102030405060708)},
		{"hr:0", tag.TypeUint64, "BADC", "0201 0403 0605 0807", tag.Uint(tag.TypeUint64, 0x0102030405060708)},
		{"hr:0", tag.TypeInt64, "", "ffffffffffffffff", tag.Int(tag.TypeInt64, -1)},
		{"hr:0[3]", tag.TypeString, "", "50756d700000", tag.String("Pump")},
		{"hr:0[3]", tag.TypeString, "BADC", "7550706d2020", tag.String("Pump")},
		{"hr:0[2]", tag.TypeString, "", "00414243", tag.String("")},
		{"hr:0[2]", tag.TypeString, "", "41ff4200", tag.String("A\uFFFDB")},
	} {
		p := mustPoint(t, tag.Definition{Address: c.addr, Type: c.typ, ByteOrder: c.order, Writable: true, Name: "x"})
		data := append([]byte{0xAA, 0xAA}, raw(c.data)...) // not at the start of the answer
		got, q := p.decode(append(data, 0xAA, 0xAA), 1, "")
		if got != c.want || q != tag.Good {
			t.Errorf("%s %s %s %s: %v (%v), want %v", c.addr, c.typ, c.order, c.data, got, q, c.want)
		}
		if p.addr.Bit >= 0 || c.typ == tag.TypeString || c.typ == tag.TypeBool || registers(c.typ) == 1 && c.typ <= tag.TypeUint8 {
			continue
		}
		back, err := p.encode(got)
		if err != nil || string(back) != string(raw(c.data)) {
			t.Errorf("%s %s %s: %v goes back as % x, %v", c.addr, c.typ, c.order, got, back, err)
		}
	}
	for i, want := range []bool{true, false, true, true, false, false, false, false, true} {
		p := mustPoint(t, tag.Definition{Address: "co:0", Type: tag.TypeBool})
		if got, _ := p.decode([]byte{0x0D, 0x01}, i, ""); got != tag.Bool(want) {
			t.Errorf("coil %d: %v", i, got)
		}
	}
}

func TestJudge(t *testing.T) {
	scale := tag.Linear{RawHigh: 65535, High: 3000}
	for _, c := range []struct {
		name string
		def  tag.Definition
		data string
		want tag.Value
		q    tag.Quality
	}{
		{"scaled", tag.Definition{Type: tag.TypeFloat64, RawType: tag.TypeUint16, Scale: scale}, "ffff", tag.Float64(3000), tag.Good},
		{"scaled to a whole number", tag.Definition{Type: tag.TypeInt32, RawType: tag.TypeUint16, Scale: scale}, "8000", tag.Int(tag.TypeInt32, 1500), tag.Good},
		{"scaled beyond its type", tag.Definition{Type: tag.TypeInt8, RawType: tag.TypeUint16, Scale: scale}, "8000", tag.Value{}, tag.BadOutOfRange},
		{"inside the range", tag.Definition{Type: tag.TypeInt16, Range: tag.Range{Low: -5, High: 5}}, "fffb", tag.Int(tag.TypeInt16, -5), tag.Good},
		{"outside the range", tag.Definition{Type: tag.TypeInt16, Range: tag.Range{Low: -5, High: 5}}, "fffa", tag.Int(tag.TypeInt16, -6), tag.UncertainEngineeringUnitsExceeded},
		{"not a number", tag.Definition{Type: tag.TypeFloat32}, "7fc00000", tag.Value{}, tag.BadSensorFailure},
		{"infinity", tag.Definition{Type: tag.TypeFloat32}, "ff800000", tag.Value{}, tag.BadSensorFailure},
		{"not a number, scaled", tag.Definition{Type: tag.TypeFloat64, RawType: tag.TypeFloat32, Scale: scale}, "7fc00000", tag.Value{}, tag.BadSensorFailure},
		{"wider", tag.Definition{Type: tag.TypeInt64, RawType: tag.TypeInt16}, "fffe", tag.Int(tag.TypeInt64, -2), tag.Good},
		{"unsigned to signed", tag.Definition{Type: tag.TypeInt32, RawType: tag.TypeUint16}, "fffe", tag.Int(tag.TypeInt32, 65534), tag.Good},
		{"negative to unsigned", tag.Definition{Type: tag.TypeUint32, RawType: tag.TypeInt16}, "fffe", tag.Value{}, tag.BadOutOfRange},
		{"number to bool", tag.Definition{Type: tag.TypeBool, RawType: tag.TypeUint16}, "0007", tag.Bool(true), tag.Good},
		{"single to double", tag.Definition{Type: tag.TypeFloat64, RawType: tag.TypeFloat32}, "3fc00000", tag.Float64(1.5), tag.Good},
	} {
		c.def.Address = "hr:0"
		got, q := mustPoint(t, c.def).decode(raw(c.data), 0, "")
		if got != c.want || q != c.q {
			t.Errorf("%s: %v (%v), want %v (%v)", c.name, got, q, c.want, c.q)
		}
	}
}

// TestRoundTrip: what is written is what is read, for every numeric type and order, at the ends of the type.
func TestRoundTrip(t *testing.T) {
	for typ := tag.TypeInt8; typ <= tag.TypeFloat64; typ++ {
		lo, hi := typ.Bounds()
		if typ.IsFloat() {
			lo, hi = -math.MaxFloat32, math.MaxFloat32
		}
		for _, order := range orderNames {
			p := mustPoint(t, tag.Definition{Address: "hr:0", Type: typ, ByteOrder: order, Writable: true})
			for _, f := range []float64{lo, hi, 0, 1, 100} {
				v, err := tag.FromNumber(typ, f)
				if err != nil {
					continue // 2^63 and 2^64 are not in their types
				}
				data, err := p.encode(v)
				if err != nil {
					t.Errorf("%s %s: %v", typ, order, err)
					continue
				}
				if got, q := p.decode(data, 0, ""); got != v || q != tag.Good || !p.holds(data, data) {
					t.Errorf("%s %s: %v became %v (%v)", typ, order, v, got, q)
				}
			}
		}
	}
}

func TestDecodeDoesNotAllocate(t *testing.T) {
	data := raw("3fc00000 50756d7000000000")
	number := mustPoint(t, tag.Definition{Address: "hr:0", Type: tag.TypeFloat64, RawType: tag.TypeFloat32, Range: tag.Range{High: 5}, Scale: tag.Linear{RawHigh: 1, High: 1}})
	text := mustPoint(t, tag.Definition{Address: "hr:0[4]", Type: tag.TypeString})
	if n := testing.AllocsPerRun(100, func() {
		number.decode(data, 0, "")
		text.decode(data, 2, "Pump")
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
