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
		{tag.TypeFloat32, "1e39", ""}, {tag.TypeFloat32, "0.1", "0.1"}, {tag.TypeFloat64, "NaN", ""}, {tag.TypeFloat64, "Inf", ""},
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
	for _, q := range []tag.Quality{tag.Good, tag.UncertainLastUsableValue, tag.BadCommunicationError, tag.BadSensorFailure} {
		back, ok := tag.ParseQuality(q.String())
		if !ok || back != q {
			t.Errorf("%#x: %s read back as %#x", uint32(q), q, uint32(back))
		}
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
