package alarms

import (
	"fmt"

	"scada/acquisition/tag"
)

// TakeOver makes this engine the one that evaluates, in a new term. Every tag is blind until its first usable sample
// from this node, every condition is held as it is. What operators asked for and fell due meanwhile is done now;
// process timers wait for the first usable sample.
func (e *Engine) TakeOver(now int64, term uint64) Outcome {
	m := Mark{Term: term, Time: now}
	e.blind(m)
	e.mark = &m
	e.setBackFlood(now)
	for _, c := range e.conds {
		if due := c.operatorDue(); due != 0 && due <= now {
			e.fireOperator(c, now)
			e.schedule(c)
		}
	}
	e.closeOrphans(now)
	e.ebb(now)
	e.releaseFlood() // what another configuration may have left
	e.settle(now)
	return e.take()
}

// blind is the part of a take-over that both nodes compute alike; it needs no images.
func (e *Engine) blind(m Mark) {
	e.term, e.graceUntil = m.Term, m.Time+e.cfg.grace()
	for _, c := range e.conds {
		if !c.Held {
			c.Held, c.GapFrom = true, c.lastKnown()
		}
		e.schedule(c)
	}
	for _, f := range e.tags {
		f.Blind, f.Bad = true, false
	}
}

// Blind returns the tags that have not delivered a believed sample since the take-over.
func (e *Engine) Blind() []tag.ID {
	var ids []tag.ID
	for _, f := range e.tags {
		if f.Blind {
			ids = append(ids, f.id)
		}
	}
	return ids
}

// GraceUntil returns until when a bad first sample is not believed.
func (e *Engine) GraceUntil() int64 { return e.graceUntil }

// Apply makes on the standby what the active did. Images of conditions this configuration does not have are skipped
// and reported in the error; the rest is applied.
func (e *Engine) Apply(o Outcome) error {
	var unknown []string
	if o.Mark != nil {
		e.blind(*o.Mark)
		e.orphans = nil
	}
	if o.Flood != nil {
		e.adoptFlood(o.Flood)
	}
	for i := range o.Tags {
		if f, ok := e.byName[o.Tags[i].Name]; ok {
			f.TagImage = o.Tags[i]
		}
	}
	for i := range o.Changed {
		c, ok := e.byCond[o.Changed[i].ID]
		if !ok {
			unknown = append(unknown, o.Changed[i].ID)
			continue
		}
		e.adopt(c, &o.Changed[i])
	}
	if len(unknown) > 0 {
		return fmt.Errorf("alarm outcome: %d conditions are not in this configuration, the first is %q", len(unknown), unknown[0])
	}
	return nil
}

// adopt takes over an image. Limits are matched by level: the configuration may have changed since it was written.
func (e *Engine) adopt(c *condition, img *ConditionImage) {
	own := c.Limits
	c.ConditionImage = img.clone()
	c.Limits = own
	for i := range own {
		own[i] = LimitImage{Level: own[i].Level}
		for _, l := range img.Limits {
			if l.Level == own[i].Level {
				own[i] = l
			}
		}
	}
	e.schedule(c)
}

// Reload replaces the configuration while running, as a small take-over: the state of conditions and tags survives by
// name, new limits apply at once to the last good value, and what the new configuration no longer has is closed with a
// record. last returns the present sample of a tag the old configuration did not use; it may be nil. An invalid
// configuration changes nothing.
func (e *Engine) Reload(now int64, cfg Config, tags TagLookup, last func(tag.ID) (tag.Sample, bool)) (Outcome, error) {
	e.advance(now - 1)
	removed, err := e.reconfigure(cfg, tags, last)
	if err != nil {
		e.advance(now)
		return e.take(), err
	}
	e.reviseFlood()
	for i := range removed {
		e.closeRemoved(&removed[i], now)
	}
	for _, f := range e.tags {
		e.touchTag(f)
	}
	for _, c := range e.conds {
		e.touch(c)
		e.reassess(c, now)
	}
	e.settle(now)
	e.advance(now)
	return e.take(), nil
}

// Reconfigure gives a standby the configuration the active has just loaded; the outcome of the active's reload follows.
func (e *Engine) Reconfigure(cfg Config, tags TagLookup) error {
	_, err := e.reconfigure(cfg, tags, nil)
	return err
}

// reconfigure builds the new configuration, carries the states over and returns the images that have no place in it.
func (e *Engine) reconfigure(cfg Config, tags TagLookup, last func(tag.ID) (tag.Sample, bool)) ([]ConditionImage, error) {
	oldTags, oldConds := e.byName, e.conds
	events := e.events
	if err := e.build(cfg, tags); err != nil {
		return nil, err
	}
	e.events = events
	for _, f := range e.tags {
		if old, ok := oldTags[f.Name]; ok {
			f.TagImage = old.TagImage
			continue
		}
		if last == nil {
			continue
		}
		s, ok := last(f.id)
		if n, usable := usableNumber(&tag.Update{Sample: s}); ok && usable {
			f.accept(s.Time, n, &tag.Update{Sample: s})
		} else if ok {
			f.Time, f.Quality, f.Bad = s.Time, s.Quality, s.Quality != tag.BadWaitingForInitialData
		}
	}
	var removed []ConditionImage
	for _, c := range oldConds {
		if now, ok := e.byCond[c.ID]; ok {
			e.adopt(now, &c.ConditionImage)
		} else {
			removed = append(removed, c.ConditionImage)
		}
	}
	return removed, nil
}

// reassess applies changed limits and changed suppression to the present values.
func (e *Engine) reassess(c *condition, now int64) {
	if c.supTag != nil && c.supTag.known(c) && c.supTag.number() == 0 {
		e.suppress(c, SuppressedByTag, now)
	}
	if c.parentActive() {
		e.suppress(c, SuppressedByParent, now)
	}
	if c.Suppressed != 0 {
		e.release = append(e.release, c)
	}
	if ok, _ := c.ready(); !ok && !c.Held && c.lastKnown() != 0 {
		e.hold(c)
	}
	if c.def.Type != TypeRoc { // a rate needs a new sample
		e.judge(c, now, false)
	}
	if c.stale() {
		e.move(c, now, gap{}) // its active limit is not configured any more
	}
	if c.Level != LevelNone {
		if c.RealarmAt == 0 {
			c.RealarmAt = realarmAfter(c)
		} else if c.def.Realarm == 0 {
			c.RealarmAt = 0
		}
	}
	e.schedule(c)
}

// stale reports whether the level of the condition is not an active limit of it.
func (c *condition) stale() bool {
	for i := range c.Limits {
		if c.Limits[i].Level == c.Level {
			return !c.Limits[i].Active
		}
	}
	return c.Level != LevelNone
}

func realarmAfter(c *condition) int64 {
	if c.def.Realarm == 0 {
		return 0
	}
	return c.RaisedAt + int64(c.def.Realarm)
}

// closeRemoved records that a condition which was not normal left with its configuration.
func (e *Engine) closeRemoved(img *ConditionImage, now int64) {
	if img.State() == StateNorm {
		return
	}
	ev := Event{Time: now, Condition: img.ID, Kind: KindClear, State: StateNorm, Level: img.Level, Priority: img.Priority,
		Occurrence: img.Occurrence, Term: e.term, Note: NoteRemoved, By: System, Value: img.Value, Quality: img.Quality}
	e.record(ev)
}

func (e *Engine) closeOrphans(now int64) {
	for i := range e.orphans {
		e.closeRemoved(&e.orphans[i], now)
	}
	e.orphans = nil
}
