package history

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"

	"scada/acquisition/tag"
)

// midnight begins the day these tests seal.
var midnight = time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)

// kinds are tags of every sort; the last is recorded seldom.
func kinds() []tag.Definition {
	defs := floats(8)
	for i, typ := range []tag.Type{tag.TypeFloat64, tag.TypeFloat32, tag.TypeBool, tag.TypeInt64, tag.TypeUint16, tag.TypeString, tag.TypeFloat64, tag.TypeInt8} {
		defs[i].Type = typ
	}
	defs[6].Scale = tag.Linear{RawHigh: 65535, Low: -50, High: 150}
	return defs
}

func valueOf(d tag.Definition, r *rand.Rand, i int) tag.Value {
	switch d.Type {
	case tag.TypeFloat32:
		return tag.Float32(float32(r.NormFloat64()))
	case tag.TypeBool:
		return tag.Bool(i/50%2 == 0)
	case tag.TypeString:
		return tag.String(fmt.Sprint("step ", i/100%5))
	case tag.TypeFloat64:
		return tag.Float64(d.Scale.Scale(float64(30000 + r.IntN(40))))
	}
	return tag.Int(d.Type, int64(i%100))
}

// fillDay records a day of samples, some of them late, some Bad, and a hole of three hours.
func fillDay(t *testing.T, s *Store, defs []tag.Definition, every time.Duration, seed uint64) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 3))
	for i := 0; i < int(24*time.Hour/every); i++ {
		at := midnight.Add(time.Duration(i) * every)
		if at.Hour() >= 3 && at.Hour() < 6 {
			continue
		}
		var batch []tag.Update
		for _, d := range defs {
			if d.ID == 7 && i%500 != 0 {
				continue
			}
			x := tag.Sample{Time: at.UnixNano() + int64(r.IntN(3)), Value: valueOf(d, r, i)}
			if r.IntN(400) == 0 {
				x.Time -= r.Int64N(int64(3 * time.Hour))
			}
			if i/700%5 == 1 && d.ID%3 == 0 {
				x.Quality = tag.BadCommunicationError
			}
			if x.Time >= midnight.UnixNano() {
				batch = append(batch, tag.Update{Tag: d.ID, Sample: x})
			}
		}
		s.Append(batch)
		if i%500 == 499 {
			must(t, s.Flush(t.Context()))
		}
	}
	must(t, s.Flush(t.Context()))
}

// content is all that can be asked of a store.
type content struct {
	digest     Digest
	windows    []WindowDigest
	raw        map[string][]tag.Sample
	aggregates map[string][]Point
	trend      map[string][]tag.Sample
}

func contentOf(t *testing.T, s *Store, defs []tag.Definition) content {
	t.Helper()
	c := content{raw: map[string][]tag.Sample{}, aggregates: map[string][]Point{}, trend: map[string][]tag.Sample{}}
	from, to := midnight.UnixNano(), midnight.Add(24*time.Hour).UnixNano()
	var err error
	c.digest, err = s.Digest(t.Context(), nil, 0, 1<<62)
	must(t, err)
	c.windows, err = s.Windows(t.Context(), 0, 1<<62)
	must(t, err)
	for _, d := range defs {
		p := raw(t, s, d.Name)
		if len(p.Damaged) > 0 {
			t.Fatalf("%s: damage %v", d.Name, p.Damaged)
		}
		c.raw[d.Name] = p.Samples
		for _, step := range []time.Duration{11 * time.Minute, time.Hour, 7 * time.Hour} {
			for _, k := range []Kind{Minimum, Transitions, DurationGood} {
				got, err := s.Aggregate(t.Context(), d.Name, from+12345, to, step, k)
				must(t, err)
				c.aggregates[d.Name] = append(c.aggregates[d.Name], got...)
			}
		}
		for _, pixels := range []int{5, 500} {
			p, err := s.Decimate(t.Context(), d.Name, from, to, pixels)
			must(t, err)
			c.trend[d.Name] = append(c.trend[d.Name], p.Samples...)
		}
		for _, at := range []int64{from + 11*3600e9, from + 5*3600e9, from + 86399e9} {
			x, _, err := s.Before(t.Context(), d.Name, at, 24*time.Hour)
			must(t, err)
			c.trend[d.Name] = append(c.trend[d.Name], x)
		}
	}
	return c
}

func (c content) compare(t *testing.T, what string, want content) {
	t.Helper()
	if c.digest != want.digest || c.digest.Samples == 0 || !slices.Equal(c.windows, want.windows) {
		t.Fatalf("%s: digest %+v of %d windows, want %+v of %d, or the windows' differ", what, c.digest, len(c.windows), want.digest, len(want.windows))
	}
	for name := range want.raw {
		if !slices.Equal(c.raw[name], want.raw[name]) {
			t.Fatalf("%s: %s has %d samples, want %d, or they differ", what, name, len(c.raw[name]), len(want.raw[name]))
		}
		if !slices.Equal(c.aggregates[name], want.aggregates[name]) {
			t.Fatalf("%s: aggregates of %s differ", what, name)
		}
		if !slices.Equal(c.trend[name], want.trend[name]) {
			t.Fatalf("%s: the trend of %s differs", what, name)
		}
	}
}

func dayFiles(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(filepath.Join(dir, "p"))
	must(t, err)
	var out []string
	for _, e := range list {
		out = append(out, e.Name())
	}
	return out
}

// afterDay is some hours after the day is over.
func afterDay() time.Time { return midnight.Add(30 * time.Hour) }

func TestSealedDayIsTheSameSet(t *testing.T) {
	for _, every := range []time.Duration{time.Minute} {
		dir, defs, ctx := t.TempDir(), kinds(), context.Background()
		o := Options{Tags: defs, Now: afterDay, SealAfter: -1}
		s := openT(t, dir, o)
		fillDay(t, s, defs, every, 1)
		before := contentOf(t, s, defs)
		day := dayOf(windowOf(midnight.UnixNano()))
		must(t, s.seal(day))
		if got := dayFiles(t, dir); !slices.Equal(got, []string{"20261120.l1.db"}) {
			t.Fatalf("files %v", got)
		}
		contentOf(t, s, defs).compare(t, "sealed", before)
		must(t, s.Close())
		s = openT(t, dir, o)
		contentOf(t, s, defs).compare(t, "opened again", before)
		if found, err := s.Verify(ctx, 0, 1<<62); len(found) > 0 || err != nil {
			t.Fatalf("verify: %v, %v", found, err)
		}

		// What is there already changes nothing; what comes late is added, beside the sealed file and then in it.
		peer := openT(t, t.TempDir(), Options{Tags: defs, Now: afterDay, SealAfter: -1})
		fillDay(t, peer, defs, every, 1)
		pull(t, s, peer, 5)
		contentOf(t, s, defs).compare(t, "filled with the same", before)
		fillDay(t, s, defs, 30*time.Minute, 2)
		fillDay(t, peer, defs, 30*time.Minute, 2)
		want := contentOf(t, peer, defs)
		contentOf(t, s, defs).compare(t, "with late samples", want)
		fillDay(t, peer, defs, 2*time.Hour, 3)
		pull(t, s, peer, 1000)
		want = contentOf(t, peer, defs)
		sortEqual(contentOf(t, s, defs)).compare(t, "filled from the peer", sortEqual(want))
		if got := dayFiles(t, dir); !slices.Equal(got, []string{"20261120.l0.db", "20261120.l1.db"}) {
			t.Fatalf("files %v", got)
		}
		must(t, s.seal(day))
		sortEqual(contentOf(t, s, defs)).compare(t, "sealed again", sortEqual(want))
		if got := dayFiles(t, dir); !slices.Equal(got, []string{"20261120.l1.db"}) {
			t.Fatalf("files %v", got)
		}
	}
}

// sortEqual leaves out what depends on the order of samples with the same time: two archives may have that otherwise.
func sortEqual(c content) content {
	for name, s := range c.raw {
		slices.SortStableFunc(s, func(a, b tag.Sample) int {
			if a.Time != b.Time {
				return int(a.Time - b.Time)
			}
			return int(int64(a.Value.Bits()) - int64(b.Value.Bits()) + int64(a.Quality) - int64(b.Quality))
		})
		c.raw[name] = s
	}
	clear(c.aggregates)
	clear(c.trend)
	return c
}

// pull brings s what it lacks of the peer's windows: those that differ, and a few that don't.
func pull(t *testing.T, s, peer *Store, limit int) {
	t.Helper()
	windows, err := peer.Windows(t.Context(), 0, 1<<62)
	must(t, err)
	mine, err := s.Windows(t.Context(), 0, 1<<62)
	must(t, err)
	for i, w := range windows {
		if i >= limit || i > 3 && slices.Contains(mine, w) {
			continue
		}
		for after, more := "", true; more; more = after != "" {
			data, next, err := peer.Export(t.Context(), w.Window, after)
			must(t, err)
			_, err = s.Import(t.Context(), data)
			must(t, err)
			after = next
		}
	}
}

// TestSealingMayStopAnywhere stops at each step, as an error and as a crash: whoever opens the folder then finds every
// sample, and sealing succeeds the next time.
func TestSealingMayStopAnywhere(t *testing.T) {
	defs := kinds()
	day := dayOf(windowOf(midnight.UnixNano()))
	for _, again := range []bool{false, true} { // the second time the day is sealed already and has late samples
		for _, stop := range []string{"begun", "batch", "written", "renamed", "removed"} {
			dir, crashed := t.TempDir(), ""
			armed := false
			o := Options{Tags: defs, Now: afterDay, SealAfter: -1, sealStep: func(step string) error {
				if !armed || step != stop {
					return nil
				}
				crashed = copyFolder(t, dir)
				return errors.New("stopped")
			}}
			s := openT(t, dir, o)
			fillDay(t, s, defs, 20*time.Minute, 1)
			if again {
				must(t, s.seal(day))
				fillDay(t, s, defs, time.Hour, 2)
			}
			before := contentOf(t, s, defs)
			armed = true
			if err := s.seal(day); err == nil {
				t.Fatalf("%s: no error", stop)
			}
			armed = false
			contentOf(t, s, defs).compare(t, stop, before)
			other := openT(t, crashed, Options{Tags: defs, Now: afterDay, SealAfter: -1})
			contentOf(t, other, defs).compare(t, "after a crash at "+stop, before)
			for _, x := range []*Store{s, other} {
				must(t, x.seal(day))
				contentOf(t, x, defs).compare(t, stop+" and sealed", before)
				if got := dayFiles(t, x.dir); !slices.Equal(got, []string{"20261120.l1.db"}) {
					t.Fatalf("%s: files %v", stop, got)
				}
				must(t, x.Close())
			}
		}
	}
}

func TestSealingDoesNotDisturb(t *testing.T) {
	defs := kinds()
	day := dayOf(windowOf(midnight.UnixNano()))
	var s *Store
	late := int64(0)
	o := Options{Tags: defs, Now: afterDay, SealAfter: -1, sealStep: func(step string) error {
		if step == "written" && late == 0 { // a sample that comes between the copy and the exchange
			late = midnight.Add(time.Hour).UnixNano() + 77
			s.Append([]tag.Update{{Tag: 1, Sample: tag.Sample{Time: late, Value: tag.Float32(7)}}})
			return s.Flush(context.Background())
		}
		return nil
	}}
	s = openT(t, t.TempDir(), o)
	fillDay(t, s, defs, 2*time.Minute, 1)
	want := len(raw(t, s, "t01").Samples)
	var stop atomic.Bool
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			for !stop.Load() {
				p, err := s.Raw(context.Background(), "t01", 0, 1<<62, 0, Cursor{})
				if err != nil || len(p.Damaged) > 0 || len(p.Samples) < want {
					t.Errorf("%d samples, want %d or more, damage %v, %v", len(p.Samples), want, p.Damaged, err)
					return
				}
			}
		})
	}
	err := s.seal(day)
	if !errors.Is(err, errChanged) {
		t.Fatalf("sealed although a sample came meanwhile: %v", err)
	}
	must(t, s.seal(day))
	stop.Store(true)
	group.Wait()
	p, err := s.Raw(t.Context(), "t01", late, late+1, 0, Cursor{})
	if err != nil || len(p.Samples) != 1 {
		t.Fatalf("the sample that came meanwhile: %v, %v", p.Samples, err)
	}
	must(t, s.days.remove(day))
	if p := raw(t, s, "t01"); len(p.Samples) != 0 || len(dayFiles(t, s.dir)) != 0 {
		t.Fatalf("%d samples and %v of a day that was removed", len(p.Samples), dayFiles(t, s.dir))
	}
}

func TestFlippedBitInASealedDayIsHealed(t *testing.T) {
	defs := kinds()
	day := dayOf(windowOf(midnight.UnixNano()))
	dir := t.TempDir()
	o := Options{Tags: defs, Now: afterDay, SealAfter: -1}
	s, peer := openT(t, dir, o), openT(t, t.TempDir(), o)
	for _, x := range []*Store{s, peer} {
		fillDay(t, x, defs, 2*time.Minute, 1)
		must(t, x.seal(day))
	}
	want := contentOf(t, peer, defs)
	must(t, s.Close())
	id := flipSealed(t, filepath.Join(dir, "p", "20261120.l1.db"), 3)
	s = openT(t, dir, o)
	name := s.byKey[id].name
	if p := raw(t, s, name); len(p.Damaged) != 1 || p.Damaged[0].File != "p/20261120.l1.db" || p.Damaged[0].Tag != name {
		t.Fatalf("damage %v", p.Damaged)
	}
	found, err := s.Verify(t.Context(), 0, 1<<62)
	if err != nil || len(found) != 1 {
		t.Fatalf("verify: %v, %v", found, err)
	}
	if p := raw(t, s, name); len(p.Damaged) != 0 {
		t.Fatalf("the block was not set aside: %v", p.Damaged)
	}
	if d, err := s.Digest(t.Context(), nil, 0, 1<<62); err != nil || d == want.digest {
		t.Fatalf("the digest hides the loss: %v", err)
	}
	pull(t, s, peer, 1000)
	contentOf(t, s, defs).compare(t, "healed", want)
	must(t, s.seal(day))
	contentOf(t, s, defs).compare(t, "healed and sealed", want)
}

// flipSealed flips a bit in the n-th block of a sealed file and returns the block's tag.
func flipSealed(t *testing.T, path string, n int) (id uint32) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	must(t, err)
	var stored []byte
	must(t, db.View(func(tx *bbolt.Tx) error {
		c := tx.Bucket(bucketBlocks).Cursor()
		k, v := c.First()
		for range n {
			k, v = c.Next()
		}
		x := sealedCursor{id: uint32(k[3])}
		x.take(k, v)
		id, stored = x.id, slices.Clone(v)
		return nil
	}))
	must(t, db.Close())
	b, err := os.ReadFile(path)
	must(t, err)
	for i := range b {
		if len(b)-i > len(stored) && slices.Equal(b[i:i+len(stored)], stored) {
			b[i+len(stored)/2] ^= 4
		}
	}
	must(t, os.WriteFile(path, b, 0o640))
	return id
}

func TestSealedFileBeyondUseMakesWay(t *testing.T) {
	defs, dir := kinds(), t.TempDir()
	o := Options{Tags: defs, Now: afterDay, SealAfter: -1}
	s, peer := openT(t, dir, o), openT(t, t.TempDir(), o)
	for _, x := range []*Store{s, peer} {
		fillDay(t, x, defs, 5*time.Minute, 1)
	}
	must(t, s.seal(dayOf(windowOf(midnight.UnixNano()))))
	late := tag.Update{Tag: 1, Sample: tag.Sample{Time: midnight.Add(time.Hour).UnixNano() + 5, Value: tag.Float32(3)}}
	for _, x := range []*Store{s, peer} {
		x.Append([]tag.Update{late})
		must(t, x.Flush(t.Context()))
	}
	want := contentOf(t, peer, defs)
	contentOf(t, s, defs).compare(t, "before", want)
	must(t, s.Close())
	must(t, os.WriteFile(filepath.Join(dir, "p", "20261120.l1.db"), []byte("not a file of ours"), 0o640))
	s = openT(t, dir, o)
	later := tag.Update{Tag: 2, Sample: tag.Sample{Time: midnight.Add(time.Hour).UnixNano() + 6, Value: tag.Bool(true)}}
	for _, x := range []*Store{s, peer} {
		x.Append([]tag.Update{later})
		must(t, x.Flush(t.Context()))
	}
	pull(t, s, peer, 1000)
	contentOf(t, s, defs).compare(t, "healed", contentOf(t, peer, defs))
}

func TestDaysAreSealedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, defs := t.TempDir(), floats(3)
		s := openT(t, dir, Options{Tags: defs})
		for range 4 * 24 {
			s.Append(tick(3, time.Now()))
			time.Sleep(time.Hour)
		}
		st := s.Stats()
		if st.Sealed != 3 || st.Days != 4 {
			t.Fatalf("%d of %d days are sealed: %v", st.Sealed, st.Days, dayFiles(t, dir))
		}
		must(t, s.Close())
	})
}
