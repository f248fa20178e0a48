package monitor

import (
	"slices"

	"github.com/gopcua/opcua/ua"

	"scada/acquisition/tag"
)

// lookup returns an item of a subscription of the client. The engine's lock is held.
func (c *Client) lookup(sub, id uint32) (*item, ua.StatusCode) {
	s := c.subs[sub]
	if s == nil {
		return nil, ua.StatusBadSubscriptionIDInvalid
	}
	if it := s.items[id]; it != nil {
		return it, ua.StatusOK
	}
	return nil, ua.StatusBadMonitoredItemIDInvalid
}

// Has reports whether the client has a subscription.
func (c *Client) Has(sub uint32) bool {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	s := c.subs[sub]
	if s != nil {
		s.idle = 0
	}
	return s != nil
}

// ItemTag returns the tag an item watches, if it watches one.
func (c *Client) ItemTag(sub, id uint32) (tag.ID, bool, ua.StatusCode) {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	it, status := c.lookup(sub, id)
	switch {
	case it == nil:
		return 0, false, status
	case it.gone:
		return 0, false, ua.StatusBadNodeIDUnknown
	}
	return it.spec.Tag, it.spec.Poll == nil && it.spec.Event == nil, ua.StatusOK
}

// EventPlace returns what the events of an item are of, if it is one for events.
func (c *Client) EventPlace(sub, id uint32) (any, bool) {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	it, _ := c.lookup(sub, id)
	if it == nil || it.spec.Event == nil {
		return nil, false
	}
	return it.spec.Place, true
}

// ModifyItem changes an item; of spec, what it watches and its mode do not count.
func (c *Client) ModifyItem(sub, id uint32, spec Spec, stamps ua.TimestampsToReturn) ItemResult {
	e := c.e
	e.mu.Lock()
	defer e.mu.Unlock()
	it, status := c.lookup(sub, id)
	if it == nil {
		return ItemResult{Status: status}
	}
	wanted := eager(it) > 0
	e.want(it, -1)
	if (spec.Event != nil) != (it.spec.Event != nil) {
		e.want(it, 1)
		return ItemResult{Status: ua.StatusBadFilterNotAllowed}
	}
	spec.Tag, spec.Poll, spec.Mode, spec.Place = it.spec.Tag, it.spec.Poll, it.spec.Mode, it.spec.Place
	e.configure(it, spec)
	if e.want(it, 1); eager(it) > 0 && !wanted && it.spec.Mode != ua.MonitoringModeDisabled {
		e.begin(it)
	}
	it.stamps = stamps
	it.next = min(it.next, e.now()+it.sampling)
	if spec.Poll != nil {
		e.pollDue = min(e.pollDue, it.next)
	}
	e.nudge()
	return ItemResult{ID: id, Sampling: float64(it.sampling) / 1e6, Queue: uint32(it.size)}
}

// SetMode changes the monitoring mode of an item. One that is enabled again starts with the present value.
func (c *Client) SetMode(sub, id uint32, mode ua.MonitoringMode) ua.StatusCode {
	e := c.e
	e.mu.Lock()
	defer e.mu.Unlock()
	it, status := c.lookup(sub, id)
	if it == nil {
		return status
	}
	old := it.spec.Mode
	it.spec.Mode = mode
	switch {
	case mode == ua.MonitoringModeDisabled:
		it.queue, it.seen, it.bytes, it.lost = ring{}, false, 0, false
		fallthrough
	case mode == ua.MonitoringModeSampling:
		if it.listed {
			it.listed = false
			it.sub.ready = slices.DeleteFunc(it.sub.ready, func(o *item) bool { return o == it })
		}
		if old == ua.MonitoringModeDisabled && mode == ua.MonitoringModeSampling {
			e.first(it)
		}
	case old == ua.MonitoringModeDisabled:
		e.first(it)
		e.nudge()
	case it.queue.n > 0:
		it.list()
	}
	return ua.StatusOK
}

// DeleteItem removes an item.
func (c *Client) DeleteItem(sub, id uint32) ua.StatusCode {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	it, status := c.lookup(sub, id)
	if it != nil {
		c.e.detach(it)
	}
	return status
}

// Link makes a change of one item report another, which is only sampled otherwise.
func (c *Client) Link(sub, trigger, id uint32) ua.StatusCode {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	it, status := c.lookup(sub, trigger)
	linked, linkedStatus := c.lookup(sub, id)
	switch {
	case it == nil:
		return status
	case linked == nil:
		return linkedStatus
	}
	it.links = slices.DeleteFunc(it.links, func(o *item) bool { return o.dead || o == linked })
	if len(it.links) >= maxLinks {
		return ua.StatusBadTooManyMonitoredItems
	}
	it.links = append(it.links, linked)
	return ua.StatusOK
}

// Unlink undoes Link.
func (c *Client) Unlink(sub, trigger, id uint32) ua.StatusCode {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	it, status := c.lookup(sub, trigger)
	if it == nil {
		return status
	}
	i := slices.IndexFunc(it.links, func(o *item) bool { return o.id == id && !o.dead })
	if i < 0 {
		return ua.StatusBadMonitoredItemIDInvalid
	}
	it.links = slices.Delete(it.links, i, i+1)
	return ua.StatusOK
}
