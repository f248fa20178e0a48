package simulation

import (
	"fmt"
	"time"

	"scada/redundancy/role"
)

func (w *World) node(name string) *node {
	if name == "a" {
		return w.nodes[0]
	}
	return w.nodes[1]
}

// Start starts the node's process.
func (w *World) Start(name string) { w.node(name).start(); w.check() }

// Kill ends the process without a word; its host answers with resets.
func (w *World) Kill(name string) { w.node(name).end("process killed"); w.check() }

// Power switches the host off, or on again (the process stays down until started).
func (w *World) Power(name string, on bool) {
	n := w.node(name)
	n.hostUp = on
	n.trace(fmt.Sprintf("power %v", on))
	if !on && n.m != nil {
		n.gone()
	}
	w.check()
}

// Stop ends the process in order.
func (w *World) Stop(name, reason string) {
	for _, n := range w.node(name).nodes {
		if n.m != nil {
			n.act(n.m.Stop(n.clock(), reason))
		}
	}
	w.check()
}

// Stall makes the process stand still for d while its clock runs on.
func (w *World) Stall(name string, d time.Duration) {
	if n := w.node(name); n.m != nil {
		n.stalledUntil = w.now + d
		n.trace(fmt.Sprintf("stands still for %v", d))
	}
}

// Freeze makes the whole machine stand still for d, its clock with it, as a virtual machine does that is moved.
func (w *World) Freeze(name string, d time.Duration) {
	n := w.node(name)
	n.clock() // books an earlier freeze that is over
	if n.frozenUntil > 0 || !n.hostUp {
		return
	}
	n.trace(fmt.Sprintf("freezes for %v", d))
	n.frozenAt, n.frozenUntil = w.now, w.now+d
	// Afterwards what is left of its lease, by its clock, has been the peer's for a while.
	n.excusedUntil = n.frozenUntil + 2*w.set.Role.Take()
	w.check()
}

// Disk makes storing an epoch take d longer, and fail.
func (w *World) Disk(name string, d time.Duration, fails bool) {
	n := w.node(name)
	n.diskDelay, n.failPersist = d, fails
}

// BreakStream resets the connection that carries the steps of planned switches: what is under way is lost, and each
// node learns of it in its own time.
func (w *World) BreakStream(a, b time.Duration) {
	for _, r := range w.areas {
		r.stream++
		r.nodes[0].streamLost(a)
		r.nodes[1].streamLost(b)
	}
}

// TrueWitness gives the node a witness that knows what goes on, or one that never answers.
func (w *World) TrueWitness(name string, works bool) {
	for _, n := range w.node(name).nodes {
		n.witness = func() role.Verdict {
			if !works {
				return role.Unknown
			}
			return w.truth(n)
		}
	}
}

// truth is what a witness could know.
func (w *World) truth(n *node) role.Verdict {
	switch {
	case w.cutOff(n):
		return role.CutOff
	case w.cutOff(n.peer), n.peer.hostUp && w.now < n.peer.standsUntil():
		return role.Unknown
	case n.peer.m == nil || !n.peer.hostUp:
		return role.PeerDead
	case n.peer.m.View().Acting:
		return role.PeerAlive
	}
	return role.Unknown
}

// cutOff reports whether nothing the node sends arrives anywhere.
func (w *World) cutOff(n *node) bool {
	for p := range w.paths {
		if !w.paths[p].cut[n.index] {
			return false
		}
	}
	return len(w.paths) > 1
}

// Cut stops messages from one node to the other on a path; path -1 means all.
func (w *World) Cut(path int, from string, cut bool) {
	for p := range w.paths {
		if path < 0 || p == path {
			w.paths[p].cut[w.node(from).index] = cut
			w.node(from).trace(fmt.Sprintf("path %d from here cut", p))
		}
	}
}

// Heal ends all cuts.
func (w *World) Heal() {
	if w.set.Trace != nil {
		w.set.Trace(w.now, "-", "all paths healed")
	}
	for p := range w.paths {
		w.paths[p] = path{}
	}
}

// Self sets what the node knows of itself.
func (w *World) Self(name string, s role.Self) { w.node(name).self = s }

// Witness sets what the node's witness will say.
func (w *World) Witness(name string, v role.Verdict) { w.node(name).verdict = v }

// FailActivation makes the node's activations fail.
func (w *World) FailActivation(name string, fail bool) { w.node(name).failActivate = fail }

// Order gives an operator's order for the first area to the node: switch, drill, take, release, maintenance on,
// maintenance off.
func (w *World) Order(name, what, reason string) error { return w.command(w.node(name), what, reason) }

func (w *World) command(n *node, what, reason string) error {
	name := n.name
	if n.m == nil {
		return fmt.Errorf("node %s is down", name)
	}
	n.m.SetSelf(n.self)
	var actions []role.Action
	var err error
	switch what {
	case "switch":
		actions, err = n.m.Switch(n.clock(), role.Planned, reason)
	case "drill":
		actions, err = n.m.Switch(n.clock(), role.Drill, reason)
	case "take":
		actions, err = n.m.Take(n.clock(), reason)
	case "release":
		actions, err = n.m.Release(n.clock(), reason)
	case "maintenance on":
		actions, err = n.m.Maintenance(n.clock(), true, reason)
	case "maintenance off":
		actions, err = n.m.Maintenance(n.clock(), false, reason)
	default:
		return fmt.Errorf("unknown order %q", what)
	}
	n.act(actions)
	w.check()
	return err
}

// State describes a node of the first area in one line.
func (w *World) State(name string) string { return w.node(name).state() }

func (n *node) state() string {
	name := n.name
	if n.m == nil {
		return name + ": down"
	}
	r, reason := n.m.Role()
	t := n.m.Term()
	s := fmt.Sprintf("%s: %s epoch=%d", name, r, t.Epoch)
	if r == role.Active {
		s += fmt.Sprintf(" confirmed=%v writes=%v", t.Confirmed, n.mayWrite())
		if _, solo := n.m.Lease(n.clock()); solo {
			s += " solo"
		}
		if n.m.Pinned() {
			s += " pinned"
		}
	}
	if step := n.m.Switching(); step != "" {
		s += " (" + step + ")"
	}
	return s + " because " + reason
}

// Settled says what is wrong with a world that has had its time without faults: of each area one node must be active and
// may write, the other must be its standby.
func (w *World) Settled() error {
	for _, r := range w.areas {
		if err := r.settled(); err != nil {
			return err
		}
	}
	return nil
}

func (r *area) settled() error {
	active := 0
	for _, n := range r.nodes {
		if n.m == nil {
			return fmt.Errorf("node %s is down", n.name)
		}
		switch now, reason := n.m.Role(); {
		case now == role.Active && !n.mayWrite():
			return fmt.Errorf("node %s is active and may not write%s", n.name, r)
		case now == role.Active:
			active++
		case now != role.Standby:
			return fmt.Errorf("node %s is %s: %s%s", n.name, now, reason, r)
		}
	}
	if active != 1 {
		return fmt.Errorf("%d nodes are active%s", active, r)
	}
	return nil
}
