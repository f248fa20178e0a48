package history

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"scada/history/block"
)

// Verify re-reads every block between from and to. Those that are damaged are returned and set aside, so that the
// digests of their windows differ from the peer's and a back-fill brings the samples again.
func (s *Store) Verify(ctx context.Context, from, to int64) ([]Damage, error) {
	if err := s.open(); err != nil {
		return nil, err
	}
	first, last := windowOf(max(from, 0)), windowOf(max(to-1, 0))
	var out []Damage
	for _, n := range s.days.list() {
		if n < dayOf(first) || n > dayOf(last) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return out, err
		}
		found, err := s.verifyDay(ctx, n, first, last)
		out = append(out, found...)
		if err != nil || len(out) >= maxDamages {
			return out, err
		}
	}
	return out, nil
}

func (s *Store) verifyDay(ctx context.Context, n, first, last int64) ([]Damage, error) {
	f, err := s.days.acquire(n, false)
	if f == nil || err != nil {
		return nil, err
	}
	defer s.days.release(f)
	v := verification{s: s, f: f, first: first, last: last, windows: map[int64]bool{}}
	if err := f.view(v.read); err != nil {
		return v.out, err
	}
	if len(v.windows) > 0 {
		if err := s.lock(ctx); err != nil {
			return v.out, err
		}
		err := f.update(s.seedOf, func(t *dayTx) error { return t.setAsideIn(v.windows) })
		s.unlock()
		if err != nil {
			return v.out, err
		}
	}
	if v.sealed { // a sealed file is never written to: a new one takes its place
		return v.out, s.seal(n)
	}
	return v.out, nil
}

// verification re-reads the blocks of a day.
type verification struct {
	s           *Store
	f           *day
	first, last int64
	out         []Damage
	windows     map[int64]bool // with blocks that can't be read
	d           block.Decoder
	sealed      bool // some of them are in the sealed file
}

func (v *verification) read(day dayView) error {
	v.d = day.decoder()
	if day.blocks != nil {
		c := day.blocks.Cursor()
		for k, b := c.Seek(binary.BigEndian.AppendUint32(nil, uint32(max(v.first, v.f.number*dayWindows)))); k != nil; k, b = c.Next() {
			id, layer, ok := splitKey(k)
			if w := int64(binary.BigEndian.Uint32(k)); !ok || w > v.last {
				continue
			} else if v.check(id, w, stored{file: v.f.path, layer: layer, block: b}) {
				v.windows[w] = true
			}
		}
	}
	if day.sealed == nil {
		return nil
	}
	c := day.sealed.Cursor()
	for k, b := c.First(); k != nil; k, b = c.Next() {
		x := sealedCursor{id: binary.BigEndian.Uint32(k)}
		if x.take(k, b); x.found && x.first <= v.last && x.first+x.count > v.first && v.check(x.id, x.first, stored{file: v.f.sealed, layer: x.layer, block: b}) {
			v.sealed = true
		}
	}
	return nil
}

// check notes a block that can't be read, and reports whether it is one.
func (v *verification) check(id uint32, w int64, b stored) (bad bool) {
	if len(v.out) >= maxDamages {
		return false
	}
	if _, err := v.d.Decode(nil, b.block); err != nil {
		v.out = append(v.out, v.s.damage(&window{s: v.s, tag: v.s.tagOf(id), number: w}, b, err))
		return true
	}
	return false
}

// tagOf returns the tag with a number, or one without a name: a damaged key may hold any number.
func (s *Store) tagOf(id uint32) *series {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.byKey[id]; r != nil {
		return r
	}
	return &series{id: id}
}

// setAsideIn moves every unreadable block of the windows out of the way.
func (t *dayTx) setAsideIn(windows map[int64]bool) error {
	for w := range windows {
		info, _ := t.info(w)
		type entry struct{ key, block []byte }
		var bad []entry
		prefix := binary.BigEndian.AppendUint32(nil, uint32(w))
		c := t.blocks.Cursor()
		for k, b := c.Seek(prefix); len(k) == 9 && slices.Equal(k[:4], prefix); k, b = c.Next() {
			if _, err := block.Decode(nil, b); err != nil {
				bad = append(bad, entry{slices.Clone(k), slices.Clone(b)})
			}
		}
		for _, e := range bad {
			if err := t.setAside(e.key, e.block, &info); err != nil {
				return err
			}
		}
		info.recount = true
		if err := t.finish(w, info); err != nil {
			return err
		}
	}
	return nil
}

// retain removes days beyond the retention, and acts on the policy when space runs out.
func (s *Store) retain() error {
	list := s.days.list()
	now := s.o.Now()
	sure := s.calendar.sure(now, s.o.Logger)
	if s.Limits().Hourly > 0 {
		if err := s.rolls.drop(sure.Add(-max(s.Limits().Hourly, s.Limits().Retention))); err != nil {
			return err
		}
	}
	for len(list) > 0 && s.Limits().Retention > 0 && dayTime(list[0]+1).Before(sure.Add(-s.Limits().Retention)) && !s.owesRollup(list[0], sure) {
		if err := s.drop(list[0]); err != nil {
			return err
		}
		s.o.Logger.Info("a day of history was removed", "day", dayTime(list[0]).Format(time.DateOnly), "reason", "it is older than the retention")
		list = list[1:]
	}
	for {
		why, err := s.cramped()
		if err != nil {
			return err
		}
		if why != "" && s.o.WhenFull == DropOldest && len(list) > 1 && list[0] < dayOf(windowOf(now.UnixNano())) {
			if err := s.drop(list[0]); err != nil {
				return err
			}
			s.noteDropped(list[0], why, now)
			list = list[1:]
			continue
		}
		s.mu.Lock()
		s.stopped = nil
		if why != "" {
			s.stopped = fullError(why)
		}
		s.mu.Unlock()
		return nil
	}
}

// rollupPatience is how much longer than the retention a day is kept that has no hourly summaries yet.
const rollupPatience = 48 * time.Hour

// owesRollup reports whether a day is to stay until its hourly summaries are made.
func (s *Store) owesRollup(n int64, now time.Time) bool {
	return s.o.SealAfter >= 0 && !s.rolls.has(n) && !dayTime(n+1).Before(now.Add(-s.Limits().Retention-rollupPatience))
}

// fullError says that recording has stopped for want of space.
type fullError string

// Error returns the reason.
func (e fullError) Error() string { return "recording has stopped: " + string(e) }

func (s *Store) drop(n int64) error {
	return errors.Join(s.dropNote(n), s.days.remove(n))
}
