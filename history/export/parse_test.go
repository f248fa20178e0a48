package export

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/klauspost/compress/s2"
)

func TestStateRoundTrip(t *testing.T) {
	var s State
	s.Apply(Step{Time: 5, Done: []Mark{{100, 7}, {103, 9}, {98, 3}}, Totals: Totals{1, 2, 3, 4}, Parked: []Parked{{At: 1, Tag: "x", Samples: 2, Reason: "no"}}})
	if s.done(100) != 7 || s.done(101) != 0 || s.done(103) != 9 || s.done(98) != 3 || s.done(97) != 0 || s.done(104) != 0 {
		t.Errorf("%+v", s)
	}
	s.Apply(Step{Trim: 101})
	if s.First != 101 || len(s.Done) != 3 || s.done(103) != 9 || s.Time != 5 {
		t.Errorf("%+v", s)
	}
	got, err := ReadState(s.Encode())
	if err != nil || !reflect.DeepEqual(got, s) {
		t.Errorf("%+v, %v, want %+v", got, err, s)
	}
	s.Apply(Step{Trim: 200})
	if len(s.Done) != 0 || s.done(200) != 0 {
		t.Errorf("%+v", s)
	}
	s.Apply(Step{Done: []Mark{{150, 1}, {150 + maxWindows, 1}}}) // the second is not noted
	if len(s.Done) != 1 || s.done(150) != 1 {
		t.Errorf("%d windows from %d", len(s.Done), s.First)
	}
}

func TestStateLimits(t *testing.T) {
	for text, want := range map[string]string{
		"":                                     "unexpected end",
		`{"version":2}`:                        "version",
		`{"version":1,"done":"AAAA"}`:          "bytes of digests",
		`{"version":1,"done":"?"}`:             "digests",
		`{"version":1,"first":-1}`:             "from window -1",
		`{"version":1,"time":-1}`:              "time -1",
		strings.Repeat(" ", MaxState) + "{} x": "limit",
	} {
		if _, err := ReadState([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v, want %s", text, err, want)
		}
	}
	for _, p := range []Step{{Time: -1}, {Done: []Mark{{Window: -1}}}, {Parked: make([]Parked, MaxParked+1)}} {
		if CheckStep(p) == nil {
			t.Errorf("%+v is taken", p)
		}
	}
}

func FuzzReadState(f *testing.F) {
	s := State{Time: 1, First: 2, Done: []uint64{3, 4}, Totals: Totals{Sent: 5}, Parked: []Parked{{Tag: "a"}}}
	f.Add(s.Encode())
	f.Add([]byte(`{"version":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ReadState(b)
		if err != nil {
			return
		}
		again, err := ReadState(s.Encode())
		if err != nil || !bytes.Equal(again.Encode(), s.Encode()) {
			t.Errorf("%+v, %v, want %+v", again, err, s)
		}
	})
}

func FuzzStep(f *testing.F) {
	f.Add([]byte(`{"time":5,"trim":3,"done":[{"w":4,"d":18446744073709551615}],"parked":[{"tag":"x"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var p Step
		if json.Unmarshal(b, &p) != nil || CheckStep(p) != nil {
			return
		}
		s := State{First: 10, Done: make([]uint64, 5)}
		s.Apply(p)
		if len(s.Done) > maxWindows || len(s.Parked) > MaxParked {
			t.Errorf("%d windows, %d parked", len(s.Done), len(s.Parked))
		}
	})
}

func FuzzAnswer(f *testing.F) {
	for _, text := range []string{"120", " 3 ", "-1", "99999999999999", "Sun, 22 Nov 2026 22:00:00 GMT", "x", ""} {
		f.Add(text)
	}
	now := time.Date(2026, 11, 22, 21, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		if d := retryAfter(text, now); d < 0 || d > maxRetryAfter {
			t.Errorf("%q: %s", text, d)
		}
		if s := clean(text); len(s) > maxReason+4 || !utf8.ValidString(s) || strings.ContainsAny(s, "\r\n\x00") {
			t.Errorf("%q: %q", text, s)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 22, 21, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"0": 0, "5": 5 * time.Second, "601": 10 * time.Minute, "Sun, 22 Nov 2026 21:00:07 GMT": 7 * time.Second, "Sun, 22 Nov 2026 20:00:00 GMT": 0, "soon": 0, "-3": 0,
	} {
		if got := retryAfter(text, now); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// TestRequestsAreWhatWasEncoded: labels in order, all samples, whatever the pieces.
func TestRequestsAreWhatWasEncoded(t *testing.T) {
	all := []series{{"a", encodeLabels("works", "a/ü", map[string]string{"Site": "north", "zone": "7"})}, {"b", encodeLabels("works", "b", nil)}}
	b := &batch{points: []point{{0, 1}, {1, math.Copysign(0, -1)}, {1 << 41, -2.5}, {7, 1e15}}, chunks: []chunk{{0, 0, 3}, {1, 3, 4}}}
	decode := func(b *batch) []received {
		var e encoder
		plain, err := s2.Decode(nil, e.encode(all, b))
		if err != nil {
			t.Fatal(err)
		}
		out, err := decodeRequest(plain)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	want := []received{
		{"Site=north,__name__=scada_value,project=works,tag=a/ü,zone=7", 0, 1}, {"Site=north,__name__=scada_value,project=works,tag=a/ü,zone=7", 1, 0},
		{"Site=north,__name__=scada_value,project=works,tag=a/ü,zone=7", 1 << 41, -2.5}, {"__name__=scada_value,project=works,tag=b", 7, 1e15},
	}
	if got := decode(b); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	if got := decode(&batch{}); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	var pieces func(b *batch) []received
	pieces = func(b *batch) []received {
		if b.size() == 1 {
			return decode(b)
		}
		left, right := b.split()
		if left.size()+right.size() != b.size() || left.size() == 0 || right.size() == 0 {
			t.Fatalf("%d in %d and %d", b.size(), left.size(), right.size())
		}
		return append(pieces(left), pieces(right)...)
	}
	if got := pieces(b); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

func TestLabels(t *testing.T) {
	for _, c := range [][2]string{{"site", "north"}, {"_x1", "a"}} {
		if err := CheckLabel(c[0], c[1]); err != nil {
			t.Error(err)
		}
	}
	long := strings.Repeat("x", MaxLabelText+1)
	for _, c := range [][2]string{{"", "x"}, {"1a", "x"}, {"a-b", "x"}, {"__name__", "x"}, {"__x", "y"}, {"tag", "x"}, {"project", "x"}, {"site", ""}, {"site", long}, {long, "x"}} {
		if CheckLabel(c[0], c[1]) == nil {
			t.Errorf("%.20q = %.20q is taken", c[0], c[1])
		}
	}
}
