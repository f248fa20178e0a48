package server

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"scada/acquisition"
)

const (
	probeEvery  = 5 * time.Second
	probeWithin = 2 * time.Second
	// laneWithin bounds one round over the devices of a channel: what a standby says of its reach must not be older than what
	// the health switch waits for.
	laneWithin = 4 * time.Second
)

// lookout looks, while the area is standby here, whether this node could reach the devices that permit it. A take-over by
// a node that cannot see the plant would help nobody.
type lookout struct {
	area    string
	log     *slog.Logger
	look    func(ctx context.Context, device string) error
	active  func() bool
	changed chan struct{} // the lanes are others

	mu     sync.Mutex
	lanes  [][]string       // the devices of one channel each: a channel does one thing at a time
	sights map[string]sight // what is known of each device; one that nobody has looked at yet is not here
}

// sight is what a standby knows of a device.
type sight uint8

const (
	unseen  sight = iota // nobody has looked yet
	reached              // by the last look, or by the polling that has just ended
	failed               // the same; it stays until a look succeeds
	stale                // it was reached, and the last round had no time for it
)

// lanes are the devices of each source that a standby may look at.
func lanes(sources []acquisition.Source, permitted map[string]bool) [][]string {
	var all [][]string
	for _, src := range sources {
		lane := slices.DeleteFunc(slices.Clone(src.Devices()), func(d string) bool { return !permitted[d] })
		if len(lane) > 0 {
			all = append(all, lane)
		}
	}
	return all
}

// run looks around until ctx ends.
func (l *lookout) run(ctx context.Context) error {
	for ctx.Err() == nil {
		round, cancel := context.WithCancel(ctx)
		var wg sync.WaitGroup
		l.mu.Lock()
		for _, lane := range l.lanes {
			wg.Go(func() { l.watch(round, lane) })
		}
		l.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-l.changed:
		}
		cancel()
		wg.Wait()
	}
	return nil
}

// change gives it other devices to look at; nothing is known of those that are there anew.
func (l *lookout) change(lanes [][]string, anew []string) {
	l.mu.Lock()
	l.lanes = lanes
	for _, d := range anew {
		delete(l.sights, d)
	}
	l.mu.Unlock()
	l.again()
}

// begin starts from what the polling found that has just ended, and looks at once.
func (l *lookout) begin(polled []acquisition.DeviceStatus) {
	l.mu.Lock()
	clear(l.sights)
	for _, d := range polled {
		l.sights[d.Device] = failed
		if answers(d.State) {
			l.sights[d.Device] = reached
		}
	}
	l.mu.Unlock()
	l.again()
}

// again begins a new round on all channels.
func (l *lookout) again() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// watch goes round the devices of one channel. A round that was too long is continued by the next.
func (l *lookout) watch(ctx context.Context, lane []string) {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for next := 0; ; {
		if !l.active() {
			next = l.round(ctx, lane, next)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// round looks at the devices from next on and returns where the following one begins.
func (l *lookout) round(ctx context.Context, lane []string, next int) int {
	began := time.Now()
	for i := range lane {
		at := (next + i) % len(lane)
		if l.active() || ctx.Err() != nil {
			return at
		}
		if time.Since(began) > laneWithin-probeWithin {
			l.postpone(lane, next+i, len(lane)-i)
			return at
		}
		l.probe(ctx, lane[at])
	}
	return next
}

func (l *lookout) probe(ctx context.Context, device string) {
	limited, cancel := context.WithTimeout(ctx, probeWithin)
	defer cancel()
	err := l.look(limited, device)
	if l.active() || ctx.Err() != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.sights[device]
	l.sights[device] = reached
	if err != nil {
		l.sights[device] = failed
	}
	switch {
	case err == nil && was == failed:
		l.log.Info("A device can be reached again from the standby", "area", l.area, "device", device)
	case err != nil && was != failed:
		l.log.Warn("A device cannot be reached from the standby", "area", l.area, "device", device, "error", err)
	}
}

// postpone notes that a round had no time for n devices of a lane. One that was reached may be lost since: nothing may
// follow from the old look. One that was not is lost until a look succeeds.
func (l *lookout) postpone(lane []string, from, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range n {
		if d := lane[(from+i)%len(lane)]; l.sights[d] != failed {
			l.sights[d] = stale
		}
	}
}

// sight is what is known of a device.
func (l *lookout) sight(device string) sight {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sights[device]
}

// probed are all devices it looks at.
func (l *lookout) probed() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Concat(l.lanes...)
}
