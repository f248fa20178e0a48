package redundancy

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"scada/redundancy/role"
	"scada/redundancy/wire"
)

// area is one area on this node: its machine, its executor, and its end of the stream.
type area struct {
	n    *Node
	name string
	cfg  Area

	jobs chan struct{} // told that there is something in queue

	// Guarded by n.mu.
	machine *role.Machine
	since   time.Time // of the role
	queue   []func()
	term    Term // activated, or being activated
	ready   bool // Host.Activate has returned
	live    context.Context
	end     context.CancelFunc // of live
	ring    *ring
	sub     *subscriber
	acks    chan struct{} // closed and replaced when the standby's position or the term changes
	stored  uint64        // epochs up to here are stored, or about to be
	waiters []chan string // for the end of a planned switch: "" or the problem
	decided time.Time     // of the present term
	last    *Switch
	bye     bool
	mirror  mirror

	// Used by the executor alone.
	stopMirror func()
}

func (n *Node) newArea(cfg Area) (*area, error) {
	a := &area{n: n, name: cfg.Name, cfg: cfg, jobs: make(chan struct{}, 1), acks: make(chan struct{})}
	a.mirror.more = make(chan struct{}, 1)
	return a, a.reset(0)
}

// reset makes the machine anew, with its clock starting now.
func (a *area) reset(now time.Duration) error {
	a.stored = a.n.store.epoch(a.name)
	m, err := role.New(a.n.cfg.role(a.cfg, a.n.witness != nil, a.stored), now)
	if err != nil {
		return fmt.Errorf("redundancy: area %s: %w", a.name, err)
	}
	a.machine, a.since = m, time.Now()
	return nil
}

// enqueue gives the executor something to do.
func (a *area) enqueue(job func()) {
	a.queue = append(a.queue, job)
	select {
	case a.jobs <- struct{}{}:
	default:
	}
}

// execute is the executor: it does one thing after the other, so that no activation begins before a deactivation or a
// mirror has ended. It ends when the node does, with the mirror.
func (a *area) execute() {
	a.startMirror()
	defer func() { a.stopMirror() }()
	for {
		select {
		case <-a.jobs:
		case <-a.n.work.Done():
			return
		}
		for {
			a.n.mu.Lock()
			if len(a.queue) == 0 {
				a.n.mu.Unlock()
				break
			}
			job := a.queue[0]
			a.queue = a.queue[1:]
			a.n.mu.Unlock()
			job()
		}
	}
}

// input tells the machine something and carries out what follows; for goroutines that do not hold n.mu.
func (a *area) input(f func(now time.Duration) []role.Action) {
	a.n.mu.Lock()
	defer a.n.mu.Unlock()
	a.dispatch(f(a.n.now()))
	a.n.rearm()
}

// dispatch carries out what the machine wants. It never blocks: whatever takes time is left to the executor.
func (a *area) dispatch(actions []role.Action) {
	for _, act := range actions {
		switch act.Do {
		case role.Persist:
			a.enqueue(func() { a.persist(act.Epoch) })
		case role.Activate:
			a.begin(act)
		case role.Deactivate:
			a.finish(act)
		case role.Send:
			a.step(act.Message)
		case role.Ask:
			a.n.spawn(a.ask)
		case role.Goodbye:
			a.bye = true
			a.n.checkFarewell()
		case role.Finished:
			for _, w := range a.waiters {
				w <- act.Reason
			}
			a.waiters = nil
		case role.Report:
			a.report(act)
		}
	}
}

func (a *area) report(act role.Action) {
	r, _ := a.machine.Role()
	epoch := a.machine.Term().Epoch
	if act.What == role.WhatRole {
		a.since = time.Now()
	}
	a.n.note(slog.LevelInfo, "The pair's state changed", "area", a.name, "what", act.What, "role", r.String(), "epoch", epoch, "reason", act.Reason)
	a.n.event(a.name, act.What, act.Reason, epoch)
}

func (a *area) persist(epoch uint64) {
	err := a.n.store.setEpoch(a.name, epoch)
	if err != nil {
		a.n.note(slog.LevelError, "The epoch cannot be stored", "area", a.name, "epoch", epoch, "error", err)
	}
	a.input(func(now time.Duration) []role.Action { return a.machine.Persisted(now, epoch, err) })
}

// remember stores the epoch of the peer's term, so that this node never uses a lower one, not even after a restart.
func (a *area) remember(epoch uint64) {
	if epoch <= a.stored {
		return
	}
	a.stored = epoch
	a.enqueue(func() {
		if err := a.n.store.setEpoch(a.name, epoch); err != nil {
			a.n.note(slog.LevelError, "The peer's epoch cannot be stored", "area", a.name, "epoch", epoch, "error", err)
		}
	})
}

// begin starts a term.
func (a *area) begin(act role.Action) {
	a.term, a.ready = act.Term, false
	a.stored = max(a.stored, act.Term.Epoch)
	a.live, a.end = context.WithCancel(a.n.work)
	live := a.live
	a.decided = time.Now()
	a.record(act)
	a.enqueue(func() {
		a.stopMirror()
		a.n.mu.Lock()
		a.closeSubscriber()
		a.ring = newRing(act.Term.Epoch, a.n.cfg.RingAge, a.n.cfg.RingBytes)
		a.wakeAcks()
		a.n.mu.Unlock()
		err := live.Err()
		if err == nil {
			err = a.n.host.Activate(live, a.name, act.Term, act.Reason)
		}
		a.activated(act, err)
	})
}

func (a *area) activated(act role.Action, err error) {
	if err != nil {
		a.n.note(slog.LevelError, "The area could not be activated", "area", a.name, "epoch", act.Term.Epoch, "error", err)
	}
	a.n.mu.Lock()
	defer a.n.mu.Unlock()
	if a.term.Epoch == act.Term.Epoch {
		a.ready = err == nil
		if a.last != nil && a.last.Epoch == act.Term.Epoch {
			a.last.Activate = time.Since(a.decided)
		}
	}
	a.dispatch(a.machine.Activated(a.n.now(), act.Term.Epoch, err))
	a.n.rearm()
}

// record begins the record of a switch-over.
func (a *area) record(act role.Action) {
	s := &Switch{Area: a.name, To: a.n.cfg.Self, Kind: act.Term.Kind, Reason: act.Reason, At: a.decided, Epoch: act.Term.Epoch}
	if act.Term.Kind != role.Start {
		s.From = a.n.cfg.Peer
	}
	if act.Term.Kind == role.Fault {
		s.Detect = act.Decided - act.Proof
	}
	a.last = s
	a.n.last = s
}

// finish ends a term: its context at once, then the host in its own time.
func (a *area) finish(act role.Action) {
	a.ready = false
	a.end()
	a.enqueue(func() {
		a.n.host.Deactivate(a.name, act.Reason)
		a.n.mu.Lock()
		if a.ring != nil {
			a.ring.end()
		}
		a.wakeAcks()
		a.n.mu.Unlock()
		a.startMirror()
		a.input(func(now time.Duration) []role.Action { return a.machine.Deactivated(now) })
	})
}

// step sends a step of a planned switch: behind the records when it comes from the side that publishes, on any
// heartbeat connection when it goes back.
func (a *area) step(m role.Message) {
	sent := false
	switch m.Step {
	case role.Prepare, role.Commit, role.Abort:
		if a.sub != nil && a.ring != nil {
			a.sub.steps = append(a.sub.steps, pendingStep{wire.Step{Area: a.name, Message: m}, a.ring.position()})
			a.sub.wake()
			sent = true
		}
	case role.Prepared, role.Refuse, role.Ack, role.Aborted, role.Wanted, role.Released:
		sent = a.n.post(wire.Step{Area: a.name, Message: m})
	}
	if !sent {
		a.enqueue(a.streamLost)
	}
}

// post puts a message on the first path that is up.
func (n *Node) post(m wire.Message) bool {
	for _, p := range n.paths {
		if p.link == nil || !p.up {
			continue
		}
		select {
		case p.out <- m:
			return true
		default:
		}
	}
	return false
}

func (a *area) streamLost() {
	a.input(func(now time.Duration) []role.Action { return a.machine.StreamLost(now) })
}

func (a *area) ask() {
	ctx, cancel := context.WithTimeout(a.n.work, a.n.cfg.take())
	defer cancel()
	v := a.n.witness.Ask(ctx, a.name)
	a.input(func(now time.Duration) []role.Action { return a.machine.Witness(now, v) })
}

// refresh tells the machine how this node is.
func (a *area) refresh() {
	n := a.n
	h := n.health.Areas[a.name]
	a.machine.SetSelf(role.Self{
		Ready: len(a.notReady()) == 0, Reachable: uint32(h.Reachable), Busy: h.Commands > 0, Score: a.score(), Faults: a.healthText(),
		Hold: a.hold(),
	})
}

// notReady says why this node, as a standby, could not take the area over without loss.
func (a *area) notReady() []string {
	reasons := append([]string(nil), a.n.health.NotReady...)
	if r, _ := a.machine.Role(); r == role.Active {
		return reasons
	}
	if !a.mirror.synced {
		reasons = append(reasons, "the mirror of area "+a.name+" is not complete")
	}
	return reasons
}

// hold says why the peer does not get the area by itself.
func (a *area) hold() string {
	if a.n.peer.digest != a.n.digest {
		return "the configurations differ"
	}
	return ""
}

// checkFarewell ends the wait of leave when every area has stopped.
func (n *Node) checkFarewell() {
	for _, a := range n.order {
		if !a.bye {
			return
		}
	}
	close(n.farewell)
}

// dropDeadStreams closes the streams of a peer that is not heard any more: TCP alone would wait for minutes.
func (a *area) dropDeadStreams(now time.Duration) {
	if a.machine.Contact(now) || now-a.n.peer.heardAt < a.n.cfg.take() {
		return
	}
	a.closeSubscriber()
	if a.mirror.link != nil {
		_ = a.mirror.link.raw.Close()
	}
}

// leaveDeadPath closes the stream that came over a path which is down now, while another one is up: the connection would
// be blocked until TCP gives up, and with it the values and every acknowledgement. The next one takes a path that is up.
func (a *area) leaveDeadPath() {
	m := &a.mirror
	if m.link == nil || m.path.up {
		return
	}
	for _, p := range a.n.paths {
		if p.up {
			_ = m.link.raw.Close()
			return
		}
	}
}
