package role

import (
	"errors"
	"fmt"
	"time"
)

// ErrRefused is wrapped by every refusal of an operator's order.
var ErrRefused = errors.New("refused")

// phase is how far a planned switch has come on the node that gives the area up.
type phase uint8

const (
	preparing  phase = iota // the peer stores its epoch
	freezing                // the area stops here
	committing              // the peer may act
	aborting                // the peer is asked not to
)

func (p phase) String() string {
	return [...]string{"preparing", "freezing", "committing", "taking back"}[p]
}

// handover is a planned switch on the node that gives the area up.
type handover struct {
	id     uint64
	kind   Kind
	reason string
	step   phase
	until  time.Duration
}

// preparation is a planned switch on the node that is to become active.
type preparation struct {
	id     uint64
	kind   Kind
	reason string
	epoch  uint64
	stored bool
	until  time.Duration
}

// Switch begins a planned switch to the peer, on the active node. On a standby it asks the active for one. A Finished
// action tells how it ended.
func (m *Machine) Switch(now time.Duration, kind Kind, reason string) ([]Action, error) {
	m.begin(now)
	err := m.order(kind, reason)
	return m.end(), err
}

func (m *Machine) order(kind Kind, reason string) error {
	switch {
	case m.sw != nil || m.prepared != nil || m.wanted != never:
		return fmt.Errorf("%w: a switch is under way already", ErrRefused)
	case !m.Contact(m.last):
		return fmt.Errorf("%w: %s does not answer", ErrRefused, m.cfg.Peer)
	case m.role == Standby && m.peer.Role == Active:
		m.wanted = m.last + 4*m.cfg.StepLimit
		m.send(Message{Step: Wanted, Kind: kind, Reason: reason})
		return nil
	case m.role != Active:
		return fmt.Errorf("%w: the role is %s and that of %s is %s", ErrRefused, m.role, m.cfg.Peer, m.peer.Role)
	case !m.activated:
		return fmt.Errorf("%w: the area is still being activated", ErrRefused)
	case m.peer.Role != Standby:
		return fmt.Errorf("%w: the role of %s is %s", ErrRefused, m.cfg.Peer, m.peer.Role)
	case !m.peer.Ready:
		return fmt.Errorf("%w: %s is not ready", ErrRefused, m.cfg.Peer)
	case m.self.Busy:
		return fmt.Errorf("%w: device writes are under way", ErrRefused)
	}
	m.begun(kind, reason)
	return nil
}

// begun starts the first step: the peer gets ready while the area still acts here.
func (m *Machine) begun(kind Kind, reason string) {
	m.sw = &handover{id: m.term.Epoch, kind: kind, reason: reason, step: preparing, until: m.last + m.cfg.StepLimit}
	m.report(WhatSwitch, "%s switch to %s begins: %s", kind, m.cfg.Peer, reason)
	m.send(Message{Step: Prepare, ID: m.sw.id, Kind: kind, Epoch: m.maxEpoch, Reason: reason})
}

func (m *Machine) send(msg Message) { m.do(Action{Do: Send, Message: msg}) }

func (m *Machine) finished(problem string) {
	m.wanted = never
	m.do(Action{Do: Finished, Reason: problem})
}

// Received tells of a step of a planned switch from the peer.
func (m *Machine) Received(now time.Duration, msg Message) []Action {
	m.begin(now)
	m.maxEpoch = max(m.maxEpoch, msg.Epoch)
	switch msg.Step {
	case Prepare:
		m.onPrepare(msg)
	case Commit:
		m.onCommit(msg)
	case Abort:
		m.onAbort(msg)
	case Wanted:
		if err := m.order(msg.Kind, msg.Reason); err != nil {
			m.send(Message{Step: Refuse, Reason: err.Error()})
		}
	case Released:
		m.released(msg.Reason)
	case Refuse:
		m.onRefuse(msg)
	case Prepared, Ack, Aborted:
		if m.sw != nil && m.sw.id == msg.ID {
			m.onReply(msg)
		}
	}
	return m.end()
}

func (m *Machine) onPrepare(msg Message) {
	if m.role != Standby || m.leaving || m.claim != nil || m.force != nil || m.prepared != nil || m.unable(m.last) || m.stopping {
		m.send(Message{Step: Refuse, ID: msg.ID, Reason: fmt.Sprintf("%s cannot take the area now: it is %s", m.cfg.Self, m.role)})
		return
	}
	m.prepared = &preparation{
		id: msg.ID, kind: msg.Kind, reason: msg.Reason, epoch: m.nextEpoch(), until: m.last + 3*m.cfg.StepLimit,
	}
	m.do(Action{Do: Persist, Epoch: m.prepared.epoch, Reason: "a planned switch is prepared"})
}

func (m *Machine) persistedPreparation(err error) {
	p := m.prepared
	if err != nil {
		m.prepared = nil
		m.send(Message{Step: Refuse, ID: p.id, Reason: "the epoch cannot be stored: " + err.Error()})
		return
	}
	p.stored = true
	m.maxEpoch = max(m.maxEpoch, p.epoch)
	m.send(Message{Step: Prepared, ID: p.id, Epoch: p.epoch})
}

// onCommit is the moment of the switch: the peer has stopped, and everything it published has been applied here.
func (m *Machine) onCommit(msg Message) {
	p := m.prepared
	if p == nil || p.id != msg.ID || !p.stored || m.maxEpoch > p.epoch || m.role != Standby || m.stopping {
		m.send(Message{Step: Refuse, ID: msg.ID, Reason: m.cfg.Self + " is no longer prepared"})
		return
	}
	m.becomeActive(claim{epoch: p.epoch, kind: p.kind, confirmed: true, solo: true, pinned: p.kind == Planned,
		reason: p.reason, proof: m.last, decided: m.last})
	m.owed = p.id
}

// acknowledge tells the peer that the area acts here.
func (m *Machine) acknowledge() {
	if m.owed != 0 {
		m.send(Message{Step: Ack, ID: m.owed, Epoch: m.term.Epoch})
		m.owed = 0
	}
	if m.wanted != never {
		m.finished("")
	}
}

// refuse tells the peer that the switch it committed failed here.
func (m *Machine) refuse(reason string) {
	if m.owed != 0 {
		m.send(Message{Step: Refuse, ID: m.owed, Reason: reason})
		m.owed = 0
	}
	if m.wanted != never {
		m.finished(reason)
	}
}

func (m *Machine) onAbort(msg Message) {
	if m.role == Active || m.prepared == nil || m.prepared.id != msg.ID {
		if m.role != Active {
			m.send(Message{Step: Aborted, ID: msg.ID})
		}
		return
	}
	m.prepared = nil
	m.report(WhatSwitch, "%s called the switch off", m.cfg.Peer)
	m.send(Message{Step: Aborted, ID: msg.ID})
	if m.wanted != never {
		m.finished(m.cfg.Peer + " called the switch off")
	}
}

func (m *Machine) onRefuse(msg Message) {
	if m.wanted != never {
		m.finished(msg.Reason)
	}
	if m.sw == nil || m.sw.id != msg.ID || m.role == Active && m.sw.step != preparing {
		return
	}
	m.rolledBack(msg.Reason)
}

func (m *Machine) onReply(msg Message) {
	switch {
	case msg.Step == Prepared && m.sw.step == preparing && m.role == Active:
		m.freeze()
	case msg.Step == Ack:
		m.switched()
	case msg.Step == Aborted && m.sw.step == aborting:
		m.rolledBack("it took too long")
	}
}

// freeze stops the area here. From now on this node is a standby that waits for the peer to act.
func (m *Machine) freeze() {
	sw := m.sw
	m.becomeStandby(fmt.Sprintf("%s switch to %s: %s", sw.kind, m.cfg.Peer, sw.reason))
	sw.step, sw.until = freezing, m.last+m.cfg.StepLimit
}

// frozen goes on when the area has stopped.
func (m *Machine) frozen() {
	if m.sw == nil || m.sw.step != freezing {
		return
	}
	m.sw.step, m.sw.until = committing, m.last+m.cfg.StepLimit
	m.send(Message{Step: Commit, ID: m.sw.id})
}

// followed ends the switch by what the peer's heartbeats say, should its replies be lost.
func (m *Machine) followed() {
	if m.sw == nil || m.role != Standby || m.sw.step < committing {
		return
	}
	if m.peer.Role == Active && m.peer.Epoch > m.sw.id {
		m.switched()
		return
	}
	idle := m.Contact(m.last) && !m.peer.Acting && !m.peer.Claiming && m.echo > m.changedAt
	if m.sw.step == aborting && idle {
		m.rolledBack(m.cfg.Peer + " does not act")
	}
}

// StreamLost tells that the connection which carries the steps is gone, after every step received on it was told.
func (m *Machine) StreamLost(now time.Duration) []Action {
	m.begin(now)
	if m.prepared != nil {
		m.prepared = nil
		m.report(WhatSwitch, "the switch prepared with %s is off: the stream is lost", m.cfg.Peer)
	}
	if m.wanted != never && m.role != Active {
		m.finished("the stream is lost")
	}
	switch {
	case m.sw == nil:
	case m.sw.step == preparing:
		m.rolledBack("the stream is lost")
	case m.sw.step == committing:
		m.sw.step, m.sw.until = aborting, m.last+m.cfg.StepLimit
	}
	return m.end()
}

func (m *Machine) switched() {
	sw := m.sw
	m.sw = nil
	m.report(WhatSwitch, "%s switch to %s is done", sw.kind, m.cfg.Peer)
	if sw.kind == HandBack {
		m.handedBackAt = m.last
	}
	m.finished("")
}

// rolledBack returns to what was before. A node that has stopped the area takes it back under a new epoch.
func (m *Machine) rolledBack(reason string) {
	sw := m.sw
	m.sw = nil
	m.report(WhatSwitch, "%s switch to %s is rolled back: %s", sw.kind, m.cfg.Peer, reason)
	if sw.kind == HandBack {
		m.holdOff = min(2*m.holdOff, MaxHoldOff)
	}
	m.retryAt = m.last + m.holdOff
	m.finished(reason)
	if m.role == Standby && !m.leaving {
		m.take(claim{kind: sw.kind, confirmed: true, reason: "the switch failed, taking the area back: " + reason})
	}
}

// overdue is called when a step of the switch has taken longer than its limit.
func (m *Machine) overdue() {
	sw := m.sw
	switch sw.step {
	case preparing:
		m.send(Message{Step: Abort, ID: sw.id})
		m.rolledBack(fmt.Sprintf("%s was not prepared within %v", m.cfg.Peer, m.cfg.StepLimit))
	case freezing:
		// Nothing can be taken back while the area is still stopping: it goes on when it has.
		sw.until = m.last + m.cfg.StepLimit
		m.report(WhatSwitch, "the area has not stopped within %v", m.cfg.StepLimit)
	case committing:
		sw.step, sw.until = aborting, m.last+m.cfg.StepLimit
		m.send(Message{Step: Abort, ID: sw.id})
	case aborting:
		m.rolledBack(m.cfg.Peer + " does not say whether it acts")
	}
}
