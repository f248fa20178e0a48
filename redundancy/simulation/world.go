// Package simulation runs pairs of role machines, one for each of one or two areas, in a small world of its own: two hosts with clocks and disks, a few
// network paths with delay, loss and cuts in either direction, processes that crash, stand still and come back, and
// operators. Time is virtual and every choice comes from a seed, so a run is repeated exactly by its seed, and an hour
// takes a moment.
//
// The world stands in for the shell of the node: it sends the heartbeats, stores the epochs, carries the steps of a
// planned switch and calls the host. The machines are the real ones. After every event the invariants are checked:
// never two nodes that may write, never a write under a lease in a lower epoch than one that may have reached the field,
// never an epoch used twice or before it is stored, never two readers in a planned switch. A [Scenario] adds the faults
// and what must hold when they have ended.
//
// What the area records (samples, alarms, the stream between the histories) is not part of this world.
package simulation

import (
	"fmt"
	"time"

	"scada/redundancy/role"
)

// Settings are what a world is made with.
type Settings struct {
	Role  role.Config // Self, Peer, Primary and Epoch are filled in for each node
	Paths int         // network paths, default 2
	// Areas that share the link, default 1. Node a is the primary of the first and node b of the second.
	Areas int
	// Delay of a message; with Jitter a random part on top, with Loss the share of messages that vanish. A share of
	// TailShare takes up to Tail longer, as a retransmission does.
	Delay     time.Duration
	Jitter    time.Duration
	Loss      float64
	Tail      time.Duration
	TailShare float64
	// Persist, Activate and Deactivate are how long the node takes for these.
	Persist, Activate, Deactivate time.Duration
	// Seed of the random choices; 0 makes none.
	Seed uint64
	// Trace is told every reported action; nil means nobody.
	Trace func(at time.Duration, node, line string) `json:"-"`
	// Steps also traces the steps of planned switches.
	Steps bool
	// Fast is the rate of node b's clock against node a's; 0 means equal.
	Fast float64
}

// World is the pair and what is around it.
type World struct {
	set    Settings
	now    time.Duration
	queue  queue
	order  uint64
	areas  []*area
	nodes  [2]*node // of the first area
	paths  []path
	free   []*message
	broken string // the first violated invariant
	Stats  Stats
}

// Stats are what a run counted.
type Stats struct {
	Events    int
	TakeOvers int
	// Activations counts every term by its kind.
	Activations [6]int
	// TwoActing is how long both nodes touched devices, NoneActing how long none did.
	TwoActing, NoneActing time.Duration
	LongestGap            time.Duration
	// Frozen is how long two nodes held the right to write after the clock of one had stood still with its machine. No
	// rule of the pair can prevent that; only the device can refuse the older epoch.
	Frozen  time.Duration
	checked time.Duration
}

// maxAreas bounds the areas of a world.
const maxAreas = 2

// area is what is the same for both nodes of one area, and what is watched of it.
type area struct {
	index  int
	nodes  [2]*node
	stream uint64 // the number of the stream's connection
	epochs map[uint64]string
	wrote  uint64 // the highest epoch in which a node had the right to write

	gapSince              time.Duration
	twoBefore, noneBefore bool
	frozenBefore          bool
}

type path struct {
	cut [2]bool // from node 0 to 1, from 1 to 0
}

// New returns a world whose two nodes, a (the designated primary) and b, are not started yet.
func New(set Settings) *World {
	if set.Paths == 0 {
		set.Paths = 2
	}
	w := &World{set: set, paths: make([]path, set.Paths)}
	hosts := [2]*host{{name: "a", hostUp: true, rate: 1, self: role.Self{Ready: true}}, {name: "b", hostUp: true, rate: 1, self: role.Self{Ready: true}}}
	if set.Fast != 0 {
		hosts[1].rate = set.Fast
	}
	for i := range max(1, min(set.Areas, maxAreas)) {
		a := &area{index: i, epochs: map[uint64]string{}, noneBefore: true}
		for k, h := range hosts {
			a.nodes[k] = &node{host: h, w: w, area: a, index: k}
			h.nodes = append(h.nodes, a.nodes[k])
		}
		a.nodes[0].peer, a.nodes[1].peer = a.nodes[1], a.nodes[0]
		w.areas = append(w.areas, a)
	}
	w.nodes = w.areas[0].nodes
	return w
}

// Now returns the world's time.
func (w *World) Now() time.Duration { return w.now }

// Broken returns the first violated invariant, or "".
func (w *World) Broken() string { return w.broken }

func (w *World) push(e event) {
	w.order++
	e.order, e.at = w.order, max(e.at, w.now)
	e.due = e.at
	w.queue.push(e)
}

func (w *World) after(d time.Duration, to *node, fn func()) {
	w.push(event{at: w.now + d, to: to, kind: call, fn: fn})
}

// Run lets the world run for d, or until an invariant is violated.
func (w *World) Run(d time.Duration) {
	end := w.now + d
	for len(w.queue) > 0 && w.queue[0].at <= end && w.broken == "" {
		e := w.queue.pop()
		if e.to != nil && e.to.standsUntil() > e.at {
			e.at = e.to.standsUntil() // in the old order
			w.queue.push(e)
			continue
		}
		w.now = e.at
		w.Stats.Events++
		w.happen(&e)
		w.check()
	}
	if w.broken == "" {
		w.now = end
	}
}

func (w *World) happen(e *event) {
	n := e.to
	if e.inc != 0 && (n.m == nil || n.incarnation != e.inc || !n.hostUp) {
		return // the process has ended by now
	}
	switch e.kind {
	case call:
		e.fn()
	case beat:
		n.beat()
	case tick:
		if n.tickAt == e.due { // else an earlier one has taken its place
			n.tickAt = 0
			n.act(n.m.Tick(n.clock()))
		}
	case arrival:
		n.arrive(e.msg)
	}
}

// check looks at the invariants and counts who acts.
func (w *World) check() {
	passed := w.now - w.Stats.checked
	w.Stats.checked = w.now
	for _, a := range w.areas {
		a.check(w, passed)
	}
}

func (r *area) check(w *World, passed time.Duration) {
	a, b, s := r.nodes[0], r.nodes[1], &w.Stats
	if r.frozenBefore {
		s.Frozen += passed
	}
	r.frozenBefore = false
	if a.mayWrite() && b.mayWrite() {
		if w.now >= max(a.excusedUntil, b.excusedUntil) {
			w.violate("two nodes may write%s", r)
		}
		r.frozenBefore = true
	}
	r.checkEpochs(w)
	if r.twoBefore {
		s.TwoActing += passed
	}
	if r.noneBefore {
		s.NoneActing += passed
		s.LongestGap = max(s.LongestGap, w.now-r.gapSince)
	}
	none := !a.acts() && !b.acts()
	if none && !r.noneBefore {
		r.gapSince = w.now
	}
	r.twoBefore, r.noneBefore = a.acts() && b.acts(), none
}

// checkEpochs watches the epochs that reach the field. Under a lease no node may write in a lower epoch than one in which either
// had the right to before: the lease rests on what the peer said after it gave way, and by then it has told that it acted. A
// right held alone is another matter, also when a late word of the dead has made a lease of it: a peer that is proven dead may have
// acted unheard.
func (r *area) checkEpochs(w *World) {
	for _, n := range r.nodes {
		if !n.mayWrite() {
			continue
		}
		e := n.m.Term().Epoch
		if !n.m.Alone() && e < r.wrote && w.now >= max(n.excusedUntil, n.peer.excusedUntil) {
			w.violate("%s may write in epoch %d after epoch %d reached the field%s", n.name, e, r.wrote, r)
		}
		r.wrote = max(r.wrote, e)
	}
}

// String names the second area in messages.
func (r *area) String() string {
	if r.index == 0 {
		return ""
	}
	return fmt.Sprintf(" (area %d)", r.index+1)
}

func (w *World) violate(format string, args ...any) {
	if w.broken == "" {
		w.broken = fmt.Sprintf("at %v: ", w.now) + fmt.Sprintf(format, args...)
	}
}

// delay draws how long a message takes that n sends on a path now, and whether it arrives at all. The choice depends on
// nothing but that, so that a scenario without some of its faults meets the same network.
func (w *World) delay(n *node, p int) (time.Duration, bool) {
	d := w.set.Delay
	if w.set.Seed == 0 {
		return d, true
	}
	c := chance(w.set.Seed ^ uint64(w.now)*4 ^ uint64(p)<<1 ^ uint64(n.index))
	if w.set.Jitter > 0 {
		d += c.below(w.set.Jitter)
	}
	if w.set.Loss > 0 && c.hits(w.set.Loss) {
		return d, false
	}
	if w.set.Tail > 0 && c.hits(w.set.TailShare) {
		d += c.below(w.set.Tail)
	}
	return d, true
}

// chance is a stream of random numbers (splitmix64) that costs nothing to begin.
type chance uint64

func (c *chance) next() uint64 {
	*c += 0x9e3779b97f4a7c15
	z := uint64(*c)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (c *chance) below(d time.Duration) time.Duration { return time.Duration(c.next() % uint64(d)) }

func (c *chance) hits(share float64) bool { return float64(c.next()>>11)/(1<<53) < share }

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
