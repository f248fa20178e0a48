package web

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"scada/acquisition/live"
	"scada/web/api"
)

// hub knows every socket. One goroutine of it looks at what has no feed (roles, devices, the plant) and wakes the
// sockets when something changed; each socket has a reader and a writer of its own, so that none waits for another.
type hub struct {
	s        *Server
	start    string // random: tells one run of the server from another
	upgrader websocket.Upgrader
	changes  sync.Pool // of *[]live.Change
	encoded  sync.Pool // of *[]byte
	sets     sets

	reading sync.Mutex // one refresh at a time: an older reading must not replace a newer one

	mu      sync.Mutex
	clients map[*client]struct{}
	closed  bool
	view    view
}

// view is what all sockets show of the node, read once for all.
type view struct {
	plant     *Plant
	revision  int // of plant, from 1
	pair      api.Pair
	essence   string // of pair without what always moves
	epoch     uint64
	lagMs     int64
	ready     bool
	roles     map[string]areaRole
	rolesText string // roles as JSON
	roleGen   uint64 // changes with pair
	roleAt    time.Time
	devices   []api.Device
	deviceSum string
	deviceGen uint64
	deviceAt  time.Time
}

// changeBatch is how many changes are taken from the table at once.
const changeBatch = 32 << 10

func newHub(s *Server) *hub {
	raw := make([]byte, 8)
	rand.Read(raw)
	h := &hub{s: s, start: hex.EncodeToString(raw), clients: map[*client]struct{}{}}
	h.changes.New = func() any { return new([]live.Change) }
	h.encoded.New = func() any { return new([]byte) }
	h.upgrader = websocket.Upgrader{Subprotocols: []string{subprotocol}, CheckOrigin: s.originAllowed,
		WriteBufferPool: &sync.Pool{}, ReadBufferSize: readBuffer, HandshakeTimeout: headerTimeout}
	return h
}

// run looks for changes until ctx ends.
func (h *hub) run(ctx context.Context) {
	t := time.NewTicker(watchPeriod)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			if h.count() > 0 && h.refresh() {
				h.wakeAll()
			}
		}
	}
}

// refresh reads the node's state and reports whether there is something new to send.
func (h *hub) refresh() bool {
	h.reading.Lock()
	defer h.reading.Unlock()
	now := h.s.now()
	plant, pair := h.s.backend.Plant(), tidyPair(h.s.backend.Role())
	ready, _ := h.s.backend.Ready("")
	h.mu.Lock()
	defer h.mu.Unlock()
	v := &h.view
	changed := false
	if v.plant != plant {
		v.plant = plant
		v.revision++
		changed = true
	}
	essence := essence(pair)
	moved := essence != v.essence
	if moved || now.Sub(v.roleAt) >= heartbeat {
		v.essence, v.roleAt = essence, now
		v.roleGen++
		changed = true
	}
	v.pair, v.epoch, v.lagMs, v.ready = pair, pair.Epoch(), lag(pair), ready
	if moved || v.roles == nil {
		v.roles = areaRoles(pair, h.s.cfg.Node)
		v.rolesText = jsonText(v.roles)
	}
	if now.Sub(v.deviceAt) >= devicePeriod {
		v.deviceAt = now
		devices := filled(h.s.backend.Devices())
		if sum := jsonText(devices); sum != v.deviceSum {
			v.devices, v.deviceSum = devices, sum
			v.deviceGen++
			changed = true
		}
	}
	return changed
}

// essence is the pair without the figures that move all the time: a change of it is sent at once, the rest every second.
func essence(p api.Pair) string {
	nodes := append([]api.Node{}, p.Nodes...)
	for i := range nodes {
		nodes[i].Mirror, nodes[i].Backfill, nodes[i].Score = api.Mirror{}, api.Backfill{}, 0
		paths := append([]api.Path{}, nodes[i].Paths...)
		for j := range paths {
			paths[j].RTTms, paths[j].Lost = 0, 0
		}
		nodes[i].Paths = paths
	}
	return jsonText(api.Pair{Nodes: nodes, LastSwitch: p.LastSwitch})
}

func jsonText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v) // NaN or the like: still tells a change
	}
	return string(b)
}

func lag(p api.Pair) int64 {
	var ms int64
	for _, n := range p.Nodes {
		if n.Reachable {
			ms = max(ms, n.Mirror.LagMs)
		}
	}
	return ms
}

func areaRoles(p api.Pair, node string) map[string]areaRole {
	n, _ := p.Find(node)
	roles := map[string]areaRole{}
	for _, a := range n.Areas {
		roles[a.Area] = areaRole{Role: a.Role, Epoch: a.Epoch, Confirmed: a.Confirmed}
	}
	return roles
}

// now returns a copy of the view.
func (h *hub) now() view {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.view
}

// instance names one revision of the plant in one run of the server: within it, handles and change numbers hold.
func (h *hub) instance(revision int) string { return fmt.Sprintf("%s-%d", h.start, revision) }

// join admits a socket, or returns the reason why not.
func (h *hub) join(c *client) *closeError {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return &closeError{closeGoingAway, "the server stops"}
	case len(h.clients) >= maxConnections:
		return &closeError{closeTooMany, "too many connections"}
	}
	h.clients[c] = struct{}{}
	return nil
}

// signIn counts the connections of a user once it is known who it is.
func (h *hub) signIn(c *client, who principal) *closeError {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for other := range h.clients {
		if other != c && other.user == who.User {
			n++
		}
	}
	if n >= maxUserConns {
		return &closeError{closeTooMany, "too many connections of this user"}
	}
	c.user = who.User
	return nil
}

func (h *hub) leave(c *client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.clients, c)
}

func (h *hub) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.clients)
}

func (h *hub) wakeAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.clients {
		c.wake()
	}
}

// stop closes every socket and lets no more in.
func (h *hub) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for c := range h.clients {
		c.end(&closeError{closeGoingAway, "the server stops"})
	}
}
