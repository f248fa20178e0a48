// Package schedule decides what a channel does next: which poll is due, which unit's turn it is, and which unit is
// silent and only looked at now and then.
//
// A poll has slots at fixed instants, the multiples of its period plus a phase that depends on the unit's name alone,
// so two nodes poll on the same grid and a thousand units do not poll at once. A slot that cannot be kept is counted
// and dropped, never queued. Among polls that are due the one with the earliest deadline goes first, but a unit that
// has used much more of the channel's time than the others waits until they have caught up.
//
// For a moment after connecting, a poll that was never made goes before those that are due again, so that every value is
// known soon; a poll that would miss its slot by that still goes before it.
//
// A unit that does not answer is suspect: the poll is repeated, its other polls wait. When the repeats are used up it is
// demoted and probed after 1 s, 2 s … 60 s. Any answer restores it at once, and everything it owes is due.
//
// Times are nanoseconds since 1970 and given by the caller, who should advance them by a monotonic clock.
package schedule

import (
	"hash/fnv"
	"math"
	"slices"
	"time"
)

// Never is the Deadline of a schedule with nothing to wait for.
const Never = math.MaxInt64

// The constants of the failure ladder and of fairness.
const (
	firstProbe  = time.Second
	lastProbe   = time.Minute
	probeJitter = 5  // a probe is early or late by at most a fifth
	probeShare  = 20 // silent units together take at most one part in twenty of the channel's time
	busyWait    = 200 * time.Millisecond
	maxLead     = 500 * time.Millisecond // a unit may be ahead of the others by this much channel time
	firstScan   = 250 * time.Millisecond // so long after connecting, what was never read goes first
	slack       = 25 * time.Millisecond  // but not before what would miss its slot
)

// State is what the schedule thinks of a unit.
type State uint8

// The states of a unit.
const (
	Healthy State = iota
	Suspect       // the last request was not answered and is repeated
	Demoted       // probed rarely
)

// String returns the name of the state.
func (s State) String() string { return [...]string{"healthy", "suspect", "demoted"}[s] }

// Result is how a poll ended.
type Result uint8

// The results.
const (
	Answered Result = iota // the unit answered, were it with an error
	Silent                 // the unit did not answer, or with something that was no answer
	Busy                   // the unit asked to come back later
	Lost                   // the connection broke; nobody is to blame
)

// Unit is one device on the channel.
type Unit[T any] struct {
	retries int
	hash    uint64
	jobs    []*Job[T]
	ready   []*Job[T] // due, by deadline
	state   State
	fails   int
	probing bool
	probeAt int64
	failed  int64 // when the last failure was counted
	repeat  *Job[T]
	used    int64 // channel time in this busy period
	period  uint64
	queued  bool // in Schedule.active
}

// State returns the state of the unit.
func (u *Unit[T]) State() State { return u.state }

// Job is one poll: a request of a unit, repeated.
type Job[T any] struct {
	Data T

	unit    *Unit[T]
	period  int64
	phase   int64
	size    int
	due     int64 // the slot
	wake    int64 // when to look at it; the slot, or later if the unit was busy
	started int64
	place   place
	index   int // in the heap of waiting jobs
	probe   bool
	begun   bool // was started at least once
	missed  uint64
	gone    bool
}

type place uint8

const (
	nowhere place = iota
	waiting
	ready
	running
)

// Due returns the slot the job was last started for.
func (j *Job[T]) Due() int64 { return j.due }

// Period returns the period of the job.
func (j *Job[T]) Period() time.Duration { return time.Duration(j.period) }

// IsProbe reports whether the job was started to see whether a silent unit answers.
func (j *Job[T]) IsProbe() bool { return j.probe }

// TakeMissed returns how many slots were missed since it was last called.
func (j *Job[T]) TakeMissed() uint64 {
	n := j.missed
	j.missed = 0
	return n
}

func (j *Job[T]) deadline() int64 { return j.due + j.period }

// slotAfter returns the first slot after t.
func (j *Job[T]) slotAfter(t int64) int64 {
	k := (t - j.phase) / j.period
	if t < j.phase && (t-j.phase)%j.period != 0 {
		k--
	}
	return (k+1)*j.period + j.phase
}

// catchUp drops the slots that have passed since the job's own and counts them.
func (j *Job[T]) catchUp(now int64) {
	next := j.slotAfter(j.due)
	if next > now {
		return
	}
	n := (now-next)/j.period + 1
	j.missed += uint64(n)
	j.due = next + (n-1)*j.period
}

// Schedule is the schedule of one channel. T is what the caller attaches to a job.
type Schedule[T any] struct {
	units    []*Unit[T]
	waiting  heap[T]
	active   []*Unit[T] // with jobs that are due or a probe to make
	busy     uint64     // number of the busy period
	lastDone int64
	budgetAt int64 // no probe of a demoted unit before
	firstEnd int64 // until then what was never read goes first
}

// New returns an empty schedule.
func New[T any]() *Schedule[T] { return &Schedule[T]{busy: 1} }

// AddUnit adds a unit. Its name fixes the phase of its slots; retries is how often a poll is repeated before the unit
// is demoted.
func (s *Schedule[T]) AddUnit(name string, retries int) *Unit[T] {
	h := fnv.New64a()
	h.Write([]byte(name))
	u := &Unit[T]{retries: retries, hash: mix(h.Sum64()), probeAt: Never}
	s.units = append(s.units, u)
	return u
}

// mix spreads the bits: names that differ in the last digit must not have neighbouring phases.
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// Add adds a poll that is due at once and then in its slots. size orders the polls of a unit by cost: the smallest is
// its probe.
func (s *Schedule[T]) Add(u *Unit[T], period time.Duration, size int, data T, now int64) *Job[T] {
	p := max(int64(period), int64(time.Millisecond))
	j := &Job[T]{Data: data, unit: u, period: p, phase: int64(u.hash % uint64(p)), size: size, due: now, wake: now}
	u.jobs = append(u.jobs, j)
	s.wait(j)
	return j
}

// Remove takes a poll out; if it is running its Done will do nothing.
func (s *Schedule[T]) Remove(j *Job[T]) {
	j.gone = true
	if i := slices.Index(j.unit.jobs, j); i >= 0 {
		j.unit.jobs = slices.Delete(j.unit.jobs, i, i+1)
	}
	switch j.place {
	case waiting:
		s.waiting.remove(j)
	case ready:
		j.unit.drop(j)
	}
	if j.place != running {
		j.place = nowhere
	}
	if j.unit.repeat == j {
		j.unit.repeat = nil
	}
}

// Refresh makes every poll of every unit due now and lets the demoted units be probed: a new connection.
func (s *Schedule[T]) Refresh(now int64) {
	for _, u := range s.units {
		s.refresh(u, now)
		if u.state != Healthy {
			u.probeAt = now
			s.activate(u)
		}
	}
	s.budgetAt, s.firstEnd = now, now+int64(firstScan)
}

// RefreshUnit makes every poll of one unit due now.
func (s *Schedule[T]) RefreshUnit(u *Unit[T], now int64) { s.refresh(u, now) }

func (s *Schedule[T]) refresh(u *Unit[T], now int64) {
	for _, j := range u.jobs {
		j.catchUp(now)
		if j.place == waiting {
			s.waiting.remove(j)
			j.due, j.wake = now, now
			s.wait(j)
		}
	}
}

// Reset forgets what the units have done wrong and makes everything due: the start of a run.
func (s *Schedule[T]) Reset(now int64) {
	for _, u := range s.units {
		u.state, u.fails, u.probing, u.probeAt, u.failed, u.repeat = Healthy, 0, false, Never, 0, nil
		for _, j := range u.jobs {
			switch j.place {
			case waiting:
				s.waiting.remove(j)
			case ready:
				u.drop(j)
			}
			j.due, j.wake, j.missed, j.begun = now, now, 0, false
			s.wait(j)
		}
	}
	s.busy++
	s.budgetAt, s.lastDone, s.firstEnd = now, now, now+int64(firstScan)
}

func (s *Schedule[T]) wait(j *Job[T]) {
	j.place = waiting
	s.waiting.push(j)
}

// advance moves what has become due to its unit.
func (s *Schedule[T]) advance(now int64) {
	for {
		j := s.waiting.top()
		if j == nil || j.wake > now {
			return
		}
		s.waiting.remove(j)
		j.place = ready
		j.unit.insert(j)
		s.activate(j.unit)
	}
}

func (s *Schedule[T]) activate(u *Unit[T]) {
	if !u.queued {
		u.queued = true
		s.active = append(s.active, u)
	}
}

// insert keeps ready sorted by deadline; jobs become due roughly in that order, so this moves little.
func (u *Unit[T]) insert(j *Job[T]) {
	u.ready = append(u.ready, j)
	for i := len(u.ready) - 1; i > 0 && u.ready[i-1].deadline() > j.deadline(); i-- {
		u.ready[i-1], u.ready[i] = u.ready[i], u.ready[i-1]
	}
}

func (u *Unit[T]) drop(j *Job[T]) {
	for i, other := range u.ready {
		if other == j {
			u.ready = append(u.ready[:i], u.ready[i+1:]...)
			return
		}
	}
}
