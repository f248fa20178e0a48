package server

import (
	"context"

	"scada/history/journal"
)

// since returns from when on the archives are compared: from shortly before they were last known to be equal. When one of the
// two lacks what the other had then, it is not the archive that was equal: its disk is a new one, or holds a backup. Then
// everything is compared.
func (h *healer) since(ctx context.Context) (int64, error) {
	from := h.s.agreed.get(h.area)
	if from == 0 {
		return 0, nil
	}
	last, ok, err := h.lastBefore(from)
	if err != nil {
		return 0, err
	}
	same, after := true, int64(0) // a young pair has nothing from before: then the active must have nothing either
	if ok {
		same, err = h.activeHas(ctx, &last)
		after = last.Time + 1
	}
	if err == nil && same {
		same, err = h.nothingBetween(ctx, after, from)
	}
	if err != nil || same {
		return from, err
	}
	h.s.log.Warn("One of the nodes lacks what both had before; everything is compared", "area", h.area)
	return 0, nil
}

// lastBefore returns the newest entry before a time that this healer exchanges.
func (h *healer) lastBefore(t int64) (journal.Entry, bool, error) {
	page, err := h.s.journal.Query(journal.Query{To: t, Descending: true, Limit: pushEntries})
	for _, e := range page.Entries {
		if h.concerns(&e) {
			return e, true, nil
		}
	}
	return journal.Entry{}, false, err
}

// nothingBetween reports whether the active has nothing of a stretch that is not here.
func (h *healer) nothingBetween(ctx context.Context, from, to int64) (bool, error) {
	if from >= to {
		return true, nil
	}
	page, err := h.pullEntries(ctx, journalRequest{From: from, To: to})
	if err != nil {
		return false, err
	}
	for i := range page.Entries {
		e := &page.Entries[i]
		if _, known, err := h.s.journal.Get(e.Key); err != nil || !known && h.concerns(e) {
			return false, err
		}
	}
	return page.Next == "", nil
}

// activeHas reports whether the active has an entry.
func (h *healer) activeHas(ctx context.Context, e *journal.Entry) (bool, error) {
	req := journalRequest{From: e.Time, To: e.Time + 1}
	for more := true; more; more = req.Cursor != "" {
		page, err := h.pullEntries(ctx, req)
		if err != nil {
			return false, err
		}
		for i := range page.Entries {
			if page.Entries[i].Key == e.Key {
				return true, nil
			}
		}
		req.Cursor = page.Next
	}
	return false, nil
}
