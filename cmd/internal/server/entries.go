package server

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"scada/acquisition/tag"
	"scada/alarms"
	"scada/history/journal"
	"scada/web/api"
)

// entries turns alarm events into journal entries. Both nodes make the same entry of the same event.
func (a *area) entries(events []alarms.Event) []journal.Entry {
	out := make([]journal.Entry, 0, len(events))
	for i := range events {
		e := &events[i]
		entry := journal.Entry{
			Key: e.Key, Time: e.Time, Class: journal.ClassAlarm, Kind: e.Kind.String(), Area: a.name, Source: e.Condition,
			User: e.By, Epoch: e.Term, Message: e.Comment, Quality: e.Quality.String(), Alarm: e,
		}
		if d, ok := a.engine.Definition(e.Condition); ok {
			entry.Tag = d.MainTag()
			if entry.Message == "" { // from the event alone: an avalanche travels in parts, its images after its events
				entry.Message = d.Message(e)
			}
		}
		if !e.Value.IsNone() {
			entry.Value = e.Value.String()
		}
		out = append(out, entry)
	}
	return out
}

// changes turns alarm events into what clients are told of them.
func (a *area) changes(events []alarms.Event) []api.AlarmChange {
	out := make([]api.AlarmChange, 0, len(events))
	for _, e := range events {
		c, ok := a.engine.Condition(e.Condition)
		if !ok {
			continue
		}
		out = append(out, api.AlarmChange{Event: e.Kind.String(), Annunced: e.Annunciate, By: e.By, Alarm: alarmJSON(a.name, a.unit(c.Tag), c)})
	}
	return out
}

// eventKey is the key of an entry that is no alarm: a hash over what makes it one happening.
func eventKey(at int64, parts ...string) alarms.Key {
	h := sha256.New()
	h.Write(binary.LittleEndian.AppendUint64(nil, uint64(at)))
	for _, p := range parts {
		h.Write(binary.AppendUvarint(nil, uint64(len(p))))
		h.Write([]byte(p))
	}
	return alarms.Key(h.Sum(nil)[:16])
}

// newEntry returns an entry of this node that happened now.
func (s *Server) newEntry(class journal.Class, kind, area, source, user, message string) journal.Entry {
	at := now()
	return journal.Entry{
		Key:  eventKey(at, s.nodeName, string(class), kind, area, source, user, message),
		Time: at, Class: class, Kind: kind, Area: area, Source: source, User: user, Node: s.nodeName, Message: message,
	}
}

func entryJSON(e journal.Entry) api.JournalEntry {
	j := api.JournalEntry{
		ID: e.Key.String(), Time: e.At(), Kind: string(e.Class), Category: string(e.Category()), Event: e.Kind, Area: e.Area, Source: e.Source, User: e.User,
		Node: e.Node, Epoch: e.Epoch, Old: e.Old, New: e.New, Result: e.Result, Message: e.Message,
	}
	if e.Alarm != nil {
		j.State, j.Level = e.Alarm.State.String(), e.Alarm.Level.String()
		j.New = e.Value
		j.Occurrence, j.Priority, j.Annunced, j.Note = e.Alarm.Occurrence, urgency(e.Alarm.Priority), e.Alarm.Annunciate, e.Alarm.Note
	}
	return j
}

// alarmJSON is one condition as clients see it.
func alarmJSON(area, unit string, c alarms.Condition) api.Alarm {
	j := api.Alarm{
		ID: c.ID, Tag: c.Tag, Area: area, Type: c.Type.String(), State: c.State.String(), Level: c.Level.String(),
		Active: c.Level != alarms.LevelNone, Acked: !c.State.Unacknowledged(), Priority: urgency(c.Priority), Occurrence: c.Occurrence,
		Epoch: c.Term, Time: instant(c.ChangedAt), Onset: instant(onset(c)), AckedBy: c.AckedBy, AckedAt: instant(c.AckedAt),
		Until: instant(c.ShelvedUntil), Unit: unit, Message: c.Message, Comment: c.Comment,
	}
	if !c.Value.IsNone() {
		j.Value, j.Quality = valueJSON(c.Value), c.Quality.String()
	}
	return j
}

// onset is when the present activation began: with an on-delay before it was raised.
func onset(c alarms.Condition) int64 {
	if c.Onset != 0 || c.Level == alarms.LevelNone {
		return c.Onset
	}
	return c.RaisedAt
}

// urgency numbers priorities for operators: 1 is the most urgent, 5 is recorded only.
func urgency(p alarms.Priority) int {
	switch p {
	case alarms.PriorityCritical:
		return 1
	case alarms.PriorityHigh:
		return 2
	case alarms.PriorityLow:
		return 4
	case alarms.PriorityJournal:
		return 5
	}
	return 3
}

// instant converts nanoseconds where 0 means never.
func instant(ns int64) *time.Time {
	if ns == 0 {
		return nil
	}
	t := time.Unix(0, ns).UTC()
	return &t
}

func valueJSON(v tag.Value) any {
	switch t := v.Type(); {
	case t == tag.TypeNone:
		return nil
	case t == tag.TypeBool:
		return v.Truth()
	case t == tag.TypeString:
		return v.Text()
	case t == tag.TypeFloat32:
		return float32(v.Number()) // its own shortest digits, not those of the float64 it widens to
	case t.IsFloat():
		return v.Number()
	case t.IsSigned():
		return v.Int()
	}
	return v.Bits()
}

func stateName(n int) string { return alarms.State(n).String() }
