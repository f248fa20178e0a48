package config

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"scada/alarms"
)

// Seconds is a duration that may also be written as a plain number of seconds.
type Seconds time.Duration

func (s *Seconds) parseText(text string) error {
	if f, err := strconv.ParseFloat(text, 64); err == nil {
		if math.IsNaN(f) || math.Abs(f) > alarms.MaxDelay.Seconds() {
			return fmt.Errorf("%s s is longer than %s", text, alarms.MaxDelay)
		}
		*s = Seconds(f * float64(time.Second))
		return nil
	}
	return parseDuration(text, (*time.Duration)(s))
}

// Limit is a number, or the name of a tag whose value is the limit.
type Limit alarms.Limit

func (l *Limit) parseText(text string) error {
	if f, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(f) && !math.IsInf(f, 0) {
		l.Value = f
		return nil
	}
	l.Tag = text
	return nil
}

// Priority is critical, high, medium, low, journal, or 1 (critical) to 4 (low).
type Priority alarms.Priority

func (p *Priority) parseText(text string) error {
	if n, err := strconv.Atoi(text); err == nil {
		if n < 1 || n > 4 {
			return fmt.Errorf("priority %d is outside 1 (most urgent) .. 4", n)
		}
		*p = Priority(alarms.PriorityCritical) - Priority(n-1)
		return nil
	}
	return (*alarms.Priority)(p).UnmarshalText([]byte(text))
}

type alarmsFile struct {
	FirstScanGrace Seconds              `yaml:"first_scan_grace"`
	Defaults       alarmFile            `yaml:"defaults" json:",omitzero"`
	Templates      map[string]alarmFile `yaml:"templates" json:",omitempty"`
	List           []alarmFile          `yaml:"list"`
	Groups         []groupFile          `yaml:"groups" json:",omitempty"`
	Notify         notifyFile           `yaml:"notify" json:",omitzero"`
	Flood          *floodFile           `yaml:"flood" json:",omitempty"`
}

type floodFile struct {
	Enter  int      `yaml:"enter"`
	Leave  int      `yaml:"leave"`
	Window Seconds  `yaml:"window"`
	Keep   Priority `yaml:"keep"`
}

// suppression is what the file says of floods; an empty mapping asks for the defaults, none for no suppression.
func (f *floodFile) suppression() alarms.FloodSuppression {
	if f == nil {
		return alarms.FloodSuppression{}
	}
	def := alarms.DefaultFloodSuppression()
	return alarms.FloodSuppression{
		Enter: orDefault(f.Enter, def.Enter), Leave: orDefault(f.Leave, min(def.Leave, orDefault(f.Enter, def.Enter))),
		Window: orDefault(time.Duration(f.Window), def.Window), Keep: orDefault(alarms.Priority(f.Keep), def.Keep),
	}
}

type alarmFile struct {
	ID              string              `yaml:"id"`
	Use             string              `yaml:"use" json:",omitempty"`
	Area            string              `yaml:"area"`
	Class           string              `yaml:"class"`
	Message         string              `yaml:"message"`
	Description     string              `yaml:"description"`
	Guidance        string              `yaml:"guidance"`
	Type            string              `yaml:"type"`
	Tag             string              `yaml:"tag"`
	Tags            []string            `yaml:"tags"`
	Mode            string              `yaml:"mode"`
	Limits          map[string]Limit    `yaml:"limits"`
	Inclusive       *bool               `yaml:"inclusive"`
	Deadband        Margin              `yaml:"deadband"`
	Deadbands       map[string]Margin   `yaml:"deadbands"`
	OnDelay         Seconds             `yaml:"on_delay"`
	OnDelays        map[string]Seconds  `yaml:"on_delays"`
	OffDelay        Seconds             `yaml:"off_delay"`
	OffDelays       map[string]Seconds  `yaml:"off_delays"`
	Priority        Priority            `yaml:"priority"`
	Priorities      map[string]Priority `yaml:"priorities"`
	Setpoint        string              `yaml:"setpoint"`
	Target          string              `yaml:"target"`
	Tolerance       float64             `yaml:"tolerance"`
	ExpectedTime    Seconds             `yaml:"expected_time"`
	MaxGap          Seconds             `yaml:"max_gap"`
	Normal          []float64           `yaml:"normal"`
	Latch           bool                `yaml:"latch"`
	AckRequired     *bool               `yaml:"ack_required"`
	ShelveMax       Seconds             `yaml:"shelve_max"`
	Realarm         Seconds             `yaml:"realarm"`
	SuppressWhenTag string              `yaml:"suppress_when_tag"`
	SuppressedBy    string              `yaml:"suppressed_by"`
	FirstOutGroup   string              `yaml:"first_out_group"`
	OnUncertain     string              `yaml:"on_uncertain"`
}

func (b *builder) alarms() {
	b.templates()
	b.groups()
	b.config.Alarms.FirstScanGrace = time.Duration(b.file.Alarms.FirstScanGrace)
	b.config.Alarms.Flood = b.file.Alarms.Flood.suppression()
	for i := range b.file.Alarms.List {
		b.config.Alarms.Alarms = append(b.config.Alarms.Alarms, b.alarm(index("alarms.list", i), &b.file.Alarms.List[i]))
	}
	for _, err := range flatten(b.config.Alarms.Validate()) {
		var wrong *alarms.DefinitionError
		switch {
		case !errors.As(err, &wrong):
			b.failf("alarms", "%s", err)
		case wrong.Index < 0:
			b.failf("alarms."+wrong.Field, "%s", wrong.Text)
		default:
			b.failf(index("alarms.list", wrong.Index)+"."+wrong.Field, "%s", wrong.Text)
		}
	}
	for i := range b.config.Alarms.Alarms {
		b.alarmTags(index("alarms.list", i), &b.config.Alarms.Alarms[i])
	}
}

// flatten returns the parts of a joined error.
func flatten(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

// alarmTags checks that the tags an alarm uses exist and are acquired in one area: its state moves with the area.
func (b *builder) alarmTags(path string, def *alarms.Definition) {
	check := func(field, name string) {
		if name == "" {
			return
		}
		id, ok := b.config.Lookup(name)
		if !ok && b.tagsMissing {
			return
		}
		if !ok {
			b.failf(path+"."+field, "no tag is named %q", name)
		} else if area := b.config.Tags[id].Area; area != def.Area {
			b.failf(path+"."+field, "tag %q is in area %s, the alarm in %s", name, area, def.Area)
		}
	}
	check("tag", def.Tag)
	for i, name := range def.Tags {
		check(index("tags", i), name)
	}
	check("setpoint", def.Setpoint)
	check("target", def.Target)
	check("suppress_when_tag", def.SuppressTag)
	for level, limit := range def.Limits {
		check("limits."+level.String(), limit.Tag)
	}
}

func (b *builder) alarm(path string, f *alarmFile) alarms.Definition {
	def := alarms.Definition{
		ID: f.ID, Area: f.Area, Class: f.Class, Text: f.Message, Guidance: f.Guidance, Tag: f.Tag, Tags: f.Tags,
		NonExclusive: f.Mode == "nonexclusive", Strict: f.Inclusive != nil && !*f.Inclusive, Deadband: b.margin(path+".deadband", f.Deadband, f.Tag),
		OnDelay: time.Duration(f.OnDelay), OffDelay: time.Duration(f.OffDelay), Priority: alarms.Priority(f.Priority),
		Setpoint: f.Setpoint, Target: f.Target, Tolerance: f.Tolerance, ExpectedTime: time.Duration(f.ExpectedTime),
		MaxGap: time.Duration(f.MaxGap), Normal: f.Normal, Latch: f.Latch, NoAck: f.AckRequired != nil && !*f.AckRequired,
		ShelveMax: time.Duration(f.ShelveMax), Realarm: time.Duration(f.Realarm), SuppressTag: f.SuppressWhenTag,
		SuppressedBy: f.SuppressedBy, FirstOut: f.FirstOutGroup, HoldUncertain: f.OnUncertain == "hold",
	}
	if f.Description != "" {
		// A short description names the alarm; the message then says what to do about it.
		def.Text, def.Guidance = f.Description, orDefault(f.Guidance, f.Message)
	}
	if err := def.Type.UnmarshalText([]byte(f.Type)); err != nil || def.Type == alarms.TypeNone {
		b.failf(path+".type", "%q is no type of alarm (level, deviation, roc, discrete, discrepancy, bad_quality)", f.Type)
	}
	if !oneOf(f.Mode, "", "exclusive", "nonexclusive") {
		b.failf(path+".mode", "%q is none of exclusive, nonexclusive", f.Mode)
	}
	if !oneOf(f.OnUncertain, "", "evaluate", "hold") {
		b.failf(path+".on_uncertain", "%q is none of evaluate, hold", f.OnUncertain)
	}
	def.Limits = levels(b, path+".limits", f.Limits, func(l Limit) alarms.Limit { return alarms.Limit(l) })
	def.Deadbands = levels(b, path+".deadbands", f.Deadbands, func(m Margin) float64 { return b.margin(path+".deadbands", m, f.Tag) })
	def.OnDelays = levels(b, path+".on_delays", f.OnDelays, func(s Seconds) time.Duration { return time.Duration(s) })
	def.OffDelays = levels(b, path+".off_delays", f.OffDelays, func(s Seconds) time.Duration { return time.Duration(s) })
	def.Priorities = levels(b, path+".priorities", f.Priorities, func(p Priority) alarms.Priority { return alarms.Priority(p) })
	b.alarmPlace(&def)
	return def
}

// levels turns the keys of a mapping by level into levels.
func levels[In, Out any](b *builder, path string, in map[string]In, convert func(In) Out) map[alarms.Level]Out {
	if len(in) == 0 {
		return nil
	}
	out := make(map[alarms.Level]Out, len(in))
	for _, name := range slices.Sorted(maps.Keys(in)) {
		var level alarms.Level
		if err := level.UnmarshalText([]byte(name)); err != nil || level == alarms.LevelNone {
			b.failf(path+"."+name, "%q is no level (HiHi, Hi, Lo, LoLo, RocHi, RocLo)", name)
			continue
		}
		out[level] = convert(in[name])
	}
	return out
}

// alarmPlace takes the area and the unit from the alarm's tag: an alarm belongs to where its tag is acquired.
func (b *builder) alarmPlace(def *alarms.Definition) {
	name := def.Tag
	if name == "" && len(def.Tags) > 0 {
		name = def.Tags[0]
	}
	if id, ok := b.config.Lookup(name); ok {
		def.Area, def.Unit = b.config.Tags[id].Area, b.config.Tags[id].Unit
	}
}
