package role

import (
	"fmt"
	"math"
	"time"
)

// never is a time that has not come.
const never = time.Duration(-1)

// FlapWindow is how soon after a hand-back the primary must be lost again for the hold-off to double.
const FlapWindow = 24 * time.Hour

// Machine decides for one area on one node. Times are monotonic, counted from the start of the node. It is not safe
// for concurrent use.
type Machine struct {
	cfg  Config
	out  []Action
	last time.Duration // of the latest input

	role      Role
	reason    string
	changedAt time.Duration // of the latest change of role
	stopping  bool

	term      Term
	activated bool // Host.Activate has returned
	leaving   bool // Deactivate is under way
	solo      bool // may write without a lease: nobody else can have the right
	lease     time.Duration
	alone     time.Duration // the lease up to here came of a solo right, not of an echo
	held      bool          // reported that device writes are held
	pinned    bool          // an operator chose this node
	isolated  bool          // while active: a witness says this node is cut off

	claim       *claim
	unableUntil time.Duration
	maxEpoch    uint64
	acted       uint64 // the highest epoch in which this node may have written, in an earlier process as well
	rival       uint64 // the highest epoch in which the peer was active
	renewing    bool   // has stopped to begin a new term at once
	sawActive   bool   // anybody was ever active in this process's life

	peer       View
	peerInc    uint64
	peerSeq    uint64
	heardAt    time.Duration // any message
	lastAnswer time.Duration
	answered   bool // in this stint
	heir       bool // the latest answer of this stint came from an active peer
	restarted  bool // the peer was active and its process is a new one now
	gone       string
	cleanSince time.Duration
	echo       time.Duration // newest answer of ours the peer is known to have
	missBase   time.Duration
	joinUntil  time.Duration
	idleSince  time.Duration // both nodes heard each other and neither acts
	waiting    string        // reported why it stays standby although the peer is silent

	asked   time.Duration // the witness, or never
	verdict Verdict
	// witnessSaid: the verdict was reported in this silence.
	witnessSaid bool
	answerAt    time.Duration // the witness's, or never

	force    *forced
	sw       *handover
	owed     uint64 // the switch that made this node active and is not acknowledged yet
	prepared *preparation
	wanted   time.Duration // an operator here asked for a switch: give up then; or never

	self         Self
	holdOff      time.Duration
	handedBackAt time.Duration
	retryAt      time.Duration // of the automatic hand-back
	peerScore    int
	betterSince  time.Duration // the peer is healthier by the margin, or never
	healthAt     time.Duration // of the latest switch for that reason, or never
}

// claim is a decision to become active whose epoch is being stored.
type claim struct {
	epoch     uint64
	kind      Kind
	confirmed bool
	solo      bool
	pinned    bool
	silent    bool // by silence: an answer of the peer ends it
	reason    string
	proof     time.Duration
	decided   time.Duration
}

type forced struct {
	since  time.Duration
	silent bool // the peer was silent when it was ordered
	reason string
}

// New returns a machine of a node that has just started.
func New(cfg Config, now time.Duration) (*Machine, error) {
	cfg = cfg.WithDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	m := &Machine{
		cfg: cfg, last: now, maxEpoch: cfg.Epoch, acted: cfg.Epoch, holdOff: cfg.HoldOff, unableUntil: never, lease: never, heardAt: never,
		lastAnswer: never, echo: never, idleSince: never, asked: never, answerAt: never, wanted: never, handedBackAt: never,
		betterSince: never, healthAt: never,
	}
	m.becomeStarting("the node starts")
	m.out = nil
	return m, nil
}

// Role returns the role and the reason for it.
func (m *Machine) Role() (Role, string) { return m.role, m.reason }

// Term returns the term while the role is active, and otherwise what is known of the epoch.
func (m *Machine) Term() Term {
	if m.role == Active {
		return m.term
	}
	return Term{Epoch: m.maxEpoch}
}

// Since returns when the role began.
func (m *Machine) Since() time.Duration { return m.changedAt }

// Pinned reports whether an operator chose this node to be active.
func (m *Machine) Pinned() bool { return m.pinned }

// HoldOff returns how long a returned primary now has to wait.
func (m *Machine) HoldOff() time.Duration { return m.holdOff }

// Switching returns the step of a planned switch under way, or "".
func (m *Machine) Switching() string {
	switch {
	case m.sw != nil:
		return m.sw.step.String()
	case m.prepared != nil:
		return "prepared"
	case m.force != nil:
		return "taking by force"
	case m.claim != nil:
		return "taking over"
	}
	return ""
}

// View returns what to tell the peer in a request.
func (m *Machine) View() View {
	v := View{
		Role: m.role, Epoch: m.maxEpoch, Acting: m.acting(), Claiming: m.claim != nil || m.force != nil || m.prepared != nil || m.renewing,
		Withhold: m.force != nil, Unable: m.unable(m.last), Ready: m.self.Ready, Reachable: m.self.Reachable,
		Isolated: m.role == Isolated || m.isolated, Acted: m.acted,
	}
	if m.role == Active {
		v.Epoch, v.Confirmed, v.Pinned = m.term.Epoch, m.term.Confirmed, m.pinned
	}
	return v
}

// Answering returns what to tell the peer in an answer that is sent at now. From its first answer on, an active node
// shares the right to write with a peer that can hear it: what was held alone becomes a lease.
func (m *Machine) Answering(now time.Duration) View {
	if m.role == Active && m.solo {
		m.solo = false
		m.lease = max(m.lease, now+m.cfg.Lease())
		m.alone = m.lease
	}
	return m.View()
}

// Alone reports whether the right to write, if there is one, rests on the peer's not acting, and not on an answer that
// the peer has echoed: it is solo, or the lease it became when the peer was heard again and has echoed nothing yet.
func (m *Machine) Alone() bool { return m.solo || m.lease <= m.alone }

// MayWrite reports whether this node may write to a device at now. A node that kept the area after the peer had a newer
// term waits for a newer one of its own: a device that has seen the newer epoch would see it go back.
func (m *Machine) MayWrite(now time.Duration) bool {
	return m.role == Active && m.activated && (m.solo || now < m.lease && m.rival <= m.term.Epoch)
}

// Lease returns how long the node may still write, and whether it may without a lease.
func (m *Machine) Lease(now time.Duration) (left time.Duration, solo bool) {
	if m.role != Active {
		return 0, false
	}
	return max(0, m.lease-now), m.solo
}

// Contact reports whether the peer has answered lately.
func (m *Machine) Contact(now time.Duration) bool {
	return m.answered && now-m.lastAnswer < m.cfg.Take()
}

// acting reports whether something here may touch a device. A node that is stopping counts until it has said goodbye, so
// that the peer waits for the end of the stream.
func (m *Machine) acting() bool { return m.role == Active || m.leaving || m.stopping }

func (m *Machine) unable(now time.Duration) bool { return now < m.unableUntil }

// Deadline returns when [Machine.Tick] is due if nothing else happens: at least once per heartbeat, because that is how
// a node finds out that it stood still.
func (m *Machine) Deadline() time.Duration {
	d := m.last + m.cfg.Heartbeat
	d = min(d, m.due(m.missBase+m.cfg.Take()), m.due(m.joinUntil), m.due(m.lease), m.due(m.wanted), m.due(m.unableUntil))
	if m.sw != nil {
		d = min(d, m.due(m.sw.until))
	}
	if m.prepared != nil {
		d = min(d, m.due(m.prepared.until))
	}
	if m.force != nil {
		d = min(d, m.due(m.force.since+m.cfg.Take()))
	}
	if m.role == Active {
		d = min(d, m.due(max(m.cleanSince, m.changedAt)+m.holdOff))
	}
	if m.betterSince != never {
		d = min(d, m.due(m.betterSince+HealthFor))
	}
	return d
}

// due returns t if it is still to come, and otherwise a time that is later than any.
func (m *Machine) due(t time.Duration) time.Duration {
	if t > m.last {
		return t
	}
	return math.MaxInt64
}

// Tick lets time pass.
func (m *Machine) Tick(now time.Duration) []Action {
	m.begin(now)
	return m.end()
}

// SetSelf tells the machine how this node is.
func (m *Machine) SetSelf(s Self) { m.self = s }

// begin starts an input: it notices that the node stood still.
func (m *Machine) begin(now time.Duration) {
	gap, before := now-m.last, m.last
	m.last = now
	if gap <= 2*m.cfg.Heartbeat {
		return
	}
	m.missBase = now
	m.report(WhatStall, "this node stood still for %v: the count of missed answers starts anew", gap)
	if m.role == Active && !m.solo && m.lease > before && m.lease <= now {
		m.becomeStarting(fmt.Sprintf("stood still for %v, past its lease: must hear the peer first", gap))
	}
}

// end finishes an input: it draws the conclusions and returns what is to be done.
func (m *Machine) end() []Action {
	if !m.stopping {
		m.evaluate()
	}
	out := m.out
	m.out = nil
	return out
}

func (m *Machine) do(a Action) { m.out = append(m.out, a) }

func (m *Machine) report(what, format string, args ...any) {
	m.do(Action{Do: Report, What: what, Reason: fmt.Sprintf(format, args...)})
}
