//go:build unix

package resource_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"scada/redundancy/resource"
)

// sh is a step of a shell script.
func sh(format string, args ...any) []string {
	return []string{"/bin/sh", "-c", fmt.Sprintf(format, args...)}
}

// TestCommandSteps: each step runs its own program, and the exit code decides.
func TestCommandSteps(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "mounted")
	c := &resource.Command{Name: "share", StartArgs: sh("touch %s", mark), StopArgs: sh("rm -f %s", mark), Check: sh("test -e %s", mark)}
	if err := c.Monitor(t.Context()); err == nil {
		t.Error("it works before its start")
	}
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{{"start", c.Start}, {"monitor", c.Monitor}, {"stop", c.Stop}, {"stop again", c.Stop}} {
		if err := step.do(t.Context()); err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
	}
	if _, err := os.Stat(mark); !os.IsNotExist(err) {
		t.Errorf("it is not stopped: %v", err)
	}
	if err := (&resource.Command{}).Monitor(t.Context()); err != nil {
		t.Errorf("without a program it counts as working: %v", err)
	}
}

// TestCommandFailure: the error has the program, its exit code and the end of what it wrote, in one harmless line.
func TestCommandFailure(t *testing.T) {
	c := &resource.Command{StartArgs: sh(`printf 'first\nsecond \033[2J\377 third\n' >&2; exit 7`), StopArgs: []string{"/no/such/program"},
		Check: sh(`head -c 100000 /dev/zero | tr '\0' x; echo; echo the end; exit 1`)}
	err := c.Start(t.Context())
	if err == nil || err.Error() != "/bin/sh: exit status 7: first second [2J? third" {
		t.Errorf("%q", err)
	}
	if err := c.Stop(t.Context()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if err := c.Monitor(t.Context()); err == nil || len(err.Error()) > 1100 || !strings.HasSuffix(err.Error(), "x the end") {
		t.Errorf("%d bytes: %.50s", len(err.Error()), err)
	}
}

// TestCommandEnvironment: the program learns its name, and none of the secrets of the node.
func TestCommandEnvironment(t *testing.T) {
	t.Setenv("SCADA_SECRET", "do not tell")
	file := filepath.Join(t.TempDir(), "env")
	c := &resource.Command{Name: "share", StartArgs: sh("env > %s", file)}
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(b), "SCADA_RESOURCE=share\n") || !strings.Contains(string(b), "PATH=") || strings.Contains(string(b), "SECRET") {
		t.Errorf("%v: %s", err, b)
	}
}

// TestCommandNoShell: an argument is an argument, whatever is in it.
func TestCommandNoShell(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "$(touch x); a b")
	if err := (&resource.Command{StartArgs: []string{"/usr/bin/touch", name}}).Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(name); err != nil {
		t.Error(err)
	}
}

// TestCommandOverTime: when the time is over the program is killed with everything it started.
func TestCommandOverTime(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	c := &resource.Command{StartArgs: sh("sleep 1000 & echo $! > %s; wait", file)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Start(ctx) }()
	var child int
	eventually(t, "the child runs", func() bool {
		b, err := os.ReadFile(file)
		child, _ = strconv.Atoi(strings.TrimSpace(string(b)))
		return err == nil && child > 0
	})
	cancel()
	if err := <-done; err == nil {
		t.Error("a killed program is no success")
	}
	eventually(t, "the child is gone", func() bool { return !alive(child) })
}

// TestCommandLeavesAService: what the program leaves running keeps its output open; the step ends without it, and it lives on.
func TestCommandLeavesAService(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	c := &resource.Command{StartArgs: sh("sleep 1000 & echo $! > %s", file), StopArgs: sh("kill $(cat %s)", file)}
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	service, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	if !alive(service) {
		t.Error("the service was ended with its starter")
	}
	if err := c.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	eventually(t, "the service is gone", func() bool { return !alive(service) })
}

// alive reports whether a process runs; one that is dead and not yet waited for does not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return !os.IsNotExist(err)
	}
	_, after, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(after, "Z")
}

func eventually(t *testing.T, what string, check func() bool) {
	t.Helper()
	for limit := time.Now().Add(20 * time.Second); !check(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}
