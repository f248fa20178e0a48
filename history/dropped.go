package history

import (
	"slices"
	"time"
)

// Dropped is a day that was removed before its time because there was no room for it.
type Dropped struct {
	Day    time.Time // its beginning, UTC
	At     time.Time
	Reason string
}

// maxDropped is how many removed days are remembered.
const maxDropped = 1000

// Dropped returns the days that were removed for want of room since Open, the last at the end, and how many were forgotten
// before them.
func (s *Store) Dropped() (days []Dropped, before int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.dropped), s.forgotten
}

// noteDropped tells of a day that made way for newer ones: history is lost that was to be kept. A day that the other node had
// and brought back, so that it has to go again, is told once.
func (s *Store) noteDropped(n int64, why string, now time.Time) {
	s.mu.Lock()
	i := slices.IndexFunc(s.dropped, func(d Dropped) bool { return d.Day.Equal(dayTime(n)) })
	if i < 0 {
		s.dropped = append(s.dropped, Dropped{Day: dayTime(n), At: now, Reason: why})
	} else {
		s.dropped[i].At = now
	}
	if len(s.dropped) > maxDropped {
		s.dropped = s.dropped[1:]
		s.forgotten++
	}
	s.mu.Unlock()
	if i < 0 {
		s.o.Logger.Warn("a day of history was removed before its time", "day", dayTime(n).Format(time.DateOnly), "reason", why)
	}
}
