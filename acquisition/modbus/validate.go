package modbus

import (
	"fmt"
	"strings"

	"scada/acquisition/plan"
	"scada/acquisition/tag"
)

// ValidateTag reports what is wrong with a tag of a Modbus device: an address that does not parse, a type that does
// not fit it, an unknown byte order, a write to an area that cannot be written.
func ValidateTag(def tag.Definition) error {
	_, err := newPoint(&def, "")
	return err
}

// point is one tag ready to be decoded and encoded. What every decoding needs is together and small: a full scan goes
// through all of them.
type point struct {
	id       tag.ID
	raw      tag.Type
	order    order
	encoding tag.Encoding
	plain    bool // neither scaled nor of another type than on the wire
	bounded  bool // has a range
	addr     Address
	count    uint16 // registers or bits
	low      float64
	high     float64
	def      *tag.Definition
}

// newPoint checks a tag; deviceOrder is used where the tag has no byte order of its own.
func newPoint(def *tag.Definition, deviceOrder string) (point, error) {
	addr, err := ParseAddress(def.Address)
	if err != nil {
		return point{}, err
	}
	p := point{id: def.ID, def: def, addr: addr, raw: def.RawType, encoding: def.Encoding}
	if p.raw == tag.TypeNone {
		p.raw = def.Type
	}
	name := def.ByteOrder
	if name == "" {
		name = deviceOrder
	}
	if p.order, err = parseOrder(name); err != nil {
		return point{}, err
	}
	if err := p.checkType(); err != nil {
		return point{}, err
	}
	p.count = registers(p.raw)
	switch {
	case addr.Area.IsBits() || addr.Bit >= 0:
		p.count = 1
	case addr.Length > 0:
		p.count = addr.Length
	case p.encoding == tag.Float16:
		p.count = 1
	}
	if int(addr.Number)+int(p.count) > addressSpace {
		return point{}, fmt.Errorf("%s: a %s takes %d registers, the last is %d", addr, p.raw, p.count, addressSpace-1)
	}
	if def.Writable && addr.Area != plan.Coil && addr.Area != plan.Holding {
		return point{}, fmt.Errorf("%s cannot be written: only co and hr can", addr)
	}
	p.plain = def.Scale.IsZero() && p.raw == def.Type
	p.bounded = !def.Range.IsZero() && def.Type.IsNumeric() && def.Type != tag.TypeBool
	p.low, p.high = def.Range.Low, def.Range.High
	return p, nil
}

func (p *point) checkType() error {
	a, t := p.addr, p.def.Type
	bits := a.Area.IsBits() || a.Bit >= 0
	switch {
	case !t.Valid() || !p.raw.Valid():
		return fmt.Errorf("%s: type %s (on the wire %s) is not a type of a tag", a, t, p.raw)
	case bits && p.raw != tag.TypeBool:
		return fmt.Errorf("%s is a bit: its type is bool, not %s", a, p.raw)
	case p.raw == tag.TypeString && a.Length == 0:
		return fmt.Errorf("%s: a string needs its length in registers, as %s[8]", a, a)
	case p.raw != tag.TypeString && a.Length > 0:
		return fmt.Errorf("%s: a length is for strings, the type is %s", a, p.raw)
	case (p.raw == tag.TypeString) != (t == tag.TypeString):
		return fmt.Errorf("%s: a %s on the wire cannot become a %s", a, p.raw, t)
	case p.encoding != tag.Plain && bits:
		return fmt.Errorf("%s is a bit: it has no digits", a)
	case p.encoding == tag.BCD && p.raw != tag.TypeUint16 && p.raw != tag.TypeUint32 && p.raw != tag.TypeUint64:
		return fmt.Errorf("%s: decimal digits fill a uint16, uint32 or uint64, not a %s", a, p.raw)
	case p.encoding == tag.Float16 && p.raw != tag.TypeFloat32:
		return fmt.Errorf("%s: half precision becomes a float32, not a %s", a, p.raw)
	case !p.def.Scale.IsZero() && (t == tag.TypeString || t == tag.TypeBool):
		return fmt.Errorf("%s: a %s cannot be scaled", a, t)
	case !p.def.Scale.IsZero() && (p.def.Scale.RawLow == p.def.Scale.RawHigh || p.def.Scale.Low == p.def.Scale.High):
		return fmt.Errorf("%s: the scale maps an empty interval", a)
	}
	return nil
}

// registers returns how many registers a type takes; text says so in its address.
func registers(t tag.Type) uint16 {
	switch t {
	case tag.TypeInt32, tag.TypeUint32, tag.TypeFloat32:
		return 2
	case tag.TypeInt64, tag.TypeUint64, tag.TypeFloat64:
		return 4
	}
	return 1
}

// order is how the bytes of a value of several registers are arranged: letters name the bytes of the value from the
// most significant, in the order in which they arrive.
type order uint8

const (
	orderABCD order = iota // as the specification has it: high register first, high byte first
	orderCDAB              // low register first
	orderBADC              // bytes of each register exchanged
	orderDCBA              // both
)

var orderNames = [...]string{"ABCD", "CDAB", "BADC", "DCBA"}

func parseOrder(s string) (order, error) {
	if s == "" {
		return orderABCD, nil
	}
	for i, name := range orderNames {
		if name == s {
			return order(i), nil
		}
	}
	return 0, fmt.Errorf("byte order %q is not one of %s", s, strings.Join(orderNames[:], ", "))
}

func (o order) swapWords() bool { return o == orderCDAB || o == orderDCBA }
func (o order) swapBytes() bool { return o == orderBADC || o == orderDCBA }
