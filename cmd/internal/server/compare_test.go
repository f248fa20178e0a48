package server

import (
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"scada/acquisition/tag"
	"scada/history"
	"scada/history/journal"
)

// TestWhatDiffersComesTogether puts samples into the past of one node only, as a block that was damaged and set aside leaves
// them: the nodes find and exchange them without anybody asking.
func TestWhatDiffersComesTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldOf(t, bubblePlant, nil)
		defer w.end()
		w.ready()
		past := time.Now().Add(-3 * time.Hour).Truncate(history.Window)
		for i, name := range []string{"a", "b"} {
			data := pieceOf(t, "counter", past.Add(time.Duration(i)*24*time.Hour*-16), 10)
			if n, err := w.node[name].store.Import(t.Context(), data); err != nil || n != 10 {
				t.Fatalf("%d samples, %v", n, err)
			}
		}
		time.Sleep(compareEvery)
		w.within(time.Minute, "both nodes have the samples of both", func() error {
			for _, name := range []string{"a", "b"} {
				d, err := w.node[name].store.Digest(t.Context(), nil, 0, past.Add(time.Hour).UnixNano())
				if err != nil || d.Samples != 20 {
					return fmt.Errorf("%s has %d, %w", name, d.Samples, err)
				}
			}
			return nil
		})
		if why := w.node["b"].divergences(); len(why) != 0 {
			t.Errorf("they are equal, but: %v", why)
		}
	})
}

func TestDivergenceIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldOf(t, bubblePlant, nil)
		defer w.end()
		w.ready()
		h, at := w.node["b"].healers["main"], time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
		const want = "2 windows of history differ between the nodes, 2026-11-22 12:00 to 2026-11-22 12:20 UTC"
		for range 3 {
			h.tellDiverged(divergence([]differing{{window: at}, {window: at.Add(history.Window)}}))
		}
		if got := w.node["b"].divergences(); len(got) != 1 || got[0] != eventDiverged+": "+want {
			t.Errorf("health says %q", got)
		}
		time.Sleep(time.Second) // entries of one instant have no order
		h.tellDiverged("")
		h.tellDiverged("")
		w.within(10*time.Second, "the journal has the beginning and the end", func() error {
			entries := w.entriesOf("b", eventDiverged)
			if len(entries) != 2 || entries[0] != want {
				return fmt.Errorf("it has %q", entries)
			}
			return nil
		})
	})
}

// pieceOf makes samples of one tag in one window, as the nodes exchange them.
func pieceOf(t *testing.T, name string, window time.Time, samples int) []byte {
	t.Helper()
	s, err := history.Open(t.TempDir(), history.Options{
		Tags: []tag.Definition{{Name: name, Type: tag.TypeUint16}}, Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return window.Add(history.Window) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := range samples {
		s.Append([]tag.Update{{Sample: tag.Sample{Time: window.Add(time.Duration(i) * time.Second).UnixNano(), Value: tag.Uint(tag.TypeUint16, uint64(i))}}})
	}
	data, _, err := s.Export(t.Context(), window, "")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// entriesOf returns the messages of the journal entries of a kind, oldest first.
func (w *world) entriesOf(name, kind string) (out []string) {
	page, err := w.node[name].journal.Query(journal.Query{Class: journal.ClassSystem, Limit: journal.MaxPage})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range page.Entries {
		if e.Kind == kind {
			out = append(out, e.Message)
		}
	}
	return out
}
