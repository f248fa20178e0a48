package uaserver

import (
	"context"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"scada/web/uaserver/space"
	"scada/web/uaserver/wire"
)

const (
	maxHistoryEvents  = 1000 // events of one node in one response; the rest follows with its continuation point
	historyEventsPage = 100  // events asked of the journal at a time
)

// AlarmJournal is the record of alarm events. An [Alarms] that has one makes them readable with HistoryRead.
type AlarmJournal interface {
	// Past returns recorded events with from <= time < to, oldest first or, backwards, newest first, at most limit. When
	// there are more, it is called again with next; a page may be empty and still not be the last, whose next is "". Times
	// are UTC nanoseconds since 1970.
	Past(ctx context.Context, from, to int64, backwards bool, limit int, at string) (events []AlarmEvent, next string, err error)
}

// alarmJournal returns the record of events, or nil.
func (cfg *Config) alarmJournal() AlarmJournal {
	j, ok := cfg.Alarms.(AlarmJournal)
	if !ok || cfg.History == nil {
		return nil
	}
	return j
}

// eventRead is what is left of a read of the events of one node.
type eventRead struct {
	filter *eventFilter
	lo, hi int64 // lo <= time < hi
	back   bool
	page   int // most events in one response; 0 is no wish
	left   int // events the read ends after; 0 is no limit
	at     string
}

// startEvents checks a read of events (OPC 10000-11, 6.5.2): two of the start, the end and the number of events.
func (k *call) startEvents(v *ua.HistoryReadValueID, d *ua.ReadEventDetails, start, end int64) (*historyPoint, ua.StatusCode) {
	ref, ok := k.rev.space.Resolve(v.NodeID)
	switch {
	case !ok:
		return nil, ua.StatusBadNodeIDUnknown
	case !k.rev.space.RecordsEvents(ref):
		return nil, ua.StatusBadHistoryOperationUnsupported
	case len(v.ContinuationPoint) > 0:
		return k.resumeHistory(v.ContinuationPoint, k.eventPlace(ref))
	}
	filter, _, status := k.rev.newEventFilter(ref, d.Filter)
	if status != ua.StatusOK {
		return nil, status
	}
	n := int(min(d.NumValuesPerNode, 1<<30))
	r := &eventRead{filter: filter, page: n}
	switch {
	case start == 0 && end == 0, (start == 0 || end == 0) && n == 0:
		return nil, ua.StatusBadHistoryOperationInvalid
	case end == 0:
		r.lo, r.hi, r.left = start, lastInstant, n
	case start == 0:
		r.hi, r.back, r.left = end+1, true, n
	case start <= end:
		r.lo, r.hi = start, max(end, start+1)
	default:
		r.lo, r.hi, r.back = end+1, start+1, true
	}
	return &historyPoint{tag: k.eventPlace(ref), events: r}, ua.StatusOK
}

// eventPlace names the events of a node among the reads that can go on.
func (k *call) eventPlace(ref space.Ref) string {
	return "events of " + k.rev.space.NodeID(ref).String()
}

// eventParts checks what is asked of each node.
func (k *call) eventParts(req *ua.HistoryReadRequest, d *ua.ReadEventDetails, parts []historyPart) {
	body := k.historyDetails()
	for i, v := range req.NodesToRead {
		parts[i].point, parts[i].status = k.startEvents(v, d, ticks(body, 4), ticks(body, 12))
	}
}

// eventPage appends the next events of one node.
func (k *call) eventPage(ctx context.Context, b []byte, p *historyPoint, room *budget) []byte {
	r, journal := p.events, k.s.cfg.alarmJournal()
	limit := min(maxHistoryEvents, room.values)
	if r.page > 0 {
		limit = min(limit, r.page)
	}
	if r.left > 0 {
		limit = min(limit, r.left)
	}
	var fields []byte
	n, more := 0, true
	for more && n < limit && len(fields) < room.bytes {
		events, next, err := journal.Past(ctx, r.lo, r.hi, r.back, min(limit-n, historyEventsPage), r.at)
		if err != nil {
			return historyResult(b, k.historyFailure(err), nil, nil, 0)
		}
		for i := range events {
			if one := k.pastEvent(r.filter, &events[i]); one != nil {
				fields = append(fields, one...)
				n++
			}
		}
		r.at, more = next, next != ""
	}
	room.values, room.bytes = room.values-n, room.bytes-len(fields)
	if r.left > 0 {
		if r.left -= n; r.left <= 0 {
			more = false
		}
	}
	status := ua.StatusOK
	var point []byte
	if more {
		if point, status = k.keepHistory(p); status != ua.StatusOK {
			return historyResult(b, status, nil, nil, 0)
		}
	} else if n == 0 {
		status = ua.StatusGoodNoData
	}
	b = wire.Text(wire.Uint32(b, uint32(status)), string(point))
	b = append(wire.TypeID(b, id.HistoryEvent_Encoding_DefaultBinary), ua.ExtensionObjectBinary)
	b = wire.Uint32(b, uint32(len(fields)+4))
	return append(wire.Uint32(b, uint32(n)), fields...)
}

// pastEvent returns the fields of a recorded event, nil if it does not pass or its condition is not there any more.
func (k *call) pastEvent(f *eventFilter, ev *AlarmEvent) []byte {
	known := k.s.alarms.condition(ev.Condition)
	if known == nil {
		return nil
	}
	return f.fieldsOf(k.s.eventOf(known, occurred(ev)))
}

// eventHistoryValues say what can be done with past events.
func (s *Server) eventHistoryValues() map[uint32]func() any {
	has := s.cfg.alarmJournal() != nil
	most := uint32(0)
	if has {
		most = maxHistoryEvents
	}
	return map[uint32]func() any{
		id.HistoryServerCapabilities_AccessHistoryEventsCapability: func() any { return has },
		id.HistoryServerCapabilities_MaxReturnEventValues:          func() any { return most },
	}
}
