package server

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"scada/alarms"
	"scada/history"
	"scada/history/journal"
	"scada/redundancy"
)

// Bounds of one healing.
const (
	healMargin     = time.Minute // entries and samples on their way when the nodes last agreed
	healStep       = 24 * time.Hour
	pushEntries    = 100
	maxOutbox      = 10_000
	healTimeout    = 30 * time.Second // of one request
	healRetry      = 250 * time.Millisecond
	healPatience   = 20 // tries that may fail before it is told: at a start the link comes and goes once or twice
	agreedFileMode = 0o600
)

// healer makes the archives of both nodes equal after one of them was away. It runs on the standby, after the snapshot
// has joined it to the stream: from there on everything arrives by the stream, and what lies before is compared and
// exchanged in both directions. Both archives are sets, so doing it twice changes nothing, and nothing is ever dropped.
type healer struct {
	s    *Server
	area string

	wake    chan struct{}
	mu      sync.Mutex
	outbox  []journal.Entry // of this standby, not yet told to the active
	news    chan struct{}   // the outbox is not empty
	left    atomic.Int64    // windows still to be exchanged
	failed  int             // tries in a row
	checked atomic.Pointer[time.Time]
	wanted  *stretch // to be exchanged as soon as may be

	diverged atomic.Pointer[string] // which windows stay different, "" for none
}

func (s *Server) heal(area string) {
	s.healers[area].left.CompareAndSwap(0, 1) // not ready until it is known to be nothing
	select {
	case s.healers[area].wake <- struct{}{}:
	default:
	}
}

// run heals whenever it is asked to, until ctx ends.
func (h *healer) run(ctx context.Context) error {
	compare := time.NewTicker(compareEvery)
	defer compare.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-h.news:
			if h.pushOutbox(ctx) {
				continue
			}
		case <-compare.C:
			h.compare(ctx)
			continue
		case <-h.wanted.news:
			h.exchangeWanted(ctx)
			continue
		case <-h.wake:
		}
		for h.once(ctx) {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(healRetry):
			}
		}
		h.exchangeWanted(ctx)
	}
}

// tell has entries made on this standby brought to the active. What cannot be told now is found by the next healing.
func (h *healer) tell(entries []journal.Entry) {
	h.mu.Lock()
	if len(h.outbox) < maxOutbox {
		h.outbox = append(h.outbox, entries...)
	}
	h.mu.Unlock()
	select {
	case h.news <- struct{}{}:
	default:
	}
}

// pushOutbox reports whether the active has everything now.
func (h *healer) pushOutbox(ctx context.Context) bool {
	h.mu.Lock()
	entries := h.outbox
	h.outbox = nil
	h.mu.Unlock()
	for len(entries) > 0 && h.s.isStandby(h.area) {
		n := min(len(entries), pushEntries)
		if h.pushEntries(ctx, entries[:n]) != nil {
			return false
		}
		entries = entries[n:]
	}
	return true
}

// once heals and reports whether it has to be tried again. Only a standby heals: the active has nobody to ask, and the
// next standby does it for both.
func (h *healer) once(ctx context.Context) (again bool) {
	if !h.s.isStandby(h.area) {
		if h.s.areas[h.area].isActive() { // it may have become so in the middle of a healing
			h.left.Store(0)
		}
		return false
	}
	began := time.Now()
	var from int64
	entries := 0
	err := h.s.areas[h.area].commit.flush(ctx)
	if err == nil {
		from, err = h.since(ctx)
	}
	if err == nil {
		entries, err = h.journal(ctx, from, began.UnixNano()+1) // with what happened at this very instant
	}
	samples := 0
	if err == nil {
		samples, err = h.history(ctx, from, began.UnixNano(), &h.left)
	}
	if ctx.Err() != nil || !h.s.isStandby(h.area) {
		return true // the next round finds out why
	}
	if err != nil {
		if h.failed++; h.failed == healPatience {
			h.s.log.Warn("The archives cannot be compared with the other node", "area", h.area, "error", err)
		}
		return true
	}
	h.failed = 0
	h.left.Store(0)
	h.checked.Store(&began)
	h.s.agreed.set(h.area, began.UnixNano())
	h.s.log.Info("The archives are equal", "area", h.area, "entries_compared", entries, "samples_copied", samples, "took", time.Since(began))
	return false
}

type journalRequest struct {
	From, To int64
	Cursor   string
}

type historyRequest struct {
	From, To int64
	Window   time.Time
	After    string
	Packed   bool `json:",omitempty"` // the answer may be
}

func (h *healer) ask(ctx context.Context, req request, body []byte) ([]byte, error) {
	payload, err := req.encode(body)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, healTimeout)
	defer cancel()
	answer, err := h.s.pair.Forward(ctx, h.area, payload)
	if err != nil {
		return nil, fmt.Errorf("asking the active node (%s): %w", req.Op, err)
	}
	return answer, nil
}

// journal exchanges the entries of [from, to) a step at a time, so that memory is bounded whatever the time apart. Alarm
// records only this node has are not simply copied: the active merges them.
func (h *healer) journal(ctx context.Context, from, to int64) (moved int, err error) {
	begins, err := h.theirFirst(ctx, to)
	if err != nil {
		return 0, err
	}
	var own forks
	for ; from < to; from += int64(healStep) {
		n, err := h.journalStep(ctx, from, min(from+int64(healStep), to), begins, &own)
		if moved += n; err != nil {
			return moved, err
		}
		if own.count > maxForks {
			if err := h.pushForks(ctx, &own); err != nil {
				return moved, err
			}
		}
		if from == 0 { // never agreed: there is nothing before the first entry of either node
			ours, err := h.s.journal.Query(journal.Query{Limit: 1})
			if err != nil {
				return moved, err
			}
			from = max(min(begins, firstOf(ours, to))-int64(healStep), 0)
		}
	}
	return moved, h.pushForks(ctx, &own)
}

func (h *healer) journalStep(ctx context.Context, from, to, begins int64, own *forks) (moved int, err error) {
	theirs, err := h.pullStep(ctx, from, to)
	if err != nil {
		return 0, err
	}
	moved = len(theirs)
	q := journal.Query{From: from, To: to, Limit: pushEntries}
	for more := true; more; more = q.Cursor != "" {
		page, err := h.s.journal.Query(q)
		if err != nil {
			return moved, err
		}
		var missing []journal.Entry
		for _, e := range page.Entries {
			switch {
			case theirs[e.Key] || !h.concerns(&e):
			case h.isFork(&e, begins):
				own.add(forked{Entry: e, Unconfirmed: h.s.areas[h.area].isUnconfirmed(e.Key)})
				moved++
			default:
				missing = append(missing, e)
			}
		}
		if err := h.pushEntries(ctx, missing); err != nil {
			return moved, err
		}
		moved += len(missing)
		q.Cursor = page.Next
	}
	return moved, nil
}

// pullStep takes over what the active has and returns the keys of it. Alarm records of the active that this node has
// overruled are merged there first: they come back as those of the side that lost.
func (h *healer) pullStep(ctx context.Context, from, to int64) (map[alarms.Key]bool, error) {
	theirs := map[alarms.Key]bool{}
	var overruled forks
	var held []journal.Entry
	req := journalRequest{From: from, To: to}
	for more := true; more; more = req.Cursor != "" {
		page, err := h.pullEntries(ctx, req)
		if err != nil {
			return nil, err
		}
		var take []journal.Entry
		for _, e := range page.Entries {
			theirs[e.Key] = true
			term, err := h.overruled(&e)
			switch {
			case err != nil:
				return nil, err
			case term != 0 && overruled.count < maxForks:
				overruled.add(forked{Entry: e, Overruled: term})
				held = append(held, e)
			case h.concerns(&e):
				take = append(take, e)
			}
		}
		if err := h.s.journal.Append(take...); err != nil {
			return nil, err
		}
		req.Cursor = page.Next
	}
	if err := h.pushForks(ctx, &overruled); err != nil {
		return nil, err
	}
	return theirs, h.s.journal.Append(held...)
}

// overruled returns the term in which this node acted without an alarm record of the active, 0 if there is none.
func (h *healer) overruled(e *journal.Entry) (uint64, error) {
	if e.Alarm == nil || e.Area != h.area {
		return 0, nil
	}
	term := h.s.areas[h.area].overruled(e.Alarm)
	if term == 0 {
		return 0, nil
	}
	_, known, err := h.s.journal.Get(e.Key)
	if err != nil || known {
		return 0, err
	}
	return term, nil
}

func (h *healer) pullEntries(ctx context.Context, req journalRequest) (journal.Page, error) {
	var page journal.Page
	answer, err := h.ask(ctx, request{Op: opJournalPull, Journal: &req}, nil)
	if err == nil {
		err = json.Unmarshal(answer, &page)
	}
	return page, err
}

// pushEntries gives entries to the active, in pieces that fit into one request.
func (h *healer) pushEntries(ctx context.Context, entries []journal.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	body, err := json.Marshal(entries)
	if err != nil {
		return fmt.Errorf("encoding journal entries for the other node: %w", err)
	}
	if half := len(entries) / 2; half > 0 && len(body) > forkBytes {
		if err := h.pushEntries(ctx, entries[:half]); err != nil {
			return err
		}
		return h.pushEntries(ctx, entries[half:])
	}
	_, err = h.ask(ctx, request{Op: opJournalPush}, body)
	return err
}

// theirFirst returns the time of the oldest entry of the active node.
func (h *healer) theirFirst(ctx context.Context, none int64) (int64, error) {
	page, err := h.pullEntries(ctx, journalRequest{From: 1, To: none})
	return firstOf(page, none), err
}

func firstOf(page journal.Page, none int64) int64 {
	if len(page.Entries) == 0 {
		return none
	}
	return min(page.Entries[0].Time, none)
}

// journalPull returns a page of the journal. What is still on its way there is waited for: the other node would take it
// for something this one does not know.
func (s *Server) journalPull(ctx context.Context, a *area, req journalRequest) ([]byte, error) {
	if err := a.commit.flush(ctx); err != nil {
		return nil, err
	}
	for limit := pushEntries; ; limit /= 2 {
		page, err := s.journal.Query(journal.Query{From: req.From, To: req.To, Cursor: req.Cursor, Limit: limit})
		b, err := answer(page, err)
		if err != nil || len(b) <= redundancy.MaxCommand || limit == 1 {
			return b, err
		}
	}
}

func (s *Server) journalPush(body []byte) ([]byte, error) {
	var entries []journal.Entry
	if err := json.Unmarshal(body, &entries); err != nil {
		return nil, fmt.Errorf("journal entries of the other node: %w", err)
	}
	if err := s.journal.Append(entries...); err != nil {
		return nil, err
	}
	for _, e := range entries {
		s.entryFeed.Append(entryJSON(e))
	}
	return nil, nil
}

// history exchanges the windows whose digests differ. It keeps count of those that are left.
func (h *healer) history(ctx context.Context, from, to int64, left *atomic.Int64) (moved int, err error) {
	differ, err := h.differing(ctx, from, to)
	if err != nil {
		return 0, err
	}
	for i := len(differ) - 1; i >= 0; i-- { // the newest first: it is what operators look at
		left.Store(int64(i + 1))
		n, err := h.window(ctx, differ[i])
		if moved += n; err != nil {
			return moved, err
		}
	}
	return moved, nil
}

// windowStep is for how much time digests are asked for at once: those of a year would not fit one answer.
const windowStep = 14 * 24 * time.Hour

// differing compares the digests of [from, to) with the active node's.
func (h *healer) differing(ctx context.Context, from, to int64) (out []differing, err error) {
	if keep := h.s.now().cfg.History.Raw; keep > 0 { // what is older goes soon on both nodes
		from = max(from, to-int64(keep)-int64(24*time.Hour))
	}
	for at := from; at < to; at += int64(windowStep) {
		end := min(at+int64(windowStep), to)
		answer, err := h.ask(ctx, request{Op: opHistoryWindows, History: &historyRequest{From: at, To: end}}, nil)
		if err != nil {
			return nil, err
		}
		var theirs []history.WindowDigest
		if err := json.Unmarshal(answer, &theirs); err != nil {
			return nil, fmt.Errorf("digests of the active node: %w", err)
		}
		ours, err := h.s.store.Windows(ctx, at, end)
		if err != nil {
			return nil, err
		}
		out = append(out, differences(ours, theirs)...)
	}
	return out, nil
}

// differing is a window that one of two archives lacks or has otherwise.
type differing struct {
	window time.Time
	theirs history.Digest
}

// differences returns the windows, oldest first, that differ.
func differences(ours, theirs []history.WindowDigest) []differing {
	known := map[time.Time]history.Digest{}
	for _, w := range ours {
		known[w.Window] = w.Digest
	}
	var out []differing
	for _, w := range theirs {
		if d, ok := known[w.Window]; !ok || d != w.Digest {
			out = append(out, differing{w.Window, w.Digest})
		}
		delete(known, w.Window)
	}
	for w := range known {
		out = append(out, differing{window: w})
	}
	slices.SortFunc(out, func(a, b differing) int { return a.window.Compare(b.window) })
	return out
}
