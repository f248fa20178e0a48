package history_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"sync/atomic"
	"testing"
	"time"

	"scada/acquisition/tag"
	"scada/history"
)

// base is a moment a little after a window began, some hours into a day.
var base = time.Date(2026, 11, 20, 21, 30, 7, 0, time.UTC)

// clock is an injected time.
type clock struct{ nanos atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.nanos.Store(base.UnixNano())
	return c
}

func (c *clock) now() time.Time { return time.Unix(0, c.nanos.Load()).UTC() }

func (c *clock) add(d time.Duration) { c.nanos.Add(int64(d)) }

func plant(n int) []tag.Definition {
	types := []tag.Type{tag.TypeFloat64, tag.TypeBool, tag.TypeFloat32, tag.TypeInt16, tag.TypeUint64, tag.TypeString, tag.TypeInt64, tag.TypeFloat64}
	defs := make([]tag.Definition, n)
	for i := range defs {
		defs[i] = tag.Definition{
			ID: tag.ID(i), Name: fmt.Sprintf("line%d/tag%03d", i/10, i), Area: []string{"main", "other"}[i/10%2],
			Device: fmt.Sprintf("plc%d", i/10), ScanClass: "normal", Type: types[i%len(types)],
		}
		if i%len(types) == 7 {
			defs[i].Scale = tag.Linear{RawHigh: 65535, Low: -50, High: 150}
		}
	}
	return defs
}

// value makes up a value of a tag's type; often the one before, sometimes none, sometimes not a number.
func value(r *rand.Rand, d tag.Definition) tag.Value {
	switch {
	case r.IntN(40) == 0:
		return tag.Value{}
	case d.Type == tag.TypeString:
		return tag.String([]string{"", "running", "水泵", "stopped"}[r.IntN(4)])
	case d.Type == tag.TypeBool:
		return tag.Bool(r.IntN(2) == 0)
	case d.Type.IsSigned():
		return tag.Int(d.Type, int64(r.IntN(200)-100))
	case d.Type.IsInteger():
		return tag.Uint(d.Type, uint64(r.IntN(1000)))
	case r.IntN(200) == 0:
		return tag.Float64([]float64{math.NaN(), math.Inf(1), math.Inf(-1)}[r.IntN(3)])
	case !d.Scale.IsZero():
		return tag.Float64(d.Scale.Scale(float64(30000 + r.IntN(50))))
	case d.Type == tag.TypeFloat32:
		return tag.Float32(float32(r.NormFloat64()))
	}
	return tag.Float64(r.NormFloat64())
}

// reference is the archive without any cleverness: what was appended, as a set.
type reference struct {
	samples map[string][]tag.Sample
	seen    map[tag.Update]bool
}

func newReference() reference {
	return reference{map[string][]tag.Sample{}, map[tag.Update]bool{}}
}

func (m reference) append(defs []tag.Definition, batch []tag.Update) {
	for _, u := range batch {
		x := u.Sample
		if v := x.Value.Number(); x.Value.Type().IsFloat() && (math.IsNaN(v) || math.IsInf(v, 0)) {
			x.Value = tag.Value{}
			if !x.Quality.IsBad() {
				x.Quality = tag.BadOutOfRange
			}
		}
		if key := (tag.Update{Tag: u.Tag, Sample: x}); !m.seen[key] {
			m.seen[key] = true
			name := defs[u.Tag].Name
			m.samples[name] = append(m.samples[name], x)
		}
	}
}

func (m reference) between(name string, from, to int64) []tag.Sample {
	var out []tag.Sample
	for _, x := range m.samples[name] {
		if x.Time >= from && x.Time < to {
			out = append(out, x)
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].Time < out[j].Time })
	return out
}

func open(t *testing.T, dir string, o history.Options) *history.Store {
	t.Helper()
	s, err := history.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// all reads a tag page by page.
func all(t *testing.T, s *history.Store, name string, from, to int64, limit int) []tag.Sample {
	t.Helper()
	var out []tag.Sample
	var at history.Cursor
	for {
		p, err := s.Raw(context.Background(), name, from, to, limit, at)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Damaged) > 0 || len(p.Samples) > limit {
			t.Fatalf("%s: %d samples of %d, damage %v", name, len(p.Samples), limit, p.Damaged)
		}
		out = append(out, p.Samples...)
		if !p.More {
			return out
		}
		at = p.Next
	}
}

// sorted puts samples into an order that does not depend on how they came.
func sorted(s []tag.Sample) []tag.Sample {
	s = slices.Clone(s)
	slices.SortFunc(s, func(a, b tag.Sample) int {
		if a.Time != b.Time {
			return int(a.Time - b.Time)
		}
		return slices.Compare([]string{fmt.Sprint(a.Value.Type(), a.Value.Bits(), a.Value.Text(), a.Quality)}, []string{fmt.Sprint(b.Value.Type(), b.Value.Bits(), b.Value.Text(), b.Quality)})
	})
	return s
}

// feed appends random batches over a stretch of plant time, calling step between them.
func feed(s **history.Store, m reference, defs []tag.Definition, r *rand.Rand, c *clock, batches int, step func(i int)) {
	qualities := []tag.Quality{tag.Good, tag.Good, tag.Good, tag.Good, tag.UncertainLastUsableValue, tag.BadCommunicationError, tag.GoodLocalOverride}
	var old []tag.Update
	for i := range batches {
		var batch []tag.Update
		for range 1 + r.IntN(30) {
			d := defs[r.IntN(len(defs))]
			x := tag.Sample{Time: c.now().UnixNano(), Value: value(r, d), Quality: qualities[r.IntN(len(qualities))]}
			switch r.IntN(40) {
			case 0:
				x.Time -= r.Int64N(int64(3 * time.Hour)) // late
			case 1:
				x.Time += r.Int64N(int64(time.Hour)) // early
			case 2:
				x.Time = x.Time / 1e9 * 1e9
			case 3:
				x.Time -= r.Int64N(int64(2 * time.Second))
			}
			batch = append(batch, tag.Update{Tag: d.ID, Sample: x})
		}
		if len(old) > 0 && r.IntN(20) == 0 {
			batch = append(batch, old...) // sent twice
		}
		old = batch
		m.append(defs, batch)
		(*s).Append(batch)
		c.add(time.Duration(r.Int64N(int64(4 * time.Second))))
		if step != nil {
			step(i)
		}
	}
}

func compare(t *testing.T, s *history.Store, m reference, defs []tag.Definition, r *rand.Rand, c *clock) {
	t.Helper()
	for _, d := range defs {
		for range 4 {
			from := base.Add(time.Duration(r.Int64N(int64(8*time.Hour))) - 4*time.Hour).UnixNano()
			to := from + r.Int64N(int64(8*time.Hour))
			got, want := all(t, s, d.Name, from, to, 1+r.IntN(300)), m.between(d.Name, from, to)
			if !slices.IsSortedFunc(got, func(a, b tag.Sample) int { return int(a.Time - b.Time) }) {
				t.Fatalf("%s: samples are not in order of time", d.Name)
			}
			if !slices.Equal(sorted(got), sorted(want)) {
				t.Fatalf("%s from %d to %d: %d samples, want %d", d.Name, from, to, len(got), len(want))
			}
		}
	}
}

func TestArchiveHoldsWhatWasAppended(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 0))
			defs, c, m := plant(24), newClock(), newReference()
			dir := t.TempDir()
			o := history.Options{Tags: defs, Now: c.now, GroupCommit: time.Millisecond}
			s, err := history.Open(dir, o)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { s.Close() }()
			feed(&s, m, defs, r, c, 2000, func(i int) {
				switch r.IntN(130) {
				case 0:
					if err := s.Flush(context.Background()); err != nil {
						t.Fatal(err)
					}
				case 1:
					if err := s.Close(); err != nil {
						t.Fatal(err)
					}
					if s, err = history.Open(dir, o); err != nil {
						t.Fatal(err)
					}
				}
				if i == 1000 {
					compare(t, s, m, defs, r, c)
				}
			})
			compare(t, s, m, defs, r, c)
		})
	}
}
