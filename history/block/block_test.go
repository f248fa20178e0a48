package block_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"scada/acquisition/tag"
	"scada/history/block"
)

var scale = tag.Linear{RawLow: 0, RawHigh: 65535, Low: -50, High: 150}

// shapes are what the tags of a plant look like.
func shapes(n int, seed uint64) map[string][]tag.Sample {
	r := rand.New(rand.NewPCG(seed, 1))
	start := int64(1_700_000_000_000_000_000)
	gen := func(f func(i int) tag.Value) []tag.Sample {
		out := make([]tag.Sample, n)
		for i := range out {
			out[i] = tag.Sample{Time: start + int64(i)*1e9, Value: f(i)}
		}
		return out
	}
	jitter := func(s []tag.Sample) []tag.Sample {
		for i := range s {
			s[i].Time += r.Int64N(4e6) / 1e6 * 1e6
		}
		return s
	}
	walk := 30000.0
	raw := func() float64 { walk += r.NormFloat64(); return math.Round(walk + 5*r.NormFloat64()) }
	count := uint64(0)
	m := map[string][]tag.Sample{
		"adc":         gen(func(int) tag.Value { return tag.Float64(scale.Scale(raw())) }),
		"adc jitter":  jitter(gen(func(int) tag.Value { return tag.Float64(scale.Scale(raw())) })),
		"adc float32": gen(func(int) tag.Value { return tag.Float32(float32(scale.Scale(raw()))) }),
		"real":        gen(func(int) tag.Value { return tag.Float32(float32(20 + r.NormFloat64())) }),
		"decimals":    gen(func(int) tag.Value { return tag.Float64(float64(2000+r.IntN(40)) / 100) }),
		"noise":       gen(func(int) tag.Value { return tag.Float64(r.NormFloat64()) }),
		"setpoint":    gen(func(int) tag.Value { return tag.Float64(21.5) }),
		"bool":        gen(func(i int) tag.Value { return tag.Bool(i/50%2 == 1) }),
		"counter":     gen(func(int) tag.Value { count += r.Uint64N(3); return tag.Uint(tag.TypeUint64, count) }),
		"extremes":    gen(func(int) tag.Value { return tag.Int(tag.TypeInt64, int64(r.Uint64())) }),
		"text":        gen(func(i int) tag.Value { return tag.String(fmt.Sprint("step ", i/20%4)) }),
		"none":        gen(func(int) tag.Value { return tag.Value{} }),
	}
	odd := gen(func(i int) tag.Value {
		switch r.IntN(6) {
		case 0:
			return tag.Value{}
		case 1:
			return tag.String("水" + fmt.Sprint(i%3))
		case 2:
			return tag.Float64([]float64{math.NaN(), math.Inf(1), math.Copysign(0, -1), 3.4028234663852886e38, 5e-324}[r.IntN(5)])
		case 3:
			return tag.Int(tag.TypeInt8, -3)
		}
		return tag.Float64(scale.Scale(raw()))
	})
	bad := gen(func(int) tag.Value { return tag.Float64(scale.Scale(raw())) })
	for i := range odd {
		odd[i].Quality = []tag.Quality{tag.Good, tag.Good, tag.BadCommunicationError, tag.UncertainLastUsableValue, 0xFFFFFFFF}[r.IntN(5)]
		odd[i].Time += r.Int64N(1e9)
		if i/37%3 == 1 {
			bad[i] = tag.Sample{Time: bad[i].Time, Quality: tag.BadCommunicationError}
		}
	}
	m["everything"], m["outages"] = odd, bad
	return m
}

// forms are the two ways to encode: at once, and small.
var forms = map[string]func([]byte, []tag.Sample, tag.Linear) ([]byte, error){"plain": block.Encode, "small": encodeSmall}

func encodeSmall(dst []byte, s []tag.Sample, l tag.Linear) ([]byte, error) {
	return block.EncodeSmall(dst, s, l, nil)
}

// same compares samples bit for bit; == on a Value does, because a Value holds bits.
func same(a, b []tag.Sample) bool { return slices.Equal(a, b) }

func TestBlocksGiveBackEveryBit(t *testing.T) {
	for _, n := range []int{1, 2, 3, 63, 64, 65, 127, 128, 129, 600, 3600} {
		for name, s := range shapes(n, uint64(n)) {
			for _, l := range []tag.Linear{{}, scale, {RawLow: 1, RawHigh: 1, Low: 0, High: 5}, {RawHigh: math.NaN(), High: 1}} {
				for form, encode := range forms {
					checkRoundTrip(t, fmt.Sprintf("%s × %d, %s, with %+v", name, n, form, l), encode, s, l)
				}
			}
		}
	}
}

func checkRoundTrip(t *testing.T, name string, encode func([]byte, []tag.Sample, tag.Linear) ([]byte, error), s []tag.Sample, l tag.Linear) {
	t.Helper()
	b, err := encode([]byte("before"), s, l)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	got, err := block.Decode(nil, b[6:])
	if err != nil || !same(got, s) {
		t.Fatalf("%s: %v, or samples differ", name, err)
	}
	again, _ := encode(nil, got, l)
	if !bytes.Equal(again, b[6:]) {
		t.Fatalf("%s: encoding is not deterministic", name)
	}
	first, last, count, err := block.Bounds(again)
	if err != nil || first != s[0].Time || last != s[len(s)-1].Time || count != len(s) {
		t.Fatalf("%s: bounds %d %d %d %v", name, first, last, count, err)
	}
}

// TestSharedTimes keeps the times of several blocks once.
func TestSharedTimes(t *testing.T) {
	var kept [][]byte
	share := func(times []byte) (uint32, bool) {
		for i, k := range kept {
			if bytes.Equal(k, times) {
				return uint32(i), true
			}
		}
		kept = append(kept, slices.Clone(times))
		return uint32(len(kept) - 1), true
	}
	d := block.Decoder{Shared: func(n uint32) []byte {
		if int(n) < len(kept) {
			return kept[n]
		}
		return nil
	}}
	all := shapes(3600, 5)
	jitter, odd := all["adc jitter"], all["everything"]
	same := slices.Clone(all["bool"])
	for i := range same {
		same[i].Time = jitter[i].Time
	}
	var last []byte
	for i, s := range [][]tag.Sample{jitter, same, odd, all["adc"]} {
		b, err := block.EncodeSmall(nil, s, scale, share)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := d.Decode(nil, b); err != nil || !slices.Equal(got, s) {
			t.Fatalf("block %d: %v, or samples differ", i, err)
		}
		if n, ok, err := d.Numbers(b); i < 2 && (!ok || err != nil || n.Times[3599] != s[3599].Time) {
			t.Fatalf("block %d by column: %v, %v", i, ok, err)
		}
		if i == 1 {
			last = b
		}
	}
	if len(kept) != 2 { // regular times are so short that they stay in the block
		t.Errorf("%d columns of times are kept outside, want 2", len(kept))
	}
	if len(last) > 350 {
		t.Errorf("a block whose times are outside has %d bytes", len(last))
	}
	if _, err := block.Decode(nil, last); !errors.Is(err, block.ErrFormat) {
		t.Errorf("without the times: %v", err)
	}
	kept[0], kept[1] = kept[1], kept[0]
	if _, err := d.Decode(nil, last); !errors.Is(err, block.ErrChecksum) {
		t.Errorf("with other times: %v", err)
	}
}

// TestSmallIsSmaller holds the small form to what it is for.
func TestSmallIsSmaller(t *testing.T) {
	most := map[string]float64{"adc": 0.62, "adc jitter": 0.96, "bool": 0.06, "counter": 0.26, "real": 2.75, "decimals": 0.75, "setpoint": 0.015}
	for name, s := range shapes(3600, 1) {
		plain, _ := block.Encode(nil, s, scale)
		small, _ := encodeSmall(nil, s, scale)
		if len(small) > len(plain) {
			t.Errorf("%s: %d bytes, plain %d", name, len(small), len(plain))
		}
		if got := float64(len(small)) / 3600; most[name] > 0 && got > most[name] {
			t.Errorf("%s: %.3f bytes a sample, want %.3f at most", name, got, most[name])
		} else {
			t.Logf("%-12s %.3f bytes a sample, plain %.3f", name, got, float64(len(plain))/3600)
		}
	}
}

func TestSummaryIsTheSamplesSummary(t *testing.T) {
	for _, n := range []int{1, 2, 600} {
		for name, s := range shapes(n, 7) {
			b, err := block.Encode(nil, s, scale)
			if err != nil {
				t.Fatal(err)
			}
			got, ok, err := block.ReadSummary(b)
			hasText := slices.ContainsFunc(s, func(x tag.Sample) bool { return x.Value.Type() == tag.TypeString })
			if err != nil || ok == hasText {
				t.Fatalf("%s: summary %v, %v", name, ok, err)
			}
			if !ok {
				continue
			}
			compareSummaries(t, name, got, block.Summarize(s))
		}
	}
}

func TestJoinedSummariesAreTheSummaryOfTheWhole(t *testing.T) {
	for name, s := range shapes(600, 3) {
		whole := block.Summarize(s)
		for _, cut := range []int{0, 1, 299, 599, 600} {
			joined := block.Summarize(s[:cut])
			joined.Join(block.Summarize(s[cut:]))
			compareSummaries(t, fmt.Sprintf("%s cut at %d", name, cut), joined, whole)
		}
	}
}

func compareSummaries(t *testing.T, name string, got, want block.Summary) {
	t.Helper()
	for _, f := range []struct {
		what string
		a, b *float64
	}{{"sum", &got.Sum, &want.Sum}, {"deviations", &got.Deviations, &want.Deviations}, {"stepped", &got.Stepped, &want.Stepped}, {"sloped", &got.Sloped, &want.Sloped}} {
		size := max(math.Abs(want.Sum), math.Abs(want.Stepped), math.Abs(*f.b), 1)
		if math.IsNaN(*f.a) && f.what == "sloped" && want.First.Value.Type() != tag.TypeFloat64 {
			*f.a = *f.b // a block of integers has no sloped integral
		}
		if diff := math.Abs(*f.a - *f.b); diff > 1e-9*size {
			t.Errorf("%s: %s is %v, want %v", name, f.what, *f.a, *f.b)
		}
		*f.a, *f.b = 0, 0
	}
	if got != want {
		t.Errorf("%s: summary\n%+v, want\n%+v", name, got, want)
	}
}

func TestEveryFlippedBitIsFound(t *testing.T) {
	for name, s := range shapes(40, 5) {
		b, _ := block.Encode(nil, s, scale)
		for i := range len(b) * 8 {
			b[i/8] ^= 1 << (i % 8)
			if _, err := block.Decode(nil, b); !errors.Is(err, block.ErrChecksum) {
				t.Fatalf("%s: bit %d flipped: %v", name, i, err)
			}
			b[i/8] ^= 1 << (i % 8)
		}
		for n := range b {
			if _, err := block.Decode(nil, b[:n]); err == nil {
				t.Fatalf("%s: cut to %d of %d bytes was accepted", name, n, len(b))
			}
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	now := int64(1e18)
	for _, c := range []struct {
		name string
		s    []tag.Sample
	}{
		{"nothing", nil},
		{"disorder", []tag.Sample{{Time: now}, {Time: now - 1}}},
		{"time too late", []tag.Sample{{Time: 1 << 62}}},
		{"time too early", []tag.Sample{{Time: -1 << 62}}},
		{"too many", make([]tag.Sample, block.MaxSamples+1)},
	} {
		if _, err := block.Encode(nil, c.s, tag.Linear{}); err == nil {
			t.Errorf("%s was encoded", c.name)
		}
	}
}

func TestColumnsDropRepeatsAndSort(t *testing.T) {
	var c block.Columns
	in := []tag.Sample{{Time: 5, Value: tag.Bool(true)}, {Time: 7, Value: tag.Bool(false)}, {Time: 7, Value: tag.Bool(true)}, {Time: 7, Value: tag.Bool(false)}}
	for i, s := range in {
		if got := c.Append(s); got != (i != 3) {
			t.Errorf("Append %d: %v", i, got)
		}
	}
	if !c.Sorted() {
		t.Error("in order, but not Sorted")
	}
	c.Append(tag.Sample{Time: 6})
	c.Append(tag.Sample{Time: 5, Value: tag.Bool(true)})
	got := c.Ordered().Samples(nil, 0, 100)
	want := []tag.Sample{in[0], {Time: 6}, in[1], in[2]}
	if c.Sorted() || !slices.Equal(got, want) {
		t.Errorf("ordered: %v, want %v", got, want)
	}
}

func TestSetOperations(t *testing.T) {
	a := []tag.Sample{{Time: 1}, {Time: 2, Quality: 1}, {Time: 2, Quality: 2}}
	b := []tag.Sample{{Time: 0}, {Time: 2, Quality: 2}, {Time: 2, Quality: 3}, {Time: 9}}
	if got, want := block.Minus(b, a), []tag.Sample{b[0], b[2], b[3]}; !slices.Equal(got, want) {
		t.Errorf("minus: %v", got)
	}
	if got, want := block.Union(a, b), []tag.Sample{b[0], a[0], a[1], a[2], b[2], b[3]}; !slices.Equal(got, want) {
		t.Errorf("union: %v", got)
	}
}

func TestStuckClockIsNotQuadratic(t *testing.T) {
	s := make([]tag.Sample, 400_000)
	for i := range s {
		s[i] = tag.Sample{Time: 1e18, Value: tag.Int(tag.TypeInt32, int64(i/2))}
	}
	got := block.Union(s, s)
	if len(got) != len(s)/2 || len(block.Minus(s, got)) != 0 || len(block.Minus(got, got[:1000])) != len(got)-1000 {
		t.Errorf("%d samples", len(got))
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range shapes(30, 2) {
		b, _ := block.Encode(nil, s, scale)
		f.Add(b[:len(b)-4])
	}
	for _, s := range shapes(300, 2) {
		b, _ := encodeSmall(nil, s, scale)
		f.Add(b[:len(b)-4])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		b = binary.LittleEndian.AppendUint32(slices.Clone(b), crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
		s, err := block.Decode(nil, b)
		block.ReadSummary(b)
		if err != nil {
			return
		}
		for form, encode := range forms {
			again, err := encode(nil, s, scale)
			if err != nil {
				return // the texts together may be over the limit of a block
			}
			back, err := block.Decode(nil, again)
			if err != nil || !same(back, s) {
				t.Fatalf("decoded, encoded %s, decoded: %v", form, err)
			}
		}
	})
}

func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("0123456789abcdef0123456789abcdef"), 0.0, 100.0)
	f.Fuzz(func(t *testing.T, b []byte, lo, hi float64) {
		var s []tag.Sample
		now := int64(1e18)
		for ; len(b) >= 11; b = b[11:] {
			now += int64(binary.LittleEndian.Uint16(b)) * 1000
			typ := tag.Type(b[2] % 13)
			x := tag.Sample{Time: now, Quality: tag.Quality(b[2]>>6) << 30}
			switch typ {
			case tag.TypeNone:
			case tag.TypeString:
				x.Value = tag.String(string(b[3:5]))
			default:
				x.Value = tag.FromBits(typ, binary.LittleEndian.Uint64(b[3:]), "")
			}
			s = append(s, x)
		}
		if len(s) == 0 {
			return
		}
		for range len(s) / 64 % 3 { // long enough for the small form
			last := s[len(s)-1].Time
			for _, x := range s {
				x.Time += last
				s = append(s, x)
			}
		}
		for form, encode := range forms {
			e, err := encode(nil, s, tag.Linear{RawHigh: 4096, Low: lo, High: hi})
			if err != nil {
				t.Fatal(err)
			}
			got, err := block.Decode(nil, e)
			if err != nil || !same(got, s) {
				t.Fatalf("%s: %v, or samples differ", form, err)
			}
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	for name, s := range shapes(600, 1) {
		c := block.FromSamples(s)
		b.Run(name, func(b *testing.B) {
			var buf []byte
			for b.Loop() {
				buf, _ = c.Encode(buf[:0], scale)
			}
			b.ReportMetric(float64(len(buf))/600, "B/sample")
			b.ReportMetric(600*float64(b.N)/b.Elapsed().Seconds()/1e6, "Msamples/s")
		})
	}
}

func BenchmarkEncodeSmall(b *testing.B) {
	for name, s := range shapes(3600, 1) {
		b.Run(name, func(b *testing.B) {
			var buf []byte
			for b.Loop() {
				buf, _ = encodeSmall(buf[:0], s, scale)
			}
			b.ReportMetric(float64(len(buf))/3600, "B/sample")
			b.ReportMetric(3600*float64(b.N)/b.Elapsed().Seconds()/1e6, "Msamples/s")
		})
	}
}

func BenchmarkDecodeSmall(b *testing.B) {
	for name, s := range shapes(3600, 1) {
		e, _ := encodeSmall(nil, s, scale)
		b.Run(name, func(b *testing.B) {
			var out []tag.Sample
			for b.Loop() {
				out, _ = block.Decode(out[:0], e)
			}
			b.ReportMetric(3600*float64(b.N)/b.Elapsed().Seconds()/1e6, "Msamples/s")
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for name, s := range shapes(600, 1) {
		e, _ := block.Encode(nil, s, scale)
		b.Run(name, func(b *testing.B) {
			var out []tag.Sample
			for b.Loop() {
				out, _ = block.Decode(out[:0], e)
			}
			b.ReportMetric(600*float64(b.N)/b.Elapsed().Seconds()/1e6, "Msamples/s")
		})
	}
}

func TestNumbersAreTheSamples(t *testing.T) {
	var d block.Decoder
	for _, n := range []int{1, 2, 600, 3600} {
		for name, s := range shapes(n, 3) {
			b, err := block.Encode(nil, s, scale)
			if err != nil {
				t.Fatal(err)
			}
			uniform := !slices.ContainsFunc(s, func(x tag.Sample) bool {
				return x.Quality != tag.Good || x.Value.Type() != s[0].Value.Type() || math.IsNaN(x.Value.Number())
			})
			got, ok, err := d.Numbers(b)
			if err != nil || ok != uniform {
				t.Fatalf("%s × %d: by column %v, %v; want %v", name, n, ok, err, uniform)
			}
			for i := range got.Times {
				if got.Sample(i) != s[i] {
					t.Fatalf("%s × %d: sample %d is %+v, want %+v", name, n, i, got.Sample(i), s[i])
				}
			}
			for _, r := range [][2]int{{0, n}, {0, 1}, {n / 3, n/3 + n/2}, {n - 1, n}} {
				if r[0] == r[1] || !ok {
					continue
				}
				have, want := got.Summary(r[0], r[1]), block.Summarize(s[r[0]:r[1]])
				for _, p := range [][2]float64{{have.Sum, want.Sum}, {have.Deviations, want.Deviations}, {have.Stepped, want.Stepped}, {have.Sloped, want.Sloped}} {
					if math.Abs(p[0]-p[1]) > 1e-9*max(1, math.Abs(p[1])) {
						t.Fatalf("%s %v: %v, want %v", name, r, p[0], p[1])
					}
				}
				have.Sum, have.Deviations, have.Stepped, have.Sloped = want.Sum, want.Deviations, want.Stepped, want.Sloped
				if have != want {
					t.Fatalf("%s %v: %+v, want %+v", name, r, have, want)
				}
			}
			b[len(b)/2] ^= 1
			if _, _, err := d.Numbers(b); err == nil {
				t.Fatalf("%s × %d: a flipped bit was not noticed", name, n)
			}
		}
	}
}
