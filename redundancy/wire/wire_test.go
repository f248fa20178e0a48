package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"

	"scada/acquisition/tag"
	"scada/redundancy/role"
)

// samples has one message of every type with every field set.
func samples() []Message {
	view := role.View{Role: role.Active, Epoch: 7, Acting: true, Claiming: true, Withhold: true, Unable: true, Confirmed: true,
		Isolated: true, Ready: true, Pinned: true, Reachable: 9, Acted: 5}
	return []Message{
		Hello{Protocol: 1, Purpose: Stream, Incarnation: 2, Known: 3, Project: "p", Version: "v", Digest: "d", Node: "a", Areas: []string{"main", "north"}},
		Reject{Known: 4, Reason: "another project"},
		Beat{Answer: true, Seq: 1, Request: 2, Number: 3, Echo: 4, EchoIncarnation: 5, Wall: -6, Digest: "d", Score: -7, Reasons: []string{"disk"},
			NotReady: []string{"mirror", "clock"}, Progress: []Progress{{"poll", 8, 9}, {"alarms", 10, 11}},
			Areas:  []Area{{Name: "main", View: view, LeaseLeft: 1, Since: 2, Reason: "r", Devices: 3, Commands: 4, Epoch: 5, Applied: 6, Durable: 7, Lost: 8, Told: true}, {Told: true}},
			Switch: Switch{Area: "main", From: "a", To: "b", Reason: "r", Kind: role.Fault, At: 1, Epoch: 2, Detect: 3, Activate: 4, FirstValue: 5, Missed: 6, Duplicates: 7}},
		Beat{},
		Goodbye{Seq: 1, Reason: "stopped"},
		Open{Area: "main", Epoch: 1, Seq: 2},
		SnapshotBegin{Epoch: 1, Seq: 2},
		SnapshotPart{Records: []Record{{Kind: 1, Payload: []byte("x")}, {Kind: 2}}},
		SnapshotEnd{Count: 2},
		Records{Epoch: 1, First: 2, Wall: 3, Records: []Record{{Kind: 255, Payload: []byte{0, 1}}}},
		Applied{Epoch: 1, Applied: 2, Durable: 3},
		Step{"main", role.Message{Step: role.Commit, ID: 1, Kind: role.HandBack, Epoch: 2, Reason: "r"}},
		Command{ID: 1, Key: "k", Payload: []byte("write")},
		Result{ID: 1, Error: "no", Payload: []byte("p")},
	}
}

func TestRoundTrip(t *testing.T) {
	var stream []byte
	for _, m := range samples() {
		stream = Append(stream, m)
	}
	r := bytes.NewReader(stream)
	for _, want := range samples() {
		got, err := Read(r, MaxFrame)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("got %#v, %v\nwant %#v", got, err, want)
		}
	}
	if _, err := Read(r, MaxFrame); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

func TestCutShortAtEveryByte(t *testing.T) {
	for _, m := range samples() {
		frame := Append(nil, m)
		for n := 1; n < len(frame); n++ {
			if _, err := Read(bytes.NewReader(frame[:n]), MaxFrame); err == nil {
				t.Fatalf("%T: %d of %d bytes were accepted", m, n, len(frame))
			}
		}
		body := frame[4 : len(frame)-4]
		for n := 1; n < len(body); n++ {
			got, err := Decode(body[:n])
			if beat, ok := got.(Beat); ok && err == nil {
				acted := 2 + 8*len(beat.Areas)
				if lost := 2 + 4*len(beat.Areas); n == len(body)-acted || n == len(body)-acted-lost {
					continue // as an older node sends it
				}
			}
			if !errors.Is(err, ErrFormat) {
				t.Fatalf("%T: a body of %d of %d bytes: %v", m, n, len(body), err)
			}
		}
	}
}

func TestEveryFlippedBitIsSeen(t *testing.T) {
	frame := Append(nil, samples()[2])
	for i := range frame {
		for bit := range 8 {
			frame[i] ^= 1 << bit
			if _, err := Read(bytes.NewReader(frame), MaxFrame); err == nil {
				t.Fatalf("bit %d of byte %d flipped was accepted", bit, i)
			}
			frame[i] ^= 1 << bit
		}
	}
}

func TestLaterFieldsAreIgnored(t *testing.T) {
	body := Append(nil, Applied{1, 2, 3})
	body = append(body[4:len(body)-4:len(body)-4], "a field of a later version"...)
	if m, err := Decode(body); err != nil || m != (Applied{1, 2, 3}) {
		t.Errorf("got %v, %v", m, err)
	}
}

// TestOlderSenderTellsNothingOfItsTerms: a beat that ends before the acted epochs is understood, without them. A list that is cut
// short, or of another length than that of the areas, is not.
func TestOlderSenderTellsNothingOfItsTerms(t *testing.T) {
	beat := Beat{Areas: []Area{{Name: "main", View: role.View{Acted: 9}, Told: true}}}
	body := bodyOf(beat)
	older := body[: len(body)-10 : len(body)-10]
	tests := []struct {
		name string
		list []byte
		want uint64
		bad  bool
	}{
		{"none", nil, 0, false},
		{"one", u64(u16(nil, 1), 9), 9, false},
		{"of no area", u16(nil, 0), 0, true},
		{"more than areas", u64(u16(nil, 2), 9, 10), 0, true},
		{"cut short", append(u16(nil, 1), 9), 0, true},
		{"too many", append(u16(nil, MaxList+1), make([]byte, 8*(MaxList+1))...), 0, true},
	}
	for _, test := range tests {
		m, err := Decode(append(older, test.list...))
		if test.bad != errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", test.name, err)
		}
		if !test.bad && m.(Beat).Areas[0].View.Acted != test.want {
			t.Errorf("%s: got %d", test.name, m.(Beat).Areas[0].View.Acted)
		}
	}
}

func TestLimits(t *testing.T) {
	long := strings.Repeat("x", MaxText+1)
	if m, err := Decode(bodyOf(Goodbye{Reason: long})); err != nil || m.(Goodbye).Reason != long[:MaxText] {
		t.Errorf("a long text is cut when it is sent: %v", err)
	}
	tooLong := append(u64([]byte{byte(TypeGoodbye)}, 1), u16(nil, MaxText+1)...)
	tooMany := Append(nil, Records{Records: make([]Record, MaxRecords+1)})
	tests := map[string][]byte{
		"text":    append(tooLong, long...),
		"records": tooMany[4 : len(tooMany)-4],
		"payload": bodyOf(Command{Payload: make([]byte, MaxPayload+1)}),
		"type":    {200},
		"role":    bodyOf(Beat{Areas: []Area{{View: role.View{Role: 9}}}}),
		"step":    bodyOf(Step{Message: role.Message{Step: 77}}),
		"purpose": bodyOf(Hello{Purpose: 2}),
		"empty":   {},
	}
	for name, body := range tests {
		if _, err := Decode(body); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if m, err := Decode(bodyOf(Command{Payload: make([]byte, MaxPayload)})); err != nil || len(m.(Command).Payload) != MaxPayload {
		t.Errorf("a payload of the largest size: %v", err)
	}
	head := binary.LittleEndian.AppendUint32(nil, MaxHello+1)
	if _, err := Read(bytes.NewReader(head), MaxHello); !errors.Is(err, ErrFormat) {
		t.Errorf("a frame over the limit: %v", err)
	}
}

func bodyOf(m Message) []byte {
	frame := Append(nil, m)
	return frame[4 : len(frame)-4]
}

func TestUpdates(t *testing.T) {
	want := []tag.Update{
		{Tag: 1, Sample: tag.Sample{Time: 5, Value: tag.Float64(1.5)}},
		{Tag: 2, Sample: tag.Sample{Time: 6, Value: tag.String("ü")}},
	}
	b := append(AppendUpdates(nil, want), "rest"...)
	got, rest, err := ReadUpdates(nil, b)
	if err != nil || !reflect.DeepEqual(got, want) || string(rest) != "rest" {
		t.Errorf("got %v, %q, %v", got, rest, err)
	}
	for n := range len(b) - len("rest") {
		if _, _, err := ReadUpdates(nil, b[:n]); !errors.Is(err, ErrFormat) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if _, _, err := ReadUpdates(nil, binary.LittleEndian.AppendUint32(nil, MaxUpdates+1)); !errors.Is(err, ErrFormat) {
		t.Errorf("too many: %v", err)
	}
}

// TestABeatWithoutLosses: what an older sender does not say is not made up on the way, and no loss is said of an area that
// is not named (found by FuzzDecode).
func TestABeatWithoutLosses(t *testing.T) {
	quiet := Beat{Areas: []Area{{Name: "main"}, {Name: "wells"}}}
	m, err := Decode(bodyOf(quiet))
	if err != nil || !reflect.DeepEqual(m, quiet) {
		t.Errorf("%+v, %v", m, err)
	}
	for _, losses := range []string{"\x00\x00", "\x01\x00\x07\x00\x00\x00", "\x03\x00\x07\x00\x00\x00\x07\x00\x00\x00\x07\x00\x00\x00"} {
		if m, err := Decode(append(bodyOf(quiet), losses...)); err == nil {
			t.Errorf("losses %q of two areas: %+v", losses, m)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, m := range samples() {
		f.Add(bodyOf(m))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := Decode(body)
		if err != nil {
			return
		}
		again, err := Decode(bodyOf(m))
		if err != nil || !reflect.DeepEqual(m, again) {
			t.Errorf("%#v became %#v, %v", m, again, err)
		}
	})
}

func FuzzRead(f *testing.F) {
	for _, m := range samples() {
		f.Add(Append(nil, m))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		for {
			if _, err := Read(r, MaxHello); err != nil {
				return
			}
		}
	})
}

func FuzzUpdates(f *testing.F) {
	f.Add(AppendUpdates(nil, []tag.Update{{Tag: 1, Sample: tag.Sample{Value: tag.Bool(true)}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, _, err := ReadUpdates(nil, b)
		if err != nil {
			return
		}
		again, rest, err := ReadUpdates(nil, AppendUpdates(nil, list))
		if err != nil || len(rest) != 0 || len(again) != len(list) {
			t.Errorf("%d became %d, %v", len(list), len(again), err)
		}
	})
}
