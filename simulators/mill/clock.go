package mill

import (
	"time"

	"golang.org/x/sys/unix"
)

// ThreadTime is the processor time of the calling thread, for measuring what making the samples costs. The goroutine has
// to be locked to its thread.
func ThreadTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
