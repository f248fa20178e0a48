package monitor

import (
	"github.com/gopcua/opcua/ua"

	"scada/acquisition/tag"
	"scada/web/uaserver/wire"
)

// Overflow is the event a queue that has lost events gets: see [Spec].
type Overflow struct{}

// Notify gives an event to all items for events whose filter it passes.
func (e *Engine) Notify(event any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, it := range e.events {
		it.notify(event)
	}
}

// Refresh gives events to the items for events of one subscription of the client, or to one of them: id 0 is all.
func (c *Client) Refresh(sub, id uint32, events []any) ua.StatusCode {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	s := c.subs[sub]
	switch {
	case s == nil:
		return ua.StatusBadSubscriptionIDInvalid
	case id != 0 && (s.items[id] == nil || s.items[id].spec.Event == nil):
		return ua.StatusBadMonitoredItemIDInvalid
	}
	for _, it := range c.e.events {
		if it.sub != s || (id != 0 && it.id != id) {
			continue
		}
		for _, ev := range events {
			it.notify(ev)
		}
	}
	return ua.StatusOK
}

// notify queues an event that passes the item's filter.
func (it *item) notify(event any) {
	if it.spec.Mode == ua.MonitoringModeDisabled {
		return
	}
	if fields := it.spec.Event(event); fields != nil {
		it.queueEvent(fields)
	}
}

// queueEvent puts an event into the queue. One that is full, in number or bytes, loses the oldest or does without the
// newest, and says so with one event at that end (OPC 10000-4, 7.21).
func (it *item) queueEvent(fields []byte) {
	full := func() bool { return it.queue.n >= it.size || (it.queue.n > 0 && it.bytes+len(fields) > maxEventBytes) }
	if full() {
		it.sub.tally.eventQueueOverflows++
	}
	switch {
	case !full():
	case !it.spec.KeepNewest:
		if !it.lost {
			it.lost = true
			it.replace(it.queue.n-1, it.spec.Event(Overflow{}))
		}
		return
	default:
		for full() {
			if it.lost && it.queue.n > 1 {
				it.dropSecond()
				continue
			}
			if it.lost || it.queue.n == 1 {
				it.forget()
				continue
			}
			it.lost = true
			it.replace(0, it.spec.Event(Overflow{}))
		}
	}
	it.bytes += len(fields)
	it.queue.put(wire.Value{Sample: tag.Sample{}, Raw: fields}, it.size)
	if it.spec.Mode == ua.MonitoringModeReporting {
		it.list()
	}
}

// replace puts other fields in the place of an event.
func (it *item) replace(i int, fields []byte) {
	v := it.queue.at(i)
	it.bytes += len(fields) - len(v.Raw)
	v.Raw = fields
}

// dropSecond removes the event behind the one that tells of the loss, which is the first.
func (it *item) dropSecond() {
	first := *it.queue.at(0)
	it.bytes -= len(it.queue.at(1).Raw)
	it.queue.pop()
	*it.queue.at(0) = first
}

// forget removes the first event.
func (it *item) forget() {
	it.bytes -= len(it.queue.at(0).Raw)
	it.queue.pop()
	if it.queue.n == 0 {
		it.lost = false
	} else if it.spec.KeepNewest {
		it.lost = false // it was the first
	}
}

// weigh counts the bytes of the queue anew, after it was cut.
func (it *item) weigh() {
	it.bytes = 0
	if it.spec.Event == nil {
		return
	}
	for i := range it.queue.n {
		it.bytes += len(it.queue.at(i).Raw)
	}
}
