package history

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sort"
	"time"

	"scada/acquisition/tag"
	"scada/history/block"
)

// boundLookback is how far back the value that holds at the start of a range is looked for.
const boundLookback = 7 * 24 * time.Hour

// uncertainSubNormal says that an aggregate was computed from data that was not good all of the time.
const uncertainSubNormal tag.Quality = 0x40A40000

// Aggregate computes one value per step between from and to. The last interval may be shorter. A value that is not
// Good all through its interval, or whose interval is not over, is Uncertain; one without data is BadNoData.
func (s *Store) Aggregate(ctx context.Context, name string, from, to int64, step time.Duration, kind Kind) ([]Point, error) {
	r, err := s.series(name)
	if err != nil {
		return nil, err
	}
	if kind < 0 || kind >= kindEnd {
		return nil, fmt.Errorf("aggregate %d: unknown", kind)
	}
	if step <= 0 || from < 0 || to < from {
		return nil, fmt.Errorf("aggregate from %d to %d by %d: not a range", from, to, step)
	}
	n := (to - from + int64(step) - 1) / int64(step)
	if n > MaxIntervals {
		return nil, fmt.Errorf("%d intervals, the limit is %d: %w", n, MaxIntervals, ErrTooMuch)
	}
	a := &accumulator{from: from, to: to, step: int64(step), now: s.now(), cells: make([]cell, n)}
	s.mu.Lock()
	a.stepped = r.stepped
	a.gaps = s.gaps.of(r.scope, from-int64(boundLookback), to)
	s.mu.Unlock()
	if before, ok, err := s.before(ctx, r, from-1, boundLookback); err != nil {
		return nil, err
	} else if ok {
		a.prev, a.some = before, true
	}
	// The window that holds the end is read in full: the sample after the end bounds the last slope.
	coarse := from%hourNanos == 0 && int64(step)%hourNanos == 0
	err = s.scanLong(ctx, r, from, a.horizon(), coarse, func(w *window) (bool, error) {
		start := w.number * windowNanos
		if sum, ok := w.summary(); ok && a.takes(sum, start) {
			a.join(sum)
			return true, nil
		}
		if n, ok := w.numbers(); ok && !a.gapIn(n.Times[0], n.Times[len(n.Times)-1]) {
			return a.addNumbers(n), nil
		}
		samples, _ := w.samples()
		i := sort.Search(len(samples), func(i int) bool { return samples[i].Time >= from })
		for _, x := range samples[i:] {
			a.add(x)
			if x.Time >= to {
				return false, nil
			}
		}
		return true, nil
	}, a.addPiece)
	if err != nil {
		return nil, err
	}
	a.end()
	return a.points(kind), nil
}

// cell is one interval of an aggregate.
type cell struct {
	values          block.Summary // of its samples
	transitions     int
	stepped, sloped float64 // integrals over seconds
	good, uncertain int64   // nanoseconds
	start           tag.Sample
	started         bool
	vague           bool // there were samples in it of which only the summary of an hour is known that is not all in it
}

// accumulator goes through the samples of a range once, in order.
type accumulator struct {
	from, to, step, now int64
	stepped             bool
	gaps                []Gap // in order of From
	cells               []cell
	prev                tag.Sample // the neighbour before
	some                bool       // prev is set
}

// horizon is until when the sample after the range is looked for.
func (a *accumulator) horizon() int64 { return (windowOf(a.to) + 1) * windowNanos }

func (a *accumulator) cell(t int64) *cell { return &a.cells[(t-a.from)/a.step] }

// takes reports whether a whole block can be taken in by its summary: it lies in one interval and in no gap.
func (a *accumulator) takes(sum block.Summary, start int64) bool {
	first, last := sum.First.Time, sum.Last.Time
	if first < a.from || last >= a.to || (first-a.from)/a.step != (last-a.from)/a.step || math.IsNaN(sum.Sloped) && !a.stepped {
		return false
	}
	return start <= first && !a.gapIn(first, last)
}

// gapIn reports whether a gap touches a stretch of time.
func (a *accumulator) gapIn(first, last int64) bool {
	for _, g := range a.gaps {
		if g.From < last && g.To > first {
			return true
		}
	}
	return false
}

// addNumbers takes samples in by column, interval by interval; false means the end of the range was passed.
func (a *accumulator) addNumbers(n block.Numbers) (more bool) {
	i, _ := slices.BinarySearch(n.Times, a.from)
	for i < len(n.Times) {
		t := n.Times[i]
		if t >= a.to {
			a.add(n.Sample(i))
			return false
		}
		start := a.from + (t-a.from)/a.step*a.step
		if t == start { // of samples at the very start of an interval the last counts as its start
			a.add(n.Sample(i))
			i++
			continue
		}
		j := i + 1
		for end := min(start+a.step, a.to); j < len(n.Times) && n.Times[j] < end; {
			j++
		}
		a.join(n.Summary(i, j))
		i = j
	}
	return true
}

func (a *accumulator) join(sum block.Summary) {
	a.approach(sum.First)
	c := a.cell(sum.First.Time)
	c.values.Join(sum)
	c.transitions += sum.Transitions
	c.stepped += sum.Stepped
	c.sloped += sum.Sloped
	c.good += sum.GoodTime
	c.uncertain += sum.UncertainTime
	if (sum.First.Time-a.from)%a.step == 0 {
		c.start, c.started = sum.First, true
	}
	a.prev, a.some = sum.Last, true
}

func (a *accumulator) add(x tag.Sample) {
	a.approach(x)
	if x.Time < a.to {
		a.cell(x.Time).values.AddValue(x)
	}
	a.prev, a.some = x, true
}

// approach accounts for the time from the neighbour before up to x.
func (a *accumulator) approach(x tag.Sample) {
	if !a.some {
		return
	}
	for len(a.gaps) > 0 && a.gaps[0].From < x.Time {
		g := a.gaps[0]
		a.gaps = a.gaps[1:]
		if g.From >= a.prev.Time { // from its start on nothing is known until x
			begin := tag.Sample{Time: g.From, Quality: tag.BadNoData}
			a.spread(a.prev, begin)
			a.prev = begin
		}
	}
	a.spread(a.prev, x)
	if x.Time < a.to && x.Time >= a.from && a.prev.Quality.IsGood() && x.Quality.IsGood() && a.prev.Value != x.Value {
		a.cell(x.Time).transitions++
	}
}

// spread distributes the time between two neighbours over the intervals.
func (a *accumulator) spread(p, q tag.Sample) {
	end := min(q.Time, a.to)
	for t := max(p.Time, a.from); t < end; {
		c := a.cell(t)
		border := a.from + ((t-a.from)/a.step+1)*a.step
		e := min(end, border)
		piece, stop := p, q
		piece.Time, stop.Time = t, e
		if !a.stepped {
			piece.Value, stop.Value = a.between(p, q, t), a.between(p, q, e)
		}
		if (t-a.from)%a.step == 0 {
			c.start, c.started = piece, true
			if !a.stepped && t > p.Time && p.Quality.IsGood() && !q.Quality.IsGood() {
				c.start.Quality = uncertainSubNormal // there is no line to be on
			}
		}
		stepped, sloped := block.Integrals(piece, stop)
		c.stepped += stepped
		c.sloped += sloped
		switch {
		case p.Quality.IsGood():
			c.good += e - t
		case p.Quality.IsUncertain():
			c.uncertain += e - t
		}
		t = e
	}
}

// between returns the value at t on the line from p to q, or the value of p when there is no line.
func (a *accumulator) between(p, q tag.Sample, t int64) tag.Value {
	vp, vq := p.Value.Number(), q.Value.Number()
	switch {
	case t == p.Time || math.IsNaN(vp) || !p.Quality.IsGood():
		return p.Value
	case math.IsNaN(vq) || !q.Quality.IsGood():
		if t == q.Time {
			return q.Value
		}
		return p.Value
	case t == q.Time:
		return q.Value
	}
	return tag.Float64(vp + (vq-vp)*(float64(t-p.Time)/float64(q.Time-p.Time)))
}

// end holds the last value until the end of the range or the present.
func (a *accumulator) end() {
	if stop := min(a.to, a.now); a.some && a.prev.Time < stop {
		a.approach(tag.Sample{Time: stop, Quality: tag.BadNoData})
	}
}

func (a *accumulator) points(kind Kind) []Point {
	out := make([]Point, len(a.cells))
	for i := range a.cells {
		start := a.from + int64(i)*a.step
		out[i] = a.cells[i].point(kind, start, min(start+a.step, a.to), a.stepped)
		if out[i].Quality.IsGood() && min(start+a.step, a.to) > a.now && kind != Interpolative && kind != PercentGood && kind != PercentBad {
			out[i].Quality = uncertainSubNormal
		}
	}
	return out
}
