package journal

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"scada/alarms"
)

// maxScan is how many entries one page looks at. A page may therefore be short or empty and still have a Next: whoever
// wants all goes on until Next is empty.
const maxScan = MaxPage

// Query returns one page of the chosen entries in the order of time.
func (j *Journal) Query(q Query) (Page, error) {
	limit := q.Limit
	if limit <= 0 {
		limit = DefaultPage
	}
	return j.page(q, min(limit, MaxPage), maxScan)
}

func (j *Journal) page(q Query, limit, scan int) (Page, error) {
	var page Page
	var cursor []byte
	if q.Cursor != "" {
		var err error
		if cursor, err = decodeCursor(q.Cursor); err != nil {
			return page, err
		}
	}
	m := newMatcher(q)
	err := j.view(func(tx *bbolt.Tx) error {
		s := scanner{c: tx.Bucket(bucketEntries).Cursor(), descending: q.Descending}
		var last []byte
		for k, v := s.start(q, cursor); k != nil && m.within(k); k, v = s.next() {
			if len(page.Entries) == limit || scan == 0 {
				page.Next = encodeCursor(last)
				return nil
			}
			scan--
			last = k
			if !m.mayMatch(v) {
				continue
			}
			_, e, err := decode(k, v)
			if err != nil {
				return err
			}
			if m.matches(&e) {
				page.Entries = append(page.Entries, e)
			}
		}
		return nil
	})
	if err != nil {
		return Page{}, fmt.Errorf("reading the journal: %w", err)
	}
	return page, nil
}

// scanner walks the file in one direction.
type scanner struct {
	c          *bbolt.Cursor
	descending bool
}

// start returns the first entry after the cursor or at the end of the interval from which the walk begins.
func (s *scanner) start(q Query, cursor []byte) (k, v []byte) {
	switch {
	case !s.descending && cursor != nil:
		if k, v = s.c.Seek(cursor); bytes.Equal(k, cursor) {
			k, v = s.c.Next()
		}
		return k, v
	case !s.descending:
		return s.c.Seek(timeKey(q.From))
	case cursor != nil:
		return s.before(cursor)
	case q.To != 0:
		return s.before(timeKey(q.To))
	}
	return s.c.Last()
}

// before returns the last entry in front of the place.
func (s *scanner) before(at []byte) (k, v []byte) {
	if k, _ := s.c.Seek(at); k == nil {
		return s.c.Last()
	}
	return s.c.Prev()
}

func (s *scanner) next() (k, v []byte) {
	if s.descending {
		return s.c.Prev()
	}
	return s.c.Next()
}

// matcher is a query prepared for comparing.
type matcher struct {
	q       Query
	text    string
	needles [][]byte // what the stored form of every match contains
}

func newMatcher(q Query) *matcher {
	m := &matcher{q: q, text: strings.ToLower(q.Text)}
	for _, f := range []struct{ name, value string }{
		{"class", string(q.Class)}, {"kind", q.Kind}, {"area", q.Area}, {"source", q.Source}, {"tag", q.Tag}, {"user", q.User},
	} {
		if value, err := json.Marshal(f.value); err == nil && f.value != "" {
			m.needles = append(m.needles, fmt.Appendf(nil, "%q:%s", f.name, value))
		}
	}
	return m
}

// mayMatch sorts out most entries without decoding them, which is what a search for something rare spends its time on.
func (m *matcher) mayMatch(v []byte) bool {
	for _, n := range m.needles {
		if !bytes.Contains(v, n) {
			return false
		}
	}
	return true
}

// within reports whether the place is in the interval.
func (m *matcher) within(place []byte) bool {
	t := timeOf(place)
	return t >= m.q.From && (m.q.To == 0 || t < m.q.To)
}

func (m *matcher) matches(e *Entry) bool {
	q := &m.q
	return (q.Class == "" || q.Class == e.Class) && (q.Category == "" || q.Category == e.Category()) && equal(q.Kind, e.Kind) && equal(q.Area, e.Area) && equal(q.Source, e.Source) &&
		equal(q.Tag, e.Tag) && equal(q.User, e.User) &&
		(m.text == "" || strings.Contains(strings.ToLower(e.Message), m.text) || strings.Contains(strings.ToLower(e.Source), m.text))
}

func equal(want, got string) bool { return want == "" || want == got }

// Get returns the entry with the key.
func (j *Journal) Get(key alarms.Key) (Entry, bool, error) {
	var e Entry
	found := false
	err := j.view(func(tx *bbolt.Tx) error {
		at := tx.Bucket(bucketKeys).Get(key[:])
		if at == nil {
			return nil
		}
		var err error
		_, e, err = decode(at, tx.Bucket(bucketEntries).Get(at))
		found = err == nil
		return err
	})
	if err != nil {
		return Entry{}, false, fmt.Errorf("reading the journal: %w", err)
	}
	return e, found, nil
}

// Sequence returns the number of the last entry written here. Numbers count writes of this node, not time.
func (j *Journal) Sequence() uint64 {
	j.notify.Lock()
	defer j.notify.Unlock()
	return j.seq
}

// Since returns at most limit entries written after the given number, in the order in which they were written, and the
// number to go on from.
func (j *Journal) Since(seq uint64, limit int) ([]Entry, uint64, error) {
	if limit <= 0 || limit > MaxPage {
		limit = MaxPage
	}
	var list []Entry
	err := j.view(func(tx *bbolt.Tx) error {
		entries := tx.Bucket(bucketEntries)
		c := tx.Bucket(bucketSequence).Cursor()
		for k, at := c.Seek(sequenceKey(seq + 1)); k != nil && len(list) < limit; k, at = c.Next() {
			_, e, err := decode(at, entries.Get(at))
			if err != nil {
				return err
			}
			list, seq = append(list, e), binary.BigEndian.Uint64(k)
		}
		return nil
	})
	if err != nil {
		return nil, seq, fmt.Errorf("reading the journal: %w", err)
	}
	return list, seq, nil
}

// Wait returns when there is an entry after the given number, the context ends or the journal is closed.
func (j *Journal) Wait(ctx context.Context, seq uint64) error {
	for {
		j.notify.Lock()
		have, grown := j.seq, j.grown
		j.notify.Unlock()
		if have > seq {
			return nil
		}
		select {
		case <-grown:
		case <-j.closed:
			return ErrClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// each calls f with every chosen entry; no transaction lasts longer than a page. Limit bounds the number, 0 is all.
func (j *Journal) each(ctx context.Context, q Query, f func(*Entry) error) (int, error) {
	n := 0
	for {
		limit := exportPage
		if q.Limit > 0 {
			limit = min(limit, q.Limit-n)
		}
		page, err := j.page(q, limit, maxScan)
		if err != nil {
			return n, err
		}
		for i := range page.Entries {
			if err := f(&page.Entries[i]); err != nil {
				return n, err
			}
			n++
		}
		if page.Next == "" || (q.Limit > 0 && n >= q.Limit) {
			return n, nil
		}
		if q.Cursor = page.Next; ctx.Err() != nil {
			return n, ctx.Err()
		}
	}
}

const exportPage = 1000

var csvHead = []string{"time", "class", "kind", "area", "source", "tag", "user", "node", "epoch", "message", "old", "new", "result",
	"value", "quality", "state", "level", "priority", "occurrence", "annunciated", "onset", "not_before", "note", "key"}

// ExportCSV writes the chosen entries as RFC 4180, with a head line, and returns how many. Times are RFC 3339 in UTC.
func (j *Journal) ExportCSV(ctx context.Context, w io.Writer, q Query) (int, error) {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	if err := out.Write(csvHead); err != nil {
		return 0, fmt.Errorf("writing the head of the export: %w", err)
	}
	n, err := j.each(ctx, q, func(e *Entry) error { return out.Write(csvRow(e)) })
	if out.Flush(); err == nil {
		err = out.Error()
	}
	if err != nil {
		return n, fmt.Errorf("exporting the journal: %w", err)
	}
	return n, nil
}

func csvRow(e *Entry) []string {
	row := []string{stamp(e.Time), string(e.Class), e.Kind, e.Area, e.Source, e.Tag, e.User, e.Node, strconv.FormatUint(e.Epoch, 10),
		e.Message, e.Old, e.New, e.Result, e.Value, e.Quality}
	if a := e.Alarm; a != nil {
		row = append(row, a.State.String(), a.Level.String(), a.Priority.String(), strconv.FormatUint(a.Occurrence, 10),
			strconv.FormatBool(a.Annunciate), stamp(a.Onset), stamp(a.NotBefore), a.Note)
	} else {
		row = append(row, "", "", "", "", "", "", "", "")
	}
	return append(row, e.Key.String())
}

func stamp(t int64) string {
	if t == 0 {
		return ""
	}
	return time.Unix(0, t).UTC().Format(time.RFC3339Nano)
}

// ExportJSON writes the chosen entries as JSON, one on each line, and returns how many. Append takes them back.
func (j *Journal) ExportJSON(ctx context.Context, w io.Writer, q Query) (int, error) {
	out := json.NewEncoder(w)
	n, err := j.each(ctx, q, func(e *Entry) error { return out.Encode(e) })
	if err != nil {
		return n, fmt.Errorf("exporting the journal: %w", err)
	}
	return n, nil
}
