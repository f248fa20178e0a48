package modbus

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// awakeProcess spins on every processor in the idle class, until its standard input ends: it gets what nobody else wants.
// The processors of a virtual machine that fall asleep between two requests take tens of microseconds to wake up, so that
// a quiet machine would otherwise be slower than a busy one, and by how much is the host's affair.
func awakeProcess() error {
	var ended atomic.Bool
	defer ended.Store(true)
	failed := make(chan error, runtime.NumCPU())
	runtime.GOMAXPROCS(runtime.NumCPU() + 1)
	for range runtime.NumCPU() {
		go func() {
			runtime.LockOSThread()
			failed <- unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}, 0)
			for !ended.Load() { // a waste of what nobody wants is its purpose
			}
		}()
	}
	for range runtime.NumCPU() {
		if err := <-failed; err != nil {
			return fmt.Errorf("enter the idle class: %w", err)
		}
	}
	fmt.Println("ready")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// sleepUntil sleeps on a thread of its own: a timer of the runtime may come up to a millisecond late, which is a fifth of the
// latency a slave is to have.
func sleepUntil(at time.Time) {
	runtime.LockOSThread()
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // in nanoseconds; without it sleeps end 50 µs late
	for left := time.Until(at); left > 0; left = time.Until(at) {
		ts := unix.NsecToTimespec(int64(left))
		_ = unix.Nanosleep(&ts, nil) // a signal ends it early, and the loop goes on
	}
}
