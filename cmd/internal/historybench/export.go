package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"scada/acquisition/tag"
	"scada/history"
	"scada/history/export"
	"scada/simulators/mill"
)

// exportLimit is how long an export may take.
const exportLimit = 3 * time.Minute

// exportRate records an hour of all tags and measures how fast that gets to VictoriaMetrics by remote write.
func exportRate(tags int) error {
	p := victoria()
	e, installed, err := newEngine(p.engine)
	if err != nil || !installed {
		return fmt.Errorf("victoria-metrics is not installed: %w", err)
	}
	defer e.close()
	dir, err := os.MkdirTemp("", "historybench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	h, defs, err := recordHour(dir, tags)
	if err != nil {
		return err
	}
	defer func() { _ = h.Close() }()
	if _, err := e.start(); err != nil {
		return err
	}
	total := uint64(tags) * 3600
	fmt.Printf("export: %d samples of %d tags; load before: %s\n", total, tags, load())
	own, wall := cpuTime(syscall.RUSAGE_SELF), time.Now()
	sent, err := sendAll(h, defs, "http://"+e.address+"/api/v1/write", total)
	if err != nil {
		return err
	}
	took := time.Since(wall)
	own = cpuTime(syscall.RUSAGE_SELF) - own
	fmt.Printf("%d samples in %v: %.2f M/s; %.2f M for each second of our processor time, %.2f M of the engine's\nload after: %s\n", sent, took.Round(time.Millisecond),
		float64(sent)/took.Seconds()/1e6, float64(sent)/own.Seconds()/1e6, float64(sent)/e.cpu().Seconds()/1e6, load())
	return nil
}

// tailCost measures what it costs to look for new samples: the last five seconds of all tags, late in a window of ten minutes.
func tailCost(tags int) error {
	dir, err := os.MkdirTemp("", "historybench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	start := time.Now().UTC().Truncate(export.Window)
	m, clock := mill.New(tags, start), &atomic.Int64{}
	clock.Store(start.UnixNano())
	h, err := history.Open(dir, history.Options{Tags: m.Defs, Now: func() time.Time { return time.Unix(0, clock.Load()) }, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer func() { _ = h.Close() }()
	var batch []tag.Update
	for range 590 {
		batch = m.Updates(batch[:0], m.Tick(tags))
		h.Append(batch)
		clock.Add(int64(time.Second))
	}
	if err := h.Sync(context.Background()); err != nil {
		return err
	}
	const passes = 10
	a, n := archive{h, h.NewReader()}, 0
	cpu, to := cpuTime(syscall.RUSAGE_SELF), clock.Load()
	for range passes {
		for _, d := range m.Defs {
			if err := a.Latest(context.Background(), d.Name, to-5e9, to, func(p []tag.Sample) (bool, error) { n += len(p); return true, nil }); err != nil {
				return err
			}
		}
	}
	cpu = cpuTime(syscall.RUSAGE_SELF) - cpu
	fmt.Printf("reading the last %d samples of %d tags, 590 s into a window: %v of processor time\n", n/passes, tags, cpu/passes)
	return nil
}

// recordHour makes an archive with an hour of samples that is over.
func recordHour(dir string, tags int) (*history.Store, []tag.Definition, error) {
	start := time.Now().UTC().Truncate(time.Hour).Add(-2 * time.Hour)
	m, clock := mill.New(tags, start), &atomic.Int64{}
	clock.Store(start.UnixNano())
	h, err := history.Open(dir, history.Options{Tags: m.Defs, Now: func() time.Time { return time.Unix(0, clock.Load()) }, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, nil, err
	}
	var batch []tag.Update
	for range 3600 {
		batch = m.Updates(batch[:0], m.Tick(tags))
		h.Append(batch)
		clock.Add(int64(time.Second))
	}
	return h, m.Defs, h.Flush(context.Background())
}

// sendAll sends until so many samples are looked through, and returns how many of them could be sent: those that are not Bad.
func sendAll(h *history.Store, defs []tag.Definition, url string, total uint64) (sent uint64, err error) {
	var mu sync.Mutex
	var state export.State
	windows := 0
	list, err := h.Windows(context.Background(), 0, time.Now().UnixNano())
	if err != nil {
		return 0, err
	}
	target, err := export.New(export.Options{
		Config: export.Config{Name: "bench", URL: url, Horizon: -1}, Project: "bench", Tags: defs, Archive: archive{h, h.NewReader()},
		Load: func() export.State { mu.Lock(); defer mu.Unlock(); return state.Clone() },
		Commit: func(p export.Step) {
			mu.Lock()
			defer mu.Unlock()
			state.Apply(p)
			windows += len(p.Done)
		},
	})
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), exportLimit)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- target.Run(ctx) }()
	for ctx.Err() == nil {
		time.Sleep(time.Millisecond)
		mu.Lock()
		done := windows
		sent = state.Totals.Sent
		mu.Unlock()
		if done >= len(list) {
			cancel()
			return sent, <-ended
		}
	}
	return sent, fmt.Errorf("%d of %d samples after %s: %+v", sent, total, exportLimit, target.Status())
}

// archive is a history as an export reads it.
type archive struct {
	store  *history.Store
	reader *history.Reader
}

// Windows implements [export.Archive].
func (a archive) Windows(ctx context.Context, from, to int64) ([]export.WindowState, error) {
	list, err := a.store.Windows(ctx, from, to)
	var out []export.WindowState
	for _, w := range list {
		out = append(out, export.WindowState{Start: w.Window.UnixNano(), Samples: w.Samples, Digest: w.Hash[0] | 1})
	}
	return out, err
}

// Each implements [export.Archive].
func (a archive) Each(ctx context.Context, name string, from, to int64, visit func([]tag.Sample) (bool, error)) error {
	_, err := a.reader.Each(ctx, name, from, to, visit)
	return err
}

// Latest implements [export.Archive].
func (a archive) Latest(ctx context.Context, name string, from, to int64, visit func([]tag.Sample) (bool, error)) error {
	_, err := a.reader.Latest(ctx, name, from, to, visit)
	return err
}

// Oldest implements [export.Archive].
func (a archive) Oldest() (int64, bool) {
	t, some := a.store.Oldest()
	return t.UnixNano(), some
}
