//go:build unix

package pki

import (
	"os"
	"syscall"
)

// flock locks the file for this open of it alone.
func flock(f *os.File) error {
	for {
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != syscall.EINTR { //nolint:errorlint // a system call returns it bare
			return os.NewSyscallError("flock", err)
		}
	}
}
