//go:build unix

package pki

import (
	"errors"
	"os"
	"syscall"
)

// flock locks the file for this open of it alone.
func flock(f *os.File) error {
	for {
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); !errors.Is(err, syscall.EINTR) {
			return os.NewSyscallError("flock", err)
		}
	}
}
