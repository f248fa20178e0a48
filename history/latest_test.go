package history_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"scada/acquisition/tag"
	"scada/history"
)

// TestLatestIsEach: what is read from memory alone is what is there, of few samples and many, of numbers and texts.
func TestLatestIsEach(t *testing.T) {
	start := time.Now().UTC().Truncate(history.Window)
	var clock atomic.Int64
	clock.Store(start.UnixNano())
	defs := []tag.Definition{{ID: 0, Name: "n", Type: tag.TypeFloat64}, {ID: 1, Name: "text", Type: tag.TypeString}, {ID: 2, Name: "late", Type: tag.TypeFloat64}, {ID: 3, Name: "none", Type: tag.TypeBool}}
	s, err := history.Open(t.TempDir(), history.Options{Tags: defs, Now: func() time.Time { return time.Unix(0, clock.Load()) }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	seed := rand.New(rand.NewPCG(1, 2))
	r, all := s.NewReader(), s.NewReader()
	for i := range 550 {
		ns := clock.Add(int64(time.Second))
		s.Append([]tag.Update{
			{Tag: 0, Sample: tag.Sample{Time: ns, Value: tag.Float64(float64(i)), Quality: tag.Quality(uint32(seed.IntN(2)) << 31)}},
			{Tag: 1, Sample: tag.Sample{Time: ns, Value: tag.String(string(rune('a' + i%7)))}},
			{Tag: 2, Sample: tag.Sample{Time: ns - int64(seed.IntN(20))*1e9, Value: tag.Float64(float64(i))}},
		})
		if i%7 != 0 {
			continue
		}
		from := ns - int64(seed.IntN(200))*1e9
		for _, d := range defs {
			var want, got []tag.Sample
			take := func(to *[]tag.Sample) func([]tag.Sample) (bool, error) {
				return func(p []tag.Sample) (bool, error) { *to = append(*to, p...); return true, nil }
			}
			_, e1 := all.Each(context.Background(), d.Name, from, ns, take(&want))
			_, e2 := r.Latest(context.Background(), d.Name, from, ns, take(&got))
			if e1 != nil || e2 != nil || !slices.Equal(got, want) {
				t.Fatalf("%s after %d s, the last %d s: %d samples, %v, want %d, %v", d.Name, i+1, (ns-from)/1e9, len(got), e2, len(want), e1)
			}
		}
	}
}
