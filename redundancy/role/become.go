package role

import "time"

// enter changes the role; every becomeX begins with it.
func (m *Machine) enter(r Role, reason string) {
	if m.role == Active && r != Active {
		m.leave(reason)
	}
	m.role, m.reason, m.changedAt = r, reason, m.last
	m.claim, m.force, m.renewing = nil, nil, false
	m.heir, m.restarted = false, false
	if r != Active {
		m.answered = false // what was heard before says nothing of this stint
	}
	m.missBase = m.last
	m.joinUntil = never
	m.idleSince, m.waiting = never, ""
	m.asked, m.answerAt = never, never
	m.echo, m.betterSince = never, never
	m.report(WhatRole, "%s: %s", r, reason)
}

// leave ends a term. The node counts as acting until Deactivated is called.
func (m *Machine) leave(reason string) {
	m.leaving = true
	m.activated, m.solo, m.lease, m.pinned, m.isolated, m.held, m.owed = false, false, never, false, false, false, 0
	m.do(Action{Do: Deactivate, Epoch: m.term.Epoch, Reason: reason})
}

func (m *Machine) becomeStarting(reason string) {
	m.enter(Starting, reason)
	m.joinUntil = m.last + m.cfg.JoinWait
}

func (m *Machine) becomeStandby(reason string) {
	m.enter(Standby, reason)
}

func (m *Machine) becomeIsolated(reason string) {
	m.enter(Isolated, reason)
}

func (m *Machine) becomeMaintenance(reason string) {
	m.enter(Maintenance, reason)
	m.prepared, m.gone = nil, ""
}

// becomeActive begins a term whose epoch is stored.
func (m *Machine) becomeActive(c claim) {
	m.enter(Active, c.reason)
	m.term = Term{Epoch: c.epoch, Confirmed: c.confirmed, Kind: c.kind}
	m.maxEpoch = max(m.maxEpoch, c.epoch)
	m.activated, m.solo, m.pinned, m.lease = false, c.solo, c.pinned, never
	m.sawActive, m.prepared, m.sw = true, nil, nil
	m.countFlap(c.kind)
	if c.kind == Health {
		m.healthAt = m.last
	}
	m.do(Action{Do: Activate, Term: m.term, Reason: c.reason, Proof: c.proof, Decided: c.decided})
	if !c.solo && !c.confirmed {
		m.hold()
	}
}

// countFlap doubles the hold-off when a primary that got its role back is lost again soon.
func (m *Machine) countFlap(k Kind) {
	if k != Fault && k != Health || m.cfg.Primary || m.handedBackAt == never {
		return
	}
	if m.last-m.handedBackAt > FlapWindow {
		m.holdOff = m.cfg.HoldOff
	} else {
		m.holdOff = min(2*m.holdOff, MaxHoldOff)
	}
	m.handedBackAt = never
}

// hold reports that device writes are held.
func (m *Machine) hold() {
	if m.held {
		return
	}
	m.held = true
	m.report(WhatLease, "device writes are held: it is not known whether %s acts; they are released when it answers or an operator confirms", m.cfg.Peer)
}

func (m *Machine) unhold(reason string) {
	if !m.held {
		return
	}
	m.held = false
	m.report(WhatLease, "device writes are released: %s", reason)
}

// take decides to become active: the epoch is stored first.
func (m *Machine) take(c claim) {
	if m.claim != nil || m.leaving || m.unable(m.last) {
		return
	}
	c.epoch, c.decided, c.proof = m.nextEpoch(), m.last, max(0, m.lastProof())
	m.maxEpoch = max(m.maxEpoch, c.epoch)
	m.claim, m.sw = &c, nil
	m.do(Action{Do: Persist, Epoch: c.epoch, Reason: c.reason})
}

func (m *Machine) lastProof() time.Duration {
	if m.lastAnswer == never {
		return m.changedAt
	}
	return m.lastAnswer
}

// nextEpoch returns an epoch higher than any known and of this node's own parity, so that two nodes that cannot hear
// each other never choose the same.
func (m *Machine) nextEpoch() uint64 {
	e := m.maxEpoch + 1
	if odd := m.cfg.Self < m.cfg.Peer; odd != (e%2 == 1) {
		e++
	}
	return e
}

// Persisted tells that an epoch is stored, or why it could not be.
func (m *Machine) Persisted(now time.Duration, epoch uint64, err error) []Action {
	m.begin(now)
	switch {
	case m.claim != nil && m.claim.epoch == epoch:
		c := *m.claim
		m.claim = nil
		if err != nil {
			m.fail("the epoch cannot be stored: " + err.Error())
			break
		}
		m.becomeActive(c)
	case m.prepared != nil && m.prepared.epoch == epoch:
		m.persistedPreparation(err)
	}
	return m.end()
}

// Activated tells that the area acts in the term, or why it does not.
func (m *Machine) Activated(now time.Duration, epoch uint64, err error) []Action {
	m.begin(now)
	if m.role != Active || m.term.Epoch != epoch {
		return m.end() // the role is lost already, Deactivate follows
	}
	if err != nil {
		m.refuse("activation failed: " + err.Error()) // before leaving, which forgets who is to be told
		m.becomeStandby("activation failed: " + err.Error())
		m.fail("activation failed: " + err.Error())
		return m.end()
	}
	m.activated, m.acted = true, max(m.acted, epoch)
	m.acknowledge()
	return m.end()
}

// fail keeps the node from trying again at once, so that the peer gets its chance.
func (m *Machine) fail(reason string) {
	m.unableUntil = m.last + m.cfg.JoinWait
	m.force = nil
	m.report(WhatActivate, "%s", reason)
}

// Deactivated tells that nothing of the area touches a device any more.
func (m *Machine) Deactivated(now time.Duration) []Action {
	m.begin(now)
	if !m.leaving {
		return m.end()
	}
	m.leaving = false
	m.missBase = now
	if m.stopping {
		m.do(Action{Do: Goodbye, Reason: m.reason})
		return m.end()
	}
	m.frozen()
	return m.end()
}
