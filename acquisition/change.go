package acquisition

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// member is a source of a group; the group's mutex guards its fields.
type member struct {
	source Source
	cancel context.CancelFunc // nil: not running
	done   chan struct{}      // closed when its present run has ended
}

// start runs a source in a goroutine of its own. The mutex is held and the group runs.
func (g *Group) start(m *member) {
	ctx, cancel := context.WithCancel(g.ctx)
	m.cancel, m.done = cancel, make(chan struct{})
	act, end := g.first, g.end
	go func() {
		defer close(m.done)
		if err := m.source.Run(ctx, act); err != nil {
			g.mu.Lock()
			g.failed = append(g.failed, fmt.Errorf("source of %v: %w", m.source.Devices(), err))
			g.mu.Unlock()
			end()
		}
	}()
}

// Remove takes sources out of the group and returns when nothing of them touches a device any more; the others go on. A
// device that had not settled yet is not waited for.
func (g *Group) Remove(sources ...Source) {
	g.mu.Lock()
	var ended []*member
	act := g.first
	g.members = slices.DeleteFunc(g.members, func(m *member) bool {
		if !slices.Contains(sources, m.source) {
			return false
		}
		ended = append(ended, m)
		for _, name := range m.source.Devices() {
			delete(g.byDevice, name)
		}
		if m.cancel != nil {
			m.cancel()
		}
		return true
	})
	g.mu.Unlock()
	for _, m := range ended {
		if m.done != nil {
			<-m.done
		}
		if act != nil {
			act.forget(m.source.Devices())
		}
	}
}

// Add puts sources into the group, at once running when it runs. On an error nothing was added.
func (g *Group) Add(sources ...Source) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	seen := map[string]bool{}
	for _, s := range sources {
		for _, name := range s.Devices() {
			if g.byDevice[name] != nil || seen[name] {
				return fmt.Errorf("device %q is on two sources", name)
			}
			seen[name] = true
		}
	}
	for _, s := range sources {
		m := &member{source: s}
		g.members = append(g.members, m)
		for _, name := range s.Devices() {
			g.byDevice[name] = s
		}
		if g.running {
			g.start(m)
		}
	}
	return nil
}

// Sources returns the sources of the group.
func (g *Group) Sources() []Source {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := make([]Source, len(g.members))
	for i, m := range g.members {
		list[i] = m.source
	}
	return list
}

// source returns the source that has a device.
func (g *Group) source(device string) (Source, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s := g.byDevice[device]; s != nil {
		return s, nil
	}
	return nil, fmt.Errorf("device %q: %w", device, ErrNoDevice)
}

// forget settles devices that have left, so that the record of the activation is completed without them.
func (a *activation) forget(devices []string) {
	for _, d := range devices {
		a.mu.Lock()
		i := slices.IndexFunc(a.record.Devices, func(r DeviceFirstGood) bool { return r.Device == d && r.At.IsZero() })
		a.mu.Unlock()
		if i >= 0 {
			a.Settled(d, time.Now(), errRemoved)
		}
	}
}

var errRemoved = errors.New("the device was taken out of the configuration, or changed")
