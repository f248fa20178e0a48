package server

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"scada/alarms"
	"scada/history/journal"
	"scada/redundancy"
	"scada/web"
	"scada/web/api"
)

// paper is a journal that can be made to fail, and a pair whose standby confirms when it is told to.
type paper struct {
	mu       sync.Mutex
	broken   bool
	written  []journal.Entry
	confirms bool
	waited   int
	durable  uint64
}

var errDisk = errors.New("no space left on device")

func (p *paper) Append(entries ...journal.Entry) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken {
		return errDisk
	}
	p.written = append(p.written, entries...)
	return nil
}

func (p *paper) WaitDurable(ctx context.Context, _ string, _, _ uint64) (redundancy.Durability, error) {
	p.mu.Lock()
	confirms := p.confirms
	p.waited++
	p.mu.Unlock()
	if confirms {
		return redundancy.Durable, nil
	}
	<-ctx.Done()
	return redundancy.Solo, ctx.Err()
}

func (p *paper) Durable(_ string, _, seq uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.durable = seq
}

func (p *paper) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

type disk struct{}

func (disk) Sync(context.Context) error                { return nil }
func (disk) WaitDurable(context.Context, uint64) error { return nil }

func withCommitter(t *testing.T, f func(t *testing.T, c *committer, p *paper)) {
	synctest.Test(t, func(t *testing.T) {
		p := &paper{confirms: true}
		c := &committer{
			area: "main", log: slog.New(slog.DiscardHandler), journal: p, store: disk{}, pair: p, wake: make(chan struct{}, 1),
			alarms: web.NewFeed[api.AlarmChange](10), entries: web.NewFeed[api.JournalEntry](10),
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.run(ctx) }()
		f(t, c, p)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func numbered(n byte) []journal.Entry { return []journal.Entry{{Key: alarms.Key{n}, Time: int64(n)}} }

// TestJournalThatCannotBeWrittenLosesNothing: the entries wait, the operator is told, and the standby reports nothing it
// does not have.
func TestJournalThatCannotBeWrittenLosesNothing(t *testing.T) {
	withCommitter(t, func(t *testing.T, c *committer, p *paper) {
		p.set(func() { p.broken = true })
		own := c.add(commitment{active: true, seq: 1, entries: numbered(1)})
		if result, err := own.wait(t.Context()); result != redundancy.Solo || !errors.Is(err, errDisk) {
			t.Errorf("%v, %v", result, err)
		}
		mirrored := c.add(commitment{epoch: 2, seq: 7, entries: numbered(2)})
		if _, err := mirrored.wait(t.Context()); !errors.Is(err, errDisk) {
			t.Error(err)
		}
		if err := c.flush(t.Context()); !errors.Is(err, errDisk) {
			t.Errorf("flush says %v", err)
		}
		if !c.broken() || p.durable != 0 {
			t.Errorf("broken %v, reported up to %d", c.broken(), p.durable)
		}
		p.set(func() { p.broken = false })
		time.Sleep(2 * rewriteEvery)
		synctest.Wait()
		p.set(func() {
			if len(p.written) != 2 || p.written[0].Key != (alarms.Key{1}) || p.durable != 7 {
				t.Errorf("written %v, reported up to %d", p.written, p.durable)
			}
		})
		if c.broken() {
			t.Error("still broken")
		}
	})
}

func TestUnwrittenEntriesAreBounded(t *testing.T) {
	withCommitter(t, func(t *testing.T, c *committer, p *paper) {
		p.set(func() { p.broken = true })
		_, _ = c.add(commitment{entries: make([]journal.Entry, maxUnwritten)}).wait(t.Context())
		_, _ = c.add(commitment{entries: numbered(9)}).wait(t.Context())
		p.set(func() { p.broken = false })
		if err := c.flush(t.Context()); err != nil {
			t.Error(err)
		}
		p.set(func() {
			if n := len(p.written); n != maxUnwritten || p.written[n-1].Key != (alarms.Key{9}) {
				t.Errorf("%d entries", n)
			}
		})
	})
}

// TestSlowStandbyDelaysOneAlarmOnly: after the first wait in vain the others are shown at once, until it has caught up.
func TestSlowStandbyDelaysOneAlarmOnly(t *testing.T) {
	withCommitter(t, func(t *testing.T, c *committer, p *paper) {
		p.set(func() { p.confirms = false })
		for n, want := range []time.Duration{confirmWithin, 0, 0} {
			began := time.Now()
			result, err := c.add(commitment{active: true, seq: uint64(n + 1), entries: numbered(byte(n))}).wait(t.Context())
			if took := time.Since(began); result != redundancy.Solo || err != nil || took != want {
				t.Errorf("alarm %d: %v, %v after %s, want %s", n, result, err, took, want)
			}
		}
		if !c.slow() {
			t.Error("nobody is told")
		}
		p.set(func() { p.confirms = true })
		if result, err := c.add(commitment{active: true, seq: 9, entries: numbered(9)}).wait(t.Context()); result != redundancy.Durable || err != nil || c.slow() {
			t.Errorf("%v, %v", result, err)
		}
	})
}

// TestNewTermWaitsAfresh: that the standby was slow in the last term says nothing of the present one.
func TestNewTermWaitsAfresh(t *testing.T) {
	withCommitter(t, func(t *testing.T, c *committer, p *paper) {
		p.set(func() { p.confirms = false })
		_, _ = c.add(commitment{active: true, epoch: 1, seq: 900, entries: numbered(1)}).wait(t.Context())
		p.set(func() { p.confirms = true })
		if result, err := c.add(commitment{active: true, epoch: 3, seq: 1, entries: numbered(2)}).wait(t.Context()); result != redundancy.Durable || err != nil || c.slow() {
			t.Errorf("%v, %v", result, err)
		}
	})
}

// TestPlainSamplesDoNotPileUp: while the disk is slow the positions of samples are one commitment, not thousands.
func TestPlainSamplesDoNotPileUp(t *testing.T) {
	c := &committer{wake: make(chan struct{}, 1)}
	for seq := range uint64(1000) {
		c.add(commitment{epoch: 1, seq: seq, pos: seq})
	}
	if n := len(c.pending); n != 1 || c.pending[0].seq != 999 || c.pending[0].pos != 999 {
		t.Errorf("%d commitments", n)
	}
}

// TestLastEntriesAreWrittenAtTheEnd: what is handed over just before the end is written.
func TestLastEntriesAreWrittenAtTheEnd(t *testing.T) {
	for range 200 {
		p := &paper{confirms: true}
		c := &committer{area: "main", journal: p, store: disk{}, pair: p, wake: make(chan struct{}, 1),
			alarms: web.NewFeed[api.AlarmChange](10), entries: web.NewFeed[api.JournalEntry](10)}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.run(ctx) }()
		c.add(commitment{active: true, seq: 1, entries: numbered(1)})
		cancel()
		if err := <-done; err != nil || len(p.written) != 1 {
			t.Fatalf("%v, %d entries", err, len(p.written))
		}
	}
}
