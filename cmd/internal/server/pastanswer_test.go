package server

import (
	"fmt"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"scada/acquisition/tag"
	"scada/cmd/internal/config"
	"scada/history"
	"scada/web/api"
)

// wide is an archive of so many tags with so many samples each, a second apart, and when they end.
func wide(t *testing.T, tags, samples int) (b backend, names []string, from, to time.Time) {
	t.Helper()
	from = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	to = from.Add(time.Duration(samples) * time.Second)
	defs := make([]tag.Definition, tags)
	for i := range defs {
		names = append(names, fmt.Sprintf("t%03d", i))
		defs[i] = tag.Definition{ID: tag.ID(i), Name: names[i], Type: tag.TypeFloat64, Area: "main"}
	}
	now := from
	store, err := history.Open(t.TempDir(), history.Options{Tags: defs, Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return to }, SealAfter: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	batch := make([]tag.Update, tags)
	for i := range samples {
		for k := range batch {
			batch[k] = tag.Update{Tag: tag.ID(k), Sample: tag.Sample{Time: now.UnixNano(), Value: tag.Float64(float64(i*7%97) + float64(k))}}
		}
		store.Append(batch)
		now = now.Add(time.Second)
	}
	if err := store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := &Server{store: store}
	s.gen.Store(&generation{cfg: &config.Config{}})
	return backend{s}, names, from, to
}

// liveHeap is what is in use, in bytes.
func liveHeap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestAnAnswerIsNotHeldInMemory asks for all there is of 64 tags, in every form. However much that is, what is in memory while
// it is given out stays below what the web server counts for it.
func TestAnAnswerIsNotHeldInMemory(t *testing.T) {
	const tags, samples = 64, 5_000
	b, names, from, to := wide(t, tags, samples)
	for form, q := range map[string]api.HistoryQuery{
		"raw":       {Limit: 100_000},
		"points":    {Points: 1_000},
		"aggregate": {Aggregate: "Average", Step: time.Second},
	} {
		q.Tags, q.From, q.To = names, from, to
		before, most, rows := liveHeap(), int64(0), 0
		last := ""
		_, err := b.History(t.Context(), q, func(s api.Series) error {
			if rows += len(s.Samples); len(s.Samples) > answerPiece {
				t.Fatalf("%s: a piece of %d samples", form, len(s.Samples))
			}
			if last != s.Tag && s.Tag > "t058" { // at the end, when the answer would be in memory
				most = max(most, liveHeap()-before)
			}
			last = s.Tag
			return nil
		})
		if err != nil || rows < tags*samples/4 {
			t.Fatalf("%s: %d samples, %v", form, rows, err)
		}
		whole := int64(rows) * 72 // of an api.Sample with its time and its number, without the JSON
		t.Logf("%s: %d samples; in memory %.1f MiB, the whole answer would take %.1f MiB", form, rows, float64(most)/(1<<20), float64(whole)/(1<<20))
		if most > 4<<20 {
			t.Errorf("%s: %d bytes in memory", form, most)
		}
	}
}

// TestALargeAnswerGoesOnWithItsCursor: an answer has so many samples at most, over all tags, and the cursor brings the others.
func TestALargeAnswerGoesOnWithItsCursor(t *testing.T) {
	const tags, samples = 9, answerRows/8 + 1
	b, names, from, to := wide(t, tags, samples)
	got, answers := map[string]int{}, 0
	q := api.HistoryQuery{Tags: names, From: from, To: to, Limit: samples - 10}
	for more := true; more; more = q.Cursor != "" {
		rows := 0
		next, err := b.History(t.Context(), q, func(s api.Series) error {
			for _, x := range s.Samples {
				if want := from.Add(time.Duration(got[s.Tag]) * time.Second); !x.Time.Equal(want) {
					t.Fatalf("%s: %s instead of %s", s.Tag, x.Time, want)
				}
				got[s.Tag]++
			}
			rows += len(s.Samples)
			return nil
		})
		if err != nil || rows == 0 || rows > answerRows {
			t.Fatalf("%d samples in an answer, %v", rows, err)
		}
		q.Cursor = next
		answers++
	}
	for _, name := range names {
		if got[name] != samples {
			t.Errorf("%s: %d samples, want %d", name, got[name], samples)
		}
	}
	if answers != 2 {
		t.Errorf("%d answers", answers)
	}
}
