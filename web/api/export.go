package api

import (
	"context"
	"time"
)

// HistoryTargets is the answer of GET /api/v1/history/targets: the engines the history is sent to.
type HistoryTargets struct {
	Node    string          `json:"node"`
	Targets []HistoryTarget `json:"targets"`
}

// HistoryTarget is one engine. The totals and what was left out are the pair's; the rest is known to the node that sends.
type HistoryTarget struct {
	Name           string          `json:"name"`
	Address        string          `json:"address"` // without the path
	Sending        bool            `json:"sending"` // from this node
	Tags           int             `json:"tags,omitempty"`
	SentTo         *time.Time      `json:"sent_to,omitempty"`   // the engine was sent everything before
	CountsTo       *time.Time      `json:"counts_to,omitempty"` // and need not be sent it again
	Windows        int             `json:"windows"`             // of ten minutes that are over and not sent
	WaitingSamples uint64          `json:"waiting_samples"`     // in them, of all tags
	SentSamples    uint64          `json:"sent_samples"`        // those sent twice included
	RefusedSamples uint64          `json:"refused_samples"`     // with a value beyond 1e15
	ParkedSamples  uint64          `json:"parked_samples"`      // the engine called them wrong
	MissedSamples  uint64          `json:"missed_samples"`      // removed from the archive before they were sent
	Rewinds        uint64          `json:"rewinds"`             // times the connection was lost and what did not count was sent again
	AnsweredAt     *time.Time      `json:"answered_at,omitempty"`
	Failed         int             `json:"failed"` // tries in a row
	FailedAt       *time.Time      `json:"failed_at,omitempty"`
	Error          string          `json:"error,omitempty"`
	Retry          *time.Time      `json:"retry,omitempty"`
	Parked         []ParkedSamples `json:"parked,omitempty"` // the last ones
}

// ParkedSamples are samples an engine called wrong; they are in the archive.
type ParkedSamples struct {
	At      time.Time `json:"at"`
	Tag     string    `json:"tag"` // the first one
	Tags    int       `json:"tags"`
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Samples int       `json:"samples"`
	Status  int       `json:"status"`
	Reason  string    `json:"reason"`
}

// HistoryTargets returns the engines the history is sent to, as a node knows them.
func (c *Client) HistoryTargets(ctx context.Context) (HistoryTargets, error) {
	var out HistoryTargets
	return out, c.get(ctx, "/history/targets", nil, &out)
}
