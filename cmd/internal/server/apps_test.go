package server

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"scada/acquisition/system"
	"scada/acquisition/tag"
	"scada/history/journal"
	"scada/redundancy/role"
	"scada/simulators/plc"
	"scada/web"
	"scada/web/api"
)

const counting = `
def init(state):
    state.setdefault("n", 0)

def on_timer(tags, state):
    state["n"] += 1
    output("n", state["n"])
    if tag("trip") and not state.get("told"):
        state["told"] = True
        write("level", 42)
    log("n is %d" % state["n"])
`

var engineer = web.Actor{User: "erik", Role: web.Engineer, Remote: "10.0.0.9"}

// appWorld is a pair with an application that counts seconds.
func appWorld(t *testing.T, f func(w *world, file string)) {
	t.Helper()
	folder := t.TempDir()
	file := filepath.Join(folder, "count.star")
	if err := os.WriteFile(file, []byte(counting), 0o600); err != nil {
		t.Fatal(err)
	}
	plant := strings.Replace(bubblePlant, "scan_classes:", `apps:
  - {name: count, file: "`+file+`", inputs: [trip], writes: [level], every: 1s}
scan_classes:`, 1)
	plant = strings.Replace(plant, "alarms:\n", "  - {name: n, app: count, type: int32}\nalarms:\n", 1)
	synctest.Test(t, func(t *testing.T) {
		w := newWorldOf(t, plant, nil)
		w.ready()
		f(w, file)
		w.end()
	})
}

func (w *world) atLeast(node string, n float64) func() error {
	return func() error {
		if s := w.value(node, "n"); s.Quality != tag.Good || s.Value.Number() < n {
			return fmt.Errorf("n on %s is %s %s", node, s.Value, s.Quality)
		}
		return nil
	}
}

// TestAnApplicationSurvivesATakeOver: its state goes on where the power of the active failed, and once more when it is back.
func TestAnApplicationSurvivesATakeOver(t *testing.T) {
	appWorld(t, func(w *world, _ string) {
		w.within(10*time.Second, "it counts", w.atLeast("b", 5))
		before := w.value("b", "n").Value.Number()
		if err := w.stopDead("a"); err != nil {
			w.t.Log(err)
		}
		w.within(5*time.Second, "b is active", w.roleIs("b", role.Active))
		w.within(3*time.Second, "it counts on b", w.atLeast("b", before+1))
		if n := w.value("b", "n").Value.Number(); n > before+2 {
			w.t.Errorf("after %g came %g", before, n)
		}
		w.net.Power("a", true)
		w.start("a")
		w.ready()
		before = w.value("b", "n").Value.Number()
		w.within(3*time.Second, "it counts on a", w.atLeast("a", before+1))
		if n := w.value("a", "n").Value.Number(); n > before+2 {
			w.t.Errorf("after %g came %g", before, n)
		}
		w.sameArchives()
	})
}

// TestAnApplicationWritesLikeAnOperator: into the device, and into the journal under its own name.
func TestAnApplicationWritesLikeAnOperator(t *testing.T) {
	appWorld(t, func(w *world, _ string) {
		w.bank.Set(plc.Coils, 0, 1)
		w.within(3*time.Second, "the controller has the value", func() error {
			if got := w.bank.Get(plc.HoldingRegisters, 1, 1)[0]; got != 42 {
				return fmt.Errorf("the controller has %d", got)
			}
			return nil
		})
		for _, node := range []string{"a", "b"} {
			w.within(3*time.Second, "both journals have the write", w.journalHas(node, journal.ClassWrite, "app:count", "confirmed"))
		}
	})
}

func (w *world) journalHas(node string, class journal.Class, user, result string) func() error {
	return func() error {
		page, err := w.node[node].journal.Query(journal.Query{Limit: 1000})
		if err != nil {
			return err
		}
		for _, e := range page.Entries {
			if e.Class == class && e.User == user && e.Result == result {
				return nil
			}
		}
		return fmt.Errorf("no entry %s of %s with %s among %d on %s", class, user, result, len(page.Entries), node)
	}
}

// TestADeploymentReachesBothNodes: by command through the standby, and by a changed file; a broken one changes nothing.
func TestADeploymentReachesBothNodes(t *testing.T) {
	appWorld(t, func(w *world, file string) {
		standby := backend{w.node["b"]}
		tens := strings.ReplaceAll(counting, `state["n"] += 1`, `state["n"] += 10`)
		ctx := w.t.Context()
		v, err := standby.App(ctx, engineer, api.AppCommand{Command: api.AppDeploy, Name: "count", Source: tens, Comment: "faster"})
		if err != nil || v.Node != "a" || !v.Running || len(v.Generations) != 2 || v.Generations[0].By != "erik" {
			w.t.Fatalf("%+v, %v", v, err)
		}
		w.within(4*time.Second, "it counts by tens", w.atLeast("b", 20))
		same := func(hash string) func() error {
			return func() error {
				for _, node := range []string{"a", "b"} {
					if got := w.node[node].appsOf("count").record("count").hash(); got != hash {
						return fmt.Errorf("%s has %s, want %s", node, got, hash)
					}
				}
				return nil
			}
		}
		w.within(time.Second, "both have the generation", same(v.Generations[0].Hash))
		for _, source := range []string{"def on_timer(tags, state):\n  nope()", "", "\x00", "def on_timer(tags, state): pass\x1b"} {
			if _, err := standby.App(ctx, engineer, api.AppCommand{Command: api.AppDeploy, Name: "count", Source: source}); err == nil && source != "" {
				w.t.Errorf("%q was deployed", source)
			}
		}
		deployed := func(want bool) {
			w.t.Helper()
			if v, there := w.node["a"].facts("main").Fact(system.Address{Object: "app", Name: "count", Fact: "deployed"}); !there || v.Truth() != want {
				w.t.Errorf("what was deployed runs: %v %v, want %v", v, there, want)
			}
		}
		deployed(true) // nobody calls it a deployment when there is no text to deploy
		if _, err := standby.App(ctx, engineer, api.AppCommand{Command: api.AppDeploy, Name: "count", Source: "def on_timer(tags, state):\n  nope()"}); err == nil {
			w.t.Error("it was deployed")
		}
		deployed(false)
		if _, err := standby.App(ctx, engineer, api.AppCommand{Command: api.AppDeploy, Name: "none", Source: tens}); err == nil {
			w.t.Error("an unknown application was deployed")
		}
		hundreds := strings.ReplaceAll(counting, `state["n"] += 1`, `state["n"] += 100`)
		if err := os.WriteFile(file, []byte(hundreds), 0o600); err != nil {
			w.t.Fatal(err)
		}
		w.within(6*time.Second, "the changed file runs", w.atLeast("b", 200))
		deployed(true)
		if v, err = standby.App(ctx, engineer, api.AppCommand{Command: api.AppShow, Name: "count"}); err != nil || v.Generations[0].By != "file" || v.Source != hundreds || len(v.Log) == 0 {
			w.t.Fatalf("%+v, %v", v, err)
		}
		first := v.Generations[len(v.Generations)-1].Hash
		if v, err = standby.App(ctx, engineer, api.AppCommand{Command: api.AppRollback, Name: "count", Back: first}); err != nil || v.Generations[0].Hash != first {
			w.t.Fatalf("%+v, %v", v, err)
		}
		w.within(time.Second, "both are back", same(first))
		w.within(time.Second, "the journal of b has it", w.journalHas("b", journal.ClassConfig, "erik", "ok"))
		w.within(time.Second, "the journal of b has the refusal", w.journalHas("b", journal.ClassConfig, "erik", "refused"))
	})
}

const starting = `
def init(state):
    state["starts"] = state.get("starts", 0) + 1
    state.setdefault("n", 0)

def on_timer(tags, state):
    state["n"] += 1
    output("%s", state["n"])
`

// TestOnlyAChangedApplicationStartsAgain: when tags get other numbers, applications go on that do not touch a changed one,
// and their outputs keep going to their own tags.
func TestOnlyAChangedApplicationStartsAgain(t *testing.T) {
	folder := t.TempDir()
	declared := "apps:\n"
	for _, name := range []string{"one", "two", "six"} {
		file := filepath.Join(folder, name+".star")
		if err := os.WriteFile(file, fmt.Appendf(nil, strings.Replace(starting, "%s", "%s/n", 1), name), 0o600); err != nil {
			t.Fatal(err)
		}
		declared += fmt.Sprintf("  - {name: %s, file: %q, inputs: [%s], every: 1s}\n", name, file, map[string]string{"one": "trip", "two": "level", "six": "trip"}[name])
	}
	plant := strings.Replace(bubblePlant, "scan_classes:", declared+"scan_classes:", 1)
	plant = strings.Replace(plant, "alarms:\n", "  - {name: one/n, app: one, type: int32}\n  - {name: two/n, app: two, type: int32}\n  - {name: six/n, app: six, type: int32}\nalarms:\n", 1)
	synctest.Test(t, func(t *testing.T) {
		w := newWorldOf(t, plant, nil)
		w.ready()
		starts := func(node, name string) (starts, n float64) {
			var state struct{ Starts, N float64 }
			if err := json.Unmarshal(w.node[node].appsOf(name).record(name).State, &state); err != nil {
				w.t.Errorf("state of %s on %s: %v", name, node, err)
			}
			return state.Starts, state.N
		}
		began := map[string]float64{}
		expect := func(what string, again ...string) {
			w.t.Helper()
			before := map[string]float64{}
			for _, name := range []string{"one", "two", "six"} {
				_, before[name] = starts("a", name)
			}
			time.Sleep(3 * time.Second)
			for _, name := range []string{"one", "two", "six"} {
				if w.node["a"].appsOf(name) == nil {
					continue
				}
				if slices.Contains(again, name) {
					began[name]++
				}
				for _, node := range []string{"a", "b"} {
					got, n := starts(node, name)
					if got != began[name] || n < before[name]+2 {
						w.t.Errorf("%s: %s on %s was started %v times, want %v; n was %v and is %v", what, name, node, got, began[name], before[name], n)
					}
					if v := w.value(node, name+"/n"); v.Quality != tag.Good || v.Value.Number() < n-1 || v.Value.Number() > n {
						w.t.Errorf("%s: %s/n on %s is %s %s, the state says %v", what, name, node, v.Value, v.Quality, n)
					}
				}
			}
		}
		expect("at first", "one", "two", "six")
		plant = strings.Replace(plant, "tags:\n", "tags:\n  - {name: aaa/new, device: plc, address: \"hr:1\", type: uint16, scan: fast}\n", 1)
		w.deploy("a", plant)
		expect("a tag more")
		plant = strings.Replace(plant, "range: [0, 1000]", "range: [0, 900]", 1)
		if ans := w.deploy("a", plant); fmt.Sprint(ans.Reconnects) != "[plc two]" {
			w.t.Errorf("%v begin anew", ans.Reconnects)
		}
		expect("an input changed", "two")
		plant = strings.Replace(plant, "one.star\", inputs: [trip], every: 1s", "one.star\", inputs: [trip, level], every: 1s", 1)
		w.deploy("a", plant)
		expect("a declaration changed", "one")
		plant = strings.Replace(plant, "  - {name: six, file", "  - {name: seven, file", 1)
		w.deploy("a", strings.Replace(plant, "app: six", "app: seven", 1))
		for _, node := range []string{"a", "b"} {
			if w.node[node].appsOf("six") != nil || w.node[node].appsOf("seven") == nil {
				w.t.Errorf("six has not become seven on %s", node)
			}
		}
		w.sameArchives()
		w.end()
	})
}
