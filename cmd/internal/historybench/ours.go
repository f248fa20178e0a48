package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"scada/acquisition/tag"
	"scada/history"
	"scada/simulators/mill"
)

// closing is when in a window the one before is closed, in seconds: in operation the archive waits twenty for late samples.
const closing = 30

// apiPiece is how many samples the API has in memory at a time.
const apiPiece = 10_000

// ours records the set, seals the day and asks for it again.
func ours(s set, repeat int) (result, error) {
	res := result{Name: "this archive", Samples: s.samples()}
	dir, err := os.MkdirTemp("", "historybench")
	if err != nil {
		return res, err
	}
	defer os.RemoveAll(dir)
	m, clock := s.mill(), &atomic.Int64{}
	clock.Store(s.day.UnixNano())
	o := history.Options{Tags: m.Defs, Now: func() time.Time { return time.Unix(0, clock.Load()) }, Logger: slog.New(slog.DiscardHandler)}
	h, err := history.Open(dir, o)
	if err != nil {
		return res, err
	}
	defer func() { h.Close() }()
	ctx := context.Background()
	var batch []tag.Update
	cpu, wall, written := cpuTime(syscall.RUSAGE_SELF), time.Now(), kib("/proc/self/io", "write_bytes:")
	var converting time.Duration
	ticks := 0
	generating, err := s.each(m, func(tick []mill.Sample) error {
		begin := mill.ThreadTime()
		batch = m.Updates(batch[:0], tick)
		converting += mill.ThreadTime() - begin
		for i := 0; i < len(batch); i += mill.DeviceTags {
			h.Append(batch[i:min(len(batch), i+mill.DeviceTags)])
		}
		clock.Add(int64(time.Second))
		if ticks++; ticks%600 == closing {
			return h.FlushOver(ctx)
		}
		return nil
	})
	if err == nil {
		err = h.Flush(ctx)
	}
	if err != nil {
		return res, err
	}
	cpu = cpuTime(syscall.RUSAGE_SELF) - cpu - generating - converting
	res.PerCore, res.PerSecond = float64(res.Samples)/cpu.Seconds(), float64(res.Samples)/time.Since(wall).Seconds()
	if st := h.Stats(); st.Lost+st.Refused > 0 {
		return res, fmt.Errorf("%d samples were lost", st.Lost+st.Refused)
	}
	res.Fresh = float64(size(dir, ".l0.db")) / float64(res.Samples)
	res.RSS = kib("/proc/self/status", "VmRSS:") / 1024
	clock.Add(int64(3 * time.Hour))
	sealing := time.Now()
	for h.Stats().Sealed == 0 {
		if err := h.Flush(ctx); err != nil {
			return res, err
		}
		time.Sleep(10 * time.Millisecond)
		if time.Since(sealing) > 5*time.Minute {
			return res, fmt.Errorf("sealing does not end: %w", h.Health())
		}
	}
	fmt.Fprintf(os.Stderr, "sealed in %v\n", time.Since(sealing).Round(time.Millisecond))
	res.Sealed = float64(size(dir, ".l1.db")) / float64(res.Samples)
	res.Written = (kib("/proc/self/io", "write_bytes:") - written) / float64(res.Samples)
	return res, oursReads(ctx, h, s, m, repeat, &res)
}

func oursReads(ctx context.Context, h *history.Store, s set, m *mill.Mill, repeat int, res *result) (err error) {
	raw := func(name string, from, to time.Time) (n int, err error) { // as a request of the API reads it: page by page
		r := h.NewReader()
		for at, more := (history.Cursor{}), true; more; {
			p, err := r.Page(ctx, name, from.UnixNano(), to.UnixNano(), apiPiece, at)
			if err != nil {
				return n, err
			}
			n += len(p.Samples)
			at, more = p.Next, p.More
		}
		return n, nil
	}
	res.DayRaw, err = timed(20*repeat, func(i int) (int, error) {
		return raw(m.Defs[i*7%mill.DeviceTags].Name, s.day, s.day.Add(24*time.Hour))
	})
	if err != nil {
		return err
	}
	from, to := s.hour()
	res.HourRaw, err = timed(repeat, func(int) (total int, err error) {
		r := h.NewReader()
		for _, d := range m.Defs[:1000] {
			if _, err := r.Each(ctx, d.Name, from.UnixNano(), to.UnixNano(), func(piece []tag.Sample) (bool, error) {
				total += len(piece)
				return true, nil
			}); err != nil {
				return 0, err
			}
		}
		return total, nil
	})
	return err
}

// timed repeats a query, the first time to warm it.
func timed(repeat int, query func(i int) (samples int, err error)) (latencies, error) {
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

// size returns the bytes on disk of the files with a suffix.
func size(dir, suffix string) (total int64) {
	list, _ := filepath.Glob(filepath.Join(dir, "p", "*"+suffix))
	for _, path := range list {
		if info, err := os.Stat(path); err == nil {
			total += info.Sys().(*syscall.Stat_t).Blocks * 512
		}
	}
	return total
}
