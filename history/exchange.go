package history

import (
	"context"
	"encoding/binary"
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
	data = append(data, exportMagic...)
	data = binary.AppendUvarint(data, uint64(from/windowNanos))
	var mem scratch
	for _, r := range s.known() {
		if r.name <= after {
			continue
		}
		if len(data) > MaxExport {
			next = after
			break
		}
		err := s.scanWith(ctx, &mem, r, from, from+windowNanos, func(w *window) (bool, error) {
			b := w.asStored()
			if b == nil {
				samples, _ := w.samples()
				if samples = within(samples, from, from+windowNanos); len(samples) == 0 {
					return true, nil
				}
				var err error
				if b, err = block.Encode(nil, samples, r.scale()); err != nil {
					return false, fmt.Errorf("tag %q: %w", r.name, err)
				}
			}
			data = appendText(data, r.name)
			data = append(binary.AppendUvarint(data, uint64(len(b))), b...)
			return true, nil
		})
		if err != nil {
			return nil, "", err
		}
		after = r.name
	}
	return binary.LittleEndian.AppendUint32(data, crc32.Checksum(data, castagnoli)), next, nil
}

// imported is what a piece brings of one tag.
type imported struct {
	name    string
	samples []tag.Sample
	block   []byte // them, or nil when they were changed
}

// parseExport decodes a piece wholly before anything of it is used.
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
	for len(r.Left()) > 0 && r.Err() == nil {
		t := imported{name: r.Text(MaxName)}
		data := r.Bytes(maxImport)
		if r.Err() != nil {
			break
		}
		t.block = data
		if t.samples, err = block.Decode(nil, data); err != nil {
			return 0, nil, fmt.Errorf("tag %q: %w", t.name, err)
		}
		first, last := t.samples[0].Time, t.samples[len(t.samples)-1].Time
		if t.name == "" || windowOf(first) != w || windowOf(last) != w {
			return 0, nil, fmt.Errorf("%w: tag %q has samples of another window", ErrFormat, t.name)
		}
		if tags = append(tags, t); len(tags) > maxImportTags {
			r.Fail("number of tags")
		}
	}
	return w, tags, r.Err()
}

// Import adds the samples of exported bytes that are not in the archive yet and returns how many those were. It is
// durable when it returns, and repeating it changes nothing.
func (s *Store) Import(ctx context.Context, data []byte) (added int, err error) {
	w, tags, err := parseExport(data)
	if err != nil {
		return 0, fmt.Errorf("importing: %w", err)
	}
	if s.o.Retention > 0 && (w+1)*windowNanos < s.now()-int64(s.o.Retention) {
		return 0, nil // it would be removed at once
	}
	if added, err = s.importDay(ctx, dayOf(w), []windowPart{{w, tags}}, LayerBackfill); err != nil {
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
		some += s.freshIn(p.window, p.tags, lists[i])
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
		n, err := t.merge(p.window, r, p.tags[i].samples, p.tags[i].block, l, &info)
		if err != nil {
			return 0, fmt.Errorf("tag %q: %w", r.name, err)
		}
		added += n
	}
	return added, t.finish(p.window, info)
}

// freshIn leaves of the samples those that are not in memory, each once, and returns how many those are.
func (s *Store) freshIn(w int64, tags []imported, list []*series) (some int) {
	for i, r := range list {
		t := &tags[i]
		n := len(t.samples)
		for j, x := range t.samples {
			var ok bool
			if t.samples[j], ok = finite(x); !ok {
				t.block = nil
			}
		}
		t.samples = block.Union(nil, t.samples)
		if head := s.headOf(r, w, w)[w]; len(head) > 0 {
			t.samples = block.Minus(t.samples, block.Union(nil, head))
		}
		if len(t.samples) != n {
			t.block = nil
		}
		some += len(t.samples)
	}
	return some
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
			typ := t.samples[0].Value.Type()
			records[t.name] = tagRecord{ID: next, Type: typ, Stepped: !typ.IsFloat()}
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
