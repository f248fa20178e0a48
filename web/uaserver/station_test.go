package uaserver_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gopcua/opcua"
	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"scada/acquisition/tag"
	"scada/alarms"
	"scada/web/uaserver"
)

// station is a real alarm engine that tells the server of what happens.
type station struct {
	f *fixture

	mu     sync.Mutex
	engine *alarms.Engine
	last   map[string]alarms.Event
	told   []alarms.Event
	user   string
	refuse error
	hold   chan struct{}
}

func (s *station) Conditions() []alarms.Condition {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.engine.Conditions(alarms.Filter{})
}

func (s *station) LastEvent(_ context.Context, condition string) (alarms.Event, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ev, ok := s.last[condition]
	return ev, ok
}

func (s *station) Command(ctx context.Context, user uaserver.User, cmd alarms.Command) (alarms.Result, error) {
	if s.hold != nil {
		select {
		case <-s.hold:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.user = user.Name
	if s.refuse != nil {
		return "", s.refuse
	}
	r, out := s.engine.Command(time.Now().UnixNano(), cmd)
	s.tell(out)
	return r, nil
}

// tell brings an outcome to the server. The station's lock is held.
func (s *station) tell(out alarms.Outcome) {
	for _, ev := range out.Events {
		s.last[ev.Condition] = ev
		s.told = append(s.told, ev)
		c, _ := s.engine.Condition(ev.Condition)
		if s.f != nil {
			s.f.srv.Notify(uaserver.AlarmEvent{Event: ev, Message: c.Message})
		}
	}
}

// sample gives the engine a value of a tag.
func (s *station) sample(id tag.ID, v tag.Value) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := time.Now().UnixNano()
	s.tell(s.engine.Samples(at, []tag.Update{{Tag: id, Sample: tag.Sample{Time: at, Value: v}}}))
}

func (s *station) key(i int) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.told[i].Key[:])
}

// withAlarms starts a server with three alarms: speed too high or much too high, the pump stopped, and n00000 too high.
func withAlarms(t testing.TB) (*fixture, *station) {
	t.Helper()
	s := &station{last: map[string]alarms.Event{}}
	return startAlarms(t, s, func(cfg *uaserver.Config) { cfg.Alarms = s }), s
}

func startAlarms(t testing.TB, s *station, change func(*uaserver.Config)) *fixture {
	t.Helper()
	p := newPlant(1)
	limit := func(v float64) alarms.Limit { return alarms.Limit{Value: v} }
	engine, err := alarms.New(alarms.Config{Alarms: []alarms.Definition{
		{ID: "speed", Type: alarms.TypeLevel, Tag: "line1/pump1/speed", Area: "main", Text: "speed {value}", Priority: alarms.PriorityHigh, Limits: map[alarms.Level]alarms.Limit{alarms.LevelHi: limit(100), alarms.LevelHiHi: limit(150)}},
		{ID: "stopped", Type: alarms.TypeDiscrete, Tag: "line1/pump1/run", Area: "main", Text: "stopped", Normal: []float64{1}},
		{ID: "number", Type: alarms.TypeLevel, Tag: "number/n00000", Area: "main", Text: "number", Priority: alarms.PriorityLow, NonExclusive: true, Limits: map[alarms.Level]alarms.Limit{alarms.LevelHi: limit(10)}},
	}}, func(name string) (tag.ID, bool) {
		i := slices.IndexFunc(p.tags, func(d tag.Definition) bool { return d.Name == name })
		return tag.ID(max(i, 0)), i >= 0
	})
	if err != nil {
		t.Fatal(err)
	}
	s.engine = engine
	s.f = start(t, p, change)
	return s.f
}

// field is a select clause: a path of names, or the condition's node id for "".
func field(path string) *ua.SimpleAttributeOperand {
	op := &ua.SimpleAttributeOperand{TypeDefinitionID: ua.NewNumericNodeID(0, id.BaseEventType), AttributeID: ua.AttributeIDValue}
	if path == "" {
		op.TypeDefinitionID, op.AttributeID = ua.NewNumericNodeID(0, id.ConditionType), ua.AttributeIDNodeID
		return op
	}
	for _, name := range strings.Split(path, "/") {
		op.BrowsePath = append(op.BrowsePath, &ua.QualifiedName{Name: name})
	}
	return op
}

func fields(paths ...string) []*ua.SimpleAttributeOperand {
	var out []*ua.SimpleAttributeOperand
	for _, p := range paths {
		out = append(out, field(p))
	}
	return out
}

func element(op ua.FilterOperator, operands ...any) *ua.ContentFilterElement {
	e := &ua.ContentFilterElement{FilterOperator: op}
	for _, o := range operands {
		e.FilterOperands = append(e.FilterOperands, ua.NewExtensionObject(o))
	}
	return e
}

func literal(v any) *ua.LiteralOperand { return &ua.LiteralOperand{Value: ua.MustVariant(v)} }

func eventItem(n *ua.NodeID, queue uint32, selects []*ua.SimpleAttributeOperand, where ...*ua.ContentFilterElement) *ua.MonitoredItemCreateRequest {
	it := item(n, 0, 0, queue, &ua.EventFilter{SelectClauses: selects, WhereClause: &ua.ContentFilter{Elements: where}})
	it.ItemToMonitor.AttributeID = ua.AttributeIDEventNotifier
	return it
}

// listener collects events as text, one line per event with the fields in order.
type listener struct {
	sub  *opcua.Subscription
	c    chan []*ua.Variant
	resp *ua.CreateMonitoredItemsResponse
}

func (f *fixture) listen(t testing.TB, c *opcua.Client, it *ua.MonitoredItemCreateRequest) *listener {
	t.Helper()
	notify := make(chan *opcua.PublishNotificationData, 1000)
	sub, err := c.Subscribe(limited(t), &opcua.SubscriptionParameters{Interval: 50 * time.Millisecond}, notify)
	if err != nil {
		t.Fatalf("subscribe: %v", err)
	}
	l := &listener{sub: sub, c: make(chan []*ua.Variant, 10_000)}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case n := <-notify:
				if list, ok := n.Value.(*ua.EventNotificationList); ok {
					for _, e := range list.Events {
						l.c <- e.EventFields
					}
				}
			}
		}
	}()
	if l.resp, err = sub.Monitor(limited(t), ua.TimestampsToReturnBoth, it); err != nil {
		t.Fatalf("monitor: %v", err)
	}
	return l
}

// next waits for an event and returns its fields as text.
func (l *listener) next(t testing.TB) string {
	t.Helper()
	select {
	case fields := <-l.c:
		var out []string
		for _, v := range fields {
			switch x := v.Value().(type) {
			case *ua.LocalizedText:
				out = append(out, x.Text)
			case []*ua.ExtensionObject:
				out = append(out, changesOf(v))
			default:
				out = append(out, fmt.Sprint(x))
			}
		}
		return strings.Join(out, " ")
	case <-limited(t).Done():
		t.Fatal("no event")
	}
	return ""
}

func (l *listener) want(t testing.TB, lines ...string) {
	t.Helper()
	for _, want := range lines {
		if got := l.next(t); got != want {
			t.Errorf("event %q, want %q", got, want)
		}
	}
}

func (l *listener) none(t testing.TB) {
	t.Helper()
	select {
	case fields := <-l.c:
		t.Errorf("an event that was not expected: %v", fields[0].Value())
	default:
	}
}

func callMethod(t testing.TB, c *opcua.Client, object, method *ua.NodeID, args ...any) *ua.CallMethodResult {
	t.Helper()
	m := &ua.CallMethodRequest{ObjectID: object, MethodID: method}
	for _, a := range args {
		m.InputArguments = append(m.InputArguments, ua.MustVariant(a))
	}
	r, err := c.Call(limited(t), m)
	if err != nil {
		t.Fatalf("call %s: %v", method, err)
	}
	return r
}

func standard(n uint32) *ua.NodeID { return ua.NewNumericNodeID(0, n) }

func comment(text string) *ua.LocalizedText { return ua.NewLocalizedText(text) }
