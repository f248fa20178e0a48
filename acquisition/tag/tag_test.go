package tag_test

import (
	"math"
	"testing"

	"scada/acquisition/tag"
)

func TestParseRefusesWhatTheTypeCannotHold(t *testing.T) {
	for _, c := range []struct {
		typ  tag.Type
		in   string
		want string // "" means refused
	}{
		{tag.TypeBool, "true", "true"}, {tag.TypeBool, "2", ""}, {tag.TypeBool, "yes", ""},
		{tag.TypeInt8, "-128", "-128"}, {tag.TypeInt8, "128", ""}, {tag.TypeInt8, "1.5", ""}, {tag.TypeInt8, "1e2", "100"},
		{tag.TypeUint16, "65535", "65535"}, {tag.TypeUint16, "65536", ""}, {tag.TypeUint16, "-1", ""}, {tag.TypeUint16, "0xff", "255"},
		{tag.TypeInt64, "9223372036854775807", "9223372036854775807"}, {tag.TypeInt64, "9223372036854775808", ""},
		{tag.TypeUint64, "18446744073709551615", "18446744073709551615"}, {tag.TypeUint64, "18446744073709551616", ""},
		{tag.TypeFloat32, "1e39", ""}, {tag.TypeFloat32, "3.4028235e+38", "3.4028235e+38"}, {tag.TypeFloat32, "-3.4028236e+38", ""}, {tag.TypeFloat32, "0.1", "0.1"}, {tag.TypeFloat64, "NaN", ""}, {tag.TypeFloat64, "Inf", ""},
		{tag.TypeFloat64, "", ""}, {tag.TypeString, "水", "水"},
	} {
		v, err := tag.Parse(c.typ, c.in)
		if c.want == "" {
			if err == nil {
				t.Errorf("Parse(%s, %q) = %v, want it refused", c.typ, c.in, v)
			}
			continue
		}
		if err != nil || v.String() != c.want || v.Type() != c.typ {
			t.Errorf("Parse(%s, %q) = %v %s, %v; want %s", c.typ, c.in, v, v.Type(), err, c.want)
		}
	}
}

func TestLinearReturnsTheRawNumber(t *testing.T) {
	l := tag.Linear{RawLow: 0, RawHigh: 65535, Low: -50, High: 150}
	for raw := 0.0; raw <= 65535; raw += 257 {
		if got := math.Round(l.Unscale(l.Scale(raw))); got != raw {
			t.Fatalf("raw %v came back as %v", raw, got)
		}
	}
}

func TestQualityNamesReadBack(t *testing.T) {
	for _, q := range []tag.Quality{tag.Good, tag.UncertainLastUsableValue, tag.BadCommunicationError, tag.BadSensorFailure, 0x40A40000, 0x801F0000, 0x40000000, 0x80000000} {
		back, ok := tag.ParseQuality(q.String())
		if !ok || back != q {
			t.Errorf("%#x: %s read back as %#x", uint32(q), q, uint32(back))
		}
	}
	if s := tag.Quality(0x40A40000).String(); s != "Uncertain_DataSubNormal" {
		t.Errorf("the quality of an aggregate of data that is not all good is %q", s)
	}
	if s := tag.Quality(0x80FF0000).String(); s != "Bad_0x80ff0000" {
		t.Errorf("unnamed code prints %q", s)
	}
}

func FuzzReadUpdate(f *testing.F) {
	for _, u := range samples() {
		f.Add(tag.AppendUpdate(nil, u))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		u, rest, err := tag.ReadUpdate(b)
		if err != nil {
			return
		}
		again := tag.AppendUpdate(nil, u)
		back, left, err := tag.ReadUpdate(again)
		if err != nil || len(left) != 0 || back != u {
			t.Fatalf("%v written and read is %v, %d bytes left, %v", u, back, len(left), err)
		}
		_ = rest
	})
}

func TestReadUpdateNeverReadsPastACut(t *testing.T) {
	for _, u := range samples() {
		b := tag.AppendUpdate(nil, u)
		for n := range b {
			if _, _, err := tag.ReadUpdate(b[:n]); err == nil {
				t.Errorf("%v cut at %d of %d was accepted", u, n, len(b))
			}
		}
	}
}

func samples() []tag.Update {
	return []tag.Update{
		{Tag: 0, Sample: tag.Sample{Time: 1, Value: tag.Bool(true)}},
		{Tag: 300, Sample: tag.Sample{Time: -1, Value: tag.Float64(math.Copysign(0, -1)), Quality: tag.BadSensorFailure}},
		{Tag: 7, Sample: tag.Sample{Time: math.MaxInt64, Value: tag.Int(tag.TypeInt64, math.MinInt64)}},
		{Tag: 8, Sample: tag.Sample{Value: tag.String("泵 1"), Quality: tag.UncertainLastUsableValue}},
		{Tag: 9, Sample: tag.Sample{Quality: tag.BadWaitingForInitialData}},
	}
}

// TestScaling: the curve of a flow from a pressure difference, and what lies beyond the ends.
func TestScaling(t *testing.T) {
	line := tag.Linear{RawLow: 4000, RawHigh: 20000, Low: 0, High: 80}
	for _, c := range []struct {
		def  tag.Definition
		raw  float64
		want float64
	}{
		{tag.Definition{}, 7, 7},
		{tag.Definition{Root: true, Clamp: true}, -7, -7},
		{tag.Definition{Scale: line}, 8000, 20},
		{tag.Definition{Scale: line, Root: true}, 8000, 40},
		{tag.Definition{Scale: line, Root: true}, 20000, 80},
		{tag.Definition{Scale: line, Root: true}, 3900, 0},
		{tag.Definition{Scale: line, Clamp: true}, 24000, 80},
		{tag.Definition{Scale: line, Clamp: true}, 0, 0},
		{tag.Definition{Scale: tag.Linear{RawHigh: 10, Low: 100, High: 0}, Clamp: true}, -1, 100},
	} {
		got := c.def.ToUnits(c.raw)
		if got != c.want {
			t.Errorf("%+v: %g becomes %g, want %g", c.def, c.raw, got, c.want)
		}
		if back := c.def.ToRaw(got); c.raw >= line.RawLow && c.raw <= line.RawHigh && math.Abs(back-c.raw) > 1e-9 {
			t.Errorf("%+v: %g comes back as %g", c.def, c.raw, back)
		}
	}
}
