package script

import (
	"fmt"
	"math"
	"slices"
	"time"

	"go.starlark.net/starlark"

	"scada/acquisition/tag"
)

// fromTag converts the value of a tag to what a script sees: bool, int, float or string; None when there is no value.
func fromTag(v tag.Value) starlark.Value {
	switch t := v.Type(); {
	case t == tag.TypeNone:
		return starlark.None
	case t == tag.TypeBool:
		return starlark.Bool(v.Truth())
	case t == tag.TypeString:
		return starlark.String(v.Text())
	case t.IsFloat():
		return starlark.Float(v.Number())
	case t.IsSigned():
		return starlark.MakeInt64(v.Int())
	}
	return starlark.MakeUint64(v.Bits())
}

// toTag converts what a script returned to type t, refusing what t cannot hold. It never rounds to a whole number.
func toTag(v starlark.Value, t tag.Type) (tag.Value, error) {
	switch x := v.(type) {
	case starlark.Bool:
		switch {
		case t == tag.TypeBool:
			return tag.Bool(bool(x)), nil
		case t.IsNumeric():
			return tag.FromNumber(t, float64(b2i(bool(x))))
		}
	case starlark.Int:
		return intToTag(x, t)
	case starlark.Float:
		if t != tag.TypeString {
			return tag.FromNumber(t, float64(x))
		}
	case starlark.String:
		if t == tag.TypeString {
			if len(x) > MaxTextBytes {
				return tag.Value{}, fmt.Errorf("a text of %d bytes, the limit is %d", len(x), MaxTextBytes)
			}
			return tag.String(string(x)), nil
		}
	}
	return tag.Value{}, fmt.Errorf("a %s (%s) cannot become a %s", v.Type(), short(v), t)
}

func intToTag(x starlark.Int, t tag.Type) (tag.Value, error) {
	if t.IsInteger() {
		if i, ok := x.Int64(); ok && t.IsSigned() {
			if lo, hi := signedBounds(t); i >= lo && i <= hi {
				return tag.Int(t, i), nil
			}
		}
		if u, ok := x.Uint64(); ok && !t.IsSigned() && u <= unsignedMax(t) {
			return tag.Uint(t, u), nil
		}
		return tag.Value{}, fmt.Errorf("%s is outside the range of %s", short(x), t)
	}
	if t == tag.TypeString {
		return tag.Value{}, fmt.Errorf("an int (%s) cannot become a %s", short(x), t)
	}
	f, ok := starlark.AsFloat(x)
	if !ok {
		return tag.Value{}, fmt.Errorf("%s is outside the range of %s", short(x), t)
	}
	return tag.FromNumber(t, f)
}

func signedBounds(t tag.Type) (lo, hi int64) {
	if t == tag.TypeInt64 {
		return math.MinInt64, math.MaxInt64
	}
	l, h := t.Bounds()
	return int64(l), int64(h)
}

func unsignedMax(t tag.Type) uint64 {
	if t == tag.TypeUint64 {
		return math.MaxUint64
	}
	_, h := t.Bounds()
	return uint64(h)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// short is a value as an error message shows it.
func short(v starlark.Value) string {
	const most = 40
	switch x := v.(type) {
	case starlark.String:
		if len(x) > most {
			return fmt.Sprintf("a text of %d bytes", len(x))
		}
	case starlark.Int:
		if _, ok := x.Int64(); !ok {
			return "an integer of more than 64 bits"
		}
	case starlark.Bool, starlark.Float, starlark.NoneType:
	default:
		return v.Type()
	}
	return v.String()
}

// worse returns the quality that says less for the value.
func worse(a, b tag.Quality) tag.Quality {
	rank := func(q tag.Quality) int {
		switch {
		case q.IsBad():
			return 2
		case q.IsUncertain():
			return 1
		}
		return 0
	}
	if rank(b) > rank(a) {
		return b
	}
	return a
}

// seconds is an instant as scripts see it: seconds since 1970-01-01 UTC.
func seconds(ns int64) starlark.Float { return starlark.Float(float64(ns) / float64(time.Second)) }

// sampleValue is the sample of a tag as a script sees it.
type sampleValue struct{ tag.Sample }

var sampleAttrs = []string{"bad", "good", "quality", "time", "uncertain", "value"}

func (s sampleValue) String() string        { return fmt.Sprintf("sample(%s, %s)", s.Value, s.Quality) }
func (s sampleValue) Type() string          { return "sample" }
func (s sampleValue) Freeze()               {}
func (s sampleValue) Truth() starlark.Bool  { return starlark.Bool(s.Quality.IsGood()) }
func (s sampleValue) Hash() (uint32, error) { return 0, fmt.Errorf("a sample cannot be a key") }
func (s sampleValue) AttrNames() []string   { return slices.Clone(sampleAttrs) }

// Attr implements starlark.HasAttrs.
func (s sampleValue) Attr(name string) (starlark.Value, error) {
	switch name {
	case "value":
		return fromTag(s.Value), nil
	case "good":
		return starlark.Bool(s.Quality.IsGood()), nil
	case "uncertain":
		return starlark.Bool(s.Quality.IsUncertain()), nil
	case "bad":
		return starlark.Bool(s.Quality.IsBad()), nil
	case "quality":
		return starlark.String(s.Quality.String()), nil
	case "time":
		return seconds(s.Time), nil
	}
	return nil, nil // the interpreter reports a missing attribute itself
}
