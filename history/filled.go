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

// usualOf is how many samples of a gap say how far they usually lie apart.
const usualOf = 4096

// OpenGaps returns the gap markers of a tag between from and to as [Store.Raw] tells them: as far as no samples were brought
// later.
func (s *Store) OpenGaps(ctx context.Context, name string, from, to int64) ([]Gap, error) {
	r, err := s.series(name)
	if err != nil {
		return nil, err
	}
	return s.openGaps(ctx, r, from, to)
}

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
		f := filling{Gap: g, end: min(g.To, to), at: max(g.From, from), byChange: byChange}
		if err := s.fill(ctx, r, &f, &left); err != nil {
			return nil, err
		}
		if out = append(out, f.finish()...); len(out) > MaxGaps {
			return out[:MaxGaps], nil
		}
	}
	return out, nil
}

// fill goes through the samples in a gap, at most left of them.
func (s *Store) fill(ctx context.Context, r *series, f *filling, left *int) error {
	from, to := f.at, f.end
	if *left <= 0 {
		return nil
	}
	return s.scan(ctx, r, from, to, func(w *window) (bool, error) {
		if n, ok := w.numbers(); ok {
			i, _ := slices.BinarySearch(n.Times, from)
			for ; i < len(n.Times) && n.Times[i] < to && *left > 0; i++ {
				f.add(n.Times[i])
				*left--
			}
			return *left > 0, nil
		}
		samples, _ := w.samples()
		for _, x := range within(samples, from, to) {
			if *left > 0 {
				f.add(x.Time)
				*left--
			}
		}
		return *left > 0, nil
	})
}

// filling finds what remains of a gap, from the times of the samples in it, in order. The samples of a tag that is
// recorded by change say nothing of how far they lie apart: there only the ends of the gap can be open.
type filling struct {
	Gap
	end      int64
	byChange bool

	early   []int64 // the first times, until it is known how far they usually lie apart
	usual   int64
	settled bool
	some    bool  // there were samples
	at      int64 // what is open begins here at the earliest
	open    []Gap
}

func (f *filling) add(t int64) {
	if f.settled {
		f.pass(t)
		return
	}
	if f.early = append(f.early, t); len(f.early) == usualOf {
		f.settle()
	}
}

// settle takes the median of the distances so far as the usual one.
func (f *filling) settle() {
	var apart []int64
	for i := 1; i < len(f.early); i++ {
		apart = append(apart, f.early[i]-f.early[i-1])
	}
	if len(apart) > 0 {
		slices.Sort(apart)
		f.usual = apart[len(apart)/2]
	}
	f.settled = true
	for _, t := range f.early {
		f.pass(t)
	}
	f.early = nil
}

// pass notes what is open before t.
func (f *filling) pass(t int64) {
	if !f.byChange || !f.some {
		f.keep(t)
	}
	f.some, f.at = true, t+1
}

func (f *filling) keep(to int64) {
	if to-f.at > openPieces*f.usual && to > f.at && len(f.open) < MaxGaps {
		f.open = append(f.open, Gap{Scope: f.Scope, From: f.at, To: to, Reason: f.Reason})
	}
}

func (f *filling) finish() []Gap {
	if !f.settled {
		f.settle()
	}
	if !f.some {
		return []Gap{f.Gap}
	}
	f.keep(f.end)
	return f.open
}
