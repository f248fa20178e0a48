package server

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"scada/history"
	"scada/history/journal"
	"scada/redundancy"
	"scada/web"
	"scada/web/api"
)

// confirmWithin bounds how long an alarm transition waits for the standby before clients see it. After it the pair is
// solo until the standby confirms again: safety of the record must not cost the operator the alarm.
const confirmWithin = 2 * time.Second

// commitment is something of an area that must be on disk, here and on the other node, before it counts.
type commitment struct {
	active  bool   // written by this node as the active one
	epoch   uint64 // standby: the term of the stream
	seq     uint64 // position in the stream
	pos     uint64 // standby: position in the history
	entries []journal.Entry
	changes []api.AlarmChange

	done   chan struct{} // closed when it counts
	result redundancy.Durability
	err    error // the journal could not be written
}

// wait waits until the commitment counts and says what that means: the standby has it (Durable), there is none (Solo).
func (c *commitment) wait(ctx context.Context) (redundancy.Durability, error) {
	if c == nil {
		return redundancy.Durable, nil
	}
	select {
	case <-c.done:
		return c.result, c.err
	case <-ctx.Done():
		return redundancy.Solo, ctx.Err()
	}
}

// committer makes the commitments of one area durable, in order, many at a time: journal, the standby's confirmation
// (on the active) or the report to the active (on the standby), and only then the clients.
type committer struct {
	area    string
	log     *slog.Logger
	journal *journal.Journal
	store   *history.Store
	pair    interface {
		WaitDurable(ctx context.Context, area string, seq uint64) (redundancy.Durability, error)
		Durable(area string, epoch, seq uint64)
	}
	alarms  *web.Feed[api.AlarmChange]
	entries *web.Feed[api.JournalEntry]

	mu      sync.Mutex
	pending []*commitment
	wake    chan struct{}
	failing bool // the last write to the journal failed
}

func (c *committer) add(what commitment) *commitment {
	what.done = make(chan struct{})
	c.mu.Lock()
	c.pending = append(c.pending, &what)
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
	return &what
}

// run commits until ctx ends, and then what is still pending.
func (c *committer) run(ctx context.Context) error {
	for {
		c.mu.Lock()
		batch := c.pending
		c.pending = nil
		c.mu.Unlock()
		if len(batch) > 0 {
			c.commit(ctx, batch)
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-c.wake:
		}
	}
}

func (c *committer) commit(ctx context.Context, batch []*commitment) {
	var entries []journal.Entry
	for _, w := range batch {
		entries = append(entries, w.entries...)
	}
	err := c.write(entries)
	last := batch[len(batch)-1]
	result := redundancy.Durable
	switch {
	case err != nil:
		result = redundancy.Solo
	case last.active:
		result = c.confirm(ctx, last.seq)
	default:
		err = c.report(ctx, batch, len(entries) > 0)
	}
	for _, w := range batch {
		w.result, w.err = result, err
		c.alarms.Append(w.changes...)
		for _, e := range w.entries {
			c.entries.Append(entryJSON(e))
		}
		close(w.done)
	}
}

// write appends to the journal. A failure is told once, in the log and by the health of the node, until it is over.
func (c *committer) write(entries []journal.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	err := c.journal.Append(entries...)
	c.mu.Lock()
	changed := c.failing != (err != nil)
	c.failing = err != nil
	c.mu.Unlock()
	if changed && err != nil {
		c.log.Error("The journal cannot be written", "area", c.area, "error", err)
	} else if changed {
		c.log.Info("The journal can be written again", "area", c.area)
	}
	return err
}

// confirm waits, on the active, until the standby has everything up to seq on disk.
func (c *committer) confirm(ctx context.Context, seq uint64) redundancy.Durability {
	ctx, cancel := context.WithTimeout(ctx, confirmWithin)
	defer cancel()
	result, err := c.pair.WaitDurable(ctx, c.area, seq)
	if err != nil && !errors.Is(err, redundancy.ErrNotActive) {
		return redundancy.Solo
	}
	return result
}

// report tells the active, from the standby, how far everything is on disk. What an alarm waits for is synced at once;
// plain samples wait for the next group commit.
func (c *committer) report(ctx context.Context, batch []*commitment, urgent bool) error {
	var pos uint64
	for _, w := range batch {
		pos = max(pos, w.pos)
	}
	var err error
	if urgent {
		err = c.store.Sync(ctx)
	} else if pos > 0 {
		err = c.store.WaitDurable(ctx, pos)
	}
	if err != nil {
		return err
	}
	last := batch[len(batch)-1]
	c.pair.Durable(c.area, last.epoch, last.seq)
	return nil
}

func (c *committer) broken() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failing
}
