//go:build e2e && linux

package e2e

import (
	"fmt"
	"maps"
	"testing"

	"scada/web/api"
)

// occurrence is one activation of a condition, as the writer of a record numbers it.
type occurrence struct {
	condition    string
	term, number uint64
}

// transitions counts the entries of each condition and event, but for those a merge has linked to another.
func transitions(list []api.JournalEntry) map[string]int {
	type happening struct {
		condition, event string
		number           uint64
	}
	n, own := map[string]int{}, map[happening]bool{}
	links, begun := map[occurrence]uint64{}, map[occurrence]bool{}
	for _, e := range list {
		o := occurrence{condition: e.Source}
		switch {
		case e.Event == "MERGE":
			if _, err := fmt.Sscanf(e.Note, "dup_of term %d occ %d", &o.term, &o.number); err == nil {
				links[o] = e.Occurrence
			}
		case e.Note == "fork":
			begun[occurrence{e.Source, e.Epoch, e.Occurrence}] = begun[occurrence{e.Source, e.Epoch, e.Occurrence}] || e.Event == "RAISE"
		default:
			n[e.Source+" "+e.Event]++
			own[happening{e.Source, e.Event, e.Occurrence}] = true
		}
	}
	for _, e := range list {
		if e.Note != "fork" {
			continue
		}
		o := occurrence{e.Source, e.Epoch, e.Occurrence}
		number, linked := links[o]
		if !linked && !begun[o] { // raised before they parted: both give it the same number
			number, linked = e.Occurrence, true
		}
		if !linked || !own[happening{e.Source, e.Event, number}] {
			n[e.Source+" "+e.Event]++
		}
	}
	return n
}

// TestTransitions: what both sides have seen counts once if the merge has linked it, and only then.
func TestTransitions(t *testing.T) {
	entry := func(event string, term, number uint64, note string) api.JournalEntry {
		return api.JournalEntry{Source: "x", Event: event, Epoch: term, Occurrence: number, Note: note}
	}
	for _, c := range []struct {
		name            string
		list            []api.JournalEntry
		raised, cleared int
	}{
		{"one side", []api.JournalEntry{entry("RAISE", 1, 1, ""), entry("CLEAR", 1, 1, "")}, 1, 1},
		{"doubled", []api.JournalEntry{entry("RAISE", 1, 1, ""), entry("RAISE", 1, 1, "")}, 2, 0},
		{"linked", []api.JournalEntry{entry("RAISE", 2, 1, ""), entry("RAISE", 1, 5, "fork"), entry("CLEAR", 1, 5, "fork"), entry("CLEAR", 2, 1, ""),
			entry("MERGE", 2, 1, "dup_of term 1 occ 5")}, 1, 1},
		{"not linked", []api.JournalEntry{entry("RAISE", 2, 1, ""), entry("RAISE", 1, 1, "fork")}, 2, 0},
		{"linked, and cleared where it lost alone", []api.JournalEntry{entry("RAISE", 2, 1, ""), entry("RAISE", 1, 1, "fork"), entry("CLEAR", 1, 1, "fork"),
			entry("MERGE", 2, 1, "dup_of term 1 occ 1")}, 1, 1},
		{"raised before they parted", []api.JournalEntry{entry("CLEAR", 2, 3, ""), entry("CLEAR", 1, 3, "fork")}, 0, 1},
		{"seen where it lost alone", []api.JournalEntry{entry("RAISE", 1, 3, "fork"), entry("CLEAR", 1, 3, "fork"), entry("MERGE", 2, 3, "adopted")}, 1, 1},
	} {
		n := transitions(c.list)
		want := map[string]int{}
		for event, k := range map[string]int{"x RAISE": c.raised, "x CLEAR": c.cleared} {
			if k > 0 {
				want[event] = k
			}
		}
		if !maps.Equal(n, want) {
			t.Errorf("%s: %v, want %v", c.name, n, want)
		}
	}
}
