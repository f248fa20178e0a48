package modbus

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"scada/acquisition"
	"scada/acquisition/schedule"
)

// How often a connection is tried: after firstBackoff, doubling to patientBackoff while the outage is young, then to
// lastBackoff.
const (
	firstBackoff   = 100 * time.Millisecond
	patientBackoff = time.Second
	patience       = time.Minute
	lastBackoff    = 30 * time.Second
)

var (
	errStopped      = errors.New("the channel is not running")
	errNotConnected = errors.New("the device is not connected")
)

// connect makes one attempt to connect, after the wait that is due. It reports success.
func (s *session) connect() bool {
	if !s.waitBackoff() {
		return false
	}
	s.ep = s.c.endpoints[s.which]
	timeout := s.c.devices[0].timeout
	conn, err := s.c.open(s.ctx, s.ep, timeout)
	s.tick()
	if err != nil {
		if s.ctx.Err() == nil {
			s.connectFailed(err)
		}
		return false
	}
	s.c.mu.Lock()
	s.c.conn = conn
	s.c.mu.Unlock()
	if s.ctx.Err() != nil { // interrupt may have come before conn was there to be woken
		s.closeConn(conn)
		return false
	}
	s.conn, s.useful, s.armed, s.writeBy = conn, false, 0, 0
	s.from, s.to, s.flying, s.notBefore, s.lastRx = 0, 0, 0, 0, s.now
	s.nExpired = 0
	s.connected++
	s.linkUp()
	return true
}

// linkUp makes everything due on the new connection.
func (s *session) linkUp() {
	s.sched.Refresh(s.now)
	s.leaving = false
	s.c.mu.Lock()
	s.onPath()
	for _, d := range s.c.devices {
		if s.connected > 1 {
			d.status.Counters.Reconnects++
		}
		if d.status.State == acquisition.Connecting {
			d.status.State, d.status.Since = acquisition.Waiting, time.Unix(0, s.wall)
		}
	}
	s.c.mu.Unlock()
}

// open connects to an endpoint.
func (c *Channel) open(ctx context.Context, ep endpoint, timeout time.Duration) (stream, error) {
	if ep.kind == kindRTU {
		return openSerial(ep)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := c.opts.Dial(ctx, "tcp", ep.address)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", ep.address, err)
	}
	if t, ok := conn.(*net.TCPConn); ok {
		t.SetNoDelay(true)
	}
	return conn, nil
}

// waitBackoff waits for the next attempt. Operator writes that come in meanwhile are refused: there is no device.
func (s *session) waitBackoff() bool {
	if s.backoff == 0 || s.atOnce {
		s.atOnce = false
		return s.ctx.Err() == nil
	}
	timer := time.NewTimer(s.backoff)
	defer timer.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return false
		case <-timer.C:
			return true
		case <-s.c.wake:
			s.refuseOps(errNotConnected)
		}
	}
}

// connectFailed records a failed attempt. The other endpoints are tried at once; when all have failed, nobody on this
// channel can be reached, and the next round waits.
func (s *session) connectFailed(err error) {
	if s.failedAt == 0 {
		s.failedAt = s.now
	}
	if s.which = (s.which + 1) % len(s.c.endpoints); s.which != s.round {
		s.atOnce = true
		return
	}
	ceiling := patientBackoff
	if s.now-s.failedAt > int64(patience) {
		ceiling = lastBackoff
	}
	s.backoff = min(max(firstBackoff, 2*s.backoff), ceiling)
	if s.op != nil {
		s.op.interrupted(err)
		s.op = nil
	}
	s.refuseOps(err)
	if s.up || s.connected == 0 {
		s.c.log.Warn("channel down", "endpoint", s.c.devices[0].cfg.Endpoints[0], "err", err)
	}
	s.up = false
	for _, d := range s.c.devices {
		s.deviceLost(d, err)
		s.setState(d, acquisition.Connecting)
	}
}

// linkLost ends a connection. A connection that was useful is made again at once, without marking anything: some
// devices close after every answer.
func (s *session) linkLost(err error) {
	s.c.log.Debug("connection lost", "endpoint", s.ep.address, "err", err)
	s.publishHeld()
	s.endTrial(true)
	if s.flying > 0 {
		s.trouble()
	}
	for i := range s.txs {
		t := &s.txs[i]
		if !t.busy {
			continue
		}
		s.free(t)
		s.note(t.dev, err)
		if t.op != nil {
			s.opLost(t.op, err)
		}
		if t.poll == nil {
			continue
		}
		t.poll.lost++
		result := schedule.Lost
		if t.poll.lost > 1 {
			result = schedule.Silent // this request, not the line, seems to be what breaks it
		}
		s.pollDone(t.poll, result)
	}
	useful := s.useful
	s.drop()
	if useful {
		s.backoff, s.failedAt = 0, 0
		return
	}
	s.connectFailed(err)
}

// drop closes the connection.
func (s *session) drop() {
	if s.conn != nil {
		s.closeConn(s.conn)
		s.conn = nil
	}
}

func (s *session) closeConn(conn stream) {
	s.c.mu.Lock()
	s.c.conn = nil
	s.c.mu.Unlock()
	if t, ok := conn.(*net.TCPConn); ok {
		// What the kernel still holds is thrown away: on a network that is cut it would go on sending for minutes, and a write
		// would reach the device when another node writes there.
		_ = t.SetLinger(0)
	}
	conn.Close()
}

// good notes that the connection is of use.
func (s *session) good() {
	if s.useful {
		return
	}
	s.useful, s.backoff, s.failedAt, s.round = true, 0, 0, s.which
	if s.which == 0 && s.firstGood == 0 {
		s.firstGood = s.now
	}
	if !s.up {
		s.up = true
		s.c.log.Info("channel up", "endpoint", s.ep.address)
	}
}
