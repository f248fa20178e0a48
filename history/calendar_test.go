package history

import (
	"sync/atomic"
	"testing"
	"time"
)

// TestClockSetAheadRemovesNothing sets the clock a year ahead while the archive is open, and starts it with such a clock: the
// days are there when the clock is right again. A time that stays is believed after a day.
func TestClockSetAheadRemovesNothing(t *testing.T) {
	var passed, set atomic.Int64 // read by the archive's own goroutines too
	elapsed := func() time.Duration { return time.Duration(passed.Load()) }
	dir := t.TempDir()
	o := Options{
		Tags: floats(1), Retention: 48 * time.Hour, SealAfter: -1,
		Now: func() time.Time { return start.Add(elapsed() + time.Duration(set.Load())) }, elapsed: elapsed,
	}
	s := openT(t, dir, o)
	days := func(what string, want int) {
		t.Helper()
		s.Append(tick(1, o.Now()))
		must(t, s.Flush(t.Context()))
		must(t, s.retain())
		if n := len(s.days.list()); n != want {
			t.Fatalf("%s: %d days, want %d", what, n, want)
		}
	}
	const year = 365 * 24 * time.Hour
	days("at first", 1)
	passed.Add(int64(24 * time.Hour))
	days("a day later", 2)
	set.Store(int64(year))
	days("a year ahead", 3)
	passed.Add(int64(12 * time.Hour))
	days("half a day on", 4)
	set.Store(int64(0))
	must(t, s.Close())
	passed.Add(int64(time.Hour))
	set.Store(int64(-48 * time.Hour))
	s = openT(t, dir, o)
	days("two days back", 4)
	set.Store(int64(0))
	days("right again", 5)
	must(t, s.Close())
	set.Store(int64(3 * year)) // the newest sample is a year ahead: two more are doubted too
	s = openT(t, dir, o)
	days("started three years ahead", 6)
	passed.Add(int64(clockDoubt - time.Hour))
	days("not for a day yet", 7)
	passed.Add(int64(2 * time.Hour))
	days("for a day", 2)
}
