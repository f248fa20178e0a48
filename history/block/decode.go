package block

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"slices"

	"scada/acquisition/tag"
)

// Check verifies the checksum of a block.
func Check(b []byte) error {
	_, err := body(b)
	return err
}

func body(b []byte) ([]byte, error) {
	const least = 5 + 3 + 4
	if len(b) < least {
		return nil, fmt.Errorf("%w: %d bytes", ErrFormat, len(b))
	}
	n := len(b) - 4
	if crc32.Checksum(b[:n], castagnoli) != binary.LittleEndian.Uint32(b[n:]) {
		return nil, ErrChecksum
	}
	return b[:n], nil
}

// ReadSummary returns the summary of a block; ok is false for a block with texts, which has none.
// The sloped integral is NaN when all values are integers.
func ReadSummary(b []byte) (s Summary, ok bool, err error) {
	b, err = body(b)
	if err != nil {
		return Summary{}, false, err
	}
	r := newReader(b)
	h := readHead(r)
	if r.Err() != nil || h.flags&flagSummary == 0 {
		return Summary{}, false, r.Err()
	}
	s = h.readSummary(r)
	return s, r.Err() == nil, r.Err()
}

// Bounds returns the times of the first and the last sample and the number of samples.
func Bounds(b []byte) (first, last int64, count int, err error) {
	b, err = body(b)
	if err != nil {
		return 0, 0, 0, err
	}
	r := newReader(b)
	h := readHead(r)
	return h.first, h.last, h.count, r.Err()
}

// Decode appends the samples of a block.
func Decode(dst []tag.Sample, b []byte) ([]tag.Sample, error) {
	var d Decoder
	return d.Decode(dst, b)
}

// Decode appends the samples of a block.
func (d *Decoder) Decode(dst []tag.Sample, b []byte) ([]tag.Sample, error) {
	c, err := d.Columns(b)
	if err != nil {
		return dst, err
	}
	dst = slices.Grow(dst, c.Len())
	for p := range c.Parts() {
		dst = p.appendTo(dst)
	}
	return dst, nil
}

// Columns decodes a block by column. The columns are valid until the decoder is used again; they are not appended to.
func (d *Decoder) Columns(b []byte) (*Columns, error) {
	b, err := body(b)
	if err != nil {
		return nil, err
	}
	r := newReader(b)
	h := readHead(r)
	if r.Err() == nil && h.flags&flagSummary != 0 {
		h.readSummary(r)
	}
	times := d.readTimes(r, &h)
	d.runs = append(d.runs[:0], run{n: h.count, typ: h.typ})
	if !h.uniform() {
		d.runs = readRuns(d.runs[:0], r, r.column(), h.count)
	}
	if r.Err() != nil {
		return nil, r.Err()
	}
	numbers, texts := 0, 0
	for _, run := range d.runs {
		switch {
		case run.typ.IsNumeric():
			numbers += run.n
		case run.typ == tag.TypeString:
			texts += run.n
		}
	}
	if numbers > 0 && h.m.codec == codecNone {
		r.Fail("numbers without a codec")
	}
	d.bits = sized(d.bits, h.count)
	if err := d.readValues(&h.m, d.bits[:numbers], r.column()); err != nil {
		return nil, err
	}
	d.columns = Columns{times: times, bits: d.bits, runs: d.runs}
	if h.flags&flagSummary == 0 {
		d.columns.texts = readTexts(r, r.column(), texts)
	} else if texts > 0 {
		r.Fail("texts in a block without text")
	}
	if r.Err() == nil && (times == nil || len(r.Left()) != 0) {
		r.Fail("length")
	}
	if r.Err() != nil {
		return nil, r.Err()
	}
	if numbers < h.count {
		d.columns.spread(numbers, texts)
	}
	return &d.columns, nil
}

// spread moves the numbers, which stand together at the beginning, to where their samples are, and gives the other
// samples what stands for them there.
func (c *Columns) spread(numbers, texts int) {
	for _, t := range c.texts {
		c.textBytes += len(t)
	}
	end := len(c.bits)
	for _, r := range slices.Backward(c.runs) {
		part := c.bits[end-r.n : end]
		switch {
		case r.typ.IsNumeric():
			copy(part, c.bits[numbers-r.n:numbers])
			numbers -= r.n
		case r.typ == tag.TypeString:
			texts -= r.n
			for i := range part {
				part[i] = uint64(texts + i)
			}
		default:
			clear(part)
		}
		end -= r.n
	}
}

// timesKey identifies times that are kept outside.
type timesKey struct {
	number, sum       uint32
	first, last, unit int64
	count             int
}

// readTimes returns nil when the column does not hold the times the header promises. Those of the block before are used
// again when this one shares them.
func (d *Decoder) readTimes(r *reader, h *head) []int64 {
	b := r.column()
	if r.Err() != nil || h.count == 0 {
		return nil
	}
	key := timesKey{first: h.first, last: h.last, unit: h.unit, count: h.count}
	if h.flags&flagShared != 0 {
		ref := newReader(b)
		key.number = ref.Uvarint32()
		if sum := ref.Take(4); sum != nil {
			key.sum = binary.LittleEndian.Uint32(sum)
		}
		if ref.Err() == nil && key == d.known {
			return d.times
		}
		var err error
		if b, err = d.shared(ref, key); err != nil {
			r.Adopt(err)
			return nil
		}
	}
	d.known = timesKey{}
	d.times = sized(d.times, h.count)
	times := d.times
	rest, err := readInts(times[1:], b)
	if err != nil || len(rest) != 0 {
		return nil
	}
	times[0] = h.first
	left := (h.last - h.first) / h.unit // units not passed yet
	t := h.first
	for i := 1; i < len(times); i++ {
		step := times[i]
		if step < 0 || step > left {
			return nil
		}
		left -= step
		t += step * h.unit
		times[i] = t
	}
	if left != 0 {
		return nil
	}
	if h.flags&flagShared != 0 {
		d.known = key
	}
	return times
}

// shared returns the times kept outside that a block refers to.
func (d *Decoder) shared(ref *reader, key timesKey) ([]byte, error) {
	if ref.Err() != nil {
		return nil, ref.Err()
	}
	if d.Shared == nil {
		return nil, fmt.Errorf("%w: its times are elsewhere", ErrFormat)
	}
	times := d.Shared(key.number)
	if crc32.Checksum(times, castagnoli) != key.sum {
		return nil, fmt.Errorf("shared times %d: %w", key.number, ErrChecksum)
	}
	return times, nil
}

func readRuns(runs []run, outer *reader, b []byte, count int) []run {
	r := newReader(b)
	dict := make([]run, r.Length(len(b)))
	for i := range dict {
		dict[i] = run{typ: tag.Type(r.Byte()), quality: tag.Quality(r.Uvarint32())}
		if dict[i].typ != tag.TypeNone && !dict[i].typ.Valid() {
			r.Fail("type of a run")
		}
	}
	for left := count; left > 0 && r.Err() == nil; {
		k := r.Length(len(dict) - 1)
		n := r.Length(left)
		if n == 0 || r.Err() != nil {
			r.Fail("length of a run")
			break
		}
		next := dict[k]
		next.n = n
		runs = append(runs, next)
		left -= n
	}
	if r.Err() == nil && len(r.Left()) != 0 {
		r.Fail("bytes behind the runs")
	}
	outer.Adopt(r.Err())
	return runs
}

func readTexts(outer *reader, b []byte, count int) []string {
	r := newReader(b)
	dict := make([]string, r.Length(len(b)))
	for i := range dict {
		dict[i] = string(r.Take(r.Length(tag.MaxText)))
	}
	numbers := make([]int64, count)
	rest, err := readInts(numbers, r.Left())
	if r.Err() == nil && (err != nil || len(rest) != 0) {
		r.Fail("numbers of the texts")
	}
	texts := make([]string, count)
	for i, k := range numbers {
		if k < 0 || k >= int64(len(dict)) {
			r.Fail("number of a text")
			break
		}
		texts[i] = dict[k]
	}
	outer.Adopt(r.Err())
	return texts
}

// reader takes the values of a block off the front of bytes.
type reader struct{ tag.Reader }

func newReader(b []byte) *reader { return &reader{tag.NewReader(b, ErrFormat)} }

// step returns a duration: a number of units, in nanoseconds.
func (r *reader) step(unit int64) int64 {
	v := r.Uvarint()
	if v > uint64(2*timeLimit-1)/uint64(unit) {
		r.Fail("duration out of range")
		return 0
	}
	return int64(v) * unit
}

// multiple returns a time given in units.
func (r *reader) multiple(unit int64) int64 {
	v := r.Varint()
	if v > timeLimit/unit || v < -timeLimit/unit {
		r.Fail("time out of range")
		return 0
	}
	return v * unit
}

func (r *reader) float() float64 {
	n := r.Varint()
	if n&1 == 0 {
		return float64(n / 2)
	}
	return math.Float64frombits(r.Uint64())
}

func (r *reader) column() []byte { return r.Take(r.Length(len(r.Left()))) }
