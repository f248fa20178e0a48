package modbus

import (
	"context"
	"time"
)

// How a channel returns to its first path. The first wait is between looks whether the path can be connected to; each
// return that failed doubles it.
const (
	firstReturn = 30 * time.Second
	lastReturn  = 10 * time.Minute // a first path that was good for so long counts as healthy again
)

// looking is a look at the first path while another is in use: a connection that is closed at once.
type looking struct {
	cancel context.CancelFunc
	ended  chan struct{}
	ok     bool // valid when ended is closed
}

// onPath notes which path is in use.
func (s *session) onPath() {
	for _, d := range s.c.devices {
		d.status.Endpoint = d.cfg.Endpoints[s.which]
	}
	if s.which == 0 {
		return
	}
	if s.firstGood > 0 && s.now-s.firstGood > int64(lastReturn) {
		s.returnWait = 0
	}
	s.firstGood = 0
	s.returnWait = min(max(firstReturn, 2*s.returnWait), lastReturn)
	s.returnAt = s.now + int64(s.returnWait)
}

// lookAtFirstPath looks, now and then, whether the first path is there again, and if so has the channel return to it. What
// is in flight is waited for first: a write must not become doubtful by this.
func (s *session) lookAtFirstPath() {
	switch l := s.look; {
	case s.which == 0:
	case l == nil && s.now >= s.returnAt:
		s.startLook()
	case l != nil && s.trial == nil:
		select {
		case <-l.ended:
			l.cancel()
			s.look, s.leaving = nil, l.ok
			s.returnAt = s.now + int64(s.returnWait)
		default:
		}
	}
}

func (s *session) startLook() {
	ctx, cancel := context.WithCancel(s.ctx)
	l := &looking{cancel: cancel, ended: make(chan struct{})}
	s.look = l
	s.looks.Go(func() {
		conn, err := s.c.open(ctx, s.c.endpoints[0], s.c.devices[0].timeout)
		if err == nil {
			l.ok = conn.Close() == nil
		}
		close(l.ended)
		s.c.kick()
	})
}

// leave gives up the path in use for the first one, once nothing is in flight.
func (s *session) leave() bool {
	if !s.leaving || s.flying > 0 || s.op != nil {
		return false
	}
	s.publishHeld()
	s.drop()
	s.c.log.Info("channel returns to its first path", "endpoint", s.c.endpoints[0].address, "from", s.ep.address)
	s.leaving, s.which, s.round, s.atOnce, s.backoff = false, 0, 0, true, 0
	return true
}

// endLook ends a look and waits for it.
func (s *session) endLook() {
	if s.look != nil {
		s.look.cancel()
		s.look = nil
	}
	s.looks.Wait()
}
