package witness

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"scada/redundancy/role"
	"scada/redundancy/witness/lease"
)

// cells are where a lease lives.
type cells interface {
	// exchange writes what the request says, if anything, and then reads everything. It returns when ctx ends.
	exchange(ctx context.Context, r lease.Request) (lease.Picture, error)
	// close ends what exchange left open.
	close()
}

// keeper keeps one lease.
type keeper struct {
	cells   cells
	wanted  func() bool
	timeout time.Duration
	start   time.Time
	log     *slog.Logger

	mu   sync.Mutex
	core *lease.Core
	news chan struct{} // closed and replaced after each exchange

	// Used by run alone: what was logged.
	held    bool
	problem bool
}

// now is the keeper's monotonic clock.
func (k *keeper) now() time.Duration { return time.Since(k.start) }

func (k *keeper) run(ctx context.Context) {
	defer k.cells.close()
	timer := time.NewTimer(time.Hour) // set at the end of each round
	defer timer.Stop()
	for ctx.Err() == nil {
		wanted := k.wanted()
		k.mu.Lock()
		r, due := k.core.Next(k.now(), wanted)
		k.mu.Unlock()
		if due {
			k.exchange(ctx, r)
		}
		k.tell()
		k.mu.Lock()
		timer.Reset(k.core.Deadline() - k.now())
		k.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
	}
}

func (k *keeper) exchange(ctx context.Context, r lease.Request) {
	within, cancel := context.WithTimeout(ctx, k.timeout)
	p, err := k.cells.exchange(within, r)
	cancel()
	k.mu.Lock()
	if err != nil {
		k.core.Failed(k.now())
	} else {
		k.core.Answered(k.now(), p)
	}
	close(k.news)
	k.news = make(chan struct{})
	k.mu.Unlock()
	if ctx.Err() != nil || k.problem == (err != nil) {
		return
	}
	k.problem = err != nil
	if err != nil {
		k.log.Warn("The witness does not answer", "error", err)
	} else {
		k.log.Info("The witness answers")
	}
}

// tell logs that the lease was gained or lost.
func (k *keeper) tell() {
	holds := k.holds()
	if holds == k.held {
		return
	}
	k.held = holds
	k.mu.Lock()
	epoch := k.core.Epoch()
	k.mu.Unlock()
	k.log.Info("The lease at the witness changed", "held", holds, "lease_epoch", epoch)
}

func (k *keeper) holds() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.core.Holds(k.now())
}

// ask waits for a sign of the peer that is newer than the question, or until it is sure that there is none to come. The
// first two pictures after the question may show what was written before it: the first was perhaps asked for earlier, and
// then does not show the peer's last write, which the second does.
func (k *keeper) ask(ctx context.Context) role.Verdict {
	before := uint64(0)
	for pictures := 0; ; pictures++ {
		k.mu.Lock()
		state, writes, news := k.core.Peer(k.now()), k.core.Writes(), k.news
		k.mu.Unlock()
		if pictures <= 2 {
			before = writes
		}
		switch {
		case state == lease.Idle:
			return role.PeerDead
		case state == lease.Working && writes != before:
			return role.PeerAlive
		}
		select {
		case <-news:
		case <-ctx.Done():
			if state == lease.Working { // it wrote shortly before the question; the next one will tell
				return role.PeerAlive
			}
			return role.Unknown
		}
	}
}
