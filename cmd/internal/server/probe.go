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

	mu      sync.Mutex
	lanes   [][]string      // the devices of one channel each: a channel does one thing at a time
	reached map[string]bool // what the last look at a device found; without one it is not here
}

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
		delete(l.reached, d)
	}
	l.mu.Unlock()
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
		if l.active() {
			l.forget(lane)
		} else {
			next = l.round(ctx, lane, next)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// round looks at the devices from next on and returns where the following one begins. What there was no time for is not
// known to be reached.
func (l *lookout) round(ctx context.Context, lane []string, next int) int {
	began := time.Now()
	for i := range lane {
		at := (next + i) % len(lane)
		if l.active() || ctx.Err() != nil {
			return at
		}
		if time.Since(began) > laneWithin-probeWithin {
			for ; i < len(lane); i++ {
				j := (next + i) % len(lane)
				l.forget(lane[j : j+1])
			}
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
	was, known := l.reached[device]
	l.reached[device] = err == nil
	switch {
	case err == nil && known && !was:
		l.log.Info("A device can be reached again from the standby", "area", l.area, "device", device)
	case err != nil && (!known || was):
		l.log.Warn("A device cannot be reached from the standby", "area", l.area, "device", device, "error", err)
	}
}

func (l *lookout) forget(devices []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range devices {
		delete(l.reached, d)
	}
}

// reaches reports whether this standby reached the device when it last looked, and whether it looked at all.
func (l *lookout) reaches(device string) (reached, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	reached, known = l.reached[device]
	return reached, known
}

// probed are all devices it looks at.
func (l *lookout) probed() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Concat(l.lanes...)
}
