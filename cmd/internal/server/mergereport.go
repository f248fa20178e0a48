package server

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"scada/alarms"
)

// mergedNamed is how many conditions a report names.
const mergedNamed = 8

// mergeReport says in a line what was taken over from the losing side of a time in which both nodes acted: how many records of
// which kind, of what time, of which conditions, and how many commands nobody had been promised.
func mergeReport(peer string, theirs []alarms.Forked) string {
	kinds, conditions := map[string]int{}, map[string]bool{}
	first, last, open := theirs[0].Time, theirs[0].Time, 0
	for i := range theirs {
		f := &theirs[i]
		kinds[f.Kind.String()]++
		conditions[f.Condition] = true
		first, last = min(first, f.Time), max(last, f.Time)
		if !f.Confirmed {
			open++
		}
	}
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(kinds)) {
		parts = append(parts, fmt.Sprintf("%d %s", kinds[k], k))
	}
	names := slices.Sorted(maps.Keys(conditions))
	more := ""
	if len(names) > mergedNamed {
		names, more = names[:mergedNamed], ", …"
	}
	at := func(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339) }
	text := fmt.Sprintf("%d alarm records of %s that were not known here have been merged (%s), from %s to %s, of %d conditions: %s%s",
		len(theirs), peer, strings.Join(parts, ", "), at(first), at(last), len(conditions), strings.Join(names, ", "), more)
	if open > 0 {
		text += fmt.Sprintf("; %d commands among them had no confirmed outcome and were not carried out", open)
	}
	return joinText(text, "")
}
