package block

import (
	"math"

	"scada/acquisition/tag"
)

// Decoder decodes blocks one after the other and uses its memory again. The zero value is ready.
type Decoder struct {
	// Shared returns the times that blocks keep outside by their number, nil if there are none. It may be nil.
	Shared func(number uint32) []byte

	known   timesKey // of times, when they are kept outside
	times   []int64
	ints    []int64
	bits    []uint64
	values  []float64
	runs    []run
	columns Columns
}

// Numbers are the samples of a block of one numeric type whose quality is Good throughout, by column. They are valid
// until the decoder is used again.
type Numbers struct {
	Times  []int64
	typ    tag.Type
	bits   []uint64
	values []float64
}

// sized returns memory for n elements, the given one if it is large enough.
func sized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, n+n/4)
	}
	return s[:n]
}

// Numbers decodes a block by column; ok is false, without an error, for a block of other content: use Decode.
func (d *Decoder) Numbers(b []byte) (n Numbers, ok bool, err error) {
	b, err = body(b)
	if err != nil {
		return Numbers{}, false, err
	}
	r := newReader(b)
	h := readHead(r)
	if r.Err() != nil || !h.uniform() || h.flags&flagSummary == 0 {
		return Numbers{}, false, r.Err()
	}
	h.readSummary(r)
	times := d.readTimes(r, &h)
	d.bits = sized(d.bits, h.count)
	if err := d.readValues(&h.m, d.bits, r.column()); err != nil {
		return Numbers{}, false, err
	}
	if r.Err() == nil && (times == nil || len(r.Left()) != 0) {
		r.Fail("length")
	}
	if r.Err() != nil {
		return Numbers{}, false, r.Err()
	}
	d.values = sized(d.values, h.count)
	n = Numbers{Times: times, typ: h.typ, bits: d.bits, values: d.values}
	if !n.fillValues() {
		return Numbers{}, false, nil // the encoder never makes such a block uniform
	}
	return n, true, nil
}

// fillValues computes the values from the bits, and reports whether all are numbers.
func (n *Numbers) fillValues() bool {
	for i, x := range n.bits {
		if n.typ.IsFloat() {
			n.values[i] = math.Float64frombits(x)
		} else {
			n.values[i] = tag.FromBits(n.typ, x, "").Number()
		}
		if math.IsNaN(n.values[i]) {
			return false
		}
	}
	return true
}

// Sample returns sample i.
func (n Numbers) Sample(i int) tag.Sample {
	return tag.Sample{Time: n.Times[i], Value: tag.FromBits(n.typ, n.bits[i], "")}
}

// Summary returns the summary of the samples i to j, j not included; there is at least one.
func (n Numbers) Summary(i, j int) Summary {
	times, bits, values := n.Times[i:j], n.bits[i:j], n.values[i:j]
	count := len(times)
	s := Summary{Count: count, Good: count, Numbers: count, First: n.Sample(i), Last: n.Sample(j - 1)}
	s.GoodTime = times[count-1] - times[0]
	low, high := 0, 0
	sum, prev := values[0], values[0]
	for k := 1; k < count; k++ {
		v := values[k]
		seconds := float64(times[k]-times[k-1]) / second
		s.Stepped += prev * seconds
		s.Sloped += (prev + v) / 2 * seconds
		sum += v
		if bits[k] != bits[k-1] {
			s.Transitions++
		}
		if v < values[low] {
			low = k
		}
		if v > values[high] {
			high = k
		}
		prev = v
	}
	s.Sum = sum
	s.Min, s.Max = n.Sample(i+low), n.Sample(i+high)
	mean := sum / float64(count)
	for _, v := range values {
		s.Deviations += (v - mean) * (v - mean)
	}
	return s
}
