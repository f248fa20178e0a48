package history

import (
	"context"
	"errors"
	"time"

	"scada/acquisition/tag"
	"scada/history/block"
)

// rollBatch is how many bytes of summaries are written in one transaction.
const rollBatch = 4 << 20

// rollDue makes the hourly summaries of a day unless those there are, are of what the day holds.
func (s *Store) rollDue(n int64) error {
	if s.current(n) {
		return nil
	}
	writes := s.rolls.written()
	samples, err := s.digestOf(n)
	if err != nil || samples.Samples == 0 {
		return err
	}
	records, size := map[uint32][]byte{}, 0
	var mem scratch
	for _, r := range s.known() {
		began := time.Now()
		pieces, err := s.summarize(&mem, r, n)
		if err != nil {
			return err
		}
		if len(pieces) > 0 {
			records[r.id] = appendHourly(nil, n*dayNanos, pieces)
			size += len(records[r.id])
		}
		if size > rollBatch {
			if err := s.rolls.put(n, records, nil, writes); err != nil {
				return err
			}
			records, size = map[uint32][]byte{}, 0
		}
		select { // half of a processor is enough
		case <-s.quitKeep:
			return ErrClosed
		case <-time.After(time.Since(began)):
		}
	}
	if now, err := s.digestOf(n); err != nil || now != samples {
		return errors.Join(err, errChanged)
	}
	return s.rolls.put(n, records, &samples, writes)
}

// summarize makes the hourly summaries of a tag on a day.
func (s *Store) summarize(mem *scratch, r *series, n int64) ([]block.Summary, error) {
	from, to := n*dayNanos, (n+1)*dayNanos
	s.mu.Lock()
	h := hourly{gaps: s.gaps.of(r.scope, from, to)}
	s.mu.Unlock()
	err := s.scanWith(context.Background(), mem, r, from, to, func(w *window) (bool, error) {
		samples, _ := w.samples()
		for _, x := range within(samples, from, to) {
			h.add(x)
		}
		return true, nil
	})
	return h.pieces, err
}

// digestOf returns the digest of all samples in the files of a day, by the records of its windows.
func (s *Store) digestOf(n int64) (d Digest, err error) {
	stored, err := s.storedInfo(n)
	for _, i := range stored {
		d.Samples += i.digest.Samples
		d.Hash[0] += i.digest.Hash[0]
		d.Hash[1] += i.digest.Hash[1]
	}
	return d, err
}

// current reports whether the hourly summaries of a day are of what its files hold now.
func (s *Store) current(n int64) bool {
	s.rolls.mu.RLock()
	fresh, known := s.rolls.fresh[n]
	made, rolled := s.rolls.rolled[n]
	writes := s.rolls.writes
	s.rolls.mu.RUnlock()
	if !rolled || known {
		return rolled && fresh
	}
	// Nobody has written to the day since the start: that is looked up once.
	now, err := s.digestOf(n)
	s.rolls.mu.Lock()
	defer s.rolls.mu.Unlock()
	if err != nil || now != made {
		return false
	}
	if s.rolls.writes == writes {
		s.rolls.fresh[n] = true
	}
	return true
}

// scanLong is scan for whoever is content with summaries: where there are no samples any more piece is called with what
// is kept of them, and with coarse also for days that lie in the range as a whole.
func (s *Store) scanLong(ctx context.Context, r *series, from, to int64, coarse bool, visit func(*window) (bool, error), piece func(block.Summary) bool) error {
	if err := s.open(); err != nil {
		return err
	}
	if from = max(from, 0); from >= to {
		return nil
	}
	first, last := windowOf(from), windowOf(to-1)
	rolled := map[int64]bool{}
	for _, n := range s.rolls.between(dayOf(first), dayOf(last)) {
		rolled[n] = true
	}
	heads := s.headOf(r, first, last) // before the files: what is written meanwhile is seen twice, never missed
	numbers := map[int64]bool{}
	for w := range heads {
		numbers[w] = true
		delete(rolled, dayOf(w))
	}
	raw := map[int64]bool{}
	for _, n := range s.daysTouching(first, last, numbers) {
		raw[n] = true
	}
	var mem scratch
	for n := dayOf(first); n <= dayOf(last); n++ {
		if !raw[n] && !rolled[n] {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if rolled[n] && (!raw[n] || coarse && n*dayNanos >= from && (n+1)*dayNanos <= to && s.current(n)) {
			pieces, err := s.rolls.read(r.id, n)
			if err == nil {
				if !each(pieces, piece) {
					return nil
				}
				continue
			}
			if !raw[n] {
				s.o.Logger.Error("hourly summaries can't be read", "day", dayTime(n).Format(time.DateOnly), "tag", r.name, "error", err)
				continue
			}
		}
		err := s.scanDay(&mem, r, n, max(first, n*dayWindows), min(last, (n+1)*dayWindows-1), heads, visit)
		if errors.Is(err, errStop) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func each(pieces []block.Summary, visit func(block.Summary) bool) bool {
	for _, p := range pieces {
		if !visit(p) {
			return false
		}
	}
	return true
}

// beforeRolled returns the last sample at or before t that hourly summaries tell of.
func (s *Store) beforeRolled(r *series, t, lookback int64) (tag.Sample, bool) {
	first, last := dayOf(windowOf(max(t-lookback, 0))), dayOf(windowOf(max(t, 0)))
	days := s.rolls.between(first, last)
	for i := len(days) - 1; i >= 0; i-- {
		pieces, err := s.rolls.read(r.id, days[i])
		if err != nil {
			continue
		}
		for j := len(pieces) - 1; j >= 0; j-- {
			if x := pieces[j].Last; x.Time <= t && x.Time > t-lookback {
				return x, true
			}
		}
	}
	return tag.Sample{}, false
}

// addPiece takes the summary of an hour in. What can't be told apart, because an interval ends within it, counts as time
// nothing is known of. False means the end of the range was passed.
func (a *accumulator) addPiece(sum block.Summary) (more bool) {
	switch {
	case sum.Last.Time < a.from:
		a.prev, a.some = sum.Last, true
		return true
	case sum.First.Time >= a.to:
		if sum.First.Time < a.horizon() {
			a.add(sum.First)
		}
		return false
	case sum.First.Time >= a.from && sum.Last.Time < a.to && (sum.First.Time-a.from)/a.step == (sum.Last.Time-a.from)/a.step:
		a.join(sum)
		return true
	}
	for t := max(sum.First.Time, a.from); t <= sum.Last.Time && t < a.to; t += a.step - (t-a.from)%a.step {
		a.cell(t).vague = true
	}
	if sum.First.Time >= a.from {
		a.approach(sum.First)
	}
	a.prev, a.some = tag.Sample{Time: max(sum.First.Time, a.from), Quality: tag.BadNoData}, true
	a.approach(tag.Sample{Time: min(sum.Last.Time, a.to), Quality: tag.BadNoData})
	a.prev = sum.Last
	return sum.Last.Time < a.to
}
