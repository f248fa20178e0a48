package server

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"scada/acquisition/tag"
	"scada/history"
)

// TestPace moves pieces at a rate: what moving takes counts, what was not used does not add up, and being late costs time.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rate, late := int64(1<<20), false
		p := &pace{rate: func() int64 { return rate }, late: func() bool { return late }}
		move := func(pieces int, each time.Duration) time.Duration {
			began := time.Now()
			for range pieces {
				if err := p.wait(t.Context()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(each)
				p.took(256 << 10)
			}
			return time.Since(began)
		}
		for _, c := range []struct {
			what   string
			pieces int
			each   time.Duration
			want   time.Duration
		}{
			{"a quarter of a second each, the first at once", 9, 0, 2 * time.Second},
			{"the link is slower than the rate", 10, time.Second, 10 * time.Second},
			{"the time of the link counts", 9, 200 * time.Millisecond, 2200 * time.Millisecond},
		} {
			time.Sleep(time.Minute)
			if got := move(c.pieces, c.each); got != c.want {
				t.Errorf("%s: %s, want %s", c.what, got, c.want)
			}
		}
		time.Sleep(time.Minute)
		rate, late = 1<<40, true
		if got := move(10, 0); got < 10*yieldFor || got > 11*yieldFor {
			t.Errorf("ten pieces of a node that is late took %s", got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if p.wait(ctx) == nil || p.yield(ctx) == nil {
			t.Error("a healing that has ended still waits")
		}
	})
}

// TestBackfillKeepsToItsRate lets a node lack some hours, and looks how long it takes to get them with the network and the
// disks of the bubble, which take no time.
func TestBackfillKeepsToItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldOf(t, bubblePlant+"history: {backfill: 64KiB}\n", nil)
		defer w.end()
		w.ready()
		begin := time.Now().Add(-12 * time.Hour).Truncate(history.Window)
		const windows = 48
		bytes := 0
		for i := range windows {
			data := noise(t, "counter", begin.Add(time.Duration(i)*history.Window))
			if _, err := w.node["a"].store.Import(t.Context(), data); err != nil {
				t.Fatal(err)
			}
			bytes += len(history.Pack(data))
		}
		least := time.Duration(float64(bytes) / float64(64<<10) * (windows - 1) / windows * float64(time.Second))
		began := time.Now()
		w.node["b"].healers["main"].compare(t.Context())
		if took := time.Since(began); took < least || took > 2*least {
			t.Errorf("%d bytes took %s, want %s", bytes, took, least)
		}
		d, err := w.node["b"].store.Digest(t.Context(), []string{"counter"}, begin.UnixNano(), begin.Add(windows*history.Window).UnixNano())
		if err != nil || d.Samples != windows*600 {
			t.Errorf("%d samples have come, %v", d.Samples, err)
		}
	})
}

// noise makes a window of a tag that no codec makes small, as the nodes exchange it.
func noise(t *testing.T, name string, window time.Time) []byte {
	t.Helper()
	s, err := history.Open(t.TempDir(), history.Options{
		Tags: []tag.Definition{{Name: name, Type: tag.TypeUint16}}, Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return window.Add(history.Window) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := range 600 {
		s.Append([]tag.Update{{Sample: tag.Sample{Time: window.Add(time.Duration(i) * time.Second).UnixNano(), Value: tag.Uint(tag.TypeUint16, uint64(i*40503&0xffff))}}})
	}
	data, _, err := s.Export(t.Context(), window, "")
	if err != nil {
		t.Fatal(err)
	}
	return data
}
