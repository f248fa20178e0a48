package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// MaxImport is how many samples one import request carries.
const MaxImport = 5000

// ImportRequest brings samples from outside into the history of both nodes. Either all are imported or none.
type ImportRequest struct {
	// Check only looks whether the samples could be imported.
	Check   bool        `json:"check,omitempty"`
	Samples []TagChange `json:"samples"`
}

// ImportResult is what came of it. With anything wrong nothing is imported.
type ImportResult struct {
	Samples int           `json:"samples"` // of the request
	Added   int           `json:"added"`   // that were not in the history yet
	Wrong   []WrongSample `json:"wrong,omitempty"`
}

// WrongSample says which sample of a request can't be imported, counted from 0, and why.
type WrongSample struct {
	Sample int    `json:"sample"`
	Reason string `json:"reason"`
}

// VerifiedDay is what reading every block of a day found on one node.
type VerifiedDay struct {
	Day     string           `json:"day"` // 2006-01-02, UTC
	Samples uint64           `json:"samples"`
	Windows []VerifiedWindow `json:"windows"`
	Wrong   []time.Time      `json:"wrong,omitempty"`   // windows whose recorded digest is not that of their samples
	Damaged []string         `json:"damaged,omitempty"` // blocks that can't be read
}

// VerifiedWindow is the digest of ten minutes of all tags, computed from the samples on disk.
type VerifiedWindow struct {
	Window  time.Time `json:"window"`
	Samples uint64    `json:"samples"`
	Digest  string    `json:"digest"`
}

// RepairRequest asks for what can't be read to be set aside, and what differs between the nodes to be exchanged.
type RepairRequest struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// RepairResult is what was found wrong on the node itself; the exchange with the other node goes on.
type RepairResult struct {
	Blocks  int `json:"blocks"`  // set aside
	Digests int `json:"digests"` // counted anew
}

// Import brings samples from outside into the history.
func (c *Client) Import(ctx context.Context, req ImportRequest) (ImportResult, error) {
	var out ImportResult
	return out, c.post(ctx, "/history/import", req, &out)
}

// Repair sets aside what can't be read and has the nodes exchange what differs.
func (c *Client) Repair(ctx context.Context, req RepairRequest) (RepairResult, error) {
	var out RepairResult
	return out, c.post(ctx, "/history/repair", req, &out)
}

// Verify has the first server read all its history between the times and calls visit for each day.
func (c *Client) Verify(ctx context.Context, from, to time.Time, visit func(VerifiedDay) error) error {
	q := values("from", stamp(from), "to", stamp(to))
	resp, err := c.open(ctx, c.Servers()[0]+"/api/v1/history/verify?"+q.Encode())
	if err != nil {
		return &Unreachable{Errs: []error{err}}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
		if err != nil {
			return fmt.Errorf("answer: %w", err)
		}
		return problemOf(resp, data)
	}
	for d := json.NewDecoder(resp.Body); ; {
		var line struct {
			VerifiedDay
			End bool `json:"end"`
		}
		switch err := d.Decode(&line); {
		case errors.Is(err, io.EOF):
			return errors.New("the verification broke off")
		case err != nil:
			return fmt.Errorf("the verification broke off: %w", err)
		case line.End:
			return nil
		}
		if err := visit(line.VerifiedDay); err != nil {
			return err
		}
	}
}
