package server

import (
	"context"
	"sync/atomic"
	"time"
)

// vigil notices that this process stood still: stopped, starved, or in a machine that was suspended. A node that slept
// past its lease may have been replaced meanwhile; until its role machine has found out, what its devices answer must
// not become alarms and history of a term that is over.
type vigil struct {
	base  time.Time
	limit time.Duration // standing still for longer is sleep
	doubt time.Duration // how long after it the role is in doubt

	last  atomic.Int64 // when somebody looked, since base
	until atomic.Int64 // end of the doubt
}

// newVigil takes the lease of the pair, and the time in which the role machine surely runs.
func newVigil(lease, heartbeat time.Duration) *vigil {
	return &vigil{base: time.Now(), limit: lease, doubt: 2 * heartbeat}
}

// awake reports whether the role can be relied on. Whoever looks first after a sleep notices it, for everybody.
func (v *vigil) awake() bool {
	at := int64(time.Since(v.base))
	if at-v.last.Load() > int64(v.limit) {
		v.until.Store(at + int64(v.doubt))
		v.last.Store(at)
		return false
	}
	v.last.Store(at)
	return at >= v.until.Load()
}

// run looks often enough that a pause of a waking process is never taken for sleep.
func (v *vigil) run(ctx context.Context) error {
	tick := time.NewTicker(max(v.limit/8, time.Millisecond))
	defer tick.Stop()
	for {
		v.awake()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
