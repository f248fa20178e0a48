package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"scada/acquisition/tag"
	"scada/history"
	"scada/simulators/mill"
)

// outageSet is two archives that have recorded the same plant until an outage. With inTurn each of them lacks one half of it,
// else the second all of it.
type outageSet struct {
	dir        string // kept for the next run when it was named
	keep       bool
	tags       int
	inTurn     bool
	begin, end time.Time
}

// newOutage returns the archives in dir, or such as are to be made there; without dir they are removed afterwards.
func newOutage(dir string, tags int, outage time.Duration, inTurn bool) (o outageSet, made bool, err error) {
	o = outageSet{dir: dir, keep: dir != "", tags: tags, inTurn: inTurn}
	if !o.keep {
		if o.dir, err = os.MkdirTemp("", "historybench"); err != nil {
			return o, false, err
		}
	}
	text, err := os.ReadFile(o.mark())
	switch {
	case err == nil:
		made = true
		if o.end, err = time.Parse(time.RFC3339, string(text)); err != nil {
			return o, true, fmt.Errorf("%s: %w", o.mark(), err)
		}
	case errors.Is(err, fs.ErrNotExist):
		o.end = time.Now().Truncate(time.Second)
	default:
		return o, false, err
	}
	o.begin = o.end.Add(-outage.Truncate(history.Window))
	return o, made, nil
}

// mark is the file that says the archives are complete, and until when they reach.
func (o outageSet) mark() string { return filepath.Join(o.dir, "end") }

// open opens both archives. Days are not sealed meanwhile: that is a load of its own.
func (o outageSet) open(now func() time.Time) (nodes [2]*history.Store, err error) {
	for i := range nodes {
		nodes[i], err = history.Open(filepath.Join(o.dir, fmt.Sprint("node", i)), history.Options{
			Tags: mill.New(o.tags, o.begin).Defs, Now: now, SealAfter: -1, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			return nodes, err
		}
	}
	return nodes, nil
}

// make records what the archives hold when the outage is over.
func (o outageSet) make(ctx context.Context) error {
	clock := &atomic.Int64{}
	clock.Store(o.begin.UnixNano())
	nodes, err := o.open(func() time.Time { return time.Unix(0, clock.Load()) })
	if err != nil {
		return err
	}
	m := mill.New(o.tags, o.begin)
	var batch []tag.Update
	seconds := int(o.end.Sub(o.begin) / time.Second)
	for i := range seconds {
		batch = m.Updates(batch[:0], m.Tick(o.tags))
		to := nodes[0]
		if o.inTurn && i >= seconds/2 {
			to = nodes[1]
		}
		to.Append(batch)
		if clock.Add(int64(time.Second)); i%600 == closing {
			if err := to.FlushOver(ctx); err != nil {
				return err
			}
		}
	}
	for _, s := range nodes {
		if err := errors.Join(s.Flush(ctx), s.Close()); err != nil {
			return err
		}
	}
	return os.WriteFile(o.mark(), []byte(o.end.Format(time.RFC3339)), 0o600)
}

// backfill makes two archives equal after an outage, the way the nodes do it, while both go on recording every second. A
// named dir is filled by the first run and used by the second.
func backfill(dir string, tags int, outage time.Duration, inTurn bool) error {
	ctx := context.Background()
	o, made, err := newOutage(dir, tags, outage, inTurn)
	if err != nil {
		return err
	}
	if !o.keep {
		defer os.RemoveAll(o.dir)
	}
	if !made {
		if err := o.make(ctx); err != nil {
			return err
		}
		if o.keep {
			fmt.Println("the archives are made; run again to exchange what differs")
			return nil
		}
	}
	return o.heal(ctx)
}

// heal exchanges what differs and reports it.
func (o outageSet) heal(ctx context.Context) error {
	nodes, err := o.open(time.Now)
	if err != nil {
		return err
	}
	defer nodes[0].Close()
	defer nodes[1].Close()
	begin, end := o.begin, o.end
	fmt.Printf("%d tags, %v apart, in turn: %v; load %s\n", o.tags, end.Sub(begin), o.inTurn, load())
	l := &liveLoad{nodes: nodes, m: mill.New(o.tags, end), stop: make(chan struct{})}
	var running sync.WaitGroup
	running.Go(l.run)
	defer func() { close(l.stop); running.Wait() }()
	time.Sleep(20 * time.Second)
	before := l.take()
	started := time.Now()
	samples, wire, windows, err := exchange(ctx, nodes, begin, end)
	if err != nil {
		return err
	}
	took := time.Since(started)
	during := l.take()
	var digests [2]history.Digest
	for i, s := range nodes {
		if digests[i], err = s.Digest(ctx, nil, begin.UnixNano(), end.UnixNano()); err != nil {
			return err
		}
	}
	fmt.Printf("%d samples in %d windows in %v: %.2f M samples/s, %.1f MB, %.3f bytes/sample on the wire; digests equal: %v (%d samples)\n",
		samples, windows, took.Round(time.Millisecond), float64(samples)/took.Seconds()/1e6, float64(wire)/1e6, float64(wire)/float64(samples), digests[0] == digests[1], digests[0].Samples)
	fmt.Printf("live recording late, before: p50 %v p99 %v; during: p50 %v p99 %v\n", before[0], before[1], during[0], during[1])
	fmt.Printf("resident at most, both archives and their live load: %.0f MiB; load %s\n", kib("/proc/self/status", "VmHWM:")/1024, load())
	if digests[0] != digests[1] {
		return fmt.Errorf("the archives differ: %+v", digests)
	}
	return nil
}

// exchange brings the windows that differ both ways, the newest first.
func exchange(ctx context.Context, nodes [2]*history.Store, begin, end time.Time) (samples, wire, windows int, err error) {
	known := map[time.Time]history.Digest{}
	var differ []time.Time
	for i, s := range nodes {
		list, err := s.Windows(ctx, begin.UnixNano(), end.UnixNano())
		if err != nil {
			return 0, 0, 0, err
		}
		for _, w := range list {
			if i == 0 {
				known[w.Window] = w.Digest
				continue
			}
			if known[w.Window] != w.Digest {
				differ = append(differ, w.Window)
			}
			delete(known, w.Window)
		}
	}
	for w := range known {
		differ = append(differ, w)
	}
	slices.SortFunc(differ, func(a, b time.Time) int { return b.Compare(a) })
	for _, w := range differ {
		for i := range nodes {
			n, size, err := bring(ctx, nodes[i], nodes[1-i], w)
			if err != nil {
				return samples, wire, windows, err
			}
			if n > 0 {
				wire += size
			}
			samples += n
			if equal(ctx, nodes, w) {
				break
			}
		}
		windows++
	}
	return samples, wire, windows, nil
}

// bring brings a window from one archive to the other.
func bring(ctx context.Context, from, to *history.Store, w time.Time) (samples, wire int, err error) {
	for after, more := "", true; more; more = after != "" {
		var pieces [][]byte
		for more := true; more && len(pieces) < history.MaxPieces; more = after != "" {
			data, next, err := from.Export(ctx, w, after)
			if err != nil {
				return samples, wire, err
			}
			data = history.Pack(data)
			pieces, wire, after = append(pieces, data), wire+len(data), next
		}
		n, err := to.Import(ctx, pieces...)
		if samples += n; err != nil {
			return samples, wire, err
		}
	}
	return samples, wire, nil
}

// equal reports whether a window is the same by now.
func equal(ctx context.Context, nodes [2]*history.Store, w time.Time) bool {
	var d [2][]history.WindowDigest
	for i, s := range nodes {
		d[i], _ = s.Windows(ctx, w.UnixNano(), w.Add(history.Window).UnixNano())
	}
	return len(d[0]) == 1 && slices.Equal(d[0], d[1])
}

// liveLoad records a tick a second on both nodes and notes how late each was recorded.
type liveLoad struct {
	nodes [2]*history.Store
	m     *mill.Mill
	stop  chan struct{}

	mu   sync.Mutex
	late []time.Duration
}

func (l *liveLoad) run() {
	var batch []tag.Update
	next := time.Now().Truncate(100 * time.Millisecond)
	for {
		next = next.Add(100 * time.Millisecond) // a tenth of the devices at a time
		select {
		case <-l.stop:
			return
		case <-time.After(time.Until(next)):
		}
		tenth := next.UnixMilli() / 100 % 10
		if tenth == 0 || batch == nil {
			batch = l.m.Updates(batch[:0], l.m.Tick(len(l.m.Defs)))
		}
		n := len(batch) / 10
		for _, s := range l.nodes {
			s.Append(batch[int(tenth)*n : (int(tenth)+1)*n])
		}
		l.mu.Lock()
		l.late = append(l.late, time.Since(next))
		l.mu.Unlock()
	}
}

// take returns the median and the 99th percentile since the last call.
func (l *liveLoad) take() [2]time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	late := l.late
	l.late = nil
	if len(late) == 0 {
		return [2]time.Duration{}
	}
	slices.Sort(late)
	return [2]time.Duration{late[len(late)/2].Round(10 * time.Microsecond), late[len(late)*99/100].Round(10 * time.Microsecond)}
}
