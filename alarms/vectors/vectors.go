// Package vectors reads the published alarm stories and compares journals with them. It is for tests: those of the engine
// tell the stories to a model of two nodes, those of the server to two nodes.
package vectors

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/goccy/go-yaml"

	"scada/alarms"
)

// File is a file of vectors; the header of alarms/testdata/alarms.yaml explains the fields.
type File struct {
	Schema  int                `yaml:"schema"`
	Rules   map[string]Rule    `yaml:"rules"`
	Presets map[string][]Alarm `yaml:"presets"`
	Vectors []Vector           `yaml:"vectors"`
}

// Rule is what decides, and where that is from.
type Rule struct {
	Text   string `yaml:"text"`
	Source string `yaml:"source"`
}

// Vector is one story, with what it must come to.
type Vector struct {
	ID       string      `yaml:"id"`
	Group    string      `yaml:"group"`
	Title    string      `yaml:"title"`
	Rule     []string    `yaml:"rule"`
	Kind     string      `yaml:"kind"`
	Use      []string    `yaml:"use"`
	Alarms   []Alarm     `yaml:"alarms"`
	Grace    *float64    `yaml:"first_scan_grace"`
	Steps    []Step      `yaml:"steps"`
	Raises   []Raise     `yaml:"raises"`
	Span     float64     `yaml:"span"`
	Expect   Expectation `yaml:"expect"`
	PeerNote string      `yaml:"peer_note"`
	Note     string      `yaml:"note"`
}

// Step is what happens at one moment.
type Step struct {
	T      float64  `yaml:"t"`
	V      *float64 `yaml:"v"`
	Tag    string   `yaml:"tag"`
	Q      string   `yaml:"q"`
	Node   string   `yaml:"node"`
	SOE    bool     `yaml:"soe"`
	Do     string   `yaml:"do"`
	Alarm  string   `yaml:"alarm"`
	By     string   `yaml:"by"`
	Occ    uint64   `yaml:"occ"`
	For    float64  `yaml:"for"`
	Expect string   `yaml:"expect"`
	Alarms []Alarm  `yaml:"alarms"`
}

// Raise is an activation, or several at equal distances, of a story about figures.
type Raise struct {
	T        float64 `yaml:"t"`
	Alarm    string  `yaml:"alarm"`
	Prio     string  `yaml:"prio"`
	Count    int     `yaml:"count"`
	Every    float64 `yaml:"every"`
	Duration float64 `yaml:"duration"`
}

// Expectation is what a story must come to; what is absent is not checked.
type Expectation struct {
	Events        []Event          `yaml:"events"`
	Final         map[string]Final `yaml:"final"`
	Notifications []Notification   `yaml:"notifications"`
	JournalsEqual bool             `yaml:"journals_equal"`
	KPI           map[string]any   `yaml:"kpi"`
	Invalid       string           `yaml:"invalid"`
}

// Event is one record of the journal.
type Event struct {
	T         float64   `yaml:"t"`
	E         string    `yaml:"e"`
	Level     string    `yaml:"level"`
	State     string    `yaml:"state"`
	Ann       bool      `yaml:"ann"`
	Occ       uint64    `yaml:"occ"`
	Term      uint64    `yaml:"term"`
	Onset     *float64  `yaml:"onset"`
	NotBefore *float64  `yaml:"not_before"`
	FirstOut  *bool     `yaml:"first_out"`
	By        string    `yaml:"by"`
	Also      *[]uint64 `yaml:"also"`
	Note      string    `yaml:"note"`
	Alarm     string    `yaml:"alarm"`
}

// Final is a condition in the end.
type Final struct {
	State string  `yaml:"state"`
	Level string  `yaml:"level"`
	Occ   *uint64 `yaml:"occ"`
}

// Notification is what somebody is told.
type Notification struct {
	T    float64 `yaml:"t"`
	Node string  `yaml:"node"`
	Key  string  `yaml:"key"`
}

// Alarm is the configuration of one alarm.
type Alarm struct {
	ID            string             `yaml:"id,omitempty"`
	Tag           string             `yaml:"tag,omitempty"`
	Type          string             `yaml:"type,omitempty"`
	Mode          string             `yaml:"mode,omitempty"`
	Limits        map[string]float64 `yaml:"limits,omitempty"`
	Inclusive     *bool              `yaml:"inclusive,omitempty"`
	Deadband      float64            `yaml:"deadband,omitempty"`
	Deadbands     map[string]float64 `yaml:"deadbands,omitempty"`
	OnDelay       float64            `yaml:"on_delay,omitempty"`
	OnDelays      map[string]float64 `yaml:"on_delays,omitempty"`
	OffDelay      float64            `yaml:"off_delay,omitempty"`
	OffDelays     map[string]float64 `yaml:"off_delays,omitempty"`
	Setpoint      string             `yaml:"setpoint,omitempty"`
	Target        string             `yaml:"target,omitempty"`
	Tolerance     float64            `yaml:"tolerance,omitempty"`
	ExpectedTime  float64            `yaml:"expected_time,omitempty"`
	MaxGap        float64            `yaml:"max_gap,omitempty"`
	Normal        []float64          `yaml:"normal,omitempty"`
	Latch         bool               `yaml:"latch,omitempty"`
	AckRequired   *bool              `yaml:"ack_required,omitempty"`
	ShelveMax     float64            `yaml:"shelve_max,omitempty"`
	Realarm       float64            `yaml:"realarm,omitempty"`
	SuppressTag   string             `yaml:"suppress_when_tag,omitempty"`
	SuppressedBy  string             `yaml:"suppressed_by,omitempty"`
	FirstOutGroup string             `yaml:"first_out_group,omitempty"`
	OnUncertain   string             `yaml:"on_uncertain,omitempty"`
}

// Load reads a file of vectors, strictly.
func Load(path string) (*File, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("vectors: %w", err)
	}
	var f File
	if err := yaml.UnmarshalWithOptions(b, &f, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if f.Schema != 1 {
		return nil, fmt.Errorf("vectors have schema %d, this runner knows 1", f.Schema)
	}
	seen := map[string]bool{}
	for _, v := range f.Vectors {
		if seen[v.ID] || v.ID == "" {
			return nil, fmt.Errorf("vector id %q twice or empty", v.ID)
		}
		seen[v.ID] = true
		for _, name := range v.Use {
			if len(f.Presets[name]) == 0 {
				return nil, fmt.Errorf("%s: unknown preset %q", v.ID, name)
			}
		}
		for _, r := range v.Rule {
			if _, ok := f.Rules[r]; !ok {
				return nil, fmt.Errorf("%s: unknown rule %s", v.ID, r)
			}
		}
	}
	return &f, nil
}

// Alarms are those of a story: of its presets, and its own.
func (f *File) Alarms(v *Vector) []Alarm {
	var list []Alarm
	for _, name := range v.Use {
		list = append(list, f.Presets[name]...)
	}
	return append(list, v.Alarms...)
}

// First is the alarm a step or a record is about that names none.
func (f *File) First(v *Vector) *Alarm { return &f.Alarms(v)[0] }

// Config is the configuration of a story.
func (f *File) Config(v *Vector) (alarms.Config, error) {
	cfg, err := Configure(f.Alarms(v))
	if v.Grace != nil {
		cfg.FirstScanGrace = cmp.Or(Span(*v.Grace), -1)
	}
	return cfg, err
}

// Configure is the configuration with these alarms.
func Configure(list []Alarm) (alarms.Config, error) {
	var cfg alarms.Config
	for i := range list {
		d, err := list[i].Definition()
		if err != nil {
			return cfg, fmt.Errorf("%s: %w", list[i].ID, err)
		}
		cfg.Alarms = append(cfg.Alarms, d)
	}
	return cfg, nil
}

// Definition is the alarm as the engine takes it.
func (a *Alarm) Definition() (alarms.Definition, error) {
	d := alarms.Definition{
		ID: a.ID, Tag: a.Tag, Deadband: a.Deadband, OnDelay: Span(a.OnDelay), OffDelay: Span(a.OffDelay),
		Setpoint: a.Setpoint, Target: a.Target, Tolerance: a.Tolerance, ExpectedTime: Span(a.ExpectedTime), MaxGap: Span(a.MaxGap),
		Normal: a.Normal, Latch: a.Latch, NoAck: a.AckRequired != nil && !*a.AckRequired, ShelveMax: Span(a.ShelveMax),
		Realarm: Span(a.Realarm), SuppressTag: a.SuppressTag, SuppressedBy: a.SuppressedBy, FirstOut: a.FirstOutGroup,
		Strict: a.Inclusive != nil && !*a.Inclusive,
	}
	switch a.OnUncertain {
	case "", "evaluate":
	case "hold":
		d.HoldUncertain = true
	default:
		return d, fmt.Errorf("on_uncertain %q", a.OnUncertain)
	}
	switch a.Mode {
	case "", "exclusive":
	case "nonexclusive":
		d.NonExclusive = true
	default:
		return d, fmt.Errorf("mode %q", a.Mode)
	}
	if err := d.Type.UnmarshalText([]byte(a.Type)); err != nil {
		return d, err
	}
	d.Limits = map[alarms.Level]alarms.Limit{}
	err := cmp.Or(
		byLevel(a.Limits, func(l alarms.Level, v float64) { d.Limits[l] = alarms.Limit{Value: v} }),
		byLevel(a.Deadbands, func(l alarms.Level, v float64) { put(&d.Deadbands, l, v) }),
		byLevel(a.OnDelays, func(l alarms.Level, v float64) { put(&d.OnDelays, l, Span(v)) }),
		byLevel(a.OffDelays, func(l alarms.Level, v float64) { put(&d.OffDelays, l, Span(v)) }))
	return d, err
}

func put[T any](m *map[alarms.Level]T, l alarms.Level, v T) {
	if *m == nil {
		*m = map[alarms.Level]T{}
	}
	(*m)[l] = v
}

func byLevel(m map[string]float64, set func(alarms.Level, float64)) error {
	for name, v := range m {
		var l alarms.Level
		if err := l.UnmarshalText([]byte(name)); err != nil {
			return err
		}
		set(l, v)
	}
	return nil
}

// Span converts seconds to a duration on a microsecond grid, so that 0.1 s is 100 ms and not a rounding of it.
func Span(t float64) time.Duration {
	return time.Duration(math.Round(t*1e6)) * time.Microsecond
}
