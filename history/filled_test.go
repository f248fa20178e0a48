package history

import (
	"slices"
	"testing"
	"time"
)

func TestFilledGapsAreNotShown(t *testing.T) {
	dir, defs := t.TempDir(), floats(2)
	now := func() time.Time { return start.Add(2 * time.Hour) }
	s := openT(t, dir, Options{Tags: defs, Now: now})
	peer := openT(t, t.TempDir(), Options{Tags: defs, Now: now})
	at := func(minute int) int64 { return start.Add(time.Duration(minute) * time.Minute).UnixNano() }
	for i := range 3600 {
		x := tick(2, start.Add(time.Duration(i)*time.Second))
		if i < 600 || i >= 1800 { // ten minutes in, the first archive is out for twenty
			s.Append(x)
		}
		if i < 2400 && (i < 1200 || i >= 1500) { // the other one has all but five minutes of that
			peer.Append(x)
		}
	}
	gap := Gap{Scope: Scope{Area: "main"}, From: at(10), To: at(30), Reason: "out"}
	s.MarkGap(gap.Scope, gap.From, gap.To, gap.Reason)
	check := func(what string, from, to int64, want []Gap) {
		t.Helper()
		p, err := s.Raw(t.Context(), "t01", from, to, 0, Cursor{})
		must(t, err)
		d, err := s.Decimate(t.Context(), "t01", from, to, 100)
		must(t, err)
		if !slices.Equal(p.Gaps, want) || !slices.Equal(d.Gaps, want) {
			t.Fatalf("%s: gaps %v and %v, want %v", what, p.Gaps, d.Gaps, want)
		}
	}
	check("before", at(0), at(60), []Gap{gap})
	pull(t, s, peer, 1000)
	open := Gap{Scope: gap.Scope, From: at(20) - 1e9 + 1, To: at(25), Reason: "out"}
	check("filled but for five minutes", at(0), at(60), []Gap{open})
	check("a part that is filled", at(11), at(19), nil)
	check("a part that is not", at(21), at(24), []Gap{gap})
	must(t, s.Flush(t.Context()))
	check("in files", at(0), at(60), []Gap{open})
	for i := 1200; i < 1500; i++ {
		s.Append(tick(2, start.Add(time.Duration(i)*time.Second)))
	}
	check("filled", at(0), at(60), nil)
	if got := s.Gaps(Scope{Area: "main"}, 0, 1<<62); !slices.Equal(got, []Gap{gap}) {
		t.Fatalf("the record of the gap itself: %v", got)
	}
}
