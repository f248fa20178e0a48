package server

import (
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"scada/alarms"
	"scada/history/journal"
	"scada/web"
	"scada/web/uaserver"
)

// How much of the coming and going of clients is journalled: one that connects again and again must not fill the journal.
const (
	clientsBurst = 100
	clientsEvery = 3 * time.Second
)

// station journals that this node comes or goes.
func (s *Server) station(what string) {
	s.areas[s.areaNames[0]].record(s.newEntry(journal.ClassStation, what, "", s.nodeName, alarms.System, s.version))
}

// clients journals the dashboards and OPC UA clients of this node that come, leave or are lost.
type clients struct {
	s     *Server
	limit *rate.Limiter

	mu      sync.Mutex
	skipped int
}

func newClients(s *Server) *clients {
	return &clients{s: s, limit: rate.NewLimiter(rate.Every(clientsEvery), clientsBurst)}
}

// page takes what the sockets of the web tell.
func (c *clients) page(p web.Presence) {
	kind := "program"
	if p.Page {
		kind = "dashboard"
	}
	c.record(p.What, kind, p.User, p.Address, p.Detail)
}

// opcua takes what the OPC UA server tells.
func (c *clients) opcua(p uaserver.Presence) {
	c.record(p.What, joinText("opc ua", p.Name), p.User, p.Address, p.Detail)
}

func (c *clients) record(what, kind, user, address, detail string) {
	if !c.limit.Allow() {
		c.mu.Lock()
		c.skipped++
		c.mu.Unlock()
		return
	}
	c.mu.Lock()
	skipped := c.skipped
	c.skipped = 0
	c.mu.Unlock()
	if detail != "" {
		kind += ", " + detail
	}
	if skipped > 0 {
		kind += fmt.Sprintf(" (%d before it are not in the journal: too many at a time)", skipped)
	}
	c.s.areas[c.s.areaNames[0]].record(c.s.newEntry(journal.ClassStation, what, "", address, user, joinText("", kind)))
}
