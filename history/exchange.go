package history

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"scada/acquisition/tag"
	"scada/history/block"
)

const (
	exportMagic   = "SCX1"
	maxImport     = MaxExport + block.MaxTextBytes + 1<<20 // bytes of one piece
	maxImportTags = 1 << 16                                // tags of one piece
)

// Export returns the samples of one window as bytes for Import on the peer, tags in order of name beginning after the
// named one. An empty next means it was the last piece.
func (s *Store) Export(ctx context.Context, start time.Time, after string) (data []byte, next string, err error) {
	from := windowOf(start.UnixNano()) * windowNanos
	if err := s.open(); err != nil {
		return nil, "", err
	}
	x := export{s: s, window: from / windowNanos, next: after, data: make([]byte, 0, MaxExport+MaxExport/16)}
	x.data = binary.AppendUvarint(append(x.data, exportMagic...), uint64(x.window))
	if err := s.eachOf(ctx, x.window, x.tag); err != nil {
		return nil, "", err
	}
	if !x.full {
		x.next = ""
	}
	return binary.LittleEndian.AppendUint32(x.data, crc32.Checksum(x.data, castagnoli)), x.next, nil
}

// export is a piece being made.
type export struct {
	s      *Store
	window int64
	data   []byte
	next   string // the tag it has come to
	full   bool

	e     block.Encoder
	block []byte // of e
}

// tag appends what there is of one tag, which walk goes through.
func (x *export) tag(r *series, walk func(visit func(*window) (bool, error)) error) (more bool, err error) {
	if r.name <= x.next {
		return true, nil
	}
	if x.full = len(x.data) > MaxExport; x.full {
		return false, nil
	}
	from := x.window * windowNanos
	err = walk(func(w *window) (bool, error) {
		b := w.asStored()
		if b == nil {
			samples, _ := w.samples()
			if samples = within(samples, from, from+windowNanos); len(samples) == 0 {
				return true, nil
			}
			var err error
			if b, err = x.e.EncodeSamples(x.block[:0], samples, r.scale()); err != nil {
				return false, fmt.Errorf("tag %q: %w", r.name, err)
			}
			x.block = b
		}
		x.data = appendText(x.data, r.name)
		x.data = append(binary.AppendUvarint(x.data, uint64(len(b))), b...)
		return true, nil
	})
	x.next = r.name
	return true, err
}

// eachOf calls back for every tag in order of name; walk goes through what the window has of it.
func (s *Store) eachOf(ctx context.Context, w int64, call func(r *series, walk func(visit func(*window) (bool, error)) error) (more bool, err error)) error {
	var mem scratch
	each := func(scan func(r *series, visit func(*window) (bool, error)) error) error {
		for i, r := range s.known() {
			if i%1000 == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			more, err := call(r, func(visit func(*window) (bool, error)) error { return scan(r, visit) })
			if err != nil || !more {
				return err
			}
		}
		return nil
	}
	if s.headNumbers(w, w)[w] { // what is in memory has to be read before the files, tag by tag
		return each(func(r *series, visit func(*window) (bool, error)) error {
			return s.scanWith(ctx, &mem, r, w*windowNanos, (w+1)*windowNanos, visit)
		})
	}
	f, err := s.days.acquire(dayOf(w), false)
	if f == nil || err != nil {
		return err
	}
	defer s.days.release(f)
	return f.view(func(v dayView) error {
		return each(func(r *series, visit func(*window) (bool, error)) error {
			if err := s.scanView(&mem, f, v, r, w, w, nil, visit); !errors.Is(err, errStop) {
				return err
			}
			return nil
		})
	})
}

// imported is what a piece brings of one tag.
type imported struct {
	name        string
	block       []byte   // as it came, or nil when the samples are no longer those in it
	typ         tag.Type // of the first sample
	first, last int64
	digest      Digest // of the samples in the block
	distinct    bool   // the samples are finite and no two have one time: the block can be kept as it is
	samples     []tag.Sample
}

// decode makes the samples of the block, each once and finite, unless that is done.
func (t *imported) decode() error {
	if t.samples != nil {
		return nil
	}
	samples, err := block.Decode(nil, t.block)
	if err != nil {
		return fmt.Errorf("tag %q: %w", t.name, err)
	}
	t.samples = samples
	return nil
}

// parseExport reads a piece wholly, every block included, before anything of it is used.
func parseExport(b []byte) (w int64, tags []imported, err error) {
	if len(b) < 8 || len(b) > maxImport {
		return 0, nil, fmt.Errorf("%w: %d bytes of export (8 to %d)", ErrFormat, len(b), maxImport)
	}
	n := len(b) - 4
	if string(b[:4]) != exportMagic || crc32.Checksum(b[:n], castagnoli) != binary.LittleEndian.Uint32(b[n:]) {
		return 0, nil, fmt.Errorf("%w: not an export, or damaged", ErrFormat)
	}
	r := newReader(b[4:n])
	if v := r.Uvarint(); v <= uint64(maxWindow) {
		w = int64(v)
	} else {
		r.Fail("window")
	}
	var d block.Decoder
	for len(r.Left()) > 0 && r.Err() == nil {
		t := imported{name: r.Text(MaxName), block: r.Bytes(maxImport)}
		if r.Err() != nil {
			break
		}
		c, err := d.Columns(t.block)
		if err != nil {
			return 0, nil, fmt.Errorf("tag %q: %w", t.name, err)
		}
		t.typ = c.Type()
		t.first, t.last = c.Span()
		t.distinct = c.Rising() && c.Finite()
		t.digest.addColumns(nameSeed(t.name), c)
		if t.name == "" || windowOf(t.first) != w || windowOf(t.last) != w {
			return 0, nil, fmt.Errorf("%w: tag %q has samples of another window", ErrFormat, t.name)
		}
		if tags = append(tags, t); len(tags) > maxImportTags {
			r.Fail("number of tags")
		}
	}
	return w, tags, r.Err()
}

// MaxPieces is the largest number of pieces one Import call takes.
const MaxPieces = 32

// Import adds the samples of exported bytes, which are pieces of one day, that are not in the archive yet and returns how
// many those were. It is durable when it returns, all pieces at once, and repeating it changes nothing.
func (s *Store) Import(ctx context.Context, pieces ...[]byte) (added int, err error) {
	if len(pieces) > MaxPieces {
		return 0, fmt.Errorf("importing: %d pieces, the limit is %d: %w", len(pieces), MaxPieces, ErrTooMuch)
	}
	var parts []windowPart
	for _, data := range pieces {
		data, err := unpack(data)
		if err != nil {
			return 0, fmt.Errorf("importing: %w", err)
		}
		w, tags, err := parseExport(data)
		if err != nil {
			return 0, fmt.Errorf("importing: %w", err)
		}
		if s.Limits().Retention > 0 && (w+1)*windowNanos < s.now()-int64(s.Limits().Retention) {
			continue // it would be removed at once
		}
		if parts = append(parts, windowPart{w, tags}); dayOf(w) != dayOf(parts[0].window) {
			return 0, fmt.Errorf("importing: %w: pieces of two days", ErrFormat)
		}
	}
	if len(parts) == 0 {
		return 0, nil
	}
	if added, err = s.importDay(ctx, dayOf(parts[0].window), parts, LayerBackfill); err != nil {
		return 0, fmt.Errorf("importing: %w", err)
	}
	return added, nil
}

// windowPart is what an import brings of one window.
type windowPart struct {
	window int64
	tags   []imported
}

// importDay adds what is not in the archive yet of windows of one day, in one transaction.
func (s *Store) importDay(ctx context.Context, n int64, parts []windowPart, l Layer) (added int, err error) {
	if err := s.lock(ctx); err != nil {
		return 0, err
	}
	defer s.unlock()
	if err := s.open(); err != nil {
		return 0, err
	}
	lists, some := make([][]*series, len(parts)), 0
	for i, p := range parts {
		if lists[i], err = s.seriesFor(p.tags); err != nil {
			return 0, err
		}
		fresh, err := s.freshIn(p.window, p.tags, lists[i])
		if err != nil {
			return 0, err
		}
		some += fresh
	}
	if some == 0 {
		return 0, nil
	}
	f, err := s.days.acquire(n, true)
	if err != nil {
		return 0, err
	}
	defer s.days.release(f)
	err = f.update(s.seedOf, func(t *dayTx) error {
		added = 0
		for i, p := range parts {
			n, err := t.mergeAll(p, lists[i], l)
			if err != nil {
				return err
			}
			added += n
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("into %s: %w", f.path, err)
	}
	s.touch(f.number)
	if _, noted := s.noted[n]; !noted {
		_ = s.noteFiles() // keepLoop does it again
	}
	return added, nil
}

// mergeAll adds what an import brings of one window.
func (t *dayTx) mergeAll(p windowPart, list []*series, l Layer) (added int, err error) {
	info, _ := t.info(p.window)
	for i, r := range list {
		n, err := t.bring(p.window, r, &p.tags[i], l, &info)
		if err != nil {
			return 0, fmt.Errorf("tag %q: %w", r.name, err)
		}
		added += n
	}
	return added, t.finish(p.window, info)
}

// bring adds what an import brings of one tag. Where there is nothing, its block becomes ours as it is.
func (t *dayTx) bring(w int64, r *series, x *imported, l Layer, info *windowInfo) (added int, err error) {
	if x.samples == nil && x.distinct {
		some, err := t.holds(w, r.id)
		if err != nil {
			return 0, err
		}
		if !some {
			info.digest.join(x.digest)
			return int(x.digest.Samples), t.blocks.Put(blockKey(w, r.id, l), x.block)
		}
	}
	if err := x.decode(); err != nil {
		return 0, err
	}
	return t.merge(w, r, x.samples, l, info)
}

// freshIn leaves of the samples those that are not in memory, each once, and returns how many those are at most.
func (s *Store) freshIn(w int64, tags []imported, list []*series) (some int, err error) {
	inMemory := s.headNumbers(w, w)[w]
	for i, r := range list {
		t := &tags[i]
		var head []tag.Sample
		if inMemory {
			head = s.headOf(r, w, w)[w]
		}
		if t.distinct && len(head) == 0 {
			some += int(t.digest.Samples)
			continue
		}
		if err := t.decode(); err != nil {
			return 0, err
		}
		for j, x := range t.samples {
			t.samples[j], _ = finite(x)
		}
		t.samples = block.Union(nil, t.samples)
		if len(head) > 0 {
			t.samples = block.Minus(t.samples, block.Union(nil, head))
		}
		if t.samples == nil {
			t.samples = []tag.Sample{} // there were some, and are none left
		}
		some += len(t.samples)
	}
	return some, nil
}

// seriesFor returns the tags of a piece, making those known that are not configured here.
func (s *Store) seriesFor(tags []imported) ([]*series, error) {
	s.mu.Lock()
	next := uint32(0)
	for id := range s.byKey {
		next = max(next, id+1)
	}
	records := map[string]tagRecord{}
	for _, t := range tags {
		if _, twice := records[t.name]; s.byName[t.name] == nil && !twice {
			records[t.name] = tagRecord{ID: next, Type: t.typ, Stepped: !t.typ.IsFloat()}
			next++
		}
	}
	s.mu.Unlock()
	if next > MaxTags {
		return nil, fmt.Errorf("more than %d tags: %w", MaxTags, ErrTooMuch)
	}
	if err := s.meta.saveTags(records); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, rec := range records {
		if err := s.know(name, rec); err != nil {
			return nil, err
		}
	}
	out := make([]*series, len(tags))
	for i, t := range tags {
		out[i] = s.byName[t.name]
	}
	return out, nil
}
