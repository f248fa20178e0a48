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
			batch = append(batch, reading{index: i, local: true, sample: tag.Sample{Time: time.Now().UnixNano(), Quality: tag.BadConfigurationError}})
			continue
		}
		asked = append(asked, i)
		req.NodesToRead = append(req.NodesToRead, readValue(s.items[i].node))
	}
	if len(asked) == 0 {
		return batch, nil
	}
	sent := time.Now()
	res, err := call[*ua.ReadResponse](ctx, c, req)
	if err != nil {
		return nil, err
	}
	if len(res.Results) != len(asked) {
		return nil, fmt.Errorf("%w: %d results for %d nodes", errHostile, len(res.Results), len(asked))
	}
	now := time.Now()
	for k, i := range asked {
		r := s.reading(i, res.Results[k], now)
		r.asked = sent
		batch = append(batch, r)
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
	if dv != nil {
		r.source = dv.SourceTimestamp
	}
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
