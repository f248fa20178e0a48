package alarms

// emit completes an event of the condition and records it. Priority, occurrence and term are the condition's unless set.
func (e *Engine) emit(c *condition, ev Event) {
	ev.Condition, ev.Term = c.ID, e.term
	if ev.State == StateNorm {
		ev.State = c.State()
	}
	if ev.Occurrence == 0 {
		ev.Occurrence = c.Occurrence
	}
	ev.Priority = c.Priority
	if ev.Priority == PriorityUnset {
		ev.Priority = c.limits[0].priority
	}
	ev.Value, ev.Quality, ev.Limit = c.main.Value, c.main.Quality, c.LimitValue
	c.ChangedAt, c.Value, c.Quality = ev.Time, ev.Value, ev.Quality
	c.Last = LastEvent{Key: e.record(ev), Occurrence: ev.Occurrence, By: ev.By}
	e.touch(c)
}

// record numbers the event within its instant, gives it its key and adds it to the outcome of the call.
func (e *Engine) record(ev Event) Key {
	if ev.Time == e.lastAt {
		e.lastOrder++
	} else {
		e.lastAt, e.lastOrder = ev.Time, 0
	}
	ev.Order = e.lastOrder
	ev.Key = KeyOf(&ev)
	e.events = append(e.events, ev)
	return ev.Key
}

// move makes the transition from the present level to the most severe active limit.
func (e *Engine) move(c *condition, at int64, g gap) {
	old, i := c.Level, c.worst()
	next := LevelNone
	if i >= 0 {
		next = c.Limits[i].Level
	}
	switch {
	case old == next:
	case old == LevelNone:
		e.raise(c, i, at, c.raisedNotBefore(i, at, g))
	case next == LevelNone:
		e.clear(c, at, c.endedNotBefore(old, at, g), "")
	case old.side() == next.side():
		e.relevel(c, i, at, g)
	default:
		e.clear(c, at, c.endedNotBefore(old, at, g), "")
		e.raise(c, i, at, c.raisedNotBefore(i, at, g))
	}
}

// raisedNotBefore is the earliest instant at which the limit can have become active in a gap that ended at the given
// time; 0 means that the instant is certain.
func (c *condition) raisedNotBefore(i int, at int64, g gap) int64 {
	return notBefore(g, at, c.Limits[i].Onset, c.limits[i].on)
}

func (c *condition) endedNotBefore(l Level, at int64, g gap) int64 {
	for i := range c.Limits {
		if c.Limits[i].Level == l {
			return notBefore(g, at, c.Limits[i].Offset, c.limits[i].off)
		}
	}
	return 0
}

// notBefore: a clock that ran before the gap ends at its own instant or in the gap, one that started after the gap
// stands for something that happened any time within.
func notBefore(g gap, at, since, delay int64) int64 {
	if !g.held || g.from == 0 {
		return 0
	}
	earliest := g.from
	if since < at {
		earliest = max(earliest, since+delay)
	}
	if earliest >= at {
		return 0
	}
	return earliest
}

// raise begins an occurrence.
func (e *Engine) raise(c *condition, i int, at, uncertainSince int64) {
	at = max(at, c.ClearedAt)
	e.flooded(c, c.limits[i].priority, at)
	s, hidden := &c.Limits[i], c.hidden()
	if c.Unacked {
		c.Earlier = append(c.Earlier, Occurrence{Term: c.OccurrenceTerm, Number: c.Occurrence})
		if len(c.Earlier) > MaxEarlier {
			c.Earlier = c.Earlier[len(c.Earlier)-MaxEarlier:]
		}
	}
	first := c.group != nil && groupNormal(*c.group)
	c.Occurrence++
	c.OccurrenceTerm = e.term
	c.setLevel(i)
	c.Unacked = !hidden && !c.def.NoAck
	c.Latched = c.def.Latch
	c.RaisedAt, c.Onset, c.NotBefore, c.FirstOut = at, 0, uncertainSince, first
	if s.Onset < at {
		c.Onset = s.Onset
	}
	c.AckedAt, c.AckedBy, c.Comment = 0, "", ""
	c.rearm(at)
	e.urgent(c)
	e.emit(c, Event{Kind: KindRaise, Time: at, Level: c.Level, Annunciate: c.announces(), Onset: c.Onset, NotBefore: uncertainSince,
		Grouped: c.group != nil, FirstOut: first})
	for _, child := range c.children {
		e.suppress(child, SuppressedByParent, at)
	}
}

// groupNormal reports whether every member of a first-out group is normal: the next activation is the first.
func groupNormal(group []*condition) bool {
	for _, c := range group {
		if c.base() != StateNorm {
			return false
		}
	}
	return true
}

func (c *condition) setLevel(i int) {
	c.Level, c.Priority, c.LimitValue = c.Limits[i].Level, c.limits[i].priority, c.limits[i].present()
}

// announces reports whether what happens now is for the operator.
func (c *condition) announces() bool { return !c.hidden() && c.Priority != PriorityJournal }

// rearm starts the re-alarm time as if the alarm had just occurred.
func (c *condition) rearm(at int64) {
	c.RealarmAt = 0
	if c.def.Realarm > 0 && c.Level != LevelNone {
		c.RealarmAt = at + int64(c.def.Realarm)
	}
}

// maxCatchUp is how many missed re-alarms are made up for, each at its own instant; a clock that jumped by years must
// not be worked off minute by minute.
const maxCatchUp = 1000

// clear ends the occurrence in the process; what remains for the operator depends on acknowledgement and latch.
func (e *Engine) clear(c *condition, at, uncertainSince int64, note string) {
	at = max(at, c.RaisedAt)
	ended := c.Level
	c.Level, c.RealarmAt, c.ClearedAt = LevelNone, 0, at
	e.emit(c, Event{Kind: KindClear, Time: at, Level: ended, NotBefore: uncertainSince, Note: note})
	if len(c.children) > 0 {
		e.release = append(e.release, c.children...)
	}
	if c.Shelving == ShelvedOneShot {
		e.unshelve(c, at)
	}
}

// relevel moves between the limits of one side: up takes the acknowledgement away and annunciates, down is silent.
func (e *Engine) relevel(c *condition, i int, at int64, g gap) {
	old := c.Level
	up := c.Limits[i].Level.rank() > old.rank()
	since := c.endedNotBefore(old, at, g)
	if up {
		since = c.raisedNotBefore(i, at, g)
	}
	at = max(at, c.RaisedAt)
	c.setLevel(i)
	if up && !c.hidden() && !c.def.NoAck {
		c.Unacked, c.AckedAt, c.AckedBy = true, 0, ""
	}
	e.emit(c, Event{Kind: KindLevel, Time: at, Level: c.Level, NotBefore: since, Annunciate: up && c.announces()})
	e.urgent(c)
}

// realarm makes an alarm that stays active for too long new again.
func (e *Engine) realarm(c *condition, at int64) {
	c.rearm(at)
	if behind := e.until - c.RealarmAt; behind > maxCatchUp*int64(c.def.Realarm) && c.RealarmAt != 0 {
		c.RealarmAt += behind / int64(c.def.Realarm) * int64(c.def.Realarm)
	}
	e.touch(c)
	if c.hidden() || c.Level == LevelNone {
		return
	}
	if !c.def.NoAck {
		c.Unacked, c.AckedAt, c.AckedBy = true, 0, ""
	}
	e.emit(c, Event{Kind: KindRealarm, Time: at, Level: c.Level, Annunciate: c.announces()})
}

// conceal is what every overlay does when it begins: it counts as acknowledgement.
func (c *condition) conceal() { c.Unacked, c.Earlier = false, nil }

// reveal ends an overlay that is already removed from the image. If it was the last one, an active alarm comes back
// unacknowledged and is annunciated.
func (e *Engine) reveal(c *condition, ev Event) {
	ev.Level = c.Level
	if !c.hidden() && c.Level != LevelNone {
		c.Unacked = !c.def.NoAck
		c.rearm(ev.Time)
		ev.Annunciate = c.announces()
	}
	e.emit(c, ev)
}

// unshelve ends shelving by itself: time or the end of the activation.
func (e *Engine) unshelve(c *condition, at int64) {
	c.Shelving, c.ShelvedUntil, c.ShelvedBy = NotShelved, 0, ""
	e.reveal(c, Event{Kind: KindUnshelve, Time: at, By: System})
}

// suppress adds a reason of suppression by design.
func (e *Engine) suppress(c *condition, why Suppression, at int64) {
	if c.Suppressed&why != 0 {
		return
	}
	was := c.Suppressed
	c.Suppressed |= why
	e.touch(c)
	if was != 0 {
		return
	}
	c.conceal()
	e.emit(c, Event{Kind: KindSuppress, Time: at, Level: c.Level, By: System, Note: why.note()})
	e.schedule(c)
}

// settle completes an instant: suppressions whose reason is gone end only after every condition was judged, so that
// an alarm which clears together with its parent does not come back for nothing.
func (e *Engine) settle(at int64) {
	for len(e.release) > 0 {
		list := e.release
		e.release = nil
		for _, c := range list {
			e.unsuppress(c, at)
		}
	}
}

// unsuppress removes the reasons that no longer hold. A suppression input that is bad or blind keeps the last state.
func (e *Engine) unsuppress(c *condition, at int64) {
	keep := c.Suppressed
	if f := c.supTag; f == nil || (!f.Bad && !f.Blind && f.GoodAt != 0 && f.number() != 0) {
		keep &^= SuppressedByTag
	}
	if !c.parentActive() {
		keep &^= SuppressedByParent
	}
	if !e.floodHides(c) {
		keep &^= SuppressedByFlood
	}
	if keep == c.Suppressed {
		return
	}
	ended := c.Suppressed &^ keep
	c.Suppressed = keep
	e.touch(c)
	if keep == 0 {
		e.reveal(c, Event{Kind: KindUnsuppress, Time: at, By: System, Note: ended.note()})
		e.schedule(c)
	}
}

func (c *condition) parentActive() bool {
	for _, p := range c.parents {
		if p.Level != LevelNone {
			return true
		}
	}
	return false
}
