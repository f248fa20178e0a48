package modbus

import "time"

// WindowAuto as the window of a device has the channel find out how many requests in flight bring anything.
const WindowAuto = -1

// How the window is found.
const (
	autoAnswers = 50               // full windows of good answers in a row between two looks at the rate, while polls wait for room
	autoGain    = 0.5              // of what one more request in flight could bring at best must have been brought
	autoRest    = 10 * time.Minute // after a window that brought nothing
	autoTrouble = time.Minute      // after one that did harm
)

// auto finds the window of a channel. It is kept over connections and runs: what a device can take does not change by them.
type auto struct {
	on      bool
	window  int
	rate    float64 // answers a second with one request fewer in flight; 0 is not known
	answers int     // in this look
	from    int64   // when it began
	rest    int64   // no other window before
}

// begin starts a look: what came before was with another window, or without anything waiting.
func (a *auto) begin(now int64) { a.answers, a.from = 0, now }

// answered counts a good answer; waiting says that polls were waiting for room all the time. It reports whether the window
// has changed.
func (a *auto) answered(now int64, waiting bool) bool {
	if !waiting || a.from == 0 {
		a.begin(now)
		return false
	}
	if a.answers++; a.answers < autoAnswers*a.window || now <= a.from {
		return false
	}
	rate := float64(a.answers) / (float64(now-a.from) / 1e9)
	a.begin(now)
	switch {
	case now < a.rest:
		return false
	case a.rate == 0 || rate >= a.rate*(1+autoGain/float64(a.window-1)):
		if a.window == maxWindow {
			a.rest = now + int64(autoRest)
			return false
		}
		a.rate = rate
		a.window++
	default:
		a.window--
		a.rate, a.rest = 0, now+int64(autoRest)
	}
	return true
}

// trouble halves the window: a time-out, a busy device, a broken connection.
func (a *auto) trouble(now int64) {
	a.window = max(1, a.window/2)
	a.rate, a.rest = 0, now+int64(autoTrouble)
	a.begin(now)
}

// found takes over what the window has become.
func (s *session) found() {
	if s.c.auto.on {
		s.c.window = s.c.auto.window
		s.c.mu.Lock()
		for _, d := range s.c.devices {
			d.status.Window = s.c.window
		}
		s.c.mu.Unlock()
	}
}

// trouble tells the search for the window of something that went wrong.
func (s *session) trouble() {
	if s.c.auto.on && s.trial == nil {
		s.c.auto.trouble(s.now)
		s.found()
	}
}
