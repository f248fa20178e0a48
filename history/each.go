package history

import (
	"context"

	"scada/acquisition/tag"
)

// Reader reads tags one after the other and uses its memory again: for exports, and whoever else goes through many
// samples without keeping them. One goroutine uses it.
type Reader struct {
	s   *Store
	mem scratch
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
