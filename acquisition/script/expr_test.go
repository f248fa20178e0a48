package script

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"scada/acquisition/tag"
)

func good(v tag.Value, at int64) tag.Sample {
	return tag.Sample{Value: v, Time: at, Quality: tag.Good}
}

// plant is what the tests read.
func plant(name string) tag.Sample {
	switch name {
	case "a":
		return good(tag.Float64(3), 10)
	case "b":
		return good(tag.Int(tag.TypeInt16, 4), 20)
	case "on":
		return good(tag.Bool(true), 5)
	case "text":
		return good(tag.String("泵"), 6)
	case "stale":
		return tag.Sample{Value: tag.Float64(7), Time: 30, Quality: tag.UncertainLastUsableValue}
	case "big":
		return good(tag.Uint(tag.TypeUint64, math.MaxUint64), 1)
	case "zero":
		return good(tag.Float64(0), 1)
	}
	return tag.Sample{Quality: tag.BadCommunicationError, Time: 40}
}

func TestExpr(t *testing.T) {
	for _, c := range []struct {
		source string
		typ    tag.Type
		want   tag.Sample
		fails  string
	}{
		{"(tag('a')+tag('b'))/2", tag.TypeFloat64, good(tag.Float64(3.5), 20), ""},
		{"tag('a') * 2", tag.TypeInt32, good(tag.Int(tag.TypeInt32, 6), 10), ""},
		{"tag('on') and tag('a') > 2", tag.TypeBool, good(tag.Bool(true), 10), ""},
		{"tag('on')", tag.TypeFloat64, good(tag.Float64(1), 5), ""},
		{"'mode ' + tag('text')", tag.TypeString, good(tag.String("mode 泵"), 6), ""},
		{"tag('big')", tag.TypeUint64, good(tag.Uint(tag.TypeUint64, math.MaxUint64), 1), ""},
		{"math.sqrt(tag('a') + 1)", tag.TypeFloat32, good(tag.Float32(2), 10), ""},
		{"42", tag.TypeInt8, good(tag.Int(tag.TypeInt8, 42), 0), ""},
		// The quality is the worst of what was read.
		{"tag('a') + tag('stale')", tag.TypeFloat64, tag.Sample{Value: tag.Float64(10), Time: 30, Quality: tag.UncertainLastUsableValue}, ""},
		{"tag('a') + tag('dead')", tag.TypeFloat64, tag.Sample{Time: 40, Quality: tag.BadCommunicationError}, ""},
		{"tag('a') if tag('on') else tag('dead')", tag.TypeFloat64, good(tag.Float64(3), 10), ""},
		// With sample the author decides himself.
		{"sample('dead').value if sample('dead').good else tag('a')", tag.TypeFloat64, good(tag.Float64(3), 40), ""},
		{"sample('dead').quality", tag.TypeString, good(tag.String("Bad_CommunicationError"), 40), ""},
		{"None", tag.TypeFloat64, tag.Sample{Quality: tag.BadNoData}, ""},
		// What cannot be a value is bad, never a wrong number.
		{"tag('a') / tag('zero')", tag.TypeFloat64, tag.Sample{Time: 10, Quality: tag.BadOutOfRange}, "division by zero"},
		{"tag('a') / 2", tag.TypeInt16, tag.Sample{Time: 10, Quality: tag.BadOutOfRange}, "not a whole number"},
		{"tag('b') * 10000", tag.TypeInt16, tag.Sample{Time: 20, Quality: tag.BadOutOfRange}, "outside the range of int16"},
		{"-tag('big')", tag.TypeUint64, tag.Sample{Time: 1, Quality: tag.BadOutOfRange}, "outside the range of uint64"},
		{"float('nan')", tag.TypeFloat64, tag.Sample{Quality: tag.BadOutOfRange}, "not a number"},
		{"1e308 * 10", tag.TypeFloat64, tag.Sample{Quality: tag.BadOutOfRange}, "not a number"},
		{"tag('text')", tag.TypeFloat64, tag.Sample{Time: 6, Quality: tag.BadOutOfRange}, "cannot become a float64"},
		{"tag('a') + tag('text')", tag.TypeFloat64, tag.Sample{Time: 10, Quality: tag.BadConfigurationError}, "unknown binary op"},
		{"len([x for x in range(1000000)])", tag.TypeInt64, tag.Sample{Quality: tag.BadConfigurationError}, "too many steps"},
		{"'x' * 70000", tag.TypeString, tag.Sample{Quality: tag.BadOutOfRange}, "the limit is 65536"},
	} {
		e, err := NewExpr("calc", c.source)
		if err != nil {
			t.Errorf("%s: %v", c.source, err)
			continue
		}
		for range 2 { // the second time with what the first has left
			got, err := e.Eval(c.typ, plant)
			if got != c.want {
				t.Errorf("%s = %v, want %v", c.source, got, c.want)
			}
			if c.fails == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), c.fails) {
				t.Errorf("%s: error %v, want %q", c.source, err, c.fails)
			}
		}
	}
}

func TestExprKnowsItsInputs(t *testing.T) {
	e, err := NewExpr("calc", "tag('b') + (sample('a').value if tag('b') else tag('c')) + max([tag('d'), 1])")
	if err != nil {
		t.Fatal(err)
	}
	if got := e.Inputs(); !slices.Equal(got, []string{"a", "b", "c", "d"}) {
		t.Errorf("inputs %v", got)
	}
}

func TestExprIsRefused(t *testing.T) {
	for source, want := range map[string]string{
		"tag('a') +":                         "calc:1:11: got end of file",
		"tag(":                               "calc:1:5: got end of file",
		"tag('a' + 'b')":                     "calc:1:1: tag needs the name of one tag, in quotes",
		"1 + tag()":                          "calc:1:5: tag needs the name of one tag, in quotes",
		"sample(name='a')":                   "calc:1:1: sample needs the name of one tag, in quotes",
		"tag(b'a')":                          "tag needs the name of one tag, in quotes",
		"[tag(n) for n in ['a', 'b']]":       "needs the name of one tag",
		"tga('a')":                           "calc:1:1: undefined: tga",
		"open('/etc/passwd')":                "undefined: open",
		"x = 1":                              "got '='",
		"":                                   "got end of file",
		strings.Repeat("1+", 3000) + "1":     "the limit is 4096",
		"lambda: (yield 1)":                  "calc:1:10",
		"__import__('os').system('echo hi')": "undefined: __import__",
	} {
		_, err := NewExpr("calc", source)
		var located *Error
		if err == nil || !errors.As(err, &located) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: error %v, want %q", source, err, want)
		}
	}
}

// TestATagUnderAnotherNameIsNotRead: an alias of the function gets no tag that is not in the list of inputs.
func TestATagUnderAnotherNameIsNotRead(t *testing.T) {
	e, err := NewExpr("calc", "[f(n) for f in [tag] for n in ['a']][0]")
	if err != nil {
		t.Fatal(err)
	}
	got, err := e.Eval(tag.TypeFloat64, plant)
	if err == nil || !strings.Contains(err.Error(), `tag "a" is not an input`) || got.Quality != tag.BadConfigurationError {
		t.Errorf("read %v, error %v", got, err)
	}
}

func FuzzExpr(f *testing.F) {
	for _, s := range []string{"(tag('a')+tag('b'))/2", "sample('dead').good", "1//0", "[x for x in range(9)]", "'%s' % tag('a')", "tag('x'*3)", "{}[1]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, source string) {
		e, err := NewExpr("fuzz", source)
		if err != nil {
			return
		}
		first, errA := e.Eval(tag.TypeFloat64, plant)
		second, errB := e.Eval(tag.TypeFloat64, plant)
		if first != second || (errA == nil) != (errB == nil) {
			t.Errorf("%q gives %v (%v), then %v (%v)", source, first, errA, second, errB)
		}
		if first.Quality.IsBad() != first.Value.IsNone() {
			t.Errorf("%q: %v", source, first)
		}
	})
}

func BenchmarkExpr(b *testing.B) {
	e, err := NewExpr("calc", "(tag('a')+tag('b'))/2 - tag('stale')*1.8")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Eval(tag.TypeFloat64, plant); err != nil {
			b.Fatal(err)
		}
	}
}
