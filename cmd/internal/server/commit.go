package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"scada/history/journal"
	"scada/redundancy"
	"scada/web"
	"scada/web/api"
)

const (
	// confirmWithin bounds how long an alarm transition waits for the standby before clients see it. After it the pair is
	// solo until the standby has caught up: safety of the record must not cost the operator the alarm.
	confirmWithin = 2 * time.Second
	// maxUnwritten is how many entries wait in memory for a journal that cannot be written.
	maxUnwritten = 20_000
	// rewriteEvery is how often writing them is tried again when nothing else happens.
	rewriteEvery = time.Second
)

// commitment is something of an area that must be on disk, here and on the other node, before it counts.
type commitment struct {
	active  bool   // written by this node as the active one
	flush   bool   // nothing by itself: done when everything before it is in the journal of this node
	epoch   uint64 // the term of the position
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

// bare reports whether the commitment is a position of the stream and nothing else, as those of plain samples are.
func (c *commitment) bare() bool {
	return !c.active && !c.flush && len(c.entries) == 0 && len(c.changes) == 0
}

// committer makes the commitments of one area durable, in order, many at a time: journal, the standby's confirmation
// (on the active) or the report to the active (on the standby), and only then the clients.
type committer struct {
	area    string
	log     *slog.Logger
	journal interface {
		Append(entries ...journal.Entry) error
	}
	store interface {
		Sync(ctx context.Context) error
		WaitDurable(ctx context.Context, pos uint64) error
	}
	pair interface {
		WaitDurable(ctx context.Context, area string, epoch, seq uint64) (redundancy.Durability, error)
		Durable(area string, epoch, seq uint64)
	}
	alarms  *web.Feed[api.AlarmChange]
	entries *web.Feed[api.JournalEntry]

	unwritten []journal.Entry // of the goroutine alone
	owed      *commitment     // standby: the position that is reported once the journal can be written again
	behind    *commitment     // active: what the standby did not confirm in time

	mu      sync.Mutex
	pending []*commitment
	wake    chan struct{}
	failing bool // the last write to the journal failed
	lagging bool // the standby does not confirm in time
}

// add hands a commitment over. A stretch of plain samples is one position however long it has to wait.
func (c *committer) add(what commitment) *commitment {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.pending); n > 0 && what.bare() && c.pending[n-1].bare() {
		last := c.pending[n-1]
		last.epoch, last.seq, last.pos = what.epoch, what.seq, max(last.pos, what.pos)
		return last
	}
	what.done = make(chan struct{})
	c.pending = append(c.pending, &what)
	select {
	case c.wake <- struct{}{}:
	default:
	}
	return &what
}

// flush returns when everything handed over so far is in the journal of this node.
func (c *committer) flush(ctx context.Context) error {
	_, err := c.add(commitment{flush: true}).wait(ctx)
	return err
}

func (c *committer) take() []*commitment {
	c.mu.Lock()
	defer c.mu.Unlock()
	batch := c.pending
	c.pending = nil
	return batch
}

// run commits until ctx ends, and then what is still pending.
func (c *committer) run(ctx context.Context) error {
	for {
		if batch := c.take(); len(batch) > 0 {
			c.commit(ctx, batch)
			continue
		}
		if ctx.Err() != nil {
			break
		}
		var again <-chan time.Time
		if len(c.unwritten) > 0 {
			again = time.After(rewriteEvery)
		}
		select {
		case <-ctx.Done(): // and once more: something may have come at the same moment
		case <-c.wake:
		case <-again:
			c.rewrite(ctx)
		}
	}
	if err := c.write(nil); err != nil {
		return fmt.Errorf("%d journal entries were not written: %w", len(c.unwritten), err)
	}
	return nil
}

func (c *committer) commit(ctx context.Context, batch []*commitment) {
	var entries []journal.Entry
	var own *commitment // the last of this node as the active one
	for _, w := range batch {
		entries = append(entries, w.entries...)
		if w.active {
			own = w
		}
	}
	err := c.write(entries)
	for _, w := range batch {
		if w.flush {
			w.err = err
			close(w.done)
		}
	}
	result := redundancy.Solo
	if own != nil && err == nil {
		result = c.confirm(ctx, own)
	}
	c.report(ctx, batch, len(entries) > 0, err)
	for _, w := range batch {
		if w.flush {
			continue
		}
		w.result, w.err = result, err
		c.alarms.Append(w.changes...)
		for _, e := range w.entries {
			c.entries.Append(entryJSON(e))
		}
		close(w.done)
	}
}

// write appends to the journal, together with what could not be written before. A failure is told once, in the log and
// by the health of the node, until it is over.
func (c *committer) write(entries []journal.Entry) error {
	if len(entries)+len(c.unwritten) == 0 {
		return nil
	}
	all := append(c.unwritten, entries...)
	err := c.journal.Append(all...)
	c.mu.Lock()
	changed := c.failing != (err != nil)
	c.failing = err != nil
	c.mu.Unlock()
	c.unwritten = nil
	switch {
	case err == nil && changed:
		c.log.Info("The journal can be written again", "area", c.area, "entries", len(all))
	case err != nil:
		c.unwritten = all
		if changed {
			c.log.Error("The journal cannot be written", "area", c.area, "error", err)
		}
		if n := len(all) - maxUnwritten; n > 0 {
			c.unwritten = all[n:]
			c.log.Error("The journal cannot be written: the oldest entries are given up here", "area", c.area, "entries", n)
		}
	}
	return err
}

// rewrite tries again what could not be written.
func (c *committer) rewrite(ctx context.Context) {
	if c.write(nil) == nil && c.owed != nil {
		c.report(ctx, []*commitment{c.owed}, true, nil)
	}
}

// confirm waits, on the active, until the standby has everything up to a commitment on disk. A standby that was too slow
// once is not waited for again until it has that, or a new term has begun.
func (c *committer) confirm(ctx context.Context, own *commitment) redundancy.Durability {
	if c.slow() && c.behind.epoch != own.epoch {
		c.setSlow(false)
	}
	if c.slow() {
		now, cancel := context.WithDeadline(ctx, time.Now())
		defer cancel()
		result, err := c.pair.WaitDurable(now, c.area, c.behind.epoch, c.behind.seq)
		if errors.Is(err, context.DeadlineExceeded) {
			return redundancy.Solo
		}
		c.setSlow(false)
		if err != nil || result == redundancy.Solo {
			return redundancy.Solo
		}
	}
	limited, cancel := context.WithTimeout(ctx, confirmWithin)
	defer cancel()
	result, err := c.pair.WaitDurable(limited, c.area, own.epoch, own.seq)
	if err != nil {
		result = redundancy.Solo
	}
	if errors.Is(err, context.DeadlineExceeded) {
		c.behind = own
		c.setSlow(true)
	}
	return result
}

func (c *committer) slow() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lagging
}

func (c *committer) setSlow(lagging bool) {
	c.mu.Lock()
	changed := c.lagging != lagging
	c.lagging = lagging
	c.mu.Unlock()
	if changed && lagging {
		c.log.Warn("The standby does not store alarms in time: they are shown without its confirmation", "area", c.area, "waited", confirmWithin)
	} else if changed {
		c.log.Info("The standby is not waited for in vain any more", "area", c.area)
	}
}

// report tells the active, from the standby, how far everything is on disk. What an alarm waits for is synced at once;
// plain samples wait for the next group commit. What the journal did not take is not reported.
func (c *committer) report(ctx context.Context, batch []*commitment, urgent bool, failed error) {
	var last *commitment
	var pos uint64
	for _, w := range batch {
		if w.flush {
			continue
		}
		last, pos = w, max(pos, w.pos)
	}
	if last == nil {
		return
	}
	c.owed = nil
	if last.active {
		return
	}
	c.setSlow(false)
	err := failed
	switch {
	case failed != nil:
	case urgent:
		err = c.store.Sync(ctx)
	case pos > 0:
		err = c.store.WaitDurable(ctx, pos)
	}
	if err != nil {
		c.owed = last
		return
	}
	c.pair.Durable(c.area, last.epoch, last.seq)
}

func (c *committer) broken() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failing
}
