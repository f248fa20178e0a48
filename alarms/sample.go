package alarms

import (
	"math"
	"time"

	"scada/acquisition/tag"
)

// maxAhead is how far a sample may be ahead of the engine's time before it counts as taken now: a device whose clock
// once jumped into the future must not be deaf until then. A sample without a time counts as taken now, too.
const maxAhead = time.Second

// Samples evaluates samples of polled devices, in order, and fires the timers due up to now. A sample at the instant
// of a timer comes first. Bad samples must be repeated by the source for as long as they are bad: within the grace
// after a take-over they are not believed.
func (e *Engine) Samples(now int64, batch []tag.Update) Outcome {
	return e.samples(now, batch, false)
}

// Reports evaluates samples whose times were made by the device when the value changed (sequence of events, buffered
// reports): what they show happened exactly then, even if they arrive after a gap.
func (e *Engine) Reports(now int64, batch []tag.Update) Outcome {
	return e.samples(now, batch, true)
}

// Sample evaluates one sample of a polled device; see [Engine.Samples].
func (e *Engine) Sample(now int64, u tag.Update) Outcome {
	return e.samples(now, []tag.Update{u}, false)
}

func (e *Engine) samples(now int64, batch []tag.Update, exact bool) Outcome {
	e.setBackFlood(now)
	for i := range batch {
		e.advance(min(batch[i].Time, now) - 1)
		e.sample(now, &batch[i], exact)
	}
	e.advance(now)
	return e.take()
}

// usableNumber reports whether the sample can be judged.
func usableNumber(u *tag.Update) (float64, bool) {
	n := u.Value.Number()
	return n, !u.Quality.IsBad() && !math.IsNaN(n) && !math.IsInf(n, 0)
}

// qualityOf is the quality the sample counts as: a value that is no number is bad whatever it says.
func qualityOf(u *tag.Update, usable bool) tag.Quality {
	if !usable && !u.Quality.IsBad() {
		return tag.BadOutOfRange
	}
	return u.Quality
}

func (e *Engine) sample(now int64, u *tag.Update, exact bool) {
	f := e.lookup(u.Tag)
	if f == nil {
		return
	}
	at := u.Time
	if at <= 0 || at > now+int64(maxAhead) {
		at = now
		e.touchTag(f)
	}
	if f.Time > now+int64(maxAhead) {
		e.setBack(f, at)
	}
	n, usable := usableNumber(u)
	last := f.Time
	if usable && (exact || f.Bad || f.Blind) {
		// A bad mark is of our own making: it does not outrank the time a device gives to a value that stood still
		// while the link was down.
		last = f.GoodAt
	}
	if at < last {
		return
	}
	if !usable {
		e.lost(now, f, at, qualityOf(u, usable))
	} else {
		e.usable(f, at, n, u, exact)
	}
	e.settle(at)
}

// setBack is for a tag that was last seen at a time that is still to come: the clock was set back since. Nothing before
// that is newer than the sample at hand, and a delay that runs starts anew: otherwise the alarms of the tag would be
// deaf for as long as the clock was set back.
func (e *Engine) setBack(f *follow, at int64) {
	f.Time, f.GoodAt, f.RefAt, f.prevAt = 0, 0, 0, 0
	e.touchTag(f)
	for _, list := range [][]*condition{f.conds, f.feeds} {
		for _, c := range list {
			for i := range c.Limits {
				s := &c.Limits[i]
				if s.Onset > at || s.Offset > at {
					s.Onset, s.Offset = min(s.Onset, at), min(s.Offset, at)
					e.touch(c)
				}
			}
		}
	}
}

// lost handles a bad sample: conditions hold, those that are not normal say so once.
func (e *Engine) lost(now int64, f *follow, at int64, q tag.Quality) {
	if f.Blind && now < e.graceUntil {
		return
	}
	if f.Blind || !f.Bad {
		e.touchTag(f)
	}
	for _, c := range f.conds {
		if c.def.Type != TypeBadQuality {
			e.hold(c)
		}
	}
	f.Time, f.Quality, f.Bad, f.Blind = at, q, true, false
	for _, c := range f.conds {
		if c.def.Type == TypeBadQuality {
			e.judge(c, at, false)
		} else {
			e.reportLoss(c, at, NoteBad)
		}
	}
}

// usable handles a sample that can be judged: suppression first, then the conditions.
func (e *Engine) usable(f *follow, at int64, n float64, u *tag.Update, exact bool) {
	uncertain := u.Quality.IsUncertain()
	if uncertain {
		for _, c := range f.conds {
			if c.def.HoldUncertain && c.def.Type != TypeBadQuality {
				e.hold(c)
			}
		}
	}
	if f.Blind || f.Bad {
		e.touchTag(f)
	}
	f.accept(at, n, u)
	for _, c := range f.suppresses {
		if n == 0 {
			e.suppress(c, SuppressedByTag, at)
		} else if c.Suppressed&SuppressedByTag != 0 {
			e.release = append(e.release, c)
		}
	}
	for _, c := range f.conds {
		if uncertain && c.def.HoldUncertain && c.def.Type != TypeBadQuality {
			e.reportLoss(c, at, NoteUncertain)
			continue
		}
		e.judge(c, at, exact)
	}
	for _, c := range f.feeds {
		e.judge(c, at, exact)
	}
}

// accept stores a usable sample.
func (f *follow) accept(at int64, n float64, u *tag.Update) {
	f.prevAt, f.prevV = 0, 0
	if at > f.RefAt {
		f.prevAt, f.prevV = f.RefAt, f.RefV
		f.RefAt, f.RefV = at, n
	}
	f.Time, f.GoodAt = at, at
	f.Value, f.Quality = u.Value, u.Quality
	f.Bad, f.Blind = false, false
}

// Observe tells a standby the samples the active evaluated, before it applies the outcome of the same record.
func (e *Engine) Observe(batch []tag.Update) {
	for i := range batch {
		u := &batch[i]
		f := e.lookup(u.Tag)
		if f == nil || f.Blind || u.Time <= 0 || u.Time < f.Time {
			continue
		}
		n, usable := usableNumber(u)
		switch {
		case f.Bad && !usable:
			f.Time, f.Quality = u.Time, qualityOf(u, usable)
		case !f.Bad && usable:
			f.accept(u.Time, n, u)
		default:
			// A change between usable and bad is the active's decision and comes with its outcome.
		}
	}
}

// number is the present value of the tag as a number.
func (f *follow) number() float64 { return f.Value.Number() }

// known reports whether the tag can be judged for the condition.
func (f *follow) known(c *condition) bool {
	return f.GoodAt != 0 && !f.Bad && !f.Blind && !(c.def.HoldUncertain && f.Quality.IsUncertain())
}
