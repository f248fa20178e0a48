package monitor

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"

	"scada/acquisition/live"
	"scada/acquisition/tag"
	"scada/web/uaserver/wire"
)

// bench is an engine with its time in the test's hands, and a client that notes what it is sent.
type bench struct {
	t     *testing.T
	table *live.Table
	e     *Engine
	c     *Client
	at    time.Duration
	log   []string
	room  int
	next  uint32 // request
}

func newBench(t *testing.T, tags int) *bench {
	b := &bench{t: t, table: live.New(tags), room: 1 << 20}
	b.e = New(b.table, Limits{
		SubscriptionsPerServer: 10, Subscriptions: 3, Items: 100, ItemsPerSubscription: 50, Queue: 10, Publish: 3, Retransmission: 2,
		MinPublishing: 50 * time.Millisecond, MinSampling: 10 * time.Millisecond,
	})
	b.c = b.e.NewClient()
	return b
}

func (b *bench) Room() int { return b.room }

// Send notes a message: p is a Publish answer with its sequence number and values, f a fault.
func (b *bench) Send(request uint32, body []byte) error {
	_, v, err := ua.DecodeService(body)
	if err != nil {
		b.t.Fatalf("an answer that cannot be decoded: %v", err)
	}
	switch v := v.(type) {
	case *ua.ServiceFault:
		b.log = append(b.log, fmt.Sprintf("f%d %v", request, strings.Fields(v.ResponseHeader.ServiceResult.Error())))
	case *ua.PublishResponse:
		b.log = append(b.log, b.message(request, v))
	}
	return nil
}

func (b *bench) message(request uint32, v *ua.PublishResponse) string {
	s := fmt.Sprintf("p%d sub%d seq%d", request, v.SubscriptionID, v.NotificationMessage.SequenceNumber)
	for _, n := range v.NotificationMessage.NotificationData {
		switch d := n.Value.(type) {
		case *ua.DataChangeNotification:
			for _, it := range d.MonitoredItems {
				s += fmt.Sprintf(" %d=%v", it.ClientHandle, it.Value.Value.Value())
				if it.Value.Status&ua.StatusCode(overflow) == ua.StatusCode(overflow) {
					s += "!"
				}
			}
		case *ua.StatusChangeNotification:
			s += fmt.Sprintf(" status %#x", uint32(d.Status))
		}
	}
	if v.MoreNotifications {
		s += " more"
	}
	return s
}

// now advances the engine to the given time since it started.
func (b *bench) now(at time.Duration) {
	b.at = at
	b.e.Advance(b.e.start.Add(at))
}

func (b *bench) set(id tag.ID, v float64) {
	b.table.Apply([]tag.Update{{Tag: id, Sample: tag.Sample{Time: 1, Value: tag.Float64(v)}}})
	b.e.Advance(b.e.start.Add(b.at))
}

func (b *bench) publish(n int) {
	for range n {
		b.next++
		if s := b.c.Publish(b, b.next, 0, 0, nil); s != ua.StatusOK {
			b.log = append(b.log, fmt.Sprintf("refused %v", s))
		}
	}
}

// sub makes a subscription whose first publishing is at 100 ms.
func (b *bench) sub(p Params) uint32 {
	b.t.Helper()
	p.Interval, p.Enabled = 100, true
	id, _, status := b.c.Create(p)
	if status != ua.StatusOK {
		b.t.Fatal(status)
	}
	b.e.subs[id].due = int64(b.at + 100*time.Millisecond) // Create uses the clock
	return id
}

func (b *bench) item(sub uint32, spec Spec) ItemResult {
	b.t.Helper()
	spec.Mode = ua.MonitoringModeReporting
	spec.ClientHandle = uint32(spec.Tag)
	spec.Trigger = ua.DataChangeTriggerStatusValue
	r := b.c.CreateItem(sub, spec, ua.TimestampsToReturnNeither)
	if r.Status != ua.StatusOK {
		b.t.Fatal(r.Status)
	}
	if it := b.e.subs[sub].items[r.ID]; it.sampling > 0 {
		it.next = 0
	}
	return r
}

func (b *bench) want(lines ...string) {
	b.t.Helper()
	if got, want := strings.Join(b.log, "\n"), strings.Join(lines, "\n"); got != want {
		b.t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	b.log = nil
}

const ms = time.Millisecond

func TestFirstMessageThenSilenceThenKeepAlive(t *testing.T) {
	b := newBench(t, 1)
	b.set(0, 7)
	s := b.sub(Params{KeepAlive: 3, Lifetime: 9})
	b.item(s, Spec{Queue: 1})
	b.publish(2)
	b.now(99 * ms)
	b.want()
	b.now(100 * ms)
	b.want("p1 sub1 seq1 0=7")
	b.now(200 * ms)
	b.now(300 * ms)
	b.want()
	b.now(400 * ms)
	b.want("p2 sub1 seq2") // a keep-alive has the number of the next message
	b.set(0, 8)
	b.publish(1)
	b.now(500 * ms)
	b.want("p3 sub1 seq2 0=8")
}

func TestLateSubscriptionIsServedAtOnce(t *testing.T) {
	b := newBench(t, 1)
	s := b.sub(Params{KeepAlive: 3, Lifetime: 9})
	b.set(0, 1)
	b.item(s, Spec{Queue: 10})
	b.now(100 * ms)
	b.set(0, 2)
	b.want()
	b.publish(1)
	b.want("p1 sub1 seq1 0=1 0=2")
}

func TestLifetimeEndsASubscriptionNobodyAsksFor(t *testing.T) {
	b := newBench(t, 1)
	s := b.sub(Params{KeepAlive: 1, Lifetime: 3})
	b.item(s, Spec{Queue: 1})
	for i := range 3 {
		b.now(time.Duration(i+1) * 100 * ms)
	}
	if !b.c.Has(s) {
		t.Fatal("ended early")
	}
	b.e.subs[s].idle = 3
	b.now(400 * ms)
	if b.c.Has(s) || b.e.items != 0 {
		t.Errorf("the subscription lives on with %d items", b.e.items)
	}
	b.publish(2)
	b.want(fmt.Sprintf("p1 sub1 seq1 status %#x", uint32(ua.StatusBadTimeout)), "refused "+ua.StatusBadNoSubscription.Error())
}

func TestQueueOverflowIsMarkedWhereValuesAreMissing(t *testing.T) {
	for newest, want := range map[bool]string{true: "0=3! 0=4 0=5", false: "0=1 0=2 0=5!"} {
		b := newBench(t, 1)
		b.set(0, 1)
		s := b.sub(Params{KeepAlive: 3, Lifetime: 9})
		b.item(s, Spec{Queue: 3, KeepNewest: newest})
		for v := 2.0; v <= 5; v++ {
			b.set(0, v)
		}
		b.publish(1)
		b.now(100 * ms)
		b.want("p1 sub1 seq1 " + want)
	}
}

func TestOneMessageHoldsNoMoreThanAskedFor(t *testing.T) {
	b := newBench(t, 5)
	s := b.sub(Params{KeepAlive: 3, Lifetime: 9, PerMessage: 2})
	for i := range 5 {
		b.set(tag.ID(i), float64(i))
		b.item(s, Spec{Tag: tag.ID(i), Queue: 1})
	}
	b.publish(2)
	b.now(100 * ms)
	b.publish(1)
	b.want("p1 sub1 seq1 0=0 1=1 more", "p2 sub1 seq2 2=2 3=3 more", "p3 sub1 seq3 4=4")
}

func TestMessageFitsTheClient(t *testing.T) {
	b := newBench(t, 3)
	b.room = 100 // values take half of it, and one always fits
	s := b.sub(Params{KeepAlive: 3, Lifetime: 9})
	for i := range 3 {
		b.table.Apply([]tag.Update{{Tag: tag.ID(i), Sample: tag.Sample{Value: tag.String(strings.Repeat("x", 60))}}})
		b.item(s, Spec{Tag: tag.ID(i), Queue: 1})
	}
	b.publish(3)
	b.now(100 * ms)
	if len(b.log) != 3 || !strings.HasSuffix(b.log[1], "more") {
		t.Errorf("%d messages: %v", len(b.log), b.log)
	}
}

func TestSamplingIntervalLimitsTheRate(t *testing.T) {
	b := newBench(t, 1)
	b.set(0, 0)
	s := b.sub(Params{KeepAlive: 10, Lifetime: 30})
	b.item(s, Spec{Queue: 10, Sampling: 50})
	for i := 1; i <= 20; i++ { // every 5 ms
		b.now(time.Duration(i) * 5 * ms)
		b.set(0, float64(i))
	}
	b.publish(1)
	b.now(105 * ms)
	// At 5 the first; what comes until 55 is one sample, the newest; then again.
	b.want("p1 sub1 seq1 0=0 0=1 0=10")
	b.now(110 * ms)
	b.publish(1)
	b.now(200 * ms)
	b.want("p2 sub1 seq2 0=20")
}

// TestUnevenSourceLosesNothing has a source that is a little early or late at each publishing, and a queue of one.
func TestUnevenSourceLosesNothing(t *testing.T) {
	b := newBench(t, 1)
	s := b.sub(Params{KeepAlive: 10, Lifetime: 30})
	b.item(s, Spec{Queue: 1, Sampling: 100})
	got := []string{}
	jitter := []time.Duration{-3, 2, -1, 3, -4, 0, 4, -2, 3, -3}
	for i, j := range jitter {
		at := time.Duration(i+1) * 100 * ms
		b.publish(1)
		if j <= 0 {
			b.now(at + j*ms)
			b.set(0, float64(i))
			b.now(at)
			b.now(at + ms)
		} else {
			b.now(at)
			b.now(at + 1)
			b.now(at + j*ms)
			b.set(0, float64(i))
		}
		got = append(got, b.log...)
		b.log = nil
	}
	b.publish(2)
	b.now(1100 * ms)
	b.now(1101 * ms)
	b.now(1200 * ms)
	all := strings.Join(append(got, b.log...), "\n")
	for i := range jitter {
		if !strings.Contains(all+"\n", fmt.Sprintf(" 0=%d\n", i)) {
			t.Errorf("%d was lost:\n%s", i, all)
		}
	}
}

func TestDeadband(t *testing.T) {
	it := &item{size: 100, sub: &subscription{}, spec: Spec{Deadband: 5, Trigger: ua.DataChangeTriggerStatusValue}}
	nan := tag.FromBits(tag.TypeFloat64, 0x7ff8000000000001, "")
	for _, c := range []struct {
		v    tag.Value
		q    tag.Quality
		want bool
	}{
		{tag.Float64(10), 0, true}, {tag.Float64(15), 0, false}, {tag.Float64(15.01), 0, true}, {tag.Float64(10.01), 0, false},
		{tag.Float64(10.01), tag.BadDeviceFailure, true}, {tag.Float64(10.01), 0, true}, {nan, 0, true}, {nan, 0, false}, {tag.Float64(1), 0, true},
	} {
		v := wire.Value{Sample: tag.Sample{Value: c.v, Quality: c.q}}
		if got := it.differs(&v); got != c.want {
			t.Errorf("%v %v after %v: %v", c.v, c.q, it.last.Value, got)
		}
		it.accept(v)
	}
}

func TestTriggeredItemIsReportedWithItsTrigger(t *testing.T) {
	b := newBench(t, 2)
	b.set(0, 1)
	b.set(1, 1)
	s := b.sub(Params{KeepAlive: 10, Lifetime: 30})
	trigger, linked := b.item(s, Spec{Tag: 0, Queue: 1}), b.item(s, Spec{Tag: 1, Queue: 1})
	b.c.SetMode(s, linked.ID, ua.MonitoringModeSampling)
	if st := b.c.Link(s, trigger.ID, linked.ID); st != ua.StatusOK {
		t.Fatal(st)
	}
	b.publish(3)
	b.now(100 * ms)
	b.want("p1 sub1 seq1 0=1")
	b.set(1, 2)
	b.now(200 * ms)
	b.want()
	b.set(0, 2)
	b.now(300 * ms)
	b.want("p2 sub1 seq2 0=2 1=2")
	b.c.DeleteItem(s, linked.ID)
	b.set(0, 3)
	b.now(400 * ms)
	b.want("p3 sub1 seq3 0=3")
}

func TestLimits(t *testing.T) {
	b := newBench(t, 1)
	for range 3 {
		b.sub(Params{})
	}
	if _, _, s := b.c.Create(Params{}); s != ua.StatusBadTooManySubscriptions {
		t.Errorf("a fourth subscription: %v", s)
	}
	for range 50 {
		b.item(1, Spec{Queue: 1})
	}
	if r := b.c.CreateItem(1, Spec{}, 0); r.Status != ua.StatusBadTooManyMonitoredItems {
		t.Errorf("item 51 of a subscription: %v", r.Status)
	}
	b.publish(4)
	if len(b.log) != 1 || !strings.HasPrefix(b.log[0], "f1 ") || !strings.Contains(b.log[0], "BadTooManyPublishRequests") {
		t.Errorf("the fourth Publish: %v", b.log)
	}
	for _, c := range []struct{ in, want Params }{
		{Params{Interval: 0}, Params{Interval: 50, KeepAlive: 1, Lifetime: 3}},
		{Params{Interval: -1, KeepAlive: 5, Lifetime: 1}, Params{Interval: 50, KeepAlive: 5, Lifetime: 15}},
		{Params{Interval: 1e18, KeepAlive: 1 << 31, Lifetime: 1 << 31}, Params{Interval: 3600e3, KeepAlive: maxKeepAlive, Lifetime: maxLifetime}},
	} {
		if got := b.e.limits.revise(c.in); got != c.want {
			t.Errorf("%+v is revised to %+v, want %+v", c.in, got, c.want)
		}
	}
	if n := len(b.e.subs[1].sent); n > 2 {
		t.Errorf("%d messages kept", n)
	}
}

func TestRepublishAndAcknowledge(t *testing.T) {
	b := newBench(t, 1)
	s := b.sub(Params{KeepAlive: 10, Lifetime: 30})
	b.item(s, Spec{Queue: 1})
	for i := 1; i <= 3; i++ {
		b.set(0, float64(i))
		b.publish(1)
		b.now(time.Duration(i) * 100 * ms)
	}
	if _, st := b.c.Republish(s, 1); st != ua.StatusBadMessageNotAvailable {
		t.Errorf("the oldest of three is kept where two are: %v", st)
	}
	if m, st := b.c.Republish(s, 3); st != ua.StatusOK || len(m) == 0 {
		t.Errorf("the newest: %v", st)
	}
	b.next++
	if st := b.c.Publish(b, b.next, 0, 0, []Ack{{s, 3}, {s, 3}, {99, 1}}); st != ua.StatusOK {
		t.Fatal(st)
	}
	w := b.c.waiting[0]
	if fmt.Sprint(w.results) != fmt.Sprint([]ua.StatusCode{ua.StatusOK, ua.StatusBadSequenceNumberUnknown, ua.StatusBadSubscriptionIDInvalid}) {
		t.Errorf("acknowledgements: %v", w.results)
	}
	if _, st := b.c.Republish(s, 3); st != ua.StatusBadMessageNotAvailable {
		t.Errorf("after the acknowledgement: %v", st)
	}
}
