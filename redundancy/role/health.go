package role

import (
	"fmt"
	"time"
)

// What moves a role to the healthier node.
const (
	// DefaultHealthMargin is how much better the peer's score must be.
	DefaultHealthMargin = 20
	// MaxHealthMargin bounds the configured margin.
	MaxHealthMargin = 10_000
	// NoHealthSwitch as the margin means that health never moves the role.
	NoHealthSwitch = -1
	// HealthFor is how long it must have been better without a break: a full disk stays, a glitch passes.
	HealthFor = 10 * time.Second
	// MaxFaults is how much is told of the reasons, in bytes: they travel in every step and heartbeat.
	MaxFaults = 400
	// HealthEvery is the shortest time from one such switch, successful or not, to the next on either node.
	HealthEvery = 5 * time.Minute
)

// margin is the difference of scores that counts. Without the health switch the hand-back still looks at it.
func (c Config) margin() int {
	if c.HealthMargin == NoHealthSwitch {
		return DefaultHealthMargin
	}
	return c.HealthMargin
}

// noteHealth keeps the time since when the peer has been the healthier node.
func (m *Machine) noteHealth() {
	switch {
	case !m.Contact(m.last) || m.self.Score < m.peerScore+m.cfg.margin():
		m.betterSince = never
	case m.betterSince == never:
		m.betterSince = m.last
	}
}

// healthDue reports whether the area moves to the peer now because the peer is healthier.
func (m *Machine) healthDue() bool {
	return m.cfg.HealthMargin != NoHealthSwitch && m.betterSince != never && m.last >= m.betterSince+HealthFor &&
		(m.healthAt == never || m.last >= m.healthAt+HealthEvery) && m.mayHandOver()
}

// mayHandOver reports whether nothing forbids that the area moves to the peer without an operator's order.
func (m *Machine) mayHandOver() bool {
	return m.activated && !m.pinned && m.sw == nil && m.Contact(m.last) &&
		m.peer.Role == Standby && m.peer.Ready && m.self.Hold == "" && !m.self.Busy
}

func (m *Machine) healthSwitch() {
	m.healthAt = m.last
	why := fmt.Sprintf("%s has been healthier for %v: score %d against %d here", m.cfg.Peer, HealthFor, m.peerScore, m.self.Score)
	if m.self.Faults != "" {
		why += ": " + m.self.Faults
	}
	m.begun(Health, why)
}

// worse reports whether the peer is so much less healthy that the area would not stay there.
func (m *Machine) worse() bool { return m.peerScore >= m.self.Score+m.cfg.margin() }
