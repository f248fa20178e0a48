package server

import (
	"context"
	"maps"
	"slices"
	"time"

	"scada/redundancy"
	"scada/redundancy/pki"
)

// problemsEvery is how often a node looks whether somebody should see to its link certificates.
const problemsEvery = time.Minute

// weightCertificate is the weight of what health says of them: nothing is broken yet.
const weightCertificate = 1

// eventCertificate is what such an entry of the journal is filed under.
const eventCertificate = "certificate"

// secureLink gives the link its certificates when the configuration asks for them.
func (s *Server) secureLink(c *redundancy.Config) error {
	dir := s.cfg.LinkDir(s.nodeName)
	if dir == "" {
		return nil
	}
	link, err := pki.Open(pki.Options{
		Dir: dir, Project: s.cfg.Project, Node: s.nodeName, Peer: c.Peer, Validity: s.cfg.Redundancy.TLS.Validity,
		Log: s.log.With("component", "link"),
	})
	if err != nil {
		return err
	}
	s.link = link
	c.ServerTLS, c.ClientTLS, c.Secured = link.Server(), link.Client(), link.Secured
	return nil
}

// keepLink renews the certificate when it is due and says when somebody should see to it.
func (s *Server) keepLink(dial pki.Dial) {
	if s.link == nil {
		return
	}
	links := s.cfg.Nodes[s.cfg.Peer(s.nodeName)].Links
	var addresses []string
	for _, name := range slices.Sorted(maps.Keys(links)) {
		addresses = append(addresses, links[name])
	}
	s.spawn("link certificates", func(ctx context.Context) error { return s.link.Keep(ctx, dial, addresses) })
	s.spawn("problems of the link certificates", s.watchLink)
}

func (s *Server) watchLink(ctx context.Context) error {
	tick := time.NewTicker(problemsEvery)
	defer tick.Stop()
	var told []string
	for {
		now := s.link.Problems(time.Now())
		s.linkTrouble.Store(&now)
		for _, why := range now {
			if !slices.Contains(told, why) {
				s.log.Warn("The link certificates need attention", "problem", why)
				s.pairEvent(redundancy.Event{Time: time.Now(), What: eventCertificate, Reason: why})
			}
		}
		told = now
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// linkProblems is what health tells of the link certificates.
func (s *Server) linkProblems() []string {
	if list := s.linkTrouble.Load(); list != nil {
		return *list
	}
	return nil
}
