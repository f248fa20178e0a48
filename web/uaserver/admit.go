package uaserver

import (
	"cmp"
	"net"
	"slices"
	"time"

	"github.com/gopcua/opcua/ua"
)

// claim is a place that is taken by somebody who has not logged in: a connection or a session.
type claim[T any] struct {
	who   T
	host  string
	since int64
}

// crowding returns the claim that is to make room for a new one from host, if one is. When host has as many as one
// address may have, it is its own oldest; when there is no room at all, the oldest of the address that has the most.
// Whoever comes from an address of its own keeps his place, however many come from another.
func crowding[T any](claims []claim[T], host string, perAddress int, full bool) (gone T, ok bool) {
	count := map[string]int{}
	for _, c := range claims {
		count[c.host]++
	}
	if count[host] < perAddress {
		if !full || len(claims) == 0 {
			return gone, false
		}
		host = slices.MaxFunc(claims, func(a, b claim[T]) int {
			return cmp.Or(cmp.Compare(count[a.host], count[b.host]), cmp.Compare(b.since, a.since))
		}).host
	}
	own := slices.DeleteFunc(claims, func(c claim[T]) bool { return c.host != host })
	oldest := slices.MinFunc(own, func(a, b claim[T]) int { return cmp.Compare(a.since, b.since) })
	return oldest.who, true
}

// admit takes a connection in, making room if need be by ending one on which nobody has logged in.
func (s *Server) admit(nc net.Conn) *conn {
	host := hostOf(nc)
	s.mu.Lock()
	defer s.mu.Unlock()
	full := len(s.conns) >= s.cfg.Limits.Connections
	if gone, ok := crowding(s.strangers(), host, s.cfg.Limits.PerAddress, full); ok {
		delete(s.conns, gone)
		gone.kill()
	} else if full {
		_ = nc.Close() // there is nobody to tell
		s.log.Warn("too many OPC UA connections", "remote", nc.RemoteAddr(), "limit", s.cfg.Limits.Connections)
		return nil
	}
	s.nextConn++
	if s.nextConn == 0 {
		s.nextConn++
	}
	c := &conn{s: s, nc: nc, id: s.nextConn, host: host, since: time.Now()}
	s.conns[c] = struct{}{}
	return c
}

// strangers lists the connections on which nobody has logged in. The server's lock is held.
func (s *Server) strangers() []claim[*conn] {
	known := map[*conn]bool{}
	for _, x := range s.sessions {
		if x.activated && x.conn != nil {
			known[x.conn] = true
		}
	}
	var out []claim[*conn]
	for c := range s.conns {
		if !known[c] {
			out = append(out, claim[*conn]{c, c.host, c.since.UnixNano()})
		}
	}
	return out
}

// addSession takes a session in. If there are too many, one that nobody has logged in to makes room, or else the oldest
// whose connection has ended.
func (s *Server) addSession(x *session, c *conn) bool {
	s.mu.Lock()
	var waiting []claim[*session]
	var left *session // the oldest whose connection has ended
	for _, o := range s.sessions {
		switch {
		case !o.activated:
			waiting = append(waiting, claim[*session]{o, o.host, o.seen.Load()})
		case o.conn == nil && (left == nil || o.seen.Load() < left.seen.Load()):
			left = o
		}
	}
	full := len(s.sessions) >= s.cfg.Limits.Sessions
	gone, ok := crowding(waiting, x.host, s.cfg.Limits.PerAddress, full)
	switch {
	case !ok && full && left == nil:
		s.mu.Unlock()
		return false
	case !ok && full:
		gone, ok = left, true
	}
	if ok {
		s.unbind(gone)
		delete(s.sessions, gone.token)
	}
	s.sessions[x.token] = x
	x.conn = c
	c.sessions.Add(1)
	s.mu.Unlock()
	if ok {
		gone.client.Close(false, ua.StatusBadSessionClosed)
	}
	return true
}
