package history

import "time"

// Limits are what of the archive may be changed while it is open.
type Limits struct {
	Retention time.Duration // days older than this are removed; 0 keeps everything
	Hourly    time.Duration // how long hourly summaries are kept; 0 keeps everything
	MaxDisk   int64         // bytes the archive may use; 0 is no limit
}

// Limits returns the present ones: at first those of [Options].
func (s *Store) Limits() Limits { return *s.limits.Load() }

// SetLimits changes them. What is beyond shorter ones is removed by the next look at the archive, within a minute or so; what was
// removed before does not come back.
func (s *Store) SetLimits(l Limits) { s.limits.Store(&l) }
