package uaserver_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gopcua/opcua"
	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"scada/acquisition/tag"
)

// watcher collects what a subscription delivers, by client handle.
type watcher struct {
	sub    *opcua.Subscription
	mu     sync.Mutex
	values map[uint32][]*ua.DataValue
	create []ua.StatusCode
	ids    []uint32
	revise []*ua.MonitoredItemCreateResult
}

// items returns requests for the first n numbers; their handles are 0 to n-1.
func items(n int, sampling float64, queue uint32) []*ua.MonitoredItemCreateRequest {
	list := make([]*ua.MonitoredItemCreateRequest, n)
	for i := range list {
		list[i] = item(node(fmt.Sprintf("number/n%05d", i)), uint32(i), sampling, queue, nil)
	}
	return list
}

func item(n *ua.NodeID, handle uint32, sampling float64, queue uint32, filter any) *ua.MonitoredItemCreateRequest {
	return &ua.MonitoredItemCreateRequest{
		ItemToMonitor:  &ua.ReadValueID{NodeID: n, AttributeID: ua.AttributeIDValue, DataEncoding: &ua.QualifiedName{}},
		MonitoringMode: ua.MonitoringModeReporting,
		RequestedParameters: &ua.MonitoringParameters{
			ClientHandle: handle, SamplingInterval: sampling, QueueSize: queue, DiscardOldest: true, Filter: ua.NewExtensionObject(filter),
		},
	}
}

func (f *fixture) watch(t testing.TB, c *opcua.Client, interval time.Duration, list ...*ua.MonitoredItemCreateRequest) *watcher {
	t.Helper()
	w := &watcher{values: map[uint32][]*ua.DataValue{}}
	notify := make(chan *opcua.PublishNotificationData, 100)
	sub, err := c.Subscribe(limited(t), &opcua.SubscriptionParameters{Interval: interval}, notify)
	if err != nil {
		t.Fatalf("subscribe: %v", err)
	}
	w.sub = sub
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case n := <-notify:
				w.take(n)
			}
		}
	}()
	resp, err := sub.Monitor(limited(t), ua.TimestampsToReturnBoth, list...)
	if err != nil {
		t.Fatalf("monitor: %v", err)
	}
	for _, r := range resp.Results {
		w.create, w.ids, w.revise = append(w.create, r.StatusCode), append(w.ids, r.MonitoredItemID), append(w.revise, r)
	}
	return w
}

func (w *watcher) take(n *opcua.PublishNotificationData) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if d, ok := n.Value.(*ua.DataChangeNotification); ok {
		for _, it := range d.MonitoredItems {
			w.values[it.ClientHandle] = append(w.values[it.ClientHandle], it.Value)
		}
	}
}

func (w *watcher) got(handle uint32) []*ua.DataValue {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]*ua.DataValue(nil), w.values[handle]...)
}

func (w *watcher) numbers(handle uint32) string {
	list := []float64{}
	for _, v := range w.got(handle) {
		list = append(list, v.Value.Float())
	}
	return fmt.Sprint(list)
}

func (w *watcher) last(handle uint32) float64 {
	if v := w.got(handle); len(v) > 0 {
		return v[len(v)-1].Value.Float()
	}
	return -1
}

// gaps counts the numbers missing between neighbours; each item counts up by one.
func (w *watcher) gaps() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	lost := 0
	for _, values := range w.values {
		for i := 2; i < len(values); i++ {
			lost += int(values[i].Value.Float()-values[i-1].Value.Float()) - 1
		}
	}
	return lost
}

// until waits for a condition that the server brings about.
func (w *watcher) until(t testing.TB, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not come")
		}
	}
}

func TestMonitoredItemsAreAnswered(t *testing.T) {
	f := start(t, newPlant(1), nil)
	c := f.connect(t)
	percent := &ua.DataChangeFilter{Trigger: ua.DataChangeTriggerStatusValue, DeadbandType: uint32(ua.DeadbandTypePercent), DeadbandValue: 10}
	absolute := &ua.DataChangeFilter{Trigger: ua.DataChangeTriggerStatusValue, DeadbandType: uint32(ua.DeadbandTypeAbsolute), DeadbandValue: 5}
	tooMuch := &ua.DataChangeFilter{DeadbandType: uint32(ua.DeadbandTypePercent), DeadbandValue: 101}
	noAttribute := item(node("line1/text"), 8, 0, 1, nil)
	noAttribute.ItemToMonitor.AttributeID = ua.AttributeIDSymmetric
	want := []ua.StatusCode{
		ua.StatusBadNodeIDUnknown, ua.StatusOK, ua.StatusOK, ua.StatusBadMonitoredItemFilterUnsupported, ua.StatusBadFilterNotAllowed,
		ua.StatusBadMonitoredItemFilterUnsupported, ua.StatusBadDeadbandFilterInvalid, ua.StatusBadAttributeIDInvalid, ua.StatusOK,
	}
	w := f.watch(t, c, 50*time.Millisecond,
		item(node("line1/none"), 0, 0, 1, nil), item(node("line1/pump1/speed"), 1, 0, 10, percent), item(node("line1/pump1/speed"), 2, 0, 10, absolute),
		item(node("number/n00000"), 3, 0, 1, percent), item(node("line1/text"), 4, 0, 1, absolute),
		item(node("line1/text"), 5, 0, 1, &ua.EventFilter{WhereClause: &ua.ContentFilter{}}), item(node("line1/pump1/speed"), 6, 0, 1, tooMuch),
		noAttribute, item(node("line1/pump1/speed"), 9, 1, 1_000_000, nil))
	if fmt.Sprint(w.create) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", w.create, want)
	}
	if r := w.revise[8]; r.RevisedSamplingInterval != 10 || r.RevisedQueueSize != 1000 {
		t.Errorf("revised to %v ms, %d values", r.RevisedSamplingInterval, r.RevisedQueueSize)
	}
	for _, v := range []float64{100, 104, 106, 115, 121, 118, 142} {
		f.set(speed, tag.Float64(v))
		time.Sleep(15 * time.Millisecond) // each change is to be seen by an item that wants all of them
	}
	w.until(t, func() bool { return w.last(1) == 142 && w.last(2) == 142 })
	if got, want := w.numbers(1), " 100 121 142]"; !strings.HasSuffix(got, want) {
		t.Errorf("10 %% of 200: %s, want %s", got, want)
	}
	if got, want := w.numbers(2), " 100 106 115 121 142]"; !strings.HasSuffix(got, want) {
		t.Errorf("5 absolute: %s, want %s", got, want)
	}
}

func TestQueueKeepsEveryChange(t *testing.T) {
	f := start(t, newPlant(1), nil)
	f.set(number0, tag.Float64(0))
	w := f.watch(t, f.connect(t), 200*time.Millisecond, item(node("number/n00000"), 0, 0, 100, nil), item(node("number/n00000"), 1, 0, 3, nil))
	for i := 1; i <= 8; i++ {
		f.set(number0, tag.Float64(float64(i)))
		time.Sleep(2 * time.Millisecond)
	}
	w.until(t, func() bool { return w.last(0) == 8 && w.last(1) == 8 })
	if got := w.numbers(0); got != "[0 1 2 3 4 5 6 7 8]" {
		t.Errorf("a queue of 100 delivers %s", got)
	}
	small := w.got(1)
	lost := false
	for _, v := range small {
		lost = lost || v.Status&0x480 == 0x480
	}
	if len(small) < 9 && !lost {
		t.Errorf("a queue of 3 delivers %s and does not say that values were lost", w.numbers(1))
	}
}

func TestServiceLevelMovesNotifications(t *testing.T) {
	f := start(t, newPlant(0), nil)
	w := f.watch(t, f.connect(t), 50*time.Millisecond, item(ua.NewNumericNodeID(0, id.Server_ServiceLevel), 7, 100, 10, nil))
	level := func() uint64 {
		if v := w.got(7); len(v) > 0 {
			return v[len(v)-1].Value.Uint()
		}
		return 0
	}
	w.until(t, func() bool { return level() == 255 })
	f.level.Store(199)
	w.until(t, func() bool { return level() == 199 })
	if n := len(w.got(7)); n != 2 {
		t.Errorf("%d notifications for one change", n)
	}
}

func TestModifyModesAndDelete(t *testing.T) {
	f := start(t, newPlant(1), nil)
	c := f.connect(t)
	f.set(number0, tag.Float64(1))
	w := f.watch(t, c, 50*time.Millisecond, items(1, 0, 10)...)
	w.until(t, func() bool { return w.last(0) == 1 })
	if _, err := w.sub.SetMonitoringMode(limited(t), ua.MonitoringModeDisabled, w.ids...); err != nil {
		t.Fatal(err)
	}
	f.set(number0, tag.Float64(2))
	if _, err := w.sub.ModifySubscription(limited(t), opcua.SubscriptionParameters{Interval: 70 * time.Millisecond, LifetimeCount: 1, MaxKeepAliveCount: 5}); err != nil {
		t.Fatal(err)
	}
	if w.sub.RevisedPublishingInterval != 70*time.Millisecond || w.sub.RevisedLifetimeCount != 15 {
		t.Errorf("revised %v, %d", w.sub.RevisedPublishingInterval, w.sub.RevisedLifetimeCount)
	}
	if _, err := w.sub.SetMonitoringMode(limited(t), ua.MonitoringModeReporting, w.ids...); err != nil {
		t.Fatal(err)
	}
	w.until(t, func() bool { return w.last(0) == 2 })
	if got := w.numbers(0); got != "[1 2]" {
		t.Errorf("got %s", got)
	}
	resp, err := w.sub.Unmonitor(limited(t), w.ids[0], 999)
	if err != nil || resp.Results[0] != ua.StatusOK || resp.Results[1] != ua.StatusBadMonitoredItemIDInvalid {
		t.Errorf("delete: %+v, %v", resp, err)
	}
	var mode *ua.SetPublishingModeResponse
	err = c.Send(limited(t), &ua.SetPublishingModeRequest{SubscriptionIDs: []uint32{w.sub.SubscriptionID, 999}}, func(v ua.Response) error {
		mode = v.(*ua.SetPublishingModeResponse)
		return nil
	})
	if err != nil || mode.Results[0] != ua.StatusOK || mode.Results[1] != ua.StatusBadSubscriptionIDInvalid {
		t.Errorf("publishing mode: %+v, %v", mode, err)
	}
	if err := w.sub.Cancel(limited(t)); err != nil {
		t.Errorf("delete subscription: %v", err)
	}
}

func TestMethodsOfTheServer(t *testing.T) {
	f := start(t, newPlant(3), nil)
	c := f.connect(t)
	w := f.watch(t, c, 50*time.Millisecond, items(3, 0, 1)...)
	w.until(t, func() bool { return len(w.got(2)) == 1 })
	call := func(method uint32, args ...any) *ua.CallMethodResult {
		req := &ua.CallMethodRequest{ObjectID: ua.NewNumericNodeID(0, id.Server), MethodID: ua.NewNumericNodeID(0, method)}
		for _, a := range args {
			req.InputArguments = append(req.InputArguments, ua.MustVariant(a))
		}
		r, err := c.Call(limited(t), req)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := call(id.Server_GetMonitoredItems, w.sub.SubscriptionID)
	if r.StatusCode != ua.StatusOK || fmt.Sprint(r.OutputArguments[0].Value(), r.OutputArguments[1].Value()) != "[1 2 3] [0 1 2]" {
		t.Errorf("items: %+v", r)
	}
	if r := call(id.Server_ResendData, w.sub.SubscriptionID); r.StatusCode != ua.StatusOK {
		t.Errorf("resend: %v", r.StatusCode)
	}
	w.until(t, func() bool { return len(w.got(2)) == 2 })
	for want, r := range map[ua.StatusCode]*ua.CallMethodResult{
		ua.StatusBadSubscriptionIDInvalid: call(id.Server_GetMonitoredItems, uint32(999)), ua.StatusBadArgumentsMissing: call(id.Server_ResendData),
		ua.StatusBadInvalidArgument: call(id.Server_ResendData, "x"), ua.StatusBadMethodInvalid: call(id.Server_ServiceLevel, uint32(1)),
	} {
		if r.StatusCode != want {
			t.Errorf("got %v, want %v", r.StatusCode, want)
		}
	}
}
