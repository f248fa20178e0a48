package api

import "time"

// Login is the body of POST /api/v1/session.
type Login struct {
	User     string `json:"user"`
	Password string `json:"password"`
}

// Session tells who is signed in: the answer of POST and GET /api/v1/session and of the exchange of a ticket.
type Session struct {
	User        string   `json:"user"`
	Role        string   `json:"role"` // viewer, operator, engineer, admin
	Permissions []string `json:"permissions"`
	// Areas are the roles in some areas instead of the one in the whole plant.
	Areas map[string]string `json:"areas,omitempty"`
	// MustChange: the password was set by somebody else; nothing is allowed but to change it.
	MustChange bool `json:"must_change,omitempty"`
	// External: an OpenID provider vouches for the user, whose password is kept there.
	External  bool      `json:"external,omitempty"`
	ExpiresAt time.Time `json:"expires_at"`
	Node      string    `json:"node"`
	// Token is only in the answer of POST /api/v1/session/exchange: a page of the other node cannot have a cookie here
	// and sends it as a bearer token.
	Token string `json:"token,omitempty"`
}

// Ticket proves the session to the other node for ten minutes: the answer of POST /api/v1/ticket and the body of
// POST /api/v1/session/exchange.
type Ticket struct {
	Ticket    string    `json:"ticket"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

// Provider is the answer of GET /api/v1/session/oidc.
type Provider struct {
	Name string `json:"name"` // "" when there is none
}

// SignedOut is the answer of DELETE /api/v1/session when the session goes on at an OpenID provider; otherwise the answer
// is empty.
type SignedOut struct {
	LogoutURL string `json:"logout_url"` // for the browser to end it there
}
