package redundancy

import (
	"fmt"
	"time"

	"scada/redundancy/role"
	"scada/redundancy/wire"
)

// Status returns everything the pair shows of itself.
func (n *Node) Status() Status {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.now()
	s := Status{Node: n.cfg.Self, Version: n.cfg.Version, Digest: n.digest, Health: n.health, Peer: n.peerStatus(now),
		LastSwitch: n.newestSwitch(), EventsDropped: n.events.lost()}
	for _, p := range n.paths {
		up := p.answered && now-p.lastAnswer < n.cfg.take()
		ps := PathStatus{Name: p.Name, Up: up, RTT: p.rtt, Lost: p.lost}
		if !up {
			ps.Problem = p.problem
			s.NotReady = append(s.NotReady, "path "+p.Name+" is down")
		}
		s.Paths = append(s.Paths, ps)
	}
	for _, a := range n.order {
		s.Areas = append(s.Areas, a.status(now))
		s.NotReady = append(s.NotReady, a.uncovered(now)...)
	}
	s.NotReady = append(s.NotReady, n.pairProblems(s.Peer)...)
	s.FailoverReady = len(s.NotReady) == 0
	return s
}

// pairProblems says what is wrong with the pair as a whole.
func (n *Node) pairProblems(p PeerStatus) []string {
	var list []string
	for _, why := range n.health.NotReady {
		list = append(list, n.cfg.Self+": "+why)
	}
	if !p.Reachable {
		list = append(list, n.cfg.Peer+" is not heard")
		if p.Refused != "" {
			list = append(list, "refused: "+p.Refused)
		}
		return list
	}
	if !p.DigestEqual {
		list = append(list, "the configurations of the nodes differ")
	}
	for _, why := range p.Health.NotReady {
		list = append(list, n.cfg.Peer+": "+why)
	}
	return list
}

// uncovered says why the loss of either node would be felt in the area.
func (a *area) uncovered(now time.Duration) []string {
	mine, _ := a.machine.Role()
	theirs := a.peerView().Role
	if !a.machine.Contact(now) {
		return []string{fmt.Sprintf("area %s: no answers of %s yet", a.name, a.n.cfg.Peer)}
	}
	switch {
	case mine == role.Active && theirs == role.Standby:
		if a.sub == nil || !a.sub.synced {
			return []string{"the mirror of area " + a.name + " on " + a.n.cfg.Peer + " is not complete"}
		}
		if !a.peerView().Ready {
			return []string{"area " + a.name + ": " + a.n.cfg.Peer + " does not report to be ready"}
		}
	case mine == role.Standby && theirs == role.Active:
		if !a.mirror.synced {
			return []string{"the mirror of area " + a.name + " on " + a.n.cfg.Self + " is not complete"}
		}
	default:
		return []string{fmt.Sprintf("area %s is %s on %s and %s on %s", a.name, mine, a.n.cfg.Self, theirs, a.n.cfg.Peer)}
	}
	return nil
}

func (n *Node) newestSwitch() *Switch {
	theirs := switchOf(n.peer.beat.Switch)
	if n.last == nil {
		return theirs
	}
	mine := *n.last
	if theirs == nil || theirs.Area == mine.Area && theirs.Epoch < mine.Epoch || theirs.Area != mine.Area && theirs.At.Before(mine.At) {
		return &mine
	}
	return theirs
}

func (a *area) status(now time.Duration) AreaStatus {
	r, reason := a.machine.Role()
	t := a.machine.Term()
	left, solo := a.machine.Lease(now)
	s := AreaStatus{Area: a.name, Designation: "standby", Role: r, Epoch: t.Epoch, Confirmed: t.Confirmed, Since: a.since, Reason: reason,
		MayWrite: a.mayWrite(now), Solo: solo, LeaseLeft: left, Pinned: a.machine.Pinned(), Switching: a.machine.Switching()}
	if a.cfg.Primary == a.n.cfg.Self {
		s.Designation = "primary"
	}
	if a.last != nil {
		record := *a.last
		s.Switch = &record
	}
	if r != role.Active {
		m := a.mirror
		s.Mirror = MirrorStatus{Connected: m.synced, Epoch: m.epoch, AppliedSeq: m.applied, DurableSeq: m.durable, Lag: m.lag}
		return s
	}
	s.Mirror.Epoch = t.Epoch
	if a.ring != nil {
		s.Mirror.Published = a.ring.position()
	}
	if a.sub != nil && a.sub.synced {
		s.Mirror.Connected, s.Mirror.AppliedSeq, s.Mirror.DurableSeq = true, a.sub.applied, a.sub.durable
		s.Mirror.Lag = a.ring.age(a.sub.applied+1, time.Now())
	}
	return s
}

func (n *Node) peerStatus(now time.Duration) PeerStatus {
	p := &n.peer
	s := PeerStatus{Node: n.cfg.Peer, Reachable: p.heard && now-p.heardAt < n.cfg.take(), Version: p.version, Digest: p.digest,
		DigestEqual: p.heard && p.digest == n.digest, LastHeard: p.heardWall, ClockOffset: p.offset, Refused: p.refused,
		Health: Health{Score: int(p.beat.Score), Reasons: p.beat.Reasons, NotReady: p.beat.NotReady, Areas: map[string]AreaHealth{}}}
	for _, c := range p.beat.Progress {
		s.Health.Progress = append(s.Health.Progress, Progress{Name: c.Name, Counter: c.Counter, Age: time.Duration(c.Age)})
	}
	for _, w := range p.beat.Areas {
		s.Areas = append(s.Areas, peerArea(w))
		s.Health.Areas[w.Name] = AreaHealth{Devices: int(w.Devices), Reachable: int(w.View.Reachable), Commands: int(w.Commands), Lost: int(w.Lost)}
	}
	return s
}

func peerArea(w wire.Area) PeerArea {
	return PeerArea{Area: w.Name, Role: w.View.Role, Epoch: w.View.Epoch, Confirmed: w.View.Confirmed, Since: time.Unix(0, w.Since),
		Reason: w.Reason, Mirror: MirrorStatus{Epoch: w.Epoch, AppliedSeq: w.Applied, DurableSeq: w.Durable}}
}
