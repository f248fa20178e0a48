package simulation

import (
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
	self         role.Self
	verdict      role.Verdict
	failActivate bool

	m           *role.Machine // nil while the process is down
	incarnation uint64
	seq         uint64
	sent        role.Sent
	newest      uint64 // of the peer's answers
	newestInc   uint64
	touching    bool // the host touches devices
	busyUntil   time.Duration
	tickAt      time.Duration
	finished    string
}

// clock is the host's monotonic clock.
func (n *node) clock() time.Duration { return time.Duration(float64(n.w.now) * n.rate) }

// wait turns a stretch of the node's clock into world time.
func (n *node) wait(d time.Duration) time.Duration { return time.Duration(float64(d) / n.rate) }

func (n *node) mayWrite() bool { return n.m != nil && n.hostUp && n.m.MayWrite(n.clock()) }

func (n *node) acts() bool { return n.m != nil && n.hostUp && n.touching }

// process calls fn later, unless the process has ended by then.
func (n *node) process(d time.Duration, fn func()) {
	inc := n.incarnation
	n.w.after(d, n, func() {
		if n.m != nil && n.incarnation == inc && n.hostUp {
			fn()
		}
	})
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
	n.m, n.touching, n.stalledUntil = nil, false, 0
	n.peer.probe()
}

func (n *node) trace(line string) {
	if n.w.set.Trace != nil {
		n.w.set.Trace(n.w.now, n.name, line)
	}
}

// beat sends a request on every path and does so again after a heartbeat.
func (n *node) beat() {
	n.m.SetSelf(n.self)
	for p := range n.w.paths {
		n.send(p, false, n.m.View(), 0)
	}
	n.probe()
	n.process(n.wait(n.w.set.Role.Heartbeat), n.beat)
}

// send puts one heartbeat message on a path. number is the answer's, 0 in a request.
func (n *node) send(p int, answer bool, v role.View, number uint64) {
	n.seq++
	h := role.Heard{Incarnation: n.incarnation, Seq: n.seq, Answer: answer, View: v}
	echo, echoInc := n.newest, n.newestInc
	d, arrives := n.w.delay()
	if !arrives || !n.w.open(p, n) {
		return
	}
	n.w.after(d, n.peer, func() {
		if n.peer.m != nil && n.w.open(p, n) {
			n.peer.receive(p, h, number, echo, echoInc)
		}
	})
}

func (n *node) receive(p int, h role.Heard, number, echo, echoInc uint64) {
	if echoInc == n.incarnation {
		h.Echo, h.Echoed = n.sent.At(echo)
	}
	if number > 0 {
		if h.Incarnation != n.newestInc {
			n.newest, n.newestInc = 0, h.Incarnation
		}
		n.newest = max(n.newest, number)
	}
	n.act(n.m.Heard(n.clock(), h))
	if h.Answer || n.m == nil {
		return
	}
	v := n.m.Answering(n.clock())
	n.send(p, true, v, n.sent.Next(n.clock()))
}

// probe is a reconnection attempt after a connection was reset: refused by a live host without a process.
func (n *node) probe() {
	if n.m == nil || n.peer.m != nil || !n.w.allOpen() {
		return
	}
	since := n.clock()
	n.process(4*n.w.set.Delay+time.Millisecond, func() {
		if n.peer.m == nil && n.w.allOpen() {
			n.act(n.m.Gone(n.clock(), since))
		}
	})
}

// arm calls the machine at its deadline.
func (n *node) arm() {
	at := n.w.now + n.wait(n.m.Deadline()-n.clock()) + 1
	if n.tickAt > n.w.now && n.tickAt <= at {
		return
	}
	n.tickAt = at
	n.process(at-n.w.now, func() {
		if n.tickAt == at { // else an earlier one has taken its place
			n.tickAt = 0
			n.act(n.m.Tick(n.clock()))
		}
	})
}

// act carries out what the machine wants.
func (n *node) act(actions []role.Action) {
	for _, a := range actions {
		n.one(a)
		if n.m == nil {
			return
		}
	}
	n.arm()
}

func (n *node) one(a role.Action) {
	switch a.Do {
	case role.Persist:
		n.host(n.w.set.Persist, func() {
			n.stored = max(n.stored, a.Epoch)
			n.act(n.m.Persisted(n.clock(), a.Epoch, nil))
		})
	case role.Activate:
		n.activate(a)
	case role.Deactivate:
		n.host(n.w.set.Deactivate, func() {
			n.touching = false
			n.act(n.m.Deactivated(n.clock()))
		})
	case role.Send:
		n.step(a.Message)
	case role.Ask:
		v := n.verdict
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

func (n *node) activate(a role.Action) {
	if who := n.w.epochs[a.Term.Epoch]; who != "" {
		n.w.violate("epoch %d used by %s and again by %s", a.Term.Epoch, who, n.name)
	}
	n.w.epochs[a.Term.Epoch] = n.name
	if a.Term.Epoch > n.stored {
		n.w.violate("%s acts in epoch %d before it is stored", n.name, a.Term.Epoch)
	}
	if a.Term.Kind == role.Fault {
		n.w.Stats.TakeOvers++
	}
	n.host(n.w.set.Activate, func() {
		var err error
		if n.failActivate {
			err = fmt.Errorf("the devices are not there")
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

// step carries a step of a planned switch on the stream. A stream that cannot carry it breaks for both.
func (n *node) step(msg role.Message) {
	inc := n.peer.incarnation
	n.w.after(n.w.set.Delay, n.peer, func() {
		if n.peer.m != nil && n.peer.incarnation == inc && n.w.anyOpen() {
			n.peer.act(n.peer.m.Received(n.peer.clock(), msg))
			return
		}
		take := n.w.set.Role.Take()
		for _, x := range n.w.nodes {
			if x.m != nil {
				x.process(take, func() { x.act(x.m.StreamLost(x.clock())) })
			}
		}
	})
}

func (n *node) goodbye(reason string) {
	inc, seq := n.incarnation, n.seq+1
	for p := range n.w.paths {
		if !n.w.open(p, n) {
			continue
		}
		n.w.after(n.w.set.Delay, n.peer, func() {
			if n.peer.m != nil && n.w.open(p, n) {
				n.peer.act(n.peer.m.Goodbye(n.peer.clock(), inc, seq, reason))
			}
		})
	}
	n.end("process ended in order")
}
