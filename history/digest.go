package history

import (
	"context"
	"time"

	"scada/acquisition/tag"
	"scada/history/block"
)

// nameSeed is FNV-1a of a tag's name: archives number their tags on their own, so a digest is over names.
func nameSeed(name string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 1099511628211
	}
	return h
}

// mix spreads the bits of a number (the finalizer of MurmurHash3 with the constants of Stafford's variant 13).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// add takes a sample of a tag in. Sums do not depend on the order, and adding what is new is all a change costs.
func (d *Digest) add(seed uint64, x tag.Sample) {
	h := mix(seed ^ uint64(x.Time))
	h = mix(h ^ x.Value.Bits())
	h = mix(h ^ uint64(x.Quality)<<8 ^ uint64(x.Value.Type()))
	if t := x.Value.Text(); t != "" {
		h = mix(h ^ nameSeed(t))
	}
	d.Samples++
	d.Hash[0] += h
	d.Hash[1] += mix(h ^ 0x9e3779b97f4a7c15)
}

// addColumns takes all samples of a tag in a block in.
func (d *Digest) addColumns(seed uint64, c *block.Columns) {
	for p := range c.Parts() {
		if p.Type == tag.TypeString {
			for i, t := range p.Times {
				d.add(seed, tag.Sample{Time: t, Value: tag.String(p.Text(i)), Quality: p.Quality})
			}
			continue
		}
		kind, bits := uint64(p.Quality)<<8^uint64(p.Type), p.Bits[:len(p.Times)]
		var sum, other uint64
		for i, t := range p.Times {
			h := mix(mix(mix(seed^uint64(t))^bits[i]) ^ kind)
			sum += h
			other += mix(h ^ 0x9e3779b97f4a7c15)
		}
		d.join(Digest{Samples: uint64(len(p.Times)), Hash: [2]uint64{sum, other}})
	}
}

// join takes the samples of another digest in, which has none of this one's.
func (d *Digest) join(o Digest) {
	d.Samples += o.Samples
	d.Hash[0] += o.Hash[0]
	d.Hash[1] += o.Hash[1]
}

func (s *Store) seedOf(id uint32) (uint64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.byKey[id]; r != nil {
		return r.seed, true
	}
	return 0, false
}

// Digest returns the digest of the samples of the named tags (none means all) with from <= time < to.
func (s *Store) Digest(ctx context.Context, names []string, from, to int64) (Digest, error) {
	var list []*series
	if len(names) == 0 {
		list = s.known()
	}
	for _, n := range names {
		r, err := s.series(n)
		if err != nil {
			return Digest{}, err
		}
		list = append(list, r)
	}
	var d Digest
	for _, r := range list {
		err := s.scan(ctx, r, from, to, func(w *window) (bool, error) {
			samples, _ := w.samples()
			for _, x := range within(samples, from, to) {
				d.add(r.seed, x)
			}
			return true, nil
		})
		if err != nil {
			return Digest{}, err
		}
	}
	return d, nil
}

// Windows returns the digests of the windows that touch the range and hold samples, oldest first. Windows that are in
// memory are read in full; for the others it is one small record each.
func (s *Store) Windows(ctx context.Context, from, to int64) ([]WindowDigest, error) {
	if err := s.open(); err != nil {
		return nil, err
	}
	first, last := windowOf(max(from, 0)), windowOf(max(to-1, 0))
	var out []WindowDigest
	heads := s.headNumbers(first, last)
	for _, n := range s.daysTouching(first, last, heads) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		stored, err := s.storedInfo(n)
		if err != nil {
			return nil, err
		}
		for w := max(first, n*dayWindows); w <= min(last, (n+1)*dayWindows-1); w++ {
			d := stored[w].digest
			if heads[w] {
				start := w * windowNanos
				if d, err = s.Digest(ctx, nil, start, start+windowNanos); err != nil {
					return nil, err
				}
			}
			if d.Samples > 0 {
				out = append(out, WindowDigest{Window: time.Unix(0, w*windowNanos).UTC(), Digest: d})
			}
		}
	}
	return out, nil
}

func (s *Store) storedInfo(n int64) (map[int64]windowInfo, error) {
	f, err := s.days.acquire(n, false)
	if f == nil || err != nil {
		return nil, err
	}
	defer s.days.release(f)
	out := map[int64]windowInfo{}
	err = f.view(func(v dayView) error {
		for w := n * dayWindows; w < (n+1)*dayWindows; w++ {
			if i, ok := v.info(w); ok {
				out[w] = i
			}
		}
		return nil
	})
	return out, err
}
