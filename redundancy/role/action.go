package role

import "time"

// Do says what an [Action] asks for.
type Do uint8

// What actions ask for.
const (
	// Persist: store Epoch so that it survives a crash, then call [Machine.Persisted].
	Persist Do = iota
	// Activate: make the area act in Term, then call [Machine.Activated].
	Activate
	// Deactivate: stop everything that touches a device, then call [Machine.Deactivated].
	Deactivate
	// Send: give Message to the peer, in order with the area's stream.
	Send
	// Ask: ask the witnesses, then call [Machine.Witness].
	Ask
	// Goodbye: tell the peer that this node leaves; nothing of the area acts any more.
	Goodbye
	// Finished: the planned switch this node was asked for is over; Reason is empty when it succeeded.
	Finished
	// Report: tell the operators. What and Reason.
	Report
)

// What a [Report] is about.
const (
	WhatRole     = "role"
	WhatSwitch   = "switch"
	WhatPeer     = "peer"
	WhatLease    = "lease"
	WhatStall    = "stall"
	WhatActivate = "activate"
	WhatWitness  = "witness"
	WhatOperator = "operator"
	WhatTwo      = "two-active"
)

// Action is one thing the node has to do, in the order given.
type Action struct {
	Do      Do
	Epoch   uint64
	Term    Term
	Message Message
	What    string
	Reason  string
	// Proof is when the peer last proved that it works, Decided when the decision was made; for Activate.
	Proof, Decided time.Duration
}

// Step is a message of a planned switch.
type Step uint8

// The steps. X is the active node, Y the one that becomes active. The numbers are part of the link format: append only.
const (
	// Prepare, X to Y: get ready.
	Prepare Step = iota
	// Prepared, Y to X: Epoch is stored.
	Prepared
	// Refuse, Y to X: it cannot be done; Reason says why. X takes back what it gave up.
	Refuse
	// Commit, X to Y: nothing of the area acts here any more and this is the end of the stream. Go.
	Commit
	// Ack, Y to X: active.
	Ack
	// Abort, X to Y: forget it.
	Abort
	// Aborted, Y to X: forgotten.
	Aborted
	// Wanted, Y to X: an operator on Y asks for the switch.
	Wanted
	// Released, Y to X: an operator on Y gives the choice back to the automatic.
	Released
	stepEnd
)

var stepNames = [stepEnd]string{"prepare", "prepared", "refuse", "commit", "ack", "abort", "aborted", "wanted", "released"}

// String returns the name of the step.
func (s Step) String() string {
	if s < stepEnd {
		return stepNames[s]
	}
	return "step(?)"
}

// Valid reports whether s is one of the steps.
func (s Step) Valid() bool { return s < stepEnd }

// Message is one step of a planned switch on its way.
type Message struct {
	Step   Step
	ID     uint64 // the epoch of the active term the switch ends
	Kind   Kind
	Epoch  uint64
	Reason string
}

// View is what a node tells its peer of itself for one area, in every heartbeat.
type View struct {
	Role  Role
	Epoch uint64 // of the term when active, else the highest known
	// Acting says that something here may touch a device: active, or not yet stopped.
	Acting bool
	// Claiming says that this node is about to be active.
	Claiming bool
	// Withhold says that echoes do not renew the peer's lease: this node takes the area by force.
	Withhold bool
	// Unable says that this node tried to act and could not.
	Unable    bool
	Confirmed bool
	Isolated  bool
	Ready     bool
	Pinned    bool
	// Reachable is how many devices answer this node.
	Reachable uint32
	// Acted is the highest epoch in which this node may have written: the latest in which it was activated, or, until it acts
	// again, what an earlier process had stored. Unlike Epoch it holds no epoch that this process has merely reserved or heard of.
	Acted uint64
}

// Heard is one heartbeat message of the peer.
type Heard struct {
	Incarnation uint64 // of the process; a later process of the same node has a higher one
	Seq         uint64 // the sender's counter over all paths
	// Answer is set on an answer to a request of this node: the link works both ways.
	Answer bool
	// Former is set on a message that was meant for an earlier process of this node. What it says of its sender is news, but
	// it answers nobody here: its sender need not know that this process exists.
	Former bool
	View   View
	// Echo is when this node sent the newest answer the peer had received, valid if Echoed.
	Echo   time.Duration
	Echoed bool
	// Score is the peer's health, 0 is best.
	Score int
}

// Self is what the node knows of itself and feeds into its machine.
type Self struct {
	Ready     bool
	Reachable uint32
	// Busy says that device writes are under way.
	Busy bool
	// Score is the node's health: 0 is best, each fault adds its weight.
	Score int
	// Faults are what the score is made of, in words, for the reason of a switch; at most [MaxFaults] bytes.
	Faults string
	// Hold is why the peer should not get the area by itself; empty means it may.
	Hold string
}

// Verdict is what a witness says when the peer is silent on every path.
type Verdict uint8

// The verdicts.
const (
	// Unknown: the witness could not be asked or does not know.
	Unknown Verdict = iota
	// PeerAlive: the peer acts; only the link between the nodes is cut.
	PeerAlive
	// PeerDead: the peer does not act, or its lease at the witness is over.
	PeerDead
	// CutOff: this node is the one that is cut off.
	CutOff
)

// String returns the verdict in words.
func (v Verdict) String() string {
	switch v {
	case PeerAlive:
		return "the peer is alive"
	case PeerDead:
		return "the peer is dead"
	case CutOff:
		return "this node is cut off"
	}
	return "no answer"
}
