package block

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"

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
	knownFlags  = 1<<4 - 1

	// timeLimit bounds times to the years 1824 to 2116, so that differences never overflow.
	timeLimit = 1 << 62
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var units = [...]int64{1e9, 1e6, 1e3, 1}

// Encode appends the samples, which must be in order of time, as one block.
func Encode(dst []byte, samples []tag.Sample, scale tag.Linear) ([]byte, error) {
	c := &Columns{}
	for _, s := range samples {
		c.push(s)
		if n := len(c.times); n > 1 && c.times[n-2] > s.Time {
			c.disorder = true
		}
	}
	return c.Encode(dst, scale)
}

// Encode appends the columns, which must be in order of time, as one block. The scaling is the one the values came
// through, if any; it makes the block smaller, never different.
func (c *Columns) Encode(dst []byte, scale tag.Linear) ([]byte, error) {
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
	numbers, k := c.numbers(), c.class()
	m, values := encodeValues(numbers, k, scale)
	flags := c.flags(k)
	unit := c.unit()
	start := len(dst)
	dst = append(dst, version, flags, byte(c.runs[0].typ), byte(unit), byte(m.codec))
	dst = binary.AppendUvarint(dst, uint64(n))
	dst = binary.AppendVarint(dst, c.times[0]/units[unit])
	dst = binary.AppendUvarint(dst, uint64((c.times[n-1]-c.times[0])/units[unit]))
	dst = m.appendParameters(dst)
	if flags&flagSummary != 0 {
		dst = c.appendSummary(dst, flags, unit, &m)
	}
	dst = c.appendTimes(dst, units[unit])
	if flags&flagUniform == 0 {
		dst = appendColumn(dst, c.appendRuns(nil))
	}
	dst = appendColumn(dst, values)
	if flags&flagSummary == 0 {
		dst = c.appendTexts(dst)
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

// unit returns the index of the largest unit all times are whole multiples of.
func (c *Columns) unit() int {
	u := 0
	for _, t := range c.times {
		for t%units[u] != 0 {
			u++
		}
		if u == len(units)-1 {
			break
		}
	}
	return u
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

func (c *Columns) appendTimes(dst []byte, unit int64) []byte {
	steps := make([]int64, len(c.times)-1)
	for i := range steps {
		steps[i] = (c.times[i+1] - c.times[i]) / unit
	}
	return appendColumn(dst, appendInts(nil, steps))
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
func (c *Columns) appendTexts(dst []byte) []byte {
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
	return appendColumn(dst, appendInts(column, numbers))
}

func (c *Columns) summarize() Summary {
	var s Summary
	i := 0
	for _, r := range c.runs {
		for range r.n {
			s.Add(tag.Sample{Time: c.times[i], Value: tag.FromBits(r.typ, c.bits[i], ""), Quality: r.quality})
			i++
		}
	}
	return s
}
