package simulation

import (
	"errors"
	"fmt"
	"time"

	"scada/redundancy/role"
)

// node is one host with its disk and, while it is up, its process.
type node struct {
	w     *World
	index int
	name  string
	peer  *node

	hostUp       bool
	rate         float64 // of the host's clock
	stored       uint64  // the epoch on disk
	stalledUntil time.Duration
	frozenAt     time.Duration // the whole machine stands still, with its clock
	frozenUntil  time.Duration
	frozenFor    time.Duration // by all freezes that are over
	excusedUntil time.Duration
	self         role.Self
	verdict      role.Verdict
	witness      func() role.Verdict // asked instead of verdict
	failActivate bool
	failPersist  bool
	diskDelay    time.Duration

	m           *role.Machine // nil while the process is down
	incarnation uint64
	seq         uint64
	sent        role.Sent
	newest      uint64 // of the answers of the peer's process
	newestInc   uint64 // the newest process of the peer that was heard
	touching    bool   // the host touches devices
	writing     uint64
	busyUntil   time.Duration
	tickAt      time.Duration
	streamAt    time.Duration // when the last step given to the stream arrives
	finished    string
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

func (n *node) start() {
	if n.m != nil || !n.hostUp {
		return
	}
	cfg := n.w.set.Role
	cfg.Self, cfg.Peer, cfg.Primary, cfg.Epoch = n.name, n.peer.name, n.index == 0, n.stored
	m, err := role.New(cfg, n.clock())
	if err != nil {
		n.w.violate("configuration: %v", err)
		return
	}
	n.m = m
	n.incarnation = n.w.order + 1
	n.w.order++
	n.sent, n.seq, n.newest, n.newestInc, n.touching, n.busyUntil, n.stalledUntil = role.Sent{}, 0, 0, 0, false, 0, 0
	n.writing, n.tickAt, n.streamAt = 0, 0, 0
	n.trace("process started")
	n.beat()
	n.arm()
}

// end is the death of the process, by whatever reason.
func (n *node) end(why string) {
	if n.m == nil {
		return
	}
	n.trace(why)
	n.gone()
	n.peer.probe()
}

// gone forgets the process. An epoch that was being stored is on disk or not.
func (n *node) gone() {
	c := chance(n.w.set.Seed ^ uint64(n.w.now))
	if n.writing > n.stored && n.w.set.Seed != 0 && c.hits(0.5) {
		n.stored = n.writing
	}
	n.m, n.touching, n.stalledUntil = nil, false, 0
}

func (n *node) trace(line string) {
	if n.w.set.Trace != nil {
		n.w.set.Trace(n.w.now, n.name, line)
	}
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
		n.host(n.w.set.Deactivate, func() {
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
	n.host(n.w.set.Persist+n.diskDelay, func() {
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
	if who := n.w.epochs[a.Term.Epoch]; who != "" {
		n.w.violate("epoch %d used by %s and again by %s", a.Term.Epoch, who, n.name)
	}
	n.w.epochs[a.Term.Epoch] = n.name
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
	n.host(n.w.set.Activate, func() {
		var err error
		if n.failActivate {
			err = errors.New("the devices are not there")
		}
		n.touching = err == nil
		n.trace(fmt.Sprintf("acts in epoch %d (%s, detected in %v)", a.Term.Epoch, a.Term.Kind, (a.Decided - a.Proof).Round(time.Millisecond)))
		n.act(n.m.Activated(n.clock(), a.Term.Epoch, err))
	})
}

// host does one thing after the other, each taking its time.
func (n *node) host(d time.Duration, fn func()) {
	n.busyUntil = max(n.busyUntil, n.w.now) + d
	n.process(n.busyUntil-n.w.now, fn)
}
