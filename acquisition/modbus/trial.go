package modbus

import (
	"slices"
	"time"

	goburrow "github.com/goburrow/modbus"

	"scada/acquisition"
)

// The bounds of one trial.
const (
	trialLength   = 400 * time.Millisecond
	trialAnswers  = 20_000 // how many times are kept
	trialTimeouts = 2      // after so many there is nothing more to learn
)

// trial is a measurement on its way: it keeps as many requests to a device in flight as it says. Polls and writes go
// first, and what the polls of that device bring counts too.
type trial struct {
	dev    *device
	pdu    goburrow.ProtocolDataUnit
	window int

	from, until int64 // schedule time
	before      acquisition.Counters
	times       []int64 // of the answers
	done        chan trialEnd
}

// trialEnd is what came of a trial.
type trialEnd struct {
	acquisition.Trial
	err error // it could not be made
}

func (t *trial) refuse(err error) { t.done <- trialEnd{err: err} }

// takeTrial begins the trial that waits.
func (s *session) takeTrial() {
	if s.trial != nil || s.leaving {
		return
	}
	s.c.mu.Lock()
	s.trial, s.c.trial = s.c.trial, nil
	if s.trial != nil {
		s.trial.before = s.trial.dev.status.Counters
		s.trial.before.Exceptions = map[uint8]uint64{0: exceptions(s.trial.before)}
	}
	s.c.mu.Unlock()
	if s.trial != nil {
		s.trial.from, s.trial.until = s.now, s.now+int64(trialLength)
	}
}

func exceptions(c acquisition.Counters) (sum uint64) {
	for _, n := range c.Exceptions {
		sum += n
	}
	return sum
}

// window is how many requests may be in flight.
func (s *session) window() int {
	if s.trial != nil {
		return s.trial.window
	}
	return s.c.window
}

// sendTrial puts one more request of the trial in flight; it reports false when there is none to send.
func (s *session) sendTrial() bool {
	if s.trial == nil || s.now >= s.trial.until {
		return false
	}
	s.transmit(s.trial.dev, nil, nil, s.trial.pdu, nil)
	return true
}

// tried counts an answer for the trial.
func (s *session) tried(t *tx) {
	if x := s.trial; x != nil && t.dev == x.dev && t.sent >= x.from && len(x.times) < trialAnswers {
		x.times = append(x.times, s.now-t.sent)
	}
}

// lookAtTrial ends the trial when its time is up or there is nothing more to learn.
func (s *session) lookAtTrial() {
	x := s.trial
	switch {
	case x == nil:
	case s.trialTimeouts() >= trialTimeouts, s.now >= x.until && !s.trialFlying(), len(x.times) >= trialAnswers:
		s.endTrial(false)
	}
}

func (s *session) trialFlying() bool {
	for i := range s.txs {
		if s.txs[i].busy && s.txs[i].isTrial() {
			return true
		}
	}
	return false
}

func (s *session) trialTimeouts() int {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return int(s.trial.dev.status.Counters.Timeouts - s.trial.before.Timeouts)
}

// endTrial hands over what was measured.
func (s *session) endTrial(lost bool) {
	x := s.trial
	if x == nil {
		return
	}
	s.trial = nil
	s.c.mu.Lock()
	n := x.dev.status.Counters
	r := acquisition.Trial{
		Window: x.window, Took: time.Duration(s.now - x.from), Answers: len(x.times), Timeouts: int(n.Timeouts - x.before.Timeouts),
		Malformed:  int(n.Malformed + n.Late - x.before.Malformed - x.before.Late),
		Exceptions: int(exceptions(n) - exceptions(x.before)), Lost: lost,
	}
	s.c.mu.Unlock()
	if slices.Sort(x.times); len(x.times) > 0 {
		r.P50, r.P99, r.Max = time.Duration(x.times[len(x.times)/2]), time.Duration(x.times[len(x.times)*99/100]), time.Duration(x.times[len(x.times)-1])
	}
	x.done <- trialEnd{Trial: r}
}

// refuseTrial refuses the trial that waits.
func (c *Channel) refuseTrial(err error) {
	c.mu.Lock()
	x := c.trial
	c.trial = nil
	c.mu.Unlock()
	if x != nil {
		x.refuse(err)
	}
}
