package server

import (
	"context"
	"fmt"
	"slices"
	"time"

	"scada/acquisition/tag"
	"scada/alarms"
	"scada/history/journal"
	"scada/web"
	"scada/web/api"
	"scada/web/uaserver"
)

const (
	uaEventBatch = 500         // events looked up in the journal at a time
	uaEventSpan  = time.Minute // events further apart are looked up one by one
)

// uaAlarms is the alarm engines of all areas as OPC UA clients see them.
type uaAlarms struct{ *Server }

var (
	_ uaserver.Alarms       = uaAlarms{}
	_ uaserver.AlarmJournal = uaAlarms{}
)

// Conditions implements [uaserver.Alarms].
func (u uaAlarms) Conditions() []alarms.Condition {
	var all []alarms.Condition
	for _, name := range u.areaNames {
		all = append(all, u.areas[name].conditions(alarms.Filter{})...)
	}
	return all
}

// LastEvent implements [uaserver.Alarms]: a condition knows its last event. One whose state an older version stored knows
// only when that was; then the journal is asked.
func (u uaAlarms) LastEvent(_ context.Context, condition string) (alarms.Event, bool) {
	area, ok := u.alarmArea(condition)
	if !ok {
		return alarms.Event{}, false
	}
	list := u.areas[area].conditions(alarms.Filter{Condition: condition})
	if len(list) == 0 || list[0].ChangedAt == 0 {
		return alarms.Event{}, false
	}
	if c := list[0]; c.Last.Key != (alarms.Key{}) {
		return alarms.Event{Condition: condition, Key: c.Last.Key, Time: c.ChangedAt, Occurrence: c.Last.Occurrence, Level: c.Level, By: c.Last.By}, true
	}
	found := u.alarmEvents(journal.Query{From: list[0].ChangedAt, To: list[0].ChangedAt + 1, Source: condition})
	if len(found) == 0 {
		return alarms.Event{}, false
	}
	return found[len(found)-1].Event, true
}

// Past implements [uaserver.AlarmJournal].
func (u uaAlarms) Past(_ context.Context, from, to int64, backwards bool, limit int, at string) ([]uaserver.AlarmEvent, string, error) {
	page, err := u.journal.Query(journal.Query{From: from, To: to, Class: journal.ClassAlarm, Descending: backwards, Limit: limit, Cursor: at})
	if err != nil {
		return nil, "", fmt.Errorf("past alarm events: %w", err)
	}
	return uaAlarmEvents(page.Entries), page.Next, nil
}

// alarmEvents reads alarm events from the journal.
func (u uaAlarms) alarmEvents(q journal.Query) []uaserver.AlarmEvent {
	q.Class, q.Limit = journal.ClassAlarm, journal.MaxPage
	page, err := u.journal.Query(q)
	if err != nil {
		u.log.Warn("Alarm events cannot be read for OPC UA clients", "error", err)
	}
	return uaAlarmEvents(page.Entries)
}

// uaAlarmEvents picks the alarm events among entries.
func uaAlarmEvents(entries []journal.Entry) []uaserver.AlarmEvent {
	var out []uaserver.AlarmEvent
	for _, e := range entries {
		if e.Alarm == nil {
			continue
		}
		ev := uaserver.AlarmEvent{Event: *e.Alarm, Message: e.Message}
		if quality, ok := tag.ParseQuality(e.Quality); ok {
			ev.Quality = quality
		}
		out = append(out, ev)
	}
	return out
}

// uaCommands are the commands OPC UA clients can give.
var uaCommands = map[alarms.CommandKind]api.AlarmCommand{
	alarms.CommandAck: {Command: api.AlarmAck}, alarms.CommandComment: {Command: api.AlarmComment},
	alarms.CommandShelve: {Command: api.AlarmShelve}, alarms.CommandShelveOneShot: {Command: api.AlarmShelve, OneShot: true},
	alarms.CommandUnshelve: {Command: api.AlarmUnshelve},
}

// Command implements [uaserver.Alarms]: it goes to the active node, like those of the web.
func (u uaAlarms) Command(ctx context.Context, user uaserver.User, cmd alarms.Command) (alarms.Result, error) {
	c, ok := uaCommands[cmd.Kind]
	if !ok {
		return alarms.ResultUnknownCommand, nil
	}
	c.Alarms = []api.AlarmRef{{ID: cmd.Condition, Occurrence: cmd.Occurrence}}
	c.Comment, c.ForS = cmd.Comment, int64(cmd.For/time.Second)
	who, err := u.uaActor(user)
	if err != nil {
		return "", err
	}
	done, err := u.alarmCommand(ctx, who, c)
	if err != nil {
		return "", uaProblem(err)
	}
	if len(done) != 1 {
		return "", fmt.Errorf("%d answers to one command on an alarm", len(done))
	}
	return alarms.Result(done[0].Result), nil
}

// tellUA brings alarm events to OPC UA clients once they are in the journal, in the order they were written.
func (s *Server) tellUA(ua *uaserver.Server) func(context.Context) error {
	return func(ctx context.Context) error {
		wake, stop := s.entryFeed.Watch()
		defer stop()
		var batch []web.FeedEntry[api.JournalEntry]
		seq := s.entryFeed.Seq()
		for {
			var whole bool
			if batch, whole = s.entryFeed.Since(batch[:0], seq, uaEventBatch); !whole {
				seq = s.entryFeed.Seq() // the events between are in the journal; clients refresh
				ua.EventsLost()
				s.log.Warn("OPC UA clients missed alarm events: too many at once")
				continue
			}
			if len(batch) > 0 {
				seq = batch[len(batch)-1].Seq
				ua.Notify(uaAlarms{s}.lookUp(batch)...)
				continue
			}
			select {
			case <-ctx.Done():
				return nil
			case <-wake:
			}
		}
	}
}

// lookUp finds the alarm events of journal entries.
func (u uaAlarms) lookUp(batch []web.FeedEntry[api.JournalEntry]) []uaserver.AlarmEvent {
	batch = slices.DeleteFunc(batch, func(e web.FeedEntry[api.JournalEntry]) bool { return e.Item.Kind != string(journal.ClassAlarm) })
	if len(batch) == 0 {
		return nil
	}
	first, last := batch[0].Item.Time, batch[0].Item.Time
	for _, e := range batch {
		if e.Item.Time.Before(first) {
			first = e.Item.Time
		}
		if e.Item.Time.After(last) {
			last = e.Item.Time
		}
	}
	byKey := map[string]uaserver.AlarmEvent{}
	if last.Sub(first) <= uaEventSpan {
		for _, ev := range u.alarmEvents(journal.Query{From: first.UnixNano(), To: last.UnixNano() + 1}) {
			byKey[ev.Key.String()] = ev
		}
	}
	var out []uaserver.AlarmEvent
	for _, e := range batch {
		ev, ok := byKey[e.Item.ID]
		if !ok { // far apart, or more in that time than one page holds
			at := e.Item.Time.UnixNano()
			for _, one := range u.alarmEvents(journal.Query{From: at, To: at + 1, Source: e.Item.Source}) {
				if one.Key.String() == e.Item.ID {
					ev, ok = one, true
				}
			}
		}
		if ok {
			out = append(out, ev)
		}
	}
	return out
}
