package uaserver

import (
	"context"
	"sync"

	"scada/alarms"
	"scada/web/uaserver/space"
)

const (
	maxEventsWaiting = 20_000 // events between the alarm engine and the subscriptions
	keysPerCondition = 16     // events of one condition a client may still refer to
)

// Alarms is the alarm engine behind the events. Its methods are called from many goroutines at once.
type Alarms interface {
	// Conditions returns the present state of all conditions. Which there are changes with [Server.Revise] only.
	Conditions() []alarms.Condition
	// LastEvent returns the last recorded event of a condition, if there is one.
	LastEvent(ctx context.Context, condition string) (alarms.Event, bool)
	// Command does what a user asks for, on the active node if this is not it. Only users who may operate alarms get
	// here.
	Command(ctx context.Context, user User, cmd alarms.Command) (alarms.Result, error)
}

// AlarmEvent is an event of the alarm engine with its message.
type AlarmEvent struct {
	alarms.Event
	Message string
}

// alarmDesk stands between the alarm engine and the subscriptions.
type alarmDesk struct {
	mu      sync.Mutex
	known   map[string]*knownCondition
	waiting []AlarmEvent
	lost    bool // events were left out since the last one told
	wake    chan struct{}
}

// knownCondition is what is remembered of a condition; the first two fields never change.
type knownCondition struct {
	static alarms.Condition
	typ    uint32
	keys   []knownKey // the newest last
	last   alarms.Event
	seen   bool // last is set
}

type knownKey struct {
	key        alarms.Key
	occurrence uint64
}

func newAlarmDesk() *alarmDesk { return &alarmDesk{wake: make(chan struct{}, 1)} }

// revise takes the conditions of another revision; of those there were before, what is known stays known.
func (d *alarmDesk) revise(all []alarms.Condition) {
	d.mu.Lock()
	defer d.mu.Unlock()
	known := make(map[string]*knownCondition, len(all))
	for _, c := range all {
		k := &knownCondition{static: c, typ: conditionType(&c)}
		if old := d.known[c.ID]; old != nil {
			k.keys, k.last, k.seen = old.keys, old.last, old.seen
		}
		known[c.ID] = k
	}
	d.known = known
}

// condition returns what is known of a condition, or nil.
func (d *alarmDesk) condition(id string) *knownCondition {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.known[id]
}

// spaceConditions lists them for the address space.
func spaceConditions(all []alarms.Condition) []space.Condition {
	out := make([]space.Condition, len(all))
	for i := range all {
		out[i] = space.Condition{ID: all[i].ID, Tag: all[i].Tag, Type: conditionType(&all[i])}
	}
	return out
}

// Notify tells the subscribed clients of events, in the order given. It does not wait for anybody.
func (s *Server) Notify(events ...AlarmEvent) {
	d := s.alarms
	if len(events) == 0 {
		return
	}
	d.mu.Lock()
	for _, ev := range events {
		if k := d.known[ev.Condition]; k != nil {
			k.note(&ev.Event)
		}
	}
	if room := maxEventsWaiting - len(d.waiting); len(events) > room {
		events, d.lost = events[:room], true
	}
	d.waiting = append(d.waiting, events...)
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// EventsLost says that events happened that [Server.Notify] was not told of: clients are asked to refresh.
func (s *Server) EventsLost() {
	s.alarms.mu.Lock()
	s.alarms.lost = true
	s.alarms.mu.Unlock()
	select {
	case s.alarms.wake <- struct{}{}:
	default:
	}
}

// note remembers an event as the last of its condition. The desk's lock is held.
func (k *knownCondition) note(ev *alarms.Event) {
	k.last, k.seen = *ev, true
	if len(k.keys) == keysPerCondition {
		k.keys = append(k.keys[:0], k.keys[1:]...)
	}
	k.keys = append(k.keys, knownKey{ev.Key, ev.Occurrence})
}

// tellEvents hands events to the subscriptions until ctx ends.
func (s *Server) tellEvents(ctx context.Context) {
	d := s.alarms
	for {
		d.mu.Lock()
		batch, lost := d.waiting, d.lost
		d.waiting, d.lost = nil, false
		d.mu.Unlock()
		for i := range batch {
			if k := d.condition(batch[i].Condition); k != nil {
				s.engine.Notify(s.eventOf(k, occurred(&batch[i])))
			}
		}
		if lost {
			s.engine.Notify(s.refreshEvent(refreshRequired))
		}
		select {
		case <-ctx.Done():
			return
		case <-d.wake:
		}
	}
}

// occurrenceOf returns the occurrence an event of a condition belongs to.
func (s *Server) occurrenceOf(ctx context.Context, condition string, eventID []byte) (uint64, bool) {
	k := s.alarms.condition(condition)
	if k == nil {
		return 0, false
	}
	if n, ok := s.alarms.find(k, eventID); ok {
		return n, true
	}
	s.remember(ctx, k, nil) // a client may have it from before the start, or from the other node
	return s.alarms.find(k, eventID)
}

func (d *alarmDesk) find(k *knownCondition, eventID []byte) (uint64, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range k.keys {
		if string(e.key[:]) == string(eventID) {
			return e.occurrence, true
		}
	}
	return 0, false
}

// remember returns the last event of a condition. If none was told since the start, the engine's record is asked; if it
// has none either, one is made up of the present state c, so that a client has something to refer to.
func (s *Server) remember(ctx context.Context, k *knownCondition, c *alarms.Condition) alarms.Event {
	s.alarms.mu.Lock()
	last, seen := k.last, k.seen
	s.alarms.mu.Unlock()
	if seen {
		return last
	}
	last, found := s.cfg.Alarms.LastEvent(ctx, k.static.ID)
	if !found && c == nil {
		return last
	}
	if !found {
		last = alarms.Event{Condition: c.ID, Term: c.Term, Occurrence: c.Occurrence, Level: c.Level, Time: c.ChangedAt}
		last.Key = alarms.KeyOf(&last)
	}
	s.alarms.mu.Lock()
	defer s.alarms.mu.Unlock()
	if !k.seen {
		k.note(&last)
	}
	return k.last
}
