package alarms

import (
	"fmt"
	"slices"
	"time"
)

// Limits on the configuration of flood suppression.
const (
	// MaxFloodEnter is the most activations a flood may begin with: that many instants are remembered.
	MaxFloodEnter = 100
	// MinFloodWindow and MaxFloodWindow bound the time in which activations are counted.
	MinFloodWindow = 10 * time.Second
	MaxFloodWindow = 24 * time.Hour
)

// FloodSuppression is the configuration of flood suppression; the zero value is none.
//
// More than Enter activations within Window are a flood, until there are fewer than Leave. Alarms less urgent than Keep
// that come from normal during a flood are suppressed until it is over; those still active then are annunciated. What
// the operator has in his list already is never taken out of it.
type FloodSuppression struct {
	Enter  int
	Leave  int
	Window time.Duration
	Keep   Priority
}

// DefaultFloodSuppression has the figures of EEMUA 191.
func DefaultFloodSuppression() FloodSuppression {
	return FloodSuppression{Enter: FloodEnter, Leave: FloodLeave, Window: KPIPeriod, Keep: PriorityHigh}
}

// Validate returns what is wrong with the configuration.
func (f FloodSuppression) Validate() error {
	switch {
	case f == FloodSuppression{}:
		return nil
	case f.Enter < 1 || f.Enter > MaxFloodEnter:
		return fmt.Errorf("flood: enter must be between 1 and %d", MaxFloodEnter)
	case f.Leave < 1 || f.Leave > f.Enter:
		return fmt.Errorf("flood: leave must be between 1 and enter")
	case f.Window < MinFloodWindow || f.Window > MaxFloodWindow:
		return fmt.Errorf("flood: window must be between %s and %s", MinFloodWindow, MaxFloodWindow)
	case f.Keep < PriorityLow || f.Keep >= priorityEnd:
		return fmt.Errorf("flood: keep must be low, medium, high or critical")
	}
	return nil
}

// FloodImage is what the engine knows of the flood.
type FloodImage struct {
	Since  int64   // 0: there is none
	Raised []int64 // the last activations that count, at most one more than a flood begins with
}

// FloodSince returns since when there is an alarm flood, 0 when there is none.
func (e *Engine) FloodSince() int64 { return e.flood.Since }

// flooded is called before an occurrence of the condition begins with the priority: it counts it, and hides the
// condition if there is a flood and nothing of it is in the operator's list.
func (e *Engine) flooded(c *condition, p Priority, at int64) {
	cfg := &e.cfg.Flood
	if cfg.Enter == 0 || p == PriorityJournal || c.OOS || c.Shelving != NotShelved || c.Suppressed&^SuppressedByFlood != 0 {
		return
	}
	f := &e.flood
	f.Raised = append(f.Raised, at)
	if len(f.Raised) > 1 && f.Raised[len(f.Raised)-2] > at {
		slices.Sort(f.Raised) // a device told late of what was earlier
	}
	f.Raised = f.Raised[max(0, len(f.Raised)-cfg.Enter-1):]
	if f.Since == 0 && len(f.Raised) > cfg.Enter && f.Raised[0] > at-int64(cfg.Window) {
		f.Since = at
	}
	e.floodTouched = true
	if f.Since != 0 && p < cfg.Keep && c.base() == StateNorm {
		e.suppress(c, SuppressedByFlood, at)
	}
}

// floodDue is when the flood ends if nothing more comes, 0 when there is none.
func (e *Engine) floodDue() int64 {
	f := &e.flood
	if f.Since == 0 {
		return 0
	}
	n := len(f.Raised) - e.cfg.Flood.Leave
	if n < 0 {
		return f.Since // from a configuration that counted fewer
	}
	return f.Raised[n] + int64(e.cfg.Flood.Window)
}

// ebb ends the flood when it is due, and what it suppressed.
func (e *Engine) ebb(at int64) {
	if due := e.floodDue(); due == 0 || due > at {
		return
	}
	e.flood.Since, e.floodTouched = 0, true
	e.releaseFlood()
}

// releaseFlood looks again at everything a flood suppressed.
func (e *Engine) releaseFlood() {
	for _, c := range e.conds {
		if c.Suppressed&SuppressedByFlood != 0 {
			e.release = append(e.release, c)
		}
	}
}

// urgent brings a condition out of the flood that has become too urgent for it.
func (e *Engine) urgent(c *condition) {
	if c.Suppressed&SuppressedByFlood != 0 && c.Priority >= e.cfg.Flood.Keep {
		e.release = append(e.release, c)
	}
}

// floodHides reports whether the flood still is a reason to hide the condition.
func (e *Engine) floodHides(c *condition) bool {
	return e.flood.Since != 0 && (c.Level == LevelNone || c.Priority < e.cfg.Flood.Keep)
}

// takeFlood returns the image of the flood if the present call changed it.
func (e *Engine) takeFlood() *FloodImage {
	if !e.floodTouched {
		return nil
	}
	e.floodTouched = false
	return e.flood.clone()
}

func (f *FloodImage) clone() *FloodImage {
	return &FloodImage{Since: f.Since, Raised: slices.Clone(f.Raised)}
}

// adoptFlood takes over an image. Its configuration may have counted more activations than this one, or this one has no
// flood suppression.
func (e *Engine) adoptFlood(f *FloodImage) {
	e.flood = FloodImage{}
	if enter := e.cfg.Flood.Enter; enter > 0 {
		e.flood = *f.clone()
		e.flood.Raised = e.flood.Raised[max(0, len(f.Raised)-enter-1):]
	}
}

// reviseFlood fits the flood to a new configuration.
func (e *Engine) reviseFlood() {
	e.adoptFlood(e.flood.clone())
	e.floodTouched = true
}

// setBackFlood is for a clock that was set back: what is remembered of the future counts as now. Otherwise a flood would
// last for as long as the step.
func (e *Engine) setBackFlood(now int64) {
	f := &e.flood
	if n := len(f.Raised); n == 0 || f.Raised[n-1] <= now+int64(maxAhead) {
		return
	}
	f.Since, e.floodTouched = min(f.Since, now), true
	for i := range f.Raised {
		f.Raised[i] = min(f.Raised[i], now)
	}
}
