package live

import "scada/acquisition/tag"

// Tail keeps every change of chosen tags for one reader, where [Table.Since] gives the latest only: two samples that
// come in one batch are two changes. It is bounded; a reader that is too slow is told that changes are missing.
type Tail struct {
	table  *Table
	limit  int
	wanted []bool // by tag.ID
	queue  []Change
	lost   bool
}

// Tail returns a tail that keeps at most limit changes, of no tag yet; Close it when done.
func (t *Table) Tail(limit int) *Tail {
	l := &Tail{table: t, limit: limit, wanted: make([]bool, t.Len())}
	t.mu.Lock()
	t.tails = append(t.tails, l)
	t.mu.Unlock()
	return l
}

// Follow says whether the changes of a tag are kept from now on.
func (l *Tail) Follow(id tag.ID, on bool) {
	l.table.mu.Lock()
	defer l.table.mu.Unlock()
	if int(id) < len(l.wanted) {
		l.wanted[id] = on
	}
}

// Take appends the changes since the last call to dst, oldest first, and returns it. lost says that there were more
// than the tail keeps: all of them are gone, and the reader finds the latest ones in the table.
func (l *Tail) Take(dst []Change) (changes []Change, lost bool) {
	l.table.mu.Lock()
	defer l.table.mu.Unlock()
	dst, lost = append(dst, l.queue...), l.lost
	clear(l.queue) // texts are not to be held
	l.queue, l.lost = l.queue[:0], false
	return dst, lost
}

// Close ends the tail.
func (l *Tail) Close() {
	l.table.mu.Lock()
	defer l.table.mu.Unlock()
	for i, o := range l.table.tails {
		if o == l {
			l.table.tails = append(l.table.tails[:i:i], l.table.tails[i+1:]...)
			return
		}
	}
}

// note keeps the newest change of a tag. The table's lock is held.
func (l *Tail) note(i int32, e *entry) {
	switch {
	case !l.wanted[i] || l.lost:
	case len(l.queue) >= l.limit:
		clear(l.queue)
		l.queue, l.lost = l.queue[:0], true
	default:
		l.queue = append(l.queue, Change{Update: tag.Update{Tag: tag.ID(i), Sample: e.sample}, Seq: e.seq})
	}
}

// Latest returns the latest sample of a tag with the number of its change.
func (t *Table) Latest(id tag.ID) Change {
	t.mu.RLock()
	defer t.mu.RUnlock()
	c := Change{Update: tag.Update{Tag: id, Sample: tag.Sample{Quality: tag.BadConfigurationError}}}
	if int(id) < t.Len() {
		c.Sample, c.Seq = t.entries[id].sample, t.entries[id].seq
	}
	return c
}
