package history_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"scada/acquisition/tag"
	"scada/history"
)

// The child of the kill tests is this test binary with a folder in the environment.
const childFolder = "HISTORY_TEST_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childFolder); dir != "" {
		if err := child(dir); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const childTags = 50

var kills = flag.Int("kills", 8, "how often the recording process is killed")

// childBatch is the batch with a number: one sample of every tag, five seconds of plant time after the last batch.
func childBatch(defs []tag.Definition, n int) (batch []tag.Update, now time.Time) {
	r := rand.New(rand.NewPCG(uint64(n), 77))
	now = base.Add(time.Duration(n) * 5 * time.Second)
	for _, d := range defs {
		x := tag.Sample{Time: now.UnixNano() + int64(d.ID), Value: value(r, d)}
		if r.IntN(5) == 0 {
			x.Quality = tag.UncertainLastUsableValue
		}
		batch = append(batch, tag.Update{Tag: d.ID, Sample: x})
	}
	return batch, now
}

// child appends batches from the given number on as fast as they become durable, and says so after each acknowledgement.
func child(dir string) error {
	next, err := strconv.Atoi(os.Getenv("HISTORY_TEST_NEXT"))
	if err != nil {
		return err
	}
	defs, c := plant(childTags), newClock()
	s, err := history.Open(dir, history.Options{Tags: defs, Now: c.now, GroupCommit: time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	go func() {
		for {
			if err := s.Flush(context.Background()); err != nil {
				fmt.Println("error", err)
			}
			time.Sleep(7 * time.Millisecond)
		}
	}()
	for n := next; ; n++ {
		var pos uint64
		for range 20 {
			batch, now := childBatch(defs, n)
			c.nanos.Store(now.UnixNano())
			pos = s.Append(batch)
			n++
		}
		n--
		if err := s.WaitDurable(context.Background(), pos); err != nil {
			return err
		}
		fmt.Println("ack", n)
	}
}

func TestKilledAtAnyMomentNothingAcknowledgedIsLost(t *testing.T) {
	rounds := *kills
	if testing.Short() {
		rounds = 3
	}
	var opened []time.Duration
	replayed := uint64(0)
	dir, defs, m := t.TempDir(), plant(childTags), newReference()
	quiet := history.Options{Tags: defs, Logger: slog.New(slog.DiscardHandler)}
	next, samples := 0, 0
	for round := range rounds {
		acked := runChild(t, dir, next, time.Duration(20+rand.IntN(200))*time.Millisecond)
		for n := next; n <= acked; n++ {
			batch, _ := childBatch(defs, n)
			m.append(defs, batch)
			samples += len(batch)
		}
		begin := time.Now()
		s, err := history.Open(dir, quiet)
		if err != nil {
			t.Fatal(err)
		}
		st := s.Stats()
		took := time.Since(begin)
		opened, replayed = append(opened, took), max(replayed, st.Replayed)
		t.Logf("round %d: %d samples acknowledged so far, opened in %v, %d replayed, %d torn bytes", round, samples, took, st.Replayed, st.TornBytes)
		end := base.Add(time.Duration(acked+1) * 5 * time.Second).UnixNano()
		for _, d := range defs {
			got, want := all(t, s, d.Name, 0, end, history.MaxRaw), m.between(d.Name, 0, end)
			checkAcknowledged(t, defs, d, got, want)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		next = acked + 10_000 // batches that were written but not acknowledged lie between
	}
	if samples == 0 {
		t.Fatal("nothing was acknowledged in any round")
	}
	slices.Sort(opened)
	t.Logf("%d kills: none of %d acknowledged samples lost; opened in %v (median), %v at most, with up to %d samples in the journal",
		rounds, samples, opened[len(opened)/2], opened[len(opened)-1], replayed)
}

// checkAcknowledged compares what is in the archive with what was acknowledged: nothing may be missing, and what is there
// beyond it must be what the child made, to the bit.
func checkAcknowledged(t *testing.T, defs []tag.Definition, d tag.Definition, got, want []tag.Sample) {
	t.Helper()
	extra := map[tag.Sample]bool{}
	for _, x := range got {
		extra[x] = true
	}
	for i, x := range want {
		if !extra[x] {
			t.Fatalf("%s: acknowledged sample %d of %d is missing or changed: %+v", d.Name, i, len(want), x)
		}
		delete(extra, x)
	}
	for x := range extra {
		n := int((x.Time - base.UnixNano()) / int64(5*time.Second))
		batch, _ := childBatch(defs, n)
		m := newReference()
		m.append(defs, batch[d.ID:d.ID+1])
		if made := m.samples[d.Name]; len(made) != 1 || made[0] != x {
			t.Fatalf("%s: a sample nobody wrote: %+v", d.Name, x)
		}
	}
}

// runChild starts a child, kills it without warning after a while and returns the number of the last batch it
// acknowledged, next-1 if there is none.
func runChild(t *testing.T, dir string, next int, after time.Duration) (acked int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childFolder+"="+dir, "HISTORY_TEST_NEXT="+strconv.Itoa(next))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	acked = next - 1
	var kill *time.Timer
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if kill == nil {
			kill = time.AfterFunc(after, func() { cmd.Process.Kill() })
		}
		n, ok := strings.CutPrefix(lines.Text(), "ack ")
		if !ok {
			t.Errorf("child: %s", lines.Text())
			continue
		}
		if acked, err = strconv.Atoi(n); err != nil {
			t.Errorf("child: %v", err)
		}
	}
	cmd.Wait()
	return acked
}

func TestSecondProcessIsRefused(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, history.Options{})
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childFolder+"="+dir, "HISTORY_TEST_NEXT=0")
	out, err := cmd.Output()
	if err == nil || !strings.Contains(string(out), history.ErrInUse.Error()) {
		t.Fatalf("a second process: %v, %s", err, out)
	}
	if who := fmt.Sprintf("(pid %d, ", os.Getpid()); !strings.Contains(string(out), filepath.Join(dir, "meta.db")) || runtime.GOOS == "linux" && !strings.Contains(string(out), who) {
		t.Errorf("it is not told where the folder is and who has it: %s", out)
	}
}
