package history

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"scada/acquisition/tag"
)

var (
	start = time.Date(2026, 11, 20, 21, 30, 7, 0, time.UTC)
	quiet = slog.New(slog.DiscardHandler)
)

func floats(n int) []tag.Definition {
	defs := make([]tag.Definition, n)
	for i := range defs {
		defs[i] = tag.Definition{ID: tag.ID(i), Name: fmt.Sprintf("t%02d", i), Area: "main", Type: tag.TypeFloat64}
	}
	return defs
}

func tick(n int, at time.Time) []tag.Update {
	batch := make([]tag.Update, n)
	for i := range batch {
		batch[i] = tag.Update{Tag: tag.ID(i), Sample: tag.Sample{Time: at.UnixNano(), Value: tag.Float64(float64(at.Unix()%1000) + float64(i)/3)}}
	}
	return batch
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func openT(t *testing.T, dir string, o Options) *Store {
	t.Helper()
	if o.Logger == nil {
		o.Logger = quiet
	}
	s, err := Open(dir, o)
	must(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

func raw(t *testing.T, s *Store, name string) Page {
	t.Helper()
	p, err := s.Raw(context.Background(), name, 0, start.Add(1000*time.Hour).UnixNano(), 0, Cursor{})
	must(t, err)
	return p
}

// copyFolder copies an archive as the disk has it at this moment.
func copyFolder(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	must(t, os.CopyFS(to, os.DirFS(from)))
	return to
}

// lossyFile remembers how much of a file was synced.
type lossyFile struct {
	*os.File
	disk *lossyDisk
	path string
}

type lossyDisk struct {
	mu    sync.Mutex
	safe  map[string]int64
	fail  error // of every write
	syncs error
}

func (d *lossyDisk) open(path string) (walFile, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o640)
	return &lossyFile{File: f, disk: d, path: filepath.Base(path)}, err
}

func (f *lossyFile) Write(b []byte) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.disk.fail != nil {
		n, _ := f.File.Write(b[:len(b)/2]) // a full disk takes a part
		return n, f.disk.fail
	}
	return f.File.Write(b)
}

func (f *lossyFile) Sync() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.disk.syncs != nil {
		return f.disk.syncs
	}
	info, err := f.Stat()
	if err == nil {
		f.disk.safe[f.path] = info.Size()
	}
	return err
}

// TestPowerCutLosesAtMostTheGroupCommitInterval cuts the power while samples come in all the time and nobody asks for them
// to be on disk.
func TestPowerCutLosesAtMostTheGroupCommitInterval(t *testing.T) {
	const interval, every = 100 * time.Millisecond, 7 * time.Millisecond
	for seed := range uint64(10) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 6))
			disk := &lossyDisk{safe: map[string]int64{}}
			dir, defs := t.TempDir(), floats(20)
			s := openT(t, dir, Options{Tags: defs, GroupCommit: interval, openFile: disk.open})
			begin := time.Now()
			for range 300 + r.IntN(500) {
				s.Append(tick(20, time.Now()))
				time.Sleep(every)
			}
			synctest.Wait()
			cut := time.Now()
			after := copyFolder(t, dir)
			for name, safe := range disk.safe {
				must(t, os.Truncate(filepath.Join(after, "wal", name), safe))
			}
			got := openT(t, after, Options{Tags: defs})
			for _, d := range defs {
				samples := raw(t, got, d.Name).Samples
				want := begin
				for _, x := range samples {
					if x.Time != want.UnixNano() {
						t.Fatalf("seed %d, %s: a sample of %v is missing", seed, d.Name, want.Sub(begin))
					}
					want = want.Add(every)
				}
				if lost := cut.Sub(want); lost > interval {
					t.Fatalf("seed %d, %s: the last %v are lost, the group commit interval is %v", seed, d.Name, lost, interval)
				}
			}
		})
	}
}

func TestPowerCutLosesAtMostWhatWasNotAcknowledged(t *testing.T) {
	for seed := range uint64(10) {
		synctest.Test(t, func(t *testing.T) { cutPower(t, seed) })
	}
}

func cutPower(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 5))
	disk := &lossyDisk{safe: map[string]int64{}}
	dir, defs := t.TempDir(), floats(20)
	now := start
	s := openT(t, dir, Options{Tags: defs, Now: func() time.Time { return start }, GroupCommit: time.Hour, GroupBytes: 1 << 30, openFile: disk.open})
	acked, total := 0, 200+r.IntN(200)
	for i := range total {
		s.Append(tick(20, now))
		now = now.Add(time.Second)
		if i == total/2 {
			must(t, s.Flush(t.Context()))
		}
		if r.IntN(30) == 0 {
			must(t, s.Sync(t.Context()))
			acked = i + 1
		}
	}
	// Push the rest to the file without a sync, as a kernel does in its own time, and cut the power.
	disk.mu.Lock()
	disk.syncs = errors.New("not now")
	disk.mu.Unlock()
	signal(s.urgent)
	synctest.Wait()
	after := copyFolder(t, dir)
	for name, safe := range disk.safe {
		path := filepath.Join(after, "wal", name)
		b, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		must(t, err)
		keep := min(int(safe)+r.IntN(2000), len(b)) // some pages made it, the last ones as zeros
		b = b[:keep]
		for i := int(safe) + r.IntN(1000); i < keep; i++ {
			b[i] = 0
		}
		must(t, os.WriteFile(path, b, 0o640))
	}
	disk.mu.Lock()
	disk.syncs = nil
	disk.mu.Unlock()
	cut := openT(t, after, Options{Tags: defs, Now: func() time.Time { return start }})
	for _, d := range defs {
		got := raw(t, cut, d.Name).Samples
		for i := range acked {
			want := tick(20, start.Add(time.Duration(i)*time.Second))[d.ID].Sample
			if i >= len(got) || got[i] != want {
				t.Fatalf("seed %d, %s: sample %d of %d acknowledged ones is missing", seed, d.Name, i, acked)
			}
		}
	}
}

func TestTornTailIsCutAndReported(t *testing.T) {
	dir, defs := t.TempDir(), floats(5)
	s := openT(t, dir, Options{Tags: defs, Now: func() time.Time { return start }})
	for i := range 20 {
		s.Append(tick(5, start.Add(time.Duration(i)*time.Second)))
		must(t, s.Sync(t.Context()))
	}
	must(t, s.Close())
	list, err := segments(filepath.Join(dir, "wal"))
	must(t, err)
	name := walName(list[len(list)-1])
	whole, err := os.ReadFile(filepath.Join(dir, "wal", name))
	must(t, err)
	var ends []int64
	if _, _, _, err := readSegment(filepath.Join(dir, "wal", name), list[len(list)-1], func(p []byte) error {
		last := int64(walHeader)
		if len(ends) > 0 {
			last = ends[len(ends)-1]
		}
		ends = append(ends, last+recordHeader+int64(len(p)))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(ends) != 20 || ends[19] != int64(len(whole)) {
		t.Fatalf("%d records ending at %v of %d bytes", len(ends), ends, len(whole))
	}
	for cut := 0; cut < len(whole); cut += 17 {
		for _, flip := range []bool{false, true} {
			b := slices.Clone(whole)
			if flip {
				b[cut] ^= 0x10
			} else {
				b = b[:cut]
			}
			records := 0
			for _, e := range ends {
				if e <= int64(cut) {
					records++
				}
			}
			mended := flip && records < 19
			if mended { // a flipped bit is put right where a sound record follows
				records = 20
			}
			after := copyFolder(t, dir)
			must(t, os.WriteFile(filepath.Join(after, "wal", name), b, 0o640))
			again := openT(t, after, Options{Tags: defs, Now: func() time.Time { return start }})
			if got := len(raw(t, again, "t03").Samples); got != records {
				t.Fatalf("cut (flip %v) at %d: %d samples, %d records were whole", flip, cut, got, records)
			}
			good := int64(0)
			if records > 0 {
				good = ends[records-1]
			} else if cut >= walHeader {
				good = walHeader
			}
			if got := again.Stats().Mended; (got == 1) != (mended && cut >= walHeader) {
				t.Fatalf("flip %v at %d: %d records put right", flip, cut, got)
			}
			if got := again.Stats().TornBytes; got != int64(len(b))-good {
				t.Fatalf("cut (flip %v) at %d: %d torn bytes reported, want %d", flip, cut, got, int64(len(b))-good)
			}
			again.Append(tick(5, start.Add(time.Hour)))
			must(t, again.Close())
			if st := openT(t, after, Options{Tags: defs}).Stats(); st.TornBytes != 0 {
				t.Fatalf("cut at %d: torn again after the repair", cut)
			}
		}
	}
}

func TestFullDiskIsReportedAndForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &lossyDisk{safe: map[string]int64{}}
		dir, defs := t.TempDir(), floats(5)
		s := openT(t, dir, Options{Tags: defs, openFile: disk.open})
		begin := time.Now()
		for i := range 100 {
			at := begin.Add(time.Duration(i) * time.Second)
			time.Sleep(time.Until(at))
			disk.mu.Lock()
			disk.fail = nil
			if i >= 20 && i < 60 {
				disk.fail = syscall.ENOSPC
			}
			disk.mu.Unlock()
			s.Append(tick(5, at))
			time.Sleep(500 * time.Millisecond)
			if err := s.Health(); (err != nil) != (i >= 20 && i < 60) {
				t.Fatalf("at %d s: health %v", i, err)
			}
		}
		must(t, s.Sync(t.Context()))
		must(t, s.Close())
		if got := raw(t, openT(t, dir, Options{Tags: defs}), "t02").Samples; len(got) != 100 {
			t.Fatalf("%d of 100 samples after the disk was full for 40 s", len(got))
		}
	})
}

func TestSpacePolicies(t *testing.T) {
	for _, policy := range []FullPolicy{DropOldest, StopRecording} {
		synctest.Test(t, func(t *testing.T) {
			free := uint64(1 << 40)
			var mu sync.Mutex
			s := openT(t, t.TempDir(), Options{Tags: floats(5), WhenFull: policy, FreeSpace: func(string) (uint64, error) {
				mu.Lock()
				defer mu.Unlock()
				return free, nil
			}})
			for range 60 {
				s.Append(tick(5, time.Now()))
				time.Sleep(time.Hour)
			}
			if n := s.Stats().Days; n != 3 {
				t.Fatalf("%d days", n)
			}
			mu.Lock()
			free = 1000
			mu.Unlock()
			time.Sleep(2 * time.Minute)
			before := s.Stats()
			from := time.Now()
			dropped, _ := s.Dropped()
			for _, d := range dropped {
				if d.Reason == "" || time.Since(d.At) > 2*time.Minute || !d.Day.Before(from.Truncate(24*time.Hour)) {
					t.Fatalf("dropped: %+v", d)
				}
			}
			if len(dropped) != 3-before.Days {
				t.Fatalf("%d days are said to be dropped, %d are left", len(dropped), before.Days)
			}
			s.Append(tick(5, time.Now()))
			time.Sleep(2 * time.Minute)
			switch policy {
			case DropOldest:
				// The present day always stays. Nothing else to give: recording stops too, rather than fill the disk.
				if before.Days != 1 {
					t.Fatalf("%d days left", before.Days)
				}
			case StopRecording:
				if before.Days != 3 {
					t.Fatalf("%d days left, the policy keeps them", before.Days)
				}
			}
			if s.Health() == nil || s.Stats().Lost != before.Lost+5 {
				t.Fatalf("nearly full disk: health %v, %d lost", s.Health(), s.Stats().Lost)
			}
			mu.Lock()
			free = 1 << 40
			mu.Unlock()
			time.Sleep(2 * time.Minute)
			s.Append(tick(5, time.Now()))
			if err := s.Health(); err != nil {
				t.Fatalf("space came back: %v", err)
			}
			gaps := s.Gaps(Scope{Area: "main"}, from.UnixNano(), time.Now().UnixNano()+1)
			if len(gaps) != 1 || gaps[0].From != from.UnixNano() || gaps[0].To != time.Now().UnixNano() {
				t.Fatalf("gaps %v", gaps)
			}
		})
	}
}

func TestRetentionRemovesDaysUnderReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openT(t, t.TempDir(), Options{Tags: floats(3), Retention: 48 * time.Hour})
		for range 24 * 10 {
			s.Append(tick(3, time.Now()))
			time.Sleep(time.Hour)
			p, err := s.Raw(t.Context(), "t01", 0, time.Now().UnixNano(), 0, Cursor{})
			must(t, err)
			if age := time.Since(p.Samples[0].At()); age > 73*time.Hour {
				t.Fatalf("a sample is %v old", age)
			}
		}
		if n := s.Stats().Days; n > 4 {
			t.Fatalf("%d days", n)
		}
		// A sample older than the retention is refused.
		s.Append(tick(3, time.Now().Add(-49*time.Hour)))
		if st := s.Stats(); st.Refused != 3 {
			t.Fatalf("%d refused", st.Refused)
		}
	})
}
