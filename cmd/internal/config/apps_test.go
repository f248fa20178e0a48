package config_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scada/acquisition/tag"
)

const twoApps = `apps:
  - {name: totals, inputs: [line1/pump1/speed], every: 1s}
  - {name: control, file: logic/control.star, inputs: [line1/pump1/running, totals/sum], writes: [line1/pump1/speed], stale_after: 30s}
`

func withApps(t *testing.T, rows ...string) string {
	t.Helper()
	return twoApps + withTags(t, append([]string{`{name: totals/sum, app: totals, type: float64, unit: m3}`}, rows...)...)
}

func TestApplications(t *testing.T) {
	c, err := load(t, withApps(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Devices) != 4 {
		t.Fatalf("%d devices", len(c.Devices))
	}
	totals, control := c.Devices[2], c.Devices[3]
	if totals.Name != "totals" || totals.Area != "main" || totals.Driver != "application" || totals.App.Every != time.Second || totals.App.StaleAfter != 10*time.Second {
		t.Errorf("%+v %+v", totals, totals.App)
	}
	if filepath.Base(totals.App.File) != "totals.star" || filepath.Base(filepath.Dir(control.App.File)) != "logic" || control.App.StaleAfter != 30*time.Second {
		t.Errorf("files %s and %s", totals.App.File, control.App.File)
	}
	id, _ := c.Lookup("totals/sum")
	if len(totals.App.Outputs) != 1 || totals.App.Outputs[0].ID != id || c.Tags[id].Type != tag.TypeFloat64 || c.Tags[id].Device != "totals" {
		t.Errorf("outputs %+v", totals.App.Outputs)
	}
}

func TestSourcesAreChecked(t *testing.T) {
	files := map[string]string{"totals.star": "def on_timer(tags, state): pass\n", "control.star": "def on_change(tags, state):\n  nope()\n"}
	text := strings.NewReplacer("{name: totals, ", "{name: totals, file: totals.star, ", "logic/control.star", "control.star").Replace(withApps(t))
	c, err := load(t, text, files)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.CheckSources(); err == nil || !strings.Contains(err.Error(), "control.star:2:3: undefined: nope") || strings.Contains(err.Error(), "totals") {
		t.Errorf("%v", err)
	}
}

func TestWhatIsWrongWithAnApplication(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{"inputs: [line1/pump1/speed]", "inputs: [line1/pump9/speed]", `plant.yaml:2:29: apps[0].inputs[0]: no tag is named "line1/pump9/speed"`},
		{"writes: [line1/pump1/speed]", "writes: [mixer/speed]", `apps[1].writes[0]: tag "mixer/speed" is not writable`},
		{"name: control", "name: totals", `apps[1].name: a device or an application "totals" stands already`},
		{"name: control", "name: plc1", `apps[1].name: a device or an application "plc1" stands already`},
		{"name: control", "name: con/trol", `apps[1]: name "con/trol": letters, digits`},
		{"every: 1s", "every: 1ms", `apps[0].every: 1ms is outside 10ms .. 24h0m0s`},
		{"every: 1s", "area: north", `apps[0].area: no area is named "north"`},
		{"stale_after: 30s", "stale_after: -1s", `apps[1].stale_after: `},
		{"app: totals, type", "app: none, type", `tags[3].app: no application is named "none"`},
		{"app: totals, type", "app: plc1, type", `tags[3].app: no application is named "plc1"`},
		{"app: totals, type", "app: totals, writable: true, type", `tags[3].writable: a tag of an application has none`},
		{"app: totals, type", "app: totals, expr: \"1\", type", `tags[3].app: a calculated tag has none`},
		{"app: totals, type", "app: totals, device: plc1, type", `tags[3].device: a tag of an application has none`},
	} {
		text := withApps(t)
		if !strings.Contains(text, c.old) {
			t.Fatalf("nothing to change: %s", c.old)
		}
		if _, err := load(t, strings.Replace(text, c.old, c.new, 1), nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q:\n got %v\nwant %s", c.new, err, c.want)
		}
	}
}
