package server

import (
	"context"
	"sync"
	"time"
)

const (
	lateEvery = 100 * time.Millisecond
	// lateFor is how long a late turn is remembered.
	lateFor  = 10 * time.Second
	lateLast = 20 // the worst of so many half seconds
)

// lateness measures how late this process gets its turn: a pair on machines that are too busy for its heartbeat switches
// without a fault, and somebody should know before.
type lateness struct {
	limit time.Duration // half the time after which the peer is taken for dead

	mu    sync.Mutex
	slots [lateLast]time.Duration
	at    [lateLast]int64 // number of the half second
}

func newLateness(take time.Duration) *lateness { return &lateness{limit: take / 2} }

func (l *lateness) run(ctx context.Context) error {
	tick := time.NewTicker(lateEvery)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now := time.Now()
		l.note(now, now.Sub(last)-lateEvery)
		last = now
	}
}

// note takes in that a turn was late.
func (l *lateness) note(now time.Time, late time.Duration) {
	n := now.UnixNano() / int64(lateFor/lateLast)
	i := n % lateLast
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at[i] != n {
		l.at[i], l.slots[i] = n, 0
	}
	l.slots[i] = max(l.slots[i], late)
}

// worst returns the latest turn of the last ten seconds.
func (l *lateness) worst(now time.Time) time.Duration {
	n := now.UnixNano() / int64(lateFor/lateLast)
	l.mu.Lock()
	defer l.mu.Unlock()
	var worst time.Duration
	for i, slot := range l.slots {
		if n-l.at[i] < lateLast {
			worst = max(worst, slot)
		}
	}
	return worst
}
