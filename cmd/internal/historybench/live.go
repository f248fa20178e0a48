package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"scada/acquisition/tag"
	"scada/history"
	"scada/simulators/mill"
)

// live records so many tags once a second, in real time, and reports what that costs.
func live(tags int, how time.Duration) error {
	dir, err := os.MkdirTemp("", "historybench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	m := mill.New(tags, time.Now().Truncate(time.Second).Add(time.Second))
	s, err := history.Open(dir, history.Options{Tags: m.Defs, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer s.Close()
	fmt.Printf("%d tags at 1 Hz for %v, group commit 100 ms\n", tags, how)
	fmt.Println("minute  cpu_s  of_generator_s  rss_MiB  peak_MiB  written_MiB  archive_MiB  append_p50_us  append_p99_us  append_max_us  lost")
	var batch []tag.Update
	var took []time.Duration
	var generating time.Duration
	runtime.LockOSThread() // for mill.ThreadTime
	defer runtime.UnlockOSThread()
	begin := time.Now()
	next := begin.Truncate(time.Second).Add(time.Second)
	for second := 1; time.Since(begin) < how; second++ {
		time.Sleep(time.Until(next))
		next = next.Add(time.Second)
		g := mill.ThreadTime()
		batch = m.Updates(batch[:0], m.Tick(tags))
		generating += mill.ThreadTime() - g
		t := time.Now()
		for i := 0; i < len(batch); i += mill.DeviceTags { // a device's answer at a time
			s.Append(batch[i:min(len(batch), i+mill.DeviceTags)])
		}
		took = append(took, time.Since(t))
		if second%600 == 0 {
			report(s, dir, time.Since(begin), generating, took)
		}
	}
	if err := s.Sync(context.Background()); err != nil {
		return err
	}
	report(s, dir, time.Since(begin), generating, took)
	return nil
}

func report(s *history.Store, dir string, since, generating time.Duration, took []time.Duration) {
	took = slices.Clone(took)
	slices.Sort(took)
	st := s.Stats()
	fmt.Printf("%6.1f %6.2f %15.2f %8.1f %9.1f %12.1f %12.1f %14d %14d %14d %5d\n", since.Minutes(), cpuTime(syscall.RUSAGE_SELF).Seconds(), generating.Seconds(),
		kib("/proc/self/status", "VmRSS:")/1024, kib("/proc/self/status", "VmHWM:")/1024, kib("/proc/self/io", "write_bytes:")/1024/1024, float64(allocated(dir))/(1<<20),
		took[len(took)/2].Microseconds(), took[len(took)*99/100].Microseconds(), took[len(took)-1].Microseconds(), st.Lost+st.Refused)
}

func cpuTime(who int) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// kib returns a number from a file of /proc.
func kib(path, name string) float64 {
	b, _ := os.ReadFile(path)
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			var n float64
			if _, err := fmt.Sscan(rest, &n); err == nil {
				return n
			}
		}
	}
	return 0
}

// allocated returns the bytes of a folder's files on disk.
func allocated(dir string) (total int64) {
	_ = filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
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
