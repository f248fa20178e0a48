package alarms

import (
	"math"
	"slices"
)

// gap describes the time before a judgement in which the inputs were unknown.
type gap struct {
	held bool
	from int64 // last instant at which they were known; 0: never
}

// hold freezes the condition: from now on an input is unknown. It must be called before the input changes.
func (e *Engine) hold(c *condition) {
	if c.Held {
		return
	}
	c.Held, c.GapFrom = true, c.lastKnown()
	e.touch(c)
	e.schedule(c)
}

// lastKnown is the last instant at which the condition knew its inputs.
func (c *condition) lastKnown() int64 {
	if c.def.Type == TypeBadQuality {
		var t int64
		for _, f := range c.all {
			t = max(t, f.Time)
		}
		return t
	}
	t := c.main.GoodAt
	if c.second != nil {
		t = max(t, c.second.GoodAt)
	}
	return t
}

// reportLoss journals once that a condition which is not normal can no longer be judged.
func (e *Engine) reportLoss(c *condition, at int64, note string) {
	if c.BadReported || c.base() == StateNorm {
		return
	}
	c.BadReported = true
	e.emit(c, Event{Kind: KindQuality, Time: at, Level: c.Level, Note: note})
}

// ready reports whether the condition can be judged now, and for bad_quality alarms whether it is violated.
func (c *condition) ready() (ok, allBad bool) {
	if c.def.Type != TypeBadQuality {
		return c.main.known(c) && (c.second == nil || c.second.known(c)), false
	}
	bad := 0
	for _, f := range c.all {
		switch {
		case f.Blind:
		case f.Bad:
			bad++
		case f.GoodAt != 0:
			return true, false
		}
	}
	return bad == len(c.all), bad == len(c.all)
}

// judge compares the inputs with the limits and makes the transitions that follow.
func (e *Engine) judge(c *condition, at int64, exact bool) {
	ok, allBad := c.ready()
	if !ok {
		return
	}
	if c.second != nil {
		at = max(at, c.main.GoodAt, c.second.GoodAt)
	}
	g := e.resume(c, at)
	if c.Idle {
		c.Idle = false
		e.touch(c)
	}
	x, ok := e.measure(c, at)
	if !ok {
		e.schedule(c)
		return
	}
	e.mind(c, x, at, allBad)
	if exact {
		e.ripenBefore(c, at)
		g = gap{}
	}
	e.ripen(c, at, g)
	e.schedule(c)
}

// resume ends a hold and returns the gap that it was.
func (e *Engine) resume(c *condition, at int64) gap {
	if !c.Held {
		return gap{}
	}
	g := gap{held: true, from: c.GapFrom}
	c.Held, c.GapFrom = false, 0
	e.touch(c)
	if c.BadReported {
		c.BadReported = false
		if c.base() != StateNorm {
			e.emit(c, Event{Kind: KindQuality, Time: at, Level: c.Level, Note: NoteGood})
		}
	}
	return g
}

// measure returns the quantity the limits are compared with. A rate needs two samples not too far apart.
func (e *Engine) measure(c *condition, at int64) (float64, bool) {
	switch c.def.Type {
	case TypeDeviation:
		return c.main.number() - c.second.number(), true
	case TypeDiscrepancy:
		target := c.second.number()
		if !c.HasTarget || c.Target != target {
			c.HasTarget, c.Target = true, target
			for i := range c.Limits {
				if !c.Limits[i].Active {
					c.Limits[i].Onset = 0 // the expected time starts again
				}
			}
			e.touch(c)
		}
		return math.Abs(c.main.number() - target), true
	case TypeRoc:
		f := c.main
		if f.prevAt == 0 || f.RefAt-f.prevAt > int64(c.def.MaxGap) {
			return 0, false
		}
		return (f.RefV - f.prevV) / (float64(f.RefAt-f.prevAt) / 1e9), true
	}
	return c.main.number(), true
}

// verdict compares x with one limit: violates means past the bare limit, out means out of alarm, past the deadband.
func (c *condition) verdict(l *limit, x float64, allBad bool) (violates, out bool) {
	switch c.def.Type {
	case TypeDiscrete:
		violates = !slices.Contains(c.def.Normal, x)
		return violates, !violates
	case TypeDiscrepancy:
		violates = x > c.def.Tolerance
		return violates, !violates
	case TypeBadQuality:
		return allBad, !allBad
	}
	v := l.present()
	if math.IsNaN(v) {
		return false, false // the tag of the limit has no value yet
	}
	if !l.level.high() {
		x, v = -x, -v
	}
	return x > v || (x == v && !l.strict), x < v-l.deadband
}

// present is the limit's value now.
func (l *limit) present() float64 {
	if l.from != nil {
		return l.from.number()
	}
	return l.value
}

// mind starts and stops the clocks of the limits. The deadband is not applied while an on-delay runs, and an off-delay
// starts only past the deadband.
func (e *Engine) mind(c *condition, x float64, at int64, allBad bool) {
	for i := range c.Limits {
		s := &c.Limits[i]
		violates, out := c.verdict(&c.limits[i], x, allBad)
		before := *s
		switch {
		case s.Active && !out:
			s.Offset = 0
		case s.Active && s.Offset == 0:
			s.Offset = at
		case !s.Active && !violates:
			s.Onset = 0
		case !s.Active && s.Onset == 0:
			s.Onset = at
		}
		if *s != before {
			e.touch(c)
		}
	}
}

// ripenBefore makes the transitions whose delays ended before at, each at its own instant: a device that reports its
// changes has told us that nothing interrupted them.
func (e *Engine) ripenBefore(c *condition, at int64) {
	for {
		due := c.delayDue()
		if due == 0 || due >= at {
			return
		}
		e.ripen(c, due, gap{})
	}
}

// ripen makes the transition that follows from all delays that ended by at, as one step: one physical cause, one event.
func (e *Engine) ripen(c *condition, at int64, g gap) {
	changed := false
	for i := range c.Limits {
		s, l := &c.Limits[i], &c.limits[i]
		switch {
		case !s.Active && s.Onset != 0 && at >= s.Onset+l.on:
			s.Active, s.Offset = true, 0
			changed = true
		case s.Active && s.Offset != 0 && at >= s.Offset+l.off:
			s.Active, changed = false, true
		}
	}
	changed = c.intermediate() || changed
	changed = c.oneSide(at) || changed
	if !changed {
		return
	}
	e.touch(c)
	e.move(c, at, g)
	for i := range c.Limits {
		if s := &c.Limits[i]; !s.Active && s.Offset != 0 {
			s.Onset, s.Offset = 0, 0
		}
	}
}

// intermediate activates violated limits below an active one of the same side, whatever their delay.
func (c *condition) intermediate() bool {
	changed := false
	for i := range c.Limits {
		for j := range c.Limits {
			s, worse := &c.Limits[i], &c.Limits[j]
			if worse.Active && !s.Active && s.Onset != 0 && s.Level.side() == worse.Level.side() && s.Level.rank() < worse.Level.rank() {
				s.Active, s.Offset, changed = true, 0, true
			}
		}
	}
	return changed
}

// oneSide ends the limits of the side the value has left for the other: it cannot be high and low, so an off-delay of
// the old side has no meaning any more.
func (c *condition) oneSide(at int64) bool {
	entered := 0
	for i := range c.Limits {
		if s := &c.Limits[i]; s.Active && s.Offset == 0 {
			entered = s.Level.side()
		}
	}
	changed := false
	for i := range c.Limits {
		if s := &c.Limits[i]; entered != 0 && s.Active && s.Level.side() == -entered {
			s.Active, changed = false, true
			if s.Offset == 0 {
				s.Offset = at
			}
		}
	}
	return changed
}

// worst returns the most severe active limit.
func (c *condition) worst() int {
	best := -1
	for i := range c.Limits {
		if c.Limits[i].Active && (best < 0 || c.Limits[i].Level.rank() > c.Limits[best].Level.rank()) {
			best = i
		}
	}
	return best
}
