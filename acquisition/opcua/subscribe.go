package opcua

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gopcua/opcua/ua"

	"scada/acquisition"
)

// subscription is one the server keeps for a group.
type subscription struct {
	id    uint32
	items []int
	next  uint32 // the number its next message should have; 0 is not known
	heard time.Time
	alive bool // it has spoken in this session
	taken bool // it is one of a session before
}

// errSilent is a subscription that says nothing although the connection is there.
var errSilent = errors.New("a subscription is silent")

// subscribe has the server report changes until something fails. There are servers that take a session back and say
// nothing more on its subscriptions: these are made anew, while what they stood for is read.
func (s *Source) subscribe(ctx context.Context, c *channel) error {
	err := s.follow(ctx, c)
	if (errors.Is(err, errSilent) || errors.Is(err, ua.StatusBadNoSubscription)) && c.forsaken() {
		s.log.Info("device has forgotten the subscriptions; they are made anew", "reason", err)
		c.subs = nil
		err = s.follow(ctx, c)
	}
	return err
}

// forsaken reports whether a subscription of a session that was taken up has not spoken since.
func (c *channel) forsaken() bool {
	for _, sub := range c.subs {
		if sub.taken && !sub.alive {
			return true
		}
	}
	return false
}

// follow makes a subscription for each group, if the session did not bring them, and takes their messages.
func (s *Source) follow(ctx context.Context, c *channel) error {
	if c.subs == nil {
		subs := map[uint32]*subscription{}
		for _, g := range s.groups() {
			sub, err := s.create(ctx, c, g)
			if err != nil {
				return fmt.Errorf("subscribing: %w", err)
			}
			subs[sub.id] = sub
		}
		c.subs = subs
	}
	if len(c.subs) == 0 {
		<-ctx.Done()
		return ctx.Err()
	}
	var acks []*ua.SubscriptionAcknowledgement
	for {
		res, err := callWithin[*ua.PublishResponse](ctx, c, &ua.PublishRequest{SubscriptionAcknowledgements: acks}, silenceLimit)
		if errors.Is(err, ua.StatusBadTimeout) {
			return fmt.Errorf("%w: no message within %s", errSilent, silenceLimit)
		}
		if err != nil {
			return fmt.Errorf("waiting for values: %w", err)
		}
		acks = acks[:0:0]
		now := time.Now()
		if sub := c.subs[res.SubscriptionID]; sub != nil && res.NotificationMessage != nil {
			sub.heard = now
			if err := s.message(sub, res.NotificationMessage); err != nil {
				return err
			}
			if len(res.NotificationMessage.NotificationData) > 0 {
				acks = append(acks, &ua.SubscriptionAcknowledgement{SubscriptionID: sub.id, SequenceNumber: res.NotificationMessage.SequenceNumber})
			}
		}
		for _, sub := range c.subs {
			if now.Sub(sub.heard) > silenceLimit {
				return fmt.Errorf("%w: %d says nothing for %s", errSilent, sub.id, silenceLimit)
			}
		}
	}
}

func (s *Source) create(ctx context.Context, c *channel, g group) (*subscription, error) {
	publishing := min(g.period, maxPublishing)
	alive := uint32(max(maxPublishing/publishing, 1))
	made, err := call[*ua.CreateSubscriptionResponse](ctx, c, &ua.CreateSubscriptionRequest{
		RequestedPublishingInterval: float64(publishing.Milliseconds()), RequestedMaxKeepAliveCount: alive,
		RequestedLifetimeCount: max(uint32(lifetime/publishing), 3*alive), PublishingEnabled: true,
	})
	if err != nil {
		return nil, err
	}
	for rest := g.items; len(rest) > 0; {
		part := rest[:min(len(rest), s.most(monitorBatch))]
		err := s.monitor(ctx, c, made.SubscriptionID, g.period, part)
		if s.tooMany(len(part), err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		rest = rest[len(part):]
	}
	return &subscription{id: made.SubscriptionID, items: g.items, next: 1, heard: time.Now()}, nil
}

// monitor makes items. What the server refuses to watch goes on being read.
func (s *Source) monitor(ctx context.Context, c *channel, id uint32, sampling time.Duration, part []int) error {
	req := &ua.CreateMonitoredItemsRequest{SubscriptionID: id, TimestampsToReturn: ua.TimestampsToReturnBoth}
	for _, i := range part {
		req.ItemsToCreate = append(req.ItemsToCreate, &ua.MonitoredItemCreateRequest{
			ItemToMonitor: readValue(s.items[i].node), MonitoringMode: ua.MonitoringModeReporting,
			RequestedParameters: &ua.MonitoringParameters{
				ClientHandle: uint32(i), SamplingInterval: float64(sampling.Milliseconds()), QueueSize: queueSize, DiscardOldest: true,
			},
		})
	}
	res, err := call[*ua.CreateMonitoredItemsResponse](ctx, c, req)
	if err != nil {
		return err
	}
	if len(res.Results) != len(part) {
		return fmt.Errorf("%w: %d results for %d items", errHostile, len(res.Results), len(part))
	}
	for k, r := range res.Results {
		if r != nil && r.StatusCode != ua.StatusOK {
			s.log.Warn("device refuses to report a tag", "tag", s.items[part[k]].def.Name, "address", s.items[part[k]].def.Address, "status", r.StatusCode.Error())
		}
	}
	return nil
}

// message publishes what one message of a subscription reports.
func (s *Source) message(sub *subscription, m *ua.NotificationMessage) error {
	if sub.taken && !sub.alive {
		s.hear(sub.items) // a value that has not changed since is not reported again
	}
	sub.alive = true
	if len(m.NotificationData) == 0 {
		sub.next = m.SequenceNumber // a sign of life carries the number of the message to come
		return nil
	}
	if m.SequenceNumber != sub.next && sub.next != 0 {
		s.count(func(n *acquisition.Counters) { n.Overruns++ })
		s.log.Warn("messages of a subscription are missing", "expected", sub.next, "got", m.SequenceNumber)
	}
	sub.next = m.SequenceNumber + 1
	now := time.Now()
	var batch []reading
	for _, data := range m.NotificationData {
		if data == nil {
			continue
		}
		switch n := data.Value.(type) {
		case *ua.DataChangeNotification:
			for _, v := range n.MonitoredItems {
				if v != nil && int64(v.ClientHandle) < int64(len(s.items)) {
					r := s.reading(int(v.ClientHandle), v.Value, now)
					r.reported = true
					batch = append(batch, r)
				}
			}
		case *ua.StatusChangeNotification:
			return fmt.Errorf("the server ended subscription %d: %w", sub.id, n.Status)
		}
	}
	s.publish(batch)
	return nil
}
