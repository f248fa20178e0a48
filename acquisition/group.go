package acquisition

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"scada/acquisition/tag"
)

// FirstGood is the record of an activation: how long each device took to deliver its first values.
type FirstGood struct {
	Started time.Time
	Done    time.Time // when the last device had settled
	Devices []DeviceFirstGood
}

// DeviceFirstGood tells when a device had delivered all its first values, or why it did not.
type DeviceFirstGood struct {
	Device string
	At     time.Time
	Err    error // nil: good; else the device did not answer and the activation did not wait for it
}

// ErrRunning is the reason a Group refuses a second Run.
var ErrRunning = errors.New("acquisition is already running")

// ErrNoDevice is the reason for a device that no source has.
var ErrNoDevice = errors.New("no such device")

// Group runs the sources of one area, which may come and go while it runs. Its methods may be called from any goroutine.
type Group struct {
	onFirstGood func(FirstGood)

	mu       sync.Mutex
	members  []*member
	byDevice map[string]Source
	running  bool
	ctx      context.Context // of the present run
	end      context.CancelFunc
	failed   []error     // what ended it
	first    *activation // of the present run; kept after it ended
}

// NewGroup returns a group of sources. onFirstGood, which may be nil, is called once in each Run, when every device has
// delivered its first values or has turned out not to answer; it must not block.
func NewGroup(sources []Source, onFirstGood func(FirstGood)) (*Group, error) {
	g := &Group{byDevice: map[string]Source{}, onFirstGood: onFirstGood}
	return g, g.Add(sources...)
}

// Devices returns the names of all devices, source by source.
func (g *Group) Devices() []string {
	var names []string
	for _, s := range g.Sources() {
		names = append(names, s.Devices()...)
	}
	return names
}

// Run runs all sources until ctx ends or one of them fails for good, and returns when all have ended: from then on
// nothing of this group touches a device. The error is nil if ctx ended it.
func (g *Group) Run(ctx context.Context, to Publisher) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	devices := g.Devices()
	g.mu.Lock()
	if g.running {
		g.mu.Unlock()
		return ErrRunning
	}
	act := newActivation(to, devices, g.onFirstGood)
	g.running, g.first, g.ctx, g.end, g.failed = true, act, ctx, cancel, nil
	act.begin()
	for _, m := range g.members {
		g.start(m)
	}
	g.mu.Unlock()
	<-ctx.Done()

	g.mu.Lock()
	g.running = false // what is added from here on waits for the next run
	running := slices.Clone(g.members)
	g.mu.Unlock()
	for _, m := range running {
		if m.done != nil {
			<-m.done
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return errors.Join(g.failed...)
}

// Write does an operator write through the source that has the device.
func (g *Group) Write(ctx context.Context, device string, w Write) WriteResult {
	s, err := g.source(device)
	if err != nil {
		return WriteResult{Outcome: Refused, Err: err}
	}
	return s.Write(ctx, w)
}

// Probe is the standby's look at a device.
func (g *Group) Probe(ctx context.Context, device string) error {
	s, err := g.source(device)
	if err != nil {
		return err
	}
	return s.Probe(ctx, device)
}

// Status returns the state of every device, source by source.
func (g *Group) Status() []DeviceStatus {
	var all []DeviceStatus
	for _, s := range g.Sources() {
		all = append(all, s.Status()...)
	}
	return all
}

// FirstGood returns the record of the present or last Run so far; ok reports whether it is complete.
func (g *Group) FirstGood() (record FirstGood, ok bool) {
	g.mu.Lock()
	act := g.first
	g.mu.Unlock()
	if act == nil {
		return FirstGood{}, false
	}
	return act.snapshot()
}

// activation is the sink of one Run: it passes the samples on and keeps the record.
type activation struct {
	Publisher
	done func(FirstGood)

	mu      sync.Mutex
	record  FirstGood
	pending int
}

func newActivation(to Publisher, devices []string, done func(FirstGood)) *activation {
	a := &activation{Publisher: to, done: done, pending: len(devices)}
	a.record.Started = time.Now()
	for _, d := range devices {
		a.record.Devices = append(a.record.Devices, DeviceFirstGood{Device: d})
	}
	return a
}

// begin reports at once if there is no device to wait for.
func (a *activation) begin() {
	if a.pending == 0 {
		a.finish(a.record.Started)
	}
}

// Settled implements [Sink].
func (a *activation) Settled(device string, at time.Time, err error) {
	a.mu.Lock()
	i := slices.IndexFunc(a.record.Devices, func(d DeviceFirstGood) bool { return d.Device == device })
	if i < 0 || (!a.record.Devices[i].At.IsZero() && a.record.Devices[i].Err == nil) {
		a.mu.Unlock()
		return
	}
	fresh := a.record.Devices[i].At.IsZero()
	a.record.Devices[i].At, a.record.Devices[i].Err = at, err
	if fresh {
		a.pending--
	}
	last := fresh && a.pending == 0
	a.mu.Unlock()
	if last {
		a.finish(at)
	}
}

func (a *activation) finish(at time.Time) {
	a.mu.Lock()
	a.record.Done = at
	a.mu.Unlock()
	if a.done != nil {
		record, _ := a.snapshot()
		a.done(record)
	}
}

func (a *activation) snapshot() (FirstGood, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.record
	r.Devices = slices.Clone(r.Devices)
	return r, !r.Done.IsZero()
}

var _ Sink = (*activation)(nil)

// Discard is a Publisher that drops everything; device tests use it.
type Discard struct{}

// Publish implements [Publisher].
func (Discard) Publish([]tag.Update) {}
