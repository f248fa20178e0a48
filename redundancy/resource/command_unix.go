//go:build unix

package resource

import (
	"os/exec"
	"syscall"
)

// ownGroup has the program and what it starts killed together when its time is over.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
