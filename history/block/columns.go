package block

import (
	"iter"
	"slices"
	"sort"

	"scada/acquisition/tag"
)

// Limits of one block.
const (
	// MaxSamples is the largest number of samples in a block.
	MaxSamples = 1 << 20
	// MaxTextBytes is the largest sum of the texts in a block.
	MaxTextBytes = 16 << 20
)

// run is a stretch of samples of one type and one quality.
type run struct {
	n       int
	quality tag.Quality
	typ     tag.Type
}

// Columns collects the samples of one tag, by column: 16 bytes a sample for numbers. The zero value is empty.
type Columns struct {
	times     []int64
	bits      []uint64 // of text samples: the index into texts
	runs      []run
	texts     []string
	textBytes int
	disorder  bool

	raw   []int64 // what all numbers stand for in rawBy, where that is known; then every sample is a number
	rawBy mapping
}

// Len returns the number of samples.
func (c *Columns) Len() int { return len(c.times) }

// Sorted reports whether the samples are known to be in order of time, each once.
func (c *Columns) Sorted() bool { return !c.disorder }

// Full reports whether a sample with so many bytes of text would be over the limits of a block.
func (c *Columns) Full(text int) bool {
	return len(c.times) >= MaxSamples || c.textBytes+text > MaxTextBytes
}

// Append adds a sample. It reports false, adding nothing, when the sample equals one just before it with the same time.
func (c *Columns) Append(s tag.Sample) bool {
	if n := len(c.times); n > 0 {
		if last := c.times[n-1]; s.Time == last {
			if c.repeats(s) {
				return false
			}
		} else if s.Time < last {
			c.disorder = true
		}
	}
	c.push(s)
	return true
}

func (c *Columns) push(s tag.Sample) {
	c.times = append(c.times, s.Time)
	typ := s.Value.Type()
	if typ == tag.TypeString {
		c.bits = append(c.bits, uint64(len(c.texts)))
		c.texts = append(c.texts, s.Value.Text())
		c.textBytes += len(s.Value.Text())
	} else {
		c.bits = append(c.bits, s.Value.Bits())
	}
	if n := len(c.runs); n > 0 && c.runs[n-1].typ == typ && c.runs[n-1].quality == s.Quality {
		c.runs[n-1].n++
		return
	}
	c.runs = append(c.runs, run{n: 1, quality: s.Quality, typ: typ})
}

// recent is how many samples of one time Append looks back; what it misses, Ordered and Union find.
const recent = 16

// repeats reports whether s equals one of the samples at the end that have its time.
func (c *Columns) repeats(s tag.Sample) bool {
	r, left := len(c.runs)-1, c.runs[len(c.runs)-1].n
	for i := len(c.times) - 1; i >= max(0, len(c.times)-recent) && c.times[i] == s.Time; i-- {
		if left == 0 {
			r--
			left = c.runs[r].n
		}
		left--
		if c.sample(i, c.runs[r]) == s {
			return true
		}
	}
	if first := len(c.times) - recent; first >= 0 && c.times[first] == s.Time {
		c.disorder = true // there may be more of them: Ordered looks
	}
	return false
}

func (c *Columns) sample(i int, r run) tag.Sample {
	v := tag.FromBits(r.typ, c.bits[i], "")
	if r.typ == tag.TypeString {
		v = tag.String(c.texts[c.bits[i]])
	}
	return tag.Sample{Time: c.times[i], Value: v, Quality: r.quality}
}

// All returns the samples in the order they were appended.
func (c *Columns) All() iter.Seq[tag.Sample] {
	return func(yield func(tag.Sample) bool) {
		i := 0
		for _, r := range c.runs {
			for range r.n {
				if !yield(c.sample(i, r)) {
					return
				}
				i++
			}
		}
	}
}

// Part is a stretch of samples of one type and one quality, by column.
type Part struct {
	Type    tag.Type
	Quality tag.Quality
	Times   []int64
	Bits    []uint64 // as tag.Value has them; of texts, what Text looks up
	texts   []string
}

// Text returns the text of sample i of a part whose type is text.
func (p *Part) Text(i int) string { return p.texts[p.Bits[i]] }

func (p *Part) appendTo(dst []tag.Sample) []tag.Sample {
	at := len(dst)
	dst = slices.Grow(dst, len(p.Times))[:at+len(p.Times)]
	part, bits := dst[at:], p.Bits[:len(p.Times)]
	if p.Type == tag.TypeString {
		for i, t := range p.Times {
			part[i] = tag.Sample{Time: t, Value: tag.String(p.Text(i)), Quality: p.Quality}
		}
		return dst
	}
	for i, t := range p.Times {
		x := &part[i]
		x.Time, x.Quality = t, p.Quality
		x.Value.SetNumber(p.Type, bits[i])
	}
	return dst
}

// Parts returns the samples in the order they were appended, a run of one type and quality at a time.
func (c *Columns) Parts() iter.Seq[Part] {
	return func(yield func(Part) bool) {
		i := 0
		for _, r := range c.runs {
			j := i + r.n
			if !yield(Part{Type: r.typ, Quality: r.quality, Times: c.times[i:j], Bits: c.bits[i:j], texts: c.texts}) {
				return
			}
			i = j
		}
	}
}

// Type returns the type of the first sample, of which there is at least one.
func (c *Columns) Type() tag.Type { return c.runs[0].typ }

// Span returns the times of the first and the last of the samples, of which there is at least one.
func (c *Columns) Span() (first, last int64) { return c.times[0], c.times[len(c.times)-1] }

// Finite reports whether no number is infinite or none at all.
func (c *Columns) Finite() bool {
	const exponent = 0x7ff << 52
	for p := range c.Parts() {
		if !p.Type.IsFloat() {
			continue
		}
		for _, b := range p.Bits {
			if b&exponent == exponent {
				return false
			}
		}
	}
	return true
}

// Rising reports whether every sample is later than the one before.
func (c *Columns) Rising() bool {
	for i := 1; i < len(c.times); i++ {
		if c.times[i] <= c.times[i-1] {
			return false
		}
	}
	return true
}

// Samples appends the samples with from <= time < to, in the order they were appended.
func (c *Columns) Samples(dst []tag.Sample, from, to int64) []tag.Sample {
	for x := range c.All() {
		if x.Time >= from && x.Time < to {
			dst = append(dst, x)
		}
	}
	return dst
}

// FromSamples returns columns with the samples in order of time, each once.
func FromSamples(samples []tag.Sample) *Columns {
	c := &Columns{}
	for _, s := range Union(nil, samples) {
		c.push(s)
	}
	return c
}

// Ordered returns the columns in order of time, samples of one time in the order they came, each once.
func (c *Columns) Ordered() *Columns {
	if !c.disorder {
		return c
	}
	return FromSamples(c.Samples(nil, minTime, maxTime))
}

const (
	minTime = -1 << 63
	maxTime = 1<<63 - 1
)

// Union returns the samples of a and b in order of time, each once; of samples with one time those of a come first, and
// within a and b they keep their order. It may reuse neither.
func Union(a, b []tag.Sample) []tag.Sample {
	out := make([]tag.Sample, 0, len(a)+len(b))
	out = append(append(out, a...), b...)
	byTime := func(x, y tag.Sample) int {
		switch {
		case x.Time < y.Time:
			return -1
		case x.Time > y.Time:
			return 1
		}
		return 0
	}
	if !slices.IsSortedFunc(out, byTime) {
		slices.SortStableFunc(out, byTime)
	}
	return dedup(out)
}

// Insert is Union of samples that both are in order of time, each once, and reuses a. It is quick where b is short.
func Insert(a, b []tag.Sample) []tag.Sample {
	if len(a) == 0 || len(b) == 0 || a[len(a)-1].Time < b[0].Time {
		return append(a, b...)
	}
	n := len(a) // of a, those before n are in their place yet
	a = slices.Grow(a, len(b))[:n+len(b)]
	meet := false
	for j := len(b) - 1; j >= 0; j-- {
		x := b[j]
		at := sort.Search(n, func(i int) bool { return a[i].Time > x.Time })
		copy(a[at+j+1:], a[at:n])
		a[at+j] = x
		meet = meet || at > 0 && a[at-1].Time == x.Time
		n = at
	}
	if meet {
		return dedup(a)
	}
	return a
}

// dedup removes, from samples in order of time, those that equal another one of the same time.
func dedup(s []tag.Sample) []tag.Sample {
	n := 0
	var seen moment
	for _, x := range s {
		if seen.has(x) {
			continue
		}
		seen.add(x)
		s[n] = x
		n++
	}
	return s[:n]
}

// Minus returns the samples of a that are not in b. Both are in order of time.
func Minus(a, b []tag.Sample) []tag.Sample {
	var out []tag.Sample
	var seen moment
	for _, s := range a {
		for len(b) > 0 && b[0].Time <= s.Time {
			seen.add(b[0])
			b = b[1:]
		}
		if !seen.has(s) {
			out = append(out, s)
		}
	}
	return out
}

// moment is the set of samples of one time. A source with a stuck clock makes it large, so it has an index then.
type moment struct {
	samples []tag.Sample
	index   map[tag.Sample]struct{}
}

func (m *moment) add(s tag.Sample) {
	if len(m.samples) > 0 && m.samples[0].Time != s.Time {
		m.samples, m.index = m.samples[:0], nil
	}
	m.samples = append(m.samples, s)
	if m.index != nil {
		m.index[s] = struct{}{}
	} else if len(m.samples) > recent {
		m.index = map[tag.Sample]struct{}{}
		for _, x := range m.samples {
			m.index[x] = struct{}{}
		}
	}
}

func (m *moment) has(s tag.Sample) bool {
	if m.index != nil {
		_, ok := m.index[s]
		return ok
	}
	return slices.Contains(m.samples, s)
}
