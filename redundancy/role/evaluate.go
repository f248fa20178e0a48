package role

import (
	"fmt"
	"time"
)

// evaluate draws the conclusions from what is known; it runs at the end of every input.
func (m *Machine) evaluate() {
	m.expire()
	m.noteIdle()
	switch m.role {
	case Starting:
		m.evaluateStarting()
	case Standby:
		m.evaluateStandby()
	case Isolated:
		m.evaluateIsolated()
	case Active:
		m.evaluateActive()
	case Maintenance:
	}
}

// candidate reports whether the node may decide to become active now.
func (m *Machine) candidate() bool {
	return m.claim == nil && !m.leaving && !m.unable(m.last)
}

func (m *Machine) evaluateStarting() {
	switch {
	case m.forcing():
	case m.heardAt >= m.changedAt && m.gone == "" && m.peer.Role == Active:
		m.becomeStandby(m.cfg.Peer + " is active")
	case !m.candidate():
	case m.gone != "":
		// A designated standby leaves the primary its time to arrive: both nodes are often started together.
		if m.cfg.Primary || m.last >= m.joinUntil {
			m.take(claim{kind: m.startKind(), confirmed: true, solo: true, reason: m.gone})
		}
	case m.Contact(m.last):
		m.arrive()
	case m.last >= m.joinUntil && m.silent():
		m.onSilence()
	}
}

func (m *Machine) evaluateStandby() {
	switch {
	case m.forcing():
	case !m.candidate():
	case m.gone != "":
		m.take(claim{kind: Fault, confirmed: true, solo: true, reason: m.gone})
	case m.restarted:
		m.restarted = false
		m.take(claim{kind: Fault, confirmed: true, solo: true, reason: m.cfg.Peer + " was active and its process was restarted"})
	case m.renewing:
		m.renewing = false
		m.take(claim{kind: Fault, confirmed: true, reason: m.reason})
	case m.Contact(m.last):
		if !m.peer.Acting {
			m.arrive()
		}
	case m.silent():
		m.onSilence()
	}
}

func (m *Machine) evaluateIsolated() {
	switch {
	case m.forcing():
	case !m.candidate():
	case m.gone != "":
		m.take(claim{kind: Fault, confirmed: true, solo: true, reason: m.gone})
	case m.silent():
		m.onSilence()
	}
}

// silent reports whether the peer has missed its answers.
func (m *Machine) silent() bool { return m.last >= m.missBase+m.cfg.Take() }

// startKind is the kind of an activation without a known predecessor.
func (m *Machine) startKind() Kind {
	if m.sawActive {
		return Fault
	}
	return Start
}

// noteIdle keeps the time since when both nodes have heard each other and none acts.
func (m *Machine) noteIdle() {
	switch {
	case m.acting() || m.peer.Acting || !m.Contact(m.last):
		m.idleSince = never
	case m.idleSince == never:
		m.idleSince = m.last
	}
}

// arrive settles who acts when both nodes hear each other and none does: the designated primary, if it can. The peer
// must have said that it does not act knowing that this node is a candidate, else both could begin at once.
func (m *Machine) arrive() {
	if m.sw != nil || m.prepared != nil || m.leaving || m.echo <= m.changedAt || m.idleSince == never {
		return
	}
	reason := fmt.Sprintf("no node is active and %s is the designated primary", m.cfg.Self)
	mine := m.cfg.Primary && !m.peer.Claiming
	switch {
	case m.peer.Role == Maintenance:
		mine, reason = true, m.cfg.Peer+" is in maintenance"
	case m.peer.Unable:
		mine, reason = true, m.cfg.Peer+" could not be activated"
	case m.last >= m.idleSince+2*m.cfg.JoinWait:
		// The peer had its time, claiming or not: some node must act.
		mine, reason = true, fmt.Sprintf("no node has been active for %v", m.last-m.idleSince)
	}
	if mine {
		m.take(claim{kind: m.startKind(), confirmed: true, reason: reason})
	}
}

// onSilence decides what a node does whose peer does not answer. Only a node that heard an active peer until now
// inherits its right to write when the peer's lease is over; one that never heard it knows nothing of that lease.
func (m *Machine) onSilence() {
	switch m.witnessed() {
	case PeerAlive:
		m.wait("the witness says that " + m.cfg.Peer + " is alive: only the link is cut")
		return
	case CutOff:
		if m.role != Isolated {
			m.becomeIsolated("the witness says that this node is the one cut off")
		}
		return
	case PeerDead:
		m.take(claim{kind: m.startKind(), confirmed: true, solo: true, silent: true,
			reason: fmt.Sprintf("%s is silent and the witness says that it is dead", m.cfg.Peer)})
		return
	case asking:
		return
	case Unknown:
	}
	if !m.answered && m.heardAt > m.missBase-m.cfg.Take() && m.last-m.heardAt < m.cfg.Take() && m.peer.Acting {
		m.wait(m.cfg.Peer + " is heard to be active but does not answer: the link works one way")
		return
	}
	if m.cfg.Policy == Safety {
		m.wait(m.cfg.Peer + " is silent: policy safety waits for an operator")
		return
	}
	m.take(claim{kind: m.startKind(), solo: m.inherits(), silent: true,
		reason: fmt.Sprintf("%s missed %d heartbeats on every path", m.cfg.Peer, m.cfg.Misses)})
}

// inherits reports whether the right to write of the peer, which acted and is silent now, comes to this node. The peer must
// have echoed an answer of this stint: before, it may hold one that this node gave while it was active itself, and be the
// heir for its part.
func (m *Machine) inherits() bool { return m.heir && m.echo > m.changedAt }

// wait reports once why the node stays as it is.
func (m *Machine) wait(reason string) {
	if m.waiting == reason {
		return
	}
	m.waiting = reason
	m.reason = reason
	m.report(WhatPeer, "%s", reason)
}

// asking is what witnessed returns while the answer is awaited.
const asking Verdict = 255

// witnessed returns the witness's verdict, asking for it first and again after each Take.
func (m *Machine) witnessed() Verdict {
	take := m.cfg.Take()
	switch {
	case !m.cfg.Witness:
		return Unknown
	case m.asked == never || m.last-m.asked >= 2*take:
		m.asked, m.answerAt = m.last, never
		m.do(Action{Do: Ask, Reason: m.cfg.Peer + " is silent"})
		return asking
	case m.answerAt != never:
		return m.verdict
	case m.last-m.asked >= take:
		return Unknown
	}
	return asking
}

func (m *Machine) evaluateActive() {
	if !m.solo && m.last >= m.lease && m.last-m.changedAt >= m.cfg.Lease() {
		m.lonely()
	}
	if m.outdated() {
		m.becomeStandby(fmt.Sprintf("%s had a newer term (epoch %d against %d): a new one begins", m.cfg.Peer, m.rival, m.term.Epoch))
		m.renewing = true
		return
	}
	m.noteHealth()
	switch {
	case m.healthDue():
		m.healthSwitch()
	case m.handBackDue():
		m.handBack()
	}
}

// outdated reports whether this node was active beside one with a newer term and kept the area. Its own epoch would be
// refused by everything that has seen the newer one.
func (m *Machine) outdated() bool {
	return m.rival > m.term.Epoch && m.activated && m.sw == nil && m.Contact(m.last) && !m.peer.Acting && !m.peer.Claiming
}

// lonely is an active node whose lease is over because the peer is silent: it goes on reading, and may not write.
func (m *Machine) lonely() {
	if m.peer.Role == Maintenance && m.gone == "" && m.peerInc != 0 {
		m.solo = true // a node in maintenance never takes over, and its next process must hear this one first
		m.unhold(m.cfg.Peer + " is in maintenance")
		return
	}
	m.term.Confirmed = false
	m.hold()
	if m.cfg.Witness {
		m.witnessed()
	}
}

// forcing carries an operator's forced take on: the peer's lease is no longer renewed, so it is over after one Take.
func (m *Machine) forcing() bool {
	if m.force == nil || !m.candidate() {
		return m.force != nil
	}
	peerGone := m.gone != "" || !m.Contact(m.last) && m.silent()
	// The peer must have said that it neither acts nor is about to, knowing of this take: an operator there may force too.
	yielded := m.Contact(m.last) && !m.peer.Acting && !m.peer.Claiming && m.echo > m.force.since
	if peerGone || yielded || m.last >= m.force.since+m.cfg.Take() {
		// An operator who found the peer silent gave his word that it does not act. If it fell silent since, only one that
		// was heard to be active holds a lease that is over by now; any other may be alone with the right.
		sure := m.gone != "" || yielded || m.inherits() || m.force.silent
		m.take(claim{kind: Fault, confirmed: sure, solo: sure, pinned: true, reason: m.force.reason})
	}
	return true
}

// expire drops what has taken too long.
func (m *Machine) expire() {
	if m.prepared != nil && m.last >= m.prepared.until {
		m.prepared = nil
		m.report(WhatSwitch, "the switch prepared with %s did not come", m.cfg.Peer)
	}
	if m.wanted != never && m.last >= m.wanted {
		m.finished(fmt.Sprintf("no answer from %s", m.cfg.Peer))
	}
	if m.sw != nil && m.last >= m.sw.until {
		m.overdue()
	}
}

// handBackDue reports whether the designated primary, returned, gets the area back now.
func (m *Machine) handBackDue() bool {
	return m.cfg.Failback == FailbackAuto && !m.cfg.Primary && !m.worse() && m.mayHandOver() && m.last >= m.retryAt && m.last >= max(m.cleanSince, m.changedAt)+m.holdOff
}

func (m *Machine) handBack() {
	m.retryAt = m.last + m.holdOff
	m.begun(HandBack, fmt.Sprintf("%s, the designated primary, was heard for %v without a gap", m.cfg.Peer, m.holdOff.Round(time.Millisecond)))
}
