package history

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"scada/acquisition/tag"
	"scada/history/block"
)

// window is what the archive holds of one tag in one window, or in the few neighbouring ones that a sealed block covers.
// It is valid while scan calls back.
type window struct {
	s      *Store
	tag    *series
	number int64 // of the first window
	count  int64 // windows
	blocks []stored
	head   []tag.Sample // not in blocks, or perhaps in both while it is being written
	// buffer is for decoding one block; decoded is it again afterwards, perhaps grown.
	buffer, decoded []tag.Sample
	d               *block.Decoder
}

// stored is a block in a day file.
type stored struct {
	file  string
	layer Layer
	block []byte
	whole bool // it needs nothing else to be read: its times are in it
}

// samples returns the samples of the window in order, each once, and the blocks that can't be read. The samples are
// valid until visit returns.
func (w *window) samples() ([]tag.Sample, []Damage) {
	var all []tag.Sample
	var damaged []Damage
	for _, b := range w.blocks {
		got, err := w.d.Decode(w.buffer[:0], b.block)
		if err != nil {
			damaged = append(damaged, w.s.damage(w, b, err))
			continue
		}
		if all == nil {
			all, w.buffer = got, nil
		} else {
			all = block.Insert(all, got)
		}
	}
	if len(w.head) > 0 {
		all = block.Insert(all, w.head)
	}
	w.decoded = all
	return all, damaged
}

// only returns the block that is all there is of the window, or nil.
func (w *window) only() []byte {
	if len(w.blocks) != 1 || len(w.head) > 0 {
		return nil
	}
	return w.blocks[0].block
}

// asStored returns the block that is all there is of the window, if anybody can read it as it is, or nil.
func (w *window) asStored() []byte {
	b := w.only()
	if b == nil || !w.blocks[0].whole || block.Check(b) != nil {
		return nil
	}
	return b
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
func (s *Store) damage(w *window, b stored, err error) Damage {
	d := Damage{File: filepath.Join("p", filepath.Base(b.file)), Tag: w.tag.name, Window: time.Unix(0, w.number*windowNanos).UTC(), Layer: b.layer}
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

// known returns all tags in order of name. Nobody changes what it returns.
func (s *Store) known() []*series {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sorted) != len(s.byName) { // names are added only
		s.sorted = slices.SortedFunc(maps.Values(s.byName), func(a, b *series) int { return strings.Compare(a.name, b.name) })
	}
	return s.sorted
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

// scratch is memory that scans of one goroutine use again.
type scratch struct {
	d      block.Decoder
	buffer []tag.Sample
}

// scan calls visit with each window of a tag that touches the range and holds something, oldest first, until visit
// returns false. Between the days it looks at ctx.
func (s *Store) scan(ctx context.Context, r *series, from, to int64, visit func(*window) (more bool, err error)) error {
	return s.scanWith(ctx, &scratch{}, r, from, to, visit)
}

func (s *Store) scanWith(ctx context.Context, mem *scratch, r *series, from, to int64, visit func(*window) (more bool, err error)) error {
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
		err := s.scanDay(mem, r, n, max(first, n*dayWindows), min(last, (n+1)*dayWindows-1), heads, visit)
		if errors.Is(err, errStop) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) scanDay(mem *scratch, r *series, n, first, last int64, heads map[int64][]tag.Sample, visit func(*window) (bool, error)) error {
	f, err := s.days.acquire(n, false)
	if err != nil {
		return err
	}
	if f == nil {
		return s.scanView(mem, nil, dayView{}, r, first, last, heads, visit)
	}
	defer s.days.release(f)
	return f.view(func(v dayView) error { return s.scanView(mem, f, v, r, first, last, heads, visit) })
}

// scanView goes through the windows a tag has of a day, inside the transaction of a view; f is nil when there is no file.
func (s *Store) scanView(mem *scratch, f *day, v dayView, r *series, first, last int64, heads map[int64][]tag.Sample, visit func(*window) (bool, error)) error {
	sc := dayScan{plain: cursor(v.blocks), sealed: sealedCursor{c: cursor(v.sealed), id: r.id}}
	if f != nil {
		sc.path, sc.sealedPath = f.path, f.sealed
	}
	sc.sealed.seek(first)
	mem.d.Shared = sharedOf(v.sealedTimes)
	for w := first; w <= last; {
		x := window{s: s, tag: r, number: w, count: 1, buffer: mem.buffer, d: &mem.d}
		sc.load(&x)
		for i := range x.count {
			if h := heads[x.number+i]; h != nil {
				x.head = block.Union(x.head, h)
			}
		}
		w = x.number + x.count
		if len(x.blocks) == 0 && x.head == nil {
			continue
		}
		if more, err := visit(&x); err != nil {
			return err
		} else if !more {
			return errStop
		}
		mem.buffer = x.decoded
	}
	return nil
}

func cursor(b *bbolt.Bucket) *bbolt.Cursor {
	if b == nil {
		return nil
	}
	return b.Cursor()
}

// dayScan goes through the blocks of one tag in one day.
type dayScan struct {
	path, sealedPath string
	plain            *bbolt.Cursor
	sealed           sealedCursor
}

// load finds the blocks of the window. Where a sealed block covers it, the window becomes what that block covers.
func (s *dayScan) load(w *window) {
	if c := &s.sealed; c.found && c.first <= w.number {
		w.number, w.count = c.first, c.count
		for ; c.found && c.first == w.number; c.next() {
			w.blocks = append(w.blocks, stored{file: s.sealedPath, layer: c.layer, block: c.block})
		}
	}
	if s.plain == nil {
		return
	}
	for i := range w.count {
		first := blockKey(w.number+i, w.tag.id, 0)
		for k, v := s.plain.Seek(first); k != nil && bytes.HasPrefix(k, first[:8]); k, v = s.plain.Next() {
			if _, l, ok := splitKey(k); ok && l < layerEnd {
				w.blocks = append(w.blocks, stored{s.path, l, v, true})
			}
		}
	}
}
