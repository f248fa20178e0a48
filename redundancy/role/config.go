package role

import (
	"fmt"
	"time"
)

// The limits of a [Config].
const (
	MinHeartbeat = 20 * time.Millisecond
	MaxHeartbeat = 10 * time.Second
	MinMisses    = 2
	MaxMisses    = 20
	MaxHoldOff   = time.Hour
	MaxStepLimit = time.Minute
)

// Failback says whether the designated primary gets its role back.
type Failback uint8

// The failback modes.
const (
	// FailbackAuto hands back when the returned primary has been ready for the hold-off time.
	FailbackAuto Failback = iota
	// FailbackManual leaves it to an operator's switch.
	FailbackManual
	// FailbackNever makes both nodes equal: who is active stays active.
	FailbackNever
)

// ParseFailback returns the mode with the given configuration name.
func ParseFailback(s string) (Failback, error) {
	for i, name := range []string{"auto", "manual", "never"} {
		if s == name {
			return Failback(i), nil
		}
	}
	return 0, fmt.Errorf("unknown failback %q (one of auto, manual, never)", s)
}

// Policy says what a standby does when the peer is silent on every path and no witness can tell why.
type Policy uint8

// The policies.
const (
	// Availability takes over; the term is unconfirmed.
	Availability Policy = iota
	// Safety waits for an operator.
	Safety
)

// ParsePolicy returns the policy with the given configuration name.
func ParsePolicy(s string) (Policy, error) {
	for i, name := range []string{"availability", "safety"} {
		if s == name {
			return Policy(i), nil
		}
	}
	return 0, fmt.Errorf("unknown policy %q (one of availability, safety)", s)
}

// Config is what a [Machine] is built with. Both nodes have the same values but for Self, Peer and Primary.
type Config struct {
	Self, Peer string
	// Primary is set on the node that is designated to act for the area.
	Primary   bool
	Heartbeat time.Duration // request interval on every path
	Misses    int           // intervals without an answer that make a peer silent
	// JoinWait is how long a starting node waits for the peer before it acts alone. Default 2 x Misses heartbeats.
	JoinWait time.Duration
	Failback Failback
	// HoldOff is how long a returned primary must have been heard without a gap before it gets the role back.
	// It doubles, up to an hour, each time the primary is lost again within a day of a hand-back. Default 10 s.
	HoldOff time.Duration
	Policy  Policy
	// Witness says that somebody can be asked why the peer is silent ([Machine.Witness]).
	Witness bool
	// StepLimit is how long each step of a planned switch may take before it is rolled back. Default 5 s.
	StepLimit time.Duration
	// HealthMargin is how much better the peer's health score must be for the role to move there; NoHealthSwitch for
	// never. Default 20.
	HealthMargin int
	// Epoch is the highest epoch this node has stored.
	Epoch uint64
}

// WithDefaults returns the configuration with its zero durations filled in.
func (c Config) WithDefaults() Config {
	if c.JoinWait == 0 {
		c.JoinWait = 2 * c.Take()
	}
	if c.HoldOff == 0 {
		c.HoldOff = 10 * time.Second
	}
	if c.StepLimit == 0 {
		c.StepLimit = 5 * time.Second
	}
	if c.HealthMargin == 0 {
		c.HealthMargin = DefaultHealthMargin
	}
	return c
}

// Validate says what is wrong with the configuration, or nil.
func (c Config) Validate() error {
	switch {
	case c.Self == "" || c.Peer == "" || c.Self == c.Peer:
		return fmt.Errorf("a pair needs two nodes with different names, not %q and %q", c.Self, c.Peer)
	case c.Heartbeat < MinHeartbeat || c.Heartbeat > MaxHeartbeat:
		return fmt.Errorf("heartbeat %v is outside %v to %v", c.Heartbeat, MinHeartbeat, MaxHeartbeat)
	case c.Misses < MinMisses || c.Misses > MaxMisses:
		return fmt.Errorf("misses %d is outside %d to %d", c.Misses, MinMisses, MaxMisses)
	case c.JoinWait < 0 || c.JoinWait > MaxHoldOff:
		return fmt.Errorf("join wait %v is outside 0 to %v", c.JoinWait, MaxHoldOff)
	case c.HoldOff < 0 || c.HoldOff > MaxHoldOff:
		return fmt.Errorf("hold-off %v is outside 0 to %v", c.HoldOff, MaxHoldOff)
	case c.StepLimit < 0 || c.StepLimit > MaxStepLimit:
		return fmt.Errorf("step limit %v is outside 0 to %v", c.StepLimit, MaxStepLimit)
	case c.HealthMargin < NoHealthSwitch || c.HealthMargin > MaxHealthMargin:
		return fmt.Errorf("health margin %d is outside 1 to %d", c.HealthMargin, MaxHealthMargin)
	case c.Failback > FailbackNever || c.Policy > Safety:
		return fmt.Errorf("unknown failback or policy")
	}
	return nil
}

// Take is how long the peer must have been silent before a standby takes over.
func (c Config) Take() time.Duration { return c.Heartbeat * time.Duration(c.Misses) }

// Lease is how long, from the sending of an answer the peer is known to have received, an active may write. It is half
// a heartbeat shorter than Take: that half covers clocks of different rates and the last write on its way.
func (c Config) Lease() time.Duration { return c.Take() - c.Heartbeat/2 }
