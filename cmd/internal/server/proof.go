package server

import (
	"math"
	"sync"
	"time"

	"scada/acquisition/live"
	"scada/acquisition/tag"
)

// proof measures what a switch-over cost on the tag of the area that is polled most often: how many of its slots have
// no sample, and whether any has two.
type proof struct {
	id     tag.ID
	period time.Duration // 0: the area has no tag
	done   func(missed, duplicates int)

	mu      sync.Mutex
	pending bool
	last    int64 // time of the sample before the switch
}

// newProof chooses the tag: of those with the shortest period the first by name.
func newProof(tags []tag.Definition, done func(missed, duplicates int)) *proof {
	p := &proof{done: done}
	for _, def := range tags {
		if p.period == 0 || def.ScanPeriod < p.period {
			p.id, p.period = def.ID, def.ScanPeriod
		}
	}
	return p
}

// begin notes where the other node stopped.
func (p *proof) begin(values *live.Table) {
	if p.period == 0 {
		return
	}
	s := values.Get(p.id)
	p.mu.Lock()
	p.pending, p.last = s.Time > 0, s.Time
	p.mu.Unlock()
}

// see looks for the first sample of this node.
func (p *proof) see(batch []tag.Update) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.pending {
		return
	}
	for _, u := range batch {
		if u.Tag != p.id {
			continue
		}
		p.pending = false
		// The first read of an activation comes at once, between two slots: it is not one too many.
		slots := math.Round(float64(u.Time-p.last) / float64(p.period))
		duplicates := 0
		if u.Time <= p.last {
			duplicates = 1
		}
		p.done(int(max(slots-1, 0)), duplicates)
		return
	}
}
