// Package live is the table of present values: the latest sample of every tag, in the order in which they last changed.
//
// Writers apply batches; readers keep a cursor, a change number, and ask what changed after it. A reader that is slow
// or stops therefore costs nobody anything: it finds the newest sample of each tag when it comes back, never a queue.
// The table is safe for concurrent use.
package live

import (
	"cmp"
	"slices"
	"sync"

	"scada/acquisition/tag"
)

// Change is the latest sample of a tag and the number of the change that put it there.
type Change struct {
	tag.Update
	Seq uint64
}

// Table holds the latest sample of each tag of one configuration revision.
type Table struct {
	mu      sync.RWMutex
	entries []entry // by tag.ID; the last one is the sentinel of the list
	seq     uint64
	watches map[*Watch]struct{}
	tails   []*Tail
}

// entry is a node of a ring ordered by change number: the sentinel's next is the oldest change, its prev the newest.
type entry struct {
	sample     tag.Sample
	seq        uint64
	next, prev int32
}

// New returns a table for n tags, all [tag.BadWaitingForInitialData] without a value, as if changed in order of ID.
func New(n int) *Table {
	t := &Table{entries: make([]entry, n+1), watches: map[*Watch]struct{}{}}
	for i := range t.entries {
		t.entries[i] = entry{next: int32((i + 1) % (n + 1)), prev: int32((i + n) % (n + 1))}
		if i < n {
			t.entries[i].sample.Quality = tag.BadWaitingForInitialData
			t.entries[i].seq = uint64(i + 1)
		}
	}
	t.seq = uint64(n)
	return t
}

// Len returns the number of tags.
func (t *Table) Len() int { return len(t.entries) - 1 }

// Apply stores the samples in order and wakes the watches. Updates of unknown tags are ignored: they can only come
// from another configuration revision. A sample equal to the stored one is not a change.
func (t *Table) Apply(batch []tag.Update) {
	t.mu.Lock()
	changed := false
	for _, u := range batch {
		if int(u.Tag) >= t.Len() || t.entries[u.Tag].sample == u.Sample {
			continue
		}
		t.entries[u.Tag].sample = u.Sample
		t.touch(int32(u.Tag))
		changed = true
	}
	if changed {
		t.wake()
	}
	t.mu.Unlock()
}

// touch gives entry i the next change number and moves it to the newest end of the ring.
func (t *Table) touch(i int32) {
	t.seq++
	e := &t.entries[i]
	e.seq = t.seq
	t.entries[e.prev].next, t.entries[e.next].prev = e.next, e.prev
	end := int32(t.Len())
	newest := t.entries[end].prev
	e.prev, e.next = newest, end
	t.entries[newest].next, t.entries[end].prev = i, i
	for _, l := range t.tails {
		l.note(i, e)
	}
}

// Requalify replaces the quality of the given tags, keeping value and time. keep decides per sample: it gets the
// present sample and returns the quality it should have.
func (t *Table) Requalify(ids []tag.ID, keep func(tag.Sample) tag.Quality) []tag.Update {
	t.mu.Lock()
	defer t.mu.Unlock()
	var changed []tag.Update
	for _, id := range ids {
		if int(id) >= t.Len() {
			continue
		}
		s := &t.entries[id].sample
		q := keep(*s)
		if q == s.Quality {
			continue
		}
		s.Quality = q
		t.touch(int32(id))
		changed = append(changed, tag.Update{Tag: id, Sample: *s})
	}
	if len(changed) > 0 {
		t.wake()
	}
	return changed
}

// Get returns the latest sample of a tag; an unknown tag has quality [tag.BadConfigurationError].
func (t *Table) Get(id tag.ID) tag.Sample {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if int(id) >= t.Len() {
		return tag.Sample{Quality: tag.BadConfigurationError}
	}
	return t.entries[id].sample
}

// Seq returns the number of the newest change.
func (t *Table) Seq() uint64 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.seq
}

// Since appends to dst the tags changed after seq, oldest change first, and returns it with the number to ask from
// next time. With seq 0 it returns every tag. At most limit changes are returned (0 means all); the rest come with
// the next call.
func (t *Table) Since(dst []Change, seq uint64, limit int) ([]Change, uint64) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	end := int32(t.Len())
	i := t.entries[end].prev
	for i != end && t.entries[i].seq > seq {
		i = t.entries[i].prev
	}
	for i = t.entries[i].next; i != end; i = t.entries[i].next {
		if limit > 0 && len(dst) >= limit {
			return dst, seq
		}
		e := &t.entries[i]
		dst = append(dst, Change{Update: tag.Update{Tag: tag.ID(i), Sample: e.sample}, Seq: e.seq})
		seq = e.seq
	}
	return dst, max(seq, t.seq)
}

// Among is [Table.Since] for the given tags alone and without a limit: it costs as much as there are, not as much as changed.
func (t *Table) Among(dst []Change, ids []tag.ID, seq uint64) ([]Change, uint64) {
	t.mu.RLock()
	first := len(dst)
	for _, id := range ids {
		if int(id) >= t.Len() || t.entries[id].seq <= seq {
			continue
		}
		e := &t.entries[id]
		dst = append(dst, Change{Update: tag.Update{Tag: id, Sample: e.sample}, Seq: e.seq})
	}
	seq = max(seq, t.seq)
	t.mu.RUnlock()
	slices.SortFunc(dst[first:], func(a, b Change) int { return cmp.Compare(a.Seq, b.Seq) })
	return dst, seq
}

// Watch tells a reader that something changed. Many changes before the reader looks are one signal.
type Watch struct {
	table *Table
	c     chan struct{}
}

// Watch returns a new watch; Close it when done.
func (t *Table) Watch() *Watch {
	w := &Watch{table: t, c: make(chan struct{}, 1)}
	t.mu.Lock()
	t.watches[w] = struct{}{}
	t.mu.Unlock()
	return w
}

// C receives after changes.
func (w *Watch) C() <-chan struct{} { return w.c }

// Close ends the watch. Its channel is not closed.
func (w *Watch) Close() {
	w.table.mu.Lock()
	delete(w.table.watches, w)
	w.table.mu.Unlock()
}

// wake signals every watch without waiting; a watch that was not looked at since holds its signal already.
func (t *Table) wake() {
	for w := range t.watches {
		select {
		case w.c <- struct{}{}:
		default:
		}
	}
}
