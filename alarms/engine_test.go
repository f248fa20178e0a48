package alarms_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"scada/acquisition/tag"
	"scada/alarms"
)

func level(id, tagName string, hi float64) alarms.Definition {
	return alarms.Definition{ID: id, Tag: tagName, Type: alarms.TypeLevel, Limits: map[alarms.Level]alarms.Limit{alarms.LevelHi: {Value: hi}}}
}

// bench is an engine with a way to say things shortly.
type bench struct {
	t     testing.TB
	eng   *alarms.Engine
	names *names
}

func newBench(t testing.TB, defs ...alarms.Definition) *bench {
	t.Helper()
	return benchOf(t, alarms.Config{Alarms: defs})
}

func benchOf(t testing.TB, cfg alarms.Config) *bench {
	t.Helper()
	b := &bench{t: t, names: newNames()}
	var err error
	if b.eng, err = alarms.New(cfg, b.names.lookup); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) update(at float64, name string, v float64, q tag.Quality) tag.Update {
	id, _ := b.names.lookup(name)
	return tag.Update{Tag: id, Sample: tag.Sample{Time: instant(at), Value: tag.Float64(v), Quality: q}}
}

// see feeds one sample and returns what happened, as "KIND condition STATE".
func (b *bench) see(at float64, name string, v float64, q tag.Quality) string {
	return told(b.eng.Sample(instant(at), b.update(at, name, v, q)))
}

func told(o alarms.Outcome) string {
	var words []string
	for i := range o.Events {
		words = append(words, fmt.Sprintf("%s %s %s", o.Events[i].Kind, o.Events[i].Condition, o.Events[i].State))
	}
	return strings.Join(words, ", ")
}

func (b *bench) want(got, want string) {
	b.t.Helper()
	if got != want {
		b.t.Errorf("happened: %q, want %q", got, want)
	}
}

func TestALimitBoundToATag(t *testing.T) {
	d := level("T.HI", "T", 0)
	d.Limits[alarms.LevelHi] = alarms.Limit{Tag: "LIM"}
	d.Text = "{tag} is at {value} {unit}, {level} {limit}"
	d.Unit = "m"
	b := newBench(t, d)
	b.want(b.see(1, "T", 85, tag.Good), "")
	b.want(b.see(2, "LIM", 90, tag.Good), "")
	b.want(b.see(3, "LIM", 80, tag.Good), "RAISE T.HI UNACK")
	if c, _ := b.eng.Condition("T.HI"); c.Message != "T is at 85 m, Hi 80" || c.Limit != 80 {
		t.Errorf("message %q, limit %v", c.Message, c.Limit)
	}
	b.want(b.see(4, "LIM", 0, tag.BadCommunicationError), "")
	b.want(b.see(5, "T", 79, tag.Good), "CLEAR T.HI RTN_UNACK")
	b.want(b.see(6, "LIM", 70, tag.Good), "RAISE T.HI UNACK")
}

func TestOneAlarmForALostDevice(t *testing.T) {
	b := newBench(t, alarms.Definition{ID: "PLC.COMM", Type: alarms.TypeBadQuality, Tag: "A", Tags: []string{"B", "C"}})
	b.want(b.see(1, "A", 1, tag.Good), "")
	b.want(b.see(2, "B", 1, tag.BadSensorFailure), "")
	b.want(b.see(3, "C", 1, tag.BadCommunicationError), "")
	b.want(b.see(4, "A", 1, tag.BadCommunicationError), "RAISE PLC.COMM UNACK")
	b.eng.TakeOver(instant(5), 2)
	b.want(b.see(6, "A", 1, tag.BadCommunicationError), "")
	o := b.eng.Sample(instant(7), b.update(7, "C", 1, tag.Good))
	b.want(told(o), "CLEAR PLC.COMM RTN_UNACK")
	if nb := o.Events[0].NotBefore; nb != instant(4) {
		t.Errorf("not before %v, want 4", seconds(nb))
	}
	b.eng.TakeOver(instant(8), 3)
	b.want(b.see(100, "A", 1, tag.BadCommunicationError), "") // of the others nothing is known yet
	b.want(b.see(101, "B", 1, tag.BadCommunicationError), "")
	b.want(b.see(102, "C", 1, tag.BadCommunicationError), "RAISE PLC.COMM UNACK")
}

func TestJournalPriorityIsNeverAnnounced(t *testing.T) {
	d := level("T.HI", "T", 80)
	d.Limits[alarms.LevelHiHi] = alarms.Limit{Value: 90}
	d.Priorities = map[alarms.Level]alarms.Priority{alarms.LevelHi: alarms.PriorityJournal, alarms.LevelHiHi: alarms.PriorityHigh}
	b := newBench(t, d)
	o := b.eng.Sample(instant(1), b.update(1, "T", 85, 0))
	if len(o.Events) != 1 || o.Events[0].Annunciate || b.eng.Horn() != alarms.PriorityUnset {
		t.Errorf("%+v, horn %s", o.Events, b.eng.Horn())
	}
	o = b.eng.Sample(instant(2), b.update(2, "T", 95, 0))
	if len(o.Events) != 1 || !o.Events[0].Annunciate || b.eng.Horn() != alarms.PriorityHigh || o.Events[0].Priority != alarms.PriorityHigh {
		t.Errorf("%+v, horn %s", o.Events, b.eng.Horn())
	}
}

func TestAClockThatJumpedAhead(t *testing.T) {
	b := newBench(t, level("T.HI", "T", 80))
	far := b.update(1e9, "T", 50, 0)
	b.want(told(b.eng.Sample(instant(1), far)), "")
	o := b.eng.Sample(instant(2), b.update(2, "T", 85, 0))
	b.want(told(o), "RAISE T.HI UNACK")
	ahead := b.update(4, "T", 50, 0)
	o = b.eng.Sample(instant(3.5), ahead)
	b.want(told(o), "CLEAR T.HI RTN_UNACK")
	if o.Events[0].Time != instant(4) {
		t.Errorf("half a second ahead is the device's own time, got %v", seconds(o.Events[0].Time))
	}
}

// TestAClockThatWasSetBack: an hour back, and the alarms must not be deaf for an hour.
func TestAClockThatWasSetBack(t *testing.T) {
	late := level("T.LATE", "T", 90)
	late.OnDelay = 5 * time.Second
	b := newBench(t, level("T.HI", "T", 80), late)
	const hour = 3600
	b.want(told(b.eng.Sample(instant(hour), b.update(hour, "T", 95, 0))), "RAISE T.HI UNACK")
	b.want(told(b.eng.Sample(instant(1), b.update(1, "T", 95, 0))), "")
	b.want(told(b.eng.Sample(instant(5.9), b.update(5.9, "T", 95, 0))), "")
	b.want(told(b.eng.Sample(instant(6.1), b.update(6.1, "T", 95, 0))), "RAISE T.LATE UNACK")
	b.want(told(b.eng.Sample(instant(7), b.update(7, "T", 50, 0))), "CLEAR T.HI RTN_UNACK, CLEAR T.LATE RTN_UNACK")
	b.want(told(b.eng.Sample(instant(8), b.update(8, "T", 85, 0))), "RAISE T.HI UNACK")
}

func TestAnOldGoodValueAfterALoss(t *testing.T) {
	// An OPC UA server gives a value that did not change during an outage the time of its last change.
	b := newBench(t, level("T.HI", "T", 80))
	b.want(b.see(1, "T", 85, tag.Good), "RAISE T.HI UNACK")
	b.want(b.see(10, "T", 0, tag.BadCommunicationError), "QUALITY T.HI UNACK")
	b.want(told(b.eng.Sample(instant(20), b.update(1, "T", 85, 0))), "QUALITY T.HI UNACK")
	b.want(told(b.eng.Sample(instant(21), b.update(0.5, "T", 50, 0))), "")
	b.want(told(b.eng.Sample(instant(22), b.update(22, "T", 50, 0))), "CLEAR T.HI RTN_UNACK")
}

func TestTransitionsOfAConditionDoNotRunBackwards(t *testing.T) {
	d := level("T.HI", "T", 80)
	d.OnDelay = 10 * time.Second
	b := newBench(t, d)
	b.want(b.see(0, "T", 85, tag.Good), "")
	b.want(told(b.eng.Advance(instant(11))), "RAISE T.HI UNACK")
	o := b.eng.Sample(instant(11.1), b.update(9.9, "T", 50, 0)) // its journey took longer than the timer
	if len(o.Events) != 1 || o.Events[0].Time != instant(10) {
		t.Errorf("cleared before it was raised: %+v", o.Events)
	}
}

func TestASampleWithoutATimeIsOfNow(t *testing.T) {
	b := newBench(t, level("T.HI", "T", 80))
	u := b.update(1, "T", 85, 0)
	u.Time = 0
	o := b.eng.Sample(instant(1), u)
	if len(o.Events) != 1 || o.Events[0].Time != instant(1) {
		t.Errorf("%+v", o.Events)
	}
}

func TestAClockThatJumpsByYearsIsNotWorkedOff(t *testing.T) {
	d := level("T.HI", "T", 80)
	d.Realarm = time.Minute
	b := newBench(t, d)
	b.see(0, "T", 85, 0)
	o := b.eng.Advance(instant(20 * 365 * 86400))
	if n := len(o.Events); n == 0 || n > 1002 {
		t.Errorf("%d re-alarms", n)
	}
	if at, ok := b.eng.Deadline(); !ok || at <= instant(20*365*86400) || at > instant(20*365*86400+60) {
		t.Errorf("the next one at %v", seconds(at))
	}
}

func TestEveryCutOfAnImageIsRefused(t *testing.T) {
	b := newBench(t, everyKind()...)
	o := b.eng.Samples(instant(1), []tag.Update{b.update(1, "A", 95, 0), b.update(1, "B", 5, 0)})
	_, c := b.eng.Command(instant(2), alarms.Command{Kind: alarms.CommandAck, Condition: "level", By: "li", Comment: "seen"})
	o.Events = append(o.Events, c.Events...)
	wire, image := alarms.AppendOutcome(nil, o), b.eng.Snapshot()
	for n := range wire {
		if _, _, err := alarms.ReadOutcome(wire[:n]); !errors.Is(err, alarms.ErrCodec) {
			t.Fatalf("outcome cut at %d of %d: %v", n, len(wire), err)
		}
	}
	for n := range image {
		if err := b.eng.Restore(image[:n]); !errors.Is(err, alarms.ErrCodec) {
			t.Fatalf("snapshot cut at %d of %d: %v", n, len(image), err)
		}
	}
	if err := b.eng.Restore(append(image, 0)); !errors.Is(err, alarms.ErrCodec) {
		t.Errorf("a byte too many: %v", err)
	}
	wire[0] = 99
	if _, _, err := alarms.ReadOutcome(wire); err == nil || !strings.Contains(err.Error(), "format") && !strings.Contains(err.Error(), "out of range") {
		t.Errorf("another format: %v", err)
	}
}

func TestAnOutcomeForAnotherConfiguration(t *testing.T) {
	a, b := newBench(t, level("A", "T", 80), level("B", "T", 80)), newBench(t, level("B", "T", 80))
	err := b.eng.Apply(a.eng.Sample(instant(1), a.update(1, "T", 85, 0)))
	if err == nil || !strings.Contains(err.Error(), `"A"`) {
		t.Errorf("nobody was told: %v", err)
	}
	if c, _ := b.eng.Condition("B"); c.State != alarms.StateUnack {
		t.Errorf("what is known was not applied: %s", c.State)
	}
}

func TestEventsSurviveJSON(t *testing.T) {
	b := newBench(t, level("T.HI", "T", 80))
	o := b.eng.Sample(instant(1), b.update(1, "T", 85, 0))
	text, err := json.Marshal(o.Events[0])
	if err != nil {
		t.Fatal(err)
	}
	var back alarms.Event
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	back.Value, back.Quality = o.Events[0].Value, o.Events[0].Quality // the journal keeps these as text of its own
	if fmt.Sprint(back) != fmt.Sprint(o.Events[0]) {
		t.Errorf("%s read back as %+v", text, back)
	}
	if err := json.Unmarshal([]byte(`{"kind":"BOOM"}`), &back); err == nil {
		t.Error("an unknown kind was accepted")
	}
}

func TestReportOfWhoWasSlow(t *testing.T) {
	var events []alarms.Event
	add := func(at float64, kind alarms.Kind, cond, note string) {
		events = append(events, alarms.Event{Time: instant(at), Kind: kind, Condition: cond, Note: note, Annunciate: kind == alarms.KindRaise, Priority: alarms.PriorityLow})
	}
	add(-5, alarms.KindRaise, "EARLY", "")
	for i := range 11 {
		add(600+float64(i), alarms.KindRaise, fmt.Sprintf("C%d", i), "")
	}
	add(620, alarms.KindRaise, "TWIN", alarms.NoteFork)
	add(630, alarms.KindAck, "C0", "")
	add(661, alarms.KindAck, "C1", "")
	add(2000, alarms.KindRaise, "LATE", "")
	r := alarms.KPI(events, epoch, instant(1800))
	if r.Ack != (alarms.AckTimes{Count: 2, Median: 30 * time.Second, P95: time.Minute, Max: time.Minute}) {
		t.Errorf("times to acknowledge %+v", r.Ack)
	}
	if r.Total != 11 || len(r.Floods) != 1 || r.Floods[0].First != "C0" || r.Floods[0].Count != 11 ||
		r.Floods[0].From != instant(600) || r.Floods[0].To != instant(1200) || len(r.Top) != 10 || math.Round(r.PctTop) != 91 {
		t.Errorf("%+v", r)
	}
	if empty := alarms.KPI(nil, epoch, epoch); empty.Total != 0 || empty.PctOver != 0 || empty.PctInFlood != 0 {
		t.Errorf("%+v", empty)
	}
}

func TestTextIsBadQuality(t *testing.T) {
	b := newBench(t, level("T.HI", "T", 80))
	b.want(b.see(1, "T", 85, tag.Good), "RAISE T.HI UNACK")
	u := b.update(2, "T", 0, 0)
	u.Value = tag.String("off")
	b.want(told(b.eng.Sample(instant(2), u)), "QUALITY T.HI UNACK")
}

func TestLateTimersFireInOrderAtTheirOwnInstants(t *testing.T) {
	var defs []alarms.Definition
	for i := range 20 {
		d := level(fmt.Sprintf("T%d", i), "T", 80)
		d.OnDelay = time.Duration(1+(i*7)%20) * time.Second
		defs = append(defs, d)
	}
	b := newBench(t, defs...)
	b.want(b.see(0, "T", 85, 0), "")
	if at, ok := b.eng.Deadline(); !ok || at != instant(1) {
		t.Errorf("deadline %v %v, want 1", seconds(at), ok)
	}
	o := b.eng.Advance(instant(100))
	for i, ev := range o.Events {
		if ev.Time != instant(float64(i+1)) || ev.Onset != instant(0) {
			t.Errorf("event %d at %v, onset %v", i, seconds(ev.Time), seconds(ev.Onset))
		}
	}
	if _, ok := b.eng.Deadline(); ok || len(o.Events) != 20 {
		t.Errorf("%d events and still a deadline: %v", len(o.Events), ok)
	}
}

func TestARestoredConditionThatIsNotConfiguredIsClosedOnce(t *testing.T) {
	old := newBench(t, level("OLD", "T", 80), level("KEPT", "T", 80), level("NORMAL", "T", 1000))
	old.see(1, "T", 85, 0)
	b := newBench(t, level("KEPT", "T", 80))
	if err := b.eng.Restore(old.eng.Snapshot()); err != nil {
		t.Fatal(err)
	}
	again := newBench(t, level("KEPT", "T", 80))
	if err := again.eng.Restore(b.eng.Snapshot()); err != nil {
		t.Fatal(err)
	}
	o := again.eng.TakeOver(instant(5), 2)
	b.want(told(o), "CLEAR OLD NORM")
	if o.Events[0].Note != alarms.NoteRemoved || o.Events[0].Term != 2 {
		t.Errorf("%+v", o.Events[0])
	}
	b.want(told(again.eng.TakeOver(instant(6), 3)), "")
}

func TestCommandsThatAreRefusedChangeNothing(t *testing.T) {
	d := level("T.HI", "T", 80)
	b := newBench(t, d)
	b.see(1, "T", 85, 0)
	before := b.eng.Snapshot()
	long := strings.Repeat("x", alarms.MaxText+1)
	for _, c := range []struct {
		cmd  alarms.Command
		want alarms.Result
	}{
		{alarms.Command{Kind: alarms.CommandAck, Condition: "NONE"}, alarms.ResultUnknownCondition},
		{alarms.Command{Condition: "T.HI"}, alarms.ResultUnknownCommand},
		{alarms.Command{Kind: 99, Condition: "T.HI"}, alarms.ResultUnknownCommand},
		{alarms.Command{Kind: alarms.CommandAck, Condition: "T.HI", By: long}, alarms.ResultTextTooLong},
		{alarms.Command{Kind: alarms.CommandComment, Condition: "T.HI", Comment: long}, alarms.ResultTextTooLong},
		{alarms.Command{Kind: alarms.CommandShelve, Condition: "T.HI", For: alarms.MaxDelay + 1}, alarms.ResultShelvingOutOfRange},
		{alarms.Command{Kind: alarms.CommandShelve, Condition: "T.HI", For: -1}, alarms.ResultShelvingOutOfRange},
		{alarms.Command{Kind: alarms.CommandAck, Condition: "T.HI", Occurrence: 2}, alarms.ResultUnknownOccurrence},
		{alarms.Command{Kind: alarms.CommandReset, Condition: "T.HI"}, alarms.ResultInvalidState},
		{alarms.Command{Kind: alarms.CommandUnshelve, Condition: "T.HI"}, alarms.ResultNotShelved},
		{alarms.Command{Kind: alarms.CommandRTS, Condition: "T.HI"}, alarms.ResultNotOOS},
	} {
		r, o := b.eng.Command(instant(2), c.cmd)
		if r != c.want || !o.IsZero() {
			t.Errorf("%+v: %s, %d events; want %s", c.cmd, r, len(o.Events), c.want)
		}
	}
	if string(before) != string(b.eng.Snapshot()) {
		t.Error("the image changed")
	}
}

func TestACommentIsKeptUntilTheNextOccurrence(t *testing.T) {
	b := newBench(t, level("T.HI", "T", 80))
	b.see(1, "T", 85, 0)
	r, o := b.eng.Command(instant(2), alarms.Command{Kind: alarms.CommandComment, Condition: "T.HI", By: "li", Comment: "valve stuck"})
	b.want(string(r)+" "+told(o), "ok COMMENT T.HI UNACK")
	c, _ := b.eng.Condition("T.HI")
	if c.Comment != "valve stuck" || o.Events[0].Comment != "valve stuck" || o.Events[0].By != "li" {
		t.Errorf("%+v", c)
	}
	b.see(3, "T", 50, 0)
	b.see(4, "T", 85, 0)
	if c, _ := b.eng.Condition("T.HI"); c.Comment != "" {
		t.Errorf("the comment of the old occurrence is still there: %q", c.Comment)
	}
}

func TestListsAndCounts(t *testing.T) {
	hi, lo := level("A", "T", 80), level("B", "U", 80)
	hi.Area, hi.Priority, lo.Area, lo.Priority = "north", alarms.PriorityCritical, "south", alarms.PriorityLow
	b := newBench(t, hi, lo, level("C", "V", 80))
	b.see(1, "T", 85, 0)
	b.see(1, "U", 85, 0)
	b.eng.Command(instant(2), alarms.Command{Kind: alarms.CommandOOS, Condition: "B"})
	for _, c := range []struct {
		f    alarms.Filter
		want []string
	}{
		{alarms.Filter{}, []string{"A", "B", "C"}},
		{alarms.Filter{Active: true}, []string{"A"}},
		{alarms.Filter{States: []alarms.State{alarms.StateOOS, alarms.StateNorm}}, []string{"B", "C"}},
		{alarms.Filter{Area: "south"}, []string{"B"}},
		{alarms.Filter{Tag: "V"}, []string{"C"}},
		{alarms.Filter{Condition: "A"}, []string{"A"}},
		{alarms.Filter{MinPriority: alarms.PriorityMedium}, []string{"A", "C"}},
	} {
		var got []string
		for _, x := range b.eng.Conditions(c.f) {
			got = append(got, x.ID)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v, want %v", c.f, got, c.want)
		}
	}
	if n := b.eng.Counts(); n[alarms.StateUnack] != 1 || n[alarms.StateOOS] != 1 || n[alarms.StateNorm] != 1 {
		t.Errorf("counts %v", n)
	}
	if b.eng.Horn() != alarms.PriorityCritical {
		t.Errorf("horn %s", b.eng.Horn())
	}
}

func TestEarlierOccurrencesAreBounded(t *testing.T) {
	b := newBench(t, level("T.HI", "T", 80))
	for i := range alarms.MaxEarlier + 10 {
		b.see(float64(2*i), "T", 85, 0)
		b.see(float64(2*i+1), "T", 50, 0)
	}
	c, _ := b.eng.Condition("T.HI")
	if len(c.Earlier) != alarms.MaxEarlier || c.Earlier[0] != 10 {
		t.Errorf("%d remembered, the first is %d", len(c.Earlier), c.Earlier[0])
	}
	r, o := b.eng.Command(instant(1e4), alarms.Command{Kind: alarms.CommandAck, Condition: "T.HI"})
	if r != alarms.ResultOK || len(o.Events[0].Also) != alarms.MaxEarlier {
		t.Errorf("%s %+v", r, o.Events)
	}
	if _, _, err := alarms.ReadOutcome(alarms.AppendOutcome(nil, o)); err != nil {
		t.Error(err)
	}
}

func TestEventKeysSeparateEverythingThatIsNotTheSame(t *testing.T) {
	base := alarms.Event{Condition: "A", Term: 1, Occurrence: 2, Kind: alarms.KindRaise, Level: alarms.LevelHi, Time: 5}
	variants := []func(*alarms.Event){
		func(e *alarms.Event) { e.Condition = "B" }, func(e *alarms.Event) { e.Term = 2 }, func(e *alarms.Event) { e.Occurrence = 3 },
		func(e *alarms.Event) { e.Kind = alarms.KindClear }, func(e *alarms.Event) { e.Level = alarms.LevelHiHi }, func(e *alarms.Event) { e.Time = 6 },
	}
	seen := map[alarms.Key]bool{alarms.KeyOf(&base): true}
	for i, change := range variants {
		e := base
		change(&e)
		if k := alarms.KeyOf(&e); seen[k] {
			t.Errorf("variant %d has a key seen before", i)
		} else {
			seen[k] = true
		}
	}
	same := base
	same.Annunciate, same.Note, same.By, same.State = true, alarms.NoteFork, "x", alarms.StateOOS
	if alarms.KeyOf(&same) != alarms.KeyOf(&base) {
		t.Error("the mark of a split brain changed the identity")
	}
	var back alarms.Key
	text, _ := alarms.KeyOf(&base).MarshalText()
	if err := back.UnmarshalText(text); err != nil || back != alarms.KeyOf(&base) {
		t.Errorf("key %s read back as %s, %v", text, back, err)
	}
}
