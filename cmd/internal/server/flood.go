package server

import (
	"fmt"
	"time"

	"scada/alarms"
	"scada/history/journal"
)

// The journal's kinds of an alarm flood that begins and ends.
const (
	kindFlood     = "alarm-flood"
	kindFloodOver = "alarm-flood-over"
)

// floodEntries is what the journal says when an outcome begins or ends an alarm flood. The caller holds the area's mutex.
func (a *area) floodEntries(out *alarms.Outcome) []journal.Entry {
	if out.Flood == nil || a.flooded == (out.Flood.Since != 0) {
		return nil
	}
	a.flooded = !a.flooded
	e := journal.Entry{Time: now(), Class: journal.ClassSystem, Kind: kindFloodOver, Area: a.name, Source: a.name, User: alarms.System, Node: a.node, Epoch: a.epoch}
	if a.flooded {
		f := a.flood
		e.Time, e.Kind = out.Flood.Since, kindFlood
		e.Message = fmt.Sprintf("more than %d alarms in %s: those less urgent than %s are suppressed", f.Enter, f.Window.Truncate(time.Second), f.Keep)
	}
	e.Key = eventKey(e.Time, e.Kind, e.Area)
	return []journal.Entry{e}
}
