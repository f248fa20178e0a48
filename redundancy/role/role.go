// Package role decides which node of a pair acts for one area.
//
// A [Machine] is pure: it is told the time (monotonic, as a duration since the node started), what was heard from the
// peer and what an operator wants, and returns the actions the node has to carry out, each with its reason. It never
// looks at a clock, so a take-over is tested by a text file. See testdata for its behaviour, one story a file.
package role

import "strconv"

// Role is what a node does now for an area.
type Role uint8

// The roles. The numbers are part of the link format: append only.
const (
	// Starting is a node that has not yet learned whether the peer acts.
	Starting Role = iota
	// Standby is a node that mirrors the active and touches no device.
	Standby
	// Active is a node that polls the devices and evaluates the alarms.
	Active
	// Isolated is a standby that has learned from a witness that it is itself the one cut off. It never takes over.
	Isolated
	// Maintenance is a node an operator took out of service. It never takes over.
	Maintenance
	roleEnd
)

var roleNames = [roleEnd]string{"starting", "standby", "active", "isolated", "maintenance"}

// String returns the name of the role in messages, files and JSON.
func (r Role) String() string {
	if r < roleEnd {
		return roleNames[r]
	}
	return "role(" + strconv.Itoa(int(r)) + ")"
}

// Valid reports whether r is one of the roles.
func (r Role) Valid() bool { return r < roleEnd }

// Term is one stretch of one node being active for an area.
type Term struct {
	// Epoch is unique for the pair: every activation has a new one, odd on one node and even on the other.
	Epoch uint64
	// Confirmed says that the peer was known not to act when the term began. An unconfirmed term began after silence
	// alone: the peer may be alive behind a cut link.
	Confirmed bool
	// Kind is what kind of switch began the term.
	Kind Kind
}

// Kind is what kind of switch made a node active.
type Kind uint8

// The kinds of switches. The numbers are part of the link format: append only.
const (
	// Start is a first activation: no node was active before.
	Start Kind = iota
	// Fault is a take-over from a peer that died, fell silent or was stuck, and a forced take.
	Fault
	// Planned is an operator's switch.
	Planned
	// HandBack is the automatic return to the designated primary.
	HandBack
	// Drill is a planned switch made to prove that it works.
	Drill
	// Health is the automatic move to a peer that works better.
	Health
	kindEnd
)

var kindNames = [kindEnd]string{"start", "fault", "planned", "hand-back", "drill", "health"}

// String returns the name of the kind in messages, files and JSON.
func (k Kind) String() string {
	if k < kindEnd {
		return kindNames[k]
	}
	return "kind(" + strconv.Itoa(int(k)) + ")"
}

// Valid reports whether k is one of the kinds.
func (k Kind) Valid() bool { return k < kindEnd }
