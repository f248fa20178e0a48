package resource

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// cleanLimit bounds the cleaning of one resource.
const cleanLimit = 2 * time.Second

// Options is what a [Manager] is made of.
type Options struct {
	Items []Item
	// Event is told every change, by the goroutine of Run. Optional.
	Event func(Event)
	// Log defaults to silence.
	Log *slog.Logger
}

// Manager runs the resources of one area.
type Manager struct {
	items []Item
	event func(Event)
	log   *slog.Logger
	stuck []chan error // of a step that was given up, nil if there is none

	mu    sync.Mutex
	order order
}

// New returns a manager; nothing is started.
func New(o Options) *Manager {
	m := &Manager{items: o.Items, event: o.Event, log: o.Log, stuck: make([]chan error, len(o.Items))}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	if m.event == nil {
		m.event = func(Event) {}
	}
	for _, it := range o.Items {
		m.order.entries = append(m.order.entries, &entry{critical: it.Critical, interval: it.Interval})
	}
	return m
}

// Run starts the resources in order and keeps them running until ctx ends; then it stops them in reverse and returns.
// Stopping takes at most the sum of the stop limits, and [Grace] for each step that hangs. It must not run twice at the
// same time.
func (m *Manager) Run(ctx context.Context) {
	m.locked(func() { m.order.begin(time.Now()) })
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil && len(m.items) > 0 {
		var i int
		var op operation
		var at time.Time
		m.locked(func() { i, op, at = m.order.next(time.Now()) })
		if wait := time.Until(at); wait > 0 {
			timer.Reset(wait)
			select {
			case <-ctx.Done():
			case <-timer.C:
			}
			continue
		}
		m.advance(ctx, i, op)
	}
	m.stopAll()
}

// advance does one step and takes in how it ended. A step that the end of the role has cut short is no failure.
func (m *Manager) advance(ctx context.Context, i int, op operation) {
	err := m.step(ctx, i, op)
	if op == opStop && err != nil {
		m.log.Warn("A resource could not be stopped before its next start", "resource", m.items[i].Name, "error", err)
	}
	if ctx.Err() != nil && err != nil {
		m.locked(func() { m.order.entries[i].tried = true })
		return
	}
	var tell bool
	m.locked(func() { tell = m.order.done(time.Now(), i, op, err) })
	if tell {
		m.tell(i)
	}
}

// stopAll stops, last first, whatever was started or half started.
func (m *Manager) stopAll() {
	for i := range slices.Backward(m.items) {
		var tried bool
		m.locked(func() { tried = m.order.entries[i].tried })
		var err error
		if tried {
			err = m.step(context.Background(), i, opStop)
		}
		var tell bool
		m.locked(func() { tell = m.order.ended(time.Now(), i, err) })
		if tell {
			m.tell(i)
		}
	}
}

// step runs one step within its limit and gives it up when it does not end then.
func (m *Manager) step(ctx context.Context, i int, op operation) error {
	it := m.items[i]
	do, limit := it.Resource.Monitor, it.Limits.Monitor
	switch op {
	case opStart:
		do, limit = it.Resource.Start, it.Limits.Start
	case opStop:
		do, limit = it.Resource.Stop, it.Limits.Stop
	case opMonitor, opNone:
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if m.stuck[i] != nil {
		select {
		case err := <-m.stuck[i]:
			m.stuck[i] = nil
			m.log.Info("A step that hung has ended", "resource", it.Name, "error", err)
		case <-ctx.Done():
			return ErrStuck
		}
	}
	ended := make(chan error, 1)
	go func() { ended <- do(ctx) }()
	select {
	case err := <-ended:
		return overdue(ctx, err, limit)
	case <-ctx.Done():
	}
	select {
	case err := <-ended:
		return overdue(ctx, err, limit)
	case <-time.After(Grace):
		m.stuck[i] = ended
		return fmt.Errorf("no end %s after the limit of %s: %w", Grace, limit, ErrStuck)
	}
}

// overdue says of a step that failed because its time was over that this was so.
func overdue(ctx context.Context, err error, limit time.Duration) error {
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("not done within %s: %w", limit, err)
	}
	return err
}

// tell logs and reports the present phase of a resource.
func (m *Manager) tell(i int) {
	it := m.items[i]
	var e Event
	m.locked(func() {
		e = Event{Resource: it.Name, Critical: it.Critical, Phase: m.order.entries[i].phase, Reason: m.order.entries[i].reason}
	})
	level := slog.LevelInfo
	if e.Phase == Failed || e.Phase == StopFailed {
		level = slog.LevelError
	}
	m.log.Log(context.Background(), level, "A resource changed", "resource", e.Resource, "phase", e.Phase.String(), "critical", e.Critical, "reason", e.Reason)
	m.event(e)
}

// Clean removes what an earlier process of this node left behind, and returns the names of the resources of which
// there was anything. It must not be called while Run is running.
func (m *Manager) Clean(ctx context.Context) ([]string, error) {
	var found []string
	var errs []error
	for _, it := range m.items {
		c, ok := it.Resource.(Cleaner)
		if !ok {
			continue
		}
		within, cancel := context.WithTimeout(ctx, cleanLimit)
		left, err := c.Clean(within)
		cancel()
		if err != nil {
			errs = append(errs, fmt.Errorf("cleaning resource %s: %w", it.Name, err))
			continue
		}
		if left {
			found = append(found, it.Name)
			m.log.Warn("What an earlier run left behind was removed", "resource", it.Name)
		}
	}
	return found, errors.Join(errs...)
}

// Status returns the resources in order.
func (m *Manager) Status() []Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]Status, len(m.items))
	for i, e := range m.order.entries {
		out[i] = Status{Name: m.items[i].Name, Critical: e.critical, Phase: e.phase, Reason: e.reason, Since: e.since}
	}
	return out
}

// Faults says which critical resources do not work, one short text each.
func (m *Manager) Faults() []string {
	var out []string
	for _, s := range m.Status() {
		if s.Critical && (s.Phase == Failed || s.Phase == StopFailed) {
			out = append(out, fmt.Sprintf("resource %s %s: %s", s.Name, s.Phase, s.Reason))
		}
	}
	return out
}

func (m *Manager) locked(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}
