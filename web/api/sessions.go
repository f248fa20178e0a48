package api

import "time"

// Sessions is the answer of GET /api/v1/sessions.
type Sessions struct {
	Sessions []SessionInfo `json:"sessions"`
}

// SessionInfo is somebody who is signed in. DELETE /api/v1/sessions/{id} signs the session out.
type SessionInfo struct {
	ID        string    `json:"id"` // names the session in the journal, too; it opens nothing
	User      string    `json:"user"`
	Role      string    `json:"role"`
	Node      string    `json:"node"`
	Address   string    `json:"address,omitempty"` // last used from
	CreatedAt time.Time `json:"created_at"`
	SeenAt    time.Time `json:"seen_at"` // last used, to about a minute
	ExpiresAt time.Time `json:"expires_at"`
	Own       bool      `json:"own,omitempty"` // of who asks
}
