package server

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"scada/acquisition/tag"
	"scada/alarms"
	"scada/history/journal"
	"scada/redundancy"
)

// Bounds of one merge.
const (
	maxForks       = 50_000 // records collected before they are sent
	forkBytes      = redundancy.MaxCommand / 2
	maxOurs        = 100_000 // own records looked at beside them
	mergeTries     = 3
	maxUnconfirmed = 10_000
)

// forked is an alarm record that only the returning node has: it wrote it while the other one was, or became, active.
type forked struct {
	Entry journal.Entry `json:"entry"`
	// Unconfirmed says that the operator whose command it records was told that the outcome is open.
	Unconfirmed bool `json:"unconfirmed,omitempty"`
	// Overruled is set by a standby for a record of the active itself: the term in which the standby acted without it. The
	// active has taken over that state before anybody had asked what it had recorded beside it.
	Overruled uint64 `json:"overruled,omitempty"`
}

// forks collects what the standby has and the active does not, condition by condition: a merge wants to see all
// records of a condition at once.
type forks struct {
	conditions map[string][]forked
	count      int
}

func (f *forks) add(e forked) {
	if f.conditions == nil {
		f.conditions = map[string][]forked{}
	}
	f.conditions[e.Entry.Alarm.Condition] = append(f.conditions[e.Entry.Alarm.Condition], e)
	f.count++
}

// pieces returns the records in JSON lists that fit into one request each. The records of one condition stay together
// unless they alone are too many.
func (f *forks) pieces() ([][]byte, error) {
	var out [][]byte
	var piece []byte
	for _, list := range f.conditions {
		var texts [][]byte
		size := 0
		for _, e := range list {
			text, err := json.Marshal(e)
			if err != nil {
				return nil, fmt.Errorf("encoding an alarm record for the other node: %w", err)
			}
			texts, size = append(texts, text), size+len(text)+1
		}
		if len(piece) > 0 && len(piece)+size > forkBytes {
			out, piece = append(out, append(piece, ']')), nil
		}
		for _, text := range texts {
			switch {
			case len(piece) == 0:
				piece = append(piece, '[')
			case len(piece)+len(text) > forkBytes:
				out, piece = append(out, append(piece, ']')), []byte{'['}
			default:
				piece = append(piece, ',')
			}
			piece = append(piece, text...)
		}
	}
	if len(piece) > 0 {
		out = append(out, append(piece, ']'))
	}
	return out, nil
}

// pushForks gives the active the alarm records only this standby has, to be merged.
func (h *healer) pushForks(ctx context.Context, f *forks) error {
	pieces, err := f.pieces()
	if err != nil {
		return err
	}
	for _, body := range pieces {
		if _, err := h.ask(ctx, request{Op: opAlarmForks}, body); err != nil {
			return err
		}
	}
	*f = forks{}
	return nil
}

// concerns reports whether an entry is exchanged by the healer of this area. Alarm records of another area are left to
// that area's own: its active node may be the other one, and it has to merge what it lacks.
func (h *healer) concerns(e *journal.Entry) bool { return e.Alarm == nil || e.Area == h.area }

// isFork reports whether an entry the active does not have was written by this node as the active one, after the other
// had begun its journal. What is older lies before the other's memory, or was removed there by age.
func (h *healer) isFork(e *journal.Entry, begins int64) bool {
	odd := h.s.nodeName < h.s.cfg.Peer(h.s.nodeName) // the terms of a node are all odd or all even
	return e.Alarm != nil && e.Alarm.Note != alarms.NoteFork && e.Time >= begins && odd == (e.Alarm.Term%2 == 1)
}

// mergeForks takes over, on the active node, alarm records it does not have. Nothing of them is discarded: they are
// journalled on both nodes as those of the losing side, and what operators have to know of them becomes visible.
func (s *Server) mergeForks(ctx context.Context, a *area, body []byte) ([]byte, error) {
	var list []forked
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fmt.Errorf("alarm records of the other node: %w", err)
	}
	if err := a.commit.flush(ctx); err != nil {
		return nil, err
	}
	theirs, first, err := s.unknownForks(a, list)
	if err != nil || len(theirs) == 0 {
		return nil, err
	}
	for try := 1; ; try++ {
		seen := a.transitionCount()
		ours, err := s.ownEvents(ctx, a, theirs, first)
		if err != nil {
			return nil, err
		}
		c, ok, err := a.merge(seen, try == mergeTries, ours, theirs)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue // an alarm has changed meanwhile
		}
		if _, err := c.wait(ctx); err != nil {
			return nil, err
		}
		break
	}
	text := mergeReport(s.cfg.Peer(s.nodeName), theirs)
	s.log.Info("Alarm records of the other node have been merged", "area", a.name, "records", len(theirs))
	a.record(s.newEntry(journal.ClassRole, "merge", a.name, s.nodeName, alarms.System, text))
	return nil, nil
}

// unknownForks returns the records this journal does not have yet, and the time of the first. Records of what this
// node's state comes from are no forks: it took the snapshot of the node that wrote them, and became active before it had
// their journal. They are journalled as they are.
func (s *Server) unknownForks(a *area, list []forked) (theirs []alarms.Forked, first int64, err error) {
	var inherited []journal.Entry
	defer func() {
		if len(inherited) > 0 && err == nil {
			a.record(inherited...)
		}
	}()
	for i := range list {
		f := &list[i]
		if f.Entry.Alarm == nil {
			return nil, 0, fmt.Errorf("entry %s of the other node is no alarm record", f.Entry.Key)
		}
		entry, known, err := s.journal.Get(f.Entry.Key)
		if err != nil {
			return nil, 0, err
		}
		if f.Overruled != 0 {
			if ev, ok := s.ownFork(a, f, entry, known); ok {
				theirs = append(theirs, ev)
				first = earliest(first, ev.Time)
			}
			continue
		}
		if known {
			continue
		}
		if a.inherited(f.Entry.Alarm) {
			inherited = append(inherited, f.Entry)
			continue
		}
		ev := s.eventOf(&f.Entry)
		first = earliest(first, ev.Time)
		theirs = append(theirs, alarms.Forked{Event: ev, Confirmed: !f.Unconfirmed})
	}
	return theirs, first, nil
}

// ownFork is a record of this node that the other one says it has overruled. It is one if the state of this node comes
// from that term of the other, and it has not been merged yet.
func (s *Server) ownFork(a *area, f *forked, entry journal.Entry, known bool) (alarms.Forked, bool) {
	if !known || entry.Alarm == nil || entry.Alarm.Note == alarms.NoteFork || !a.descends(f.Overruled) {
		return alarms.Forked{}, false
	}
	return alarms.Forked{Event: s.eventOf(&entry), Confirmed: !a.isUnconfirmed(entry.Key)}, true
}

// earliest is the earlier of two instants, of which the first may be none.
func earliest(a, b int64) int64 {
	if a == 0 {
		return b
	}
	return min(a, b)
}

// eventOf restores the event of a journal entry; value and quality are kept as text beside it.
func (s *Server) eventOf(e *journal.Entry) alarms.Event {
	ev := *e.Alarm
	ev.Quality = parseQuality(e.Quality)
	if e.Value == "" {
		return ev
	}
	if def, ok := s.now().definition(e.Tag); ok {
		if v, err := tag.Parse(def.Type, e.Value); err == nil {
			ev.Value = v
			return ev
		}
	}
	if n, err := strconv.ParseFloat(e.Value, 64); err == nil {
		ev.Value = tag.Float64(n)
	}
	return ev
}

// parseQuality reads what Quality.String has written.
func parseQuality(text string) tag.Quality {
	if q, ok := tag.ParseQuality(text); ok {
		return q
	}
	_, number, _ := strings.Cut(text, "_0x")
	n, err := strconv.ParseUint(number, 16, 32)
	if err != nil {
		return 0
	}
	return tag.Quality(n)
}

// ownEvents returns this node's own records of the conditions since the first of theirs.
func (s *Server) ownEvents(ctx context.Context, a *area, theirs []alarms.Forked, first int64) ([]alarms.Event, error) {
	if err := a.commit.flush(ctx); err != nil {
		return nil, err
	}
	wanted, forks := map[string]bool{}, map[alarms.Key]bool{}
	for i := range theirs {
		wanted[theirs[i].Condition], forks[theirs[i].Key] = true, true
	}
	var ours []alarms.Event
	q := journal.Query{From: first, Class: journal.ClassAlarm, Area: a.name, Limit: journal.MaxPage}
	for more := true; more && len(ours) < maxOurs; more = q.Cursor != "" {
		page, err := s.journal.Query(q)
		if err != nil {
			return nil, err
		}
		for _, e := range page.Entries {
			if e.Alarm != nil && e.Alarm.Note != alarms.NoteFork && wanted[e.Alarm.Condition] && !forks[e.Key] {
				ours = append(ours, *e.Alarm)
			}
		}
		q.Cursor = page.Next
	}
	return ours, nil
}

// transitionCount is how many alarm transitions this area has seen as the active one.
func (a *area) transitionCount() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.transitions
}

// merge has the engine take the records over; ok is false when there were transitions since they were collected.
func (a *area) merge(seen uint64, anyway bool, ours []alarms.Event, theirs []alarms.Forked) (c *commitment, ok bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.active {
		return nil, false, redundancy.ErrNotActive
	}
	if a.transitions != seen && !anyway {
		return nil, false, nil
	}
	out := a.engine.Merge(now(), ours, theirs)
	c = a.emit(nil, &out)
	a.nudge()
	return c, true, nil
}

// maxLineage is how many snapshots an area remembers to have taken: a merge follows within seconds.
const maxLineage = 8

// ancestor is what a snapshot contained: the time of the last event of each condition, by the clock of who made it.
type ancestor struct {
	term uint64
	last map[string]int64
}

// inherit notes what the snapshot that was just taken contains. The caller holds the mutex.
func (a *area) inherit(term uint64) {
	x := ancestor{term: term, last: map[string]int64{}}
	for _, c := range a.engine.Conditions(alarms.Filter{}) {
		if c.ChangedAt != 0 {
			x.last[c.ID] = c.ChangedAt
		}
	}
	a.lineage = append(a.lineage[max(0, len(a.lineage)-maxLineage+1):], x)
}

// inherited reports whether the state of this area comes from a snapshot that contained the event.
func (a *area) inherited(ev *alarms.Event) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, x := range a.lineage {
		if last, known := x.last[ev.Condition]; known && x.term == ev.Term && ev.Time <= last {
			return true
		}
	}
	return false
}

// descends reports whether the state of this area comes from a snapshot of that term.
func (a *area) descends(term uint64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.ContainsFunc(a.lineage, func(x ancestor) bool { return x.term == term })
}

// reign is a term in which this node acted, after it had mirrored another term.
type reign struct{ followed, acted uint64 }

// maxReigns is how many an area remembers: the other node comes back within a few.
const maxReigns = 8

// overruled returns the term in which this node acted without a record of the other, 0 if there is none: the record is of
// the term this node mirrored before, and neither came by its stream nor was in its snapshot. The journal of this node
// must not have it.
func (a *area) overruled(ev *alarms.Event) uint64 {
	if ev.Note == alarms.NoteFork || a.inherited(ev) {
		return 0
	}
	if !a.descends(ev.Term) {
		return 0 // what a snapshot of that term contained is not known here
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range a.reigns {
		if r.followed == ev.Term && r.followed%2 != r.acted%2 { // a term of the other node
			return r.acted
		}
	}
	return 0
}

// noteUnconfirmed remembers commands whose operators were told that the outcome is open: nobody was promised anything,
// and a merge does not execute them. A restart forgets them; then they count.
func (a *area) noteUnconfirmed(commitments []*commitment) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.unconfirmed == nil || len(a.unconfirmed) > maxUnconfirmed {
		a.unconfirmed = map[alarms.Key]bool{}
	}
	for _, c := range commitments {
		for _, e := range c.entries {
			a.unconfirmed[e.Key] = true
		}
	}
}

func (a *area) isUnconfirmed(k alarms.Key) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.unconfirmed[k]
}
