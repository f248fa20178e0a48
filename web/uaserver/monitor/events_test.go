package monitor

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"

	"scada/web/uaserver/wire"
)

// eventBench is a subscription with one item for events. An event is a number; its fields are that number and so many
// bytes of ballast. Odd numbers do not pass its filter.
func eventBench(t *testing.T, queue uint32, keepNewest bool, ballast int) (*bench, *item) {
	t.Helper()
	b := newBench(t, 1)
	sub, _, status := b.c.Create(Params{Interval: 100, KeepAlive: 1000, Lifetime: 3000, Enabled: true})
	if status != ua.StatusOK {
		t.Fatal(status)
	}
	fields := func(v any) []byte {
		n, ok := v.(int)
		if _, overflow := v.(Overflow); overflow {
			n, ok = -1, true
		}
		if !ok || n%2 == 1 {
			return nil
		}
		text := ua.MustVariant(fmt.Sprint(n) + strings.Repeat(" ", ballast))
		raw, err := text.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return append(wire.Uint32(nil, 1), raw...)
	}
	r := b.c.CreateItem(sub, Spec{Event: fields, Mode: ua.MonitoringModeReporting, ClientHandle: 7, Queue: queue, KeepNewest: keepNewest}, 0)
	if r.Status != ua.StatusOK {
		t.Fatal(r.Status)
	}
	return b, b.e.subs[sub].items[r.ID]
}

// events publishes and returns the events delivered.
func (b *bench) events(at time.Duration) string {
	collector := &collect{t: b.t}
	b.next++
	b.c.Publish(collector, b.next, b.next, 0, nil)
	b.now(at)
	return strings.Join(collector.got, " ")
}

// collect is a Sender that notes events.
type collect struct {
	t   *testing.T
	got []string
}

func (c *collect) Room() int { return 1 << 20 }

func (c *collect) Send(_ uint32, body []byte) error {
	_, v, err := ua.DecodeService(bytes.Clone(body))
	if err != nil {
		c.t.Fatalf("an answer that cannot be decoded: %v", err)
	}
	for _, n := range v.(*ua.PublishResponse).NotificationMessage.NotificationData {
		for _, e := range n.Value.(*ua.EventNotificationList).Events {
			c.got = append(c.got, fmt.Sprintf("%d:%s", e.ClientHandle, strings.TrimSpace(e.EventFields[0].String())))
		}
	}
	return nil
}

func TestEventsPassTheFilterInOrder(t *testing.T) {
	b, _ := eventBench(t, 10, true, 0)
	for n := range 5 {
		b.e.Notify(n)
	}
	if got := b.events(time.Second); got != "7:0 7:2 7:4" {
		t.Errorf("events %q", got)
	}
	b.e.Notify(6)
	if got := b.events(2 * time.Second); got != "7:6" {
		t.Errorf("later %q", got)
	}
}

// TestEventQueueOverflowIsTold: a full queue loses the oldest, or the newest, and has one event that says so there.
func TestEventQueueOverflowIsTold(t *testing.T) {
	for _, tc := range []struct {
		name       string
		keepNewest bool
		ballast    int
		want       string
	}{
		{"the oldest go", true, 0, "7:-1 7:14 7:16 7:18"},
		{"the newest go", false, 0, "7:0 7:2 7:4 7:-1"},
		{"too many bytes", true, maxEventBytes / 3, "7:-1 7:18"},
	} {
		b, it := eventBench(t, 4, tc.keepNewest, tc.ballast)
		for n := 0; n < 20; n += 2 {
			b.e.Notify(n)
			if it.bytes > maxEventBytes {
				t.Fatalf("%s: %d bytes are waiting, the limit is %d", tc.name, it.bytes, maxEventBytes)
			}
		}
		if got := b.events(time.Second); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
		if it.bytes != 0 || it.lost {
			t.Errorf("%s: after it %d bytes, lost %v", tc.name, it.bytes, it.lost)
		}
		b.e.Notify(20)
		if got := b.events(2 * time.Second); got != "7:20" {
			t.Errorf("%s: after it %q", tc.name, got)
		}
	}
}

func TestEventItemsAreBounded(t *testing.T) {
	b := newBench(t, 1)
	b.e.limits.Items, b.e.limits.ItemsPerSubscription = 10_000, 10_000
	sub, _, _ := b.c.Create(Params{Interval: 100, KeepAlive: 1000, Lifetime: 3000, Enabled: true})
	spec := Spec{Event: func(any) []byte { return nil }, Mode: ua.MonitoringModeReporting}
	for n := range maxEventItems + 1 {
		r := b.c.CreateItem(sub, spec, 0)
		if want := n >= maxEventItems; (r.Status == ua.StatusBadTooManyMonitoredItems) != want {
			t.Fatalf("item %d: %v", n, r.Status)
		}
		if n == 0 && int(r.Queue) != b.e.limits.Queue {
			t.Errorf("queue of %d", r.Queue)
		}
	}
	if status := b.c.Delete(sub); status != ua.StatusOK || len(b.e.events) != 0 || b.e.items != 0 {
		t.Errorf("after the end of the subscription: %v, %d items for events of %d", status, len(b.e.events), b.e.items)
	}
}
