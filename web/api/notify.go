package api

import (
	"context"
	"time"
)

// Notifications is the answer of GET /api/v1/notifications: who is told of alarms, and what is still owed.
type Notifications struct {
	Node      string     `json:"node"`
	Receivers []Receiver `json:"receivers"`
}

// Receiver is one that is told of the alarms of an area. The backlog is that of the pair, the rest what this node has
// done since it started.
type Receiver struct {
	Name      string     `json:"name"`
	Area      string     `json:"area"`
	Kind      string     `json:"kind"` // webhook, alertmanager, smtp, mqtt
	Pending   int        `json:"pending"`
	OldestDue *time.Time `json:"oldest_due,omitempty"`
	Sent      uint64     `json:"sent"`
	SentAt    *time.Time `json:"sent_at,omitempty"`
	Failed    int        `json:"failed"` // attempts in a row
	Error     string     `json:"error,omitempty"`
	ErrorAt   *time.Time `json:"error_at,omitempty"`
	GivenUp   uint64     `json:"given_up"` // items of the area for which the outbox had no room
}

// Notifications returns the receivers and what is owed to them.
func (c *Client) Notifications(ctx context.Context) (Notifications, error) {
	var out Notifications
	return out, c.get(ctx, "/notifications", nil, &out)
}
