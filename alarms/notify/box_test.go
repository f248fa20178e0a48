package notify_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"scada/alarms"
	"scada/alarms/notify"
)

const second = int64(time.Second)

// pair is two outboxes that are told the same, and must hold the same.
type pair struct {
	t    *testing.T
	a, b *notify.Box
}

func newPair(t *testing.T, routes ...notify.Route) *pair {
	t.Helper()
	cfg := notify.Config{Receivers: []string{"duty", "boss", "log"}, Routes: routes}
	if errs := cfg.Validate(); len(errs) > 0 {
		t.Fatal(errs)
	}
	return &pair{t: t, a: notify.New(cfg), b: notify.New(cfg)}
}

func (p *pair) event(at int64, kind alarms.Kind, occurrence uint64) {
	ev := alarms.Event{Time: at * second, Condition: "T.HI", Kind: kind, Occurrence: occurrence, Annunciate: kind == alarms.KindRaise || kind == alarms.KindRealarm,
		Priority: alarms.PriorityHigh, State: alarms.StateUnack}
	n := notify.Notice{Kind: kind, Condition: ev.Condition, Occurrence: occurrence, Area: "main", Priority: ev.Priority, Time: ev.Time}
	p.a.Event(&ev, n)
	p.b.Event(&ev, n)
}

// due returns what is to be sent at a time, and marks it as taken on both sides when it is to be.
func (p *pair) due(at int64, take bool) string {
	p.t.Helper()
	batches, _ := p.a.Due(at*second, func(string) bool { return false })
	var out []string
	for i := range batches {
		out = append(out, batches[i].IDs()...)
		if take {
			p.a.Done(batches[i].IDs(), at*second)
			p.b.Done(batches[i].IDs(), at*second)
		}
	}
	x, errX := p.a.Snapshot()
	y, errY := p.b.Snapshot()
	if errX != nil || errY != nil || !bytes.Equal(x, y) {
		p.t.Errorf("the outboxes differ:\n%s\n%s", x, y)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func (p *pair) want(at int64, want string) {
	p.t.Helper()
	if got := p.due(at, true); got != want {
		p.t.Errorf("at %d s: %q, want %q", at, got, want)
	}
}

func TestWhatNobodyTookIsOwed(t *testing.T) {
	p := newPair(t, notify.Route{Name: "all", To: []string{"duty"}, Resolved: true})
	p.event(1, alarms.KindRaise, 1)
	if got := p.due(2, false); got != "T.HI#1/RAISE@duty" {
		t.Errorf("%q", got)
	}
	p.event(3, alarms.KindAck, 1)
	p.event(4, alarms.KindClear, 1)
	p.want(5, "T.HI#1/CLEAR@duty T.HI#1/RAISE@duty") // both: the receiver has seen neither
	p.want(60, "")
}

func TestDelayKeepsQuietAboutWhatIsOver(t *testing.T) {
	p := newPair(t, notify.Route{Name: "all", To: []string{"duty"}, Delay: 10 * time.Second, Resolved: true})
	p.event(0, alarms.KindRaise, 1)
	p.want(9, "")
	p.event(9, alarms.KindAck, 1)
	p.want(11, "")
	p.event(12, alarms.KindClear, 1)
	p.want(13, "")
	p.event(20, alarms.KindRaise, 2)
	p.event(25, alarms.KindClear, 2)
	p.want(40, "")
	p.event(50, alarms.KindRaise, 3)
	p.want(60, "T.HI#3/RAISE@duty")
	p.event(61, alarms.KindClear, 3)
	p.want(62, "T.HI#3/CLEAR@duty")
}

func TestRepeatsUntilAcknowledged(t *testing.T) {
	p := newPair(t, notify.Route{Name: "all", To: []string{"duty"}, Repeat: time.Minute})
	p.event(0, alarms.KindRaise, 1)
	p.want(0, "T.HI#1/RAISE@duty")
	p.want(59, "")
	p.want(60, "T.HI#1/RAISE@duty~1")
	p.want(120, "T.HI#1/RAISE@duty~2")
	p.event(121, alarms.KindAck, 1)
	p.want(600, "")
	p.event(700, alarms.KindRealarm, 1)
	p.want(700, "T.HI#1/REALARM/700000000000@duty")
	p.event(701, alarms.KindAck, 1)
	p.event(800, alarms.KindRaise, 2)
	p.event(801, alarms.KindAck, 2)
	p.want(802, "T.HI#2/RAISE@duty") // it was owed, and is said once
	p.want(2000, "")
	p.event(2001, alarms.KindClear, 2)
	p.event(2001, alarms.KindClear, 1)
	if image, err := p.a.Snapshot(); err != nil || string(image) != "[]" {
		t.Errorf("nothing is owed to anybody, and the outbox holds %s", image)
	}
}

func TestWhatIsTakenAndHasNoEndIsForgotten(t *testing.T) {
	p := newPair(t, notify.Route{Name: "all", To: []string{"duty"}, Delay: 10 * time.Second})
	p.event(0, alarms.KindRaise, 1)
	p.event(5, alarms.KindRaise, 2)
	p.want(10, "T.HI#1/RAISE@duty") // the other one is not due yet
	p.want(15, "T.HI#2/RAISE@duty")
	if image, err := p.a.Snapshot(); err != nil || string(image) != "[]" {
		t.Errorf("the outbox holds %s", image)
	}
}

func TestEscalation(t *testing.T) {
	r := notify.Route{Name: "all", To: []string{"duty"}, Escalate: time.Minute, EscalateTo: []string{"boss"}, Resolved: true}
	p := newPair(t, r)
	p.event(0, alarms.KindRaise, 1)
	p.want(1, "T.HI#1/RAISE@duty")
	p.event(30, alarms.KindAck, 1)
	p.want(61, "")
	p.event(70, alarms.KindClear, 1)
	p.want(71, "T.HI#1/CLEAR@duty") // the boss heard nothing of it
	p.event(100, alarms.KindRaise, 2)
	p.want(160, "T.HI#2/RAISE/ESCALATED@boss T.HI#2/RAISE@duty")
	p.event(170, alarms.KindClear, 2)
	p.want(171, "T.HI#2/CLEAR@boss T.HI#2/CLEAR@duty")
}

func TestGroupWaitsForOthers(t *testing.T) {
	p := newPair(t, notify.Route{Name: "all", To: []string{"duty"}, Group: 5 * time.Second})
	p.event(0, alarms.KindRaise, 1)
	p.event(3, alarms.KindRaise, 2)
	if _, next := p.a.Due(3*second, func(string) bool { return false }); next != 5*second {
		t.Errorf("next at %d", next)
	}
	p.want(4, "")
	p.want(5, "T.HI#1/RAISE@duty T.HI#2/RAISE@duty")
}

func TestRoutesChoose(t *testing.T) {
	p := newPair(t, notify.Route{Name: "high", MinPriority: alarms.PriorityCritical, To: []string{"boss"}},
		notify.Route{Name: "here", Areas: []string{"main"}, Conditions: []string{"T.*"}, To: []string{"duty"}},
		notify.Route{Name: "again", To: []string{"duty"}}, notify.Route{Name: "there", Areas: []string{"north"}, To: []string{"log"}},
		notify.Route{Name: "other", Conditions: []string{"T.LO"}, To: []string{"log"}}, notify.Route{Name: "class", Classes: []string{"x"}, To: []string{"log"}})
	p.event(0, alarms.KindRaise, 1)
	p.want(0, "T.HI#1/RAISE@duty") // once, although two routes lead there
}

func TestAForkIsNoNews(t *testing.T) {
	p := newPair(t, notify.Route{Name: "all", To: []string{"duty"}})
	ev := alarms.Event{Time: second, Condition: "T.HI", Kind: alarms.KindRaise, Occurrence: 1, Annunciate: true, Note: alarms.NoteFork}
	p.a.Event(&ev, notify.Notice{})
	p.b.Event(&ev, notify.Notice{})
	p.want(2, "")
}

// TestTakeOverSendsWhatHasNoMark: the standby has heard of the first message only.
func TestTakeOverSendsWhatHasNoMark(t *testing.T) {
	p := newPair(t, notify.Route{Name: "all", To: []string{"duty"}})
	p.event(0, alarms.KindRaise, 1)
	p.want(0, "T.HI#1/RAISE@duty")
	p.event(1, alarms.KindRaise, 2)
	batches, _ := p.a.Due(second, func(string) bool { return false })
	p.a.Done(batches[0].IDs(), second) // and dies before it can say so
	heir := notify.New(notify.Config{Receivers: []string{"duty"}})
	image, err := p.b.Snapshot()
	if err != nil || heir.Restore(image) != nil {
		t.Fatal(err)
	}
	again, _ := heir.Due(2*second, func(string) bool { return false })
	if len(again) != 1 || !slices.Equal(again[0].IDs(), batches[0].IDs()) {
		t.Errorf("%+v, want the ids of %+v", again, batches)
	}
}

func TestTooMuchIsGivenUpAndCounted(t *testing.T) {
	p := newPair(t, notify.Route{Name: "all", To: []string{"duty"}})
	for i := range notify.MaxItems + 1 {
		ev := alarms.Event{Time: int64(i + 1), Condition: fmt.Sprint("c", i), Kind: alarms.KindRaise, Occurrence: 1, Annunciate: true}
		p.a.Event(&ev, notify.Notice{Condition: ev.Condition, Occurrence: 1})
	}
	if p.a.Lost() != 1 || p.a.Pending()["duty"].Count != notify.MaxItems {
		t.Errorf("%d lost, %+v", p.a.Lost(), p.a.Pending())
	}
	batches, _ := p.a.Due(second, func(string) bool { return false })
	if len(batches) != 1 || len(batches[0].Items) != notify.MaxBatch || batches[0].Items[0].Notice.Condition != "c1" {
		t.Errorf("%d batches, the first of %d from %s", len(batches), len(batches[0].Items), batches[0].Items[0].Notice.Condition)
	}
}

func TestRestoreRefusesWhatIsNone(t *testing.T) {
	b := notify.New(notify.Config{Receivers: []string{"duty"}})
	for _, bad := range []string{"{", `{"a":1}`, "[" + strings.Repeat("null,", notify.MaxItems) + "null]"} {
		if err := b.Restore([]byte(bad)); err == nil {
			t.Errorf("%.20s… was taken", bad)
		}
	}
	if err := b.Restore([]byte(`[null,{"id":"x","receiver":"gone","waiting":true},{"id":"y","receiver":"duty","waiting":true}]`)); err != nil || len(b.Pending()) != 1 || b.Pending()["duty"].Count != 1 {
		t.Errorf("%v %+v", err, b.Pending())
	}
}

func TestRouteErrors(t *testing.T) {
	cfg := notify.Config{Receivers: []string{"duty"}, Routes: []notify.Route{
		{Name: "a", To: []string{"duty"}}, {Name: "a", To: []string{"nobody"}}, {Name: "b"}, {Name: "c", To: []string{"duty"}, Delay: notify.MaxWait + 1},
		{Name: "d", To: []string{"duty"}, Repeat: time.Second}, {Name: "e", To: []string{"duty"}, Escalate: time.Minute},
	}}
	var got []string
	for _, e := range cfg.Validate() {
		got = append(got, fmt.Sprint(e.Index, " ", e.Field))
	}
	slices.Sort(got)
	if want := "1 name,1 to,2 to,3 delay,4 repeat,5 escalate"; strings.Join(got, ",") != want {
		t.Errorf("%v, want %s", got, want)
	}
	if errs := (notify.Config{Routes: make([]notify.Route, notify.MaxRoutes+1)}).Validate(); len(errs) != 1 {
		t.Errorf("%d errors for too many routes", len(errs))
	}
}

// FuzzRestore: whatever stands in the file or comes over the link, the outbox goes on, and what it restored it gives
// back.
func FuzzRestore(f *testing.F) {
	f.Add([]byte(`[{"id":"T.HI#1/RAISE@duty","receiver":"duty","notice":{"kind":"RAISE","condition":"T.HI","occurrence":1,"state":"UNACK","priority":"high"},"due":1,"waiting":true,"repeat":60000000000,"resolved":true,"rounds":2}]`))
	f.Add([]byte(`[null]`))
	cfg := notify.Config{Receivers: []string{"duty"}, Routes: []notify.Route{{Name: "all", To: []string{"duty"}, Repeat: time.Minute, Resolved: true}}}
	f.Fuzz(func(t *testing.T, data []byte) {
		b := notify.New(cfg)
		if b.Restore(data) != nil {
			return
		}
		ev := alarms.Event{Time: second, Condition: "T.HI", Kind: alarms.KindRaise, Occurrence: 1, Annunciate: true}
		for _, ev.Kind = range []alarms.Kind{alarms.KindRaise, alarms.KindAck, alarms.KindClear} {
			b.Event(&ev, notify.Notice{Condition: "T.HI", Occurrence: 1})
			batches, _ := b.Due(1<<62, func(string) bool { return false })
			for i := range batches {
				b.Done(batches[i].IDs(), 2*second)
			}
		}
		image, err := b.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		again := notify.New(cfg)
		if err := again.Restore(image); err != nil {
			t.Fatal(err)
		}
		if second, err := again.Snapshot(); err != nil || !bytes.Equal(image, second) {
			t.Errorf("%s\n%s", image, second)
		}
	})
}
