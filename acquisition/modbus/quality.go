package modbus

import (
	"time"

	"scada/acquisition"
	"scada/acquisition/tag"
)

// How long a value may be overdue: staleFactor periods and the time-out, looked at every staleEvery.
const (
	staleFactor = 3
	staleEvery  = time.Second
)

// note keeps the last error of a device for people.
func (s *session) note(d *device, err error) {
	text := err.Error()
	s.c.mu.Lock()
	d.status.LastError, d.status.LastErrorAt = text, time.Unix(0, s.wall)
	s.c.mu.Unlock()
}

func (c *Channel) count(d *device, add func(*acquisition.Counters)) {
	c.mu.Lock()
	add(&d.status.Counters)
	c.mu.Unlock()
}

func (s *session) setState(d *device, state acquisition.State) {
	s.c.mu.Lock()
	if d.status.State != state {
		d.status.State, d.status.Since = state, time.Unix(0, s.wall)
	}
	s.c.mu.Unlock()
}

// requalify publishes the points for which change returns another quality than they have, with the present time: that
// is when the value stopped being what its quality said.
func (s *session) requalify(d *device, indexes func(yield func(int) bool), change func(tag.Sample) tag.Quality) {
	s.publishHeld()
	batch := s.batch[:0]
	for i := range indexes {
		last := tag.Sample{Time: s.wall, Value: d.last.value(i), Quality: d.last.known[i].quality}
		if q := change(last); q != last.Quality {
			last.Quality, d.last.known[i].quality = q, q
			batch = append(batch, tag.Update{Tag: d.points[i].id, Sample: last})
		}
	}
	s.batch = batch
	if len(batch) > 0 {
		s.sink.Publish(batch)
	}
}

func (d *device) all(yield func(int) bool) {
	for i := range d.points {
		if !yield(i) {
			return
		}
	}
}

func (p *poll) all(yield func(int) bool) {
	for _, c := range p.block.Cuts {
		if !yield(c.Index) {
			return
		}
	}
}

// mark gives all values of a block a quality.
func (s *session) mark(p *poll, q tag.Quality) {
	s.requalify(p.dev, p.all, func(tag.Sample) tag.Quality { return q })
}

// markRefused marks the values the device has refused one by one.
func (s *session) markRefused(d *device) {
	for _, p := range d.polls {
		if p.block.Refused {
			p.seen = true
			s.mark(p, tag.BadConfigurationError)
		}
	}
}

// unreachable is the quality of a value that cannot be read: usable with care if there is one. What the device itself
// has refused stays refused.
func unreachable(last tag.Sample) tag.Quality {
	switch {
	case last.Quality == tag.BadConfigurationError:
		return last.Quality
	case last.Value.IsNone():
		return tag.BadNoCommunication
	case last.Quality.IsBad() && last.Quality != tag.BadNoCommunication:
		return last.Quality
	}
	return tag.UncertainNoCommunicationLastUsable
}

// blockLost marks the values of one request as not reached.
func (s *session) blockLost(p *poll) { s.requalify(p.dev, p.all, unreachable) }

// deviceLost marks all values of a device as not reached, and reports it if it has not been heard in this run.
func (s *session) deviceLost(d *device, err error) {
	if !d.lost {
		d.lost = true
		s.requalify(d, d.all, unreachable)
	}
	if !d.reported {
		d.reported = true
		s.sink.Settled(d.cfg.Name, time.Unix(0, s.wall), err)
	}
}

// lookForStale marks the values of polls that have been overdue too long although the device answers: the channel has
// more to do than it can.
func (s *session) lookForStale() {
	if s.now < s.staleAt {
		return
	}
	s.staleAt = s.now + int64(staleEvery)
	for _, d := range s.c.devices {
		if d.lost {
			continue
		}
		for _, p := range d.polls {
			if p.good == 0 || s.now-p.good <= staleFactor*int64(p.block.Period)+int64(d.timeout) {
				continue
			}
			s.requalify(d, p.all, func(last tag.Sample) tag.Quality {
				if last.Quality.IsGood() || last.Quality == tag.UncertainEngineeringUnitsExceeded {
					return tag.UncertainLastUsableValue
				}
				return last.Quality
			})
		}
	}
}
