package plant

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"scada/acquisition/tag"
	"scada/simulators/plc"
	"scada/simulators/process"
)

func parseScenario(t *testing.T, scenario string, files map[string]string) (*Config, error) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	src, err := os.ReadFile("../demo/sim.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return Parse(filepath.Join(dir, "sim.yaml"), append(src, "\n"+scenario...))
}

// points returns two points of the plant: a number and a switch.
func points(t *testing.T) (number, flag string) {
	t.Helper()
	for _, p := range process.New(1).Points() {
		switch {
		case p.Type == tag.TypeBool && flag == "":
			flag = p.Name
		case p.Type.IsFloat() && number == "":
			number = p.Name
		}
	}
	return number, flag
}

// TestScenario: faults, points, an avalanche and a recorded file happen in the order of their times, again when repeated.
func TestScenario(t *testing.T) {
	number, flag := points(t)
	c, err := parseScenario(t, `scenario:
  repeat: 400ms
  steps:
    - {at: 60ms, release: `+number+`}
    - {at: 0s, fault: {device: plc1, kind: silent}}
    - {at: 20ms, clear: plc1}
    - {at: 30ms, playback: day.csv}
    - {at: 100ms, points: intake/, value: "true", within: 100ms}
`, map[string]string{"day.csv": "at,point,value\n0.01," + number + ",42.5\n15ms," + flag + ",true\n"})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSortedFunc(c.events, func(a, b event) int { return int(a.at - b.at) }) || c.events[0].fault == nil || c.events[2].point != number || c.events[2].value != tag.Float64(42.5) ||
		c.events[3].at != 45*time.Millisecond || !c.events[4].value.IsNone() || len(c.events) < 8 || c.events[len(c.events)-1].at >= 200*time.Millisecond {
		t.Fatalf("%d events, the first are %+v", len(c.events), c.events[:6])
	}
	p, err := New(c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range c.events[:4] {
		if err := p.take(e); err != nil {
			t.Errorf("%+v: %v", e, err)
		}
		if e.fault != nil {
			if f := p.places["plc1"].server.Faults(); len(f) != 1 || f[0].Kind != plc.Silent {
				t.Errorf("faults %+v", f)
			}
		}
	}
	i, _ := p.model.Index(number)
	if v := p.model.Value(i); v.Number() != 42.5 || len(p.model.Forced()) != 2 || len(p.places["plc1"].server.Faults()) != 0 {
		t.Errorf("%s shows %s; forced %q", number, v, p.model.Forced())
	}
	if err := p.take(c.events[4]); err != nil || slices.Contains(p.model.Forced(), number) {
		t.Errorf("%v, forced %q", err, p.model.Forced())
	}
}

func TestScenarioErrors(t *testing.T) {
	number, _ := points(t)
	day := map[string]string{"day.csv": "at,point,value\n1," + number + ",1\n2,nowhere,1\nx," + number + ",1\n4,five\n"}
	for step, want := range map[string]string{
		`{at: -1s, clear: plc1}`:                           "outside 0s",
		`{at: 1s}`:                                         "there are 0",
		`{at: 1s, clear: plc1, release: x}`:                "there are 2",
		`{at: 1s, clear: plc77}`:                           `no device "plc77"`,
		`{at: 1s, fault: {device: plc1, kind: odd}}`:       `kind "odd" is none of`,
		`{at: 1s, point: nowhere, value: 1}`:               `no point "nowhere"`,
		`{at: 1s, point: ` + number + `, value: fast}`:     `cannot show "fast"`,
		`{at: 1s, points: nowhere/, value: 1}`:             "begins with",
		`{at: 1s, points: intake/, value: 1, within: 25h}`: "within",
		`{at: 1s, playback: none.csv}`:                     "none.csv",
		`{at: 1s, playback: day.csv}`:                      `day.csv:3:3: no point "nowhere"`,
		`{at: 2s, playback: day.csv}`:                      `day.csv:4:1: "x" is neither seconds nor a duration`,
		`{at: 3s, playback: day.csv}`:                      "day.csv:5:1: 2 cells",
	} {
		if _, err := parseScenario(t, "scenario: {steps: ["+step+"]}\n", day); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", step, err, want)
		}
	}
	if _, err := parseScenario(t, "scenario: {repeat: 1s, steps: [{at: 2s, clear: plc1}]}\n", nil); err == nil || !strings.Contains(err.Error(), "not behind the last step") {
		t.Errorf("repeated before its end: %v", err)
	}
}

func FuzzRecording(f *testing.F) {
	f.Add("at,point,value\n1,intake/level,1.5\n2s,intake/level,\n")
	model := process.New(1)
	f.Fuzz(func(t *testing.T, src string) {
		events, errs := parseRecording("x.csv", []byte(src), time.Second, model)
		for _, e := range events {
			if len(errs) == 0 && (e.at < time.Second || e.at > maxScenario || fitsPoint(model, e) != nil) {
				t.Errorf("%+v", e)
			}
		}
	})
}
