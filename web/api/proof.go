package api

import (
	"context"
	"time"
)

// JournalFinding is one thing that is wrong with a journal.
type JournalFinding struct {
	What   string     `json:"what"`             // altered, removed, inserted, truncated, cut, broken
	Record uint64     `json:"record,omitempty"` // of the chain
	Time   *time.Time `json:"time,omitempty"`   // of the entry
	ID     string     `json:"id,omitempty"`     // of the entry
	Detail string     `json:"detail"`
}

// JournalProof is the answer of GET /api/v1/journal/verify: the journal of the node asked, held against its chain, and
// the chain against what the other node has seen of it.
type JournalProof struct {
	Node     string           `json:"node"`
	Intact   bool             `json:"intact"`
	Entries  int              `json:"entries"`
	Covered  int              `json:"covered"`   // by the chain
	Before   int              `json:"before"`    // written before there was a chain
	Records  uint64           `json:"records"`   // of the chain, with those forgotten
	Head     string           `json:"head"`      // hash of the last record: who notes it elsewhere can prove later what was before
	Compared int              `json:"compared"`  // anchors of the other node the chain was held against
	LastSeen *time.Time       `json:"last_seen"` // when the other node last said what it has seen; null: not since this node started
	Findings []JournalFinding `json:"findings"`
	More     int              `json:"more"` // findings beyond those listed
}

// VerifyJournal has the server that answers verify its journal.
func (c *Client) VerifyJournal(ctx context.Context) (JournalProof, error) {
	var out JournalProof
	return out, c.get(ctx, "/journal/verify", nil, &out)
}
