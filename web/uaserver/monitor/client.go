package monitor

import (
	"cmp"
	"slices"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"scada/web/uaserver/wire"
)

// Sender is a client's connection. Send must not block.
type Sender interface {
	Send(requestID uint32, body []byte) error
	// Room is the longest body the client takes.
	Room() int
}

// Client is the subscriptions' side of one session.
type Client struct {
	e       *Engine
	owner   string // subscriptions can be transferred between sessions of one owner
	subs    map[uint32]*subscription
	waiting []waiting
	notices []notice
}

// waiting is a Publish request without an answer.
type waiting struct {
	to       Sender
	request  uint32
	handle   uint32
	deadline time.Time // zero: none
	results  []ua.StatusCode
}

// notice is a change of a subscription's state its client must be told of.
type notice struct {
	sub    uint32
	status ua.StatusCode
}

// Ack acknowledges a message of a subscription.
type Ack struct{ Subscription, Sequence uint32 }

// tail appends the results of the acknowledgements, the end of every answer to Publish.
func (w waiting) tail(b []byte) []byte {
	b = wire.Uint32(b, uint32(len(w.results)))
	for _, r := range w.results {
		b = wire.Uint32(b, uint32(r))
	}
	return wire.Null(b)
}

// fail answers a Publish request with a fault.
func (w waiting) fail(status ua.StatusCode, now time.Time) {
	// An error here is a connection that has ended, and its requests with it.
	_ = w.to.Send(w.request, wire.ResponseHeader(nil, id.ServiceFault_Encoding_DefaultBinary, w.handle, status, now.UnixNano()))
}

// NewClient returns the client of a new session.
func (e *Engine) NewClient() *Client { return &Client{e: e, subs: map[uint32]*subscription{}} }

// SetOwner says for whom the session acts.
func (c *Client) SetOwner(owner string) {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	c.owner = owner
	for _, s := range c.subs {
		s.owner = owner
	}
}

// Close ends the client. Its subscriptions are deleted, or left for another session to take over.
func (c *Client) Close(deleteSubscriptions bool, status ua.StatusCode) {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	for _, s := range c.subs {
		if deleteSubscriptions {
			c.e.drop(s)
		} else {
			s.client = nil
		}
	}
	clear(c.subs)
	c.answerAll(status)
}

func (c *Client) answerAll(status ua.StatusCode) {
	now := time.Now()
	for _, w := range c.waiting {
		w.fail(status, now)
	}
	c.waiting = nil
}

// Forget drops the Publish requests that came over a connection that has ended.
func (c *Client) Forget(to Sender) {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	c.waiting = slices.DeleteFunc(c.waiting, func(w waiting) bool { return w.to == to })
}

// Cancel answers the Publish requests with the given handle, and returns how many there were.
func (c *Client) Cancel(handle uint32) int {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	n, now := len(c.waiting), time.Now()
	c.waiting = slices.DeleteFunc(c.waiting, func(w waiting) bool {
		if w.handle == handle {
			w.fail(ua.StatusBadRequestCancelledByRequest, now)
		}
		return w.handle == handle
	})
	return n - len(c.waiting)
}

// Publish queues a Publish request; it is answered when there is something to tell. A status other than good is the
// answer.
func (c *Client) Publish(to Sender, request, handle uint32, timeout time.Duration, acks []Ack) ua.StatusCode {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	now := time.Now()
	if len(c.subs) == 0 && len(c.notices) == 0 {
		return ua.StatusBadNoSubscription
	}
	w := waiting{to: to, request: request, handle: handle, results: make([]ua.StatusCode, len(acks))}
	if timeout > 0 {
		w.deadline = now.Add(timeout)
	}
	for i, a := range acks {
		w.results[i] = ua.StatusBadSubscriptionIDInvalid
		if s := c.subs[a.Subscription]; s != nil {
			w.results[i] = s.acknowledge(a.Sequence)
		}
	}
	c.dropExpired(now)
	if len(c.waiting) >= c.e.limits.Publish {
		c.waiting[0].fail(ua.StatusBadTooManyPublishRequests, now)
		c.waiting = c.waiting[1:]
	}
	c.waiting = append(c.waiting, w)
	c.serve(now)
	return ua.StatusOK
}

// dropExpired answers requests the client no longer waits for.
func (c *Client) dropExpired(now time.Time) {
	c.waiting = slices.DeleteFunc(c.waiting, func(w waiting) bool {
		late := !w.deadline.IsZero() && now.After(w.deadline)
		if late {
			w.fail(ua.StatusBadTimeout, now)
		}
		return late
	})
}

// serve uses waiting requests for what could not be told before, the most important first.
func (c *Client) serve(now time.Time) {
	for len(c.notices) > 0 && len(c.waiting) > 0 {
		n, w := c.notices[0], c.waiting[0]
		c.notices, c.waiting = c.notices[1:], c.waiting[1:]
		_ = w.to.Send(w.request, statusChange(n, w, now)) // an error is a connection that has ended
	}
	var late []*subscription
	for _, s := range c.subs {
		if s.late {
			late = append(late, s)
		}
	}
	slices.SortFunc(late, func(a, b *subscription) int {
		return cmp.Or(cmp.Compare(b.params.Priority, a.params.Priority), cmp.Compare(a.due, b.due), cmp.Compare(a.id, b.id))
	})
	for _, s := range late {
		c.e.deliver(s, now)
	}
	if len(c.subs) == 0 {
		c.answerAll(ua.StatusBadNoSubscription)
	}
}

// statusChange answers a Publish request with a StatusChangeNotification.
func statusChange(n notice, w waiting, now time.Time) []byte {
	b := wire.ResponseHeader(nil, id.PublishResponse_Encoding_DefaultBinary, w.handle, ua.StatusOK, now.UnixNano())
	b = wire.Uint32(b, n.sub)
	b = append(wire.Null(b), 0) // nothing to republish, nothing more
	b = wire.Time(wire.Uint32(b, 1), now.UnixNano())
	b = wire.TypeID(wire.Uint32(b, 1), id.StatusChangeNotification_Encoding_DefaultBinary)
	b = wire.Uint32(append(b, ua.ExtensionObjectBinary), 5)
	b = append(wire.Uint32(b, uint32(n.status)), 0) // no diagnostics
	return w.tail(b)
}

// Republish returns a notification message the client has not got.
func (c *Client) Republish(sub, seq uint32) ([]byte, ua.StatusCode) {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	s := c.subs[sub]
	if s == nil {
		return nil, ua.StatusBadSubscriptionIDInvalid
	}
	s.idle = 0
	s.tally.republishRequests++
	for _, m := range s.sent {
		if m.seq == seq {
			s.tally.republished++
			return m.body, ua.StatusOK
		}
	}
	return nil, ua.StatusBadMessageNotAvailable
}
