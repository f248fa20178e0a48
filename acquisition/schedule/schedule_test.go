package schedule

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"
)

var rewrite = flag.Bool("rewrite", false, "write what the scripts print into them")

// bench interprets a script: lines of commands, each followed by its output indented by two spaces.
type bench struct {
	s       *Schedule[string]
	units   map[string]*Unit[string]
	jobs    map[string]*Job[string]
	running map[string]*Job[string]
	now     int64
	// what the units do in `play`
	cost   map[string]time.Duration
	silent map[string]time.Duration
}

func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(src)
			if *rewrite {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if !bytes.Equal(src, got) {
				t.Errorf("output differs (run with -rewrite to accept):\n%s", got)
			}
		})
	}
}

func play(src []byte) []byte {
	b := &bench{s: New[string](), units: map[string]*Unit[string]{}, jobs: map[string]*Job[string]{},
		running: map[string]*Job[string]{}, cost: map[string]time.Duration{}, silent: map[string]time.Duration{}}
	var out bytes.Buffer
	lines := bufio.NewScanner(bytes.NewReader(src))
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "  ") {
			continue
		}
		fmt.Fprintln(&out, line)
		if f := strings.Fields(line); len(f) > 0 && f[0] != "#" {
			for _, l := range b.do(f) {
				fmt.Fprintln(&out, "  "+l)
			}
		}
	}
	return out.Bytes()
}

func dur(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		panic(err)
	}
	return d
}

func (b *bench) do(f []string) []string {
	switch f[0] {
	case "unit":
		retries, _ := strconv.Atoi(f[2])
		b.units[f[1]] = b.s.AddUnit(f[1], retries)
	case "job":
		size, _ := strconv.Atoi(f[4])
		b.jobs[f[2]] = b.s.Add(b.units[f[1]], dur(f[3]), size, f[2], b.now)
	case "remove":
		b.s.Remove(b.jobs[f[1]])
	case "at":
		b.now = int64(dur(f[1]))
	case "refresh":
		b.s.Refresh(b.now)
	case "next":
		return b.next()
	case "done":
		result := map[string]Result{"answered": Answered, "silent": Silent, "busy": Busy, "lost": Lost}[f[2]]
		j := b.running[f[1]]
		before, after := b.s.Done(j, b.now, result)
		return []string{fmt.Sprintf("%s -> %s", before, after)}
	case "cost":
		b.cost[f[1]] = dur(f[2])
		delete(b.silent, f[1])
	case "silent":
		b.silent[f[1]] = dur(f[2])
	case "play":
		return b.simulate(int64(dur(f[1])))
	default:
		return []string{"unknown command " + f[0]}
	}
	return nil
}

func (b *bench) next() []string {
	j := b.s.Next(b.now)
	if j == nil {
		if d := b.s.Deadline(); d != Never {
			return []string{"nothing until " + time.Duration(d).String()}
		}
		return []string{"nothing"}
	}
	b.running[j.Data] = j
	s := j.Data
	if j.IsProbe() {
		s += " as probe"
	}
	if late := b.now - j.Due(); late > 0 {
		s += " late by " + time.Duration(late).String()
	}
	if m := j.TakeMissed(); m > 0 {
		s += fmt.Sprintf(" missed %d", m)
	}
	return []string{s}
}

// simulate is a channel with one request at a time until the given instant.
func (b *bench) simulate(until int64) []string {
	count, missed, worst := map[string]int{}, map[string]uint64{}, map[string]int64{}
	probes := map[string]int{}
	for b.now < until {
		j := b.s.Next(b.now)
		if j == nil {
			b.now = min(until, b.s.Deadline())
			continue
		}
		count[j.Data]++
		missed[j.Data] += j.TakeMissed()
		worst[j.Data] = max(worst[j.Data], b.now-j.Due())
		name := strings.TrimRight(j.Data, "0123456789")
		if d, quiet := b.silent[name]; quiet {
			b.now += int64(d)
			if j.IsProbe() {
				probes[j.Data]++
			}
			b.s.Done(j, b.now, Silent)
			continue
		}
		b.now += int64(b.cost[name])
		b.s.Done(j, b.now, Answered)
	}
	var out []string
	for name := range count {
		s := fmt.Sprintf("%s: %d", name, count[name])
		if missed[name] > 0 {
			s += fmt.Sprintf(", missed %d", missed[name])
		}
		if probes[name] > 0 {
			s += fmt.Sprintf(", of them repeats and probes %d", probes[name])
		}
		out = append(out, s+", late by at most "+time.Duration(worst[name]).Round(time.Millisecond).String())
	}
	sort.Strings(out)
	return out
}

// TestSlots: slots do not depend on when the schedule was started, only on the name and the period.
func TestSlots(t *testing.T) {
	slots := func(start int64) (at []int64) {
		s := New[string]()
		s.Add(s.AddUnit("plc1", 0), time.Second, 1, "x", start)
		now := start
		for len(at) < 5 {
			j := s.Next(now)
			if j == nil {
				now = s.Deadline()
				continue
			}
			if now > 20e9 {
				at = append(at, j.Due())
			}
			s.Done(j, now, Answered)
			now = max(now, s.Deadline())
		}
		return at
	}
	if a, b := fmt.Sprint(slots(1)), fmt.Sprint(slots(12.345e9)); a != b {
		t.Errorf("slots of two nodes differ: %s, %s", a, b)
	}
}

func TestPhasesSpread(t *testing.T) {
	s := New[int]()
	var bins [10]int
	for i := range 1000 {
		j := s.Add(s.AddUnit(fmt.Sprintf("plc%d", i), 0), time.Second, 1, i, 0)
		bins[j.phase*10/int64(time.Second)]++
	}
	for i, n := range bins {
		if n < 70 || n > 130 {
			t.Errorf("tenth %d of the second has %d of 1000 units", i, n)
		}
	}
}

func TestNegativeTime(t *testing.T) {
	j := &Job[int]{period: 10, phase: 3}
	for _, c := range [][2]int64{{-20, -17}, {-17, -7}, {-8, -7}, {-7, 3}, {0, 3}, {2, 3}, {3, 13}, {12, 13}} {
		if got := j.slotAfter(c[0]); got != c[1] {
			t.Errorf("slot after %d: %d, want %d", c[0], got, c[1])
		}
	}
}

// TestRandom: whatever happens, a job is never started twice at once, time never stands still with work left out, no
// slot is both kept and missed, and a silent unit is started with one request at a time.
func TestRandom(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 7))
		s := New[int]()
		var units []*Unit[int]
		for i := range 1 + r.IntN(5) {
			units = append(units, s.AddUnit(fmt.Sprint(i), r.IntN(3)))
		}
		jobs := 0
		for range 1 + r.IntN(12) {
			s.Add(units[r.IntN(len(units))], time.Duration(1+r.IntN(20))*50*time.Millisecond, r.IntN(9), jobs, 0)
			jobs++
		}
		window := 1 + r.IntN(4)
		var flying []*Job[int]
		now, started := int64(0), 0
		for now < 30e9 {
			if len(flying) < window {
				if j := s.Next(now); j != nil {
					for _, f := range flying {
						if f == j || (f.unit == j.unit && j.IsProbe() && f.IsProbe()) {
							t.Fatalf("seed %d: started twice", seed)
						}
					}
					if j.Due() > now {
						t.Fatalf("seed %d: started before its slot", seed)
					}
					flying = append(flying, j)
					started++
					continue
				}
				if d := s.Deadline(); d <= now {
					t.Fatalf("seed %d: deadline %d is not after %d though there was nothing", seed, d, now)
				} else if len(flying) == 0 {
					now = d
					continue
				}
			}
			now += int64(r.IntN(80)) * 1e6
			i := r.IntN(len(flying))
			s.Done(flying[i], now, Result(r.IntN(4)))
			flying = append(flying[:i], flying[i+1:]...)
			if r.IntN(50) == 0 {
				s.Refresh(now)
			}
		}
		if started < 8 {
			t.Fatalf("seed %d: only %d polls in 30 s", seed, started)
		}
	}
}

func BenchmarkNextDone(b *testing.B) {
	s := New[int]()
	for i := range 8 {
		u := s.AddUnit(fmt.Sprint(i), 0)
		for k := range 8 {
			s.Add(u, 100*time.Millisecond, 1, i*8+k, 0)
		}
	}
	now := int64(0)
	b.ReportAllocs()
	for b.Loop() {
		j := s.Next(now)
		if j == nil {
			now = s.Deadline()
			continue
		}
		now += 1000
		s.Done(j, now, Answered)
	}
}
