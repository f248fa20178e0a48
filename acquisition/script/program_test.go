package script

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"scada/acquisition/tag"
)

var env = Env{
	Inputs: []string{"a", "b", "dead"}, Outputs: map[string]tag.Type{"sum": tag.TypeFloat64, "runs": tag.TypeInt32},
	Writable: map[string]tag.Type{"pump/on": tag.TypeBool},
}

func start(t *testing.T, source string, state string) *Instance {
	t.Helper()
	p, err := Compile("app.star", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	i, err := p.New(env, []byte(state), false)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func change(t *testing.T, i *Instance) Effects {
	t.Helper()
	out, err := i.Do(Call{Kind: Change, At: 5 * int64(time.Second), Read: plant})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

const adder = `
def init(state):
    state.setdefault("n", 0)

def on_change(tags, state):
    state["n"] += 1
    output("sum", tags["a"].value + tag("b"))
    output("runs", state["n"])
    if tag("dead") == None:
        write("pump/on", False)
    log("%d at %d, first %s" % (state["n"], now(), first_scan()))
`

func TestAnApplication(t *testing.T) {
	i := start(t, adder, "")
	if out, err := i.Do(Call{Kind: Init}); err != nil || string(out.State) != `{"n":0}` {
		t.Fatalf("init: %s %v", out.State, err)
	}
	out, err := i.Do(Call{Kind: Change, At: 5 * int64(time.Second), First: true, Read: plant})
	if err != nil {
		t.Fatal(err)
	}
	if want := []Output{{"sum", tag.Float64(7), tag.Good}, {"runs", tag.Int(tag.TypeInt32, 1), tag.Good}}; !slices.Equal(out.Outputs, want) {
		t.Errorf("outputs %v", out.Outputs)
	}
	if want := []Write{{"pump/on", tag.Bool(false)}}; !slices.Equal(out.Writes, want) {
		t.Errorf("writes %v", out.Writes)
	}
	if want := []string{"1 at 5, first True"}; !slices.Equal(out.Logs, want) {
		t.Errorf("logs %q", out.Logs)
	}
	if string(out.State) != `{"n":1}` || string(i.State()) != `{"n":1}` {
		t.Errorf("state %s", out.State)
	}
	// Another instance, on the other node, goes on with the state.
	other := start(t, adder, string(i.State()))
	if out := change(t, other); out.Outputs[1].Value.Int() != 2 {
		t.Errorf("the other node says %v", out.Outputs)
	}
}

// TestAFailedCallHasNoEffects: neither outputs nor state of a call that did not reach its end.
func TestAFailedCallHasNoEffects(t *testing.T) {
	i := start(t, `
def on_change(tags, state):
    state["list"] = [1]
    state["n"] = state.get("n", 0) + 1
    output("sum", 1)
    write("pump/on", True)
    log("so far")
    if state["n"] > 1:
        state["list"].append(fail("broken"))
`, "")
	if out := change(t, i); len(out.Outputs) != 1 || string(out.State) != `{"list":[1],"n":1}` {
		t.Fatalf("the first call: %+v", out)
	}
	for range 2 {
		out, err := i.Do(Call{Kind: Change, Read: plant})
		if err == nil || err.Error() != "app.star:9:34: fail: broken" {
			t.Errorf("error %v", err)
		}
		if len(out.Outputs)+len(out.Writes)+len(out.State) > 0 || !slices.Equal(out.Logs, []string{"so far"}) {
			t.Errorf("effects %+v", out)
		}
		if string(i.State()) != `{"list":[1],"n":1}` {
			t.Errorf("state %s", i.State())
		}
	}
}

func TestACallIsRefused(t *testing.T) {
	for body, want := range map[string]string{
		`output("other", 1)`:                       `tag "other" is not an output`,
		`output("sum", "x")`:                       `cannot become a float64`,
		`output("runs", 1.5)`:                      `not a whole number`,
		`output("sum", 1, quality="Fine")`:         `"Fine" is not a quality`,
		`output("sum", None, quality="Good")`:      `no value cannot be Good`,
		`write("a", 1)`:                            `tag "a" is not one the application may write`,
		`write("pump/on", 2)`:                      `2 is not a bool`,
		`tag("secret")`:                            `tag "secret" is not an input`,
		`tags["secret"]`:                           `tag "secret" is not an input`,
		`state["f"] = now`:                         `the state cannot be stored`,
		`state["me"] = state`:                      `contains itself`,
		`state["x"] = "x" * 70000`:                 `the limit is 65536`,
		`state[1] = 1`:                             `the state cannot be stored`,
		`[output("sum", n) for n in range(1001)]`:  `more than 1000 outputs`,
		`[write("pump/on", 1) for n in range(17)]`: `more than 16 writes`,
		`[n for n in range(1000000)]`:              `too many steps`,
		`G.append(1)`:                              `frozen`,
		`on_change(tags, state)`:                   `called recursively`,
		`state["y"] = [0] * (1 << 40)`:             `makes values of more than`,
		`tags["a"].value = 3`:                      `can't assign`,
		"x = 1\n    return x // 0":                 `division by zero`,
		`{tags["a"]: 1}`:                           `cannot be a key`,
		`[tag(n) for n in [1]]`:                    `got int, want string`,
		`sample("a").colour`:                       `no .colour`,
		`output("sum", 1, "Good", "more")`:         `at most`,
		`write("pump/on")`:                         `missing argument for value`,
		`state["n"] = float("inf")`:                `cannot be stored`,
		`log(3)`:                                   `got int, want string`,
		`now(1)`:                                   `at most 0`,
		`first_scan(1)`:                            `at most 0`,
		`output("sum", 1 << 500 << 500 << 500)`:    `not a number a float64 can hold`,
		`output("runs", 1 << 200)`:                 `outside the range of int32`,
		`tags[1]`:                                  `the name of a tag is a text`,
	} {
		p, err := Compile("app.star", []byte("G = []\ndef on_change(tags, state):\n    "+body+"\n"))
		if err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		i, err := p.New(env, nil, false)
		if err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		out, err := i.Do(Call{Kind: Change, Read: plant})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", body, err, want)
		}
		if len(out.Outputs)+len(out.Writes)+len(out.State) > 0 {
			t.Errorf("%s: effects %+v", body, out)
		}
	}
}

func TestASourceIsRefused(t *testing.T) {
	for source, want := range map[string]string{
		"x = 1":                                                "neither on_change(tags, state) nor on_timer(tags, state)",
		"def on_change(tags): pass":                            "app.star:1:5: on_change takes 2 parameter(s)",
		"def on_timer(tags, *state): pass":                     "on_timer takes 2 parameter(s)",
		"def on_timer(tags, state):\n  struct(x=1)":            "undefined: struct",
		"def on_timer(tags, state):\n  while True: pass":       "while loops",
		"import os":                                            "app.star:1:1",
		"def on_timer(tags, state):\n  open('x')":              "undefined: open",
		"def on_timer(tags, state):\n  time.now()":             "undefined: time",
		"def on_timer(tags, state):\n  x = state[":             "app.star:2",
		"def on_timer(tags, state):\n  break":                  "break not in a loop",
		"load('x.star', 'y')\ndef on_timer(tags, state): pass": "load is not available",
		"def on_timer(tags, state):\n  pass\n pass":            "app.star:3",
		strings.Repeat("#", MaxSourceBytes+1):                  "the limit is 49152",
		"def on_timer(tags, state):\n  pass\n \x00 state":      "app.star:3:2: a zero byte",
		strings.Repeat("(", MaxSourceBytes):                    "excessive nesting",
	} {
		if _, err := Compile("app.star", []byte(source)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: error %v, want %q", source, err, want)
		}
	}
	p, err := Compile("app.star", []byte("x = [n for n in range(1000000)]\ndef on_timer(tags, state): pass"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.New(env, nil, false); err == nil || !strings.Contains(err.Error(), "too many steps") {
		t.Errorf("loading without end: %v", err)
	}
}

func TestStateIsMigrated(t *testing.T) {
	source := "def migrate(old):\n    return {'count': old['n']}\ndef on_timer(tags, state):\n    output('runs', state['count'])\n"
	p, err := Compile("app.star", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	i, err := p.New(env, []byte(`{"n":7}`), true)
	if err != nil || string(i.State()) != `{"count":7}` {
		t.Fatalf("state %s, %v", i.State(), err)
	}
	if i, err = p.New(env, []byte(`{"count":8}`), false); err != nil || string(i.State()) != `{"count":8}` {
		t.Errorf("the same generation again: %s, %v", i.State(), err)
	}
	if _, err = p.New(env, []byte(`{}`), true); err == nil {
		t.Error("a migration that fails starts")
	}
	for _, broken := range []string{"[]", "{", "nul", strings.Repeat("[", 1000), `{"x":"` + strings.Repeat("x", MaxStateBytes) + `"}`} {
		if _, err = p.New(env, []byte(broken), false); err == nil {
			t.Errorf("the state %.20q is taken", broken)
		}
	}
}

func TestCancelEndsACall(t *testing.T) {
	i := start(t, "def on_change(tags, state):\n    state['x'] = sorted([str(n) for n in range(2000)])[0]\n", "")
	i.Cancel("50 ms are over") // lost: nothing runs
	if out := change(t, i); out.State == nil {
		t.Error("an early cancellation hit the next call")
	}
	slow := func(name string) tag.Sample { i.Cancel("50 ms are over"); return plant(name) }
	i = start(t, "def on_change(tags, state):\n    tag('a')\n    state['x'] = 1\n", "")
	if _, err := i.Do(Call{Kind: Change, Read: slow}); err == nil || !strings.Contains(err.Error(), "50 ms are over") {
		t.Errorf("error %v", err)
	}
	if out := change(t, i); string(out.State) != `{"x":1}` {
		t.Errorf("after a cancellation: %s", out.State)
	}
}

func TestLogIsBounded(t *testing.T) {
	i := start(t, "def on_change(tags, state):\n    for n in range(100):\n        print('x' * 5000)\n", "")
	out := change(t, i)
	if len(out.Logs) != MaxLogs+1 || len(out.Logs[0]) != MaxLogBytes || !strings.Contains(out.Logs[MaxLogs], "more than 20 lines") {
		t.Errorf("%d lines, the last %q", len(out.Logs), out.Logs[len(out.Logs)-1])
	}
}

func FuzzCompile(f *testing.F) {
	f.Add(adder)
	f.Add("def on_timer(tags, state): pass")
	f.Fuzz(func(t *testing.T, source string) {
		if p, err := Compile("fuzz.star", []byte(source)); err == nil && !p.OnChange() && !p.OnTimer() {
			t.Error("an application that is never called")
		}
	})
}

// TestStateWithADeleteCharacter: the state of an application with one could not be read again, on neither node.
func TestStateWithADeleteCharacter(t *testing.T) {
	p, err := Compile("delete.star", []byte("def init(state):\n    state['a\\x7f\\\\x7f'] = '\x7f\\\\\x7f'\n\ndef on_timer(tags, state): pass"))
	if err != nil {
		t.Fatal(err)
	}
	i, err := p.New(env, nil, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.Do(Call{Kind: Init}); err != nil {
		t.Fatal(err)
	}
	if got, want := string(i.State()), `{"a\u007f\\x7f":"\u007f\\\u007f"}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	again, err := p.New(env, i.State(), false)
	if err != nil {
		t.Fatal(err)
	}
	if string(again.State()) != string(i.State()) {
		t.Errorf("%s became %s", i.State(), again.State())
	}
}

func FuzzState(f *testing.F) {
	f.Add([]byte(`{"n":1,"list":[1,2.5,"x",null,true],"d":{"a":{}}}`))
	p, err := Compile("fuzz.star", []byte("def on_timer(tags, state): pass"))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, state []byte) {
		i, err := p.New(env, state, false)
		if err != nil {
			return
		}
		again, err := p.New(env, i.State(), false)
		if err != nil || string(again.State()) != string(i.State()) {
			t.Errorf("%q becomes %q, then %q (%v)", state, i.State(), again.State(), err)
		}
	})
}

func BenchmarkCall(b *testing.B) {
	p, err := Compile("app.star", fmt.Appendf(nil, "%s", adder))
	if err != nil {
		b.Fatal(err)
	}
	i, err := p.New(env, []byte(`{"n":0}`), false)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := i.Do(Call{Kind: Change, Read: plant}); err != nil {
			b.Fatal(err)
		}
	}
}
