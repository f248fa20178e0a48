package schedule

// Next starts the poll to do now and returns it, or nil if there is none before [Schedule.Deadline].
func (s *Schedule[T]) Next(now int64) *Job[T] {
	s.advance(now)
	best := s.pick(now)
	if best == nil {
		if len(s.active) == 0 && s.idle() {
			s.busy++ // nobody is waiting: who used how much no longer matters
		}
		return nil
	}
	u := best.unit
	best.probe = u.state != Healthy
	if best.probe {
		u.probing = true
	}
	if best.place == ready {
		u.drop(best)
	} else {
		s.waiting.remove(best)
	}
	best.catchUp(now)
	if best.probe {
		best.due = now
	}
	best.place, best.started, best.begun = running, now, true
	return best
}

func (s *Schedule[T]) idle() bool {
	for _, u := range s.units {
		if u.probing {
			return false
		}
	}
	return true
}

// pick returns the most urgent offer among the units that are not too far ahead.
func (s *Schedule[T]) pick(now int64) *Job[T] {
	least := int64(Never)
	kept := s.active[:0]
	for _, u := range s.active {
		if len(u.ready) == 0 && u.state == Healthy {
			u.queued = false
			continue
		}
		kept = append(kept, u)
		if u.period == s.busy && s.offer(u, now) != nil {
			least = min(least, u.used)
		}
	}
	clear(s.active[len(kept):])
	s.active = kept
	if least == Never {
		least = 0
	}
	var best *Job[T]
	for _, u := range s.active {
		j := s.offer(u, now)
		if j == nil {
			continue
		}
		if u.period != s.busy { // new in this busy period: no credit from having been idle
			u.period, u.used = s.busy, least
		}
		if u.used > least+int64(maxLead) {
			continue
		}
		if best == nil || s.sooner(j, best, now) {
			best = j
		}
	}
	return best
}

// sooner reports whether a is to be done before b.
func (s *Schedule[T]) sooner(a, b *Job[T], now int64) bool {
	if x, y := s.urgency(a, now), s.urgency(b, now); x != y {
		return x < y
	}
	return a.deadline() < b.deadline()
}

// urgency is the deadline of a job, or an earlier one while its first answer is awaited.
func (s *Schedule[T]) urgency(j *Job[T], now int64) int64 {
	if j.begun || now >= s.firstEnd {
		return j.deadline()
	}
	return min(j.deadline(), now+int64(slack))
}

// offer returns what a unit would do now: its most urgent poll, or if it is silent its probe.
func (s *Schedule[T]) offer(u *Unit[T], now int64) *Job[T] {
	if u.state == Healthy {
		return s.mostUrgent(u, now)
	}
	if u.probing || now < s.probeTime(u) {
		return nil
	}
	return u.probeJob()
}

func (s *Schedule[T]) mostUrgent(u *Unit[T], now int64) *Job[T] {
	if len(u.ready) == 0 {
		return nil
	}
	best := u.ready[0] // they are sorted by deadline
	if now >= s.firstEnd {
		return best
	}
	for _, j := range u.ready[1:] {
		if s.sooner(j, best, now) {
			best = j
		}
	}
	return best
}

// probeTime returns when a silent unit may be asked again.
func (s *Schedule[T]) probeTime(u *Unit[T]) int64 {
	if u.state == Demoted {
		return max(u.probeAt, s.budgetAt)
	}
	return u.probeAt
}

// probeJob returns the request that failed, while it is being repeated, and later the cheapest one.
func (u *Unit[T]) probeJob() *Job[T] {
	if u.state == Suspect && u.repeat != nil && u.repeat.place != running {
		return u.repeat
	}
	var best *Job[T]
	for _, j := range u.jobs {
		if j.place != running && (best == nil || j.size < best.size || j.size == best.size && j.period < best.period) {
			best = j
		}
	}
	return best
}

// Deadline returns when Next may have something, as far as time alone decides.
func (s *Schedule[T]) Deadline() int64 {
	at := int64(Never)
	if j := s.waiting.top(); j != nil {
		at = j.wake
	}
	for _, u := range s.active {
		if u.state == Healthy {
			if len(u.ready) > 0 {
				at = min(at, u.ready[0].wake)
			}
		} else if !u.probing {
			at = min(at, s.probeTime(u))
		}
	}
	return at
}

// Done ends a poll that Next has started. It returns the state of the unit before and after.
func (s *Schedule[T]) Done(j *Job[T], now int64, result Result) (before, after State) {
	u := j.unit
	before = u.state
	spent := now - max(j.started, s.lastDone)
	s.lastDone = now
	if u.period == s.busy {
		u.used += spent
	}
	if j.probe {
		u.probing, j.probe = false, false
		if u.state == Demoted && result == Silent && s.others(u) {
			s.budgetAt = now + spent*(probeShare-1)
		}
	}
	j.place = nowhere
	switch result {
	case Answered, Busy:
		s.restore(u, now)
	case Silent:
		s.fail(u, j, now)
	}
	if !j.gone {
		s.again(j, now, result)
	}
	return before, u.state
}

// again puts a finished poll back for its next slot.
func (s *Schedule[T]) again(j *Job[T], now int64, result Result) {
	switch {
	case result == Lost || j.unit.repeat == j:
		j.wake = now // the same slot again
	case result == Busy:
		j.catchUp(now)
		j.wake = min(j.slotAfter(now), now+int64(busyWait))
	default:
		j.catchUp(now)
		j.due = j.slotAfter(now)
		j.wake = j.due
	}
	s.wait(j)
}

// others reports whether a unit other than u is in use: a channel with nothing else to do may probe as it likes.
func (s *Schedule[T]) others(u *Unit[T]) bool {
	for _, o := range s.units {
		if o != u && o.state != Demoted && len(o.jobs) > 0 {
			return true
		}
	}
	return false
}

// restore takes a unit that has answered back into service, with all its polls due.
func (s *Schedule[T]) restore(u *Unit[T], now int64) {
	u.fails, u.repeat = 0, nil
	if u.state == Healthy {
		return
	}
	u.state, u.probeAt = Healthy, Never
	s.refresh(u, now)
}

// fail moves a unit that has not answered one step down the ladder.
func (s *Schedule[T]) fail(u *Unit[T], j *Job[T], now int64) {
	if j.started < u.failed {
		return // it was in flight together with the one that has been counted
	}
	u.fails++
	u.failed = now
	u.repeat = nil
	s.activate(u)
	if u.fails <= u.retries {
		u.state, u.probeAt = Suspect, now
		if !j.gone {
			u.repeat = j
		}
		return
	}
	u.state = Demoted
	u.probeAt = now + u.probeDelay(u.fails-u.retries)
}

// probeDelay doubles with each failure, up to a minute, and varies by a fifth so that silent units do not stay in step.
func (u *Unit[T]) probeDelay(n int) int64 {
	d := int64(lastProbe)
	if n < 7 {
		d = min(d, int64(firstProbe)<<(n-1))
	}
	part := d / probeJitter
	return d - part + int64(mix(u.hash+uint64(n))%uint64(2*part))
}
