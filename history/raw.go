package history

import (
	"context"
	"time"

	"scada/acquisition/tag"
)

// Raw returns the samples of a tag with from <= time < to, oldest first, at most limit (0 means MaxRaw). When there
// are more, call again with Page.Next; a page that ends after MaxSpan may be empty and still not the last, and one of long
// texts ends early.
func (s *Store) Raw(ctx context.Context, name string, from, to int64, limit int, at Cursor) (Page, error) {
	r, err := s.series(name)
	if err != nil {
		return Page{}, err
	}
	p, err := s.page(ctx, &scratch{}, nil, r, from, to, limit, at)
	if err != nil {
		return Page{}, err
	}
	p.Gaps, err = s.openGaps(ctx, r, from, to)
	return p, err
}

// page returns a page without its gaps. It uses the memory of dst, which may be nil.
func (s *Store) page(ctx context.Context, mem *scratch, dst []tag.Sample, r *series, from, to int64, limit int, at Cursor) (Page, error) {
	if limit <= 0 || limit > MaxRaw {
		limit = MaxRaw
	}
	p := Page{Samples: dst[:0]}
	start := from
	if at.Set {
		start = max(from, at.Time)
	}
	// A call looks through so much time at most; where there are no files it costs nothing.
	to = min(to, 1<<62) // no sample is later
	start = max(start, s.firstData(start))
	stop := min(to, start+max(0, min(int64(MaxSpan), 1<<62-start)))
	texts := maxPageText
	err := s.scanWith(ctx, mem, r, start, stop, func(w *window) (bool, error) {
		if p.Samples != nil {
			w.buffer = p.Samples[len(p.Samples):] // a block is decoded where its samples are going
		}
		samples, damaged := w.samples()
		p.addDamage(damaged)
		samples = within(samples, start, stop)
		if at.Set {
			n := 0
			for n < len(samples) && n < at.Skip && samples[n].Time == at.Time {
				n++
			}
			samples = samples[n:]
		}
		if p.Samples == nil {
			p.Samples = make([]tag.Sample, 0, expected(len(samples), w, to, limit))
		}
		if room := min(limit-len(p.Samples), textsFit(samples, &texts)); len(samples) > room {
			p.Samples = append(p.Samples, samples[:room]...)
			p.More = true
			return false, nil
		}
		p.add(samples)
		return true, nil
	})
	switch {
	case err != nil:
		return Page{}, err
	case p.More:
		p.Next = after(p.Samples, at)
	case stop < to:
		p.More, p.Next = true, Cursor{Time: stop, Set: true}
	}
	return p, nil
}

// textsFit returns how many samples have texts that fit into so many bytes, and takes those away.
func textsFit(samples []tag.Sample, bytes *int) int {
	for i := range samples {
		if *bytes -= len(samples[i].Value.Text()); *bytes < 0 {
			return i
		}
	}
	return len(samples)
}

// firstData returns the beginning of the first day from t on that can hold samples.
func (s *Store) firstData(t int64) int64 {
	first := windowOf(max(t, 0))
	if list := s.daysTouching(first, maxWindow, s.headNumbers(first, maxWindow)); len(list) > 0 {
		return list[0] * dayWindows * windowNanos
	}
	return maxWindow * windowNanos
}

// expected estimates how many samples a request will return, from the first window's.
func expected(first int, w *window, to int64, limit int) int {
	more := max(1, min((windowOf(to-1)-w.number+w.count)/w.count, int64(limit)))
	return int(min(int64(first+1)*more, int64(limit)))
}

// after returns the position behind the last of some samples, which were read from at on.
func after(samples []tag.Sample, at Cursor) Cursor {
	last := samples[len(samples)-1].Time
	c := Cursor{Time: last, Set: true}
	for i := len(samples) - 1; i >= 0 && samples[i].Time == last; i-- {
		c.Skip++
	}
	if at.Set && at.Time == last {
		c.Skip += at.Skip
	}
	return c
}

// add appends samples, which may be there already, behind the end.
func (p *Page) add(samples []tag.Sample) {
	n := len(p.Samples)
	if len(samples) > 0 && n+len(samples) <= cap(p.Samples) && &p.Samples[:n+1][n] == &samples[0] {
		p.Samples = p.Samples[:n+len(samples)]
		return
	}
	p.Samples = append(p.Samples, samples...)
}

func (p *Page) addDamage(d []Damage) {
	if room := maxDamages - len(p.Damaged); len(d) > room {
		d = d[:room]
	}
	p.Damaged = append(p.Damaged, d...)
}

// Before returns the last sample of a tag at or before t, looking back no further than lookback.
func (s *Store) Before(ctx context.Context, name string, t int64, lookback time.Duration) (tag.Sample, bool, error) {
	r, err := s.series(name)
	if err != nil {
		return tag.Sample{}, false, err
	}
	return s.before(ctx, r, t, lookback)
}

func (s *Store) before(ctx context.Context, r *series, t int64, lookback time.Duration) (last tag.Sample, found bool, err error) {
	// Most often the answer is near: look through ever longer stretches.
	for to, back := t+1, windowNanos; !found; back *= 12 {
		from := max(to-back, t-int64(lookback), 0)
		if from >= to {
			break
		}
		err = s.scan(ctx, r, from, to, func(w *window) (bool, error) {
			samples, _ := w.samples()
			if in := within(samples, from, to); len(in) > 0 {
				last, found = in[len(in)-1], true
			}
			return true, nil
		})
		if err != nil {
			return tag.Sample{}, false, err
		}
		to = from
	}
	if !found {
		last, found = s.beforeRolled(r, t, int64(lookback))
	}
	return last, found, nil
}
