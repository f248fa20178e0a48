package alarms_test

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"scada/alarms"
)

// compare checks the whole journal. Records of different conditions at one instant have no order.
func (w *world) compare(got []alarms.Event) string {
	want := slices.Clone(w.v.Expect.Events)
	slices.SortStableFunc(want, func(a, b expectedEvent) int { return cmp.Compare(a.T, b.T) })
	if len(got) != len(want) {
		return fmt.Sprintf("%d records, want %d", len(got), len(want))
	}
	left := slices.Clone(got)
	for i := range want {
		x := &want[i]
		id := cmp.Or(x.Alarm, w.v.firstAlarm(w))
		at := slices.IndexFunc(left, func(ev alarms.Event) bool { return ev.Condition == id })
		if at < 0 {
			return fmt.Sprintf("missing %s of %s", x.E, id)
		}
		if left[at].Time != left[0].Time {
			return fmt.Sprintf("%s of %s is out of order", x.E, id)
		}
		if d := x.differs(&left[at]); d != "" {
			return fmt.Sprintf("record %d (%s of %s): %s", i+1, x.E, id, d)
		}
		left = slices.Delete(left, at, at+1)
	}
	return ""
}

func (x *expectedEvent) differs(ev *alarms.Event) string {
	var d []string
	field := func(name string, given bool, got, want any) {
		if given && got != want {
			d = append(d, fmt.Sprintf("%s %v, want %v", name, got, want))
		}
	}
	field("t", true, ev.Time, instant(x.T))
	field("e", true, ev.Kind.String(), x.E)
	field("level", x.Level != "" || x.E == "RAISE" || x.E == "LEVEL", ev.Level.String(), x.Level)
	field("state", x.State != "", ev.State.String(), x.State)
	field("ann", true, ev.Annunciate, x.Ann)
	field("occ", x.Occ != 0, ev.Occurrence, x.Occ)
	field("term", x.Term != 0, ev.Term, x.Term)
	field("onset", true, optional(ev.Onset), stated(x.Onset))
	field("not_before", true, optional(ev.NotBefore), stated(x.NotBefore))
	if x.FirstOut != nil {
		field("first_out", true, ev.FirstOut, *x.FirstOut)
	}
	field("by", x.By != "", ev.By, x.By)
	if x.Also != nil {
		field("also", true, fmt.Sprint(ev.Also), fmt.Sprint(*x.Also))
	}
	field("note", x.Note != "", ev.Note, x.Note)
	return strings.Join(d, "; ")
}

func optional(t int64) string {
	if t == 0 {
		return "absent"
	}
	return fmt.Sprint(math.Round(seconds(t)*1e6) / 1e6)
}

func stated(t *float64) string {
	if t == nil {
		return "absent"
	}
	return fmt.Sprint(*t)
}

func describe(ev *alarms.Event) string {
	return fmt.Sprintf("  t=%v %s %s level=%s state=%s ann=%v occ=%d term=%d onset=%s not_before=%s by=%s note=%s first_out=%v also=%v\n", seconds(ev.Time),
		ev.Kind, ev.Condition, ev.Level, ev.State, ev.Annunciate, ev.Occurrence, ev.Term, optional(ev.Onset), optional(ev.NotBefore), ev.By, ev.Note, ev.FirstOut, ev.Also)
}

func describeAll(list []alarms.Event) string {
	var b strings.Builder
	for i := range list {
		b.WriteString(describe(&list[i]))
	}
	return b.String()
}

func describeWanted(list []expectedEvent) string {
	var b strings.Builder
	for _, x := range list {
		fmt.Fprintf(&b, "  t=%v %s %s level=%s state=%s ann=%v occ=%d term=%d onset=%s not_before=%s by=%s note=%s\n", x.T, x.E, x.Alarm, x.Level,
			x.State, x.Ann, x.Occ, x.Term, stated(x.Onset), stated(x.NotBefore), x.By, x.Note)
	}
	return b.String()
}
