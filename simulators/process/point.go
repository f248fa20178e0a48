package process

import (
	"fmt"
	"math"

	"scada/acquisition/tag"
)

// Space is where in its device a point is found.
type Space uint8

// The spaces: the four Modbus areas, and OPC UA nodes.
const (
	Coil Space = iota
	DiscreteInput
	InputRegister
	HoldingRegister
	Node
)

// String returns the prefix of the space in addresses.
func (s Space) String() string { return [...]string{"co", "di", "ir", "hr", "ns=2;s="}[s] }

// NoBit is the bit number of a point that is not a bit of a register.
const NoBit = -1

// Point is one value of a device as the outside sees it.
type Point struct {
	Name        string // the tag: intake/pump1/speed
	Device      string
	Space       Space
	Address     uint16 // first register, or number of the bit
	Bit         int    // of the register, or NoBit
	Length      int    // of a string, in characters
	Node        string // OPC UA identifier in place of an address
	Type        tag.Type
	Scale       tag.Linear
	Range       tag.Range
	Unit        string
	Description string
	States      []string
	Writable    bool
	Watched     bool // an alarm may depend on it: its changes are journalled
	Scan        string
	Deadband    float64
	History     string

	number *float64
	mask   uint16 // of the bit in number, for a bit of a register
	flag   *bool
	text   *string
}

// AddressText returns the address in the notation of tag files.
func (p *Point) AddressText() string {
	switch {
	case p.Space == Node:
		return p.Space.String() + p.Node
	case p.Bit != NoBit:
		return fmt.Sprintf("%s:%d.%d", p.Space, p.Address, p.Bit)
	case p.Type == tag.TypeString:
		return fmt.Sprintf("%s:%d[%d]", p.Space, p.Address, p.Registers())
	}
	return fmt.Sprintf("%s:%d", p.Space, p.Address)
}

// Registers returns how many registers the point occupies; 0 for bits of the bit areas and for nodes.
func (p *Point) Registers() int {
	switch {
	case p.Space == Node || p.Space == Coil || p.Space == DiscreteInput:
		return 0
	case p.Type == tag.TypeString:
		return (p.Length + 1) / 2
	case p.Type == tag.TypeInt32 || p.Type == tag.TypeUint32 || p.Type == tag.TypeFloat32:
		return 2
	case p.Type == tag.TypeInt64 || p.Type == tag.TypeUint64 || p.Type == tag.TypeFloat64:
		return 4
	}
	return 1
}

// present returns the true value in engineering units.
func (p *Point) present() tag.Value {
	switch {
	case p.text != nil:
		return tag.String(*p.text)
	case p.flag != nil:
		return tag.Bool(*p.flag)
	case p.mask != 0:
		return tag.Bool(uint16(*p.number)&p.mask != 0)
	}
	return tag.Float64(*p.number)
}

// raw converts engineering units to what stands in the device: rounded and held within the type, as a converter's
// output is.
func (p *Point) raw(v tag.Value) tag.Value {
	if p.Type == tag.TypeString || p.Type == tag.TypeBool {
		return v
	}
	f := p.Scale.Unscale(v.Number())
	switch p.Type {
	case tag.TypeFloat32:
		return tag.Float32(float32(f))
	case tag.TypeFloat64:
		return tag.Float64(f)
	}
	low, high := p.Type.Bounds()
	r, err := tag.FromNumber(p.Type, min(max(math.Round(f), low), high))
	if err != nil {
		return tag.Value{} // a NaN in the model: shown as no value
	}
	return r
}

// check says why a value in engineering units cannot be stored.
func (p *Point) check(v tag.Value) error {
	switch {
	case !p.Writable:
		return fmt.Errorf("%s: %w", p.Name, ErrReadOnly)
	case p.text != nil && v.Type() == tag.TypeString && len(v.Text()) > p.Length:
		return fmt.Errorf("%s: longer than %d bytes", p.Name, p.Length)
	case p.text != nil && v.Type() == tag.TypeString, p.flag != nil && v.Type().IsNumeric():
		return nil
	case p.number == nil || !v.Type().IsNumeric():
		return fmt.Errorf("%s: a %s cannot be stored", p.Name, v.Type())
	}
	f := v.Number()
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return fmt.Errorf("%s: %v is not a number", p.Name, f)
	}
	if !p.Range.IsZero() && (f < p.Range.Low || f > p.Range.High) {
		return fmt.Errorf("%s: %g is outside %g..%g", p.Name, f, p.Range.Low, p.Range.High)
	}
	return nil
}

// store puts a checked value into the model.
func (p *Point) store(v tag.Value) {
	switch {
	case p.text != nil:
		*p.text = v.Text()
	case p.flag != nil:
		*p.flag = v.Truth()
	default:
		*p.number = v.Number()
	}
}
