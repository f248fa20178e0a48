package plc

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"scada/acquisition/tag"
	"scada/simulators/process"
)

// cell says which point a register or bit belongs to, and which word of it.
type cell struct{ point, word int16 }

// plantBank shows one device of the plant as the memory of a Modbus unit. Addresses between points read as 0; those
// behind the last point of an area are illegal.
type plantBank struct {
	plant  *process.Plant
	device string
	sync   func()
	swap   bool // low word first
	points []process.Point
	cells  [areas][]cell
}

// NewPlantBank returns the bank of a device. order is how values of several registers are laid out, ABCD or CDAB. sync
// is called before each access and brings the plant to the present.
func NewPlantBank(plant *process.Plant, device, order string, sync func()) (Bank, error) {
	if order != "ABCD" && order != "CDAB" {
		return nil, fmt.Errorf("device %s: byte order %q is none of ABCD, CDAB", device, order)
	}
	b := &plantBank{plant: plant, device: device, sync: sync, swap: order == "CDAB", points: plant.Points()}
	found := false
	for i, p := range b.points {
		if p.Device != device || p.Space == process.Node {
			continue
		}
		found = true
		if p.Bit == process.NoBit {
			b.place(int16(i), p)
		}
	}
	if !found {
		return nil, fmt.Errorf("the plant has no Modbus device %q", device)
	}
	return b, nil
}

func (b *plantBank) place(i int16, p process.Point) {
	area := Area(p.Space)
	for word := range max(p.Registers(), 1) {
		at := int(p.Address) + word
		for len(b.cells[area]) <= at {
			b.cells[area] = append(b.cells[area], cell{point: -1})
		}
		b.cells[area][at] = cell{point: i, word: int16(word)}
	}
}

// Freeze implements [Freezer].
func (b *plantBank) Freeze(on bool) { b.plant.Hold(b.device, on) }

// Read implements [Bank]: all values are of the same instant.
func (b *plantBank) Read(area Area, addr uint16, dst []uint16) Exception {
	if int(addr)+len(dst) > len(b.cells[area]) {
		return IllegalAddress
	}
	b.sync()
	cells := b.cells[area][addr : int(addr)+len(dst)]
	points := distinct(cells)
	raws := b.plant.Raws(nil, points)
	words := map[int16][]uint16{}
	for k, i := range points {
		words[int16(i)] = b.encode(i, raws[k])
	}
	for k, c := range cells {
		if c.point >= 0 {
			dst[k] = words[c.point][c.word]
		}
	}
	return 0
}

// Write implements [Bank]. A register of a longer value changes that part of it.
func (b *plantBank) Write(area Area, addr uint16, src []uint16) Exception {
	if int(addr)+len(src) > len(b.cells[area]) {
		return IllegalAddress
	}
	b.sync()
	cells := b.cells[area][addr : int(addr)+len(src)]
	if slices.ContainsFunc(cells, func(c cell) bool { return c.point < 0 }) {
		return IllegalAddress
	}
	points := distinct(cells)
	raws := b.plant.Raws(nil, points)
	for k, i := range points {
		words := b.encode(i, raws[k])
		for n, c := range cells {
			if int(c.point) == i {
				words[c.word] = src[n]
			}
		}
		raws[k] = b.decode(i, words)
	}
	if err := b.plant.WriteRaws(points, raws); err != nil {
		return IllegalValue
	}
	return 0
}

func distinct(cells []cell) []int {
	var points []int
	for _, c := range cells {
		if c.point >= 0 && (len(points) == 0 || points[len(points)-1] != int(c.point)) {
			points = append(points, int(c.point))
		}
	}
	return points
}

// encode lays a raw value out as the words of its point.
func (b *plantBank) encode(i int, raw tag.Value) []uint16 {
	p := &b.points[i]
	words := make([]uint16, max(p.Registers(), 1))
	switch p.Type {
	case tag.TypeString:
		var text [2 * maxReadRegisters]byte
		copy(text[:p.Length], raw.Text())
		for w := range words {
			words[w] = binary.BigEndian.Uint16(text[2*w:])
		}
		return words
	case tag.TypeFloat32:
		bits := math.Float32bits(float32(raw.Number()))
		words[0], words[1] = uint16(bits>>16), uint16(bits)
	default:
		for w := range words {
			words[w] = uint16(raw.Bits() >> (16 * (len(words) - 1 - w)))
		}
	}
	if b.swap {
		slices.Reverse(words)
	}
	return words
}

// decode is the reverse of encode.
func (b *plantBank) decode(i int, words []uint16) tag.Value {
	p := &b.points[i]
	if p.Type == tag.TypeString {
		var text []byte
		for _, w := range words {
			text = binary.BigEndian.AppendUint16(text, w)
		}
		text = text[:min(len(text), p.Length)]
		for len(text) > 0 && text[len(text)-1] == 0 {
			text = text[:len(text)-1]
		}
		return tag.String(string(text))
	}
	if b.swap {
		words = slices.Clone(words)
		slices.Reverse(words)
	}
	bits := uint64(0)
	for _, w := range words {
		bits = bits<<16 | uint64(w)
	}
	switch p.Type {
	case tag.TypeBool:
		return tag.Bool(bits != 0)
	case tag.TypeFloat32:
		return tag.Float32(math.Float32frombits(uint32(bits)))
	case tag.TypeInt16:
		return tag.Int(p.Type, int64(int16(bits)))
	}
	return tag.Uint(p.Type, bits)
}
