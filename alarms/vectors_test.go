package alarms_test

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"scada/acquisition/tag"
	"scada/alarms"
)

// vectorFile is the schema of a file of alarm vectors; its header explains the fields.
type vectorFile struct {
	Schema  int                    `yaml:"schema"`
	Rules   map[string]vectorRule  `yaml:"rules"`
	Presets map[string][]alarmYAML `yaml:"presets"`
	Vectors []vector               `yaml:"vectors"`
}

type vectorRule struct {
	Text   string `yaml:"text"`
	Source string `yaml:"source"`
}

type vector struct {
	ID       string      `yaml:"id"`
	Group    string      `yaml:"group"`
	Title    string      `yaml:"title"`
	Rule     []string    `yaml:"rule"`
	Kind     string      `yaml:"kind"`
	Use      []string    `yaml:"use"`
	Alarms   []alarmYAML `yaml:"alarms"`
	Grace    *float64    `yaml:"first_scan_grace"`
	Steps    []step      `yaml:"steps"`
	Raises   []raise     `yaml:"raises"`
	Span     float64     `yaml:"span"`
	Expect   expectation `yaml:"expect"`
	PeerNote string      `yaml:"peer_note"`
	Note     string      `yaml:"note"`
}

type step struct {
	T      float64     `yaml:"t"`
	V      *float64    `yaml:"v"`
	Tag    string      `yaml:"tag"`
	Q      string      `yaml:"q"`
	Node   string      `yaml:"node"`
	SOE    bool        `yaml:"soe"`
	Do     string      `yaml:"do"`
	Alarm  string      `yaml:"alarm"`
	By     string      `yaml:"by"`
	Occ    uint64      `yaml:"occ"`
	For    float64     `yaml:"for"`
	Expect string      `yaml:"expect"`
	Alarms []alarmYAML `yaml:"alarms"`
}

type raise struct {
	T        float64 `yaml:"t"`
	Alarm    string  `yaml:"alarm"`
	Prio     string  `yaml:"prio"`
	Count    int     `yaml:"count"`
	Every    float64 `yaml:"every"`
	Duration float64 `yaml:"duration"`
}

type expectation struct {
	Events        []expectedEvent       `yaml:"events"`
	Final         map[string]finalState `yaml:"final"`
	Notifications []notification        `yaml:"notifications"`
	JournalsEqual bool                  `yaml:"journals_equal"`
	KPI           map[string]any        `yaml:"kpi"`
	Invalid       string                `yaml:"invalid"`
}

type expectedEvent struct {
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

type finalState struct {
	State string  `yaml:"state"`
	Level string  `yaml:"level"`
	Occ   *uint64 `yaml:"occ"`
}

type notification struct {
	T    float64 `yaml:"t"`
	Node string  `yaml:"node"`
	Key  string  `yaml:"key"`
}

type alarmYAML struct {
	ID            string             `yaml:"id"`
	Tag           string             `yaml:"tag"`
	Type          string             `yaml:"type"`
	Mode          string             `yaml:"mode"`
	Limits        map[string]float64 `yaml:"limits"`
	Inclusive     *bool              `yaml:"inclusive"`
	Deadband      float64            `yaml:"deadband"`
	Deadbands     map[string]float64 `yaml:"deadbands"`
	OnDelay       float64            `yaml:"on_delay"`
	OnDelays      map[string]float64 `yaml:"on_delays"`
	OffDelay      float64            `yaml:"off_delay"`
	OffDelays     map[string]float64 `yaml:"off_delays"`
	Setpoint      string             `yaml:"setpoint"`
	Target        string             `yaml:"target"`
	Tolerance     float64            `yaml:"tolerance"`
	ExpectedTime  float64            `yaml:"expected_time"`
	MaxGap        float64            `yaml:"max_gap"`
	Normal        []float64          `yaml:"normal"`
	Latch         bool               `yaml:"latch"`
	AckRequired   *bool              `yaml:"ack_required"`
	ShelveMax     float64            `yaml:"shelve_max"`
	Realarm       float64            `yaml:"realarm"`
	SuppressTag   string             `yaml:"suppress_when_tag"`
	SuppressedBy  string             `yaml:"suppressed_by"`
	FirstOutGroup string             `yaml:"first_out_group"`
	OnUncertain   string             `yaml:"on_uncertain"`
}

// epoch is the start of every vector: real timestamps are far from zero, which the engine uses for "none".
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()

func instant(t float64) int64 { return epoch + span(t).Nanoseconds() }

// span converts seconds to a duration on a microsecond grid, so that 0.1 s is 100 ms and not a rounding of it.
func span(t float64) time.Duration {
	return time.Duration(math.Round(t*1e6)) * time.Microsecond
}

func seconds(t int64) float64 { return float64(t-epoch) / 1e9 }

func (a *alarmYAML) definition() (alarms.Definition, error) {
	d := alarms.Definition{
		ID: a.ID, Tag: a.Tag, Deadband: a.Deadband, OnDelay: span(a.OnDelay), OffDelay: span(a.OffDelay),
		Setpoint: a.Setpoint, Target: a.Target, Tolerance: a.Tolerance, ExpectedTime: span(a.ExpectedTime), MaxGap: span(a.MaxGap),
		Normal: a.Normal, Latch: a.Latch, NoAck: a.AckRequired != nil && !*a.AckRequired, ShelveMax: span(a.ShelveMax),
		Realarm: span(a.Realarm), SuppressTag: a.SuppressTag, SuppressedBy: a.SuppressedBy, FirstOut: a.FirstOutGroup,
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
		byLevel(a.OnDelays, func(l alarms.Level, v float64) { put(&d.OnDelays, l, span(v)) }),
		byLevel(a.OffDelays, func(l alarms.Level, v float64) { put(&d.OffDelays, l, span(v)) }))
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

// loadVectors reads a file of vectors, strictly.
func loadVectors(t testing.TB, path string) *vectorFile {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var f vectorFile
	if err := yaml.UnmarshalWithOptions(b, &f, yaml.Strict()); err != nil {
		t.Fatalf("vectors: %v", err)
	}
	if f.Schema != 1 {
		t.Fatalf("vectors have schema %d, this runner knows 1", f.Schema)
	}
	seen := map[string]bool{}
	for _, v := range f.Vectors {
		if seen[v.ID] || v.ID == "" {
			t.Fatalf("vector id %q twice or empty", v.ID)
		}
		seen[v.ID] = true
		for _, r := range v.Rule {
			if _, ok := f.Rules[r]; !ok {
				t.Fatalf("%s: unknown rule %s", v.ID, r)
			}
		}
	}
	return &f
}

// config builds the configuration of a vector, and the id of its first alarm's first condition.
func (f *vectorFile) config(v *vector) (alarms.Config, error) {
	var list []alarmYAML
	for _, name := range v.Use {
		preset, ok := f.Presets[name]
		if !ok {
			return alarms.Config{}, fmt.Errorf("unknown preset %q", name)
		}
		list = append(list, preset...)
	}
	cfg, err := configOf(append(list, v.Alarms...))
	if v.Grace != nil {
		cfg.FirstScanGrace = cmp.Or(span(*v.Grace), -1)
	}
	return cfg, err
}

func configOf(list []alarmYAML) (alarms.Config, error) {
	var cfg alarms.Config
	for i := range list {
		d, err := list[i].definition()
		if err != nil {
			return cfg, fmt.Errorf("%s: %w", list[i].ID, err)
		}
		cfg.Alarms = append(cfg.Alarms, d)
	}
	return cfg, nil
}

// TestVectors runs the file named by ALARM_VECTORS, or the published one. A relative name may start at this directory or
// at the root of the module, where the go command is usually called.
func TestVectors(t *testing.T) {
	path := cmp.Or(os.Getenv("ALARM_VECTORS"), published)
	if _, err := os.Stat(path); err != nil && !filepath.IsAbs(path) {
		path = filepath.Join("..", path)
	}
	loadVectors(t, path).run(t, storyOptions{})
}

const (
	published = "testdata/alarms.yaml"
	further   = "testdata/more.yaml"
)

func TestFurtherVectors(t *testing.T) { loadVectors(t, further).run(t, storyOptions{}) }

// TestStoriesWithARestoredEngineAfterEveryStep: the snapshot is the whole truth.
func TestStoriesWithARestoredEngineAfterEveryStep(t *testing.T) {
	loadVectors(t, published).run(t, storyOptions{restore: true})
	loadVectors(t, further).run(t, storyOptions{restore: true})
}

// TestStoriesWithAReloadAfterEveryStep: a reload without a change is no event, whatever the state.
func TestStoriesWithAReloadAfterEveryStep(t *testing.T) {
	loadVectors(t, published).run(t, storyOptions{reload: true})
	loadVectors(t, further).run(t, storyOptions{reload: true})
}

func (f *vectorFile) run(t *testing.T, opt storyOptions) {
	for i := range f.Vectors {
		v := &f.Vectors[i]
		t.Run(v.ID, func(t *testing.T) {
			switch v.Kind {
			case "", "single", "pair":
				f.story(t, v, opt)
			case "kpi":
				kpiVector(t, v)
			case "config":
				f.configVector(t, v)
			default:
				t.Fatalf("unknown kind %q", v.Kind)
			}
		})
	}
}

// configVector wants the configuration refused for the stated reason: the same alarm and the same limits named.
func (f *vectorFile) configVector(t *testing.T, v *vector) {
	cfg, err := f.config(v)
	if err != nil {
		t.Fatal(err)
	}
	_, err = alarms.New(cfg, newNames().lookup)
	if (err != nil) != (v.Expect.Invalid != "") {
		t.Fatalf("got error %v, want %q", err, v.Expect.Invalid)
	}
	if err == nil {
		return
	}
	for _, word := range namesIn(v.Expect.Invalid, &cfg) {
		if !slices.Contains(namesIn(err.Error(), &cfg), word) {
			t.Errorf("error %q does not name %s, want %q", err, word, v.Expect.Invalid)
		}
	}
}

// namesIn returns the alarm ids and the limits a message speaks of.
func namesIn(text string, cfg *alarms.Config) []string {
	var found []string
	for _, w := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" :,;\"'()\n", r) }) {
		var l alarms.Level
		if l.UnmarshalText([]byte(w)) == nil && l != alarms.LevelNone {
			found = append(found, w)
		}
		for i := range cfg.Alarms {
			if cfg.Alarms[i].ID == w {
				found = append(found, w)
			}
		}
	}
	return found
}

func kpiVector(t *testing.T, v *vector) {
	var events []alarms.Event
	for _, r := range v.Raises {
		var p alarms.Priority
		if err := p.UnmarshalText([]byte(r.Prio)); err != nil {
			t.Fatal(err)
		}
		for i := range max(1, r.Count) {
			at := instant(r.T + float64(i)*r.Every)
			events = append(events, alarms.Event{Time: at, Condition: r.Alarm, Kind: alarms.KindRaise, Priority: p, Annunciate: true})
			if r.Duration > 0 {
				events = append(events, alarms.Event{Time: at + int64(span(r.Duration)), Condition: r.Alarm, Kind: alarms.KindClear, Priority: p})
			}
		}
	}
	slices.SortStableFunc(events, func(a, b alarms.Event) int { return cmp.Compare(a.Time, b.Time) })
	r := alarms.KPI(events, epoch, instant(v.Span))
	for name, want := range v.Expect.KPI {
		got, ok := metric(&r, name, want)
		if !ok {
			t.Errorf("unknown metric %q", name)
		} else if !sameMetric(got, want) {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

// metric returns the figure a vector calls by name. The load of the ten most frequent conditions is a share or a list,
// as the vector states it.
func metric(r *alarms.Report, name string, want any) (any, bool) {
	shares := map[string]any{}
	for p, v := range r.PctByPriority {
		shares[p.String()] = v
	}
	switch name {
	case "total":
		return r.Total, true
	case "avg_per_10min":
		return r.AvgPerPeriod, true
	case "max_per_10min":
		return r.MaxPerPeriod, true
	case "pct_10min_over_10":
		return r.PctOver, true
	case "floods":
		return len(r.Floods), true
	case "pct_time_in_flood":
		return r.PctInFlood, true
	case "chattering":
		return anyList(r.Chattering), true
	case "fleeting":
		return anyList(r.Fleeting), true
	case "stale":
		return anyList(r.Stale), true
	case "top10", "top10_pct", "pct_top10", "top10_load_pct":
		if _, list := want.([]any); list {
			var ids []string
			for _, l := range r.Top {
				ids = append(ids, l.Condition)
			}
			return anyList(ids), true
		}
		return r.PctTop, true
	case "priorities", "priority", "pct_by_priority", "priority_pct":
		return shares, true
	}
	if p, ok := strings.CutPrefix(name, "pct_"); ok {
		v, ok := shares[p]
		return v, ok
	}
	return nil, false
}

func anyList(list []string) []any {
	out := []any{}
	for _, s := range list {
		out = append(out, s)
	}
	return out
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case int:
		return float64(v), true
	case int64:
		return float64(v), true
	case uint64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

// sameMetric compares with the precision of a stated figure, 0.05.
func sameMetric(got, want any) bool {
	if w, ok := number(want); ok {
		g, ok := number(got)
		return ok && math.Abs(g-w) <= 0.05
	}
	switch want := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		for k, w := range want {
			ok = ok && sameMetric(cmp.Or[any](g[k], 0.0), w)
		}
		return ok
	case []any:
		g, ok := got.([]any)
		return ok && fmt.Sprint(g) == fmt.Sprint(want)
	case string:
		return got == want
	}
	return false
}

// names hands out tag ids.
type names struct{ ids map[string]tag.ID }

func newNames() *names { return &names{ids: map[string]tag.ID{}} }

func (n *names) lookup(name string) (tag.ID, bool) {
	id, ok := n.ids[name]
	if !ok {
		id = tag.ID(len(n.ids))
		n.ids[name] = id
	}
	return id, true
}
