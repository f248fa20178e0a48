package history

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"scada/acquisition/tag"
	"scada/history/block"
)

// rollStore is a store with a day of every sort of samples and two gaps.
func rollStore(t *testing.T, dir string, seed uint64) (*Store, []tag.Definition, int64) {
	t.Helper()
	defs := kinds()
	s := openT(t, dir, Options{Tags: defs, Now: afterDay, SealAfter: -1})
	for _, g := range [][2]time.Duration{{3 * time.Hour, 6 * time.Hour}, {10*time.Hour + 17*time.Minute, 10*time.Hour + 21*time.Minute}} {
		s.MarkGap(Scope{}, midnight.Add(g[0]).UnixNano(), midnight.Add(g[1]).UnixNano(), "cable")
	}
	fillDay(t, s, defs, 20*time.Second, seed)
	return s, defs, dayOf(windowOf(midnight.UnixNano()))
}

// question is an aggregate that is asked before and after.
type question struct {
	tag      string
	from, to int64
	step     time.Duration
	kind     Kind
}

// questions are of every kind; aligned ones end with hours of UTC.
func questions(defs []tag.Definition, r *rand.Rand, aligned bool) (out []question) {
	for kind := range kindEnd {
		for range 12 {
			step := []time.Duration{time.Hour, 2 * time.Hour, 5 * time.Hour, 24 * time.Hour}[r.IntN(4)]
			from := midnight.Add(time.Duration(r.IntN(9)-6) * time.Hour)
			to := from.Add(time.Duration(1+r.IntN(30)) * time.Hour)
			if !aligned {
				step = time.Minute + time.Duration(r.Int64N(int64(3*time.Hour)))
				from = from.Add(time.Duration(r.Int64N(int64(time.Hour))))
			}
			if d := defs[r.IntN(len(defs))]; d.Type != tag.TypeString {
				out = append(out, question{d.Name, from.UnixNano(), to.UnixNano(), step, kind})
			}
		}
	}
	return out
}

func (q question) ask(t *testing.T, s *Store) []Point {
	t.Helper()
	p, err := s.Aggregate(t.Context(), q.tag, q.from, q.to, q.step, q.kind)
	must(t, err)
	return p
}

// samePoint allows for sums that were added up in another order.
func samePoint(a, b Point) bool {
	x, y := a.Value.Number(), b.Value.Number()
	return a.Time == b.Time && a.Quality == b.Quality && a.Value.Type() == b.Value.Type() &&
		(a.Value == b.Value || math.Abs(x-y) <= 1e-9*max(1, math.Abs(x)))
}

// TestHourlySummariesAnswerAsSamplesDo asks aggregates of the samples, of both, and when only summaries are left.
func TestHourlySummariesAnswerAsSamplesDo(t *testing.T) {
	for seed := range uint64(3) {
		s, defs, n := rollStore(t, t.TempDir(), seed)
		r := rand.New(rand.NewPCG(seed, 9))
		aligned, other := questions(defs, r, true), questions(defs, r, false)
		want := make([][]Point, len(aligned))
		for i, q := range aligned {
			want[i] = q.ask(t, s)
		}
		rough := make([][]Point, len(other))
		for i, q := range other {
			rough[i] = q.ask(t, s)
		}
		check := func(what string) {
			for i, q := range aligned {
				if got := q.ask(t, s); !slices.EqualFunc(got, want[i], samePoint) {
					t.Fatalf("%s: %+v:\n%+v, want\n%+v", what, q, got, want[i])
				}
			}
		}
		must(t, s.rollDue(n))
		if !s.current(n) || s.rolls.rolled[n].Samples == 0 {
			t.Fatal("the summaries are not of the day")
		}
		check("with samples and summaries")
		must(t, s.days.remove(n))
		check("with summaries alone")
		for i, q := range other { // what summaries can't tell is not good
			for j, p := range q.ask(t, s) {
				if p.Quality.IsGood() && !samePoint(p, rough[i][j]) && q.kind != DurationGood && q.kind != DurationBad && q.kind != PercentGood && q.kind != PercentBad {
					t.Fatalf("%+v: %+v, the samples said %+v", q, p, rough[i][j])
				}
			}
		}
		page, err := s.Decimate(t.Context(), defs[0].Name, midnight.UnixNano(), midnight.Add(24*time.Hour).UnixNano(), 6)
		if must(t, err); len(page.Samples) < 12 {
			t.Errorf("the trend of summaries has %d points", len(page.Samples))
		}
		must(t, s.Close())
	}
}

// TestHourlySummariesAreEqualOnBothNodes records on one node and back-fills the other, in another order.
func TestHourlySummariesAreEqualOnBothNodes(t *testing.T) {
	a, defs, n := rollStore(t, t.TempDir(), 5)
	b := openT(t, t.TempDir(), Options{Tags: defs[:5], Now: afterDay, SealAfter: -1})
	for _, g := range a.Gaps(Scope{}, 0, 1<<62) {
		b.MarkGap(g.Scope, g.From, g.To, g.Reason)
	}
	pull(t, b, a, math.MaxInt)
	must(t, a.seal(n))
	must(t, errors.Join(a.rollDue(n), b.rollDue(n)))
	if a.rolls.rolled[n] != b.rolls.rolled[n] {
		t.Errorf("they are of %+v and %+v", a.rolls.rolled[n], b.rolls.rolled[n])
	}
	for _, d := range defs[:5] { // the gaps are of tags both have configured
		pa, err := a.rolls.read(a.byName[d.Name].id, n)
		must(t, err)
		pb, err := b.rolls.read(b.byName[d.Name].id, n)
		must(t, err)
		if len(pa) == 0 || !bytes.Equal(appendHourly(nil, n*dayNanos, pa), appendHourly(nil, n*dayNanos, pb)) {
			t.Errorf("%s: %d pieces and %d, or they differ", d.Name, len(pa), len(pb))
		}
	}
	must(t, errors.Join(a.Close(), b.Close()))
}

// TestLateSamplesReachTheSummaries writes into a day that is summarised, with a restart in between.
func TestLateSamplesReachTheSummaries(t *testing.T) {
	dir := t.TempDir()
	s, defs, n := rollStore(t, dir, 6)
	must(t, s.rollDue(n))
	q := question{defs[0].Name, midnight.UnixNano(), midnight.Add(24 * time.Hour).UnixNano(), 24 * time.Hour, Maximum}
	for i := range 2 {
		top := tag.Float64(1e6 * float64(i+1))
		what := []Entered{{q.tag, []tag.Sample{{Time: midnight.Add(9*time.Hour).UnixNano() + 7, Value: top}}}}
		if added, err := s.Enter(t.Context(), what); err != nil || added != 1 {
			t.Fatal(added, err)
		}
		if i == 1 {
			must(t, s.Close())
			s = openT(t, dir, Options{Tags: defs, Now: afterDay, SealAfter: -1})
		}
		if s.current(n) {
			t.Error("the summaries pass for current")
		}
		if p := q.ask(t, s); p[0].Value != top {
			t.Errorf("before they are made again: %+v", p)
		}
		must(t, s.rollDue(n))
		if p := q.ask(t, s); !s.current(n) || p[0].Value != top {
			t.Errorf("after: %+v", p)
		}
	}
	before := s.rolls.rolled[n]
	must(t, s.rollDue(n)) // nothing to do
	must(t, s.Close())
	s = openT(t, dir, Options{Tags: defs, Now: afterDay, SealAfter: -1})
	if !s.current(n) || s.rolls.rolled[n] != before {
		t.Error("after a start the summaries are not known to be current")
	}
	must(t, s.Close())
}

// TestSummariesOfMoreSamplesStay: a node that lost a part of a day must not spoil what it has kept of it.
func TestSummariesOfMoreSamplesStay(t *testing.T) {
	s, defs, n := rollStore(t, t.TempDir(), 7)
	defer s.Close()
	id := s.byName[defs[0].Name].id
	must(t, s.rollDue(n))
	whole, err := s.rolls.read(id, n)
	must(t, err)
	part := appendHourly(nil, n*dayNanos, whole[:1])
	must(t, s.rolls.put(n, map[uint32][]byte{id: part}, nil, 0))
	if got, err := s.rolls.read(id, n); err != nil || len(got) != len(whole) {
		t.Errorf("%d pieces of %d are left, %v", len(got), len(whole), err)
	}
}

func TestSummariesHaveTheirOwnRetention(t *testing.T) {
	var now atomic.Int64
	now.Store(afterDay().UnixNano())
	dir := t.TempDir()
	s, defs, n := rollStore(t, dir, 8)
	must(t, s.Close())
	s = openT(t, dir, Options{Tags: defs, Now: func() time.Time { return time.Unix(0, now.Load()) }, Retention: 48 * time.Hour, Hourly: 90 * 24 * time.Hour,
		SealAfter: 1000 * 24 * time.Hour}) // it is done by hand here
	defer s.Close()
	now.Store(midnight.Add(4 * 24 * time.Hour).UnixNano())
	must(t, s.retain())
	if len(s.days.list()) != 1 {
		t.Fatal("the day went before its summaries were made")
	}
	must(t, s.rollDue(n))
	must(t, s.retain())
	q := question{defs[0].Name, midnight.UnixNano(), midnight.Add(24 * time.Hour).UnixNano(), time.Hour, Count}
	if p := q.ask(t, s); len(s.days.list()) != 0 || p[0].Value.Int() == 0 {
		t.Errorf("%d days, %+v", len(s.days.list()), p[0])
	}
	if x, ok, err := s.Before(t.Context(), q.tag, q.to, 48*time.Hour); err != nil || !ok || x.Time >= q.to {
		t.Errorf("the last before: %+v %v %v", x, ok, err)
	}
	now.Store(midnight.AddDate(0, 0, 130).UnixNano()) // the month of the day is over by more than 90 days
	must(t, s.retain())
	if list, err := os.ReadDir(filepath.Join(dir, "r")); err != nil || len(list) != 0 {
		t.Errorf("%v are left, %v", list, err)
	}
	if p := q.ask(t, s); p[0].Quality != tag.BadNoData {
		t.Errorf("%+v", p[0])
	}
}

// TestDamagedSummariesAreMadeAgain cuts a file of summaries off: nobody is told anything wrong, and they come back.
func TestDamagedSummariesAreMadeAgain(t *testing.T) {
	dir := t.TempDir()
	s, defs, n := rollStore(t, dir, 9)
	must(t, s.rollDue(n))
	must(t, s.Close())
	path := filepath.Join(dir, "r", "202611.db")
	must(t, os.WriteFile(path, []byte("not a file of bbolt"), 0o600))
	s = openT(t, dir, Options{Tags: defs, Now: afterDay, SealAfter: -1})
	defer s.Close()
	if _, err := os.Stat(path + damagedSuffix); err != nil || s.rolls.has(n) {
		t.Errorf("it is not set aside: %v", err)
	}
	must(t, s.rollDue(n))
	if !s.current(n) {
		t.Error("they were not made again")
	}
}

func FuzzHourly(f *testing.F) {
	for i := range 3 {
		h := hourly{gaps: []Gap{{From: 40e9, To: 50e9}}}
		for j := range 200 {
			x := tag.Sample{Time: int64(j) * 61e9, Value: tag.Float64(float64(j*i) / 4)}
			if i == 2 && j%7 == 0 {
				x.Quality, x.Value = tag.BadCommunicationError, tag.Value{}
			}
			h.add(x)
		}
		f.Add(appendHourly(nil, 0, h.pieces))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		pieces, err := readHourly(b, 0)
		if err != nil {
			return
		}
		last := int64(0)
		for _, p := range pieces {
			if p.Count < 1 || p.First.Time < last || p.Last.Time < p.First.Time || p.Last.Time >= dayNanos || p.Good > p.Count || p.Numbers > p.Count {
				t.Fatalf("%+v", p)
			}
			last = p.Last.Time
		}
		again := appendHourly(nil, 0, pieces)
		back, err := readHourly(again, 0)
		if err != nil || fmt.Sprintf("%+v", back) != fmt.Sprintf("%+v", pieces) {
			t.Fatalf("%v\n%+v\n%+v", err, back, pieces)
		}
	})
}

// TestHourlyGivesBackEverySummary: decode(encode(x)) = x, and no more bytes than it takes.
func TestHourlyGivesBackEverySummary(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 5))
	for range 200 {
		h := hourly{gaps: []Gap{{From: 3 * hourNanos, To: 4 * hourNanos}, {From: 5*hourNanos + 7, To: 6 * hourNanos}}}
		d := kinds()[r.IntN(8)]
		d.Type = []tag.Type{d.Type, tag.TypeFloat64, tag.TypeFloat32}[r.IntN(3)]
		for at := r.Int64N(hourNanos); at < dayNanos; at += 1 + r.Int64N(int64(10*time.Minute)) {
			x := tag.Sample{Time: at, Value: valueOf(d, r, int(at>>40))}
			if r.IntN(30) == 0 {
				x.Quality = []tag.Quality{tag.BadCommunicationError, tag.UncertainLastUsableValue}[r.IntN(2)]
			}
			h.add(x)
		}
		got, err := readHourly(appendHourly(nil, 0, h.pieces), 0)
		must(t, err)
		if !slices.EqualFunc(got, h.pieces, sameSummary) {
			t.Fatalf("%+v\nwant\n%+v", got, h.pieces)
		}
	}
}

func sameSummary(a, b block.Summary) bool {
	for _, p := range [...][2]*float64{{&a.Sum, &b.Sum}, {&a.Stepped, &b.Stepped}, {&a.Sloped, &b.Sloped}} {
		if math.Abs(*p[0]-*p[1]) > 1e-12*max(1, math.Abs(*p[1])) {
			return false
		}
		*p[0] = *p[1] // of equal numbers they are computed
	}
	return fmt.Sprintf("%+v", a) == fmt.Sprintf("%+v", b)
}
