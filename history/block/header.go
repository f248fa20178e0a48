package block

import (
	"encoding/binary"
	"math"

	"scada/acquisition/tag"
)

// appendSummary appends what cannot be computed from the fixed part of the header.
func (e *Encoder) appendSummary(dst []byte, c *Columns, flags byte, unit int, m *mapping) []byte {
	if flags&flagSteady != 0 {
		return m.appendNumber(dst, c.bits[0])
	}
	s := e.summarize(c, flags)
	uniform := flags&flagUniform != 0
	point := func(x tag.Sample) {
		if !uniform {
			dst = append(dst, byte(x.Value.Type()))
			dst = binary.AppendUvarint(dst, uint64(x.Quality))
		}
		if x.Value.Type() != tag.TypeNone {
			dst = m.appendNumber(dst, x.Value.Bits())
		}
	}
	dst = binary.AppendUvarint(dst, uint64(s.Transitions))
	if !uniform {
		for _, v := range [...]uint64{uint64(s.Good), uint64(s.Uncertain), uint64(s.Numbers), uint64(s.Worst), uint64(s.GoodTime / units[unit]), uint64(s.UncertainTime / units[unit])} {
			dst = binary.AppendUvarint(dst, v)
		}
	}
	point(s.First)
	point(s.Last)
	if s.Numbers == 0 {
		return dst
	}
	for _, x := range [...]tag.Sample{s.Min, s.Max} {
		point(x)
		dst = binary.AppendUvarint(dst, uint64((x.Time-c.times[0])/units[unit]))
	}
	dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(s.Sum))
	dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(s.Deviations))
	dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(s.Stepped))
	if flags&flagSloped != 0 {
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(s.Sloped))
	}
	return dst
}

// head is the decoded fixed part of a block.
type head struct {
	flags       byte
	typ         tag.Type
	unit        int64
	m           mapping
	count       int
	first, last int64
}

func (h *head) uniform() bool { return h.flags&flagUniform != 0 }

func readHead(r *reader) head {
	h := head{}
	v := r.Byte()
	h.flags, h.typ = r.Byte(), tag.Type(r.Byte())
	u := r.Byte()
	h.m.codec = codec(r.Byte())
	if r.Err() != nil {
		return h
	}
	switch {
	case v != version:
		r.Fail("version")
	case h.flags&^knownFlags != 0 || (h.flags&flagSteady != 0 && h.flags&(flagUniform|flagSummary) != flagUniform|flagSummary):
		r.Fail("flags")
	case h.typ != tag.TypeNone && !h.typ.Valid():
		r.Fail("type")
	case h.uniform() && (!h.typ.IsNumeric() || h.m.codec == codecNone):
		r.Fail("type of a uniform block")
	case int(u) >= len(units):
		r.Fail("unit of time")
	case h.m.codec >= codecEnd:
		r.Fail("value codec")
	}
	if r.Err() != nil {
		return h
	}
	h.unit = units[u]
	h.count = r.Length(MaxSamples)
	if h.count == 0 {
		r.Fail("no samples")
	}
	h.first = r.multiple(h.unit)
	h.last = h.first + r.step(h.unit)
	if h.first <= -timeLimit || h.last >= timeLimit || h.last < h.first {
		r.Fail("time out of range")
	}
	h.m.readParameters(r)
	return h
}

func (h *head) readSummary(r *reader) Summary {
	s := Summary{Count: h.count, Good: h.count, Numbers: h.count, GoodTime: h.last - h.first}
	if h.flags&flagSteady != 0 {
		return steady(s, h, tag.FromBits(h.typ, h.m.readNumber(r), ""))
	}
	s.Transitions = r.Length(MaxSamples)
	if !h.uniform() {
		s.Good, s.Uncertain, s.Numbers = r.Length(h.count), r.Length(h.count), r.Length(h.count)
		s.Worst = tag.Quality(r.Uvarint32())
		s.GoodTime, s.UncertainTime = r.step(h.unit), r.step(h.unit)
	}
	s.First, s.Last = h.readPoint(r), h.readPoint(r)
	s.First.Time, s.Last.Time = h.first, h.last
	if s.Numbers == 0 {
		return s
	}
	for _, p := range [...]*tag.Sample{&s.Min, &s.Max} {
		*p = h.readPoint(r)
		if p.Time = h.first + r.step(h.unit); p.Time > h.last || p.Time < h.first {
			r.Fail("time of an extreme")
		}
	}
	s.Sum = math.Float64frombits(r.Uint64())
	s.Deviations = math.Float64frombits(r.Uint64())
	s.Stepped = math.Float64frombits(r.Uint64())
	if h.flags&flagSloped != 0 {
		s.Sloped = math.Float64frombits(r.Uint64())
	} else {
		s.Sloped = math.NaN()
	}
	return s
}

func (h *head) readPoint(r *reader) tag.Sample {
	typ, q := h.typ, tag.Good
	if !h.uniform() {
		typ, q = tag.Type(r.Byte()), tag.Quality(r.Uvarint32())
	}
	switch {
	case typ == tag.TypeNone:
		return tag.Sample{Quality: q}
	case !typ.IsNumeric():
		r.Fail("type in the summary")
		return tag.Sample{}
	}
	return tag.Sample{Value: tag.FromBits(typ, h.m.readNumber(r), ""), Quality: q}
}

// steady completes the summary of a block whose samples are all Good and equal.
func steady(s Summary, h *head, v tag.Value) Summary {
	s.First, s.Last = tag.Sample{Time: h.first, Value: v}, tag.Sample{Time: h.last, Value: v}
	s.Min, s.Max = s.First, s.First
	s.Sum = v.Number() * float64(s.Count)
	s.Stepped = v.Number() * (float64(s.GoodTime) / second)
	s.Sloped = s.Stepped
	return s
}
