// Package simulation runs a pair of role machines in a small world of its own: two hosts with clocks and disks, a few
// network paths with delay, loss and cuts in either direction, processes that crash, stand still and come back. Time
// is virtual and every choice comes from a seed, so a run is repeated exactly by its seed, and an hour takes a moment.
//
// The world stands in for the shell of the node: it sends the heartbeats, stores the epochs, carries the steps of a
// planned switch and calls the host. The machines are the real ones. After every event the invariants are checked:
// never two nodes that may write, never an epoch used twice.
package simulation

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"time"

	"scada/redundancy/role"
)

// Settings are what a world is made with.
type Settings struct {
	Role  role.Config // Self, Peer, Primary and Epoch are filled in for each node
	Paths int         // network paths, default 2
	// Delay of a message; with Jitter a random part on top, with Loss the share of messages that vanish.
	Delay  time.Duration
	Jitter time.Duration
	Loss   float64
	// Persist, Activate and Deactivate are how long the node takes for these.
	Persist, Activate, Deactivate time.Duration
	// Seed of the random choices; 0 makes none.
	Seed uint64
	// Trace is told every reported action; nil means nobody.
	Trace func(at time.Duration, node, line string)
	// Fast is the rate of node b's clock against node a's; 0 means equal.
	Fast float64
}

// World is the pair and what is around it.
type World struct {
	set    Settings
	now    time.Duration
	queue  events
	order  uint64
	rng    *rand.Rand
	nodes  [2]*node
	paths  []path
	epochs map[uint64]string
	broken string // the first violated invariant
	Stats  Stats
}

// Stats are what a run counted.
type Stats struct {
	Events    int
	TakeOvers int
	// TwoActing is how long both nodes touched devices, NoneActing how long none did.
	TwoActing, NoneActing time.Duration
	LongestGap            time.Duration
	gapSince              time.Duration
	checked               time.Duration
	twoBefore, noneBefore bool
}

type path struct {
	cut [2]bool // from node 0 to 1, from 1 to 0
}

type event struct {
	at    time.Duration
	order uint64
	to    *node // deferred while it stands still; nil concerns the world
	fn    func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].order < e[j].order
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	old := *e
	x := old[len(old)-1]
	old[len(old)-1] = event{}
	*e = old[:len(old)-1]
	return x
}

// New returns a world whose two nodes, a (the designated primary) and b, are not started yet.
func New(set Settings) *World {
	if set.Paths == 0 {
		set.Paths = 2
	}
	w := &World{set: set, paths: make([]path, set.Paths), epochs: map[uint64]string{}}
	w.rng = rand.New(rand.NewPCG(set.Seed, 0x5ca1ab1e))
	w.nodes[0] = &node{w: w, index: 0, name: "a", hostUp: true, rate: 1, self: role.Self{Ready: true}}
	w.nodes[1] = &node{w: w, index: 1, name: "b", hostUp: true, rate: 1, self: role.Self{Ready: true}}
	if set.Fast != 0 {
		w.nodes[1].rate = set.Fast
	}
	w.nodes[0].peer, w.nodes[1].peer = w.nodes[1], w.nodes[0]
	w.Stats.noneBefore = true
	return w
}

// Now returns the world's time.
func (w *World) Now() time.Duration { return w.now }

// Broken returns the first violated invariant, or "".
func (w *World) Broken() string { return w.broken }

func (w *World) at(t time.Duration, to *node, fn func()) {
	w.order++
	heap.Push(&w.queue, event{at: max(t, w.now), order: w.order, to: to, fn: fn})
}

func (w *World) after(d time.Duration, to *node, fn func()) { w.at(w.now+d, to, fn) }

// Run lets the world run for d, or until an invariant is violated.
func (w *World) Run(d time.Duration) {
	end := w.now + d
	for len(w.queue) > 0 && w.queue[0].at <= end && w.broken == "" {
		e := heap.Pop(&w.queue).(event)
		if e.to != nil && e.to.stalledUntil > e.at {
			e.at = e.to.stalledUntil // in the old order
			heap.Push(&w.queue, e)
			continue
		}
		w.now = e.at
		w.Stats.Events++
		e.fn()
		w.check()
	}
	if w.broken == "" {
		w.now = end
	}
}

// check looks at the invariants and counts who acts.
func (w *World) check() {
	a, b := w.nodes[0], w.nodes[1]
	if a.mayWrite() && b.mayWrite() {
		w.violate("two nodes may write")
	}
	s := &w.Stats
	passed := w.now - s.checked
	s.checked = w.now
	if s.twoBefore {
		s.TwoActing += passed
	}
	if s.noneBefore {
		s.NoneActing += passed
		s.LongestGap = max(s.LongestGap, w.now-s.gapSince)
	}
	none := !a.acts() && !b.acts()
	if none && !s.noneBefore {
		s.gapSince = w.now
	}
	s.twoBefore, s.noneBefore = a.acts() && b.acts(), none
}

func (w *World) violate(format string, args ...any) {
	if w.broken == "" {
		w.broken = fmt.Sprintf("at %v: ", w.now) + fmt.Sprintf(format, args...)
	}
}

// delay draws how long a message takes, and whether it arrives at all.
func (w *World) delay() (time.Duration, bool) {
	d := w.set.Delay
	if w.set.Seed != 0 {
		if w.set.Jitter > 0 {
			d += time.Duration(w.rng.Int64N(int64(w.set.Jitter)))
		}
		if w.set.Loss > 0 && w.rng.Float64() < w.set.Loss {
			return d, false
		}
	}
	return d, true
}

// open reports whether the path carries messages from the node.
func (w *World) open(p int, from *node) bool {
	return !w.paths[p].cut[from.index] && w.nodes[0].hostUp && w.nodes[1].hostUp
}

// anyOpen reports whether some path carries messages both ways.
func (w *World) anyOpen() bool {
	for p := range w.paths {
		if w.open(p, w.nodes[0]) && w.open(p, w.nodes[1]) {
			return true
		}
	}
	return false
}

func (w *World) allOpen() bool {
	for p := range w.paths {
		if !w.open(p, w.nodes[0]) || !w.open(p, w.nodes[1]) {
			return false
		}
	}
	return true
}
