package alarms

import (
	"slices"
	"strconv"
	"strings"

	"scada/acquisition/tag"
)

// Condition is what lists show of a condition.
type Condition struct {
	ID         string
	Alarm      string // id of the definition; differs from ID for non-exclusive limits
	Tag        string
	Area       string
	Class      string
	Type       Type
	State      State
	Level      Level
	Priority   Priority
	Occurrence uint64
	Term       uint64 // in which the occurrence was raised
	Earlier    []uint64
	Held       bool // an input is bad or not yet seen: the state is the last known
	FirstOut   bool
	Latched    bool
	RaisedAt   int64
	Onset      int64
	NotBefore  int64
	ClearedAt  int64
	ChangedAt  int64
	AckedAt    int64
	AckedBy    string
	Shelving   Shelving
	ShelvedBy  string
	// ShelvedUntil is 0 for a one-shot shelving without a limit.
	ShelvedUntil int64
	Suppressed   Suppression
	OOS          bool
	OOSBy        string
	Comment      string
	Value        tag.Value   // at the last event
	Quality      tag.Quality // at the last event
	Limit        float64
	Message      string
	Guidance     string
	Last         LastEvent
}

// Filter chooses conditions; the zero Filter chooses all.
type Filter struct {
	States      []State // none: any state
	Area        string
	Tag         string
	Condition   string
	MinPriority Priority
	// Active leaves out what is normal and what is hidden: the operator's alarm list.
	Active bool
}

func (f *Filter) accepts(c *condition) bool {
	s := c.State()
	switch {
	case f.Active && (s == StateNorm || s.Hidden()):
		return false
	case len(f.States) > 0 && !slices.Contains(f.States, s):
		return false
	case f.Area != "" && f.Area != c.def.Area:
		return false
	case f.Tag != "" && f.Tag != c.main.Name:
		return false
	case f.Condition != "" && f.Condition != c.ID:
		return false
	}
	return c.shownPriority() >= f.MinPriority
}

// Conditions returns the chosen conditions in the order of the configuration.
func (e *Engine) Conditions(f Filter) []Condition {
	var list []Condition
	for _, c := range e.conds {
		if f.accepts(c) {
			list = append(list, c.view())
		}
	}
	return list
}

// Active returns the operator's alarm list: everything that is not normal and not hidden.
func (e *Engine) Active() []Condition { return e.Conditions(Filter{Active: true}) }

// Condition returns one condition.
func (e *Engine) Condition(id string) (Condition, bool) {
	c, ok := e.byCond[id]
	if !ok {
		return Condition{}, false
	}
	return c.view(), true
}

// Counts is the number of conditions by state.
type Counts [stateEnd]int

// Counts returns how many conditions are in each state.
func (e *Engine) Counts() Counts {
	var n Counts
	for _, c := range e.conds {
		n[c.State()]++
	}
	return n
}

// Horn returns the highest priority among the unacknowledged conditions, [PriorityUnset] when there is none.
func (e *Engine) Horn() Priority {
	p := PriorityUnset
	for _, c := range e.conds {
		if c.State().Unacknowledged() && c.Priority != PriorityJournal {
			p = max(p, c.Priority)
		}
	}
	return p
}

func (c *condition) shownPriority() Priority {
	if c.Priority == PriorityUnset {
		return c.limits[0].priority
	}
	return c.Priority
}

func (c *condition) view() Condition {
	return Condition{
		ID: c.ID, Alarm: c.def.ID, Tag: c.main.Name, Area: c.def.Area, Class: c.def.Class, Type: c.def.Type,
		State: c.State(), Level: c.Level, Priority: c.shownPriority(), Occurrence: c.Occurrence, Term: c.OccurrenceTerm,
		Earlier: numbers(c.Earlier), Held: c.Held, FirstOut: c.FirstOut, Latched: c.Latched,
		RaisedAt: c.RaisedAt, Onset: c.Onset, NotBefore: c.NotBefore, ClearedAt: c.ClearedAt, ChangedAt: c.ChangedAt,
		AckedAt: c.AckedAt, AckedBy: c.AckedBy, Shelving: c.Shelving, ShelvedBy: c.ShelvedBy, ShelvedUntil: c.ShelvedUntil,
		Suppressed: c.Suppressed, OOS: c.OOS, OOSBy: c.OOSBy, Comment: c.Comment, Value: c.ConditionImage.Value, Quality: c.ConditionImage.Quality,
		Limit: c.LimitValue, Message: c.message(), Guidance: c.def.Guidance,
		Last: c.Last,
	}
}

// message is the configured text with its placeholders replaced.
func (c *condition) message() string {
	return c.def.message(c.Level, c.ConditionImage.Value, c.LimitValue)
}

// Message is the configured text as it reads for an event. It follows from the event alone: what was then, and on both
// nodes the same.
func (d *Definition) Message(ev *Event) string { return d.message(ev.Level, ev.Value, ev.Limit) }

func (d *Definition) message(l Level, v tag.Value, limit float64) string {
	if !strings.Contains(d.Text, "{") {
		return d.Text
	}
	return strings.NewReplacer("{tag}", d.MainTag(), "{level}", l.String(), "{value}", v.String(), "{limit}", strconv.FormatFloat(limit, 'g', -1, 64),
		"{unit}", d.Unit).Replace(d.Text)
}

// MainTag is the tag the alarm is of: of a device that does not answer the first of its tags.
func (d *Definition) MainTag() string {
	if d.Tag == "" && len(d.Tags) > 0 {
		return d.Tags[0]
	}
	return d.Tag
}

// Definition returns what the configuration says of the alarm a condition belongs to.
func (e *Engine) Definition(condition string) (*Definition, bool) {
	c, ok := e.byCond[condition]
	if !ok {
		return nil, false
	}
	return c.def, true
}
