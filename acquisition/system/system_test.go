package system_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"scada/acquisition"
	"scada/acquisition/system"
	"scada/acquisition/tag"
)

func TestParseAddress(t *testing.T) {
	for text, want := range map[string]tag.Type{
		"pair:ready": tag.TypeBool, "pair:reasons": tag.TypeString, "path:lan:up": tag.TypeBool, "node:b:score": tag.TypeFloat64,
		"device:plc-1:answers": tag.TypeBool, "app:totals:healthy": tag.TypeBool, "app:totals:deployed": tag.TypeBool,
	} {
		a, typ, err := system.ParseAddress(text)
		if err != nil || typ != want || a.String() != text {
			t.Errorf("%s: %v, %s, %v", text, a, typ, err)
		}
	}
	for text, want := range map[string]string{
		"":                "an address begins with app, device, node, pair, path",
		"hr:1":            "an address begins with",
		"pair":            "it is pair:FACT",
		"pair:lan:ready":  "it is pair:FACT",
		"path:up":         "it is path:NAME:FACT",
		"path::up":        "it is path:NAME:FACT",
		"path:lan:up:now": "it is path:NAME:FACT",
		"path:lan:down":   "of a path it knows rtt_ms, up",
		"node:" + strings.Repeat("x", 200) + ":score": "the limit is 128",
	} {
		if _, _, err := system.ParseAddress(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// picture is a system that stands still.
type picture map[string]tag.Value

func (p picture) Fact(a system.Address) (tag.Value, bool) {
	v, ok := p[a.String()]
	return v, ok
}

// sink keeps what it is given.
type sink struct {
	batches [][]tag.Update
	settled int
}

func (s *sink) Publish(batch []tag.Update) {
	s.batches = append(s.batches, append([]tag.Update(nil), batch...))
}
func (s *sink) Settled(string, time.Time, error) { s.settled++ }
func definition(id tag.ID, address string, period time.Duration) tag.Definition {
	return tag.Definition{ID: id, Name: address, Address: address, ScanPeriod: period}
}

// TestSlots: all at once, then each tag in the slots of its scan class, with the facts of that moment.
func TestSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var up atomic.Bool
		up.Store(true)
		src, err := system.New(system.Options{
			Device: "pair", Look: func() system.Facts {
				return picture{"path:lan:up": tag.Bool(up.Load()), "pair:reasons": tag.String(strings.Repeat("é", 2000))}
			},
			Tags: []tag.Definition{definition(0, "path:lan:up", time.Second), definition(1, "pair:reasons", 3*time.Second), definition(2, "node:b:score", 3*time.Second)},
		})
		if err != nil {
			t.Fatal(err)
		}
		var got sink
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		begin := time.Now() // a bubble begins on a full second
		go func() { done <- src.Run(ctx, &got) }()
		time.Sleep(1500 * time.Millisecond)
		up.Store(false)
		time.Sleep(2 * time.Second)
		if s := src.Status()[0]; s.State != acquisition.Good || s.Counters.Answers != 4 {
			t.Errorf("status %+v", s)
		}
		cancel()
		if err := <-done; err != nil || got.settled != 1 {
			t.Errorf("Run: %v, settled %d times", err, got.settled)
		}
		if len(got.batches) != 4 || len(got.batches[0]) != 3 || len(got.batches[1]) != 1 || len(got.batches[2]) != 1 {
			t.Fatalf("batches %v", got.batches)
		}
		first := got.batches[0]
		if first[0].Value != tag.Bool(true) || first[0].Quality != tag.Good || first[0].Time != begin.UnixNano() {
			t.Errorf("at once: %+v", first[0])
		}
		if text := first[1].Value.Text(); len(text) > 1024 || strings.Trim(text, "é") != "" {
			t.Errorf("a text of %d bytes", len(text))
		}
		if !first[2].Quality.IsBad() {
			t.Errorf("what is not known: %+v", first[2])
		}
		if u := got.batches[2][0]; u.Value != tag.Bool(false) || u.Time != begin.Add(2*time.Second).UnixNano() {
			t.Errorf("after the change: %+v", u)
		}
		if got.batches[3][0].Time != begin.Add(3*time.Second).UnixNano() || len(got.batches[3]) != 3 {
			t.Errorf("the third second: %+v", got.batches[3])
		}
	})
}

func TestTakesNoValues(t *testing.T) {
	src, err := system.New(system.Options{Device: "pair"})
	if err != nil {
		t.Fatal(err)
	}
	if r := src.Write(t.Context(), acquisition.Write{}); r.Outcome != acquisition.Refused || r.Err == nil {
		t.Errorf("%+v", r)
	}
	if _, err := system.New(system.Options{Tags: []tag.Definition{definition(0, "path:up", time.Second)}}); err == nil {
		t.Error("a wrong address")
	}
	if _, err := system.New(system.Options{Tags: []tag.Definition{definition(0, "path:lan:up", 0)}}); err == nil {
		t.Error("no scan class")
	}
}
