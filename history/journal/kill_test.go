package journal_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"scada/history/journal"
)

const childFile = "JOURNAL_TEST_FILE"

// TestMain runs as the writing child when the parent test asks for it.
func TestMain(m *testing.M) {
	if path := os.Getenv(childFile); path != "" {
		writeForEver(path)
	}
	os.Exit(m.Run())
}

// writeForEver appends batches and tells after each which entry was acknowledged last.
func writeForEver(path string) {
	j, err := journal.Open(path, journal.Options{})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	next := int(j.Sequence()) + 1
	for {
		size := 1 + next%37
		if err := j.Append(entries(next, next+size)...); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		next += size
		fmt.Println("ack", next-1)
	}
}

// TestKillWhileWriting: the process is killed without warning, again and again; what was acknowledged is there, whole
// and in order, and nothing is there that was not written.
func TestKillWhileWriting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	for round := range 6 {
		acked := killedChild(t, path, time.Duration(20+round*17)*time.Millisecond)
		j, err := journal.Open(path, journal.Options{})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		got := all(t, j, journal.Query{Limit: journal.MaxPage})
		if len(got) < acked {
			t.Fatalf("round %d: %d entries were acknowledged, %d are there", round, acked, len(got))
		}
		if text(t, got) != text(t, entries(1, len(got)+1)) {
			t.Fatalf("round %d: the entries are not those that were written", round)
		}
		if err := j.Verify(context.Background()); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// killedChild lets a child write for a while after its first acknowledgement, kills it, and returns the number of the
// last acknowledged entry.
func killedChild(t *testing.T, path string, life time.Duration) int {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(exe)
	child.Env = append(os.Environ(), childFile+"="+path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	acked := 0
	var timer *time.Timer
	for lines := bufio.NewScanner(out); lines.Scan(); {
		n, ok := strings.CutPrefix(lines.Text(), "ack ")
		if !ok {
			t.Errorf("child: %s", lines.Text())
			continue
		}
		if acked, err = strconv.Atoi(n); err != nil {
			t.Error(err)
		}
		if timer == nil {
			timer = time.AfterFunc(life, func() { _ = child.Process.Kill() })
		}
	}
	_ = child.Wait() // it was killed
	if acked == 0 {
		t.Fatal("the child acknowledged nothing")
	}
	return acked
}
