package web

import (
	"errors"

	"github.com/gorilla/websocket"
)

// The reasons of a [Presence].
const (
	ClientConnected = "client-connected"
	ClientLeft      = "client-left"   // it said so
	ClientLost      = "client-lost"   // its connection ended without a word, or it was silent for too long
	ClientClosed    = "client-closed" // the server ended the connection
)

// Presence is a client with a socket that came or went.
type Presence struct {
	What    string
	User    string
	Address string
	Page    bool // a page in a browser: a dashboard
	Detail  string
}

func (c *client) tell(p Presence) {
	if f := c.h.s.cfg.Clients; f != nil && p.What != "" {
		p.User, p.Address, p.Page = c.who.User, c.remote, c.page
		f(p)
	}
}

// parting says how the client went, from what came last from it and what the server had against it before.
func (c *client) parting() Presence {
	c.mu.Lock()
	defer c.mu.Unlock()
	var said *websocket.CloseError
	switch {
	case c.closing != nil && c.closing.code == closeGoingAway: // that everybody is gone from a server that stops says nothing
		return Presence{}
	case c.closing != nil && c.closing.code != websocket.CloseNormalClosure && c.closing.code != closeTooSlow:
		return Presence{What: ClientClosed, Detail: c.closing.reason}
	case errors.As(c.gone, &said) && said.Code != websocket.CloseAbnormalClosure:
		return Presence{What: ClientLeft}
	case c.closing != nil && c.closing.reason != "":
		return Presence{What: ClientLost, Detail: c.closing.reason}
	}
	return Presence{What: ClientLost, Detail: "connection ended"}
}
