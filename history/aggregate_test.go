package history_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"scada/acquisition/tag"
	"scada/history"
)

// interval is the dumb evaluation of one interval: from the definition, sample by sample.
type interval struct {
	raw             []tag.Sample // of the interval
	numbers         []float64    // Good ones
	good, uncertain float64      // seconds
	integral        float64
	transitions     int
	atStart         *tag.Sample
}

func isNumber(x tag.Sample) bool { return x.Quality.IsGood() && !math.IsNaN(x.Value.Number()) }

// evaluate works on the whole life of a tag: samples in order of time, no two at one time.
func evaluate(samples []tag.Sample, gaps []history.Gap, from, to, now int64, stepped bool) interval {
	var out interval
	line := slices.Clone(samples)
	for _, g := range gaps {
		line = append(line, tag.Sample{Time: g.From, Quality: tag.BadNoData, Value: tag.String("gap")})
	}
	slices.SortStableFunc(line, func(a, b tag.Sample) int { return int(a.Time - b.Time) })
	isGap := func(x tag.Sample) bool { return x.Value == tag.String("gap") }
	for i, x := range line {
		if x.Time >= from && x.Time < to && !isGap(x) {
			out.raw = append(out.raw, x)
			if isNumber(x) {
				out.numbers = append(out.numbers, x.Value.Number())
			}
			if i > 0 && line[i-1].Quality.IsGood() && x.Quality.IsGood() && line[i-1].Value != x.Value {
				out.transitions++
			}
		}
		end := now
		var next *tag.Sample
		if i+1 < len(line) {
			next, end = &line[i+1], line[i+1].Time
		}
		a, b := max(x.Time, from), min(end, to)
		if a >= b {
			continue
		}
		value := func(t int64) float64 {
			if !stepped && next != nil && isNumber(*next) && isNumber(x) {
				return x.Value.Number() + (next.Value.Number()-x.Value.Number())*float64(t-x.Time)/float64(next.Time-x.Time)
			}
			return x.Value.Number()
		}
		seconds := float64(b-a) / 1e9
		switch {
		case x.Quality.IsGood():
			out.good += seconds
		case x.Quality.IsUncertain():
			out.uncertain += seconds
		}
		if isNumber(x) {
			out.integral += (value(a) + value(b)) / 2 * seconds
		}
		if a == from {
			out.atStart = &tag.Sample{Time: from, Value: x.Value, Quality: x.Quality}
			if isNumber(x) {
				out.atStart.Value = tag.Float64(value(a))
			}
		}
	}
	return out
}

// want returns the aggregate as a number; ok is false when there is none.
func (v interval) want(kind history.Kind, whole float64) (w float64, ok bool) {
	n := float64(len(v.numbers))
	mean, dev := 0.0, 0.0
	for _, x := range v.numbers {
		mean += x / n
	}
	for _, x := range v.numbers {
		dev += (x - mean) * (x - mean)
	}
	ok = n > 0
	switch kind {
	case history.Interpolative:
		if v.atStart == nil {
			return 0, false
		}
		return v.atStart.Value.Number(), true
	case history.Average:
		return mean, ok
	case history.StandardDeviation:
		return math.Sqrt(dev / max(n-1, 1)), ok
	case history.TimeAverage:
		return v.integral / v.good, v.good > 0
	case history.Total:
		return v.integral, v.good > 0
	case history.Minimum, history.MinimumTime:
		return minOf(v.numbers), ok
	case history.Maximum, history.MaximumTime:
		return -minOf(negate(v.numbers)), ok
	case history.Range:
		return -minOf(negate(v.numbers)) - minOf(v.numbers), ok
	case history.Count:
		good := 0
		for _, x := range v.raw {
			if x.Quality.IsGood() {
				good++
			}
		}
		return float64(good), good > 0 || v.good > 0
	case history.Transitions:
		return float64(v.transitions), len(v.raw) > 0 && slices.ContainsFunc(v.raw, func(x tag.Sample) bool { return x.Quality.IsGood() }) || v.good > 0
	case history.DurationGood:
		return v.good, true
	case history.DurationBad:
		return whole - v.good - v.uncertain, true
	case history.PercentGood:
		return 100 * v.good / whole, true
	case history.PercentBad:
		return 100 * (whole - v.good - v.uncertain) / whole, true
	}
	return 0, false
}

func minOf(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	return slices.Min(v)
}

func negate(v []float64) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = -x
	}
	return out
}

// record appends two hours of samples with strictly rising times and returns them. They end up in the head, in blocks
// and in several layers, or wholly in one block a window.
func record(t *testing.T, s *history.Store, defs []tag.Definition, r *rand.Rand, c *clock, whole bool) map[string][]tag.Sample {
	t.Helper()
	m := newReference()
	end := base.Add(2 * time.Hour)
	quality, next := tag.Good, 0
	for i := 0; c.now().Before(end); i++ {
		var batch []tag.Update
		if next--; next <= 0 {
			quality = []tag.Quality{tag.Good, tag.Good, tag.Good, tag.UncertainSubstituteValue, tag.BadSensorFailure}[r.IntN(5)]
			next = r.IntN(200)
		}
		for _, d := range defs {
			if r.IntN(3) > 0 {
				v := value(r, d)
				if x := v.Number(); v.Type().IsFloat() && (math.IsNaN(x) || math.IsInf(x, 0)) {
					continue
				}
				batch = append(batch, tag.Update{Tag: d.ID, Sample: tag.Sample{Time: c.now().UnixNano() + int64(d.ID), Value: v, Quality: quality}})
			}
		}
		m.append(defs, batch)
		s.Append(batch)
		c.add(time.Duration(1+r.Int64N(int64(10*time.Second)/1000)) * 1000)
		if !whole && i%100 == 50 && i < 600 {
			if err := s.Flush(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if whole {
		if err := s.Flush(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	return m.samples
}

func TestAggregatesAreThoseOfTheDefinition(t *testing.T) {
	for _, whole := range []bool{false, true} {
		t.Run(fmt.Sprint("whole blocks ", whole), func(t *testing.T) { testAggregates(t, whole) })
	}
}

func testAggregates(t *testing.T, whole bool) {
	r := rand.New(rand.NewPCG(8, 8))
	defs, c := plant(8), newClock()
	s := open(t, t.TempDir(), history.Options{Tags: defs, Now: c.now})
	samples := record(t, s, defs, r, c, whole)
	gaps := []history.Gap{
		{Scope: history.Scope{Area: "main"}, From: base.Add(20 * time.Minute).UnixNano(), To: base.Add(22 * time.Minute).UnixNano(), Reason: "take-over"},
		{Scope: history.Scope{Device: "plc0"}, From: base.Add(61 * time.Minute).UnixNano(), To: base.Add(63 * time.Minute).UnixNano(), Reason: "cable"},
	}
	for _, g := range gaps {
		s.MarkGap(g.Scope, g.From, g.To, g.Reason)
	}
	s.MarkGap(history.Scope{Area: "other"}, base.UnixNano(), base.Add(time.Hour).UnixNano(), "not ours")
	for n := range 40 * int(history.WorstQuality+1) { // each of them as often
		d := defs[r.IntN(len(defs))]
		if d.Type == tag.TypeString {
			continue
		}
		from := base.Add(time.Duration(r.Int64N(int64(2*time.Hour))) - 10*time.Minute).UnixNano()
		if r.IntN(2) == 0 {
			from = from / int64(time.Minute) * int64(time.Minute)
		}
		step := []time.Duration{time.Second, 10 * time.Second, time.Minute, 10 * time.Minute, time.Hour, time.Duration(1 + r.Int64N(int64(time.Hour)))}[r.IntN(6)]
		to := from + r.Int64N(min(12*int64(step), int64(time.Hour)))
		kind := history.Kind(n % int(history.WorstQuality+1))
		got, err := s.Aggregate(context.Background(), d.Name, from, to, step, kind)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range got {
			a := from + int64(i)*int64(step)
			b := min(a+int64(step), to)
			v := evaluate(samples[d.Name], gaps, a, b, c.now().UnixNano(), !d.Type.IsFloat())
			checkPoint(t, fmt.Sprintf("%s %s from %d to %d", d.Name, kind, a, b), kind, p, v, float64(b-a)/1e9)
		}
	}
}

func checkPoint(t *testing.T, name string, kind history.Kind, p history.Point, v interval, whole float64) {
	t.Helper()
	switch kind {
	case history.Start, history.End:
		if len(v.raw) == 0 {
			if p.Quality != tag.BadNoData {
				t.Errorf("%s: %+v, want no data", name, p)
			}
			return
		}
		if want := v.raw[0]; kind == history.Start && p != want {
			t.Errorf("%s: %+v, want %+v", name, p, want)
		}
		if want := v.raw[len(v.raw)-1]; kind == history.End && p != want {
			t.Errorf("%s: %+v, want %+v", name, p, want)
		}
		return
	case history.WorstQuality:
		worst := tag.Good
		for _, x := range v.raw {
			if badness(x.Quality) > badness(worst) {
				worst = x.Quality
			}
		}
		if len(v.raw) == 0 && p.Quality != tag.BadNoData || len(v.raw) > 0 && tag.Quality(p.Value.Bits()) != worst {
			t.Errorf("%s: %+v, want %s of %d samples", name, p, worst, len(v.raw))
		}
		return
	case history.Delta:
		n := len(v.raw)
		if n > 0 && isNumber(v.raw[0]) && isNumber(v.raw[n-1]) && p.Value.Number() != v.raw[n-1].Value.Number()-v.raw[0].Value.Number() {
			t.Errorf("%s: %+v", name, p)
		}
		return
	}
	want, ok := v.want(kind, whole)
	if !ok {
		if p.Quality.IsGood() {
			t.Errorf("%s: %+v, want no data", name, p)
		}
		return
	}
	if got := p.Value.Number(); math.Abs(got-want) > 1e-6*max(1, math.Abs(want)) && !(math.IsNaN(got) && math.IsNaN(want)) {
		t.Errorf("%s: %v, want %v (%+v)", name, got, want, p)
	}
	switch kind {
	case history.MinimumTime, history.MaximumTime: // when it happened, the first time if it did more than once
		i := slices.IndexFunc(v.raw, func(x tag.Sample) bool { return isNumber(x) && x.Value.Number() == want })
		if i < 0 || p.Time != v.raw[i].Time {
			t.Errorf("%s: at %d, want sample %d of %d", name, p.Time, i, len(v.raw))
		}
	case history.Interpolative, history.DurationGood, history.DurationBad, history.PercentGood, history.PercentBad:
		return // how good they are is no question of the whole interval
	}
	if full := math.Abs(v.good-whole) < 1e-9; p.Quality.IsGood() != full {
		t.Errorf("%s: quality %s with %v of %v s good", name, p.Quality, v.good, whole)
	}
}

// badness orders qualities by their severity alone: of those of one severity the first counts.
func badness(q tag.Quality) int { return int(q >> 30) }

func TestDecimateKeepsWhatAChartShows(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 8))
	defs, c := plant(8), newClock()
	s := open(t, t.TempDir(), history.Options{Tags: defs, Now: c.now})
	samples := record(t, s, defs, r, c, true)
	for _, d := range defs {
		for _, buckets := range []int{1, 3, 50, 1000} {
			from, to := base.UnixNano(), base.Add(110*time.Minute).UnixNano()
			width := (to - from + int64(buckets) - 1) / int64(buckets)
			p, err := s.Decimate(context.Background(), d.Name, from, to, buckets)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.IsSortedFunc(p.Samples, func(a, b tag.Sample) int { return int(a.Time - b.Time) }) || len(p.Samples) > 5*buckets {
				t.Fatalf("%s × %d: %d samples", d.Name, buckets, len(p.Samples))
			}
			got := map[int64][]tag.Sample{}
			for _, x := range p.Samples {
				got[(x.Time-from)/width] = append(got[(x.Time-from)/width], x)
			}
			for i := range int64(buckets) {
				v := evaluate(samples[d.Name], nil, from+i*width, min(from+(i+1)*width, to), c.now().UnixNano(), true)
				have := got[i]
				if len(v.raw) == 0 || len(have) == 0 {
					if len(v.raw) != len(have) {
						t.Fatalf("%s × %d, bucket %d: %d samples of %d", d.Name, buckets, i, len(have), len(v.raw))
					}
					continue
				}
				if have[0] != v.raw[0] || have[len(have)-1] != v.raw[len(v.raw)-1] {
					t.Fatalf("%s × %d, bucket %d: ends differ", d.Name, buckets, i)
				}
				for _, x := range have {
					if !slices.Contains(v.raw, x) {
						t.Fatalf("%s × %d, bucket %d: %+v was never recorded", d.Name, buckets, i, x)
					}
				}
				sick := func(x tag.Sample) bool { return !x.Quality.IsGood() }
				if j := slices.IndexFunc(v.raw, sick); j >= 0 && !slices.Contains(have, v.raw[j]) {
					t.Fatalf("%s × %d, bucket %d: the outage is not shown", d.Name, buckets, i)
				}
				if len(v.numbers) > 0 {
					for _, e := range []float64{minOf(v.numbers), -minOf(negate(v.numbers))} {
						if !slices.ContainsFunc(have, func(x tag.Sample) bool { return isNumber(x) && x.Value.Number() == e }) {
							t.Fatalf("%s × %d, bucket %d: extreme %v is missing", d.Name, buckets, i, e)
						}
					}
				}
			}
		}
	}
}

func TestRequestsAreBounded(t *testing.T) {
	defs, c, ctx := plant(1), newClock(), context.Background()
	s := open(t, t.TempDir(), history.Options{Tags: defs, Now: c.now})
	if _, err := s.Aggregate(ctx, defs[0].Name, 0, int64(history.MaxIntervals+1)*1e9, time.Second, history.Average); !errors.Is(err, history.ErrTooMuch) {
		t.Errorf("too many intervals: %v", err)
	}
	if _, err := s.Aggregate(ctx, defs[0].Name, 0, int64(history.MaxIntervals)*1e9, time.Second, history.Average); err != nil {
		t.Errorf("as many intervals as allowed: %v", err)
	}
	if _, err := s.Decimate(ctx, defs[0].Name, 0, 1e18, history.MaxIntervals/5+1); !errors.Is(err, history.ErrTooMuch) {
		t.Errorf("too many buckets: %v", err)
	}
	if _, err := s.Raw(ctx, "nobody", 0, 1, 0, history.Cursor{}); !errors.Is(err, history.ErrUnknownTag) {
		t.Errorf("unknown tag: %v", err)
	}
	for _, f := range []func() error{
		func() error { _, err := s.Aggregate(ctx, defs[0].Name, 5, 4, time.Second, history.Average); return err },
		func() error { _, err := s.Aggregate(ctx, defs[0].Name, 0, 4, 0, history.Average); return err },
		func() error { _, err := s.Aggregate(ctx, defs[0].Name, 0, 4, 1, history.Kind(99)); return err },
		func() error { _, err := s.Decimate(ctx, defs[0].Name, 4, 4, 1); return err },
	} {
		if f() == nil {
			t.Error("a senseless request was answered")
		}
	}
	stopped, cancel := context.WithCancel(ctx)
	cancel()
	s.Append([]tag.Update{{Sample: tag.Sample{Time: base.UnixNano(), Value: tag.Float64(1)}}})
	if _, err := s.Raw(stopped, defs[0].Name, 0, 1<<62, 0, history.Cursor{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestRawLooksThroughABoundedSpan(t *testing.T) {
	defs, c, ctx := plant(1), newClock(), context.Background()
	s := open(t, t.TempDir(), history.Options{Tags: defs, Now: c.now})
	var want []tag.Sample
	for _, age := range []time.Duration{5 * history.MaxSpan, 2*history.MaxSpan + time.Hour, history.MaxSpan, 0} {
		x := tag.Sample{Time: base.Add(-age).UnixNano(), Value: tag.Float64(age.Hours())}
		s.Append([]tag.Update{{Sample: x}})
		want = append(want, x)
	}
	for range 2 {
		if got := all(t, s, defs[0].Name, 0, 1<<62, 10); !slices.Equal(got, want) {
			t.Fatalf("%d of %d samples", len(got), len(want))
		}
		p, err := s.Raw(ctx, defs[0].Name, 0, 1<<62, 10, history.Cursor{})
		if err != nil || len(p.Samples) != 1 || !p.More {
			t.Fatalf("one call: %d samples, more %v, %v", len(p.Samples), p.More, err)
		}
		if p, err = s.Raw(ctx, defs[0].Name, 0, base.UnixNano(), 10, history.Cursor{Time: base.Add(-time.Hour).UnixNano(), Set: true}); err != nil || p.More {
			t.Fatalf("nothing left: more %v, %v", p.More, err)
		}
		if p, err = s.Raw(ctx, defs[0].Name, 1<<62+5, 1<<63-1, 10, history.Cursor{}); err != nil || p.More {
			t.Fatalf("after the end of time: more %v, %v", p.More, err)
		}
		if err := s.Flush(ctx); err != nil {
			t.Fatal(err)
		}
	}
}
