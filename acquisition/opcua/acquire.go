package opcua

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gopcua/opcua/ua"

	"scada/acquisition"
	"scada/acquisition/tag"
)

// Sizes and times of requests.
const (
	readBatch     = 500 // nodes in one Read
	monitorBatch  = 500 // items in one CreateMonitoredItems
	queueSize     = 10  // samples the server keeps for one item between two messages
	maxPublishing = time.Second
	silenceLimit  = 5 * time.Second  // a subscription that says nothing for this long, not even that it lives, is dead
	lifetime      = 30 * time.Second // after which the server forgets a subscription nobody asks
)

func readValue(id *ua.NodeID) *ua.ReadValueID {
	return &ua.ReadValueID{NodeID: id, AttributeID: ua.AttributeIDValue, DataEncoding: &ua.QualifiedName{}}
}

// readItems reads the given tags and publishes what came, batch by batch.
func (s *Source) readItems(ctx context.Context, c *channel, indexes []int) error {
	for len(indexes) > 0 {
		part := indexes[:min(len(indexes), s.most(readBatch))]
		batch, err := s.readPart(ctx, c, part)
		if s.tooMany(len(part), err) {
			continue
		}
		if err != nil {
			return err
		}
		indexes = indexes[len(part):]
		s.publish(batch)
	}
	return nil
}

// most returns how many nodes go into one request.
func (s *Source) most(wanted int) int {
	if n := int(s.limit.Load()); n > 0 {
		return min(wanted, n)
	}
	return wanted
}

// tooMany reports whether a request was refused because it named so many nodes; from then on they name half as many.
func (s *Source) tooMany(named int, err error) bool {
	if !errors.Is(err, ua.StatusBadTooManyOperations) || named < 2 {
		return false
	}
	s.limit.Store(int32(named / 2))
	s.log.Info("device takes fewer nodes in a request", "nodes", named/2)
	return true
}

func (s *Source) readPart(ctx context.Context, c *channel, part []int) ([]reading, error) {
	req := &ua.ReadRequest{TimestampsToReturn: ua.TimestampsToReturnBoth}
	var asked []int
	batch := make([]reading, 0, len(part))
	for _, i := range part {
		if s.items[i].bad != nil {
			batch = append(batch, reading{index: i, sample: tag.Sample{Time: time.Now().UnixNano(), Quality: tag.BadConfigurationError}})
			continue
		}
		asked = append(asked, i)
		req.NodesToRead = append(req.NodesToRead, readValue(s.items[i].node))
	}
	if len(asked) == 0 {
		return batch, nil
	}
	res, err := call[*ua.ReadResponse](ctx, c, req)
	if err != nil {
		return nil, err
	}
	if len(res.Results) != len(asked) {
		return nil, fmt.Errorf("%w: %d results for %d nodes", errHostile, len(res.Results), len(asked))
	}
	now := time.Now()
	for k, i := range asked {
		batch = append(batch, s.reading(i, res.Results[k], now))
	}
	return batch, nil
}

// reading turns a reported value into a sample and remembers the type of the server's node.
func (s *Source) reading(i int, dv *ua.DataValue, now time.Time) reading {
	x := &s.items[i]
	if dv != nil && dv.Value != nil && dv.Value.Value() != nil {
		s.pub.Lock()
		x.as = dv.Value.Type()
		s.pub.Unlock()
	}
	r := reading{index: i, sample: sample(&x.def, dv, now)}
	r.stale = r.sample.Time == now.UnixNano()
	return r
}

// poll reads a group at each of its slots. The slots are multiples of the period since 1970, so that both nodes of a
// pair read on the same grid; a slot that passes while the last read is still waited for is skipped and counted.
func (s *Source) poll(ctx context.Context, c *channel, g group) error {
	slot := time.Now().Truncate(g.period).Add(g.period)
	for {
		if !pause(ctx, time.Until(slot)) {
			return ctx.Err()
		}
		s.late(time.Since(slot))
		if err := s.readItems(ctx, c, g.items); err != nil {
			return fmt.Errorf("reading: %w", err)
		}
		next := slot.Add(g.period)
		if now := time.Now(); next.Before(now) {
			missed := now.Sub(slot) / g.period
			next = slot.Add((missed + 1) * g.period)
			s.count(func(n *acquisition.Counters) { n.Overruns += uint64(missed) })
		}
		slot = next
	}
}

func (s *Source) late(by time.Duration) {
	s.mu.Lock()
	s.state.Lateness = by
	s.mu.Unlock()
}

// subscription is one the server keeps for a group.
type subscription struct {
	id    uint32
	next  uint32 // the number its next message should have
	heard time.Time
}

// subscribe makes a subscription for each group and takes their messages until something fails.
func (s *Source) subscribe(ctx context.Context, c *channel) error {
	subs := map[uint32]*subscription{}
	for _, g := range s.groups() {
		sub, err := s.create(ctx, c, g)
		if err != nil {
			return fmt.Errorf("subscribing: %w", err)
		}
		subs[sub.id] = sub
	}
	if len(subs) == 0 {
		<-ctx.Done()
		return ctx.Err()
	}
	var acks []*ua.SubscriptionAcknowledgement
	for {
		res, err := callWithin[*ua.PublishResponse](ctx, c, &ua.PublishRequest{SubscriptionAcknowledgements: acks}, silenceLimit)
		if err != nil {
			return fmt.Errorf("waiting for values: %w", err)
		}
		acks = acks[:0:0]
		now := time.Now()
		if sub := subs[res.SubscriptionID]; sub != nil && res.NotificationMessage != nil {
			sub.heard = now
			if err := s.message(sub, res.NotificationMessage); err != nil {
				return err
			}
			if len(res.NotificationMessage.NotificationData) > 0 {
				acks = append(acks, &ua.SubscriptionAcknowledgement{SubscriptionID: sub.id, SequenceNumber: res.NotificationMessage.SequenceNumber})
			}
		}
		for _, sub := range subs {
			if now.Sub(sub.heard) > silenceLimit {
				return fmt.Errorf("subscription %d has been silent for %s", sub.id, silenceLimit)
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
	sub := &subscription{id: made.SubscriptionID, next: 1, heard: time.Now()}
	for rest := g.items; len(rest) > 0; {
		part := rest[:min(len(rest), s.most(monitorBatch))]
		err := s.monitor(ctx, c, sub.id, g.period, part)
		if s.tooMany(len(part), err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		rest = rest[len(part):]
	}
	return sub, nil
}

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
	var refused []reading
	for k, r := range res.Results {
		if r == nil || r.StatusCode == ua.StatusOK {
			continue
		}
		refused = append(refused, reading{index: part[k], sample: tag.Sample{Time: time.Now().UnixNano(), Quality: quality(r.StatusCode)}})
		s.log.Warn("device refuses to report a tag", "tag", s.items[part[k]].def.Name, "address", s.items[part[k]].def.Address, "status", r.StatusCode.Error())
	}
	s.publish(refused)
	return nil
}

// message publishes what one message of a subscription reports.
func (s *Source) message(sub *subscription, m *ua.NotificationMessage) error {
	if len(m.NotificationData) == 0 {
		sub.next = m.SequenceNumber // a sign of life carries the number of the message to come
		return nil
	}
	if m.SequenceNumber != sub.next {
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
					batch = append(batch, s.reading(int(v.ClientHandle), v.Value, now))
				}
			}
		case *ua.StatusChangeNotification:
			return fmt.Errorf("the server ended subscription %d: %w", sub.id, n.Status)
		}
	}
	s.publish(batch)
	return nil
}
