package role

import (
	"fmt"
	"time"
)

// Take makes this node active by force. On an active node whose peer is silent it is the operator's word that the peer
// is dead: device writes are released.
func (m *Machine) Take(now time.Duration, reason string) ([]Action, error) {
	m.begin(now)
	err := m.takeByForce(reason)
	return m.end(), err
}

func (m *Machine) takeByForce(reason string) error {
	switch {
	case m.stopping || m.role == Maintenance:
		return fmt.Errorf("%w: the role is %s", ErrRefused, m.role)
	case m.role == Active && m.Contact(m.last):
		m.pinned = true
		m.report(WhatOperator, "an operator chose this node, which is active already: %s", reason)
		return nil
	case m.role == Active:
		m.solo, m.term.Confirmed, m.pinned = true, true, true
		m.report(WhatOperator, "an operator confirms that %s does not act: %s", m.cfg.Peer, reason)
		m.unhold("an operator confirmed")
		return nil
	case m.Contact(m.last) && m.peer.Withhold:
		return fmt.Errorf("%w: %s is taking the area by force", ErrRefused, m.cfg.Peer)
	case m.force != nil:
		return fmt.Errorf("%w: a forced take is under way", ErrRefused)
	}
	m.report(WhatOperator, "an operator takes the area by force: %s", reason)
	m.claim, m.prepared, m.sw, m.unableUntil = nil, nil, nil, never
	m.force = &forced{since: m.last, silent: !m.Contact(m.last), reason: "taken by force: " + reason}
	return nil
}

// Release gives the choice of the active node back to the automatic.
func (m *Machine) Release(now time.Duration, reason string) ([]Action, error) {
	m.begin(now)
	var err error
	switch {
	case m.role == Active:
		m.released(reason)
	case m.force != nil && m.claim == nil:
		m.force = nil
		m.released(reason)
	case m.Contact(now) && m.peer.Role == Active:
		m.send(Message{Step: Released, Reason: reason})
	default:
		err = fmt.Errorf("%w: no active node is heard", ErrRefused)
	}
	return m.end(), err
}

func (m *Machine) released(reason string) {
	m.pinned = false
	m.report(WhatOperator, "an operator gives the choice back to the automatic: %s", reason)
}

// Maintenance takes the node out of service for the area, or back into it.
func (m *Machine) Maintenance(now time.Duration, on bool, reason string) ([]Action, error) {
	m.begin(now)
	var err error
	switch {
	case m.stopping:
		err = fmt.Errorf("%w: the node is stopping", ErrRefused)
	case on == (m.role == Maintenance):
	case !on:
		m.becomeStarting("back from maintenance: " + reason)
	case m.acting() || m.claim != nil || m.prepared != nil || m.sw != nil:
		err = fmt.Errorf("%w: the area acts here, switch it to %s first", ErrRefused, m.cfg.Peer)
	default:
		m.becomeMaintenance("maintenance: " + reason)
	}
	return m.end(), err
}

// Stop ends the node's part in order. When nothing of the area acts any more a Goodbye action follows.
func (m *Machine) Stop(now time.Duration, reason string) []Action {
	m.begin(now)
	if m.stopping {
		return m.end()
	}
	m.becomeMaintenance(reason)
	m.stopping, m.sw = true, nil
	if !m.leaving {
		m.do(Action{Do: Goodbye, Reason: reason})
	}
	return m.end()
}

// Stopped reports whether the node has stopped and nothing of the area acts.
func (m *Machine) Stopped() bool { return m.stopping && !m.leaving }
