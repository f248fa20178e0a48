package live_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"scada/acquisition/live"
	"scada/acquisition/tag"
)

func update(id tag.ID, at int64, v float64) tag.Update {
	return tag.Update{Tag: id, Sample: tag.Sample{Time: at, Value: tag.Float64(v)}}
}

// TestSinceAgainstADumbTable compares the ring with a map and a counter over random batches and cursors.
func TestSinceAgainstADumbTable(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		n := 1 + rng.IntN(20)
		table := live.New(n)
		cursor, seen := uint64(0), make([]tag.Sample, n)
		truth := make([]tag.Sample, n)
		for i := range truth {
			truth[i].Quality = tag.BadWaitingForInitialData
		}
		for step := range 200 {
			var batch []tag.Update
			for range rng.IntN(5) {
				u := update(tag.ID(rng.IntN(n)), int64(step), float64(rng.IntN(3)))
				batch = append(batch, u)
				truth[u.Tag] = u.Sample
			}
			table.Apply(batch)
			if rng.IntN(3) > 0 {
				continue
			}
			var got []live.Change
			last := cursor
			got, cursor = table.Since(nil, cursor, rng.IntN(4))
			for _, c := range got {
				if c.Seq <= last {
					t.Fatalf("change %d after %d", c.Seq, last)
				}
				last, seen[c.Tag] = c.Seq, c.Sample
			}
		}
		got, _ := table.Since(nil, cursor, 0)
		for _, c := range got {
			seen[c.Tag] = c.Sample
		}
		for i := range truth {
			if seen[i] != truth[i] || table.Get(tag.ID(i)) != truth[i] {
				t.Fatalf("tag %d: reader saw %v, table has %v, truth is %v", i, seen[i], table.Get(tag.ID(i)), truth[i])
			}
		}
	}
}

func TestSinceZeroReturnsEveryTagOnce(t *testing.T) {
	table := live.New(3)
	table.Apply([]tag.Update{update(1, 1, 5), update(1, 2, 6), update(9, 1, 1)})
	got, next := table.Since(nil, 0, 0)
	if len(got) != 3 || got[2].Tag != 1 || got[2].Value.Number() != 6 {
		t.Fatalf("got %v", got)
	}
	if more, _ := table.Since(nil, next, 0); len(more) != 0 {
		t.Fatalf("nothing changed, got %v", more)
	}
}

func TestWatchCoalescesAndNeverBlocksTheWriter(t *testing.T) {
	table := live.New(1)
	w := table.Watch()
	defer w.Close()
	for i := range 1000 {
		table.Apply([]tag.Update{update(0, int64(i), float64(i))})
	}
	<-w.C()
	select {
	case <-w.C():
		t.Fatal("a second signal without a change")
	default:
	}
	table.Apply([]tag.Update{update(0, 999, 999)})
	select {
	case <-w.C():
		t.Fatal("an equal sample is not a change")
	default:
	}
}

func TestRequalifyKeepsValueAndTime(t *testing.T) {
	table := live.New(2)
	table.Apply([]tag.Update{update(0, 5, 7)})
	changed := table.Requalify([]tag.ID{0, 1, 5}, func(s tag.Sample) tag.Quality {
		if s.Value.IsNone() {
			return s.Quality
		}
		return tag.UncertainLastUsableValue
	})
	got := table.Get(0)
	if len(changed) != 1 || got.Time != 5 || got.Value.Number() != 7 || got.Quality != tag.UncertainLastUsableValue {
		t.Fatalf("changed %v, table %v", changed, got)
	}
}

func TestAmongIsSinceForSomeTags(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	table := live.New(10)
	ids := []tag.ID{7, 1, 4, 99}
	for range 200 {
		seq := table.Seq()
		if rng.IntN(3) == 0 {
			seq = 0
		}
		for range rng.IntN(12) {
			table.Apply([]tag.Update{update(tag.ID(rng.IntN(10)), rng.Int64(), 1)})
		}
		all, end := table.Since(nil, seq, 0)
		got, next := table.Among([]live.Change{{}}, ids, seq)
		var want []live.Change
		for _, c := range all {
			if c.Tag == 7 || c.Tag == 1 || c.Tag == 4 {
				want = append(want, c)
			}
		}
		if next != end || !slices.Equal(got[1:], want) {
			t.Fatalf("after %d: %v to %d, want %v to %d", seq, got[1:], next, want, end)
		}
	}
}
