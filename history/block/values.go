package block

import (
	"encoding/binary"
	"fmt"
	"math"

	"scada/acquisition/tag"
)

// codec says how numbers became the integers (or bits) of the value column.
type codec uint8

const (
	codecNone    codec = iota // no numbers in the block
	codecInt                  // the bits are the integer
	codecLinear               // raw device numbers, with their scaling in the block
	codecDecimal              // value = n / 10^k
	codecOrdinal              // float32 in an order-preserving map to integers
	codecXOR                  // bits, each against the one before
	codecEnd
)

const maxDecimals = 6

var powers = [maxDecimals + 1]float64{1, 10, 100, 1000, 1e4, 1e5, 1e6}

// mapping turns numbers into integers and back; its parameters are stored in the block.
type mapping struct {
	codec    codec
	typ      tag.Type // of the numbers, for codecLinear
	scale    tag.Linear
	decimals int
}

// toInt returns the integer that stands for a number, and whether it gives back every bit of it.
func (m *mapping) toInt(bits uint64) (int64, bool) {
	const limit = 1 << 53
	switch m.codec {
	case codecInt:
		return int64(bits), true
	case codecLinear:
		raw := math.RoundToEven(m.scale.Unscale(math.Float64frombits(bits)))
		if !(math.Abs(raw) < limit) { // NaN too
			return 0, false
		}
		n := int64(raw)
		return n, m.toBits(n) == bits
	case codecDecimal:
		scaled := math.RoundToEven(math.Float64frombits(bits) * powers[m.decimals])
		if !(math.Abs(scaled) < limit) {
			return 0, false
		}
		n := int64(scaled)
		return n, m.toBits(n) == bits
	case codecOrdinal:
		f := math.Float64frombits(bits)
		i := int32(math.Float32bits(float32(f)))
		n := int64(i ^ (i >> 31 & math.MaxInt32))
		return n, m.toBits(n) == bits
	}
	return int64(bits), true
}

// toBits is the inverse of toInt.
func (m *mapping) toBits(n int64) uint64 {
	switch m.codec {
	case codecLinear:
		v := m.scale.Scale(float64(n))
		if m.typ == tag.TypeFloat32 {
			v = float64(float32(v))
		}
		return math.Float64bits(v)
	case codecDecimal:
		return math.Float64bits(float64(n) / powers[m.decimals])
	case codecOrdinal:
		i := int32(n)
		return math.Float64bits(float64(math.Float32frombits(uint32(i ^ (i >> 31 & math.MaxInt32)))))
	}
	return uint64(n)
}

// integers maps all numbers, or reports that the mapping does not fit one of them.
func (m *mapping) integers(out []int64, numbers []uint64) bool {
	out = out[:len(numbers)]
	if m.codec == codecLinear {
		return m.rawNumbers(out, numbers)
	}
	for i, b := range numbers {
		n, ok := m.toInt(b)
		if !ok {
			return false
		}
		out[i] = n
	}
	return true
}

// rawNumbers is integers for a linear mapping.
func (m *mapping) rawNumbers(out []int64, numbers []uint64) bool {
	for i, b := range numbers {
		if i > 0 && b == numbers[i-1] {
			out[i] = out[i-1]
			continue
		}
		n, ok := m.toInt(b)
		if !ok {
			return false
		}
		out[i] = n
	}
	return true
}

// decimalsOf returns the smallest number of decimals with which every number is exact.
func decimalsOf(numbers []uint64) (int, bool) {
	m := mapping{codec: codecDecimal}
	for i, b := range numbers {
		if i > 0 && b == numbers[i-1] {
			continue
		}
		for {
			if _, ok := m.toInt(b); ok {
				break
			}
			if m.decimals++; m.decimals > maxDecimals {
				return 0, false
			}
		}
	}
	return m.decimals, true
}

// class describes which types the numbers of a block have.
type class int

const (
	classNone  class = iota
	classInt         // booleans and integers
	classF64         // only float64
	classF32         // only float32
	classMixed       // integers and floats: only the bits are common
)

func (c *Columns) class() class {
	got := classNone
	for _, r := range c.runs {
		k := classInt
		switch r.typ {
		case tag.TypeNone, tag.TypeString:
			continue
		case tag.TypeFloat64:
			k = classF64
		case tag.TypeFloat32:
			k = classF32
		}
		if got != classNone && got != k {
			return classMixed
		}
		got = k
	}
	return got
}

// encodeValues chooses the smallest exact form of the numbers. Equal numbers always get the same form.
func (e *Encoder) encodeValues(c *Columns, k class, scale tag.Linear, ints intForm) (mapping, []byte) {
	if k == classNone {
		return mapping{}, nil
	}
	numbers := c.numbers()
	e.ints = sized(e.ints, len(numbers))
	linear := mapping{codec: codecLinear, typ: tag.TypeFloat64, scale: scale}
	if k == classF32 {
		linear.typ = tag.TypeFloat32
	}
	switch {
	case k == classInt:
		m := mapping{codec: codecInt}
		m.integers(e.ints, numbers)
		e.column = ints(e.column[:0], e.ints)
		return m, e.column
	case k == classMixed:
		e.column = appendXOR(e.column[:0], numbers)
		return mapping{codec: codecXOR}, e.column
	case c.raw != nil && c.rawBy == linear: // known already
		e.column = ints(e.column[:0], c.raw)
		return linear, e.column
	case usable(scale) && linear.integers(e.ints, numbers):
		e.column = ints(e.column[:0], e.ints)
		return linear, e.column
	}
	best, data := mapping{}, []byte(nil)
	try := func(m mapping) {
		if m.integers(e.ints, numbers) {
			if d := ints(nil, e.ints); data == nil || len(d) < len(data) {
				best, data = m, d
			}
		}
	}
	if d, ok := decimalsOf(numbers); ok {
		try(mapping{codec: codecDecimal, decimals: d})
	}
	try(mapping{codec: codecOrdinal})
	if data == nil || len(data) > 4*len(numbers) {
		if d := appendXOR(nil, numbers); data == nil || len(d) < len(data) {
			best, data = mapping{codec: codecXOR}, d
		}
	}
	return best, data
}

// usable reports whether a scaling can be computed with: finite, and neither end of it a single point.
func usable(l tag.Linear) bool {
	sum := l.RawLow + l.RawHigh + l.Low + l.High
	return !l.IsZero() && l.RawLow != l.RawHigh && l.Low != l.High && !math.IsNaN(sum) && !math.IsInf(sum, 0)
}

func (m *mapping) appendParameters(dst []byte) []byte {
	switch m.codec {
	case codecLinear:
		dst = append(dst, byte(m.typ))
		for _, f := range [...]float64{m.scale.RawLow, m.scale.RawHigh, m.scale.Low, m.scale.High} {
			dst = appendFloat(dst, f)
		}
	case codecDecimal:
		dst = append(dst, byte(m.decimals))
	}
	return dst
}

func (m *mapping) readParameters(r *reader) {
	switch m.codec {
	case codecLinear:
		if m.typ = tag.Type(r.Byte()); m.typ != tag.TypeFloat64 && m.typ != tag.TypeFloat32 {
			r.Fail("type of a scaled number")
		}
		m.scale = tag.Linear{RawLow: r.float(), RawHigh: r.float(), Low: r.float(), High: r.float()}
		if !usable(m.scale) {
			r.Fail("scaling")
		}
	case codecDecimal:
		if m.decimals = int(r.Byte()); m.decimals > maxDecimals {
			r.Fail("number of decimals")
		}
	}
}

// appendNumber appends one number of the block in the form its codec gives it.
func (m *mapping) appendNumber(dst []byte, bits uint64) []byte {
	if m.codec != codecXOR && m.codec != codecNone {
		n, _ := m.toInt(bits)
		return binary.AppendVarint(dst, n)
	}
	return binary.LittleEndian.AppendUint64(dst, bits)
}

func (m *mapping) readNumber(r *reader) uint64 {
	if m.codec != codecXOR && m.codec != codecNone {
		return m.toBits(r.Varint())
	}
	return r.Uint64()
}

// appendFloat appends a float: twice a small whole number as varint, or 1 and eight bytes.
func appendFloat(dst []byte, f float64) []byte {
	if n := int64(f); math.Abs(f) < 1<<40 && math.Float64bits(float64(n)) == math.Float64bits(f) {
		return binary.AppendVarint(dst, n*2)
	}
	return binary.LittleEndian.AppendUint64(binary.AppendVarint(dst, 1), math.Float64bits(f))
}

func (d *Decoder) readValues(m *mapping, out []uint64, b []byte) error {
	if m.codec == codecXOR {
		return readXOR(out, b)
	}
	d.ints = sized(d.ints, len(out))
	rest, err := readInts(d.ints, b)
	if err != nil {
		return err
	}
	if len(rest) != 0 {
		return fmt.Errorf("%w: %d bytes behind the numbers", ErrFormat, len(rest))
	}
	m.fill(out, d.ints)
	return nil
}

// fill is toBits for many numbers, with what they share taken out of the loops.
func (m *mapping) fill(out []uint64, ints []int64) {
	out = out[:len(ints)]
	switch {
	case m.codec == codecLinear && m.typ == tag.TypeFloat64 && usable(m.scale):
		// Term by term as Scale computes it: every bit must come out the same.
		rawLow, low, span, raw := m.scale.RawLow, m.scale.Low, m.scale.High-m.scale.Low, m.scale.RawHigh-m.scale.RawLow
		for i, n := range ints {
			out[i] = math.Float64bits(low + (float64(n)-rawLow)*span/raw)
		}
	case m.codec == codecDecimal:
		by := powers[m.decimals]
		for i, n := range ints {
			out[i] = math.Float64bits(float64(n) / by)
		}
	case m.codec == codecInt:
		for i, n := range ints {
			out[i] = uint64(n)
		}
	default:
		for i, n := range ints {
			out[i] = m.toBits(n)
		}
	}
}

// Raw returns the whole number that, scaled, gives exactly these bits of a float of the type; ok is false if there is none.
func Raw(l tag.Linear, typ tag.Type, bits uint64) (n int64, ok bool) {
	if !usable(l) || !typ.IsFloat() {
		return 0, false
	}
	m := mapping{codec: codecLinear, typ: typ, scale: l}
	return m.toInt(bits)
}

// Scaled is the inverse of Raw.
func Scaled(l tag.Linear, typ tag.Type, n int64) (bits uint64) {
	m := mapping{codec: codecLinear, typ: typ, scale: l}
	return m.toBits(n)
}
