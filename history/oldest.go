package history

import "time"

// Oldest returns the beginning of the first day of which there is a file; false without any.
func (s *Store) Oldest() (time.Time, bool) {
	list := s.days.list()
	if len(list) == 0 {
		return time.Time{}, false
	}
	return dayTime(list[0]), true
}
