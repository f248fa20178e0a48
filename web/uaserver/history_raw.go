package uaserver

import (
	"context"
	"slices"
	"time"

	"github.com/gopcua/opcua/ua"

	"scada/acquisition/tag"
)

const (
	firstLook    = int64(time.Minute)          // how far back the first look for older samples goes
	longestBack  = int64(366 * 24 * time.Hour) // how far back an open-ended read goes
	longestAhead = 48 * time.Hour              // samples of clocks that are ahead are not later
	lookGrowth   = 8                           // a look that found too little is followed by one so many times longer
	emptyPages   = 64                          // answers without a sample the archive may give in a row
)

// historyPoint is what is left of a raw or processed read of one node: the state of its continuation point.
type historyPoint struct {
	tag    string
	lo, hi int64    // lo <= time < hi
	back   bool     // newest first
	at     Position // forward: where to go on
	skip   int      // backward: so many samples at hi-1 have been returned
	page   int      // most values in one response; 0 is no wish
	left   int      // values the read ends after; 0 is no limit
	first  int64    // the instant whose bound comes first; 0 is none
	last   int64    // the instant whose bound ends the read; 0 is none

	processed bool
	kind      Aggregate
	step      int64
	status    bool // the values are status codes

	events *eventRead // not nil: a read of events, of which tag names the node
}

// startRaw checks a read of raw samples (OPC 10000-11, 6.5.3): two of the start, the end and the number of values. The
// start belongs to the range, the end does not, whichever is later.
func startRaw(d *ua.ReadRawModifiedDetails, start, end int64, name string) (*historyPoint, ua.StatusCode) {
	n := int(min(d.NumValuesPerNode, 1<<30))
	p := &historyPoint{tag: name}
	switch {
	case d.IsReadModified:
		return nil, ua.StatusBadHistoryOperationUnsupported
	case start == 0 && end == 0, (start == 0 || end == 0) && n == 0:
		return nil, ua.StatusBadHistoryOperationInvalid
	case end == 0:
		p.lo, p.hi, p.left = start, lastInstant, n
	case start == 0:
		end = min(end, time.Now().Add(longestAhead).UnixNano()) // "the newest" is asked for with an end far away
		p.lo, p.hi, p.back, p.left = max(end-longestBack, 0), end+1, true, n
		start, end = end, 0
	case start == end:
		p.lo, p.hi, end = start, start+1, start+1
	case start < end:
		p.lo, p.hi = start, end
	default:
		p.lo, p.hi, p.back = end+1, start+1, true
	}
	if d.ReturnBounds {
		p.first, p.last = start, end
	}
	p.page = n
	return p, ua.StatusOK
}

// read returns the next values, at most limit, and whether there are more behind them. It does not move on.
func (p *historyPoint) read(ctx context.Context, h Historian, limit int) ([]tag.Sample, bool, error) {
	if p.page > 0 {
		limit = min(limit, p.page)
	}
	if p.left > 0 {
		limit = min(limit, p.left)
	}
	if p.processed {
		return p.intervals(ctx, h, limit)
	}
	read, toward := p.forward, boundBehind
	if p.back {
		read, toward = p.backward, boundBefore
	}
	samples, more, err := read(ctx, h, limit)
	if err != nil {
		return nil, false, err
	}
	exact := len(samples) > 0 && samples[0].Time == p.first
	if p.first != 0 && !exact {
		b, err := p.bound(ctx, h, p.first, !p.back)
		if err != nil {
			return nil, false, err
		}
		samples = slices.Insert(samples, 0, b)
	}
	if len(samples) > limit {
		samples, more = samples[:limit], true
	}
	if more || p.last == 0 || (exact && p.hi-p.lo == 1) {
		return samples, more, nil
	}
	if len(samples) == limit {
		return samples, true, nil // the bound comes next time
	}
	b, err := p.bound(ctx, h, p.last, toward == boundBefore)
	return append(samples, b), false, err
}

const (
	boundBefore = iota
	boundBehind
)

// bound returns the sample nearest to an instant, before or behind it.
func (p *historyPoint) bound(ctx context.Context, h Historian, t int64, before bool) (tag.Sample, error) {
	none := tag.Sample{Time: t, Quality: qualityOf(ua.StatusBadBoundNotFound)}
	if before {
		x, ok, err := h.Before(ctx, p.tag, t)
		if err != nil || !ok {
			return none, err
		}
		return x, nil
	}
	samples, _, err := pageOf(ctx, h, p.tag, t, lastInstant, 1, Position{})
	if err != nil || len(samples) == 0 {
		return none, err
	}
	return samples[0], nil
}

// pageOf asks the archive until there is a sample or no more time.
func pageOf(ctx context.Context, h Historian, name string, from, to int64, limit int, at Position) ([]tag.Sample, bool, error) {
	for range emptyPages {
		page, err := h.Raw(ctx, name, from, to, limit, at)
		if err != nil {
			return nil, false, err
		}
		if len(page.Samples) > 0 || !page.More {
			return page.Samples, page.More, nil
		}
		at = page.Next
	}
	return nil, false, nil
}

func (p *historyPoint) forward(ctx context.Context, h Historian, limit int) ([]tag.Sample, bool, error) {
	return pageOf(ctx, h, p.tag, p.lo, p.hi, limit, p.at)
}

// backward reads ever longer stretches towards the past until it has enough.
func (p *historyPoint) backward(ctx context.Context, h Historian, limit int) ([]tag.Sample, bool, error) {
	var out []tag.Sample
	most := max(limit+p.skip, maxHistoryTexts)
	hi, skip := p.hi, p.skip
	for look := firstLook; hi > p.lo; {
		lo := p.lo
		if hi-p.lo > look {
			lo = hi - look
		}
		samples, more, err := pageOf(ctx, h, p.tag, lo, hi, most, Position{})
		if err != nil {
			return nil, false, err
		}
		if more && hi-lo > 1 {
			look = max((hi-lo)/lookGrowth, 1) // too many at once: the newest of them are wanted
			continue
		}
		slices.Reverse(samples)
		out = append(out, samples[min(skip, len(samples)):]...)
		if len(out) > limit {
			return out[:limit], true, nil
		}
		hi, skip = lo, 0
		if look = min(look, longestBack/lookGrowth) * lookGrowth; len(samples) > 0 {
			look = hi - lo + firstLook
		}
	}
	return out, false, nil
}

// advance moves behind the values that were returned. It reports whether the read goes on, if there are more.
func (p *historyPoint) advance(done []tag.Sample) bool {
	if len(done) == 0 {
		return true
	}
	p.first = 0
	last := done[len(done)-1].Time
	same := 0
	for i := len(done) - 1; i >= 0 && done[i].Time == last; i-- {
		same++
	}
	switch {
	case p.processed:
		p.lo += int64(len(done)) * p.step
	case p.back && last < p.hi:
		if last == p.hi-1 {
			same += p.skip
		}
		p.hi, p.skip = last+1, same
	case !p.back && last >= p.lo:
		if p.at.Set && p.at.Time == last {
			same += p.at.Skip
		}
		p.at = Position{Time: last, Skip: same, Set: true}
	}
	if p.left > 0 {
		if p.left -= len(done); p.left <= 0 {
			return false
		}
	}
	return true
}
