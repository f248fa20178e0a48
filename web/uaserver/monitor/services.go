package monitor

import (
	"slices"
	"time"

	"github.com/gopcua/opcua/ua"

	"scada/web/uaserver/wire"
)

// Create makes a subscription and returns its id and granted parameters.
func (c *Client) Create(p Params) (uint32, Params, ua.StatusCode) {
	e := c.e
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(c.subs) >= e.limits.Subscriptions || len(e.subs) >= e.limits.SubscriptionsPerServer {
		return 0, p, ua.StatusBadTooManySubscriptions
	}
	p = e.limits.revise(p)
	for e.nextSub++; e.nextSub == 0 || e.subs[e.nextSub] != nil; e.nextSub++ {
	}
	s := &subscription{id: e.nextSub, client: c, owner: c.owner, params: p, interval: nanoseconds(p.Interval), items: map[uint32]*item{}}
	s.due = e.now() + s.interval
	e.subs[s.id], c.subs[s.id] = s, s
	e.subscriptions.Add(1)
	e.cumulated.Add(1)
	e.pace(s.interval, 1)
	e.nudge()
	return s.id, p, ua.StatusOK
}

func (e *Engine) now() int64 { return int64(time.Since(e.start)) }

// Modify changes the parameters of a subscription, but for Enabled.
func (c *Client) Modify(sub uint32, p Params) (Params, ua.StatusCode) {
	e := c.e
	e.mu.Lock()
	defer e.mu.Unlock()
	s := c.subs[sub]
	if s == nil {
		return p, ua.StatusBadSubscriptionIDInvalid
	}
	p.Enabled = s.params.Enabled
	s.params = e.limits.revise(p)
	s.tally.modified++
	e.pace(s.interval, -1)
	s.interval = nanoseconds(s.params.Interval)
	e.pace(s.interval, 1)
	s.due = min(s.due, e.now()+s.interval)
	s.idle = 0
	e.nudge()
	return s.params, ua.StatusOK
}

// SetPublishing switches the sending of values of a subscription.
func (c *Client) SetPublishing(sub uint32, enabled bool) ua.StatusCode {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	s := c.subs[sub]
	if s == nil {
		return ua.StatusBadSubscriptionIDInvalid
	}
	if s.params.Enabled, s.idle = enabled, 0; enabled {
		s.tally.enabled++
	} else {
		s.tally.disabled++
	}
	return ua.StatusOK
}

// Delete ends a subscription.
func (c *Client) Delete(sub uint32) ua.StatusCode {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	s := c.subs[sub]
	if s == nil {
		return ua.StatusBadSubscriptionIDInvalid
	}
	c.e.drop(s)
	if len(c.subs) == 0 && len(c.notices) == 0 {
		c.answerAll(ua.StatusBadNoSubscription)
	}
	return ua.StatusOK
}

// Transfer takes a subscription over from another session of the same owner, or from one that has ended. It returns
// the numbers of the messages that can be republished.
func (c *Client) Transfer(sub uint32, sendValues bool) ([]uint32, ua.StatusCode) {
	e := c.e
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.subs[sub]
	if s != nil {
		s.tally.transferRequests++
	}
	switch {
	case s == nil:
		return nil, ua.StatusBadSubscriptionIDInvalid
	case s.owner != c.owner:
		return nil, ua.StatusBadUserAccessDenied
	case s.client != c && len(c.subs) >= e.limits.Subscriptions:
		return nil, ua.StatusBadTooManySubscriptions
	}
	if s.client != c {
		s.tally.transferred++
	}
	if old := s.client; old != nil && old != c {
		delete(old.subs, sub)
		old.notices = append(old.notices, notice{sub, ua.StatusGoodSubscriptionTransferred})
		old.serve(time.Now())
	}
	s.client, s.idle, c.subs[sub] = c, 0, s
	if sendValues {
		e.resend(s)
	}
	return s.available(), ua.StatusOK
}

// Resend queues the present value of every reporting item of a subscription.
func (c *Client) Resend(sub uint32) ua.StatusCode {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	s := c.subs[sub]
	if s == nil {
		return ua.StatusBadSubscriptionIDInvalid
	}
	c.e.resend(s)
	return ua.StatusOK
}

func (e *Engine) resend(s *subscription) {
	for _, it := range s.items {
		if it.spec.Mode == ua.MonitoringModeReporting && it.queue.n == 0 && it.seen {
			it.push(it.last)
		}
	}
}

// Items returns the ids and client handles of a subscription's items.
func (c *Client) Items(sub uint32) (ids, handles []uint32, status ua.StatusCode) {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	s := c.subs[sub]
	if s == nil {
		return nil, nil, ua.StatusBadSubscriptionIDInvalid
	}
	for n := range s.items {
		ids = append(ids, n)
	}
	slices.Sort(ids)
	for _, n := range ids {
		handles = append(handles, s.items[n].spec.ClientHandle)
	}
	return ids, handles, ua.StatusOK
}

// CreateItem adds an item to a subscription; its first value is queued at once.
func (c *Client) CreateItem(sub uint32, spec Spec, stamps ua.TimestampsToReturn) ItemResult {
	e := c.e
	e.mu.Lock()
	defer e.mu.Unlock()
	s := c.subs[sub]
	switch {
	case s == nil:
		return ItemResult{Status: ua.StatusBadSubscriptionIDInvalid}
	case e.items >= e.limits.Items || len(s.items) >= e.limits.ItemsPerSubscription:
		return ItemResult{Status: ua.StatusBadTooManyMonitoredItems}
	case spec.Event != nil && len(e.events) >= maxEventItems:
		return ItemResult{Status: ua.StatusBadTooManyMonitoredItems}
	}
	for s.nextItem++; s.nextItem == 0 || s.items[s.nextItem] != nil; s.nextItem++ {
	}
	it := &item{id: s.nextItem, sub: s, stamps: stamps}
	e.configure(it, spec)
	s.items[it.id] = it
	e.attach(it)
	e.first(it)
	return ItemResult{ID: it.id, Sampling: float64(it.sampling) / 1e6, Queue: uint32(it.size)}
}

// configure sets what can be changed later, too.
func (e *Engine) configure(it *item, spec Spec) {
	it.spec = spec
	sampling := spec.Sampling
	if sampling < 0 {
		sampling = it.sub.params.Interval
	}
	switch {
	case spec.Event != nil:
		sampling = 0 // events are not sampled
		if spec.Queue <= 1 {
			spec.Queue = uint32(e.limits.Queue) // OPC 10000-4, 7.21: the server's choice
		}
	case spec.Poll != nil:
		sampling = clamp(sampling, minPolling, maxSampling)
	case sampling != 0:
		sampling = clamp(sampling, e.limits.MinSampling, maxSampling)
	}
	it.sampling = nanoseconds(sampling)
	it.resize(min(max(int(spec.Queue), 1), e.limits.Queue))
	it.weigh()
}

// attach puts an item where changes find it.
func (e *Engine) attach(it *item) {
	e.items++
	switch {
	case it.spec.Event != nil:
		e.events = append(e.events, it)
	case it.spec.Poll != nil:
		e.polled = append(e.polled, it)
		e.polling++
	default:
		if e.items == e.polling+len(e.events)+1 {
			e.cursor = e.table.Seq() // nobody followed the table so far
		}
		e.place(it)
	}
	e.nudge()
}

// want counts the items that want every change of their tag.
func (e *Engine) want(it *item, n int) {
	if eager(it) == 0 {
		return
	}
	id := it.spec.Tag
	if e.eager[id] += n; e.eager[id] == 0 {
		delete(e.eager, id)
	}
	e.tail.Follow(id, e.eager[id] > 0)
}

// begin gives an item that wants every change the present value; those after it come by themselves.
func (e *Engine) begin(it *item) {
	c := e.table.Latest(it.spec.Tag)
	it.from = c.Seq
	it.accept(wire.Value{Sample: c.Sample})
}

func eager(it *item) int {
	if it.spec.Poll == nil && it.spec.Event == nil && it.sampling == 0 && !it.gone {
		return 1
	}
	return 0
}

// detach removes an item from everywhere but the list of held items, which is cleaned when its time comes.
func (e *Engine) detach(it *item) {
	is := func(other *item) bool { return other == it }
	if it.spec.Event != nil {
		e.events = slices.DeleteFunc(e.events, is)
	} else {
		e.displace(it)
	}
	it.dead, it.queue, it.links = true, ring{}, nil
	delete(it.sub.items, it.id)
	if it.listed {
		it.sub.ready = slices.DeleteFunc(it.sub.ready, is)
	}
	e.items--
}

// first queues the present value.
func (e *Engine) first(it *item) {
	if it.spec.Mode == ua.MonitoringModeDisabled || it.spec.Event != nil {
		return
	}
	at, now := e.now(), time.Now()
	it.next = at + it.sampling
	switch {
	case it.gone:
		it.accept(nodeGone(now))
		return
	case it.spec.Poll == nil:
		e.begin(it)
		return
	}
	it.take(now)
	e.pollDue = min(e.pollDue, it.next)
}
