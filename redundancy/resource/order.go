package resource

import "time"

// operation is one of the steps a resource knows.
type operation uint8

const (
	opNone operation = iota
	opStart
	opStop
	opMonitor
)

// entry is what the order knows of one resource.
type entry struct {
	critical bool
	interval time.Duration

	phase    Phase
	reason   string
	since    time.Time // of the phase
	due      time.Time // of the next step
	tried    bool      // started once in this term: has to be stopped at its end
	dirty    bool      // a failed attempt has to be undone before the next
	failures int       // in a row
}

// order decides which step comes next. It has no clock: time comes in with each call. One step runs at a time.
type order struct{ entries []*entry }

// begin starts a term: everything waits for its start.
func (o *order) begin(now time.Time) {
	for _, e := range o.entries {
		*e = entry{critical: e.critical, interval: e.interval, phase: Waiting, since: now, due: now}
	}
}

// next returns the step to do and when: at once if the time has come. opNone means that there is nothing to do at all.
// Of several that are due, starts and the stops before them go before monitors: who waits for an address should not
// wait for a look at something else.
func (o *order) next(now time.Time) (int, operation, time.Time) {
	best, bestOp, at := -1, opNone, time.Time{}
	blocked := false // something before it has to work first
	for i, e := range o.entries {
		if blocked && e.phase != Up {
			continue
		}
		op := e.pending()
		due := maxTime(e.due, now)
		if best < 0 || due.Before(at) || due.Equal(at) && bestOp == opMonitor && op != opMonitor {
			best, bestOp, at = i, op, due
		}
		blocked = blocked || e.phase != Up && (e.critical || !e.tried)
	}
	return best, bestOp, at
}

func (e *entry) pending() operation {
	switch {
	case e.phase == Up:
		return opMonitor
	case e.dirty:
		return opStop
	}
	return opStart
}

// done takes in how a step ended and reports whether that is worth telling.
func (o *order) done(now time.Time, i int, op operation, err error) bool {
	e := o.entries[i]
	switch op {
	case opNone:
	case opStart:
		e.tried = true
		if err != nil {
			return e.fail(now, err, false)
		}
		e.dirty = false
		e.due = now.Add(e.interval)
		return e.become(now, Up, "")
	case opStop: // before another attempt; when it fails, the attempt is made all the same
		e.dirty = false
		e.due = now
	case opMonitor:
		if err != nil {
			return e.fail(now, err, e.failures == 0)
		}
		e.due = now.Add(e.interval)
		if now.Sub(e.since) >= steady {
			e.failures = 0
		}
	}
	return false
}

// fail plans the next attempt. The first failure of something that has worked is repaired at once.
func (e *entry) fail(now time.Time, err error, atOnce bool) bool {
	e.dirty = true
	e.failures++
	e.due = now
	if !atOnce {
		e.due = now.Add(retryAfter(e.failures))
	}
	return e.become(now, Failed, err.Error())
}

// become changes the phase and reports whether anything an operator sees has changed.
func (e *entry) become(now time.Time, p Phase, reason string) bool {
	if e.phase == p && e.reason == reason {
		return false
	}
	if e.phase != p {
		e.since = now
	}
	e.phase, e.reason = p, reason
	return true
}

// ended takes in how the last stop of a term ended and reports whether that is worth telling.
func (o *order) ended(now time.Time, i int, err error) bool {
	e := o.entries[i]
	e.dirty = false
	if err != nil {
		return e.become(now, StopFailed, err.Error())
	}
	return e.become(now, Stopped, "") && e.tried
}

// retryAfter is the delay before the next attempt after so many failures in a row.
func retryAfter(failures int) time.Duration {
	d := firstRetry
	for range failures - 1 {
		if d *= 2; d >= lastRetry {
			return lastRetry
		}
	}
	return d
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
