package block_test

import (
	"bytes"
	"math"
	"slices"
	"testing"

	"scada/acquisition/tag"
	"scada/history/block"
)

// TestBufferIsColumns collects the same samples packed and not: what comes out, and the block made of it, must be the same.
func TestBufferIsColumns(t *testing.T) {
	var d block.Decoder
	var e block.Encoder
	other := tag.Linear{RawHigh: 10, High: 3}
	for _, n := range []int{1, 15, 16, 79, 80, 81, 143, 144, 145, 600, 3600} {
		for name, s := range shapes(n, uint64(n)) {
			for _, l := range []*tag.Linear{nil, &scale, &other} {
				checkBuffer(t, name, &d, &e, s, l)
			}
		}
	}
	odd := []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1), math.MaxFloat64, 1e17}
	var s []tag.Sample
	for i := range 400 {
		s = append(s, tag.Sample{Time: int64(i/3) * 7, Value: tag.Float64(odd[i%len(odd)]), Quality: tag.Quality(i / 100)})
	}
	checkBuffer(t, "odd numbers", &d, &e, s, &scale)
}

func checkBuffer(t *testing.T, name string, d *block.Decoder, e *block.Encoder, s []tag.Sample, l *tag.Linear) {
	t.Helper()
	buffer, plain := block.Buffer{Scale: l}, block.Columns{}
	for i, x := range s {
		if got, want := buffer.Append(x), plain.Append(x); got != want {
			t.Fatalf("%s: sample %d of %d: taken %v, want %v", name, i, len(s), got, want)
		}
	}
	c := d.Unpack(&buffer)
	want := plain.Samples(nil, math.MinInt64, math.MaxInt64)
	if got := c.Samples(nil, math.MinInt64, math.MaxInt64); !slices.EqualFunc(got, want, identical) || buffer.Len() != len(want) {
		t.Fatalf("%s: %d samples, want %d, or they differ", name, len(got), len(want))
	}
	for _, by := range []tag.Linear{scale, {}, {RawHigh: 10, High: 3}} {
		a, errA := e.Encode(nil, c.Ordered(), by)
		b, errB := plain.Ordered().Encode(nil, by)
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Fatalf("%s: %v %v, or the blocks of %d samples differ", name, errA, errB, len(want))
		}
	}
}

// identical compares bit by bit: a NaN is what it is.
func identical(a, b tag.Sample) bool {
	return a.Time == b.Time && a.Quality == b.Quality && a.Value.Type() == b.Value.Type() && a.Value.Bits() == b.Value.Bits() && a.Value.Text() == b.Value.Text()
}
