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

	"scada/acquisition/tag"
	"scada/alarms"
	"scada/alarms/vectors"
)

// epoch is the start of every vector: real timestamps are far from zero, which the engine uses for "none".
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()

func instant(t float64) int64 { return epoch + span(t).Nanoseconds() }

func span(t float64) time.Duration { return vectors.Span(t) }

// vectorFile runs the stories of a file.
type vectorFile struct{ *vectors.File }

func loadVectors(t testing.TB, path string) *vectorFile {
	t.Helper()
	f, err := vectors.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return &vectorFile{f}
}

func seconds(t int64) float64 { return float64(t-epoch) / 1e9 }

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
func (f *vectorFile) configVector(t *testing.T, v *vectors.Vector) {
	cfg, err := f.Config(v)
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

func kpiVector(t *testing.T, v *vectors.Vector) {
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
