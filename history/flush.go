package history

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"scada/acquisition/tag"
	"scada/history/block"
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
	err := s.flush(early)
	s.unlock()
	kept := s.retain()
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
				r.open = nil
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
	if err == nil || !beyondUse(err) {
		return err
	}
	n := dayOf(windows[0].number)
	to, e := s.days.setAside(n)
	if e != nil {
		return errors.Join(err, e)
	}
	d := Damage{File: filepath.Join("p", filepath.Base(to)), Window: dayTime(n)}
	s.mu.Lock()
	s.damaged[d] = struct{}{}
	s.mu.Unlock()
	s.o.Logger.Error("a day file is beyond use and was set aside; a new one is begun", "file", to, "error", err)
	return s.writeDay(windows)
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
	v := windows.Get(binary.BigEndian.AppendUint32(nil, uint32(w)))
	if len(v) != 32 {
		return windowInfo{}, false
	}
	u := func(i int) uint64 { return binary.BigEndian.Uint64(v[8*i:]) }
	return windowInfo{pos: u(0), digest: Digest{Samples: u(1), Hash: [2]uint64{u(2), u(3)}}}, true
}

// dayTx is a write transaction on a day file.
type dayTx struct {
	blocks, windows, damaged *bbolt.Bucket
	seed                     func(id uint32) (seed uint64, known bool)
}

func (t *dayTx) putInfo(w int64, i windowInfo) error {
	var v []byte
	for _, x := range [...]uint64{i.pos, i.digest.Samples, i.digest.Hash[0], i.digest.Hash[1]} {
		v = binary.BigEndian.AppendUint64(v, x)
	}
	return t.windows.Put(binary.BigEndian.AppendUint32(nil, uint32(w)), v)
}

func blockKey(w int64, id uint32, l Layer) []byte {
	k := make([]byte, 0, 9)
	k = binary.BigEndian.AppendUint32(k, uint32(w))
	k = binary.BigEndian.AppendUint32(k, id)
	return append(k, byte(l))
}

// flush writes a head window and returns how many of its samples were in the file already.
func (t *dayTx) flush(h *headWindow) (repeated uint64, err error) {
	info, known := readInfo(t.windows, h.number)
	parts := make([]*series, 0, len(h.parts))
	for r := range h.parts {
		parts = append(parts, r)
	}
	slices.SortFunc(parts, func(a, b *series) int { return int(int64(a.id) - int64(b.id)) })
	for _, r := range parts {
		c := h.parts[r].Ordered()
		var n int
		if known {
			n, err = t.merge(h.number, r, c.Samples(nil, minTime, maxTime), LayerLate, &info)
		} else {
			n, err = c.Len(), t.put(h.number, r, c, LayerOwn, &info)
		}
		if err != nil {
			return 0, fmt.Errorf("tag %q: %w", r.name, err)
		}
		repeated += uint64(h.parts[r].Len() - n)
	}
	info.pos = max(info.pos, h.pos)
	return repeated, t.finish(h.number, info)
}

// finish writes what is known of a window as a whole.
func (t *dayTx) finish(w int64, info windowInfo) error {
	if info.recount {
		info.digest = Digest{}
		if err := t.recount(w, &info.digest); err != nil {
			return err
		}
	}
	return t.putInfo(w, info)
}

// recount computes the digest of a window from its blocks. One that can't be read counts nothing.
func (t *dayTx) recount(w int64, d *Digest) error {
	c := t.blocks.Cursor()
	prefix := binary.BigEndian.AppendUint32(nil, uint32(w))
	for k, b := c.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix); k, b = c.Next() {
		id, _, ok := splitKey(k)
		if !ok {
			continue
		}
		samples, err := block.Decode(nil, b)
		if seed, known := t.seed(id); known && err == nil {
			for _, x := range samples {
				d.add(seed, x)
			}
		}
	}
	return nil
}

// splitKey returns the tag and the layer of a block's key.
func splitKey(k []byte) (id uint32, l Layer, ok bool) {
	if len(k) != 9 {
		return 0, 0, false
	}
	return binary.BigEndian.Uint32(k[4:]), Layer(k[8]), true
}

const (
	minTime = -1 << 63
	maxTime = 1<<63 - 1
)

// put writes a block where there is none.
func (t *dayTx) put(w int64, r *series, c *block.Columns, l Layer, info *windowInfo) error {
	b, err := c.Encode(nil, r.scale())
	if err != nil {
		return err
	}
	for _, x := range c.Samples(nil, minTime, maxTime) {
		info.digest.add(r.seed, x)
	}
	return t.blocks.Put(blockKey(w, r.id, l), b)
}

// merge adds those of the samples that are in no layer yet, to layer own if it is empty, else to the given one. A block
// that can't be read is set aside first. The window's digest follows.
func (t *dayTx) merge(w int64, r *series, samples []tag.Sample, l Layer, info *windowInfo) (added int, err error) {
	var all, mine []tag.Sample
	for layer := range layerEnd {
		key := blockKey(w, r.id, layer)
		b := t.blocks.Get(key)
		if b == nil {
			if layer == LayerOwn && l == LayerLate {
				l = LayerOwn
			}
			continue
		}
		got, err := block.Decode(nil, b)
		if err != nil {
			if err := t.setAside(key, b, info); err != nil {
				return 0, err
			}
			continue
		}
		if layer == l {
			mine = got
		}
		all = block.Union(all, got)
	}
	fresh := fitting(mine, block.Minus(block.Union(nil, samples), all))
	if len(fresh) == 0 {
		return 0, nil
	}
	c := block.FromSamples(block.Union(mine, fresh))
	b, err := c.Encode(nil, r.scale())
	if err != nil {
		return 0, err
	}
	for _, x := range fresh {
		info.digest.add(r.seed, x)
	}
	return len(fresh), t.blocks.Put(blockKey(w, r.id, l), b)
}

// fitting returns as many of the fresh samples as fit into a block beside mine. Only a source gone mad sends so many.
func fitting(mine, fresh []tag.Sample) []tag.Sample {
	room, text := block.MaxSamples-len(mine), block.MaxTextBytes
	for _, x := range mine {
		text -= len(x.Value.Text())
	}
	for i, x := range fresh {
		room--
		if text -= len(x.Value.Text()); room < 0 || text < 0 {
			return fresh[:i]
		}
	}
	return fresh
}

// setAside moves a block that can't be read out of the way. Its samples are still counted in the window's digest, so
// that has to be counted anew.
func (t *dayTx) setAside(key, b []byte, info *windowInfo) error {
	if err := t.damaged.Put(key, slices.Clone(b)); err != nil {
		return fmt.Errorf("setting a damaged block aside: %w", err)
	}
	info.recount = true
	return t.blocks.Delete(key)
}

func (s *Store) oldestDay() time.Time {
	if list := s.days.list(); len(list) > 0 {
		return dayTime(list[0])
	}
	return time.Time{}
}

// Flush closes all windows now, the present one too. It is for backups and tests.
func (s *Store) Flush(ctx context.Context) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.unlock()
	return s.flush(true)
}
