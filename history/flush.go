package history

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

// retryFlush is how long after a failed write of a day file the next attempt comes.
const retryFlush = 15 * time.Second

// keepLoop closes windows when they are over, and keeps age and size within their limits.
func (s *Store) keepLoop() {
	defer close(s.kept)
	wait := time.Duration(0) // what a crash left behind is written at once
	for {
		timer := time.NewTimer(wait)
		early := false
		select {
		case <-s.quitKeep:
			timer.Stop()
			return
		case <-s.early:
			timer.Stop()
			early = true
		case <-timer.C:
		}
		wait = s.keepOnce(early)
	}
}

// keepOnce does what is due and returns when to come again.
func (s *Store) keepOnce(early bool) time.Duration {
	s.writing <- struct{}{}
	err := errors.Join(s.watchFiles(), s.flush(early), s.noteFiles()) // a file that is gone must not be begun anew unnoticed
	s.unlock()
	kept := s.retain()
	signal(s.sealing)
	s.mu.Lock()
	s.setProblem("archive", err)
	s.setProblem("retention", kept)
	s.mu.Unlock()
	if err != nil || kept != nil {
		return retryFlush
	}
	return s.untilDue()
}

// untilDue returns the time until a window is over and its grace too, looking at least once a minute: a clock may step.
func (s *Store) untilDue() time.Duration {
	now := s.now() - int64(s.o.Grace)
	next := (windowOf(now)+1)*windowNanos - now
	return min(time.Duration(next), time.Minute)
}

// freeze takes the windows out of the head that are due: those that are over, and those that lie ahead of the present
// one (a source's clock is fast), so that nothing stays in the journal for ever. early takes all.
func (s *Store) freeze(early bool) []*headWindow {
	s.mu.Lock()
	defer s.mu.Unlock()
	over := windowOf(s.now() - int64(s.o.Grace)) // windows before this one are over
	due := s.frozen                              // what an earlier attempt could not write
	for w, h := range s.heads {
		if !early && w >= over && w <= windowOf(s.now())+1 {
			continue
		}
		h.pos = s.pos
		delete(s.heads, w)
		due = append(due, h)
		for r, c := range h.parts {
			if r.open == c {
				r.open, r.head = nil, nil
			}
		}
	}
	s.frozen = due
	if len(due) > 0 {
		s.rotate()
	}
	slices.SortStableFunc(due, func(a, b *headWindow) int { return int(a.number - b.number) })
	return slices.Clone(due)
}

// flush writes the windows that are due to their day files and removes the journal segments nobody needs any more.
// The caller holds the writing lock.
func (s *Store) flush(early bool) error {
	due := s.freeze(early)
	s.mu.Lock()
	pos, areas, fresh := s.state()
	s.mu.Unlock()
	if len(due) == 0 && len(fresh) == 0 {
		return nil
	}
	// The position goes first: one that was used in a day file must never be given out again.
	if err := s.meta.saveState(pos, areas, fresh, s.oldestDay()); err != nil {
		return err
	}
	s.mu.Lock()
	s.gaps.fresh = s.gaps.fresh[len(fresh):]
	s.mu.Unlock()
	for len(due) > 0 {
		n := 1
		for n < len(due) && dayOf(due[n].number) == dayOf(due[0].number) {
			n++
		}
		if err := s.flushDay(due[:n]); err != nil {
			return err
		}
		s.thaw(due[:n])
		due = due[n:]
	}
	return s.dropSegments()
}

// flushDay writes windows of one day. A file that is beyond use makes way for a new one: recording comes first.
func (s *Store) flushDay(windows []*headWindow) error {
	err := s.writeDay(windows)
	for range 2 { // a day may have two files
		if err == nil || !beyondUse(err) {
			return err
		}
		n := dayOf(windows[0].number)
		to, sealed, e := s.days.setAside(n, err)
		if e != nil || to == "" {
			return errors.Join(err, e)
		}
		d := Damage{File: filepath.Join("p", filepath.Base(to)), Window: dayTime(n)}
		s.mu.Lock()
		s.damaged[d] = struct{}{}
		s.mu.Unlock()
		s.o.Logger.Error("a day file is beyond use and was set aside; a new one is begun", "file", to, "error", err)
		if sealed {
			if e := s.recountDay(n); e != nil {
				return errors.Join(err, e)
			}
		}
		err = s.writeDay(windows)
	}
	return err
}

// recountDay computes the digests of all windows of a day anew, after its sealed file went: those in the file that is
// left were over both.
func (s *Store) recountDay(n int64) error {
	f, err := s.days.acquire(n, true)
	if err != nil {
		return err
	}
	defer s.days.release(f)
	return f.update(s.seedOf, func(t *dayTx) error {
		for w := n * dayWindows; w < (n+1)*dayWindows; w++ {
			if info, ok := readInfo(t.windows, w); ok {
				info.recount = true
				if err := t.finish(w, info); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (s *Store) writeDay(windows []*headWindow) error {
	f, err := s.days.acquire(dayOf(windows[0].number), true)
	if err != nil {
		return err
	}
	defer s.days.release(f)
	var repeated uint64
	err = f.update(s.seedOf, func(t *dayTx) error {
		repeated = 0
		for _, h := range windows {
			n, err := t.flush(h)
			if err != nil {
				return err
			}
			repeated += n
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("writing %s: %w", f.path, err)
	}
	s.touch(f.number)
	s.mu.Lock()
	s.stats.Duplicates += repeated
	s.stats.Flushes += uint64(len(windows))
	s.mu.Unlock()
	return nil
}

// thaw forgets frozen windows that are on disk.
func (s *Store) thaw(done []*headWindow) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range done {
		s.headBytes -= h.bytes
		s.headSamples -= h.samples
	}
	s.frozen = slices.DeleteFunc(s.frozen, func(h *headWindow) bool { return slices.Contains(done, h) })
}

// dropSegments removes the journal segments all of whose samples are in day files.
func (s *Store) dropSegments() error {
	s.mu.Lock()
	keep := s.segment
	for _, h := range s.heads {
		keep = min(keep, h.segment)
	}
	for _, h := range s.frozen {
		keep = min(keep, h.segment)
	}
	for _, c := range s.queue {
		keep = min(keep, c.segment)
	}
	s.mu.Unlock()
	list, err := segments(s.walDir())
	if err != nil {
		return err
	}
	for _, n := range list {
		if n >= keep {
			break
		}
		if err := os.Remove(filepath.Join(s.walDir(), walName(n))); err != nil {
			return fmt.Errorf("removing a journal segment: %w", err)
		}
	}
	return nil
}

// windowInfo is what a day file says of a window as a whole.
type windowInfo struct {
	pos    uint64 // every journalled sample of the window up to this position is in the file
	digest Digest
	// recount says that the digest is wrong and has to be computed anew before the transaction ends.
	recount bool
}

func readInfo(windows *bbolt.Bucket, w int64) (windowInfo, bool) {
	if windows == nil {
		return windowInfo{}, false
	}
	v := windows.Get(binary.BigEndian.AppendUint32(nil, uint32(w)))
	if len(v) != 32 {
		return windowInfo{}, false
	}
	u := func(i int) uint64 { return binary.BigEndian.Uint64(v[8*i:]) }
	return windowInfo{pos: u(0), digest: Digest{Samples: u(1), Hash: [2]uint64{u(2), u(3)}}}, true
}

func (s *Store) oldestDay() time.Time {
	list := s.days.list()
	if rolled := s.rolls.between(0, maxWindow/dayWindows); len(rolled) > 0 && (len(list) == 0 || rolled[0] < list[0]) {
		list = rolled // their gaps are known as long as they are
	}
	if len(list) > 0 {
		return dayTime(list[0])
	}
	return time.Time{}
}

// FlushOver closes the windows that are over and whose late samples were waited for, as the archive does by itself when it
// is time. It is for measurements, whose time passes quicker.
func (s *Store) FlushOver(ctx context.Context) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.unlock()
	return s.flush(false)
}

// Flush closes all windows now, the present one too. It is for backups and tests.
func (s *Store) Flush(ctx context.Context) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.unlock()
	err := s.flush(true)
	signal(s.sealing)
	return err
}
