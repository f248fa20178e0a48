package server

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"scada/alarms"
	"scada/history"
	"scada/history/journal"
)

// The archives of both nodes are equal by construction. This is what proves it all the time, and what finds and repairs
// the bit that flipped on a disk.
const (
	compareEvery = 10 * time.Minute
	// settled is how long a window must be over before it has to be equal.
	settled = 10 * time.Minute
	// scrubEvery is how often everything on disk is read again.
	scrubEvery = 24 * time.Hour
)

// eventDiverged is the name of the state in which windows stay different although they were exchanged.
const eventDiverged = "HISTORY_DIVERGED"

// compare exchanges windows of all the past that differ, and looks whether they are equal then.
func (h *healer) compare(ctx context.Context) {
	if !h.s.isStandby(h.area) {
		h.tellDiverged("")
		return
	}
	to := time.Now().Add(-settled).Truncate(history.Window).UnixNano()
	var left atomic.Int64 // not the healer's: a standby that holds the present is ready whatever is found in the past
	moved, err := h.history(ctx, 0, to, &left)
	if err != nil {
		return // the link; there is a next time
	}
	if moved > 0 {
		h.s.log.Info("Samples were exchanged with the other node", "area", h.area, "samples_copied", moved)
	}
	differ, err := h.differing(ctx, 0, to)
	if err != nil || !h.s.isStandby(h.area) {
		return
	}
	h.tellDiverged(divergence(differ))
	if len(differ) == 0 {
		at := time.Now()
		h.checked.Store(&at)
	}
}

// divergence says which windows differ.
func divergence(differ []differing) string {
	if len(differ) == 0 {
		return ""
	}
	const layout = "2006-01-02 15:04"
	return fmt.Sprintf("%d windows of history differ between the nodes, %s to %s UTC", len(differ),
		differ[0].window.UTC().Format(layout), differ[len(differ)-1].window.Add(history.Window).UTC().Format(layout))
}

// tellDiverged notes a divergence, or its end, and has it in the journal when it begins and when it ends.
func (h *healer) tellDiverged(why string) {
	old := ""
	if p := h.diverged.Swap(&why); p != nil {
		old = *p
	}
	if (old == "") == (why == "") {
		return
	}
	text := why
	if why == "" {
		text = "the archives of both nodes are equal again"
	}
	h.s.log.Warn(eventDiverged, "area", h.area, "state", text)
	h.s.areas[h.area].record(h.s.newEntry(journal.ClassSystem, eventDiverged, h.area, h.s.nodeName, alarms.System, text))
}

// divergences returns what [healer.compare] found.
func (s *Server) divergences() (out []string) {
	for _, name := range s.areaNames {
		if p := s.healers[name].diverged.Load(); p != nil && *p != "" {
			out = append(out, eventDiverged+": "+*p)
		}
	}
	return out
}

// scrub reads everything on disk again, once a day. What is damaged is set aside: then its window differs, and comes back
// from the other node with the next comparison.
func (s *Server) scrub(ctx context.Context) error {
	tick := time.NewTicker(scrubEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		damages, err := s.store.Verify(ctx, 0, time.Now().UnixNano())
		if err != nil && ctx.Err() == nil {
			s.log.Error("The history could not be read again", "error", err)
		}
		if len(damages) > 0 {
			text := fmt.Sprintf("%d blocks of history were damaged on disk and set aside; the first: %s", len(damages), damages[0])
			s.areas[s.areaNames[0]].record(s.newEntry(journal.ClassSystem, "history damaged", "", s.nodeName, alarms.System, text))
		}
	}
}
