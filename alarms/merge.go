package alarms

import (
	"cmp"
	"fmt"
	"slices"
)

// Forked is a record the losing side of a split brain wrote after the link was lost.
type Forked struct {
	Event
	// Confirmed says that the operator was told the command is done (ok_solo). Unconfirmed commands are recorded and
	// otherwise ignored: nobody was promised anything.
	Confirmed bool
}

// Merge ends a split brain on the node with the higher term. ours and theirs are the records of both sides since the
// link was lost, in order of time. The live state stays ours. Their records enter the journal silently; an occurrence
// both saw is linked, an unacknowledged one that only they saw comes back as returned and unacknowledged, their confirmed
// acknowledgements count, and the last operator who shelved or unshelved wins.
func (e *Engine) Merge(now int64, ours []Event, theirs []Forked) Outcome {
	e.advance(now - 1)
	m := merger{e: e, now: now, ours: byCondition(ours), theirs: map[string][]Forked{}}
	for _, f := range theirs {
		ev := f.Event
		ev.Annunciate, ev.Note = false, NoteFork
		e.events = append(e.events, ev)
		m.theirs[ev.Condition] = append(m.theirs[ev.Condition], f)
	}
	for _, c := range e.conds {
		if fork := m.theirs[c.ID]; len(fork) > 0 {
			m.condition(c, fork)
			e.schedule(c)
		}
	}
	e.settle(now)
	e.advance(now)
	return e.take()
}

func byCondition(list []Event) map[string][]Event {
	m := map[string][]Event{}
	for _, ev := range list {
		m[ev.Condition] = append(m[ev.Condition], ev)
	}
	return m
}

type merger struct {
	e      *Engine
	now    int64
	ours   map[string][]Event
	theirs map[string][]Forked
}

// span is one occurrence in time.
type span struct {
	Occurrence
	from, to int64 // to is the time of the merge while it is active
	acked    bool
	forked   bool // raised after the link was lost
}

func (m *merger) condition(c *condition, fork []Forked) {
	var records []Event
	for _, f := range fork {
		records = append(records, f.Event)
	}
	mine, other := spans(m.ours[c.ID], m.now), spans(records, m.now)
	if len(mine) == 0 && c.Level != LevelNone {
		mine = append(mine, span{Occurrence: Occurrence{c.OccurrenceTerm, c.Occurrence}, from: c.RaisedAt, to: m.now})
	}
	same := map[uint64]uint64{} // number of their occurrence -> of ours
	for _, s := range other {
		own, found := match(mine, s)
		switch {
		case !s.forked:
			same[s.Number] = s.Number
		case found:
			same[s.Number] = own.Number
			m.e.emit(c, Event{Kind: KindMerge, Time: m.now, Level: c.Level, Occurrence: own.Number,
				Note: fmt.Sprintf("dup_of term %d occ %d", s.Term, s.Number)})
		case !s.acked:
			m.adopt(c, s)
		}
		if s.Number > c.Occurrence {
			c.Occurrence = s.Number // numbers are never used again
			m.e.touch(c)
		}
	}
	m.acknowledge(c, fork, same)
	m.shelving(c, fork)
}

// match finds our occurrence that was active at the same time as theirs.
func match(mine []span, s span) (span, bool) {
	for _, o := range mine {
		if o.from <= s.to && s.from <= o.to {
			return o, true
		}
	}
	return span{}, false
}

// spans rebuilds the occurrences of one condition from its records since the link was lost. One that was raised before
// is known from what happened to it later.
func spans(events []Event, now int64) []span {
	var list []span
	for _, ev := range events {
		at := slices.IndexFunc(list, func(s span) bool { return s.Number == ev.Occurrence })
		if at < 0 {
			if ev.Occurrence == 0 {
				continue
			}
			list = append(list, span{Occurrence: Occurrence{ev.Term, ev.Occurrence}, to: now})
			at = len(list) - 1
		}
		s := &list[at]
		switch ev.Kind {
		case KindRaise:
			s.from, s.forked = cmp.Or(ev.NotBefore, ev.Onset, ev.Time), true
			s.acked = ev.State != StateUnack
		case KindClear:
			s.to = ev.Time
		case KindAck, KindShelve, KindOOS, KindSuppress:
			s.acked = true
		case KindLevel, KindRealarm, KindUnshelve, KindUnsuppress, KindRTS:
			s.acked = s.acked && ev.State != StateUnack
		}
	}
	return list
}

// adopt makes an alarm visible that nobody has acknowledged and only the losing side saw.
func (m *merger) adopt(c *condition, s span) {
	if c.hidden() || c.def.NoAck {
		return
	}
	if c.Level != LevelNone || c.Unacked {
		c.Earlier = append(c.Earlier, s.Occurrence)
		c.Earlier = c.Earlier[max(0, len(c.Earlier)-MaxEarlier):]
	} else if s.Number >= c.Occurrence {
		c.Occurrence, c.OccurrenceTerm = s.Number, s.Term
		c.RaisedAt, c.ClearedAt = s.from, s.to
	}
	c.Unacked, c.Latched = true, c.Latched || c.def.Latch
	c.AckedAt, c.AckedBy = 0, ""
	m.e.emit(c, Event{Kind: KindMerge, Time: m.now, Level: c.Level, Occurrence: s.Number, Annunciate: c.announces(), Note: NoteAdopted})
}

// acknowledge honours their confirmed acknowledgements of occurrences that are still unacknowledged here.
func (m *merger) acknowledge(c *condition, fork []Forked, same map[uint64]uint64) {
	for _, f := range fork {
		own, known := same[f.Occurrence]
		if f.Kind != KindAck || !f.Confirmed || !known || c.hidden() {
			continue
		}
		ev := Event{Time: m.now, By: f.By, Comment: f.Comment, Note: NoteMerged}
		if own != c.Occurrence {
			m.e.ackEarlier(c, own, ev)
			continue
		}
		m.e.ack(c, own, ev)
	}
}

// shelving lets the last operator action win, whichever side it was made on.
func (m *merger) shelving(c *condition, fork []Forked) {
	var last *Forked
	for i := range fork {
		f := &fork[i]
		if f.Confirmed && f.By != System && (f.Kind == KindShelve || f.Kind == KindUnshelve) {
			last = f
		}
	}
	if last == nil {
		return
	}
	for _, ev := range m.ours[c.ID] {
		if ev.By != System && (ev.Kind == KindShelve || ev.Kind == KindUnshelve) && ev.Time >= last.Time {
			return
		}
	}
	ev := Event{Time: m.now, By: last.By, Comment: last.Comment, Note: NoteMerged}
	switch {
	case last.Kind == KindShelve && c.Shelving == NotShelved && (last.Until == 0 || last.Until > m.now):
		how := ShelvedTimed
		if last.OneShot {
			how = ShelvedOneShot
		}
		m.e.putOnShelf(c, how, last.Until, ev)
	case last.Kind == KindUnshelve && c.Shelving != NotShelved:
		m.e.unshelveBy(c, ev)
	}
}
