package history

import (
	"context"
	"slices"

	"scada/acquisition/tag"
)

// openPieces is how many times the usual distance of samples may pass before it is an open piece of a gap again.
const openPieces = 3

// maxTimes is how many samples inside gaps one answer looks at; what lies behind stays marked.
const maxTimes = 1 << 20

// openGaps returns the gaps of a tag between from and to without what has samples after all, because they were brought
// from the peer. A gap without samples stays as it was marked; of one with samples those pieces stay that are much longer
// than the distance its samples usually have.
func (s *Store) openGaps(ctx context.Context, r *series, from, to int64) ([]Gap, error) {
	s.mu.Lock()
	gaps := s.gaps.of(r.scope, from, to)
	byChange := r.mode == tag.HistoryChange
	s.mu.Unlock()
	var out []Gap
	left := maxTimes
	for _, g := range gaps {
		begin, end := max(g.From, from), min(g.To, to)
		times, err := s.times(ctx, r, begin, end, left)
		left -= len(times)
		if err != nil {
			return nil, err
		}
		if len(times) == 0 {
			out = append(out, g)
			continue
		}
		out = append(out, g.pieces(begin, end, times, byChange)...)
	}
	return out[:min(len(out), MaxGaps)], nil
}

// times returns when a tag has samples, at most limit times.
func (s *Store) times(ctx context.Context, r *series, from, to int64, limit int) (out []int64, err error) {
	if limit <= 0 {
		return nil, nil
	}
	err = s.scan(ctx, r, from, to, func(w *window) (bool, error) {
		if n, ok := w.numbers(); ok {
			i, _ := slices.BinarySearch(n.Times, from)
			j, _ := slices.BinarySearch(n.Times, to)
			out = append(out, n.Times[i:max(i, j)]...)
			return len(out) < limit, nil
		}
		samples, _ := w.samples()
		for _, x := range within(samples, from, to) {
			out = append(out, x.Time)
		}
		return len(out) < limit, nil
	})
	return out[:min(len(out), limit)], err
}

// pieces returns what remains of a gap between begin and end with samples at these times. The samples of a tag that is
// recorded by change say nothing of how far they lie apart: there only the ends of the gap can be open.
func (g Gap) pieces(begin, end int64, times []int64, byChange bool) (out []Gap) {
	var apart []int64
	for i := 1; i < len(times); i++ {
		apart = append(apart, times[i]-times[i-1])
	}
	usual := int64(0)
	if len(apart) > 0 {
		slices.Sort(apart)
		usual = apart[len(apart)/2]
	}
	add := func(from, to int64) {
		if to-from > openPieces*usual && to > from {
			out = append(out, Gap{Scope: g.Scope, From: from, To: to, Reason: g.Reason})
		}
	}
	add(begin, times[0])
	if !byChange {
		for i := 1; i < len(times); i++ {
			add(times[i-1]+1, times[i])
		}
	}
	add(times[len(times)-1]+1, end)
	return out
}
