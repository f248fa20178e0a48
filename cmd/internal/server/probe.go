package server

import (
	"context"
	"slices"
	"time"
)

const (
	probeEvery  = 5 * time.Second
	probeWithin = 2 * time.Second
)

// probe looks, while the area is standby here, whether this node could reach the devices that permit it. A take-over by
// a node that cannot see the plant would help nobody.
func (a *area) probe(ctx context.Context) error {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		for _, device := range a.probed {
			if a.isActive() {
				break
			}
			a.probeOne(ctx, device)
		}
	}
}

func (a *area) probeOne(ctx context.Context, device string) {
	ctx, cancel := context.WithTimeout(ctx, probeWithin)
	defer cancel()
	err := a.group.Probe(ctx, device)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.active || a.unreachable[device] == (err != nil) {
		return
	}
	if a.unreachable == nil {
		a.unreachable = map[string]bool{}
	}
	if err == nil {
		delete(a.unreachable, device)
		a.log.Info("A device can be reached again from the standby", "area", a.name, "device", device)
		return
	}
	a.unreachable[device] = true
	a.log.Warn("A device cannot be reached from the standby", "area", a.name, "device", device, "error", err)
}

// lostDevices are the devices this standby could not poll, in order of name.
func (a *area) lostDevices() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var lost []string
	for device := range a.unreachable {
		lost = append(lost, device)
	}
	slices.Sort(lost)
	return lost
}
