package simulation

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"scada/redundancy/role"
)

var (
	seeds   = flag.Int("seeds", 200, "how many seeds to run")
	first   = flag.Uint64("first", 1, "the first seed")
	verbose = flag.Bool("tell", false, "print what happens, a column for each node")
	only    = flag.String("only", "", "numbers of the faults to keep, separated by commas")
	keep    = flag.String("keep", "", "the file to keep the scenario in; those in testdata are played by every run")
	shrink  = flag.Bool("shrink", true, "drop the faults a failing seed does not need")
)

// TestSeeds lets faults loose on the pair, a different choice of kinds for each seed, and checks the invariants and that
// the pair recovers when the faults end.
func TestSeeds(t *testing.T) {
	var sum Stats
	start, cpu := time.Now(), cpuTime(t)
	for seed := *first; seed < *first+uint64(*seeds); seed++ {
		s := scenario(t, seed)
		var trace func(at time.Duration, node, line string)
		if *verbose {
			trace = tell
		}
		w, err := s.Play(trace)
		if err != nil {
			t.Fatal(failure(s, err))
		}
		sum.add(w)
	}
	took := time.Since(start)
	t.Logf("%d seeds, %.0f simulated seconds in %v (%.0f per second, %.0f per second of processor), %.1f million events", *seeds, sum.checked.Seconds(),
		took.Round(time.Millisecond), sum.checked.Seconds()/took.Seconds(), sum.checked.Seconds()/(cpuTime(t)-cpu).Seconds(), float64(sum.Events)/1e6)
	t.Logf("%d take-overs (terms by start, fault, planned, hand-back, drill, health: %v), both reading %.2f %%, nobody reading %.2f %%, "+
		"two with the right to write: 0 but for %v after freezes", sum.TakeOvers, sum.Activations,
		100*sum.TwoActing.Seconds()/sum.checked.Seconds(), 100*sum.NoneActing.Seconds()/sum.checked.Seconds(), sum.Frozen.Round(time.Millisecond))
}

// cpuTime is what this process has used: the clock on the wall says little on a machine that others use.
func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func scenario(t *testing.T, seed uint64) Scenario {
	t.Helper()
	s := Draw(seed)
	if *only != "" {
		var numbers []int
		for field := range strings.SplitSeq(*only, ",") {
			n, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			numbers = append(numbers, n)
		}
		s = s.Only(numbers)
	}
	if *keep != "" {
		text, err := json.MarshalIndent(s, "", "\t")
		if err == nil {
			err = os.WriteFile(*keep, append(text, '\n'), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// TestKeptScenarios plays what has failed before, each shrunk to what it needed then. They do not depend on how seeds are
// drawn.
func TestKeptScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no kept scenarios", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var s Scenario
			if err := json.Unmarshal(text, &s); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Play(nil); err != nil {
				t.Error(err)
			}
		})
	}
}

// failure is what somebody needs who wants to know why a seed fails.
func failure(s Scenario, err error) string {
	text := fmt.Sprintf("seed %d: %v", s.Seed, err)
	command := fmt.Sprintf("\nrepeat it with: go test ./redundancy/simulation -run TestSeeds -seeds 1 -first %d -tell", s.Seed)
	if !*shrink {
		return text + command
	}
	less := s.Shrink()
	command += " -only " + strings.Trim(strings.ReplaceAll(fmt.Sprint(less.Numbers()), " ", ","), "[]")
	_, err = less.Play(nil)
	text += fmt.Sprintf("\n%d of its %d faults are enough: %v", len(less.Faults), len(s.Faults), err)
	for _, f := range less.Faults {
		text += "\n  " + f.String()
	}
	return text + command
}

// tell prints one line for one event, in the column of its node.
func tell(at time.Duration, node, line string) {
	const column = 64
	switch node {
	case "a":
		fmt.Printf("%12.6fs | %s\n", at.Seconds(), line)
	case "b":
		fmt.Printf("%12.6fs | %*s | %s\n", at.Seconds(), column, "", line)
	default:
		fmt.Printf("%12.6fs == %s\n", at.Seconds(), strings.TrimSpace(line))
	}
}

func (s *Stats) add(w *World) {
	s.Events += w.Stats.Events
	s.TakeOvers += w.Stats.TakeOvers
	for i, n := range w.Stats.Activations {
		s.Activations[i] += n
	}
	s.TwoActing += w.Stats.TwoActing
	s.NoneActing += w.Stats.NoneActing
	s.Frozen += w.Stats.Frozen
	s.LongestGap = max(s.LongestGap, w.Stats.LongestGap)
	s.checked += w.Now()
}

// TestRepeats checks that a seed gives the same run again.
func TestRepeats(t *testing.T) {
	for seed := uint64(1); seed <= 5; seed++ {
		a, _ := Draw(seed).Play(nil)
		b, _ := Draw(seed).Play(func(time.Duration, string, string) {})
		if a.Stats != b.Stats {
			t.Errorf("two runs of seed %d differ: %+v and %+v", seed, a.Stats, b.Stats)
		}
	}
}

// fastStandby is a scenario whose rule is broken on purpose: a clock faster than the lease's margin allows.
func fastStandby(seed uint64) Scenario {
	s := Draw(seed)
	s.Settings.Role.Witness, s.Settings.Role.Policy = false, role.Availability
	for i := range s.Faults {
		switch f := &s.Faults[i]; f.Kind {
		case Rate:
			f.Share = 0.3
		case Repair:
		default:
			f.Kind = CutAll
		}
	}
	return s
}

// TestCatches proves that the simulator would see the faults it is there for, and that it says what is needed for one.
func TestCatches(t *testing.T) {
	for seed := uint64(1); seed <= 300; seed++ {
		s := fastStandby(seed)
		w, _ := s.Play(nil)
		if !strings.Contains(w.Broken(), "two nodes may write") {
			continue
		}
		less := s.Shrink()
		if w, _ = less.Play(nil); w.Broken() == "" {
			t.Error("the shrunk scenario does not fail")
		}
		if len(less.Faults) > 3 {
			t.Errorf("a fast clock and a cut are enough, not %v", less.Faults)
		}
		return
	}
	t.Error("a standby whose clock runs 30 % fast never wrote beside the active")
}
