package opcua

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gopcua/opcua/ua"
)

// kept is what a broken connection leaves at the server: a session with its subscriptions. A server with thousands of
// items takes seconds to make them anew, and goes on working on those nobody asks for any more.
type kept struct {
	made *ua.CreateSessionResponse
	with security
	subs map[uint32]*subscription
	at   time.Time
}

// join takes up the session of before where there is one, or makes a new one.
func (s *Source) join(ctx context.Context) (*channel, error) {
	with, err := s.agree(ctx)
	if err != nil {
		return nil, err
	}
	k := s.kept
	if k == nil {
		return s.enter(ctx, with)
	}
	if time.Since(k.at) > sessionTimeout || k.with.policy != with.policy || !bytes.Equal(k.with.certificate, with.certificate) {
		s.kept = nil
		return s.enter(ctx, with)
	}
	c, err := s.open(ctx, with)
	if err != nil {
		return nil, err
	}
	s.kept = nil // one try: whatever is wrong with it is not met twice
	if err := s.resume(ctx, c, k); err != nil {
		s.log.Info("device has forgotten the session; a new one is made", "reason", err)
		c.close()
		return s.enter(ctx, with)
	}
	return c, nil
}

// resume has the server go on with a session on another channel.
func (s *Source) resume(ctx context.Context, c *channel, k *kept) (err error) {
	defer rescue(&err)
	if err := s.activate(ctx, c, k.made, k.with); err != nil {
		return fmt.Errorf("taking up the session: %w", err)
	}
	now := time.Now()
	for _, sub := range k.subs {
		sub.next, sub.heard, sub.alive, sub.taken = 0, now, false, true
	}
	c.subs = k.subs
	return nil
}

// leave ends a channel. If it is the connection that failed, the session is kept, provided all of its subscriptions
// spoke in it: one that is dead at the server must not be taken up again and again.
func (s *Source) leave(c *channel, why error, again bool) {
	broken := c.relay.reason() != nil && !errors.Is(c.relay.reason(), errHostile) || errors.Is(why, ua.StatusBadTimeout)
	if again && broken && c.lively() {
		s.kept = &kept{made: c.made, with: c.with, subs: c.subs, at: time.Now()}
		c.token = nil // it is not taken leave of
	}
	c.close()
}

func (c *channel) lively() bool {
	for _, sub := range c.subs {
		if !sub.alive {
			return false
		}
	}
	return len(c.subs) > 0
}
