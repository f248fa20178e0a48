package history

import (
	"log/slog"
	"sync"
	"time"
)

// A clock that is set ahead by mistake makes everything too old at once. So what is beyond the retention is removed only
// after the time has been what it is for a day, by the clock that nobody sets.

const (
	clockAhead = time.Hour      // a step ahead beyond this is waited out
	clockDoubt = 24 * time.Hour // so long
)

// calendar says which day it is for sure.
type calendar struct {
	mu      sync.Mutex
	elapsed func() time.Duration // nil: every time is believed
	base    time.Time            // what is believed: base + (elapsed - at)
	at      time.Duration
	doubt   time.Duration // since when the time is doubted, by elapsed; negative: it is not
}

// newCalendar begins with the time of the newest sample, if there is one: the node may have been off for long, or have started
// with a clock that is wrong.
func newCalendar(o Options, newest int64) *calendar {
	c := &calendar{elapsed: o.elapsed, doubt: -1}
	if c.elapsed == nil {
		return c
	}
	c.base, c.at = o.Now(), c.elapsed()
	if seen := time.Unix(0, newest); newest > 0 && c.base.Sub(seen) > clockDoubt {
		c.base = seen
	}
	return c
}

// sure returns the time by which may be removed what is too old: now, or the beginning of all time while now is doubted.
func (c *calendar) sure(now time.Time, log *slog.Logger) time.Time {
	if c.elapsed == nil {
		return now
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.elapsed()
	believed := c.base.Add(e - c.at)
	ahead := now.Sub(believed)
	switch {
	case ahead <= clockAhead:
		if c.doubt >= 0 {
			log.Info("the clock is back at a time to be believed", "time", now.UTC())
		}
		c.base, c.at, c.doubt = now, e, -1
		return now
	case c.doubt < 0:
		c.doubt = e
		log.Warn("the clock is ahead; nothing is removed for its age for a day", "ahead", ahead, "time", now.UTC())
	case e-c.doubt >= clockDoubt:
		log.Info("the clock has been ahead for a day and is believed", "time", now.UTC())
		c.base, c.at, c.doubt = now, e, -1
		return now
	}
	return time.Time{} // nothing is older
}

// newest returns the time of the newest sample of all areas, 0 if there is none.
func (s *Store) newest() (t int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.areas {
		t = max(t, a.last)
	}
	return t
}
