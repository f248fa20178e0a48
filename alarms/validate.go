package alarms

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// DefinitionError is one thing wrong with the configuration; Index says in which alarm of [Config], -1 in none, Field in which of
// its fields (the configuration name: limits, deadband, suppressed_by, …).
type DefinitionError struct {
	Index int
	Field string
	Text  string
}

// Error returns the text, which names the alarm.
func (e *DefinitionError) Error() string { return e.Text }

// checker collects the errors of one configuration.
type checker struct {
	errs []error
	at   int
	def  *Definition
}

func (c *checker) fail(field, format string, args ...any) {
	c.errs = append(c.errs, &DefinitionError{Index: c.at, Field: field, Text: c.def.ID + ": " + fmt.Sprintf(format, args...)})
}

// Validate returns everything wrong with the configuration, joined; each part is a [*DefinitionError].
func (c Config) Validate() error {
	if len(c.Alarms) > MaxDefinitions {
		return &DefinitionError{Text: fmt.Sprintf("%d alarms, the limit is %d", len(c.Alarms), MaxDefinitions)}
	}
	v := &checker{}
	if err := c.Flood.Validate(); err != nil {
		v.errs = append(v.errs, &DefinitionError{Index: -1, Field: "flood", Text: err.Error()})
	}
	seen := map[string]int{}
	for i := range c.Alarms {
		v.at, v.def = i, &c.Alarms[i]
		for _, id := range v.def.conditionIDs() {
			if _, dup := seen[id]; dup || v.def.ID == "" {
				v.errs = append(v.errs, &DefinitionError{Index: i, Field: "id", Text: fmt.Sprintf("duplicate or empty alarm id %q", id)})
			}
			seen[id] = i
		}
		if _, dup := seen[v.def.ID]; !dup {
			seen[v.def.ID] = i // a non-exclusive alarm is also known by its own id
		}
		v.definition()
	}
	v.parents(c.Alarms, seen)
	return errors.Join(v.errs...)
}

// conditionIDs returns the ids of the conditions the alarm makes.
func (d *Definition) conditionIDs() []string {
	if !d.NonExclusive {
		return []string{d.ID}
	}
	var ids []string
	for _, l := range d.Type.levels() {
		if _, ok := d.Limits[l]; ok {
			ids = append(ids, d.ID+"/"+l.String())
		}
	}
	return ids
}

func (c *checker) definition() {
	d := c.def
	if len(d.ID) > maxAlarmID {
		c.fail("id", "the id has %d bytes, the limit is %d", len(d.ID), maxAlarmID)
	}
	for _, n := range append([]string{d.Tag, d.Setpoint, d.Target, d.SuppressTag, d.SuppressedBy, d.FirstOut}, d.Tags...) {
		if len(n) > MaxID {
			c.fail("tag", "a name has %d bytes, the limit is %d", len(n), MaxID)
		}
	}
	if len(d.Text) > MaxText || len(d.Guidance) > MaxText {
		c.fail("text", "text and guidance have at most %d bytes", MaxText)
	}
	if d.Tag == "" && (d.Type != TypeBadQuality || len(d.Tags) == 0) {
		c.fail("tag", "tag is missing")
	}
	if d.Priority >= priorityEnd {
		c.fail("priority", "unknown priority %d", d.Priority)
	}
	c.durations()
	c.byType()
	c.limits()
}

func (c *checker) durations() {
	d := c.def
	check := func(field string, v time.Duration) {
		if v < 0 || v > MaxDelay {
			c.fail(field, "%s must be between 0 and %v", field, MaxDelay)
		}
	}
	check("on_delay", d.OnDelay)
	check("off_delay", d.OffDelay)
	for _, l := range d.Type.levels() {
		check("on_delays", d.OnDelays[l])
		check("off_delays", d.OffDelays[l])
	}
	check("expected_time", d.ExpectedTime)
	check("max_gap", d.MaxGap)
	check("shelve_max", d.ShelveMax)
	check("realarm", d.Realarm)
	if d.Realarm > 0 && d.Realarm < time.Second {
		c.fail("realarm", "realarm must be 0 or at least a second")
	}
}

func (c *checker) byType() {
	d := c.def
	need := func(ok bool, field, why string) {
		if !ok {
			c.fail(field, "%s", why)
		}
	}
	only := func(set bool, field string, t Type) {
		need(!set || d.Type == t, field, field+" belongs to type "+t.String())
	}
	need(d.Type > TypeNone && d.Type <= TypeBadQuality, "type", "type is missing or unknown")
	need(d.Type != TypeDeviation || d.Setpoint != "", "setpoint", "a deviation alarm needs a setpoint")
	need(d.Type != TypeDiscrepancy || d.Target != "", "target", "a discrepancy alarm needs a target")
	need(d.Type != TypeDiscrepancy || d.ExpectedTime > 0, "expected_time", "a discrepancy alarm needs an expected_time")
	need(d.Type != TypeRoc || d.MaxGap > 0, "max_gap", "a rate alarm needs a max_gap")
	need(d.Type != TypeDiscrete || len(d.Normal) > 0, "normal", "a discrete alarm needs its normal values")
	need(len(d.Normal) <= MaxNormal, "normal", fmt.Sprintf("%d normal values, the limit is %d", len(d.Normal), MaxNormal))
	need(finite(d.Tolerance) && d.Tolerance >= 0, "tolerance", "tolerance must not be negative")
	only(d.Setpoint != "", "setpoint", TypeDeviation)
	only(d.Target != "", "target", TypeDiscrepancy)
	only(d.Tolerance != 0, "tolerance", TypeDiscrepancy)
	only(d.ExpectedTime != 0, "expected_time", TypeDiscrepancy)
	only(d.MaxGap != 0, "max_gap", TypeRoc)
	only(len(d.Normal) > 0, "normal", TypeDiscrete)
	only(len(d.Tags) > 0, "tags", TypeBadQuality)
}

func (c *checker) limits() {
	d := c.def
	limited := d.Type.levels()[0] != LevelActive
	if limited && len(d.Limits) == 0 {
		c.fail("limits", "limits are missing")
	}
	if d.NonExclusive && !limited {
		c.fail("mode", "mode nonexclusive needs limits")
	}
	allowed := map[Level]bool{}
	for _, l := range d.Type.levels() {
		allowed[l] = true
		c.limit(l)
	}
	for l := LevelNone; l < levelEnd; l++ {
		_, has := d.Limits[l]
		if has && (!allowed[l] || !limited) {
			c.fail("limits", "a %s alarm has no limit %s", d.Type, l)
		}
	}
	c.order()
}

// limit checks one limit: finite, with a deadband that is not negative, and with the sign of its side where the limit
// is a difference.
func (c *checker) limit(l Level) {
	d := c.def
	db := pick(d.Deadbands, l, d.Deadband)
	if !finite(db) || db < 0 {
		c.fail("deadband", "the deadband must not be negative")
	}
	if d.Priorities[l] >= priorityEnd {
		c.fail("priority", "unknown priority %d", d.Priorities[l])
	}
	lim, ok := d.Limits[l]
	if !ok || lim.Tag != "" {
		return
	}
	if !finite(lim.Value) {
		c.fail("limits", "%s must be a number", l)
		return
	}
	if d.Type != TypeDeviation && d.Type != TypeRoc {
		return
	}
	if l.high() && lim.Value <= 0 {
		c.fail("limits", "%s must be positive", l)
	}
	if !l.high() && lim.Value >= 0 {
		c.fail("limits", "%s must be negative", l)
	}
}

// order checks LoLo < Lo < Hi < HiHi, also with the deadbands taken off.
func (c *checker) order() {
	rising := []Level{LevelLoLo, LevelLo, LevelHi, LevelHiHi}
	if c.def.Type == TypeRoc {
		rising = []Level{LevelRocLo, LevelRocHi}
	}
	var present []Level
	for _, l := range rising {
		if lim, ok := c.def.Limits[l]; ok && lim.Tag == "" {
			present = append(present, l)
		}
	}
	for i := 1; i < len(present); i++ {
		c.pair(present[i-1], present[i])
	}
}

func (c *checker) pair(below, above Level) {
	d := c.def
	lo, hi := d.Limits[below].Value, d.Limits[above].Value
	if lo >= hi {
		c.fail("limits", "%s must be below %s", below, above)
		return
	}
	if db := pick(d.Deadbands, above, d.Deadband); above.high() && hi-db <= lo {
		c.fail("deadband", "%s - deadband must stay above %s: %g - %g is not above %g", above, below, hi, db, lo)
	}
	if db := pick(d.Deadbands, below, d.Deadband); !below.high() && lo+db >= hi {
		c.fail("deadband", "%s + deadband must stay below %s: %g + %g is not below %g", below, above, lo, db, hi)
	}
}

// parents checks that suppressed_by names another alarm and that no alarm suppresses itself through others.
func (c *checker) parents(defs []Definition, byID map[string]int) {
	for i := range defs {
		c.at, c.def = i, &defs[i]
		parent := c.def.SuppressedBy
		if parent == "" {
			continue
		}
		if _, ok := byID[parent]; !ok {
			c.fail("suppressed_by", "suppressed_by names the unknown alarm %q", parent)
			continue
		}
		for hops, at := 0, byID[parent]; ; hops++ {
			if at == i || hops > len(defs) {
				c.fail("suppressed_by", "suppressed_by %q leads back to the alarm itself", parent)
				break
			}
			next, ok := byID[defs[at].SuppressedBy]
			if !ok || defs[at].SuppressedBy == "" {
				break
			}
			at = next
		}
	}
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
