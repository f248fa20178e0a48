package server

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"scada/history/journal"
	"scada/web/api"
)

const (
	// headsEvery is how often the standby and the active tell each other how far their journals go.
	headsEvery = 10 * time.Second
	// weightTampered is the weight of a journal that is not as the other node has seen it.
	weightTampered = 10
)

// headRequest is what one node tells the other: the end of its own chain, and what it has kept of the other's.
type headRequest struct {
	Node string           `json:"node"`
	Head journal.Anchor   `json:"head"`
	Seen []journal.Anchor `json:"seen,omitempty"`
}

// proofs keeps the journals of both nodes provable: each keeps heads of the other's chain.
type proofs struct {
	s *Server

	mu    sync.Mutex
	seen  []journal.Anchor // what the other node has kept of this one's chain
	at    time.Time        // when it said so
	wrong map[string]bool  // what was found and told
}

// run exchanges heads while this node is the standby of the first area.
func (p *proofs) run(ctx context.Context) error {
	tick := time.NewTicker(headsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if !p.s.isStandby(p.s.areaNames[0]) {
			continue
		}
		if err := p.exchange(ctx); err != nil && ctx.Err() == nil {
			p.s.log.Debug("The heads of the journals were not exchanged", "error", err)
		}
	}
}

func (p *proofs) exchange(ctx context.Context) error {
	own, err := p.own()
	if err != nil {
		return err
	}
	payload, err := request{Op: opJournalHead, Head: &own}.encode(nil)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, headsEvery)
	defer cancel()
	b, err := p.s.pair.Forward(ctx, p.s.areaNames[0], payload)
	if err != nil {
		return err
	}
	var theirs headRequest
	if err := json.Unmarshal(b, &theirs); err != nil {
		return fmt.Errorf("head of the other node's journal: %w", err)
	}
	return p.take(theirs)
}

// own is what this node tells.
func (p *proofs) own() (headRequest, error) {
	r := headRequest{Node: p.s.nodeName}
	var err error
	if r.Head, err = p.s.journal.Head(); err != nil {
		return r, err
	}
	r.Head.At = now()
	r.Seen, err = p.s.journal.Witnessed(p.s.cfg.Peer(p.s.nodeName))
	return r, err
}

// answer takes what the standby tells and tells the same of this node.
func (p *proofs) answer(theirs headRequest) ([]byte, error) {
	if err := p.take(theirs); err != nil {
		return nil, err
	}
	own, err := p.own()
	return answer(own, err)
}

func (p *proofs) take(theirs headRequest) error {
	if theirs.Node != p.s.cfg.Peer(p.s.nodeName) {
		return fmt.Errorf("the head of the journal of %q came from the other node", theirs.Node)
	}
	theirs.Head.At = now() // of this node's clock
	wrong, err := p.s.journal.Witness(theirs.Node, theirs.Head)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.seen, p.at = theirs.Seen, time.Now()
	p.mu.Unlock()
	if wrong != "" {
		p.tell(wrong)
	}
	return nil
}

// tell journals and logs what is wrong, once while the node runs.
func (p *proofs) tell(wrong string) {
	p.mu.Lock()
	known := p.wrong[wrong]
	p.wrong[wrong] = true
	p.mu.Unlock()
	if known {
		return
	}
	p.s.log.Error("A journal is not as it was seen before", "finding", wrong)
	p.s.areas[p.s.areaNames[0]].record(p.s.newEntry(journal.ClassSystem, "journal tampered", "", p.s.nodeName, "", wrong))
}

// faults is what health tells.
func (p *proofs) faults() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for why := range p.wrong {
		out = append(out, why)
	}
	slices.Sort(out)
	return out
}

// verify reads the whole journal of this node.
func (p *proofs) verify(ctx context.Context) (api.JournalProof, error) {
	p.mu.Lock()
	seen, at := p.seen, p.at
	p.mu.Unlock()
	found, err := p.s.journal.Prove(ctx, seen)
	if err != nil {
		return api.JournalProof{}, err
	}
	out := api.JournalProof{Node: p.s.nodeName, Intact: len(found.Findings) == 0, Entries: found.Entries, Covered: found.Covered, Before: found.Before,
		Records: found.Head.N, Head: found.Head.Hash, Compared: found.Anchors, LastSeen: moment(at), More: found.More}
	for _, f := range found.Findings {
		out.Findings = append(out.Findings, api.JournalFinding{What: f.What, Record: f.N, Time: instant(f.Time), ID: f.Key, Detail: f.Detail})
	}
	if !out.Intact {
		f := found.Findings[0]
		p.tell(fmt.Sprintf("the journal of node %s was found %s at record %d: %s", p.s.nodeName, f.What, f.N, f.Detail))
	}
	return out, nil
}
