package process

import (
	"strings"

	"scada/acquisition/tag"
)

// analogFull is the raw number of a full-scale analog input.
const analogFull = 27648

// builder lists the points of a device and gives each the next free address of its space.
type builder struct {
	points []Point
	device string
	prefix string
	next   [Node]uint16
}

func (b *builder) begin(device, prefix string) {
	b.device, b.prefix, b.next = device, prefix, [Node]uint16{}
}

// part continues at the next round address, as an engineer lays out data blocks: equal equipment, equal distances.
func (b *builder) part(prefix string) {
	b.prefix = prefix
	for s := range b.next {
		b.next[s] = (b.next[s] + 9) / 10 * 10
	}
}

func (b *builder) add(p Point) *Point {
	p.Device, p.Bit, p.Name = b.device, NoBit, b.prefix+"/"+p.Name
	if p.Scan == "" {
		p.Scan = "normal"
	}
	if b.device == Mixer {
		p.Space, p.Node = Node, nodeName(p.Name)
		if p.Type == tag.TypeInt16 {
			p.Type, p.Scale = tag.TypeFloat64, tag.Linear{}
		}
	} else {
		p.Address = b.next[p.Space]
		b.next[p.Space] += uint16(max(p.Registers(), 1))
	}
	b.points = append(b.points, p)
	return &b.points[len(b.points)-1]
}

// analog is a measured value that comes as the raw number of an analog input card.
func (b *builder) analog(name string, v *float64, unit string, low, high float64, description string) *Point {
	return b.add(Point{
		Name: name, number: v, Space: InputRegister, Type: tag.TypeInt16, Unit: unit, Range: tag.Range{Low: low, High: high},
		Scale: tag.Linear{RawHigh: analogFull, Low: low, High: high}, Deadband: (high - low) / 1000, Description: description,
	})
}

// float is a measured or computed value that comes in its own unit.
func (b *builder) float(name string, v *float64, unit string, low, high float64, description string) *Point {
	return b.add(Point{
		Name: name, number: v, Space: InputRegister, Type: tag.TypeFloat32, Unit: unit, Range: tag.Range{Low: low, High: high},
		Deadband: (high - low) / 1000, Description: description,
	})
}

// setpoint is a number operators write.
func (b *builder) setpoint(name string, v *float64, unit string, low, high float64, description string) *Point {
	return b.add(Point{
		Name: name, number: v, Space: HoldingRegister, Type: tag.TypeFloat32, Unit: unit, Range: tag.Range{Low: low, High: high},
		Writable: true, Scan: "normal", History: "change", Description: description,
	})
}

// command is a bit operators write.
func (b *builder) command(name string, v *bool, off, on, description string) *Point {
	return b.add(Point{
		Name: name, flag: v, Space: Coil, Type: tag.TypeBool, States: []string{off, on}, Writable: true, History: "change",
		Description: description,
	})
}

// input is a bit of the plant.
func (b *builder) input(name string, v *bool, off, on, description string) *Point {
	return b.add(Point{
		Name: name, flag: v, Space: DiscreteInput, Type: tag.TypeBool, States: []string{off, on}, Scan: "fast", History: "change",
		Description: description,
	})
}

// counter is a number that only grows, until it rolls over.
func (b *builder) counter(name string, v *float64, unit, description string) *Point {
	return b.add(Point{
		Name: name, number: v, Space: InputRegister, Type: tag.TypeUint32, Unit: unit, Scan: "slow", History: "change",
		Description: description,
	})
}

// word is a register of status bits; bit i is the i-th name, an empty name is an unused bit.
func (b *builder) word(name string, v *float64, description string, bits ...string) *Point {
	p := *b.add(Point{Name: name, number: v, Space: InputRegister, Type: tag.TypeUint16, History: "change", Description: description})
	at := len(b.points) - 1
	for i, bit := range bits {
		if bit == "" {
			continue
		}
		q := p
		q.Name, q.Type, q.mask = p.Name+"_"+bit, tag.TypeBool, 1<<i
		q.Bit, q.States, q.Description = i, []string{"no", "yes"}, description+": "+strings.ReplaceAll(bit, "_", " ")
		if b.device == Mixer {
			q.Bit, q.Node = NoBit, nodeName(q.Name)
		}
		b.points = append(b.points, q)
	}
	return &b.points[at]
}

// words is a text operators write.
func (b *builder) words(name string, v *string, n int, description string) *Point {
	return b.add(Point{
		Name: name, text: v, Length: n, Space: HoldingRegister, Type: tag.TypeString, Writable: true, Scan: "slow", History: "change",
		Description: description,
	})
}

func (p *Point) fast() *Point    { p.Scan = "fast"; return p }
func (p *Point) slow() *Point    { p.Scan = "slow"; return p }
func (p *Point) watched() *Point { p.Watched = true; return p }

// nodeName turns mixer/polymer/reset_time into Mixer.Polymer.ResetTime.
func nodeName(name string) string {
	var out strings.Builder
	up := true
	for _, r := range name {
		switch {
		case r == '/':
			out.WriteByte('.')
			up = true
		case r == '_':
			up = true
		case up:
			out.WriteString(strings.ToUpper(string(r)))
			up = false
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}
