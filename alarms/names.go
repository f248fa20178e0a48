package alarms

import "fmt"

// nameOf returns the name of an enumeration value, or its number when it has none.
func nameOf(names []string, v uint8) string {
	if int(v) < len(names) {
		return names[v]
	}
	return fmt.Sprintf("(%d)", v)
}

// valueOf is the reverse of nameOf.
func valueOf(what string, names []string, s string) (uint8, error) {
	for i, n := range names {
		if n == s {
			return uint8(i), nil
		}
	}
	return 0, fmt.Errorf("unknown %s %q", what, s)
}

// Type is how a condition is judged.
type Type uint8

// The types of conditions.
const (
	TypeNone Type = iota
	// Level compares the value with up to four limits.
	TypeLevel
	// Deviation compares value minus setpoint with up to four signed limits.
	TypeDeviation
	// Roc compares the rate of change per second with RocHi and RocLo.
	TypeRoc
	// Discrete is active while the value is not one of the normal values.
	TypeDiscrete
	// Discrepancy is active when the feedback did not reach the target in the expected time.
	TypeDiscrepancy
	// BadQuality is active while all its tags are bad.
	TypeBadQuality
)

var typeNames = []string{"", "level", "deviation", "roc", "discrete", "discrepancy", "bad_quality"}

// String returns the configuration name.
func (t Type) String() string { return nameOf(typeNames, uint8(t)) }

// MarshalText writes the configuration name.
func (t Type) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads the configuration name.
func (t *Type) UnmarshalText(b []byte) error {
	v, err := valueOf("alarm type", typeNames, string(b))
	*t = Type(v)
	return err
}

// Level names a limit of a condition; [LevelActive] is the only one of types without limits.
type Level uint8

// The levels. The numbers are part of formats: append only.
const (
	LevelNone Level = iota
	LevelLoLo
	LevelLo
	LevelHi
	LevelHiHi
	LevelRocLo
	LevelRocHi
	LevelActive
	levelEnd
)

var levelNames = []string{"", "LoLo", "Lo", "Hi", "HiHi", "RocLo", "RocHi", "Active"}

// String returns the name of the level, empty for none.
func (l Level) String() string { return nameOf(levelNames, uint8(l)) }

// MarshalText writes the name.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads the name.
func (l *Level) UnmarshalText(b []byte) error {
	v, err := valueOf("level", levelNames, string(b))
	*l = Level(v)
	return err
}

// high reports whether the level is violated by large values.
func (l Level) high() bool { return l == LevelHi || l == LevelHiHi || l == LevelRocHi }

// side is 1 for high levels, -1 for low ones and 0 for [LevelActive] and none.
func (l Level) side() int {
	switch {
	case l.high():
		return 1
	case l == LevelLo || l == LevelLoLo || l == LevelRocLo:
		return -1
	}
	return 0
}

// rank orders the levels of one side: the more severe, the greater.
func (l Level) rank() int {
	switch l {
	case LevelNone:
		return 0
	case LevelHiHi, LevelLoLo:
		return 2
	}
	return 1
}

// Priority orders alarms for the operator.
type Priority uint8

// The priorities; the zero value counts as medium. [PriorityJournal] is recorded and never annunciated.
const (
	PriorityUnset Priority = iota
	PriorityJournal
	PriorityLow
	PriorityMedium
	PriorityHigh
	PriorityCritical
	priorityEnd
)

var priorityNames = []string{"", "journal", "low", "medium", "high", "critical"}

// String returns the configuration name.
func (p Priority) String() string { return nameOf(priorityNames, uint8(p)) }

// MarshalText writes the configuration name.
func (p Priority) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads the configuration name.
func (p *Priority) UnmarshalText(b []byte) error {
	v, err := valueOf("priority", priorityNames, string(b))
	*p = Priority(v)
	return err
}

// Severity returns the priority as an OPC UA severity, 1 to 1000.
func (p Priority) Severity() int {
	switch p {
	case PriorityJournal:
		return 1
	case PriorityLow:
		return 200
	case PriorityHigh:
		return 700
	case PriorityCritical:
		return 900
	}
	return 500
}

// State is the state of a condition after ISA-18.2, as shown to the operator.
type State uint8

// The states. The numbers are part of formats: append only.
const (
	StateNorm State = iota
	StateUnack
	StateAcked
	StateRtnUnack
	StateLatchUnack
	StateLatchAck
	StateShelved
	StateSuppressed
	StateOOS
	stateEnd
)

var stateNames = []string{"NORM", "UNACK", "ACKED", "RTN_UNACK", "LATCH_UNACK", "LATCH_ACK", "SHELVED", "SUPPRESSED", "OOS"}

// String returns the name of the state.
func (s State) String() string { return nameOf(stateNames, uint8(s)) }

// MarshalText writes the name.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the name.
func (s *State) UnmarshalText(b []byte) error {
	v, err := valueOf("alarm state", stateNames, string(b))
	*s = State(v)
	return err
}

// Hidden reports whether the state keeps the condition out of the operator's list: shelved, suppressed, out of service.
func (s State) Hidden() bool { return s >= StateShelved && s < stateEnd }

// Unacknowledged reports whether the state waits for an operator.
func (s State) Unacknowledged() bool {
	return s == StateUnack || s == StateRtnUnack || s == StateLatchUnack
}

// Kind is what happened.
type Kind uint8

// The kinds of events. The numbers are part of formats and keys: append only.
const (
	KindNone Kind = iota
	KindRaise
	KindClear
	KindLevel
	KindAck
	KindReset
	KindShelve
	KindUnshelve
	KindSuppress
	KindUnsuppress
	KindOOS
	KindRTS
	KindQuality
	KindRealarm
	KindMerge
	KindComment
	kindEnd
)

var kindNames = []string{"", "RAISE", "CLEAR", "LEVEL", "ACK", "RESET", "SHELVE", "UNSHELVE", "SUPPRESS", "UNSUPPRESS",
	"OOS", "RTS", "QUALITY", "REALARM", "MERGE", "COMMENT"}

// String returns the name of the kind.
func (k Kind) String() string { return nameOf(kindNames, uint8(k)) }

// MarshalText writes the name.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads the name.
func (k *Kind) UnmarshalText(b []byte) error {
	v, err := valueOf("event kind", kindNames, string(b))
	*k = Kind(v)
	return err
}
