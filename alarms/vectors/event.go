package vectors

import (
	"fmt"
	"math"
	"strings"
	"time"

	"scada/alarms"
)

// Frame is how one telling of a story differs from the story: when it began, how far off its moments may be, and which
// real term is which of the story's.
type Frame struct {
	Begin time.Time
	First string                               // the condition of a record that names none
	Slack func(ev *alarms.Event) time.Duration // nil: none
	Terms map[uint64]uint64                    // nil: the same
}

// At is a moment of the telling in seconds of the story.
func (f *Frame) At(t int64) float64 {
	return math.Round(time.Unix(0, t).Sub(f.Begin).Seconds()*1e6) / 1e6
}

func (f *Frame) term(t uint64) uint64 {
	if f.Terms == nil {
		return t
	}
	return f.Terms[t]
}

// Differs says in which fields a record is not what the story wants, "" if it is.
func (f *Frame) Differs(want *Event, ev *alarms.Event) string {
	var d []string
	field := func(name string, given bool, got, want any) {
		if given && got != want {
			d = append(d, fmt.Sprintf("%s %v, want %v", name, got, want))
		}
	}
	off := time.Unix(0, ev.Time).Sub(f.Begin.Add(Span(want.T))).Abs()
	field("t", off > 0 && (f.Slack == nil || off > f.Slack(ev)), fmt.Sprint(f.At(ev.Time)), fmt.Sprint(want.T))
	field("e", true, ev.Kind.String(), want.E)
	if want.Alarm != "" {
		field("alarm", true, ev.Condition, want.Alarm)
	} else {
		field("alarm", true, ev.Condition, f.First)
	}
	field("level", want.Level != "" || want.E == "RAISE" || want.E == "LEVEL", ev.Level.String(), want.Level)
	field("state", want.State != "", ev.State.String(), want.State)
	field("ann", true, ev.Annunciate, want.Ann)
	field("occ", want.Occ != 0, ev.Occurrence, want.Occ)
	field("term", want.Term != 0, f.term(ev.Term), want.Term)
	field("onset", true, f.optional(ev.Onset), stated(want.Onset))
	field("not_before", true, f.optional(ev.NotBefore), stated(want.NotBefore))
	field("first_out", want.FirstOut != nil, ev.FirstOut, want.FirstOut != nil && *want.FirstOut)
	field("by", want.By != "", ev.By, want.By)
	if want.Also != nil {
		field("also", true, fmt.Sprint(ev.Also), fmt.Sprint(*want.Also))
	}
	field("note", want.Note != "", ev.Note, want.Note)
	return strings.Join(d, "; ")
}

func (f *Frame) optional(t int64) string {
	if t == 0 {
		return "absent"
	}
	return fmt.Sprint(f.At(t))
}

func stated(t *float64) string {
	if t == nil {
		return "absent"
	}
	return fmt.Sprint(*t)
}

// Tell is a record in the words of the story.
func (f *Frame) Tell(ev *alarms.Event) string {
	return fmt.Sprintf("t=%v %s %s level=%s state=%s ann=%v occ=%d term=%d onset=%s not_before=%s by=%s note=%s first_out=%v also=%v", f.At(ev.Time), ev.Kind,
		ev.Condition, ev.Level, ev.State, ev.Annunciate, ev.Occurrence, f.term(ev.Term), f.optional(ev.Onset), f.optional(ev.NotBefore), ev.By, ev.Note, ev.FirstOut, ev.Also)
}

// Tell is the record a story wants.
func (x *Event) Tell() string {
	return fmt.Sprintf("t=%v %s %s level=%s state=%s ann=%v occ=%d term=%d onset=%s not_before=%s by=%s note=%s", x.T, x.E, x.Alarm, x.Level, x.State, x.Ann,
		x.Occ, x.Term, stated(x.Onset), stated(x.NotBefore), x.By, x.Note)
}
