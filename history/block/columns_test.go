package block_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"scada/acquisition/tag"
	"scada/history/block"
)

// TestInsertIsUnion compares the quick way of joining with the plain one.
func TestInsertIsUnion(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	set := func(n, span int) []tag.Sample {
		var out []tag.Sample
		for range n {
			out = append(out, tag.Sample{Time: int64(r.IntN(span)), Quality: tag.Quality(r.IntN(2))})
		}
		return block.Union(nil, out)
	}
	for range 5000 {
		a, b := set(r.IntN(30), 1+r.IntN(60)), set(r.IntN(10), 1+r.IntN(60))
		want := block.Union(a, b)
		if got := block.Insert(slices.Clone(a), b); !slices.Equal(got, want) {
			t.Fatalf("%v with %v: %v, want %v", a, b, got, want)
		}
	}
}
