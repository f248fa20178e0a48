// Command prometheus measures the time series database of Prometheus, in process, on the samples of historybench. It is a
// module of its own so that the product does not depend on Prometheus.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"scada/simulators/mill"
)

const (
	daySeconds = 24 * 3600
	lastHour   = 23 * 3600
)

func main() {
	tags := flag.Int("tags", 2000, "tags")
	repeat := flag.Int("repeat", 10, "queries")
	flag.Parse()
	r, err := run(*tags, *repeat)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		os.Exit(1)
	}
}

type latencies struct {
	P50, P99 time.Duration
	Samples  int
}

type result struct {
	Name                                       string
	Samples                                    int
	PerCore, PerSecond, Fresh, Sealed, Written float64
	DayRaw, HourRaw                            latencies
	RSS                                        float64
}

func run(tags, repeat int) (result, error) {
	r := result{Name: "Prometheus tsdb 0.315", Samples: lastHour*mill.DeviceTags + 3600*tags}
	dir, err := os.MkdirTemp("", "tsdb")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(dir)
	o := tsdb.DefaultOptions()
	o.RetentionDuration = 0
	db, err := tsdb.Open(dir, slog.New(slog.DiscardHandler), nil, o, nil)
	if err != nil {
		return r, err
	}
	defer db.Close()
	ctx := context.Background()
	day := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	m := mill.New(tags, day)
	names, refs := make([]labels.Labels, tags), make([]storage.SeriesRef, tags)
	for i := range names {
		names[i] = labels.FromStrings("__name__", "v", "id", strconv.Itoa(i), "first", strconv.FormatBool(i < 1000))
	}
	runtime.LockOSThread()
	begin, before, wrote := time.Now(), cpu(), written()
	var generating time.Duration
	for i := range daySeconds {
		n := mill.DeviceTags
		if i >= lastHour {
			n = tags
		}
		g := mill.ThreadTime()
		tick := m.Tick(n)
		generating += mill.ThreadTime() - g
		app := db.Appender(ctx)
		for j, x := range tick {
			ref, err := app.Append(refs[j], names[j], x.Millis, x.Value)
			if err != nil {
				return r, err
			}
			refs[j] = ref
		}
		if err := app.Commit(); err != nil {
			return r, err
		}
	}
	r.PerSecond = float64(r.Samples) / time.Since(begin).Seconds()
	r.PerCore = float64(r.Samples) / (cpu() - before - generating).Seconds()
	r.RSS = rss()
	r.Fresh = float64(allocated(dir)) / float64(r.Samples)
	head := db.Head()
	if err := db.CompactHead(tsdb.NewRangeHead(head, head.MinTime(), head.MaxTime())); err != nil {
		return r, err
	}
	if err := db.Compact(ctx); err != nil {
		return r, err
	}
	blocks := int64(0)
	for _, b := range db.Blocks() {
		blocks += allocated(b.Dir())
	}
	r.Sealed = float64(blocks) / float64(r.Samples)
	r.Written = float64(written()-wrote) / float64(r.Samples)
	from, to := day.UnixMilli(), day.Add(24*time.Hour).UnixMilli()-1
	if r.DayRaw, err = timed(20*repeat, func(i int) (int, error) {
		return read(ctx, db, from, to, labels.MustNewMatcher(labels.MatchEqual, "id", strconv.Itoa(i*7%mill.DeviceTags)))
	}); err != nil {
		return r, err
	}
	r.HourRaw, err = timed(repeat, func(int) (int, error) {
		return read(ctx, db, day.Add(23*time.Hour).UnixMilli(), to, labels.MustNewMatcher(labels.MatchEqual, "first", "true"))
	})
	return r, err
}

func read(ctx context.Context, db *tsdb.DB, from, to int64, m *labels.Matcher) (n int, err error) {
	q, err := db.Querier(from, to)
	if err != nil {
		return 0, err
	}
	defer q.Close()
	set := q.Select(ctx, false, nil, m)
	var it chunkenc.Iterator
	for set.Next() {
		it = set.At().Iterator(it)
		for it.Next() != chunkenc.ValNone {
			it.At()
			n++
		}
		if it.Err() != nil {
			return n, it.Err()
		}
	}
	return n, set.Err()
}

func timed(repeat int, query func(i int) (int, error)) (latencies, error) {
	var took []time.Duration
	var l latencies
	for i := range repeat + 1 {
		begin := time.Now()
		n, err := query(i)
		if err != nil {
			return l, err
		}
		if i > 0 {
			took = append(took, time.Since(begin))
		}
		l.Samples = n
	}
	slices.Sort(took)
	l.P50, l.P99 = took[len(took)/2], took[len(took)*99/100]
	return l, nil
}

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func rss() float64 {
	b, _ := os.ReadFile("/proc/self/statm")
	var size, resident float64
	_, _ = fmt.Sscan(string(b), &size, &resident)
	return resident * 4096 / (1 << 20)
}

func written() int64 {
	b, _ := os.ReadFile("/proc/self/io")
	var n int64
	for line := range strings.Lines(string(b)) {
		if _, err := fmt.Sscanf(line, "write_bytes: %d", &n); err == nil {
			return n
		}
	}
	return 0
}

func allocated(dir string) (total int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			total += info.Sys().(*syscall.Stat_t).Blocks * 512
		}
		return nil
	})
	return total
}
