package history

import (
	"encoding/binary"
	"math"
	"math/bits"

	"scada/acquisition/tag"
	"scada/history/block"
)

// What is kept of a tag when the samples themselves are gone: a summary of each hour of UTC that has samples. Where a gap
// begins between two samples the hour is cut, so that time nobody recorded is known to be so.

const (
	hourNanos = int64(3600e9)
	dayNanos  = 24 * hourNanos
	// maxPieces bounds the pieces of an hour: with more gaps than that the last piece holds the rest.
	maxPieces    = 32
	hourlyFormat = 1
)

// Flags of a piece.
const (
	pieceGood   = 1 << iota // every sample is Good and a number, of one type
	pieceSteady             // and they are all equal
	pieceNumbers
	pieceFlags = pieceGood | pieceSteady | pieceNumbers
)

// hourly makes the summaries of a day's samples, which are in order.
type hourly struct {
	gaps   []Gap // in order of From
	pieces []block.Summary
	count  int // pieces of the present hour
	some   bool
}

func (h *hourly) add(x tag.Sample) {
	cut := !h.some
	if h.some {
		last := &h.pieces[len(h.pieces)-1]
		for len(h.gaps) > 0 && h.gaps[0].From < x.Time {
			cut = cut || h.gaps[0].From >= last.Last.Time && h.count < maxPieces
			h.gaps = h.gaps[1:]
		}
		if last.First.Time/hourNanos != x.Time/hourNanos {
			cut, h.count = true, 0
		}
	}
	if x.Value.Type() == tag.TypeString {
		x.Value = tag.Value{} // texts are not kept
	}
	if cut {
		h.pieces = append(h.pieces, block.Summary{})
		h.count++
		h.some = true
	}
	h.pieces[len(h.pieces)-1].Add(x)
}

// samplesIn returns how many samples the pieces are of.
func samplesIn(pieces []block.Summary) (n int) {
	for i := range pieces {
		n += pieces[i].Count
	}
	return n
}

// appendHourly appends the record of a day that begins at start. The same pieces give the same bytes.
func appendHourly(dst []byte, start int64, pieces []block.Summary) []byte {
	dst = append(dst, hourlyFormat)
	dst = binary.AppendUvarint(dst, uint64(len(pieces)))
	at := start
	for i := range pieces {
		dst = appendPiece(dst, at, &pieces[i])
		at = pieces[i].Last.Time
	}
	return dst
}

// allNumbers reports whether a piece has good numbers of one type alone.
func allNumbers(s *block.Summary) bool {
	t := s.First.Value.Type()
	return s.Good == s.Count && s.Numbers == s.Count && s.Worst == tag.Good && t == s.Last.Value.Type() && t == s.Min.Value.Type() && t == s.Max.Value.Type()
}

// equalNumbers reports whether a piece of good numbers has one number alone.
func equalNumbers(s *block.Summary) bool {
	return s.Transitions == 0 && s.Min.Value == s.Max.Value
}

func appendPiece(dst []byte, at int64, s *block.Summary) []byte {
	flags := byte(0)
	if s.Numbers > 0 {
		flags |= pieceNumbers
	}
	if allNumbers(s) {
		flags |= pieceGood
		if equalNumbers(s) {
			flags |= pieceSteady
		}
	}
	dst = append(dst, flags)
	dst = binary.AppendUvarint(dst, uint64(s.First.Time-at))
	dst = binary.AppendUvarint(dst, uint64(s.Last.Time-s.First.Time))
	dst = binary.AppendUvarint(dst, uint64(s.Count))
	if flags&pieceSteady != 0 {
		return appendValue(append(dst, byte(s.First.Value.Type())), s.First.Value)
	}
	dst = binary.AppendUvarint(dst, uint64(s.Transitions))
	point := func(x tag.Sample) {
		if flags&pieceGood == 0 {
			dst = append(dst, byte(x.Value.Type()))
			dst = binary.AppendUvarint(dst, uint64(x.Quality))
		}
		dst = appendValue(dst, x.Value)
	}
	if flags&pieceGood != 0 {
		dst = append(dst, byte(s.First.Value.Type()))
	} else {
		for _, v := range [...]uint64{uint64(s.Good), uint64(s.Uncertain), uint64(s.Numbers), uint64(s.Worst), uint64(s.GoodTime), uint64(s.UncertainTime)} {
			dst = binary.AppendUvarint(dst, v)
		}
	}
	point(s.First)
	point(s.Last)
	if flags&pieceNumbers == 0 {
		return dst
	}
	for _, x := range [...]tag.Sample{s.Min, s.Max} {
		point(x)
		dst = binary.AppendUvarint(dst, uint64(x.Time-s.First.Time))
	}
	for _, f := range [...]float64{s.Sum, s.Deviations, s.Stepped, s.Sloped} {
		dst = appendFloat(dst, f)
	}
	return dst
}

// appendValue appends a value whose type is known. Of most floats the last bytes are zero.
func appendValue(dst []byte, v tag.Value) []byte {
	switch {
	case v.IsNone():
		return dst
	case v.Type().IsFloat():
		return binary.AppendUvarint(dst, bits.ReverseBytes64(v.Bits()))
	}
	return binary.AppendUvarint(dst, v.Bits())
}

// readHourly reads the record of a day that begins at start.
func readHourly(b []byte, start int64) ([]block.Summary, error) {
	r := newReader(b)
	if v := r.Byte(); r.Err() == nil && v != hourlyFormat {
		r.Fail("version of hourly summaries")
	}
	n := r.Length(24 * maxPieces)
	var out []block.Summary
	for at := start; len(out) < n && r.Err() == nil; {
		s := readPiece(r, at, start+dayNanos)
		at = s.Last.Time
		out = append(out, s)
	}
	if r.Err() == nil && len(r.Left()) > 0 {
		r.Fail("end of hourly summaries")
	}
	return out, r.Err()
}

// readTime reads a time that is at or after one, and before another.
func readTime(r *tag.Reader, after, before int64) int64 {
	d := r.Uvarint()
	if r.Err() == nil && d >= uint64(before-after) {
		r.Fail("time of a piece")
	}
	if r.Err() != nil {
		return after
	}
	return after + int64(d)
}

func readPiece(r *tag.Reader, at, end int64) (s block.Summary) {
	flags := r.Byte()
	if flags&^pieceFlags != 0 || flags&pieceGood != 0 && flags&pieceNumbers == 0 || flags&pieceSteady != 0 && flags&pieceGood == 0 {
		r.Fail("flags of a piece")
	}
	s.First.Time = readTime(r, at, end)
	s.Last.Time = readTime(r, s.First.Time, min(end, (s.First.Time/hourNanos+1)*hourNanos))
	if s.Count = r.Length(math.MaxInt32); s.Count == 0 {
		r.Fail("piece without samples")
	}
	if flags&pieceSteady != 0 {
		return readSteady(r, s)
	}
	s.Transitions = r.Length(s.Count)
	typ := tag.TypeNone
	if flags&pieceGood != 0 {
		typ = readType(r)
		s.Good, s.Numbers, s.GoodTime = s.Count, s.Count, s.Last.Time-s.First.Time
	} else {
		s.Good, s.Uncertain, s.Numbers = r.Length(s.Count), r.Length(s.Count), r.Length(s.Count)
		if s.Numbers > 0 != (flags&pieceNumbers != 0) {
			r.Fail("numbers of a piece")
		}
		s.Worst = tag.Quality(r.Uvarint32())
		whole := s.Last.Time - s.First.Time
		s.GoodTime = readTime(r, 0, whole+1)
		s.UncertainTime = readTime(r, 0, whole-s.GoodTime+1)
	}
	point := func(x *tag.Sample) {
		t := typ
		if flags&pieceGood == 0 {
			t = readType(r)
			x.Quality = tag.Quality(r.Uvarint32())
		}
		x.Value = readValue(r, t)
	}
	point(&s.First)
	point(&s.Last)
	if flags&pieceNumbers == 0 {
		return s
	}
	for _, x := range [...]*tag.Sample{&s.Min, &s.Max} {
		point(x)
		x.Time = readTime(r, s.First.Time, s.Last.Time+1)
	}
	s.Sum, s.Deviations, s.Stepped, s.Sloped = r.Float64(), r.Float64(), r.Float64(), r.Float64()
	if good := flags&pieceGood != 0; good != allNumbers(&s) || good && equalNumbers(&s) {
		r.Fail("kind of a piece") // it is written as what it is
	}
	return s
}

// readSteady completes a piece of equal numbers.
func readSteady(r *tag.Reader, s block.Summary) block.Summary {
	v := readValue(r, readType(r))
	s.First.Value, s.Last.Value = v, v
	s.Min, s.Max = s.First, s.First
	s.Good, s.Numbers, s.GoodTime = s.Count, s.Count, s.Last.Time-s.First.Time
	s.Sum = v.Number() * float64(s.Count)
	s.Stepped = v.Number() * float64(s.GoodTime) / 1e9
	s.Sloped = s.Stepped
	return s
}

func readType(r *tag.Reader) tag.Type {
	t := tag.Type(r.Byte())
	if r.Err() == nil && t != tag.TypeNone && !t.IsNumeric() {
		r.Fail("type of a piece")
	}
	return t
}

func readValue(r *tag.Reader, t tag.Type) tag.Value {
	switch {
	case t == tag.TypeNone:
		return tag.Value{}
	case t.IsFloat():
		return tag.FromBits(t, bits.ReverseBytes64(r.Uvarint()), "")
	}
	return tag.FromBits(t, r.Uvarint(), "")
}
