package script

import (
	"math"
	"math/rand/v2"
	"strconv"
	"testing"

	"scada/acquisition/tag"
)

// terms are what expressions of the test are made of: what direct evaluation does, and things it must leave alone.
var terms = []string{
	"tag('a')", "tag('b')", "tag('on')", "tag('stale')", "tag('big')", "tag('zero')", "tag('nan')", "tag('least')", "tag('dead')", "tag('text')",
	"0", "1", "2", "-7", "0.1", "1e308", "9007199254740993", "18446744073709551616", "True", "False", "None", "'x'", "sample('dead').good",
}

// grow makes an expression by chance.
func grow(r *rand.Rand, depth int) string {
	if depth == 0 || r.IntN(8) == 0 {
		return terms[r.IntN(len(terms))]
	}
	x := func() string { return grow(r, depth-1) }
	ops := []string{"+", "-", "*", "/", "//", "%", "==", "!=", "<", ">", "<=", ">=", "and", "or", "+", "-", "*", "/"}
	switch r.IntN(10) {
	case 0:
		return "-(" + x() + ")"
	case 1:
		return "(not " + x() + ")"
	case 2:
		return "(" + x() + " if " + x() + " else " + x() + ")"
	case 3:
		return "abs(" + x() + ")"
	}
	return "(" + x() + " " + ops[r.IntN(len(ops))] + " " + x() + ")"
}

func odd(name string) tag.Sample {
	switch name {
	case "nan":
		return good(tag.Float64(math.NaN()), 3)
	case "least":
		return good(tag.Int(tag.TypeInt64, math.MinInt64), 4)
	}
	return plant(name)
}

// FuzzDirect: whatever an expression is, it has the value, quality, time and error the interpreter gives it.
func FuzzDirect(f *testing.F) {
	for seed := range uint64(2000) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 1))
		source := grow(r, 1+r.IntN(4))
		e, err := NewExpr("calc", source)
		if err != nil {
			t.Skip(err)
		}
		for _, typ := range []tag.Type{tag.TypeFloat64, tag.TypeBool, tag.TypeInt64} {
			got, gotErr := e.Eval(typ, odd)
			slow := *e
			slow.thread.SetLocal(localExpr, &slow)
			slow.direct = nil
			want, wantErr := slow.Eval(typ, odd)
			e.thread.SetLocal(localExpr, e)
			if show(got, gotErr) != show(want, wantErr) {
				t.Fatalf("seed %d: %s as %s: %s, the interpreter says %s", seed, source, typ, show(got, gotErr), show(want, wantErr))
			}
		}
	})
}

// show tells everything of a result, to the last bit.
func show(s tag.Sample, err error) string {
	text := s.Value.Type().String() + " " + strconv.FormatUint(s.Value.Bits(), 16) + " " + s.Value.Text() + " " + s.Quality.String() + " " + strconv.FormatInt(s.Time, 10)
	if err != nil {
		text += " " + err.Error()
	}
	return text
}

// TestDirectIsUsed: arithmetic does without the interpreter, and what it cannot do is left to it.
func TestDirectIsUsed(t *testing.T) {
	for source, want := range map[string]bool{
		"(tag('a') + 2) / 3 - 1.5":                       true,
		"not tag('on') and tag('a') > 2":                 true,
		"tag('a') if tag('on') else -tag('b')":           true,
		"abs(tag('a'))":                                  false,
		"[tag('a') for i in range(2)][0]":                false,
		"sample('a').value":                              false,
		"tag('a') ^ 1":                                   false,
		"(lambda tag: tag + 1)(tag('a')) if True else 1": false,
	} {
		e, err := NewExpr("calc", source)
		if err != nil {
			t.Fatal(err)
		}
		if got := e.direct != nil; got != want {
			t.Errorf("%s: directly: %t", source, got)
		}
	}
}
