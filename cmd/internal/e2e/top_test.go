//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestTop looks at scadactl top in a real terminal: it shows the pair, goes on when a node is killed, follows the size of the
// window, and q ends it.
func TestTop(t *testing.T) {
	needPrograms(t, "tmux")
	r := newRig(t, nil)
	r.start()
	socket := filepath.Join(t.TempDir(), "tmux")
	tmux := func(args ...string) (string, error) {
		out, err := exec.Command("tmux", append([]string{"-S", socket, "-f", "/dev/null"}, args...)...).CombinedOutput()
		return string(out), err
	}
	must := func(args ...string) {
		t.Helper()
		if out, err := tmux(args...); err != nil {
			t.Fatalf("tmux %v: %v: %s", args, err, out)
		}
	}
	command := fmt.Sprintf("SCADACTL_SERVER=%s,%s SCADACTL_TOKEN=%s %s top; echo ended with $?; sleep 60", r.url("a"), r.url("b"), r.who.Token, filepath.Join(r.bin, "scadactl"))
	must("new-session", "-d", "-x", "160", "-y", "40", "-s", "top", command)
	t.Cleanup(func() { _, _ = tmux("kill-server") })
	shows := func(within time.Duration, want ...string) {
		t.Helper()
		r.eventually(within, fmt.Sprintf("the screen shows %q", want), func() error {
			out, err := tmux("capture-pane", "-p", "-t", "top")
			if err != nil {
				return err
			}
			for _, w := range want {
				if !strings.Contains(out, w) {
					return errors.New(out)
				}
			}
			return nil
		})
	}
	shows(20*time.Second, "waterworks", "main ACTIVE", "main STANDBY", "plc1", "records/s", "q quits")
	r.signal("a", syscall.SIGKILL)
	shows(20*time.Second, "does not answer", "NOT READY", "main ACTIVE")
	must("resize-window", "-t", "top", "-x", "60", "-y", "12")
	r.eventually(10*time.Second, "the picture fits the smaller window", func() error {
		out, err := tmux("capture-pane", "-p", "-t", "top")
		if lines := strings.Split(strings.TrimRight(out, "\n"), "\n"); err == nil && (len(lines) > 12 || lines[len(lines)-1] != "q quits" || !strings.Contains(lines[0], "waterworks")) {
			err = errors.New(out)
		}
		return err
	})
	must("send-keys", "-t", "top", "q")
	shows(10*time.Second, "ended with 0")
}
