package alarms_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"scada/acquisition/tag"
	"scada/alarms"
)

func FuzzReadOutcome(f *testing.F) {
	b := newBench(f, level("T.HI", "T", 80))
	f.Add(alarms.AppendOutcome(nil, b.eng.Sample(instant(1), b.update(1, "T", 85, 0))))
	f.Add(alarms.AppendOutcome(nil, b.eng.TakeOver(instant(2), 2)))
	f.Add(alarms.AppendOutcome(nil, b.eng.Sample(instant(3), b.update(3, "T", 50, tag.BadSensorFailure))))
	_, o := b.eng.Command(instant(3), alarms.Command{Kind: alarms.CommandAck, Condition: "T.HI", By: "li", Comment: "seen"})
	f.Add(alarms.AppendOutcome(nil, o))
	f.Fuzz(func(t *testing.T, in []byte) {
		o, _, err := alarms.ReadOutcome(in)
		if err != nil {
			return
		}
		out := alarms.AppendOutcome(nil, o)
		again, rest, err := alarms.ReadOutcome(out)
		if err != nil || len(rest) > 0 || !bytes.Equal(alarms.AppendOutcome(nil, again), out) {
			t.Fatalf("written and read is another outcome: %v", err)
		}
		e := newBench(t, level("T.HI", "T", 80)).eng
		_ = e.Apply(o) // whatever the peer sends must not end the program
		e.Advance(instant(10))
	})
}

func FuzzRestore(f *testing.F) {
	b := newBench(f, everyKind()...)
	f.Add(b.eng.Snapshot())
	for i := range 9 {
		b.eng.Samples(instant(float64(i)), []tag.Update{b.update(float64(i), "A", float64(i*20), 0), b.update(float64(i), "B", 50, 0)})
		f.Add(b.eng.Snapshot())
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		b := newBench(t, everyKind()...)
		before := b.eng.Snapshot()
		if err := b.eng.Restore(in); err != nil {
			if !bytes.Equal(before, b.eng.Snapshot()) {
				t.Fatal("a refused snapshot changed the engine")
			}
			return
		}
		b.eng.TakeOver(instant(10), 3)
		b.eng.Advance(instant(500))
	})
}

// everyKind is one alarm of each type and overlay, on two tags.
func everyKind() []alarms.Definition {
	four := map[alarms.Level]alarms.Limit{alarms.LevelHiHi: {Value: 90}, alarms.LevelHi: {Value: 80}, alarms.LevelLo: {Value: 20}, alarms.LevelLoLo: {Value: 10}}
	signed := map[alarms.Level]alarms.Limit{alarms.LevelHi: {Value: 30}, alarms.LevelLo: {Value: -30}}
	rates := map[alarms.Level]alarms.Limit{alarms.LevelRocHi: {Value: 20}, alarms.LevelRocLo: {Value: -20}}
	return []alarms.Definition{
		{ID: "level", Tag: "A", Type: alarms.TypeLevel, Limits: four, Deadband: 5, OnDelays: map[alarms.Level]time.Duration{alarms.LevelHi: 3 * time.Second}, OffDelay: 2 * time.Second, Realarm: 20 * time.Second},
		{ID: "split", Tag: "A", Type: alarms.TypeLevel, Limits: four, NonExclusive: true, Deadband: 1, ShelveMax: 30 * time.Second, SuppressTag: "B"},
		{ID: "dev", Tag: "A", Type: alarms.TypeDeviation, Setpoint: "B", Limits: signed, Deadband: 1, Latch: true},
		{ID: "roc", Tag: "A", Type: alarms.TypeRoc, Limits: rates, MaxGap: 5 * time.Second, OffDelay: time.Second},
		{ID: "disc", Tag: "B", Type: alarms.TypeDiscrete, Normal: []float64{50, 60}, SuppressedBy: "comm", FirstOut: "g"},
		{ID: "travel", Tag: "A", Type: alarms.TypeDiscrepancy, Target: "B", Tolerance: 10, ExpectedTime: 4 * time.Second, FirstOut: "g", NoAck: true},
		{ID: "comm", Tag: "A", Tags: []string{"B"}, Type: alarms.TypeBadQuality, OnDelay: 2 * time.Second},
		{ID: "bound", Tag: "A", Type: alarms.TypeLevel, Limits: map[alarms.Level]alarms.Limit{alarms.LevelHi: {Tag: "B"}}, HoldUncertain: true},
	}
}

// FuzzPair drives an active and a standby with the same story and checks what must hold in every one: both images are
// equal after every record, keys are never used twice, states follow the figure, and no event is out of nothing.
func FuzzPair(f *testing.F) {
	f.Add([]byte{0, 200, 1, 9, 3, 7, 2, 2, 130, 4, 4, 1, 60, 5, 5, 6, 0, 7, 1, 8, 2, 9, 3, 255})
	f.Add(bytes.Repeat([]byte{0, 220, 3, 0, 5, 1, 1, 50, 2, 1, 120, 9, 5, 9, 10, 1}, 8))
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) < 1200 {
			newFuzzPair(t, len(in)%2 == 1).run(in)
		}
	})
}

// TestRandomStories is FuzzPair with seeds; ALARM_SEEDS asks for more of them.
func TestRandomStories(t *testing.T) {
	seeds := 60
	if n, err := strconv.Atoi(os.Getenv("ALARM_SEEDS")); err == nil {
		seeds = n
	}
	for seed := range seeds {
		rng := rand.New(rand.NewPCG(uint64(seed), 7))
		in := make([]byte, 3*(20+rng.IntN(200)))
		for i := range in {
			in[i] = byte(rng.Uint32())
		}
		p := newFuzzPair(t, seed%2 == 1)
		p.run(in)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// newFuzzPair returns a pair, with flood suppression if asked for: one urgent level then comes through a flood.
func newFuzzPair(t *testing.T, floods bool) *fuzzPair {
	cfg := alarms.Config{Alarms: everyKind()}
	if floods {
		cfg.Alarms[0].Priorities = map[alarms.Level]alarms.Priority{alarms.LevelHiHi: alarms.PriorityHigh}
		cfg.Flood = alarms.FloodSuppression{Enter: 4, Leave: 2, Window: 15 * time.Second, Keep: alarms.PriorityHigh}
	}
	return &fuzzPair{t: t, cfg: cfg, nodes: [2]*bench{benchOf(t, cfg), benchOf(t, cfg)}, keys: map[alarms.Key]bool{}, now: 1, term: 1,
		states: map[string]alarms.State{}}
}

func (p *fuzzPair) run(in []byte) {
	for len(in) >= 3 {
		p.step(in[0], in[1], in[2])
		in = in[3:]
	}
}

type fuzzPair struct {
	t      testing.TB
	cfg    alarms.Config
	nodes  [2]*bench // the active first
	keys   map[alarms.Key]bool
	states map[string]alarms.State
	now    float64
	term   uint64
}

func (p *fuzzPair) step(op, arg, dt byte) {
	p.now += float64(dt%40) / 4
	now, a := instant(p.now), p.nodes[0]
	name := []string{"A", "B"}[arg%2]
	value := float64(arg / 2)
	switch op % 10 {
	case 0, 1, 2:
		p.share([]tag.Update{a.update(p.now, name, value, 0)}, false)
	case 3:
		p.share([]tag.Update{a.update(p.now, name, value, tag.BadCommunicationError)}, false)
	case 4:
		p.share([]tag.Update{a.update(p.now, name, value, tag.UncertainLastUsableValue), a.update(p.now, "B", math.NaN(), 0)}, false)
	case 5:
		at := p.now - float64(arg%16)
		p.share([]tag.Update{a.update(at, name, value, 0), a.update(at+1, name, float64(op), 0)}, arg%3 == 0)
	case 6:
		p.apply(nil, a.eng.Advance(now))
	case 7, 8:
		conds := a.eng.Conditions(alarms.Filter{})
		_, o := a.eng.Command(now, alarms.Command{Kind: alarms.CommandKind(1 + op/10%8), Condition: conds[int(arg)%len(conds)].ID,
			For: time.Duration(dt) * time.Second, Occurrence: uint64(dt % 3), By: "op"})
		p.apply(nil, o)
	case 9:
		p.rare(now, arg)
	}
}

func (p *fuzzPair) rare(now int64, arg byte) {
	switch arg % 3 {
	case 0: // planned switch-over
		p.nodes[0], p.nodes[1] = p.nodes[1], p.nodes[0]
		p.term++
		p.apply(nil, p.nodes[0].eng.TakeOver(now, p.term))
	case 1: // the active restarts from its own image
		fresh := benchOf(p.t, p.cfg)
		if err := fresh.eng.Restore(p.nodes[0].eng.Snapshot()); err != nil {
			p.t.Fatal(err)
		}
		p.nodes[0] = fresh
	case 2:
		a, b := p.nodes[0], p.nodes[1]
		o, err := a.eng.Reload(now, p.cfg, a.names.lookup, nil)
		if err != nil {
			p.t.Fatal(err)
		}
		if err := b.eng.Reconfigure(p.cfg, b.names.lookup); err != nil {
			p.t.Fatal(err)
		}
		p.apply(nil, o)
	}
}

func (p *fuzzPair) share(batch []tag.Update, exact bool) {
	a := p.nodes[0]
	if exact {
		p.apply(batch, a.eng.Reports(instant(p.now), batch))
	} else {
		p.apply(batch, a.eng.Samples(instant(p.now), batch))
	}
}

func (p *fuzzPair) apply(batch []tag.Update, o alarms.Outcome) {
	for i := range o.Events {
		p.check(&o.Events[i])
	}
	wire, _, err := alarms.ReadOutcome(alarms.AppendOutcome(nil, o))
	if err != nil {
		p.t.Fatal(err)
	}
	active, standby := p.nodes[0].eng, p.nodes[1].eng
	standby.Observe(batch)
	if err := standby.Apply(wire); err != nil {
		p.t.Fatal(err)
	}
	if !bytes.Equal(active.Snapshot(), standby.Snapshot()) {
		p.t.Fatalf("images differ at %v after %d samples:\n%s\n%s", p.now, len(batch), picture(active), picture(standby))
	}
	if at, ok := active.Deadline(); ok && at <= instant(p.now)-int64(time.Second) && o.Mark == nil {
		p.t.Fatalf("a timer of %v is still waiting at %v", seconds(at), p.now)
	}
}

// check verifies one event against the figure of states.
func (p *fuzzPair) check(ev *alarms.Event) {
	was := p.states[ev.Condition]
	p.states[ev.Condition] = ev.State
	wrong := ""
	switch ev.Kind {
	case alarms.KindRaise:
		if was == alarms.StateUnack || was == alarms.StateAcked || ev.Level == alarms.LevelNone {
			wrong = "raised while active"
		}
	case alarms.KindClear:
		if !was.Hidden() && was != alarms.StateUnack && was != alarms.StateAcked {
			wrong = "cleared while not active"
		}
	case alarms.KindAck:
		if was.Hidden() {
			wrong = "acknowledged while hidden"
		}
	}
	if ev.Annunciate && ev.State.Hidden() {
		wrong = "annunciated while hidden"
	}
	if ev.NotBefore > ev.Time || ev.Onset > ev.Time {
		wrong = "uncertain or true only after it happened"
	}
	if p.keys[ev.Key] && ev.Kind != alarms.KindQuality && ev.Kind != alarms.KindLevel && ev.Kind != alarms.KindSuppress &&
		ev.Kind != alarms.KindUnsuppress && ev.Kind < alarms.KindAck {
		wrong = "recorded twice"
	}
	p.keys[ev.Key] = true
	if wrong != "" {
		p.t.Fatalf("%s (was %s): %s", describe(ev), was, wrong)
	}
}

func picture(e *alarms.Engine) string {
	s := ""
	for _, c := range e.Conditions(alarms.Filter{}) {
		s += fmt.Sprintf("%+v\n", c)
	}
	return s
}
