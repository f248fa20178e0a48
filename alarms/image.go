package alarms

import (
	"slices"

	"scada/acquisition/tag"
)

// MaxEarlier is the number of earlier unacknowledged occurrences one condition remembers; an older one can no longer be
// acknowledged alone and counts as acknowledged.
const MaxEarlier = 100

// Occurrence names one activation of a condition.
type Occurrence struct {
	Term, Number uint64
}

// LimitImage is the state of one limit. Zero times mean none.
type LimitImage struct {
	Level  Level
	Active bool
	Onset  int64 // since when the bare limit is violated without interruption; kept while active
	Offset int64 // since when an active limit is out of alarm, past the deadband, without interruption
}

// Shelving says how a condition is shelved.
type Shelving uint8

// The ways of shelving.
const (
	NotShelved Shelving = iota
	ShelvedTimed
	ShelvedOneShot
)

// Suppression is the set of reasons for which a condition is suppressed by design.
type Suppression uint8

// The reasons of suppression.
const (
	SuppressedByTag Suppression = 1 << iota
	SuppressedByParent
	SuppressedByFlood
	suppressionEnd
)

// note is what the journal says of the reason.
func (s Suppression) note() string {
	if s&SuppressedByFlood != 0 {
		return NoteFlood
	}
	return ""
}

// ConditionImage is the whole state of one condition: what the standby needs to go on with it. Times are absolute.
type ConditionImage struct {
	ID       string
	Level    Level // the active limit
	Priority Priority
	// Occurrence counts the activations; OccurrenceTerm is the term in which the present one was raised.
	Occurrence     uint64
	OccurrenceTerm uint64
	Unacked        bool
	Latched        bool
	Held           bool  // an input is bad or blind: nothing is judged
	BadReported    bool  // the journal says that the quality is bad
	Idle           bool  // roc: no sample for MaxGap, the rate counts as zero
	GapFrom        int64 // while held: the last instant at which all inputs were known
	RaisedAt       int64
	ClearedAt      int64
	ChangedAt      int64 // time of the last event
	AckedAt        int64
	AckedBy        string
	RealarmAt      int64
	Onset          int64 // of the present occurrence
	NotBefore      int64 // of the present occurrence
	FirstOut       bool  // the present occurrence was the first of its group
	Shelving       Shelving
	ShelvedUntil   int64
	ShelvedBy      string
	OOS            bool
	OOSBy          string
	Suppressed     Suppression
	HasTarget      bool
	Target         float64 // discrepancy: the target the expected time runs for
	Comment        string
	Value          tag.Value // at the last event
	Quality        tag.Quality
	LimitValue     float64
	Earlier        []Occurrence
	Limits         []LimitImage
	Last           LastEvent
}

// LastEvent is what names the last event of a condition. It is zero while there was none, and where the image comes from
// a version that did not keep it, until the next one.
type LastEvent struct {
	Key        Key
	Occurrence uint64
	By         string
}

// TagImage is what the engine knows of one tag.
type TagImage struct {
	Name    string
	Time    int64 // of the last believed sample
	GoodAt  int64 // of the last usable sample
	Value   tag.Value
	Quality tag.Quality // of the last believed sample
	RefAt   int64       // roc: the sample the next rate starts from
	RefV    float64
	Bad     bool
	Blind   bool // nothing usable seen since the take-over
}

// Mark tells the standby that the node became active: every tag blind, every condition held.
type Mark struct {
	Term uint64
	Time int64
}

// Outcome is what a call of the engine did. The zero Outcome is "nothing".
type Outcome struct {
	Mark    *Mark // first: a take-over
	Events  []Event
	Changed []ConditionImage
	Tags    []TagImage
	Flood   *FloodImage // nil: as it was
}

// IsZero reports whether nothing happened: nothing to journal and nothing to tell the standby.
func (o *Outcome) IsZero() bool {
	return o.Mark == nil && len(o.Events) == 0 && len(o.Changed) == 0 && len(o.Tags) == 0 && o.Flood == nil
}

// base is the state without the overlays.
func (c *ConditionImage) base() State {
	switch {
	case c.Level != LevelNone && c.Unacked:
		return StateUnack
	case c.Level != LevelNone:
		return StateAcked
	case c.Latched && c.Unacked:
		return StateLatchUnack
	case c.Latched:
		return StateLatchAck
	case c.Unacked:
		return StateRtnUnack
	}
	return StateNorm
}

// State is the state shown to the operator.
func (c *ConditionImage) State() State {
	switch {
	case c.OOS:
		return StateOOS
	case c.Suppressed != 0:
		return StateSuppressed
	case c.Shelving != NotShelved:
		return StateShelved
	}
	return c.base()
}

func (c *ConditionImage) hidden() bool {
	return c.OOS || c.Suppressed != 0 || c.Shelving != NotShelved
}

func (c *ConditionImage) clone() ConditionImage {
	d := *c
	d.Earlier = slices.Clone(c.Earlier)
	d.Limits = slices.Clone(c.Limits)
	return d
}
