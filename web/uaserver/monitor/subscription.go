package monitor

import (
	"slices"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"scada/web/uaserver/wire"
)

// Params are the requested parameters of a subscription, and the granted ones in return.
type Params struct {
	Interval   float64 // ms between messages
	Lifetime   uint32  // intervals without a Publish request after which the subscription ends
	KeepAlive  uint32  // intervals without anything to tell after which an empty message is sent
	PerMessage uint32  // most values in one message, 0 is no wish
	Enabled    bool
	Priority   byte
}

// revise brings the parameters within the limits.
func (l Limits) revise(p Params) Params {
	p.Interval = clamp(p.Interval, l.MinPublishing, maxPublishing)
	p.KeepAlive = min(max(p.KeepAlive, 1), maxKeepAlive)
	p.Lifetime = min(max(p.Lifetime, lifetimeRatio*p.KeepAlive), maxLifetime)
	return p
}

// clamp brings a duration in ms within limits; what is not a number becomes the shortest.
func clamp(ms float64, lo, hi time.Duration) float64 {
	low, high := lo.Seconds()*1000, hi.Seconds()*1000
	if !(ms > low) {
		return low
	}
	return min(ms, high)
}

func nanoseconds(ms float64) int64 { return int64(ms * 1e6) }

// subscription is guarded by the engine's lock.
type subscription struct {
	id       uint32
	client   *Client // nil: its session ended; it may be transferred until its lifetime passes
	owner    string
	params   Params
	interval int64 // ns
	due      int64 // next publishing
	idle     uint32
	silent   uint32
	greeted  bool // a first message was sent
	late     bool // there was something to send but no Publish request
	seq      uint32
	items    map[uint32]*item
	nextItem uint32
	ready    []*item
	sent     []message
	sentSize int
	tally    tally
}

// message is a notification message kept for Republish.
type message struct {
	seq  uint32
	body []byte
}

func (s *subscription) publishes() bool { return s.params.Enabled && s.client != nil }

// wants reports whether there are values to send.
func (s *subscription) wants() bool { return s.params.Enabled && len(s.ready) > 0 }

// cycle is one publishing interval.
func (e *Engine) cycle(s *subscription, at int64, now time.Time) {
	if s.due += s.interval; s.due <= at {
		s.due = at + s.interval - (at-s.due)%s.interval // intervals missed are not made up for
	}
	if s.client != nil {
		s.client.dropExpired(now)
	}
	if s.client != nil && len(s.client.waiting) > 0 {
		s.idle = 0
	} else if s.idle++; s.idle > s.params.Lifetime {
		e.expire(s)
		return
	}
	if s.silent++; s.wants() || s.silent >= s.params.KeepAlive || !s.greeted {
		s.late = true
		e.deliver(s, now)
		if s.late && s.wants() {
			s.tally.late++
		}
	}
}

// expire ends a subscription whose client has stopped asking.
func (e *Engine) expire(s *subscription) {
	if c := s.client; c != nil {
		c.notices = append(c.notices, notice{s.id, ua.StatusBadTimeout})
	}
	e.drop(s)
}

// drop removes a subscription and its items.
func (e *Engine) drop(s *subscription) {
	for _, it := range s.items {
		it.listed = false
		e.detach(it)
	}
	s.ready, s.sent = nil, nil
	delete(e.subs, s.id)
	e.subscriptions.Add(-1)
	e.pace(s.interval, -1)
	if s.client != nil {
		delete(s.client.subs, s.id)
	}
}

// deliver sends what a late subscription has to tell, as far as there are Publish requests for it.
func (e *Engine) deliver(s *subscription, now time.Time) {
	c := s.client
	for s.late && c != nil && len(c.waiting) > 0 {
		w := c.waiting[0]
		c.waiting = c.waiting[1:]
		s.silent, s.idle, s.greeted = 0, 0, true
		e.send(s, w, now)
		s.late = s.wants()
	}
}

// send answers one Publish request with the values that are ready, or with a keep-alive.
func (e *Engine) send(s *subscription, w waiting, now time.Time) {
	next := s.seq + 1
	if next == 0 {
		next = 1
	}
	room := min(maxMessageBytes, w.to.Room()/2)
	var found notifications
	if s.wants() {
		found = s.values(room, now.UnixNano())
	}
	count := found.values + found.events
	s.tally.publishes++
	s.tally.values += uint32(found.values)
	s.tally.events += uint32(found.events)
	sequence := s.available()
	if count > 0 {
		sequence = append(sequence, next)
	}
	b := make([]byte, 0, len(found.data)+len(found.fields)+256+4*len(sequence)+4*len(w.results))
	b = wire.ResponseHeader(b, id.PublishResponse_Encoding_DefaultBinary, w.handle, ua.StatusOK, now.UnixNano())
	b = wire.Uint32(b, s.id)
	b = wire.Uint32(b, uint32(len(sequence)))
	for _, n := range sequence {
		b = wire.Uint32(b, n)
	}
	b = append(b, boolean(s.wants()))
	start := len(b)
	b = wire.Time(wire.Uint32(b, next), now.UnixNano())
	if count > 0 {
		b = found.append(b)
		s.seq = next
	} else {
		b = wire.Uint32(b, 0)
	}
	end := len(b)
	b = w.tail(b)
	if count > 0 {
		e.keep(s, message{next, b[start:end:end]})
	}
	// An error here is a connection that has ended: the message stays for Republish.
	_ = w.to.Send(w.request, b)
}

func boolean(v bool) byte {
	if v {
		return 1
	}
	return 0
}

// notifications are the values and events of one message.
type notifications struct {
	data, fields   []byte
	values, events int
}

// values takes what is queued in the ready items, as far as it fits into one message.
func (s *subscription) values(room int, now int64) notifications {
	most := maxPerMessage
	if s.params.PerMessage > 0 {
		most = min(most, int(s.params.PerMessage))
	}
	n, done := notifications{data: make([]byte, 0, min(40*len(s.ready), room))}, 0
	for _, it := range s.ready {
		for it.queue.n > 0 && n.values+n.events < most && (len(n.data)+len(n.fields) < room || n.values+n.events == 0) {
			n.take(it, now)
		}
		if it.queue.n > 0 {
			break
		}
		it.listed = false
		done++
	}
	if s.ready = s.ready[:copy(s.ready, s.ready[done:])]; len(s.ready) == 0 && cap(s.ready) > 4*n.values {
		s.ready = nil
	}
	return n
}

// take moves the oldest of an item's queue into the message.
func (n *notifications) take(it *item, now int64) {
	v := it.queue.at(0)
	if it.spec.Event != nil {
		n.fields = append(wire.Uint32(n.fields, it.spec.ClientHandle), v.Raw...)
		n.events++
		it.forget()
		return
	}
	n.data = wire.DataValue(wire.Uint32(n.data, it.spec.ClientHandle), *v, it.stamps, now)
	n.values++
	it.queue.pop()
}

// append writes the array of notifications: one of values, one of events, or both.
func (n *notifications) append(b []byte) []byte {
	lists := min(n.values, 1) + min(n.events, 1)
	b = wire.Uint32(b, uint32(lists))
	if n.values > 0 {
		b = append(wire.TypeID(b, id.DataChangeNotification_Encoding_DefaultBinary), ua.ExtensionObjectBinary)
		b = wire.Uint32(b, uint32(len(n.data)+8))
		b = append(wire.Uint32(b, uint32(n.values)), n.data...)
		b = wire.Null(b) // no diagnostics
	}
	if n.events > 0 {
		b = append(wire.TypeID(b, id.EventNotificationList_Encoding_DefaultBinary), ua.ExtensionObjectBinary)
		b = wire.Uint32(b, uint32(len(n.fields)+4))
		b = append(wire.Uint32(b, uint32(n.events)), n.fields...)
	}
	return b
}

// available returns the numbers of the messages kept for Republish.
func (s *subscription) available() []uint32 {
	seqs := make([]uint32, len(s.sent), len(s.sent)+1)
	for i, m := range s.sent {
		seqs[i] = m.seq
	}
	return seqs
}

// keep holds a message for Republish; the oldest go.
func (e *Engine) keep(s *subscription, m message) {
	s.sent = append(s.sent, m)
	s.sentSize += len(m.body)
	for len(s.sent) > e.limits.Retransmission || (s.sentSize > maxSentBytes && len(s.sent) > 1) {
		s.sentSize -= len(s.sent[0].body)
		s.sent = slices.Delete(s.sent, 0, 1)
		s.tally.discarded++
	}
}

// acknowledge forgets a message the client has.
func (s *subscription) acknowledge(seq uint32) ua.StatusCode {
	i := slices.IndexFunc(s.sent, func(m message) bool { return m.seq == seq })
	if i < 0 {
		return ua.StatusBadSequenceNumberUnknown
	}
	s.sentSize -= len(s.sent[i].body)
	s.sent = slices.Delete(s.sent, i, i+1)
	return ua.StatusOK
}
