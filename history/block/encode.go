package block

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"

	"scada/acquisition/tag"
)

// ErrFormat is the reason for refusing bytes that are not a block.
var ErrFormat = errors.New("malformed block")

// ErrChecksum is the reason for refusing a block whose bytes changed after it was written.
var ErrChecksum = errors.New("block checksum does not match")

const (
	version = 1

	flagUniform = 1 << 0 // one numeric type throughout, no NaN, and every quality exactly Good
	flagSummary = 1 << 1 // there is a summary: no texts in the block
	flagSloped  = 1 << 2 // the summary has a sloped integral: the values are floats
	flagSteady  = 1 << 3 // uniform, and every value equal: the summary is computed from the first
	flagShared  = 1 << 4 // the times are kept outside, for several blocks
	knownFlags  = 1<<5 - 1

	// timeLimit bounds times to the years 1824 to 2116, so that differences never overflow.
	timeLimit = 1 << 62
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var units = [...]int64{1e9, 1e6, 1e3, 1}

// Encode appends the samples, which must be in order of time, as one block.
func Encode(dst []byte, samples []tag.Sample, scale tag.Linear) ([]byte, error) {
	var e Encoder
	return e.EncodeSamples(dst, samples, scale)
}

// EncodeSamples is [Encode] with the encoder's memory.
func (e *Encoder) EncodeSamples(dst []byte, samples []tag.Sample, scale tag.Linear) ([]byte, error) {
	return e.Encode(dst, e.columnsOf(samples), scale)
}

// Share keeps the times of a block where other blocks with equal times find them, and returns their number there; ok is
// false when they are to stay in the block. The bytes are valid during the call.
type Share func(times []byte) (number uint32, ok bool)

// EncodeSmall is Encode for what is kept for long: the block is smaller and takes several times the work to make. With
// share, which may be nil, the times may be kept outside; a [Decoder] with Shared set reads such a block.
func EncodeSmall(dst []byte, samples []tag.Sample, scale tag.Linear, share Share) ([]byte, error) {
	var e Encoder
	return e.encode(dst, e.columnsOf(samples), scale, form{appendSmall, share})
}

func (e *Encoder) columnsOf(samples []tag.Sample) *Columns {
	c := &e.columns
	clear(c.texts)
	*c = Columns{times: c.times[:0], bits: c.bits[:0], runs: c.runs[:0], texts: c.texts[:0]}
	c.times, c.bits = slices.Grow(c.times, len(samples)), slices.Grow(c.bits, len(samples))
	for _, s := range samples {
		c.push(s)
		if n := len(c.times); n > 1 && c.times[n-2] > s.Time {
			c.disorder = true
		}
	}
	return c
}

// Encode appends the columns, which must be in order of time, as one block. The scaling is the one the values came
// through, if any; it makes the block smaller, never different.
func (c *Columns) Encode(dst []byte, scale tag.Linear) ([]byte, error) {
	var e Encoder
	return e.Encode(dst, c, scale)
}

// Encoder encodes blocks one after the other and uses its memory again. The zero value is ready.
type Encoder struct {
	columns       Columns
	ints          []int64
	values        []float64
	times, column []byte
}

// Encode is [Columns.Encode].
func (e *Encoder) Encode(dst []byte, c *Columns, scale tag.Linear) ([]byte, error) {
	return e.encode(dst, c, scale, form{ints: appendInts})
}

// intForm appends integers in one of their forms.
type intForm func(dst []byte, v []int64) []byte

// form is how a block is written.
type form struct {
	ints  intForm
	share Share
}

func (e *Encoder) encode(dst []byte, c *Columns, scale tag.Linear, f form) ([]byte, error) {
	n := len(c.times)
	switch {
	case n == 0 || n > MaxSamples:
		return dst, fmt.Errorf("block of %d samples (1 to %d)", n, MaxSamples)
	case c.disorder:
		return dst, errors.New("samples of a block are not in order of time")
	case c.times[0] <= -timeLimit || c.times[n-1] >= timeLimit:
		return dst, errors.New("time of a sample is out of range")
	case c.textBytes > MaxTextBytes:
		return dst, fmt.Errorf("%d bytes of text in a block, the limit is %d", c.textBytes, MaxTextBytes)
	}
	k := c.class()
	m, values := e.encodeValues(c, k, scale, f.ints)
	flags := c.flags(k)
	unit := unitOf(c.times)
	times := e.timeColumn(c.times, unit, f.ints)
	if f.share != nil && len(times) >= leastShared {
		if number, ok := f.share(times); ok {
			flags |= flagShared
			times = appendShared(number, times)
		}
	}
	start := len(dst)
	dst = append(dst, version, flags, byte(c.runs[0].typ), byte(unit), byte(m.codec))
	dst = binary.AppendUvarint(dst, uint64(n))
	dst = binary.AppendVarint(dst, c.times[0]/units[unit])
	dst = binary.AppendUvarint(dst, uint64((c.times[n-1]-c.times[0])/units[unit]))
	dst = m.appendParameters(dst)
	if flags&flagSummary != 0 {
		dst = e.appendSummary(dst, c, flags, unit, &m)
	}
	dst = appendColumn(dst, times)
	if flags&flagUniform == 0 {
		dst = appendColumn(dst, c.appendRuns(nil))
	}
	dst = appendColumn(dst, values)
	if flags&flagSummary == 0 {
		dst = c.appendTexts(dst, f.ints)
	}
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli)), nil
}

func (c *Columns) flags(k class) byte {
	flags := byte(0)
	if len(c.runs) == 1 && c.runs[0].quality == tag.Good && c.runs[0].typ.IsNumeric() {
		flags |= flagUniform | flagSteady
		float := c.runs[0].typ.IsFloat()
		for _, b := range c.bits {
			if b != c.bits[0] {
				flags &^= flagSteady
			}
			if float && math.IsNaN(math.Float64frombits(b)) {
				flags &^= flagSteady | flagUniform
				break
			}
		}
	}
	if len(c.texts) == 0 {
		flags |= flagSummary
		if k != classInt {
			flags |= flagSloped
		}
	}
	return flags
}

// unitOf returns the index of the largest unit all times are whole multiples of.
func unitOf(times []int64) int {
	u := 0
	for _, t := range times {
		for !wholeIn(t, u) {
			u++
		}
		if u == len(units)-1 {
			break
		}
	}
	return u
}

// wholeIn reports whether a time is a whole multiple of a unit. It is spelt out, here and in perUnit, because dividing by a
// constant is many times quicker.
func wholeIn(t int64, unit int) bool {
	switch unit {
	case 0:
		return t%1e9 == 0
	case 1:
		return t%1e6 == 0
	case 2:
		return t%1e3 == 0
	}
	return true
}

// perUnit divides times, which are whole multiples of a unit, by it.
func perUnit(times []int64, unit int) {
	for i, t := range times {
		switch unit {
		case 0:
			times[i] = t / 1e9
		case 1:
			times[i] = t / 1e6
		case 2:
			times[i] = t / 1e3
		}
	}
}

// numbers returns the bits of the samples that have a number, in order.
func (c *Columns) numbers() []uint64 {
	if len(c.runs) == 1 && c.runs[0].typ.IsNumeric() {
		return c.bits
	}
	var out []uint64
	i := 0
	for _, r := range c.runs {
		if r.typ.IsNumeric() {
			out = append(out, c.bits[i:i+r.n]...)
		}
		i += r.n
	}
	return out
}

func appendColumn(dst, column []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(column))), column...)
}

// leastShared is the length of a column of times from which on it may be kept outside: a reference takes some bytes, and
// a look-up some time.
const leastShared = 24

func (e *Encoder) timeColumn(times []int64, unit int, ints intForm) []byte {
	e.ints = sized(e.ints, len(times)-1)
	for i := range e.ints {
		e.ints[i] = times[i+1] - times[i]
	}
	perUnit(e.ints, unit)
	e.times = ints(e.times[:0], e.ints)
	return e.times
}

// appendShared returns what stands in a block for times kept outside: their number, and the checksum that tells whether
// they are the right ones.
func appendShared(number uint32, times []byte) []byte {
	return binary.LittleEndian.AppendUint32(binary.AppendUvarint(nil, uint64(number)), crc32.Checksum(times, castagnoli))
}

// appendRuns appends the dictionary of (type, quality) pairs, then per run the pair's number and the length.
func (c *Columns) appendRuns(dst []byte) []byte {
	type pair struct {
		typ     tag.Type
		quality tag.Quality
	}
	index := map[pair]int{}
	var dict, body []byte
	for _, r := range c.runs {
		p := pair{r.typ, r.quality}
		k, ok := index[p]
		if !ok {
			k = len(index)
			index[p] = k
			dict = append(dict, byte(p.typ))
			dict = binary.AppendUvarint(dict, uint64(p.quality))
		}
		body = binary.AppendUvarint(body, uint64(k))
		body = binary.AppendUvarint(body, uint64(r.n))
	}
	dst = binary.AppendUvarint(dst, uint64(len(index)))
	return append(append(dst, dict...), body...)
}

// appendTexts appends the dictionary of texts in order of appearance, then the number of each sample's text.
func (c *Columns) appendTexts(dst []byte, ints intForm) []byte {
	index := map[string]int{}
	var dict []byte
	numbers := make([]int64, len(c.texts))
	for i, t := range c.texts {
		k, ok := index[t]
		if !ok {
			k = len(index)
			index[t] = k
			dict = append(binary.AppendUvarint(dict, uint64(len(t))), t...)
		}
		numbers[i] = int64(k)
	}
	column := append(binary.AppendUvarint(nil, uint64(len(index))), dict...)
	return appendColumn(dst, ints(column, numbers))
}

func (e *Encoder) summarize(c *Columns, flags byte) Summary {
	if flags&flagUniform != 0 {
		e.values = sized(e.values, len(c.bits))
		n := Numbers{Times: c.times, typ: c.runs[0].typ, bits: c.bits, values: e.values}
		n.fillValues()
		return n.Summary(0, len(c.times))
	}
	var s Summary
	for x := range c.All() {
		s.Add(x)
	}
	return s
}
