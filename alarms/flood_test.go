package alarms_test

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"time"

	"scada/acquisition/tag"
	"scada/alarms"
)

// floodPlant has an engine with flood suppression over more than three activations in a minute, and the alarms L0 to L9
// of the tags T0 to T9: a high limit of medium priority and a higher one of high.
func floodPlant(t testing.TB) *bench {
	t.Helper()
	cfg := alarms.Config{Flood: alarms.FloodSuppression{Enter: 3, Leave: 2, Window: time.Minute, Keep: alarms.PriorityHigh}}
	for i := range 10 {
		cfg.Alarms = append(cfg.Alarms, alarms.Definition{ID: fmt.Sprintf("L%d", i), Tag: fmt.Sprintf("T%d", i), Type: alarms.TypeLevel,
			Limits:     map[alarms.Level]alarms.Limit{alarms.LevelHi: {Value: 80}, alarms.LevelHiHi: {Value: 90}},
			Priorities: map[alarms.Level]alarms.Priority{alarms.LevelHiHi: alarms.PriorityHigh}})
	}
	b := benchOf(t, cfg)
	for i := range 10 {
		b.see(0, fmt.Sprintf("T%d", i), 50, 0)
	}
	return b
}

// pour begins a flood at 1 s, 2 s, …: the fourth activation is the first that is hidden.
func (b *bench) pour() {
	b.t.Helper()
	for i := range 3 {
		b.want(b.see(float64(i+1), fmt.Sprintf("T%d", i), 85, 0), fmt.Sprintf("RAISE L%d UNACK", i))
	}
	b.want(b.see(4, "T3", 85, 0), "SUPPRESS L3 SUPPRESSED, RAISE L3 SUPPRESSED")
}

func (b *bench) advance(at float64) string { return told(b.eng.Advance(instant(at))) }

func TestAFloodHidesWhatComesUntilItIsOver(t *testing.T) {
	b := floodPlant(t)
	b.pour()
	if since := b.eng.FloodSince(); since != instant(4) {
		t.Errorf("a flood since %v", seconds(since))
	}
	b.want(b.see(5, "T4", 85, 0), "SUPPRESS L4 SUPPRESSED, RAISE L4 SUPPRESSED")
	b.want(b.see(6, "T4", 50, 0), "CLEAR L4 SUPPRESSED")
	b.want(b.see(7, "T0", 50, 0), "CLEAR L0 RTN_UNACK")
	// Five activations in a minute, four, three, two; fewer than two are left a minute after the last but one.
	b.want(b.advance(63.999), "")
	o := b.eng.Advance(instant(64))
	b.want(told(o), "UNSUPPRESS L3 UNACK, UNSUPPRESS L4 NORM")
	if !o.Events[0].Annunciate || o.Events[1].Annunciate || o.Events[0].Note != alarms.NoteFlood || b.eng.FloodSince() != 0 {
		t.Errorf("%+v", o.Events)
	}
	// What came back is no activation: the next is one of one.
	b.want(b.see(65, "T5", 85, 0), "RAISE L5 UNACK")
}

func TestUrgentAlarmsComeThroughAFlood(t *testing.T) {
	b := floodPlant(t)
	b.pour()
	b.want(b.see(5, "T5", 95, 0), "RAISE L5 UNACK")
	o := b.eng.Sample(instant(6), b.update(6, "T3", 95, 0))
	b.want(told(o), "LEVEL L3 SUPPRESSED, UNSUPPRESS L3 UNACK")
	if o.Events[0].Annunciate || !o.Events[1].Annunciate {
		t.Errorf("%+v", o.Events)
	}
	b.want(b.see(7, "T6", 85, 0), "SUPPRESS L6 SUPPRESSED, RAISE L6 SUPPRESSED")
	b.want(b.see(8, "T6", 50, 0), "CLEAR L6 SUPPRESSED")
	b.want(b.see(9, "T6", 95, 0), "RAISE L6 SUPPRESSED, UNSUPPRESS L6 UNACK")
}

func TestAFloodTakesNothingOutOfTheList(t *testing.T) {
	b := floodPlant(t)
	b.want(b.see(0.5, "T9", 85, 0), "RAISE L9 UNACK")
	b.want(b.see(0.6, "T9", 50, 0), "CLEAR L9 RTN_UNACK")
	b.see(1, "T0", 85, 0)
	b.see(2, "T1", 85, 0)
	b.want(b.see(3, "T9", 85, 0), "RAISE L9 UNACK")
	if b.eng.FloodSince() == 0 {
		t.Error("four activations are no flood")
	}
	b.want(b.see(4, "T2", 85, 0), "SUPPRESS L2 SUPPRESSED, RAISE L2 SUPPRESSED")
}

func TestWhatIsHiddenAnywayDoesNotMakeAFlood(t *testing.T) {
	b := floodPlant(t)
	for i := range 6 {
		b.eng.Command(instant(0.5), alarms.Command{Kind: alarms.CommandOOS, Condition: fmt.Sprintf("L%d", i), By: "li"})
		b.see(1, fmt.Sprintf("T%d", i), 85, 0)
	}
	if b.eng.FloodSince() != 0 {
		t.Error("alarms out of service made a flood")
	}
	b.want(b.see(2, "T6", 85, 0), "RAISE L6 UNACK")
	for i := range 3 { // spread over more than the window
		b.want(b.see(float64(30+30*i), fmt.Sprintf("T%d", 7+i), 85, 0), fmt.Sprintf("RAISE L%d UNACK", 7+i))
	}
}

func TestAFloodSurvivesATakeOver(t *testing.T) {
	a, b := floodPlant(t), floodPlant(t)
	a.pour()
	if err := b.eng.Restore(a.eng.Snapshot()); err != nil {
		t.Fatal(err)
	}
	b.want(told(b.eng.TakeOver(instant(10), 2)), "")
	b.want(b.see(11, "T4", 85, 0), "SUPPRESS L4 SUPPRESSED, RAISE L4 SUPPRESSED")
	b.see(12, "T3", 85, 0)
	if at, ok := b.eng.Deadline(); !ok || at != instant(64) {
		t.Errorf("the next timer is at %v", seconds(at))
	}
	// One that takes over when the flood should have ended ends it then.
	if err := a.eng.Restore(b.eng.Snapshot()); err != nil {
		t.Fatal(err)
	}
	a.want(told(a.eng.TakeOver(instant(100), 3)), "UNSUPPRESS L3 UNACK, UNSUPPRESS L4 UNACK")
}

func TestAFloodEndsWithItsConfiguration(t *testing.T) {
	b := floodPlant(t)
	b.pour()
	var defs []alarms.Definition
	for i := range 10 {
		d, _ := b.eng.Definition(fmt.Sprintf("L%d", i))
		defs = append(defs, *d)
	}
	image := b.eng.Snapshot()
	o, err := b.eng.Reload(instant(5), alarms.Config{Alarms: defs}, b.names.lookup, nil)
	if err != nil {
		t.Fatal(err)
	}
	b.want(told(o), "UNSUPPRESS L3 UNACK")
	// The same when a node starts with a new configuration.
	fresh := newBench(t, defs...)
	if err := fresh.eng.Restore(image); err != nil {
		t.Fatal(err)
	}
	b.want(told(fresh.eng.TakeOver(instant(5), 2)), "UNSUPPRESS L3 UNACK")
	if fresh.eng.FloodSince() != 0 {
		t.Error("a flood without flood suppression")
	}
}

func TestAFloodDoesNotLastForAsLongAsTheClockIsSetBack(t *testing.T) {
	b := floodPlant(t)
	b.eng.Advance(instant(3600))
	for i := range 4 {
		b.see(3600, fmt.Sprintf("T%d", i), 85, 0)
	}
	b.want(b.advance(10), "")
	b.want(b.advance(69.9), "")
	b.want(b.advance(70), "UNSUPPRESS L3 UNACK")
}

func TestFloodSuppressionIsChecked(t *testing.T) {
	good := alarms.DefaultFloodSuppression()
	for name, change := range map[string]func(*alarms.FloodSuppression){
		"no enter":        func(f *alarms.FloodSuppression) { f.Enter = 0 },
		"much enter":      func(f *alarms.FloodSuppression) { f.Enter = alarms.MaxFloodEnter + 1 },
		"no leave":        func(f *alarms.FloodSuppression) { f.Leave = 0 },
		"leave over":      func(f *alarms.FloodSuppression) { f.Leave = f.Enter + 1 },
		"short window":    func(f *alarms.FloodSuppression) { f.Window = alarms.MinFloodWindow - 1 },
		"long window":     func(f *alarms.FloodSuppression) { f.Window = alarms.MaxFloodWindow + 1 },
		"no keep":         func(f *alarms.FloodSuppression) { f.Keep = alarms.PriorityUnset },
		"keep everything": func(f *alarms.FloodSuppression) { f.Keep = alarms.PriorityJournal },
		"beyond critical": func(f *alarms.FloodSuppression) { f.Keep = alarms.PriorityCritical + 1 },
	} {
		f := good
		change(&f)
		if (alarms.Config{Flood: f}).Validate() == nil {
			t.Errorf("%s was accepted: %+v", name, f)
		}
	}
	if err := (alarms.Config{Flood: good}).Validate(); err != nil {
		t.Error(err)
	}
}

// TestTheFloodTravelsInParts: with the least room for each part the standby still ends with the same image.
func TestTheFloodTravelsInParts(t *testing.T) {
	a, b := floodPlant(t), floodPlant(t)
	batch := make([]tag.Update, 10)
	for i := range batch {
		batch[i] = a.update(1, fmt.Sprintf("T%d", i), 85, 0)
	}
	o := a.eng.Samples(instant(1), batch)
	b.eng.Observe(batch)
	for _, part := range alarms.EncodeOutcome(o, 1) {
		got, rest, err := alarms.ReadOutcome(part)
		if err != nil || len(rest) > 0 {
			t.Fatal(err)
		}
		if err := b.eng.Apply(got); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(a.eng.Snapshot(), b.eng.Snapshot()) {
		t.Error("the images differ")
	}
}

// TestVersion1IsRead: testdata/v1 was written by a program that knew neither floods nor the last event of a condition.
func TestVersion1IsRead(t *testing.T) {
	snapshot, err := os.ReadFile("testdata/v1/snapshot.bin")
	if err != nil {
		t.Fatal(err)
	}
	outcome, err := os.ReadFile("testdata/v1/outcome.bin")
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, everyKind()...)
	if err := b.eng.Restore(snapshot); err != nil {
		t.Fatal(err)
	}
	o, rest, err := alarms.ReadOutcome(outcome)
	if err != nil || len(rest) > 0 || len(o.Events) != 1 || len(o.Changed) != 1 {
		t.Fatalf("%+v, %v", o, err)
	}
	if err := b.eng.Apply(o); err != nil {
		t.Fatal(err)
	}
	dev, _ := b.eng.Condition("dev")
	acked, _ := b.eng.Condition(o.Changed[0].ID)
	if dev.State != alarms.StateUnack || dev.Level != alarms.LevelHi || dev.Occurrence != 2 || acked.AckedBy != "li" || acked.Comment != "seen" || !acked.State.Hidden() && acked.State == alarms.StateUnack {
		t.Errorf("%+v\n%+v", dev, acked)
	}
	again := newBench(t, everyKind()...)
	if err := again.eng.Restore(b.eng.Snapshot()); err != nil || !bytes.Equal(again.eng.Snapshot(), b.eng.Snapshot()) {
		t.Errorf("an old image written anew is another: %v", err)
	}
}

// TestAConditionKnowsItsLastEvent: an OPC UA client is told of a condition by the key of its last event.
func TestAConditionKnowsItsLastEvent(t *testing.T) {
	b := newBench(t, level("T.HI", "T", 80))
	check := func(o alarms.Outcome) {
		t.Helper()
		last := o.Events[len(o.Events)-1]
		c, _ := b.eng.Condition("T.HI")
		if want := (alarms.LastEvent{Key: last.Key, Occurrence: last.Occurrence, By: last.By}); c.Last != want || want.Key == (alarms.Key{}) {
			t.Errorf("%+v, want %+v", c.Last, want)
		}
	}
	check(b.eng.Sample(instant(1), b.update(1, "T", 85, 0)))
	check(b.eng.Sample(instant(2), b.update(2, "T", 50, 0)))
	check(b.eng.Sample(instant(3), b.update(3, "T", 85, 0)))
	_, o := b.eng.Command(instant(4), alarms.Command{Kind: alarms.CommandAck, Condition: "T.HI", Occurrence: 1, By: "li"})
	check(o)
}
