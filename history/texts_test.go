package history

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"scada/acquisition/tag"
)

// TestPagesOfLongTexts: a page has so many bytes of text at most, the next goes on where it ended, and what has no next page is
// refused beyond that.
func TestPagesOfLongTexts(t *testing.T) {
	const n = 150
	defs := []tag.Definition{{ID: 0, Name: "note", Type: tag.TypeString}}
	s := openT(t, t.TempDir(), Options{Tags: defs, Now: func() time.Time { return start.Add(48 * time.Hour) }})
	text := func(i int) string {
		return fmt.Sprint(i) + strings.Repeat("x", tag.MaxText-10)
	}
	for i := range n { // in several windows, so that no block holds too much
		s.Append([]tag.Update{{Tag: 0, Sample: tag.Sample{Time: start.Add(time.Duration(i) * 5 * time.Minute).UnixNano(), Value: tag.String(text(i))}}})
	}
	must(t, s.Flush(t.Context()))
	from, to := start.UnixNano(), start.Add(24*time.Hour).UnixNano()
	got, pages := 0, 0
	for at, more := (Cursor{}), true; more; pages++ {
		p, err := s.Raw(t.Context(), "note", from, to, 0, at)
		must(t, err)
		bytes := 0
		for _, x := range p.Samples {
			if x.Value.Text() != text(got) {
				t.Fatalf("sample %d begins with %.5s", got, x.Value.Text())
			}
			bytes += len(x.Value.Text())
			got++
		}
		if bytes > maxPageText || len(p.Samples) == 0 {
			t.Fatalf("a page of %d samples with %d bytes of text", len(p.Samples), bytes)
		}
		at, more = p.Next, p.More
	}
	if got != n || pages != 3 {
		t.Errorf("%d samples in %d pages", got, pages)
	}
	if _, err := s.Decimate(t.Context(), "note", from, to, 1000); !errors.Is(err, ErrTooMuch) {
		t.Errorf("drawn: %v", err)
	}
	if p, err := s.Decimate(t.Context(), "note", from, to, 20); err != nil || len(p.Samples) == 0 {
		t.Errorf("drawn with fewer points: %v", err)
	}
}

// TestReaderUsesItsMemoryAgain: what a page holds is right although the pages before were in the same place, whatever was read
// in between.
func TestReaderUsesItsMemoryAgain(t *testing.T) {
	s := openT(t, t.TempDir(), Options{Tags: floats(3), Now: func() time.Time { return start.Add(2 * time.Hour) }})
	for i := range 4000 {
		s.Append(tick(3, start.Add(time.Duration(i)*time.Second)))
	}
	must(t, s.FlushOver(t.Context())) // a part in files, a part in memory
	r := s.NewReader()
	from, to := start.UnixNano(), start.Add(time.Hour*2).UnixNano()
	for _, name := range []string{"t00", "t01", "t02"} {
		want, err := s.Raw(t.Context(), name, from, to, 0, Cursor{})
		must(t, err)
		n := 0
		for at, more, limit := (Cursor{}), true, 1; more; limit = limit*3 + 1 {
			p, err := r.Page(t.Context(), name, from, to, limit, at)
			must(t, err)
			for _, x := range p.Samples {
				if n >= len(want.Samples) || x != want.Samples[n] {
					t.Fatalf("%s: sample %d is %+v", name, n, x)
				}
				n++
			}
			if len(p.Samples) > limit {
				t.Fatalf("%d samples, the limit is %d", len(p.Samples), limit)
			}
			_, err = r.Each(t.Context(), "t01", from, from+int64(time.Minute), func([]tag.Sample) (bool, error) { return true, nil })
			must(t, err)
			at, more = p.Next, p.More
		}
		if n != len(want.Samples) || n != 4000 {
			t.Errorf("%s: %d samples, want %d", name, n, len(want.Samples))
		}
	}
}
