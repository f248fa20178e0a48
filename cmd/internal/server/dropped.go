package server

import (
	"fmt"
	"time"

	"scada/alarms"
	"scada/history/journal"
)

// droppedMemory is how long the health tells of a day that made way.
const droppedMemory = 24 * time.Hour

// droppedFault says that days of history were removed before their time for want of room. The other node has most likely no
// more room, so it is no reason for it to take over.
func (s *Server) droppedFault(fault func(weight int, format string, args ...any)) {
	days, _ := s.store.Dropped()
	recent := 0
	for _, d := range days {
		if time.Since(d.At) < droppedMemory {
			recent++
		}
	}
	if recent > 0 {
		last := days[len(days)-1]
		fault(0, "the history had to give way: %d days were removed before their time, the last %s: %s", recent, last.Day.Format(time.DateOnly), last.Reason)
	}
}

// tellDropped puts days that were removed for want of room into the journal, each once. It returns how many have been told.
func (s *Server) tellDropped(told int) int {
	days, before := s.store.Dropped()
	for i := max(told-before, 0); i < len(days); i++ {
		text := fmt.Sprintf("the day %s was removed before its time: %s", days[i].Day.Format(time.DateOnly), days[i].Reason)
		s.areas[s.areaNames[0]].record(s.newEntry(journal.ClassSystem, "history dropped", "", s.nodeName, alarms.System, text))
	}
	return before + len(days)
}
