package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"scada/acquisition/tag"
	"scada/history"
	"scada/simulators/mill"
)

// backfill makes two archives equal after an outage, the way the nodes do it, while both go on recording every second. With
// inTurn each of them lacks one half of the time.
func backfill(tags int, outage time.Duration, inTurn bool) error {
	outage = outage.Truncate(history.Window)
	var nodes [2]*history.Store
	end := time.Now().Truncate(time.Second)
	begin := end.Add(-outage)
	m := mill.New(tags, begin)
	clock := &atomic.Int64{} // of the past; 0 means the real one
	clock.Store(begin.UnixNano())
	now := func() time.Time {
		if t := clock.Load(); t != 0 {
			return time.Unix(0, t)
		}
		return time.Now()
	}
	for i := range nodes {
		dir, err := os.MkdirTemp("", "historybench")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if nodes[i], err = history.Open(dir, history.Options{Tags: m.Defs, Now: now, Logger: slog.New(slog.DiscardHandler)}); err != nil {
			return err
		}
		defer nodes[i].Close()
	}
	ctx := context.Background()
	var batch []tag.Update
	seconds := int(outage / time.Second)
	for i := range seconds {
		batch = m.Updates(batch[:0], m.Tick(tags))
		to := nodes[0]
		if inTurn && i >= seconds/2 {
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
		if err := s.Flush(ctx); err != nil {
			return err
		}
	}
	clock.Store(0)
	fmt.Printf("%d tags, %v apart, in turn: %v; load %s\n", tags, outage, inTurn, load())
	l := &liveLoad{nodes: nodes, m: mill.New(tags, end), stop: make(chan struct{})}
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
