package history

import (
	"context"
	"maps"
	"slices"
	"time"
)

// Audited is what reading everything of one day found.
type Audited struct {
	Day     time.Time
	Samples uint64
	Windows []WindowDigest // computed from the samples themselves, oldest first
	Wrong   []time.Time    // windows whose recorded digest is not that of their samples
	Damaged []Damage       // blocks that can't be read
}

// Audit reads every block with samples between from and to, whole windows, and calls visit for each day that has any,
// oldest first. It changes nothing.
func (s *Store) Audit(ctx context.Context, from, to int64, visit func(Audited) error) error {
	if err := s.open(); err != nil {
		return err
	}
	first, last := windowOf(max(from, 0)), windowOf(max(to-1, 0))
	for _, n := range s.daysTouching(first, last, s.headNumbers(first, last)) {
		a, err := s.auditDay(ctx, n, max(first, n*dayWindows), min(last, (n+1)*dayWindows-1))
		if err != nil {
			return err
		}
		if err := visit(a); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) auditDay(ctx context.Context, n, first, last int64) (Audited, error) {
	a := Audited{Day: dayTime(n)}
	from, to := first*windowNanos, (last+1)*windowNanos
	found := map[int64]*Digest{}
	var mem scratch
	for _, r := range s.known() {
		if err := ctx.Err(); err != nil {
			return a, err
		}
		err := s.scanWith(ctx, &mem, r, from, to, func(w *window) (bool, error) {
			samples, damaged := w.samples()
			if room := maxDamages - len(a.Damaged); len(damaged) > 0 {
				a.Damaged = append(a.Damaged, damaged[:min(room, len(damaged))]...)
			}
			var d *Digest
			at := int64(-1)
			for _, x := range within(samples, from, to) {
				if w := windowOf(x.Time); w != at {
					if at, d = w, found[w]; d == nil {
						d = &Digest{}
						found[w] = d
					}
				}
				d.add(r.seed, x)
			}
			return true, nil
		})
		if err != nil {
			return a, err
		}
	}
	stored, err := s.storedInfo(n)
	if err != nil {
		return a, err
	}
	heads := s.headNumbers(first, last)
	for w := first; w <= last; w++ {
		start := time.Unix(0, w*windowNanos).UTC()
		d := found[w]
		if d == nil {
			d = &Digest{}
		} else {
			a.Samples += d.Samples
			a.Windows = append(a.Windows, WindowDigest{Window: start, Digest: *d})
		}
		// What is in memory has no record yet, and may be written, with its record, while it is looked at.
		if !heads[w] && stored[w].digest != *d {
			a.Wrong = append(a.Wrong, start)
		}
	}
	return a, nil
}

// Repair sets aside the blocks between from and to that can't be read, and counts the digests anew that are not those
// of the samples there are: the windows differ from the peer's then, and an exchange with it completes them. It returns
// how many blocks and digests that were.
func (s *Store) Repair(ctx context.Context, from, to int64) (blocks, digests int, err error) {
	damaged, err := s.Verify(ctx, from, to)
	if err != nil {
		return len(damaged), 0, err
	}
	err = s.Audit(ctx, from, to, func(a Audited) error {
		if len(a.Wrong) == 0 {
			return nil
		}
		digests += len(a.Wrong)
		return s.recount(ctx, windowOf(a.Day.UnixNano())/dayWindows, a.Wrong)
	})
	return len(damaged), digests, err
}

// recount writes the digests of windows of a day as they are.
func (s *Store) recount(ctx context.Context, n int64, wrong []time.Time) error {
	windows := map[int64]bool{}
	for _, t := range wrong {
		windows[windowOf(t.UnixNano())] = true
	}
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.unlock()
	f, err := s.days.acquire(n, true)
	if err != nil {
		return err
	}
	defer s.days.release(f)
	s.touch(n)
	return f.update(s.seedOf, func(t *dayTx) error {
		for _, w := range slices.Sorted(maps.Keys(windows)) {
			info, _ := t.info(w)
			info.recount = true
			if err := t.finish(w, info); err != nil {
				return err
			}
		}
		return nil
	})
}
