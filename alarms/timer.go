package alarms

// timers is a binary heap of the conditions that have a timer, by due time and then by their place in the configuration.
type timers []*condition

func (q timers) before(i, j int) bool {
	if q[i].due != q[j].due {
		return q[i].due < q[j].due
	}
	return q[i].index < q[j].index
}

func (q timers) swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].heapAt, q[j].heapAt = i, j
}

func (q timers) up(i int) {
	for i > 0 && q.before(i, (i-1)/2) {
		q.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
}

func (q timers) down(i int) {
	for {
		least := i
		for _, child := range [2]int{2*i + 1, 2*i + 2} {
			if child < len(q) && q.before(child, least) {
				least = child
			}
		}
		if least == i {
			return
		}
		q.swap(i, least)
		i = least
	}
}

// schedule puts the condition at the place of its earliest timer.
func (e *Engine) schedule(c *condition) {
	due := c.nextDue()
	if due == c.due {
		return
	}
	c.due = due
	switch {
	case due == 0:
		last := len(e.queue) - 1
		i := c.heapAt
		e.queue.swap(i, last)
		e.queue = e.queue[:last]
		c.heapAt = -1
		if i < last {
			e.queue.up(i)
			e.queue.down(i)
		}
	case c.heapAt < 0:
		c.heapAt = len(e.queue)
		e.queue = append(e.queue, c)
		e.queue.up(c.heapAt)
	default:
		e.queue.up(c.heapAt)
		e.queue.down(c.heapAt)
	}
}

// nextDue is the earliest timer of the condition, 0 for none. It follows from the image alone.
func (c *condition) nextDue() int64 {
	due := earliest(c.operatorDue(), 0)
	if c.Held {
		return due
	}
	return earliest(due, earliest(c.delayDue(), c.idleDue()))
}

func earliest(a, b int64) int64 {
	if a == 0 || (b != 0 && b < a) {
		return b
	}
	return a
}

// operatorDue is the earliest of the timers that need no process value: end of shelving and re-alarm.
func (c *condition) operatorDue() int64 { return earliest(c.ShelvedUntil, c.RealarmAt) }

// delayDue is when the first of the running on- and off-delays ends.
func (c *condition) delayDue() int64 {
	var due int64
	for i := range c.Limits {
		s := &c.Limits[i]
		switch {
		case s.Active && s.Offset != 0:
			due = earliest(due, s.Offset+c.limits[i].off)
		case !s.Active && s.Onset != 0:
			due = earliest(due, s.Onset+c.limits[i].on)
		}
	}
	return due
}

// idleDue is when a rate counts as zero because no sample came: an unchanged value on a link that reports changes.
func (c *condition) idleDue() int64 {
	if c.def.Type != TypeRoc || c.Idle || c.main.RefAt == 0 {
		return 0
	}
	for i := range c.Limits {
		if s := &c.Limits[i]; s.Active || s.Onset != 0 {
			return c.main.RefAt + int64(c.def.MaxGap)
		}
	}
	return 0
}

// Deadline returns when [Engine.Advance] must be called next; false means not before the next sample or command.
func (e *Engine) Deadline() (int64, bool) {
	due := e.due()
	return due, due != 0
}

// due is the earliest timer of all, 0 for none.
func (e *Engine) due() int64 {
	if len(e.queue) == 0 {
		return e.floodDue()
	}
	return earliest(e.queue[0].due, e.floodDue())
}

// Advance fires the timers due up to now, each at its own instant.
func (e *Engine) Advance(now int64) Outcome {
	e.setBackFlood(now)
	e.advance(now)
	return e.take()
}

func (e *Engine) advance(until int64) {
	e.until = until
	for at := e.due(); at != 0 && at <= until; at = e.due() {
		for len(e.queue) > 0 && e.queue[0].due == at {
			c := e.queue[0]
			e.fire(c, at)
			e.schedule(c)
		}
		e.ebb(at)
		e.settle(at)
	}
}

// fire does everything of the condition that is due: process first, then what the operator asked for.
func (e *Engine) fire(c *condition, at int64) {
	if !c.Held {
		if due := c.idleDue(); due != 0 && due <= at {
			c.Idle = true
			e.touch(c)
			e.mind(c, 0, at, false)
		}
		e.ripen(c, at, gap{})
	}
	e.fireOperator(c, at)
}

func (e *Engine) fireOperator(c *condition, at int64) {
	if c.ShelvedUntil != 0 && c.ShelvedUntil <= at {
		e.unshelve(c, at)
	}
	if c.RealarmAt != 0 && c.RealarmAt <= at {
		e.realarm(c, at)
	}
}
