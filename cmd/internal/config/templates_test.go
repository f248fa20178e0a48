package config_test

import (
	"strings"
	"testing"
	"time"

	"scada/alarms"
)

// withAlarms returns the base with further alarm settings before the list.
func withAlarms(t *testing.T, settings, list string) string {
	t.Helper()
	return strings.Replace(base(t), "alarms:\n  list:\n", "alarms:\n"+settings+"  list:\n"+list, 1)
}

func TestTemplatesAndDefaults(t *testing.T) {
	c, err := load(t, withAlarms(t, `  defaults: {shelve_max: 8h, on_uncertain: hold, priority: low}
  templates:
    pump: {type: level, on_delay: 3, latch: true, priority: high, deadband: 2%}
`, `    - {id: one, tag: line1/pump1/speed, use: pump, limits: {Hi: 2000}}
    - {id: two, tag: line1/pump1/speed, use: pump, limits: {Hi: 2000}, latch: false, on_delay: 0, deadband: 7, on_uncertain: evaluate}
    - {id: three, tag: line1/pump1/speed, use: flow, limits: {Lo: 20}}
    - {id: four, tag: line1/pump1/running, use: trip}
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	one, two, three, four := c.Alarms.Alarms[0], c.Alarms.Alarms[1], c.Alarms.Alarms[2], c.Alarms.Alarms[3]
	if one.OnDelay != 3*time.Second || !one.Latch || one.Priority != alarms.PriorityHigh || one.Deadband != 60 || one.ShelveMax != 8*time.Hour || !one.HoldUncertain {
		t.Errorf("%+v", one)
	}
	if two.OnDelay != 0 || two.Latch || two.Deadband != 7 || two.HoldUncertain || two.Priority != alarms.PriorityHigh {
		t.Errorf("what the alarm says itself counts: %+v", two)
	}
	if three.Deadband != 150 || three.OffDelay != 15*time.Second || three.Priority != alarms.PriorityLow {
		t.Errorf("%+v", three)
	}
	if four.Type != alarms.TypeDiscrete || !four.Latch || len(four.Normal) != 1 || four.Priority != alarms.PriorityHigh {
		t.Errorf("%+v", four)
	}
}

func TestGroups(t *testing.T) {
	c, err := load(t, withAlarms(t, `  groups:
    - {first_out: trips, members: ["p*.trip", other]}
    - {parent: power, suppresses: ["*"]}
`, `    - {id: p1.trip, tag: line1/pump1/running, type: discrete, normal: [0]}
    - {id: p2.trip, tag: line1/pump1/running, type: discrete, normal: [0]}
    - {id: other, tag: line1/pump1/running, type: discrete, normal: [0]}
    - {id: power, tag: line1/pump1/running, type: discrete, normal: [0]}
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct{ first, parent string }{{"trips", "power"}, {"trips", "power"}, {"trips", "power"}, {"", ""}, {"", "power"}} {
		if a := c.Alarms.Alarms[i]; a.FirstOut != want.first || a.SuppressedBy != want.parent {
			t.Errorf("%s: %q %q", a.ID, a.FirstOut, a.SuppressedBy)
		}
	}
}

func TestTemplateAndGroupErrors(t *testing.T) {
	for _, c := range []struct{ settings, list, want string }{
		{"", "    - {id: x, tag: line1/pump1/speed, use: flaw}\n", `plant.yaml:17:39: alarms.list[0].use: no template is named "flaw" (known: flow, level, pressure, temperature, trip)`},
		{"", "    - {id: x, tag: mixer/speed, use: flow, limits: {Lo: 3}}\n", `alarms.list[0].deadband: a deadband in percent needs the range of tag "mixer/speed"`},
		{"", "    - {id: x, tag: mixer/speed, type: level, deadband: 200%, limits: {Lo: 3}}\n", `plant.yaml:17:56: alarms.list[0].deadband: "200%" is not a number, nor a percentage of the range`},
		{"  templates: {a: {tag: x}}\n", "", "alarms.templates.a: a template has no id, no tag and no template of its own"},
		{"  templates: {a: {limit: 1}}\n", "", `plant.yaml:16:19: alarms.templates.a.limit: unknown field (did you mean "limits"?)`},
		{"  defaults: {id: x}\n", "", "alarms.defaults: the defaults have no id, no tag and no template"},
		{"  groups: [{first_out: a}]\n", "", "alarms.groups[0].members: no alarm is named"},
		{"  groups: [{first_out: a, members: [none*]}]\n", "", `alarms.groups[0].members[0]: no alarm is like "none*"`},
		{"  groups: [{first_out: a, members: [\"*\"]}, {first_out: b, members: [pump1-speed]}]\n", "", `alarms.groups[1].members[0]: alarm "pump1-speed" has the first-out group "a" already`},
		{"  groups: [{parent: a, members: [b]}]\n", "", "alarms.groups[0]: a group is first_out with members, or parent with suppresses"},
		{"  groups: [{parent: nobody, suppresses: [pump1-speed]}]\n", "", `alarms.list[0].suppressed_by: pump1-speed: suppressed_by names the unknown alarm "nobody"`},
	} {
		_, err := load(t, withAlarms(t, c.settings, c.list), nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s%s:\n got %v\nwant %s", c.settings, c.list, err, c.want)
		}
	}
}

func TestFloodSuppression(t *testing.T) {
	for settings, want := range map[string]alarms.FloodSuppression{
		"":              {},
		"  flood: {}\n": {Enter: 10, Leave: 5, Window: 10 * time.Minute, Keep: alarms.PriorityHigh},
		"  flood: {enter: 3, window: 60, keep: critical}\n": {Enter: 3, Leave: 3, Window: time.Minute, Keep: alarms.PriorityCritical},
	} {
		c, err := load(t, withAlarms(t, settings, ""), nil)
		if err != nil || c.Alarms.Flood != want {
			t.Errorf("%q: %+v, want %+v, %v", settings, c.Alarms.Flood, want, err)
		}
	}
	_, err := load(t, withAlarms(t, "  flood: {enter: 101}\n", ""), nil)
	if err == nil || !strings.Contains(err.Error(), ": alarms.flood: flood: enter must be between 1 and 100") {
		t.Errorf("%v", err)
	}
}
