package history

import (
	"context"
	"slices"

	"scada/acquisition/tag"
)

// Reader reads tags one after the other and uses its memory again: for exports, and whoever else goes through many
// samples without keeping them. One goroutine uses it.
type Reader struct {
	s    *Store
	mem  scratch
	page []tag.Sample
}

// NewReader returns a reader of the archive.
func (s *Store) NewReader() *Reader { return &Reader{s: s} }

// Each calls visit with the samples of a tag with from <= time < to, in order of time and a piece at a time, until visit
// returns false. A piece is valid until visit returns. Blocks that can't be read are left out, as in [Page], and returned.
func (r *Reader) Each(ctx context.Context, name string, from, to int64, visit func(piece []tag.Sample) (more bool, err error)) ([]Damage, error) {
	t, err := r.s.series(name)
	if err != nil {
		return nil, err
	}
	var p Page
	err = r.s.scanWith(ctx, &r.mem, t, from, to, func(w *window) (bool, error) {
		samples, damaged := w.samples()
		p.addDamage(damaged)
		if samples = within(samples, from, to); len(samples) == 0 {
			return true, nil
		}
		return visit(samples)
	})
	return p.Damaged, err
}

// Page is [Store.Raw] without the gaps of the page, which [Store.OpenGaps] tells for all of them at once. What it returns is
// valid until the next call of the reader.
func (r *Reader) Page(ctx context.Context, name string, from, to int64, limit int, at Cursor) (Page, error) {
	t, err := r.s.series(name)
	if err != nil {
		return Page{}, err
	}
	p, err := r.s.page(ctx, &r.mem, r.page, t, from, to, limit, at)
	if p.Samples != nil {
		r.page = p.Samples
	}
	return p, err
}

// Latest is Each for samples that are hardly older than the present, for little: it looks at what is in memory alone when that
// is likely all. Samples that came late or were written to a file early may be missing.
func (r *Reader) Latest(ctx context.Context, name string, from, to int64, visit func(piece []tag.Sample) (more bool, err error)) ([]Damage, error) {
	t, err := r.s.series(name)
	if err != nil || from >= to {
		return nil, err
	}
	samples, ok := r.s.latest(r.mem.buffer[:0], t, max(from, 0), to)
	if !ok {
		return r.Each(ctx, name, from, to, visit)
	}
	if r.mem.buffer = samples; len(samples) > 0 {
		_, err = visit(samples)
	}
	return nil, err
}

// latest returns the samples of a stretch of the open window; false means that they have to be searched for.
func (s *Store) latest(dst []tag.Sample, r *series, from, to int64) ([]tag.Sample, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := windowOf(from)
	h := s.heads[w]
	if h == nil || w != windowOf(to-1) || slices.ContainsFunc(s.frozen, func(f *headWindow) bool { return f.number == w }) {
		return dst, false
	}
	c := h.parts[r]
	if c == nil {
		return dst, true
	}
	return c.Latest(dst, from, to)
}
