package calc

import (
	"context"
	"time"

	"scada/acquisition"
	"scada/acquisition/live"
	"scada/acquisition/tag"
)

// Run implements [acquisition.Source].
func (s *Source) Run(ctx context.Context, sink acquisition.Sink) error {
	for _, x := range s.items {
		x.dirty, x.wrong = true, ""
		x.last = s.table.Get(x.def.ID) // what the other node said last: the time goes on from there
	}
	seq := s.table.Seq()
	s.setState(acquisition.Good)
	defer s.setState(acquisition.Stopped)
	var changes []live.Change
	s.pass(time.Now(), func(time.Duration) bool { return true }, sink)
	sink.Settled(s.device, time.Now(), nil)

	at := time.Now()
	for {
		next := s.next(at)
		if !sleep(ctx, time.Until(next)) {
			return nil
		}
		changes, seq = s.table.Since(changes[:0], seq, 0)
		for _, c := range changes {
			s.stir(c.Tag)
		}
		s.pass(next, func(period time.Duration) bool { return slot(next, period) }, sink)
		if at = next; time.Since(next) > s.shortest() {
			at = time.Now() // slots were missed; they are not made up for
			s.overrun()
		}
	}
}

// next is the first instant after at that is a slot of any scan class.
func (s *Source) next(at time.Time) time.Time {
	best := at.Add(24 * time.Hour)
	for _, p := range s.periods {
		if t := at.Truncate(p).Add(p); t.Before(best) {
			best = t
		}
	}
	return best
}

func (s *Source) shortest() time.Duration {
	best := 24 * time.Hour
	for _, p := range s.periods {
		best = min(best, p)
	}
	return best
}

// slot reports whether at is an instant of the period.
func slot(at time.Time, period time.Duration) bool { return at.Truncate(period).Equal(at) }

// stir marks what reads the tag.
func (s *Source) stir(id tag.ID) {
	for _, x := range s.readers[id] {
		x.dirty = true
	}
}

// pass evaluates what is due and has new inputs, inputs before what reads them.
func (s *Source) pass(at time.Time, due func(period time.Duration) bool, sink acquisition.Sink) {
	var batch []tag.Update
	evaluated, failed := uint64(0), uint64(0)
	for _, x := range s.items {
		if !x.dirty || !due(x.def.ScanPeriod) {
			continue
		}
		x.dirty = false
		evaluated++
		sample, err := x.expr.Eval(x.def.Type, x.read)
		if err != nil {
			failed++
		}
		s.tell(x, err)
		if x.take(sample, at.UnixNano()) {
			batch = append(batch, tag.Update{Tag: x.def.ID, Sample: x.last})
			s.stir(x.def.ID)
		}
	}
	if len(batch) > 0 {
		sink.Publish(batch)
	}
	s.count(evaluated, failed, at)
}

// take keeps a result and reports whether it is news. Its time is that of the newest input, and never goes back: an
// input may be older than the one it replaces in the expression.
func (x *item) take(sample tag.Sample, at int64) bool {
	same := sample.Value == x.last.Value && sample.Quality == x.last.Quality
	if same && sample.Time <= x.last.Time {
		return false
	}
	if sample.Time == 0 || sample.Time <= x.last.Time {
		sample.Time = max(at, x.last.Time+1)
	}
	x.last = sample
	return true
}

// tell logs what is wrong with an expression, once.
func (s *Source) tell(x *item, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text == x.wrong {
		return
	}
	x.wrong = text
	if err == nil {
		s.log.Info("a calculated tag has a value again", "tag", x.def.Name)
		return
	}
	s.log.Warn("a calculated tag has no value", "tag", x.def.Name, "error", text)
	s.mu.Lock()
	s.state.LastError, s.state.LastErrorAt = text, time.Now()
	s.mu.Unlock()
}

func (s *Source) setState(state acquisition.State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.State, s.state.Since = state, time.Now()
}

func (s *Source) count(evaluated, failed uint64, slot time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := &s.state.Counters
	n.Requests += evaluated
	n.Answers += evaluated - failed
	n.Malformed += failed
	now := time.Now()
	s.state.LastGood, s.state.Response = now, now.Sub(slot)
	s.state.ResponseMax = max(s.state.ResponseMax, s.state.Response)
}

func (s *Source) overrun() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.Counters.Overruns++
}

// sleep waits; it returns false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
