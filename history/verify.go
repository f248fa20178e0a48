package history

import (
	"context"
	"encoding/binary"
	"path/filepath"
	"slices"
	"time"

	"go.etcd.io/bbolt"

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
	var out []Damage
	windows := map[int64]bool{}
	err = f.view(func(blocks, _ *bbolt.Bucket) error {
		c := blocks.Cursor()
		for k, b := c.Seek(binary.BigEndian.AppendUint32(nil, uint32(max(first, n*dayWindows)))); k != nil; k, b = c.Next() {
			id, layer, ok := splitKey(k)
			if !ok {
				continue
			}
			w := int64(binary.BigEndian.Uint32(k))
			if w > last || len(out) >= maxDamages {
				return nil
			}
			if _, err := block.Decode(nil, b); err != nil {
				x := &window{s: s, tag: s.tagOf(id), number: w, file: filepath.Join("p", filepath.Base(f.path))}
				out = append(out, s.damage(x, layer, err))
				windows[w] = true
			}
		}
		return nil
	})
	if err != nil || len(windows) == 0 {
		return out, err
	}
	if err := s.lock(ctx); err != nil {
		return out, err
	}
	defer s.unlock()
	return out, f.update(s.seedOf, func(t *dayTx) error { return t.setAsideIn(windows) })
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
		info, _ := readInfo(t.windows, w)
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
	for len(list) > 0 && s.o.Retention > 0 && dayTime(list[0]+1).Before(now.Add(-s.o.Retention)) {
		if err := s.drop(list[0], "it is older than the retention"); err != nil {
			return err
		}
		list = list[1:]
	}
	for {
		why, err := s.cramped()
		if err != nil {
			return err
		}
		if why != "" && s.o.WhenFull == DropOldest && len(list) > 1 && list[0] < dayOf(windowOf(now.UnixNano())) {
			if err := s.drop(list[0], why); err != nil {
				return err
			}
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

// fullError says that recording has stopped for want of space.
type fullError string

// Error returns the reason.
func (e fullError) Error() string { return "recording has stopped: " + string(e) }

func (s *Store) drop(n int64, why string) error {
	if err := s.days.remove(n); err != nil {
		return err
	}
	s.o.Logger.Info("a day of history was removed", "day", dayTime(n).Format(time.DateOnly), "reason", why)
	return nil
}
