// Package system makes the pair itself a device: an [acquisition.Source] whose tags are facts of the nodes, of the paths
// between them, of the devices and the applications. So a lost path or a device that does not answer is a tag like any
// other, with alarms, history and trends, and appears wherever tags do.
package system

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"scada/acquisition"
	"scada/acquisition/tag"
)

// maxText is how much of a list of reasons becomes the value of a tag, in bytes.
const maxText = 1024

// Facts is the system at one moment.
type Facts interface {
	// Fact returns what is asked for, of the type ParseAddress tells; false when it is not known.
	Fact(a Address) (tag.Value, bool)
}

// Options is what a source needs.
type Options struct {
	Device string           // name it is shown under
	Tags   []tag.Definition // with addresses that ParseAddress reads
	Look   func() Facts
}

// Source reads facts in the slots of the scan classes of its tags.
type Source struct {
	device string
	items  []item
	period time.Duration // the greatest that all slots are multiples of
	look   func() Facts

	mu    sync.Mutex
	state acquisition.DeviceStatus
}

type item struct {
	id      tag.ID
	address Address
	period  time.Duration
	last    int64 // time of the newest sample: the next is later
}

// New checks the addresses.
func New(o Options) (*Source, error) {
	s := &Source{device: o.Device, look: o.Look}
	for _, def := range o.Tags {
		a, _, err := ParseAddress(def.Address)
		if err != nil {
			return nil, fmt.Errorf("tag %s: %w", def.Name, err)
		}
		if def.ScanPeriod <= 0 {
			return nil, fmt.Errorf("tag %s has no scan class", def.Name)
		}
		s.items = append(s.items, item{id: def.ID, address: a, period: def.ScanPeriod})
		s.period = divisor(s.period, def.ScanPeriod)
	}
	s.state = acquisition.DeviceStatus{Device: s.device, Endpoint: "system", Tags: len(s.items), Blocks: 1, Since: time.Now()}
	return s, nil
}

func divisor(a, b time.Duration) time.Duration {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// Devices implements [acquisition.Source].
func (s *Source) Devices() []string { return []string{s.device} }

// Status implements [acquisition.Source].
func (s *Source) Status() []acquisition.DeviceStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return []acquisition.DeviceStatus{s.state}
}

// Write implements [acquisition.Source]: facts cannot be written.
func (s *Source) Write(context.Context, acquisition.Write) acquisition.WriteResult {
	return acquisition.WriteResult{Outcome: acquisition.Refused, Err: fmt.Errorf("device %s: the system tells, it takes no values", s.device)}
}

// Probe implements [acquisition.Source]: there is nothing that could be out of reach.
func (s *Source) Probe(context.Context, string) error { return nil }

// Run implements [acquisition.Source].
func (s *Source) Run(ctx context.Context, sink acquisition.Sink) error {
	s.setState(acquisition.Good)
	defer s.setState(acquisition.Stopped)
	s.read(time.Now(), func(time.Duration) bool { return true }, sink)
	sink.Settled(s.device, time.Now(), nil)
	if len(s.items) == 0 {
		<-ctx.Done()
		return nil
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		next := time.Now().Truncate(s.period).Add(s.period)
		timer.Reset(time.Until(next))
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		s.read(next, func(period time.Duration) bool { return next.Truncate(period).Equal(next) }, sink)
	}
}

// read publishes the facts whose period is due.
func (s *Source) read(at time.Time, due func(period time.Duration) bool, sink acquisition.Sink) {
	var batch []tag.Update
	var now Facts // one picture for all
	for i := range s.items {
		x := &s.items[i]
		if !due(x.period) {
			continue
		}
		if now == nil {
			now = s.look()
		}
		x.last = max(at.UnixNano(), x.last+1)
		batch = append(batch, tag.Update{Tag: x.id, Sample: sample(now, x.address, x.last)})
	}
	if len(batch) == 0 {
		return
	}
	sink.Publish(batch)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.Counters.Requests++
	s.state.Counters.Answers++
	s.state.LastGood = time.Now()
}

func sample(facts Facts, a Address, at int64) tag.Sample {
	v, known := facts.Fact(a)
	if !known {
		return tag.Sample{Time: at, Quality: tag.BadNoCommunication}
	}
	if v.Type() == tag.TypeString && len(v.Text()) > maxText {
		v = tag.String(strings.ToValidUTF8(v.Text()[:maxText], ""))
	}
	return tag.Sample{Time: at, Value: v, Quality: tag.Good}
}

func (s *Source) setState(state acquisition.State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.State, s.state.Since = state, time.Now()
}
