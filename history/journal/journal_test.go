package journal_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"scada/alarms"
	"scada/history/journal"
)

func open(t *testing.T, path string) *journal.Journal {
	t.Helper()
	j, err := journal.Open(path, journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	return j
}

func fresh(t *testing.T) *journal.Journal {
	t.Helper()
	return open(t, filepath.Join(t.TempDir(), "journal.db"))
}

// entry makes the n-th entry of a plant in which something happens each second.
func entry(n int) journal.Entry {
	var k alarms.Key
	binary.BigEndian.PutUint64(k[:], uint64(n)*0x9E3779B97F4A7C15)
	e := journal.Entry{Key: k, Time: int64(n) * 1e9, Class: journal.ClassWrite, Kind: "write", Area: "main", Source: fmt.Sprintf("line%d/speed", n%5),
		Tag: fmt.Sprintf("line%d/speed", n%5), User: []string{"li", "wang"}[n%2], Old: "1", New: "2", Message: fmt.Sprintf("Set-point %d", n)}
	if n%3 == 0 {
		e.Class, e.Kind = journal.ClassAlarm, "RAISE"
		e.Alarm = &alarms.Event{Key: k, Time: e.Time, Kind: alarms.KindRaise, Condition: e.Source, Level: alarms.LevelHi, State: alarms.StateUnack, Priority: alarms.PriorityHigh, Occurrence: 1, Term: 1}
	}
	return e
}

func entries(from, to int) []journal.Entry {
	var list []journal.Entry
	for n := from; n < to; n++ {
		list = append(list, entry(n))
	}
	return list
}

func mustAppend(t *testing.T, j *journal.Journal, list ...journal.Entry) {
	t.Helper()
	if err := j.Append(list...); err != nil {
		t.Fatal(err)
	}
}

func all(t *testing.T, j *journal.Journal, q journal.Query) []journal.Entry {
	t.Helper()
	var list []journal.Entry
	for {
		p, err := j.Query(q)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, p.Entries...)
		if p.Next == "" {
			return list
		}
		q.Cursor = p.Next
	}
}

func text(t *testing.T, list []journal.Entry) string {
	t.Helper()
	b, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestWritingTwiceIsWritingOnce(t *testing.T) {
	j := fresh(t)
	mustAppend(t, j, entries(1, 50)...)
	seq := j.Sequence()
	mustAppend(t, j, entries(20, 50)...)
	mustAppend(t, j, entries(1, 50)...)
	if got := all(t, j, journal.Query{}); text(t, got) != text(t, entries(1, 50)) {
		t.Fatalf("%d entries: %s", len(got), text(t, got))
	}
	if j.Sequence() != seq {
		t.Errorf("repeating entries moved the sequence from %d to %d", seq, j.Sequence())
	}
}

func TestBothNodesEndWithTheSameWhateverTheOrder(t *testing.T) {
	a := entry(3)
	mark := *a.Alarm
	mark.Note = alarms.NoteFork
	forked := a
	forked.Alarm = &mark
	other := entry(4)
	changed := other
	changed.Message = "Another text"
	x, y := fresh(t), fresh(t)
	mustAppend(t, x, a, forked, other)
	mustAppend(t, x, changed)
	mustAppend(t, y, changed, forked)
	mustAppend(t, y, other)
	mustAppend(t, y, a)
	one, two := all(t, x, journal.Query{}), all(t, y, journal.Query{})
	if text(t, one) != text(t, two) {
		t.Fatalf("the journals differ:\n%s\n%s", text(t, one), text(t, two))
	}
	if len(one) != 2 || one[0].Alarm.Note != alarms.NoteFork {
		t.Fatalf("the mark of the losing side did not win: %s", text(t, one))
	}
}

func TestQueryAgainstASlowSearch(t *testing.T) {
	j := fresh(t)
	truth := entries(1, 400)
	shuffled := slices.Clone(truth)
	rng := rand.New(rand.NewPCG(1, 2))
	rng.Shuffle(len(shuffled), func(a, b int) { shuffled[a], shuffled[b] = shuffled[b], shuffled[a] })
	for len(shuffled) > 0 {
		n := min(len(shuffled), 1+rng.IntN(60))
		mustAppend(t, j, shuffled[:n]...)
		shuffled = shuffled[n:]
	}
	for range 300 {
		q := journal.Query{Limit: 1 + rng.IntN(50), Descending: rng.IntN(2) == 0}
		if rng.IntN(2) == 0 {
			q.From = int64(rng.IntN(420)) * 1e9
		}
		if rng.IntN(2) == 0 {
			q.To = int64(1+rng.IntN(420)) * 1e9
		}
		q.User = []string{"", "", "li", "nobody"}[rng.IntN(4)]
		q.Class = []journal.Class{"", "", journal.ClassAlarm}[rng.IntN(3)]
		q.Source = []string{"", "", "line3/speed"}[rng.IntN(3)]
		q.Text = []string{"", "", "POINT 1", "LINE2"}[rng.IntN(4)]
		var want []journal.Entry
		for _, e := range truth {
			if slow(q, e) {
				want = append(want, e)
			}
		}
		if q.Descending {
			slices.Reverse(want)
		}
		if got := all(t, j, q); text(t, got) != text(t, want) {
			t.Fatalf("%+v: %d entries, want %d", q, len(got), len(want))
		}
	}
}

func slow(q journal.Query, e journal.Entry) bool {
	low := strings.ToLower
	return e.Time >= q.From && (q.To == 0 || e.Time < q.To) && (q.User == "" || q.User == e.User) && (q.Class == "" || q.Class == e.Class) &&
		(q.Source == "" || q.Source == e.Source) && (strings.Contains(low(e.Message), low(q.Text)) || strings.Contains(low(e.Source), low(q.Text)))
}

func FuzzCursor(f *testing.F) {
	path := filepath.Join(f.TempDir(), "journal.db")
	j, err := journal.Open(path, journal.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = j.Close() })
	if err := j.Append(entries(1, 100)...); err != nil {
		f.Fatal(err)
	}
	p, err := j.Query(journal.Query{Limit: 10})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(p.Next, true)
	f.Add(p.Next, false)
	f.Add("", false)
	f.Fuzz(func(t *testing.T, cursor string, descending bool) {
		p, err := j.Query(journal.Query{Cursor: cursor, Descending: descending, From: 5e9, To: 90e9})
		if err != nil && !errors.Is(err, journal.ErrCursor) {
			t.Fatal(err)
		}
		for _, e := range p.Entries {
			if e.Time < 5e9 || e.Time >= 90e9 {
				t.Fatalf("the cursor led outside the interval, to %d", e.Time)
			}
		}
	})
}

func TestAPageIsBounded(t *testing.T) {
	j := fresh(t)
	mustAppend(t, j, entries(1, journal.MaxPage+20)...)
	for limit, want := range map[int]int{0: journal.DefaultPage, journal.MaxPage + 1: journal.MaxPage, 7: 7} {
		p, err := j.Query(journal.Query{Limit: limit})
		if err != nil || len(p.Entries) != want || p.Next == "" {
			t.Errorf("limit %d: %d entries, next %q, %v; want %d", limit, len(p.Entries), p.Next, err, want)
		}
	}
	for _, c := range []string{"x", strings.Repeat("A", 4096), strings.Repeat("!", 35)} {
		if _, err := j.Query(journal.Query{Cursor: c}); !errors.Is(err, journal.ErrCursor) {
			t.Errorf("cursor of %d characters: %v", len(c), err)
		}
	}
}

func TestARareMatchIsFoundByGoingOn(t *testing.T) {
	j := fresh(t)
	mustAppend(t, j, entries(1, 10_101)...)
	rare := entry(10_101)
	rare.User = "zhao"
	mustAppend(t, j, rare)
	p, err := j.Query(journal.Query{User: "zhao"})
	if err != nil || len(p.Entries) != 0 || p.Next == "" {
		t.Fatalf("one page looked at more than its share: %d entries, next %q, %v", len(p.Entries), p.Next, err)
	}
	if got := all(t, j, journal.Query{User: "zhao"}); len(got) != 1 {
		t.Fatalf("%d entries, want 1", len(got))
	}
}

func TestCauseStaysBeforeEffectWithinAnInstant(t *testing.T) {
	j := fresh(t)
	var list []journal.Entry
	for i := range 20 {
		e := entry(3 * (i + 1))
		a := *e.Alarm
		a.Order, e.Time, e.Message = uint16(19-i), 5, fmt.Sprint(19-i)
		e.Alarm = &a
		list = append(list, e)
	}
	mustAppend(t, j, list...)
	for i, e := range all(t, j, journal.Query{}) {
		if e.Message != fmt.Sprint(i) {
			t.Fatalf("place %d has the event of order %s", i, e.Message)
		}
	}
}

func TestTextsAreCutNotRefused(t *testing.T) {
	j := fresh(t)
	e := entry(1)
	e.Message = strings.Repeat("水", alarms.MaxText)
	e.User = strings.Repeat("u", alarms.MaxText)
	mustAppend(t, j, e)
	got := all(t, j, journal.Query{})[0]
	if n := len(got.Message); n > alarms.MaxText || n < alarms.MaxText-2 || strings.Contains(got.Message, "\uFFFD") {
		t.Errorf("the message has %d bytes", n)
	}
	if len(got.User) != alarms.MaxText {
		t.Errorf("the user has %d bytes", len(got.User))
	}
	if len(e.Message) != 3*alarms.MaxText {
		t.Error("the caller's entry was changed")
	}
}

func TestPruneAndDiscard(t *testing.T) {
	j := fresh(t)
	mustAppend(t, j, entries(1, 5000)...)
	n, err := j.Prune(4500 * 1e9)
	if err != nil || n != 4499 {
		t.Fatalf("pruned %d, %v", n, err)
	}
	if err := j.Discard(entry(4600).Key, entry(1).Key); err != nil {
		t.Fatal(err)
	}
	got := all(t, j, journal.Query{})
	if len(got) != 499 || got[0].Time != 4500*1e9 {
		t.Fatalf("%d entries are left, the first at %d", len(got), got[0].Time)
	}
	if _, found, _ := j.Get(entry(4600).Key); found {
		t.Error("a discarded entry is still there")
	}
	if e, found, err := j.Get(entry(4601).Key); !found || err != nil || e.Time != 4601*1e9 {
		t.Errorf("entry 4601: %v %v %v", e, found, err)
	}
	if err := j.Verify(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestTailInTheOrderOfWriting(t *testing.T) {
	j := fresh(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	got := make(chan journal.Entry)
	go func() {
		var seq uint64
		for j.Wait(ctx, seq) == nil {
			list, next, err := j.Since(seq, 7)
			if err != nil {
				t.Error(err)
				return
			}
			for _, e := range list {
				got <- e
			}
			seq = next
		}
		close(got)
	}()
	for _, n := range []int{30, 10, 20} {
		mustAppend(t, j, entries(n, n+10)...)
		for i := range 10 {
			if e := <-got; e.Time != int64(n+i)*1e9 {
				t.Fatalf("got the entry of %d, want %d", e.Time, n+i)
			}
		}
	}
	cancel()
	if _, more := <-got; more {
		t.Error("an entry nobody wrote")
	}
	if err := j.Wait(ctx, j.Sequence()); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait with a cancelled context: %v", err)
	}
}

func TestTheSequenceSurvivesAReopenAndAPrune(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := open(t, path)
	mustAppend(t, j, entries(1, 11)...)
	if _, err := j.Prune(1 << 62); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = open(t, path)
	if j.Sequence() != 10 {
		t.Errorf("the sequence began again at %d: a reader that waits after 10 would miss entries", j.Sequence())
	}
	mustAppend(t, j, entry(12))
	if list, next, err := j.Since(10, 0); err != nil || len(list) != 1 || next != 11 {
		t.Errorf("%d entries after 10, next %d, %v", len(list), next, err)
	}
}

func TestExport(t *testing.T) {
	j := fresh(t)
	e := entry(6)
	e.Message = "he said \"no\",\nthen left"
	mustAppend(t, j, entries(1, 6)...)
	mustAppend(t, j, e)
	var out bytes.Buffer
	n, err := j.ExportCSV(context.Background(), &out, journal.Query{From: 2e9})
	if err != nil || n != 5 {
		t.Fatalf("%d entries, %v", n, err)
	}
	if !strings.HasSuffix(out.String(), "\r\n") || !strings.Contains(out.String(), "\"he said \"\"no\"\",\r\nthen left\"") {
		t.Errorf("not RFC 4180: %q", out.String())
	}
	rows, err := csv.NewReader(&out).ReadAll()
	if err != nil || len(rows) != 6 || rows[5][0] != "1970-01-01T00:00:06Z" || rows[5][9] != "he said \"no\",\nthen left" || rows[5][16] != "Hi" {
		t.Errorf("rows %q, %v", rows, err)
	}
	out.Reset()
	if n, err := j.ExportJSON(context.Background(), &out, journal.Query{Limit: 3, Descending: true}); err != nil || n != 3 {
		t.Fatalf("%d lines, %v", n, err)
	}
	back := fresh(t)
	for dec := json.NewDecoder(&out); dec.More(); {
		var e journal.Entry
		if err := dec.Decode(&e); err != nil {
			t.Fatal(err)
		}
		mustAppend(t, back, e)
	}
	if got, want := text(t, all(t, back, journal.Query{})), text(t, all(t, j, journal.Query{From: 4e9})); got != want {
		t.Errorf("import gives\n%s\nwant\n%s", got, want)
	}
}

func TestADamagedFileIsRefusedNotBelieved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := open(t, path)
	mustAppend(t, j, entries(1, 3000)...)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(name string, b []byte) {
		t.Helper()
		p := filepath.Join(t.TempDir(), "damaged.db")
		if err := os.WriteFile(p, b, 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := journal.Open(p, journal.Options{})
		if err == nil {
			err = d.Verify(context.Background())
			_ = d.Close()
		}
		if err == nil {
			t.Errorf("%s: accepted", name)
		} else if !errors.Is(err, journal.ErrDamaged) {
			t.Errorf("%s: refused without saying that it is damaged: %v", name, err)
		}
	}
	refused("half a file", whole[:len(whole)/2])
	refused("two pages", whole[:8192])
	refused("a text file", bytes.Repeat([]byte("no journal\n"), 2000))
	at := bytes.Index(whole, []byte(`"Set-point 1500"`))
	flipped := bytes.Clone(whole)
	flipped[at+5] ^= 1
	refused("one bit in an entry", flipped)
	holed := bytes.Clone(whole)
	for i := at &^ 4095; i < at&^4095+4096; i++ {
		holed[i] = 0
	}
	refused("a page of zeros", holed)
}

func TestAnotherProcessHasIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	open(t, path)
	_, err := journal.Open(path, journal.Options{})
	if err == nil || !strings.Contains(err.Error(), "another process") {
		t.Fatalf("the second Open: %v", err)
	}
}

func TestAfterClose(t *testing.T) {
	j := fresh(t)
	waiting := make(chan error)
	go func() { waiting <- j.Wait(context.Background(), 99) }()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-waiting; !errors.Is(err, journal.ErrClosed) {
		t.Errorf("Wait: %v", err)
	}
	if err := j.Append(entry(1)); !errors.Is(err, journal.ErrClosed) {
		t.Errorf("Append: %v", err)
	}
	if _, err := j.Query(journal.Query{}); !errors.Is(err, journal.ErrClosed) {
		t.Errorf("Query: %v", err)
	}
}

func BenchmarkAppend1000(b *testing.B) {
	j, err := journal.Open(filepath.Join(b.TempDir(), "journal.db"), journal.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer j.Close()
	for i := 0; b.Loop(); i++ {
		if err := j.Append(entries(i*1000+1, i*1000+1001)...); err != nil {
			b.Fatal(err)
		}
	}
}

// TestCategories: the classes of a control room's journal, by who or what is behind an entry.
func TestCategories(t *testing.T) {
	j := fresh(t)
	want := map[journal.Category]int{}
	for i, c := range []struct {
		class journal.Class
		user  string
		want  journal.Category
	}{
		{journal.ClassAlarm, "", journal.CategoryAlarm}, {journal.ClassAlarm, alarms.System, journal.CategoryAlarm}, {journal.ClassAlarm, "olga", journal.CategoryOperation}, {journal.ClassWrite, "app:dosing", journal.CategoryOperation},
		{journal.ClassWrite, "", journal.CategoryOperation}, {journal.ClassSession, "olga", journal.CategoryLogin}, {journal.ClassStation, alarms.System, journal.CategoryWorkstation}, {journal.ClassRole, alarms.System, journal.CategoryApplication},
		{journal.ClassRole, "olga", journal.CategoryOperation}, {journal.ClassConfig, "", journal.CategoryApplication}, {journal.ClassSystem, alarms.System, journal.CategoryApplication},
	} {
		e := journal.Entry{Key: alarms.Key{byte(i + 1)}, Time: int64(i + 1), Class: c.class, User: c.user, Kind: "x"}
		if got := e.Category(); got != c.want {
			t.Errorf("%s by %q is %s, want %s", c.class, c.user, got, c.want)
		}
		want[c.want]++
		if err := j.Append(e); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range journal.Categories {
		page, err := j.Query(journal.Query{Category: c})
		if err != nil || len(page.Entries) != want[c] {
			t.Errorf("%d entries of %s, want %d, %v", len(page.Entries), c, want[c], err)
		}
	}
}
