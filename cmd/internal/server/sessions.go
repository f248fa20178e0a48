package server

import (
	"encoding/json"
	"sync"
	"time"

	"scada/web/api"
)

// sessionsKept is how long the sessions of the other node are shown when it does not tell of them any more: the nodes compare
// every second.
const sessionsKept = 5 * time.Second

// maxPeerSessions is how many sessions of the other node are listed.
const maxPeerSessions = 2_000

// sessionNews is what one node tells the other of its sessions: the list only when the other has not that one.
type sessionNews struct {
	Digest string            `json:"digest"` // of the sender's sessions
	Known  string            `json:"known"`  // digest of the receiver's that the sender has
	Whole  bool              `json:"whole,omitempty"`
	List   []api.SessionInfo `json:"list,omitempty"` // with Whole: all of them
}

// sessionBook is what is known of the other node's sessions.
type sessionBook struct {
	mu    sync.Mutex
	peer  []api.SessionInfo
	have  string // digest of peer
	at    time.Time
	knows string // digest of this node's sessions that the other one has
}

// news is what to tell the other node, which then has these sessions.
func (b *sessionBook) news(own []api.SessionInfo) *sessionNews {
	text, _ := json.Marshal(own) // times and strings: it cannot fail
	b.mu.Lock()
	defer b.mu.Unlock()
	n := &sessionNews{Digest: hashOf(text)[:16], Known: b.have}
	if n.Digest != b.knows {
		n.Whole, n.List = true, own
	}
	return n
}

// take notes what the other node tells.
func (b *sessionBook) take(n *sessionNews, now time.Time) {
	if n == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.knows = n.Known
	switch {
	case n.Whole:
		b.peer, b.have, b.at = n.List[:min(len(n.List), maxPeerSessions)], n.Digest, now
	case n.Digest == b.have:
		b.at = now
	default:
		b.have = "" // it comes with the next news
	}
}

// others are the other node's sessions.
func (b *sessionBook) others() []api.SessionInfo {
	b.mu.Lock()
	defer b.mu.Unlock()
	if time.Since(b.at) > sessionsKept {
		return nil
	}
	return b.peer
}
