package opcua

import (
	"context"
	"fmt"
	"net/url"

	"github.com/gopcua/opcua/ua"
)

// Probe implements [acquisition.Source].
func (s *Source) Probe(ctx context.Context, _ string) error {
	if s.device.Probe == "none" || !s.probing.TryLock() {
		return nil // running is better than any probe
	}
	defer s.probing.Unlock()
	ctx, cancel := context.WithTimeout(ctx, 2*s.device.Timeout)
	defer cancel()
	s.mu.Lock()
	s.cancel = cancel
	s.mu.Unlock()
	if s.device.Probe == "tcp" {
		u, err := url.Parse(s.device.Endpoint)
		if err != nil {
			return fmt.Errorf("endpoint: %w", err)
		}
		c, err := s.dial(ctx, "tcp", u.Host)
		if err != nil {
			return fmt.Errorf("connecting: %w", err)
		}
		return c.Close()
	}
	c, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	_, err = call[*ua.ReadResponse](ctx, c, &ua.ReadRequest{NodesToRead: []*ua.ReadValueID{readValue(ua.NewNumericNodeID(0, 2258))}})
	return err
}

func (s *Source) interruptProbe() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cancel != nil {
		s.cancel()
	}
}
