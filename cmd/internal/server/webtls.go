package server

import (
	"context"
	"slices"
	"time"

	"scada/redundancy"
	"scada/web"
)

// secureWeb gives the web server its certificate when the configuration asks for it.
func (s *Server) secureWeb(cfg *web.Config) error {
	dir := s.cfg.WebDir(s.nodeName)
	if dir == "" {
		return nil
	}
	keys, err := web.OpenKeys(dir, s.log.With("component", "web"))
	if err != nil {
		return err
	}
	s.webKeys, cfg.TLS = keys, keys.TLS()
	return nil
}

// watchWebKeys says when somebody should see to the certificate.
func (s *Server) watchWebKeys(ctx context.Context) error {
	if s.webKeys == nil {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(problemsEvery)
	defer tick.Stop()
	var told []string
	for {
		now := s.webKeys.Problems(time.Now())
		for _, why := range now {
			if !slices.Contains(told, why) {
				s.log.Warn("The web certificate needs attention", "problem", why)
				s.pairEvent(redundancy.Event{Time: time.Now(), What: eventCertificate, Reason: why})
			}
		}
		told = now
		s.webTrouble.Store(&now)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// webProblems is what health tells of the web certificate.
func (s *Server) webProblems() []string {
	if list := s.webTrouble.Load(); list != nil {
		return *list
	}
	return nil
}
