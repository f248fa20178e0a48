package history_test

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"scada/acquisition/tag"
	"scada/history"
)

// mill makes what a plant sends: ten tags of the usual kinds, over and over, one sample a second, in groups of a
// hundred tags that share their time; half of the groups with a jitter of some milliseconds.
type mill struct {
	defs  []tag.Definition
	walk  []float64
	r     *rand.Rand
	count uint64
}

func newMill(n int) *mill {
	m := &mill{walk: make([]float64, n), r: rand.New(rand.NewPCG(1, 1))}
	adc := tag.Linear{RawHigh: 65535, Low: -50, High: 150}
	for i := range n {
		d := tag.Definition{ID: tag.ID(i), Name: fmt.Sprintf("mill/%05d", i), Area: "main", Type: tag.TypeFloat64}
		switch i % 10 {
		case 0, 1, 2, 3, 5:
			d.Scale = adc
		case 4:
			d.Type = tag.TypeFloat32
		case 7, 8:
			d.Type = tag.TypeBool
		case 9:
			d.Type = tag.TypeUint32
		}
		m.defs = append(m.defs, d)
		m.walk[i] = 20000 + float64(i%1000)*20
	}
	return m
}

func (m *mill) tick(batch []tag.Update, at time.Time) []tag.Update {
	batch = batch[:0]
	now := at.UnixMilli()
	m.count++
	for i, d := range m.defs {
		t := now
		if i/100%2 == 1 {
			t += int64(i/100*7)%4 + int64(m.count*uint64(i/100))%3
		}
		m.walk[i] += m.r.NormFloat64()
		var v tag.Value
		switch i % 10 {
		case 0, 1, 2, 3:
			v = tag.Float64(d.Scale.Scale(math.Round(m.walk[i] + []float64{0.7, 2, 5, 20}[i%10]*m.r.NormFloat64())))
		case 4:
			v = tag.Float32(float32(m.walk[i] / 100))
		case 5: // idles two thirds of the time
			v = tag.Float64(d.Scale.Scale(0))
			if m.count/200%3 == 0 {
				v = tag.Float64(d.Scale.Scale(math.Round(m.walk[i])))
			}
		case 6:
			v = tag.Float64(42.5)
		case 7, 8:
			v = tag.Bool(m.count/uint64(50+i%13)%2 == 0)
		case 9:
			v = tag.Uint(tag.TypeUint32, m.count*uint64(i%7))
		}
		batch = append(batch, tag.Update{Tag: d.ID, Sample: tag.Sample{Time: t * 1e6, Value: v}})
	}
	return batch
}

// BenchmarkAppend is the path of the area's goroutine: the journal is written and synced beside it, windows are
// closed as plant time goes on. Generating the samples is not counted.
func BenchmarkAppend(b *testing.B) {
	m, c := newMill(1000), newClock()
	s, err := history.Open(b.TempDir(), history.Options{Tags: m.defs, Now: c.now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	ticks := make([][]tag.Update, 600)
	for i := range ticks {
		ticks[i] = m.tick(nil, base)
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
	m, c := newMill(1000), newClock()
	s, err := history.Open(b.TempDir(), history.Options{Tags: m.defs, Now: c.now, Logger: slog.New(slog.DiscardHandler)})
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
			ticks[i] = m.tick(ticks[i], c.now())
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
func day(b *testing.B) (s *history.Store, m *mill, from, to int64) {
	m, c := newMill(20), newClock()
	c.nanos.Store(time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC).UnixNano())
	from = c.now().UnixNano()
	s, err := history.Open(b.TempDir(), history.Options{Tags: m.defs, Now: c.now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	var batch []tag.Update
	for i := range 86400 {
		batch = m.tick(batch, c.now())
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
	ctx, name := context.Background(), m.defs[3].Name
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
	m, c, dir := newMill(1000), newClock(), b.TempDir()
	o := history.Options{Tags: m.defs, Now: func() time.Time { return base }, Logger: slog.New(slog.DiscardHandler)}
	s, err := history.Open(dir, o)
	if err != nil {
		b.Fatal(err)
	}
	var batch []tag.Update
	for range 580 {
		batch = m.tick(batch, c.now())
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
	m, c := newMill(1000), newClock()
	o := history.Options{Tags: m.defs, Now: c.now, Logger: slog.New(slog.DiscardHandler)}
	s, err := history.Open(b.TempDir(), o)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	var batch []tag.Update
	for range 580 {
		batch = m.tick(batch, c.now())
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
		m, c := newMill(100), newClock()
		c.nanos.Store(time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC).UnixNano())
		dir := b.TempDir()
		s, err := history.Open(dir, history.Options{Tags: m.defs, Now: c.now, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			b.Fatal(err)
		}
		var batch []tag.Update
		for i := range 86400 {
			batch = m.tick(batch, c.now())
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
