package simulation

import (
	"errors"
	"fmt"
	"time"

	"scada/redundancy/role"
)

// host is one machine with its disk and, while it is up, its process, which has a node for every area.
type host struct {
	nodes []*node
	name  string

	hostUp       bool
	rate         float64 // of the host's clock
	stalledUntil time.Duration
	frozenAt     time.Duration // the whole machine stands still, with its clock
	frozenUntil  time.Duration
	frozenFor    time.Duration // by all freezes that are over
	excusedUntil time.Duration
	self         role.Self
	failActivate bool
	failPersist  bool
	diskDelay    time.Duration

	incarnation uint64
	seq         uint64
	sent        role.Sent
	newest      uint64 // of the answers of the peer's process
	newestInc   uint64 // the newest process of the peer that was heard
}

// node is what a host does for one area.
type node struct {
	*host
	w     *World
	area  *area
	index int
	peer  *node

	stored  uint64 // the epoch on disk
	verdict role.Verdict
	witness func() role.Verdict // asked instead of verdict

	m         *role.Machine // nil while the process is down
	bye       bool          // it has stopped in order
	touching  bool          // the host touches devices
	writing   uint64
	busyUntil time.Duration
	tickAt    time.Duration
	streamAt  time.Duration // when the last step given to the stream arrives
	finished  string
}

// clock is the host's monotonic clock.
func (n *node) clock() time.Duration {
	now := n.w.now
	if n.frozenUntil > 0 {
		if now < n.frozenUntil {
			now = n.frozenAt
		} else {
			n.frozenFor += n.frozenUntil - n.frozenAt
			n.frozenUntil = 0
		}
	}
	return time.Duration(float64(now-n.frozenFor) * n.rate)
}

// standsUntil is when the process runs again.
func (n *node) standsUntil() time.Duration { return max(n.stalledUntil, n.frozenUntil) }

// wait turns a stretch of the node's clock into world time.
func (n *node) wait(d time.Duration) time.Duration { return time.Duration(float64(d) / n.rate) }

// mayWrite reports whether the node could write now. A stalled process counts: one of its threads may be past the check.
func (n *node) mayWrite() bool {
	return n.m != nil && n.hostUp && n.w.now >= n.frozenUntil && n.m.MayWrite(n.clock())
}

func (n *node) acts() bool { return n.m != nil && n.hostUp && n.touching }

// process calls fn later, unless the process has ended by then.
func (n *node) process(d time.Duration, fn func()) {
	n.w.push(event{at: n.w.now + d, to: n, inc: n.incarnation, kind: call, fn: fn})
}

// start starts the host's process.
func (h *host) start() {
	if h.nodes[0].m != nil || !h.hostUp {
		return
	}
	w := h.nodes[0].w
	h.incarnation = w.order + 1
	w.order++
	h.sent, h.seq, h.newest, h.newestInc, h.stalledUntil = role.Sent{}, 0, 0, 0, 0
	for _, n := range h.nodes {
		if !n.begin() {
			return
		}
	}
	h.nodes[0].trace("process started")
	h.nodes[0].beat()
	for _, n := range h.nodes {
		n.arm()
	}
}

// begin makes the machine of a process that starts.
func (n *node) begin() bool {
	cfg := n.w.set.Role
	cfg.Self, cfg.Peer, cfg.Primary, cfg.Epoch = n.name, n.peer.name, n.index == n.area.index, n.stored
	m, err := role.New(cfg, n.clock())
	if err != nil {
		n.w.violate("configuration: %v", err)
		return false
	}
	n.m, n.bye, n.touching = m, false, false
	n.busyUntil, n.writing, n.tickAt, n.streamAt = 0, 0, 0, 0
	return true
}

// end is the death of the process, by whatever reason.
func (h *host) end(why string) {
	n := h.nodes[0]
	if n.m == nil {
		return
	}
	n.trace(why)
	h.gone()
	n.peer.probe()
}

// gone forgets the process. An epoch that was being stored is on disk or not.
func (h *host) gone() {
	h.stalledUntil = 0
	for _, n := range h.nodes {
		c := chance(n.w.set.Seed ^ uint64(n.w.now) ^ uint64(n.area.index)<<62)
		if n.writing > n.stored && n.w.set.Seed != 0 && c.hits(0.5) {
			n.stored = n.writing
		}
		n.m, n.touching = nil, false
	}
}

func (n *node) trace(line string) {
	if n.w.set.Trace == nil {
		return
	}
	if n.area.index > 0 {
		line = fmt.Sprintf("area %d: %s", n.area.index+1, line)
	}
	n.w.set.Trace(n.w.now, n.name, line)
}

// arm calls the machine at its deadline.
func (n *node) arm() {
	at := n.w.now + n.wait(n.m.Deadline()-n.clock()) + 1
	if n.tickAt > n.w.now && n.tickAt <= at {
		return
	}
	n.tickAt = at
	n.w.push(event{at: at, to: n, inc: n.incarnation, kind: tick})
}

// act carries out what the machine wants.
func (n *node) act(actions []role.Action) {
	for i := range actions {
		n.one(&actions[i])
		if n.m == nil {
			return
		}
	}
	n.arm()
}

func (n *node) one(a *role.Action) {
	switch a.Do {
	case role.Persist:
		n.persist(a.Epoch)
	case role.Activate:
		n.activate(*a)
	case role.Deactivate:
		n.later(n.w.set.Deactivate, func() {
			n.touching = false
			n.act(n.m.Deactivated(n.clock()))
		})
	case role.Send:
		n.step(a.Message)
	case role.Ask:
		v := n.verdict
		if n.witness != nil {
			v = n.witness()
		}
		n.process(n.w.set.Delay, func() { n.act(n.m.Witness(n.clock(), v)) })
	case role.Goodbye:
		n.goodbye(a.Reason)
	case role.Finished:
		n.finished = a.Reason
		n.trace("finished: " + a.Reason)
	case role.Report:
		n.trace(a.What + ": " + a.Reason)
	}
}

// persist stores an epoch, if the disk does.
func (n *node) persist(epoch uint64) {
	n.writing = max(n.writing, epoch)
	n.later(n.w.set.Persist+n.diskDelay, func() {
		if n.failPersist {
			n.trace(fmt.Sprintf("epoch %d cannot be stored", epoch))
			n.act(n.m.Persisted(n.clock(), epoch, errors.New("no space left on the disk")))
			return
		}
		n.stored = max(n.stored, epoch)
		n.act(n.m.Persisted(n.clock(), epoch, nil))
	})
}

func (n *node) activate(a role.Action) {
	if who := n.area.epochs[a.Term.Epoch]; who != "" {
		n.w.violate("epoch %d used by %s and again by %s", a.Term.Epoch, who, n.name)
	}
	n.area.epochs[a.Term.Epoch] = n.name
	if a.Term.Epoch > n.stored {
		n.w.violate("%s acts in epoch %d before it is stored", n.name, a.Term.Epoch)
	}
	n.w.Stats.Activations[a.Term.Kind]++
	if a.Term.Kind == role.Fault {
		n.w.Stats.TakeOvers++
	}
	// A commit that comes so late that the peer has begun a newer term is no such case: who has the newer term stays.
	if _, solo := n.m.Lease(n.clock()); solo && a.Term.Kind >= role.Planned && n.peer.acts() && n.peer.m.Term().Epoch <= a.Term.Epoch {
		n.w.violate("%s begins a term handed over to it while %s still reads the devices", n.name, n.peer.name)
	}
	n.later(n.w.set.Activate, func() {
		var err error
		if n.failActivate {
			err = errors.New("the devices are not there")
		}
		n.touching = err == nil
		n.trace(fmt.Sprintf("acts in epoch %d (%s, detected in %v)", a.Term.Epoch, a.Term.Kind, (a.Decided - a.Proof).Round(time.Millisecond)))
		n.act(n.m.Activated(n.clock(), a.Term.Epoch, err))
	})
}

// later does one thing after the other, each taking its time.
func (n *node) later(d time.Duration, fn func()) {
	n.busyUntil = max(n.busyUntil, n.w.now) + d
	n.process(n.busyUntil-n.w.now, fn)
}
