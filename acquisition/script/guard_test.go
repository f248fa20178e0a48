package script

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"scada/acquisition/tag"
)

// bombs make much of little, by every way the language has.
var bombs = map[string]string{
	"a repeated text":               `x = "x" * 1000000000`,
	"a number of texts":             `x = 1000000000 * "x"`,
	"a repeated list":               `x = [0] * 1000000000`,
	"a repetition beyond integers":  `x = "x" * (1 << 500)`,
	"a text doubled":                "x = 'x'\n    for n in range(100):\n        x = x + x",
	"a text doubled in place":       "x = 'x'\n    for n in range(100):\n        x += x",
	"a list doubled":                "x = [1]\n    for n in range(100):\n        x += x",
	"a list extended by itself":     "x = [1]\n    for n in range(100):\n        x.extend(x)",
	"a tuple doubled":               "x = (1,)\n    for n in range(100):\n        x = x + x",
	"a product in place":            "x = [1]\n    for n in range(100):\n        x *= 1000",
	"a list of a range":             `x = list(range(1 << 60))`,
	"a list that takes in a range":  "x = []\n    x += range(1 << 60)",
	"a range as arguments":          `x = max(*range(1 << 40))`,
	"the greatest of a range":       `x = max(range(1 << 62))`,
	"all of a range":                `x = all(range(1, 1 << 62))`,
	"any of a range":                `x = any([0] * 100000 * 1000)`,
	"sorting a range":               `x = sorted(range(1 << 60))`,
	"numbering a range":             `x = enumerate(range(1 << 60))`,
	"pairs of ranges":               `x = zip(*[range(100000)] * 1000)`,
	"a set of a range":              `x = set(range(1 << 60))`,
	"great integers":                "x = 10\n    for n in range(40):\n        x = x * x",
	"great integers in place":       "x = 10\n    for n in range(40):\n        x *= x",
	"shifted integers":              "x = 1\n    for n in range(90000):\n        x = x << 511",
	"formatting":                    "x = '%s' * 1000\n    for n in range(9):\n        x = '%s%s%s%s%s%s%s%s' % (x, x, x, x, x, x, x, x)",
	"formatting in place":           "x = 'y%s%s'\n    for n in range(99):\n        x %= (x, x)",
	"formatting with a dict":        `x = ("%(k)s" * 10000) % {"k": "x" * 100000}`,
	"braces":                        `x = ("{0}" * 10000).format("x" * 100000)`,
	"named braces":                  `x = ("{k}" * 10000).format(k = "x" * 100000)`,
	"joining":                       `x = ("x" * 100000).join(["y"] * 100000)`,
	"joining what is long":          `x = "".join(["x" * 100000] * 100000)`,
	"joining by another name":       "f = getattr('x' * 100000, 'join')\n    x = f(['y'] * 100000)",
	"replacing":                     `x = ("x" * 100000).replace("x", "y" * 100000)`,
	"replacing nothing":             `x = ("x" * 100000).replace("", "y" * 100000)`,
	"splitting":                     `x = ("," * 1000000).split(",")`,
	"characters":                    `x = list(("," * 1000000).codepoints())`,
	"a thousand lists in lists":     "x = 'x'\n    for n in range(40):\n        x = [x, x]\n    x = str(x)",
	"lists in lists, printed":       "x = 'x'\n    for n in range(40):\n        x = [x, x]\n    print(x)",
	"lists in lists, formatted":     "x = 'x'\n    for n in range(40):\n        x = [x, x]\n    x = '%s' % x",
	"lists in lists, to fail with":  "x = 'x'\n    for n in range(40):\n        x = [x, x]\n    fail(x)",
	"lists in lists, as state":      "x = 'x'\n    for n in range(40):\n        x = [x, x]\n    state['x'] = x",
	"a deep list as state":          "x = []\n    for n in range(20000):\n        x = [x]\n    state['x'] = x",
	"dicts in dicts, shown":         "x = {}\n    for n in range(40):\n        x = {1: x, 2: x}\n    x = repr(x)",
	"a state that grows":            "for n in range(50000):\n        state[str(n)] = 'x' * 100",
	"texts kept":                    "x = []\n    for n in range(10000):\n        x.append('x' * 60000)",
	"copies kept":                   "x, y = [], [0] * 100000\n    for n in range(10000):\n        x.append(y[:])",
	"copies of texts kept":          "x, y = [], 'x' * 1000000\n    for n in range(10000):\n        x.append(y.upper())",
	"dicts united":                  "x = {n: n for n in range(9000)}\n    for n in range(9000):\n        y = x | x",
	"a dict taken in":               "x = {n: n for n in range(9000)}\n    for n in range(9000):\n        y = dict(x)",
	"digits without end":            `x = int("9" * 4000000)`,
	"a product in a list":           "x = [[1]]\n    for n in range(100):\n        x[0] *= 1000",
	"lists in lists, compared":      "x, y = 1, 1\n    for n in range(9):\n        x, y = [x] * 99, [y] * 99\n    x = x == y",
	"lists in lists, looked for":    "x, y = 1, 1\n    for n in range(8):\n        x, y = [x] * 99, [y] * 99\n    x = x in [y]",
	"lists in lists, sorted":        "x, y = 1, 1\n    for n in range(8):\n        x, y = [x] * 99, [y] * 99\n    x = sorted([x, y])",
	"a sum behind a parameter":      "f = lambda a, b = 'x' * 1000000000: a\n    f(1)",
	"a sum in a default":            "def f(a = 'x' * 1000000000):\n        return a\n    f()",
	"a sum in a condition":          "x = 1 if 'x' * 1000000000 else 2",
	"a sum in a comprehension":      "x = [y for y in ['x' * 1000000000]]",
	"a sum in a filter":             "x = [y for y in [1] if 'x' * 1000000000]",
	"a sum in a dict":               "x = {'x' * 1000000000: 1}",
	"a sum in an index":             "x = {}['x' * 1000000000]",
	"a sum that is assigned to":     "x = {}\n    x['x' * 1000000000] = 1",
	"a sum that a loop assigns to":  "x = {}\n    for x['x' * 1000000000] in [1]:\n        pass",
	"a sum in a slice":              "x = [1][:len('x' * 1000000000)]",
	"a sum that is negated":         "x = not 'x' * 1000000000",
	"a sum as named argument":       "x = dict(a = 'x' * 1000000000)",
	"a sum that is returned":        "return 'x' * 1000000000",
	"a sum in a while of functions": "f = lambda: 'x' * 1000000000\n    f()",
}

// TestBombsAreDefused: each ends with an error, in no time, and without the memory it asked for.
func TestBombsAreDefused(t *testing.T) {
	for name, body := range bombs {
		p, err := Compile("app.star", []byte("def on_change(tags, state):\n    "+body+"\n"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		i, err := p.New(env, nil, false)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		began := time.Now()
		_, err = i.Do(Call{Kind: Change, Read: plant})
		took := time.Since(began)
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		const most = 8 * MaxMade
		if made := after.TotalAlloc - before.TotalAlloc; made > most {
			t.Errorf("%s: %d MiB were allocated (%v)", name, made>>20, err)
		}
		t.Logf("%s: %v, %.1f MiB: %v", name, took.Round(time.Microsecond), float64(after.TotalAlloc-before.TotalAlloc)/(1<<20), err)
	}
}

func TestBombsOfExpressions(t *testing.T) {
	for _, source := range []string{
		"'x' * 1000000000", "len([0] * 1000000000)", "len('%s%s' % ('x' * 4000000, 'x' * 4000000))", "max(range(1 << 60))", "len(str([['x' * 1000] * 1000] * 1000))",
		"len((tag('text') * 1000000).replace(tag('text'), 'x' * 1000000))", "[x for x in ['x' * 100000000]][0]",
	} {
		e, err := NewExpr("calc", source)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		for range 2 {
			if got, err := e.Eval(tag.TypeFloat64, plant); err == nil || !got.Quality.IsBad() {
				t.Errorf("%s: %v", source, got)
			}
		}
	}
}

// TestGuardedOperationsAreTheLanguages: what goes through a guard gives what the language says, and errors where they are.
func TestGuardedOperationsAreTheLanguages(t *testing.T) {
	body := `
def on_change(tags, state):
    x = [1]
    y = x
    x += [2]
    x += (3,)
    x *= 2
    d = {"n": 1, "l": [1], (1, 2): 5}
    d["n"] += 2
    d["n"] *= 3
    d["l"] += [2]
    d[(1, 2)] += 1
    d["s"] = "a%s"
    d["s"] %= "b"
    k = 3
    k <<= 2
    k |= 1
    o = {1: 1}
    o |= {2: 2}
    f = getattr("-", "join")
    g = [s.upper() for s in "a b".split(" ")]
    def h(*args, a = "q" + "r", **kw):
        return "%d%s%s" % (len(args), a, kw.get("b", "") + "!")
    m = {"v": [3]}
    m["v"][0] += 4
    out = [x, y, d["n"], d["l"], d[(1, 2)], d["s"], k, o, f(["a", "b"]), g, h(*[1, 2], **{"b": "z"}), m, [1, 2, 3][1:], 2 + 3.5, 7 % 4, -7 % 4, 3 * 2.0,
        "a" < "b", x == y, x != y, [1] < [2], (1, 2) >= (1, 1), x[0] in x, k not in x, {"a": 1}.items(), list({"a": 1}.keys()), "{}-{x}".format(1, x = 2), "aa".replace("a", "b", 1), max([1, 3, 2]), max([1, -3], key = abs),
        sorted([2, 1], reverse = True), dict([("a", 1)], b = 2), zip([1, 2], "ab".elems()), int("12", 10), set([1]) | set([2]), getattr({}, "none", 4), hasattr([], "extend")]
    print(out)
`
	p, err := Compile("app.star", []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	i, err := p.New(env, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	got := change(t, i).Logs[0]
	want := `[[1, 2, 3, 1, 2, 3], [1, 2, 3], 9, [1, 2], 6, "ab", 13, {1: 1, 2: 2}, "a-b", ["A", "B"], "2qrz!", {"v": [7]}, [2, 3], 5.5, 3, 1, 6.0, ` +
		`True, False, True, True, True, True, True, [("a", 1)], ["a"], "1-2", "ba", 3, -3, [2, 1], {"a": 1, "b": 2}, [(1, "a"), (2, "b")], 12, set([1, 2]), 4, True]`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for body, want := range map[string]string{
		`x = 1 + "a"`:        "app.star:2:9: unknown binary op: int + string",
		`x = tag("a") + "a"`: `app.star:2:16: unknown binary op: float + string`,
		`x = [] % 3`:         `app.star:2:10: unknown binary op: list % int`,
		`x = 3.5.join`:       `app.star:2:10: float has no .join field or method`,
		`x = "" .nothing`:    `app.star:2:10: string has no .nothing field or method`,
		`x = "%d" % "a"`:     `app.star:2:12: %d format requires integer: cannot convert string to int`,
		"f = [].append\n  x = {}\n  x[f(1)] *= 2": `app.star:4:3: the left side of *= calls a function`,
	} {
		p, err := Compile("app.star", []byte("def on_change(tags, state):\n  "+body+"\n"))
		if err == nil {
			var i *Instance
			if i, err = p.New(env, nil, false); err == nil {
				_, err = i.Do(Call{Kind: Change, Read: plant})
			}
		}
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", body, err, want)
		}
	}
}

// TestTheMeterIsOfOneCall: what one call has made is not held against the next.
func TestTheMeterIsOfOneCall(t *testing.T) {
	i := start(t, fmt.Sprintf("def on_change(tags, state):\n    x = 'x' * %d\n", MaxMade), "")
	for range 3 {
		change(t, i)
	}
	i = start(t, fmt.Sprintf("def on_change(tags, state):\n    x = 'x' * %d\n", MaxMade+1), "")
	if _, err := i.Do(Call{Kind: Change, Read: plant}); err == nil || !strings.Contains(err.Error(), "makes values of more") {
		t.Errorf("one byte more: %v", err)
	}
}
