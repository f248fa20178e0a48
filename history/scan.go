package history

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sort"
	"time"

	"go.etcd.io/bbolt"

	"scada/acquisition/tag"
	"scada/history/block"
)

// window is what the archive holds of one tag in one window. It is valid while scan calls back.
type window struct {
	s      *Store
	tag    *series
	number int64
	file   string
	blocks [layerEnd][]byte
	head   []tag.Sample // not in blocks, or perhaps in both while it is being written
	// buffer is for decoding one block; decoded is it again afterwards, perhaps grown.
	buffer, decoded []tag.Sample
	d               *block.Decoder
}

// samples returns the samples of the window in order, each once, and the blocks that can't be read. The samples are
// valid until visit returns.
func (w *window) samples() ([]tag.Sample, []Damage) {
	var all []tag.Sample
	var damaged []Damage
	for l, b := range w.blocks {
		if b == nil {
			continue
		}
		got, err := w.d.Decode(w.buffer[:0], b)
		if err != nil {
			damaged = append(damaged, w.s.damage(w, Layer(l), err))
			continue
		}
		if all == nil {
			all, w.decoded, w.buffer = got, got, nil
		} else {
			all = block.Union(all, got)
		}
	}
	if len(w.head) > 0 {
		all = block.Union(all, w.head)
	}
	return all, damaged
}

// only returns the block that is all there is of the window, or nil.
func (w *window) only() []byte {
	var only []byte
	for _, b := range w.blocks {
		if b != nil && only != nil {
			return nil
		}
		if b != nil {
			only = b
		}
	}
	if len(w.head) > 0 {
		return nil
	}
	return only
}

// summary returns the summary of the window without decoding it, if it is one readable block with a summary.
func (w *window) summary() (block.Summary, bool) {
	b := w.only()
	if b == nil {
		return block.Summary{}, false
	}
	sum, ok, err := block.ReadSummary(b)
	return sum, ok && err == nil
}

// numbers returns the window by column, if it is one readable block of Good numbers. They are valid until visit returns.
func (w *window) numbers() (block.Numbers, bool) {
	b := w.only()
	if b == nil {
		return block.Numbers{}, false
	}
	n, ok, err := w.d.Numbers(b)
	return n, ok && err == nil
}

// damage notes and returns a damage; a new one is logged.
func (s *Store) damage(w *window, l Layer, err error) Damage {
	d := Damage{File: w.file, Tag: w.tag.name, Window: time.Unix(0, w.number*windowNanos).UTC(), Layer: l}
	s.mu.Lock()
	_, old := s.damaged[d]
	if !old && len(s.damaged) < maxDamages {
		s.damaged[d] = struct{}{}
	}
	s.mu.Unlock()
	if d.Err = err; !old {
		s.o.Logger.Error("a block of the history is damaged", "file", d.File, "tag", d.Tag, "window", d.Window, "layer", d.Layer, "error", err)
	}
	return d
}

// maxDamages bounds how many damaged blocks are remembered, and returned by one call.
const maxDamages = 1000

// within returns the part of samples, which are in order, with from <= time < to.
func within(samples []tag.Sample, from, to int64) []tag.Sample {
	i := sort.Search(len(samples), func(i int) bool { return samples[i].Time >= from })
	j := sort.Search(len(samples), func(i int) bool { return samples[i].Time >= to })
	return samples[i:max(i, j)]
}

// open returns ErrClosed when the store is.
func (s *Store) open() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	return nil
}

func (s *Store) series(name string) (*series, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.byName[name]
	switch {
	case s.closed:
		return nil, ErrClosed
	case r == nil:
		return nil, fmt.Errorf("%q: %w", name, ErrUnknownTag)
	}
	return r, nil
}

// known returns all tags in order of name.
func (s *Store) known() []*series {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*series, 0, len(s.byName))
	for _, r := range s.byName {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b *series) int { return bytes.Compare([]byte(a.name), []byte(b.name)) })
	return out
}

// headOf copies what the head holds of a tag in a range of windows.
func (s *Store) headOf(r *series, first, last int64) map[int64][]tag.Sample {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out map[int64][]tag.Sample
	take := func(h *headWindow) {
		if c := h.parts[r]; c != nil && h.number >= first && h.number <= last {
			if out == nil {
				out = map[int64][]tag.Sample{}
			}
			out[h.number] = c.Samples(out[h.number], minTime, maxTime)
		}
	}
	for _, h := range s.frozen {
		take(h)
	}
	for _, h := range s.heads {
		take(h)
	}
	return out
}

// headNumbers returns the windows in a range that have samples in memory.
func (s *Store) headNumbers(first, last int64) map[int64]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[int64]bool{}
	for _, h := range s.frozen {
		out[h.number] = h.number >= first && h.number <= last
	}
	for w := range s.heads {
		out[w] = w >= first && w <= last
	}
	return out
}

// daysTouching returns the days that have a file or samples in memory in a range of windows, oldest first.
func (s *Store) daysTouching(first, last int64, heads map[int64]bool) []int64 {
	var out []int64
	for _, n := range s.days.list() {
		if n >= dayOf(first) && n <= dayOf(last) {
			out = append(out, n)
		}
	}
	for w, in := range heads {
		if in {
			out = append(out, dayOf(w))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// errStop ends a scan early without being an error.
var errStop = errors.New("stop")

// scan calls visit with each window of a tag that touches the range and holds something, oldest first, until visit
// returns false. Between the days it looks at ctx.
func (s *Store) scan(ctx context.Context, r *series, from, to int64, visit func(*window) (more bool, err error)) error {
	if err := s.open(); err != nil {
		return err
	}
	if from = max(from, 0); from >= to {
		return nil
	}
	first, last := windowOf(from), windowOf(to-1)
	heads := s.headOf(r, first, last) // before the files: what is written meanwhile is seen twice, never missed
	numbers := map[int64]bool{}
	for w := range heads {
		numbers[w] = true
	}
	for _, n := range s.daysTouching(first, last, numbers) {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := s.scanDay(r, n, max(first, n*dayWindows), min(last, (n+1)*dayWindows-1), heads, visit)
		if errors.Is(err, errStop) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) scanDay(r *series, n, first, last int64, heads map[int64][]tag.Sample, visit func(*window) (bool, error)) error {
	f, err := s.days.acquire(n, false)
	if err != nil {
		return err
	}
	call := func(w *window) error {
		if more, err := visit(w); err != nil || more {
			return err
		}
		return errStop
	}
	if f == nil {
		for w := first; w <= last; w++ {
			if h := heads[w]; h != nil {
				if err := call(&window{s: s, tag: r, number: w, head: block.Union(nil, h)}); err != nil {
					return err
				}
			}
		}
		return nil
	}
	defer s.days.release(f)
	visited := first // in case the buckets are not there yet
	err = f.view(func(blocks, _ *bbolt.Bucket) error {
		c := blocks.Cursor()
		file := filepath.Join("p", filepath.Base(f.path))
		var buffer []tag.Sample
		var d block.Decoder
		for w := first; w <= last; w++ {
			visited = w + 1
			x := window{s: s, tag: r, number: w, file: file, buffer: buffer, d: &d}
			if h := heads[w]; h != nil {
				x.head = block.Union(nil, h)
			}
			if !x.load(c) && x.head == nil {
				continue
			}
			if err := call(&x); err != nil {
				return err
			}
			buffer = x.decoded
		}
		return nil
	})
	for w := visited; err == nil && w <= last; w++ {
		if h := heads[w]; h != nil {
			err = call(&window{s: s, tag: r, number: w, head: block.Union(nil, h)})
		}
	}
	return err
}

// load finds the blocks of the window.
func (w *window) load(c *bbolt.Cursor) (found bool) {
	first := blockKey(w.number, w.tag.id, 0)
	for k, v := c.Seek(first); k != nil && bytes.HasPrefix(k, first[:8]); k, v = c.Next() {
		if _, l, ok := splitKey(k); ok && l < layerEnd {
			w.blocks[l] = v
			found = true
		}
	}
	return found
}
