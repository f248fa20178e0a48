package history_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"scada/acquisition/tag"
	"scada/history"
)

// fill brings into s what it lacks of the windows in which it differs from peer, and returns how many samples that were.
func fill(t *testing.T, s, peer *history.Store) (added int) {
	t.Helper()
	ctx := context.Background()
	own := map[time.Time]history.Digest{}
	mine, err := s.Windows(ctx, 0, 1<<62)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range mine {
		own[w.Window] = w.Digest
	}
	theirs, err := peer.Windows(ctx, 0, 1<<62)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range theirs {
		if own[w.Window] == w.Digest {
			continue
		}
		for after, more := "", true; more; more = after != "" {
			data, next, err := peer.Export(ctx, w.Window, after)
			if err != nil {
				t.Fatal(err)
			}
			n, err := s.Import(ctx, data)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := s.Import(ctx, data); again != 0 || err != nil {
				t.Fatalf("the same piece again added %d samples, %v", again, err)
			}
			added += n
			after = next
		}
	}
	return added
}

func TestBothDownInTurnEndEqual(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 2))
	defs, c, m := plant(24), newClock(), newReference()
	ctx := context.Background()
	stores := [2]*history.Store{
		open(t, t.TempDir(), history.Options{Tags: defs, Now: c.now, Logger: slog.New(slog.DiscardHandler)}),
		// The peer numbers its tags in another order, and does not know the last one.
		open(t, t.TempDir(), history.Options{Tags: renumber(defs[:23]), Now: c.now, Logger: slog.New(slog.DiscardHandler)}),
	}
	for i := range 1500 {
		for _, d := range defs {
			if r.IntN(8) > 0 || d.ID == 23 && i/300%3 == 0 { // nobody records the last tag while the first store is down
				continue
			}
			x := tag.Sample{Time: c.now().UnixNano() - r.Int64N(2e9), Value: value(r, d)}
			m.append(defs, []tag.Update{{Tag: d.ID, Sample: x}})
			for n, s := range stores {
				if i/300%3 == n { // each is down in turn, and both are up for a third of the time
					continue
				}
				u := tag.Update{Tag: d.ID, Sample: x}
				if n == 1 {
					u.Tag = tag.ID(len(defs) - 1 - int(d.ID)) // as renumber does
				}
				s.Append([]tag.Update{u})
			}
		}
		c.add(time.Duration(r.Int64N(int64(6 * time.Second))))
		if r.IntN(200) == 0 {
			if err := stores[r.IntN(2)].Flush(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	a, b := fill(t, stores[0], stores[1]), fill(t, stores[1], stores[0])
	if a == 0 || b == 0 {
		t.Fatalf("%d and %d samples were missing, want some", a, b)
	}
	if left := fill(t, stores[0], stores[1]); left != 0 {
		t.Errorf("after both directions %d samples are still missing", left)
	}
	for round := range 2 {
		for _, s := range stores {
			compare(t, s, m, defs, r, c)
		}
		da, err := stores[0].Digest(ctx, nil, 0, 1<<62)
		if err != nil {
			t.Fatal(err)
		}
		db, err := stores[1].Digest(ctx, nil, 0, 1<<62)
		if err != nil || da != db || da.Samples == 0 {
			t.Fatalf("round %d: digests %+v and %+v, %v", round, da, db, err)
		}
		wa, _ := stores[0].Windows(ctx, 0, 1<<62)
		wb, _ := stores[1].Windows(ctx, 0, 1<<62)
		if !slices.Equal(wa, wb) {
			t.Fatalf("round %d: windows differ", round)
		}
		for _, s := range stores { // and again when everything is in files
			if err := s.Flush(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// renumber gives tags other numbers, as a peer with another revision has.
func renumber(defs []tag.Definition) []tag.Definition {
	out := slices.Clone(defs)
	for i := range out {
		out[i].ID = tag.ID(23 - i)
	}
	return out
}

func TestImportRefusesWhatIsNotAnExport(t *testing.T) {
	defs, c := plant(8), newClock()
	ctx := context.Background()
	s := open(t, t.TempDir(), history.Options{Tags: defs, Now: c.now})
	for i := range 50 {
		batch, _ := childBatch(defs, i)
		s.Append(batch)
	}
	good, _, err := s.Export(ctx, base, "")
	if err != nil {
		t.Fatal(err)
	}
	other := open(t, t.TempDir(), history.Options{Tags: defs, Now: c.now})
	for i := range good {
		b := slices.Clone(good)
		b[i] ^= 1
		if n, err := other.Import(ctx, b); err == nil || n != 0 {
			t.Fatalf("byte %d changed: %d samples, %v", i, n, err)
		}
		if n, err := other.Import(ctx, good[:i]); err == nil || n != 0 {
			t.Fatalf("cut at %d: %d samples, %v", i, n, err)
		}
	}
	if n, err := other.Import(ctx, good); n == 0 || err != nil {
		t.Fatalf("the whole: %d samples, %v", n, err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Import(ctx, good); err == nil {
		t.Error("imported into a closed store")
	}
}

func TestReloadKeepsNamesAndScalings(t *testing.T) {
	c, dir, ctx := newClock(), t.TempDir(), context.Background()
	one := []tag.Definition{
		{ID: 0, Name: "a", Area: "main", Type: tag.TypeFloat64, Scale: tag.Linear{RawHigh: 65535, High: 100}},
		{ID: 1, Name: "b", Area: "main", Type: tag.TypeFloat64},
	}
	two := []tag.Definition{
		{ID: 0, Name: "b", Area: "main", Type: tag.TypeFloat64, Scale: tag.Linear{RawHigh: 4095, High: 10}},
		{ID: 1, Name: "c", Area: "main", Type: tag.TypeInt16},
		{ID: 2, Name: "a", Area: "main", Type: tag.TypeFloat64},
	}
	m := newReference()
	s, err := history.Open(dir, history.Options{Tags: one, Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	put := func(defs []tag.Definition, n int) {
		for i := range n {
			var batch []tag.Update
			for _, d := range defs {
				v := tag.Float64(d.Scale.Scale(float64(1000 + i%7)))
				if d.Type == tag.TypeInt16 {
					v = tag.Int(tag.TypeInt16, int64(i))
				}
				batch = append(batch, tag.Update{Tag: d.ID, Sample: tag.Sample{Time: c.now().UnixNano(), Value: v}})
			}
			m.append(defs, batch)
			s.Append(batch)
			c.add(time.Second)
		}
	}
	for range 3 {
		put(one, 20)
		if err := s.SetTags(two); err != nil {
			t.Fatal(err)
		}
		put(two, 20)
		if err := s.SetTags(one); err != nil {
			t.Fatal(err)
		}
	}
	s.Append([]tag.Update{{Tag: 2, Sample: tag.Sample{Time: c.now().UnixNano()}}, {Tag: 1 << 30}})
	if st := s.Stats(); st.Refused != 2 {
		t.Errorf("%d samples of unknown tags refused, want 2", st.Refused)
	}
	check := func() {
		t.Helper()
		for _, name := range []string{"a", "b", "c"} {
			got, want := all(t, s, name, 0, 1<<62, 1000), m.between(name, 0, 1<<62)
			if !slices.Equal(got, want) {
				t.Fatalf("%s: %d samples, want %d", name, len(got), len(want))
			}
		}
	}
	check()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, history.Options{Tags: one[:1], Now: c.now}) // b and c have left the configuration
	check()
	if err := s.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	check()
	if err := s.SetTags([]tag.Definition{{Name: "x"}, {ID: 1, Name: "x"}}); err == nil {
		t.Error("a name defined twice was accepted")
	}
	if err := s.SetTags([]tag.Definition{{Name: ""}}); err == nil {
		t.Error("a tag without a name was accepted")
	}
}

func TestClockStepsAndLateSamples(t *testing.T) {
	defs, c, m, ctx := plant(8), newClock(), newReference(), context.Background()
	s := open(t, t.TempDir(), history.Options{Tags: defs, Now: c.now, Logger: slog.New(slog.DiscardHandler)})
	put := func(n int) {
		for i := range n {
			batch, _ := childBatch(defs, i)
			for j := range batch {
				batch[j].Time = c.now().UnixNano() + int64(j)
			}
			m.append(defs, batch)
			s.Append(batch)
			c.add(3 * time.Second)
		}
	}
	put(1000)
	if err := s.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	c.add(-30 * time.Minute)
	put(100)
	if n := s.Stats().ClockSteps; n != 1 {
		t.Errorf("%d clock steps noticed, want 1", n)
	}
	c.add(2 * time.Hour)
	put(100)
	r := rand.New(rand.NewPCG(1, 2))
	compare(t, s, m, defs, r, c)
	if err := s.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	compare(t, s, m, defs, r, c)
	before := s.Stats()
	s.Append([]tag.Update{
		{Sample: tag.Sample{Time: c.now().Add(history.MaxAhead).UnixNano()}},
		{Sample: tag.Sample{Time: c.now().Add(history.MaxAhead).UnixNano() + 1}},
		{Sample: tag.Sample{Time: -1}},
	})
	if st := s.Stats(); st.Appended != before.Appended+1 || st.Refused != before.Refused+2 {
		t.Errorf("%d appended and %d refused, want 1 and 2", st.Appended-before.Appended, st.Refused-before.Refused)
	}
}

func TestHistoryModes(t *testing.T) {
	c := newClock()
	defs := []tag.Definition{
		{ID: 0, Name: "change", Type: tag.TypeFloat64, History: tag.HistoryChange, Deadband: 0.5},
		{ID: 1, Name: "off", Type: tag.TypeFloat64, History: tag.HistoryOff},
	}
	s := open(t, t.TempDir(), history.Options{Tags: defs, Now: c.now})
	for i, v := range []float64{1, 1, 1.5, 1.6, 1.2, 2.2, 2.2} {
		q := tag.Good
		if i == 6 {
			q = tag.UncertainLastUsableValue
		}
		for id := range defs {
			s.Append([]tag.Update{{Tag: tag.ID(id), Sample: tag.Sample{Time: c.now().UnixNano(), Value: tag.Float64(v), Quality: q}}})
		}
		c.add(time.Second)
	}
	var got []float64
	for _, x := range all(t, s, "change", 0, 1<<62, 100) {
		got = append(got, x.Value.Number())
	}
	if want := []float64{1, 1.6, 2.2, 2.2}; !slices.Equal(got, want) {
		t.Errorf("recorded %v, want %v", got, want)
	}
	if n := len(all(t, s, "off", 0, 1<<62, 100)); n != 0 {
		t.Errorf("%d samples of a tag without history", n)
	}
}

func TestHoursInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		defs, m, dir := plant(20), newReference(), t.TempDir()
		s := open(t, dir, history.Options{Tags: defs})
		r := rand.New(rand.NewPCG(1, 9))
		begin := time.Now()
		for i := range 2 * 3600 {
			var batch []tag.Update
			for _, d := range defs {
				batch = append(batch, tag.Update{Tag: d.ID, Sample: tag.Sample{Time: time.Now().UnixNano(), Value: value(r, d)}})
			}
			m.append(defs, batch)
			pos := s.Append(batch)
			if i%600 == 0 {
				asked := time.Now()
				if err := s.WaitDurable(t.Context(), pos); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(asked); took > 100*time.Millisecond {
					t.Fatalf("durable after %v", took)
				}
			}
			time.Sleep(time.Until(begin.Add(time.Duration(i+1) * time.Second)))
		}
		st := s.Stats()
		if st.Flushes < 11 || st.HeadSamples > 700*int64(len(defs)) {
			t.Errorf("after two hours %d windows are in files and %d samples in memory", st.Flushes, st.HeadSamples)
		}
		list, err := os.ReadDir(dir + "/wal")
		if err != nil || len(list) > 2 {
			t.Errorf("%d journal segments are kept, %v", len(list), err)
		}
		for _, d := range defs {
			if got, want := all(t, s, d.Name, 0, 1<<62, 999), m.between(d.Name, 0, 1<<62); !slices.Equal(got, want) {
				t.Fatalf("%s: %d samples, want %d", d.Name, len(got), len(want))
			}
		}
		if got := s.LastRecorded("main"); got != time.Now().Add(-time.Second).UnixNano() {
			t.Errorf("last recorded %v", time.Unix(0, got))
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if pos := s.Append(nil); s.WaitDurable(t.Context(), pos+1) == nil {
			t.Error("waited for a closed store")
		}
	})
}

func TestKindNamesReadBack(t *testing.T) {
	for k := history.Interpolative; k <= history.WorstQuality; k++ {
		if got, err := history.ParseKind(k.String()); err != nil || got != k {
			t.Errorf("%s reads back as %v, %v", k, got, err)
		}
	}
	if _, err := history.ParseKind("sum"); err == nil {
		t.Error("unknown aggregate accepted")
	}
	_ = fmt.Sprint(history.Kind(-1), history.Layer(9))
}
