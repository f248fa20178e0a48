package history

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"

	"scada/acquisition/tag"
)

// TestRemovedDayFileIsNoticed removes each file of a day, while the store is open and while it is not: it is told once, and the
// peer brings everything back.
func TestRemovedDayFileIsNoticed(t *testing.T) {
	for _, x := range []struct {
		what, file   string
		sealed, late bool
		running      bool
	}{
		{"the open file", "20261120.l0.db", false, false, true},
		{"the sealed file", "20261120.l1.db", true, false, true},
		{"the sealed file of two", "20261120.l1.db", true, true, true},
		{"the open file of a stopped store", "20261120.l0.db", false, false, false},
		{"the sealed file of two of a stopped store", "20261120.l1.db", true, true, false},
	} {
		t.Run(x.what, func(t *testing.T) {
			dir, n := t.TempDir(), dayOf(windowOf(midnight.UnixNano()))
			defs, o := kinds(), Options{Tags: kinds(), Now: afterDay, SealAfter: -1}
			s, peer := openT(t, dir, o), openT(t, t.TempDir(), o)
			for _, y := range []*Store{s, peer} {
				fillDay(t, y, defs, 20e9, 7)
				if x.sealed {
					must(t, y.seal(n))
				}
				if x.late {
					what := []Entered{{defs[0].Name, []tag.Sample{{Time: midnight.UnixNano() + 5, Value: tag.Float64(5)}}}}
					if added, err := y.Enter(t.Context(), what); added != 1 || err != nil {
						t.Fatal(added, err)
					}
				}
			}
			watch := func() {
				t.Helper()
				must(t, s.lock(t.Context()))
				defer s.unlock()
				must(t, errors.Join(s.watchFiles(), s.noteFiles()))
			}
			watch()
			if found, _ := s.Damaged(); found != 0 {
				t.Fatalf("%d damages of a sound archive", found)
			}
			want, err := peer.Digest(t.Context(), nil, 0, math.MaxInt64)
			must(t, err)
			if !x.running {
				must(t, s.Close())
			}
			must(t, os.Remove(filepath.Join(dir, "p", x.file)))
			if !x.running {
				s = openT(t, dir, o)
			}
			watch()
			watch()
			if found, _ := s.Damaged(); found != 1 {
				t.Errorf("told %d times", found)
			}
			pull(t, s, peer, math.MaxInt)
			if got, err := s.Digest(t.Context(), nil, 0, math.MaxInt64); err != nil || got != want {
				t.Errorf("%d samples came back of %d, %v", got.Samples, want.Samples, err)
			}
			must(t, errors.Join(s.Close(), peer.Close()))
		})
	}
}
