package history_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"scada/acquisition/tag"
	"scada/history"
	"scada/simulators/mill"
)

// BenchmarkAppend is the path of the area's goroutine: the journal is written and synced beside it, windows are
// closed as plant time goes on. Generating the samples is not counted.
func BenchmarkAppend(b *testing.B) {
	c := newClock()
	m := mill.New(1000, c.now())
	s, err := history.Open(b.TempDir(), history.Options{Tags: m.Defs, Now: c.now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	ticks := make([][]tag.Update, 600)
	for i := range ticks {
		ticks[i] = m.Updates(nil, m.Tick(1000))
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; b.Loop(); i++ {
		batch := ticks[i%600]
		now := c.now().UnixNano()
		for j := range batch {
			batch[j].Time = now + int64(j/100)*1e6
		}
		s.Append(batch)
		c.add(time.Second)
		if i%600 == 599 {
			b.StopTimer()
			if err := s.Flush(context.Background()); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
	}
	b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds()/1e6, "Msamples/s")
	if lost := s.Stats().Lost; lost > 0 {
		b.Fatalf("%d samples were lost", lost)
	}
}

// BenchmarkRecord is everything until the samples are durable in day files: append, journal, sync, window, digest.
func BenchmarkRecord(b *testing.B) {
	c := newClock()
	m := mill.New(1000, c.now())
	s, err := history.Open(b.TempDir(), history.Options{Tags: m.Defs, Now: c.now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	ctx := context.Background()
	ticks := make([][]tag.Update, 600)
	n := 0
	for b.Loop() {
		b.StopTimer()
		for i := range ticks {
			ticks[i] = m.Updates(ticks[i][:0], m.Tick(1000))
			c.add(time.Second)
		}
		b.StartTimer()
		for _, t := range ticks {
			s.Append(t)
			n += len(t)
		}
		if err := s.Sync(ctx); err != nil {
			b.Fatal(err)
		}
		if err := s.Flush(ctx); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds()/1e6, "Msamples/s")
	b.ReportMetric(float64(s.Stats().DiskBytes)/float64(n), "B/sample")
}

// day records 20 tags for one day and reads them from a store opened anew.
func day(b *testing.B) (s *history.Store, m *mill.Mill, from, to int64) {
	c := newClock()
	c.nanos.Store(time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC).UnixNano())
	from = c.now().UnixNano()
	m = mill.New(20, c.now())
	s, err := history.Open(b.TempDir(), history.Options{Tags: m.Defs, Now: c.now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	var batch []tag.Update
	for i := range 86400 {
		batch = m.Updates(batch[:0], m.Tick(len(m.Defs)))
		s.Append(batch)
		c.add(time.Second)
		if i%600 == 599 {
			if err := s.Flush(context.Background()); err != nil {
				b.Fatal(err)
			}
		}
	}
	return s, m, from, c.now().UnixNano()
}

func BenchmarkReadDay(b *testing.B) {
	s, m, from, to := day(b)
	ctx, name := context.Background(), m.Defs[3].Name
	b.Run("raw", func(b *testing.B) {
		for b.Loop() {
			p, err := s.Raw(ctx, name, from, to, 0, history.Cursor{})
			if err != nil || len(p.Samples) != 86400 {
				b.Fatal(len(p.Samples), err)
			}
		}
	})
	for _, step := range []time.Duration{time.Minute, 10 * time.Minute, time.Hour} {
		b.Run(fmt.Sprint("average ", step), func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Aggregate(ctx, name, from, to, step, history.TimeAverage); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("2000 pixels", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Decimate(ctx, name, from, to, 2000); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("digest", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Digest(ctx, []string{name}, from, to); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("windows of the day", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Windows(ctx, from, to); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkReplay opens an archive whose journal holds ten minutes of a thousand tags.
func BenchmarkReplay(b *testing.B) {
	c, dir := newClock(), b.TempDir()
	m := mill.New(1000, c.now())
	o := history.Options{Tags: m.Defs, Now: func() time.Time { return base }, Logger: slog.New(slog.DiscardHandler)}
	s, err := history.Open(dir, o)
	if err != nil {
		b.Fatal(err)
	}
	var batch []tag.Update
	for range 580 {
		batch = m.Updates(batch[:0], m.Tick(len(m.Defs)))
		s.Append(batch)
		c.add(time.Second)
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if s, err = history.Open(dir, o); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if n := s.Stats().Replayed; n != 580_000 {
			b.Fatalf("%d samples replayed", n)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(580_000*float64(b.N)/b.Elapsed().Seconds()/1e6, "Msamples/s")
}

// BenchmarkImport is the receiving end of a back-fill: a window of a thousand tags at one sample a second.
func BenchmarkImport(b *testing.B) {
	c := newClock()
	m := mill.New(1000, c.now().Add(time.Second)) // a jitter must not leave the window
	o := history.Options{Tags: m.Defs, Now: c.now, Logger: slog.New(slog.DiscardHandler)}
	s, err := history.Open(b.TempDir(), o)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	var batch []tag.Update
	for range 580 {
		batch = m.Updates(batch[:0], m.Tick(len(m.Defs)))
		s.Append(batch)
		c.add(time.Second)
	}
	ctx := context.Background()
	if err := s.Flush(ctx); err != nil {
		b.Fatal(err)
	}
	size := 0
	for b.Loop() {
		b.StopTimer()
		peer, err := history.Open(b.TempDir(), o)
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		added := 0
		size = 0
		for after, more := "", true; more; more = after != "" {
			data, next, err := s.Export(ctx, base, after)
			if err != nil {
				b.Fatal(err)
			}
			n, err := peer.Import(ctx, data)
			if err != nil {
				b.Fatal(err)
			}
			added, size, after = added+n, size+len(data), next
		}
		b.StopTimer()
		if added != 580_000 {
			b.Fatalf("%d samples", added)
		}
		peer.Close()
		b.StartTimer()
	}
	b.ReportMetric(580_000*float64(b.N)/b.Elapsed().Seconds()/1e6, "Msamples/s")
	b.ReportMetric(float64(size)/580_000, "B/sample-on-the-wire")
}

// BenchmarkSeal seals one day of the mill's tags at one sample a second and reports what a sample takes on disk before
// and after.
func BenchmarkSeal(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		c := newClock()
		c.nanos.Store(time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC).UnixNano())
		m := mill.New(100, c.now())
		dir := b.TempDir()
		s, err := history.Open(dir, history.Options{Tags: m.Defs, Now: c.now, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			b.Fatal(err)
		}
		var batch []tag.Update
		for i := range 86400 {
			batch = m.Updates(batch[:0], m.Tick(len(m.Defs)))
			s.Append(batch)
			c.add(time.Second)
			if i%600 == 599 {
				if err := s.Flush(context.Background()); err != nil {
					b.Fatal(err)
				}
			}
		}
		before := fileSize(b, dir+"/p/20261120.l0.db")
		c.add(3 * time.Hour)
		b.StartTimer()
		for err := s.Flush(context.Background()); s.Stats().Sealed == 0; time.Sleep(time.Millisecond) {
			if err != nil {
				b.Fatal(err)
			}
		}
		b.StopTimer()
		b.ReportMetric(before/8.64e6, "B/sample-open")
		b.ReportMetric(fileSize(b, dir+"/p/20261120.l1.db")/8.64e6, "B/sample-sealed")
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(8.64*float64(b.N)/b.Elapsed().Seconds(), "Msamples/s")
}

func fileSize(b *testing.B, path string) float64 {
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	return float64(info.Size())
}
