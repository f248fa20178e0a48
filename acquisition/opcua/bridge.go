package opcua

import (
	"context"
	"fmt"
	"time"
)

// bridgeEvery is how often tags are looked at that no subscription speaks for.
const bridgeEvery = 500 * time.Millisecond

// overlap is how long after a value its time counts when another comes by the other way. What is older than the last
// one later than that is a clock that was set back.
const overlap = 5 * time.Second

// bridge reads what no subscription speaks for: tags whose items are still being made, which takes a server with
// thousands of them seconds, those the server refuses to watch, and those whose last report was put aside.
func (s *Source) bridge(ctx context.Context, c *channel) error {
	groups := s.groups()
	next := make([]time.Time, len(groups))
	for t := time.Now(); ; t = t.Add(bridgeEvery) {
		if !pause(ctx, time.Until(t.Add(bridgeEvery))) {
			return ctx.Err()
		}
		var open []int
		now := time.Now()
		for k, g := range groups {
			if !now.Before(next[k]) {
				next[k] = now.Add(max(g.period, bridgeEvery) - bridgeEvery/2)
				open = append(open, s.unheard(g.items)...)
			}
		}
		if err := s.readItems(ctx, c, open); err != nil {
			return fmt.Errorf("reading what is not reported: %w", err)
		}
		if late := time.Since(t); late > 2*bridgeEvery { // the server has enough to do
			t = t.Add(late.Truncate(bridgeEvery) - bridgeEvery)
		}
	}
}

// unheard returns those of the tags that have to be read.
func (s *Source) unheard(indexes []int) (open []int) {
	s.pub.Lock()
	defer s.pub.Unlock()
	for _, i := range indexes {
		if x := &s.items[i]; !x.heard || x.doubt {
			open = append(open, i)
		}
	}
	return open
}

// hear notes that a subscription speaks for the tags.
func (s *Source) hear(indexes []int) {
	s.pub.Lock()
	defer s.pub.Unlock()
	for _, i := range indexes {
		s.items[i].heard = true
	}
}

// begin forgets what belonged to the session before.
func (s *Source) begin() {
	s.pub.Lock()
	defer s.pub.Unlock()
	for i := range s.items {
		s.items[i].heard, s.items[i].doubt = false, false
	}
}

// overtaken reports whether a reading left the server before the last one of its tag. Answers come in the order of
// their questions unless several are on their way; between an answer and a report the server's times decide, as long
// as they can have met.
func (x *item) overtaken(r *reading, now time.Time) bool {
	switch {
	case !x.reported && !r.reported:
		return r.asked.Before(x.asked)
	case x.reported == r.reported || r.source.IsZero() || x.source.IsZero() || now.Sub(x.got) > overlap:
		return false
	}
	return r.source.Before(x.source)
}

// weigh decides on a reading, notes what came, and reports whether it is to be used. A report that is put aside wrongly,
// because the server's clock was set back, would be missed for ever: the tag is read again.
func (x *item) weigh(r *reading, now time.Time) bool {
	if r.local {
		x.reported, x.asked, x.source = false, time.Time{}, time.Time{}
		return true
	}
	x.heard = x.heard || r.reported
	if x.overtaken(r, now) {
		x.doubt = x.doubt || r.reported
		return false
	}
	x.reported, x.asked, x.source, x.got, x.doubt = r.reported, r.asked, r.source, now, false
	return true
}
