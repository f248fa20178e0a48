package role

import (
	"fmt"
	"time"
)

// Heard tells of a heartbeat message of the peer.
func (m *Machine) Heard(now time.Duration, h Heard) []Action {
	m.begin(now)
	// Only an answer to this process shows that the peer has heard of it, and so takes the goodbye of an earlier one, should
	// it read that later, for the words of the dead.
	h.Answer = h.Answer && !h.Former
	switch {
	case h.Incarnation < m.peerInc:
		return m.end() // a dead process: its last words came late
	case h.Incarnation > m.peerInc:
		m.newPeer(h)
	case h.Seq <= m.peerSeq:
		if h.Answer {
			// Overtaken on another path: what it says is old, but it was received and will be echoed, so the peer's
			// lease may run from it.
			heir := m.heir || h.View.Role == Active && m.peer.Role == Active && h.View.Epoch == m.peer.Epoch
			m.answer(now, heir)
		}
		return m.end()
	}
	m.peerSeq, m.peer, m.peerScore, m.heardAt, m.gone = h.Seq, h.View, h.Score, now, ""
	m.maxEpoch = max(m.maxEpoch, h.View.Epoch, h.View.Acted)
	m.rival = max(m.rival, h.View.Acted) // it may have acted for so short a time that it never said so
	if h.View.Role == Active {
		m.sawActive, m.rival, m.restarted = true, max(m.rival, h.View.Epoch), false
		if m.claim != nil && !m.claim.silent && !m.claim.pinned {
			m.yield("is active already")
		}
	}
	if h.Answer {
		m.answer(now, h.View.Role == Active)
	}
	if h.Echoed {
		m.echo = max(m.echo, h.Echo)
		m.renew(h)
	}
	if m.role == Active && h.View.Role == Active {
		m.resolve(h)
	}
	if m.role == Active && h.View.Withhold {
		m.becomeStandby("an operator made " + m.cfg.Peer + " take the area by force")
	}
	if m.force != nil && h.View.Withhold && !m.cfg.Primary {
		m.force, m.claim = nil, nil
		m.report(WhatOperator, "no take by force: %s, the designated primary, is taking the area by force as well", m.cfg.Peer)
	}
	m.followed()
	return m.end()
}

func (m *Machine) newPeer(h Heard) {
	if m.peerInc != 0 {
		m.report(WhatPeer, "%s is a new process", m.cfg.Peer)
		m.restarted = m.role == Standby && m.heir
	}
	m.peerInc, m.peerSeq = h.Incarnation, 0
	m.heir, m.echo = false, never
	m.answered = false
	m.prepared = nil
}

// answer takes note of an answer. heir says whether it came from an active peer: then, and only then, is that peer's right
// to write a lease, which ends before this node has missed enough answers.
func (m *Machine) answer(now time.Duration, heir bool) {
	if !m.Contact(now) {
		m.cleanSince = now
	}
	if m.waiting != "" {
		m.waiting, m.reason = "", m.cfg.Peer+" answers again"
	}
	m.lastAnswer, m.missBase, m.answered, m.witnessSaid = now, now, true, false
	m.heir = heir
	m.asked, m.answerAt = never, never
	m.isolated = false
	if m.claim != nil && m.claim.silent && m.peer.Acting {
		m.yield("answers again")
	}
	if m.role == Isolated {
		m.becomeStandby(m.cfg.Peer + " answers again")
		m.lastAnswer, m.answered, m.heir = now, true, heir
	}
}

// yield gives a claim up whose epoch is still being stored.
func (m *Machine) yield(why string) {
	m.claim = nil
	m.report(WhatRole, "%s: no take-over, %s %s", m.role, m.cfg.Peer, why)
}

// renew runs the lease from the sending of the newest answer the peer echoed: the peer cannot take over before it has
// missed answers for longer than that. It must have been told of this term and must not act itself.
func (m *Machine) renew(h Heard) {
	if h.View.Claiming && m.sw == nil {
		return // it may be active before it hears of this term; during a switch it has merely prepared
	}
	if m.role != Active || h.View.Acting || h.View.Withhold || h.Echo <= m.changedAt {
		return
	}
	m.lease = max(m.lease, h.Echo+m.cfg.Lease())
	if m.lease <= m.last {
		return
	}
	m.term.Confirmed = true
	m.unhold(m.cfg.Peer + " answers as " + m.peer.Role.String())
}

// Gone tells that every network path refuses connections to the peer: its host lives and its process does not. since
// is when the first of these attempts began.
func (m *Machine) Gone(now, since time.Duration) []Action {
	m.begin(now)
	if m.heardAt < since && m.gone == "" {
		m.lost(m.cfg.Peer + " does not run: every path refuses connections")
	}
	return m.end()
}

// Goodbye tells that the peer left in order: nothing of it acts any more.
func (m *Machine) Goodbye(now time.Duration, incarnation, seq uint64, reason string) []Action {
	m.begin(now)
	if incarnation == m.peerInc && m.gone == "" {
		m.peerSeq = max(m.peerSeq, seq)
		m.lost(m.cfg.Peer + " said goodbye: " + reason)
	}
	return m.end()
}

// lost notes that the peer is known not to act. Its next process cannot have the right to write before it has heard
// an answer of this one.
func (m *Machine) lost(reason string) {
	m.gone = reason
	m.answered = false
	m.peer = View{Role: Starting, Epoch: m.peer.Epoch}
	m.report(WhatPeer, "%s", reason)
	if m.role == Active {
		m.solo, m.term.Confirmed = true, true
		m.unhold(reason)
	}
}

// resolve ends a time in which both nodes were active. Only the loser acts, and only if it is heard as well or the
// peer's epoch is higher: a node that gave way to one that cannot hear it would take over again at once.
func (m *Machine) resolve(h Heard) {
	if !h.Answer && h.View.Epoch <= m.term.Epoch {
		return
	}
	mine, theirs := m.View(), h.View
	why, lost := "", false
	switch {
	case mine.Confirmed != theirs.Confirmed:
		why, lost = "is confirmed", theirs.Confirmed
	case mine.Isolated != theirs.Isolated:
		why, lost = "is not isolated", mine.Isolated
	case mine.Reachable != theirs.Reachable:
		why, lost = "reaches more devices", theirs.Reachable > mine.Reachable
	case mine.Epoch != theirs.Epoch:
		why, lost = "has the newer term", theirs.Epoch > mine.Epoch
	default:
		why, lost = "is the designated primary", !m.cfg.Primary
	}
	if !lost {
		return
	}
	reason := fmt.Sprintf("both nodes were active: %s %s (epoch %d against %d)", m.cfg.Peer, why, theirs.Epoch, mine.Epoch)
	m.report(WhatTwo, "%s", reason)
	m.becomeStandby(reason)
}

// Witness tells what the witnesses said.
func (m *Machine) Witness(now time.Duration, v Verdict) []Action {
	m.begin(now)
	if m.asked == never || m.answerAt != never {
		return m.end() // no longer wanted
	}
	if m.verdict != v || !m.witnessSaid {
		m.report(WhatWitness, "%s is silent; the witness says: %s", m.cfg.Peer, v)
	}
	m.answerAt, m.verdict, m.witnessSaid = now, v, true
	if m.role == Active {
		m.witnessActive()
	}
	return m.end()
}

func (m *Machine) witnessActive() {
	switch m.verdict {
	case PeerDead:
		m.solo, m.term.Confirmed = true, true
		m.unhold("the witness says that " + m.cfg.Peer + " is dead")
	case CutOff:
		m.isolated = true
	case PeerAlive, Unknown:
	}
}
