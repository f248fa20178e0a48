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

// TestAlarmLifeOverEvents follows one alarm: raised, worse, acknowledged, gone.
func TestAlarmLifeOverEvents(t *testing.T) {
	f, s := withAlarms(t)
	c := f.connect(t, f.as(t, "operator", "right")...)
	l := f.listen(t, c, eventItem(standard(id.Server), 0, fields("EventType", "", "SourceNode", "SourceName", "Message", "Severity", "Retain",
		"ActiveState/Id", "AckedState", "LimitState/CurrentState", "Comment", "ClientUserId", "ShelvingState/CurrentState", "NoSuchField")))
	if r := l.resp.Results[0]; r.StatusCode != ua.StatusOK || r.RevisedQueueSize != 1000 {
		t.Fatalf("item: %v, queue %d", r.StatusCode, r.RevisedQueueSize)
	}
	const head = "i=9482 ns=2;s=!speed ns=2;s=line1/pump1/speed line1/pump1/speed "
	high := fmt.Sprint(alarms.PriorityHigh.Severity())
	s.sample(speed, tag.Float64(50))
	s.sample(speed, tag.Float64(120))
	l.want(t, head+"speed 120 "+high+" true true Unacknowledged High   Unshelved <nil>")
	s.sample(speed, tag.Float64(160))
	l.want(t, head+"speed 160 "+high+" true true Unacknowledged HighHigh   Unshelved <nil>")
	condition := node("!speed")
	if r := callMethod(t, c, condition, standard(id.AcknowledgeableConditionType_Acknowledge), s.key(1), comment("seen")); r.StatusCode != ua.StatusOK {
		t.Fatalf("acknowledge: %v", r.StatusCode)
	}
	if got := l.next(t); !strings.Contains(got, "true true Acknowledged HighHigh seen operator Unshelved") {
		t.Errorf("acknowledged: %q", got)
	}
	if r := callMethod(t, c, condition, standard(id.AcknowledgeableConditionType_Acknowledge), s.key(1), comment("again")); r.StatusCode != ua.StatusBadConditionBranchAlreadyAcked {
		t.Errorf("acknowledge again: %v", r.StatusCode)
	}
	s.sample(speed, tag.Float64(50))
	if got := l.next(t); !strings.Contains(got, "false false Acknowledged <nil>") {
		t.Errorf("gone: %q", got)
	}
	l.none(t)
}

// TestAlarmMethods calls what can be called, and what cannot.
func TestAlarmMethods(t *testing.T) {
	f, s := withAlarms(t)
	s.sample(run, tag.Bool(false))
	c := f.connect(t, f.as(t, "operator", "right")...)
	l := f.listen(t, c, eventItem(standard(id.Server), 0, fields("ConditionName", "AckedState/Id", "ShelvingState/CurrentState", "SuppressedOrShelved", "Comment")))
	stopped := node("!stopped")
	ack, add := standard(id.AcknowledgeableConditionType_Acknowledge), standard(id.ConditionType_AddComment)
	for _, tc := range []struct {
		name           string
		object, method *ua.NodeID
		args           []any
		want           ua.StatusCode
	}{
		{"an unknown event", stopped, ack, []any{[]byte("none"), comment("")}, ua.StatusBadEventIDUnknown},
		{"an event of another condition", node("!speed"), ack, []any{s.key(0), comment("")}, ua.StatusBadEventIDUnknown},
		{"too few arguments", stopped, ack, []any{s.key(0)}, ua.StatusBadArgumentsMissing},
		{"too many", stopped, ack, []any{s.key(0), comment(""), comment("")}, ua.StatusBadTooManyArguments},
		{"of wrong types", stopped, ack, []any{"text", comment("")}, ua.StatusBadInvalidArgument},
		{"a comment that is too long", stopped, add, []any{s.key(0), comment(strings.Repeat("x", alarms.MaxText+1))}, ua.StatusBadInvalidArgument},
		{"of a tag", node("line1/pump1/run"), ack, []any{s.key(0), comment("")}, ua.StatusBadMethodInvalid},
		{"of no node", node("!none"), ack, []any{s.key(0), comment("")}, ua.StatusBadNodeIDUnknown},
		{"no time to shelve", stopped, standard(id.ShelvedStateMachineType_TimedShelve), []any{0.0}, ua.StatusBadShelvingTimeOutOfRange},
		{"two years to shelve", stopped, standard(id.ShelvedStateMachineType_TimedShelve), []any{2 * 366 * 86400e3}, ua.StatusBadShelvingTimeOutOfRange},
		{"not shelved", stopped, standard(id.ShelvedStateMachineType_Unshelve), nil, ua.StatusBadConditionNotShelved},
		{"refresh of a condition", stopped, standard(id.ConditionType_ConditionRefresh), []any{l.sub.SubscriptionID}, ua.StatusBadMethodInvalid},
		{"refresh of no subscription", standard(id.ConditionType), standard(id.ConditionType_ConditionRefresh), []any{uint32(77)}, ua.StatusBadSubscriptionIDInvalid},
		{"refresh of no item", standard(id.ConditionType), standard(id.ConditionType_ConditionRefresh2), []any{l.sub.SubscriptionID, uint32(77)}, ua.StatusBadMonitoredItemIDInvalid},
	} {
		if r := callMethod(t, c, tc.object, tc.method, tc.args...); r.StatusCode != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, r.StatusCode, tc.want)
		}
	}
	for _, tc := range []struct {
		object *ua.NodeID
		method uint32
		args   []any
		want   string
	}{
		{stopped, id.ConditionType_AddComment, []any{s.key(0), comment("why?")}, "stopped false Unshelved false why?"},
		{stopped, id.ShelvedStateMachineType_TimedShelve, []any{60_000.0}, "stopped true Timed Shelved true"},
		{node("!stopped#ShelvingState"), id.ShelvedStateMachineType_Unshelve, nil, "stopped true Unshelved false"},
		{node("!stopped#ShelvingState"), id.AlarmConditionType_ShelvingState_OneShotShelve, nil, "stopped true One Shot Shelved true"},
	} {
		if r := callMethod(t, c, tc.object, standard(tc.method), tc.args...); r.StatusCode != ua.StatusOK {
			t.Errorf("%s: %v", id.Name(tc.method), r.StatusCode)
		}
		if got := l.next(t); !strings.HasPrefix(got, tc.want) {
			t.Errorf("%s: %q, want %q", id.Name(tc.method), got, tc.want)
		}
	}
	guest := f.connect(t)
	if r := callMethod(t, guest, stopped, ack, s.key(0), comment("")); r.StatusCode != ua.StatusBadUserAccessDenied {
		t.Errorf("acknowledge without a user: %v", r.StatusCode)
	}
	s.mu.Lock()
	s.refuse = uaserver.ErrInvalidState
	s.mu.Unlock()
	if r := callMethod(t, c, stopped, ack, s.key(0), comment("")); r.StatusCode != ua.StatusBadInvalidState || s.user != "operator" {
		t.Errorf("refused by the engine: %v, user %q", r.StatusCode, s.user)
	}
}

// TestConditionRefresh: a client that comes late gets what is of interest, with the event ids of those who were there.
func TestConditionRefresh(t *testing.T) {
	f, s := withAlarms(t)
	s.sample(speed, tag.Float64(120))
	s.sample(run, tag.Bool(true))
	s.sample(number0, tag.Float64(11))
	c := f.connect(t)
	selects := fields("EventType", "ConditionName", "EventId")
	where := element(ua.FilterOperatorEquals, field("ConditionName"), literal("speed"))
	l := f.listen(t, c, eventItem(standard(id.Server), 0, selects, where))
	if r := callMethod(t, c, standard(id.ConditionType), standard(id.ConditionType_ConditionRefresh), l.sub.SubscriptionID); r.StatusCode != ua.StatusOK {
		t.Fatal(r.StatusCode)
	}
	if got := l.next(t); !strings.HasPrefix(got, "i=2787 <nil>") {
		t.Errorf("begin: %q", got)
	}
	l.want(t, fmt.Sprintf("i=9482 speed %v", s.key(0)))
	if got := l.next(t); !strings.HasPrefix(got, "i=2788 <nil>") {
		t.Errorf("end: %q", got)
	}
	if r := callMethod(t, c, standard(id.ConditionType), standard(id.ConditionType_ConditionRefresh2), l.sub.SubscriptionID, l.resp.Results[0].MonitoredItemID); r.StatusCode != ua.StatusOK {
		t.Fatal(r.StatusCode)
	}
	for range 3 {
		l.next(t)
	}
	l.none(t)
}

// TestEventFilters checks where clauses and notifiers: each listener gets the events it asked for and no other.
func TestEventFilters(t *testing.T) {
	f, s := withAlarms(t)
	c := f.connect(t)
	name := fields("ConditionName")
	severity, severe := field("Severity"), literal(uint16(alarms.PriorityHigh.Severity()))
	listeners := map[string]*listener{}
	for what, it := range map[string]*ua.MonitoredItemCreateRequest{
		"speed number/Hi": eventItem(standard(id.Server), 0, name),
		"speed":           eventItem(node("line1/"), 0, name),
		"number/Hi":       eventItem(node("number/"), 0, name),
		"speed ":          eventItem(node("/"), 0, name, element(ua.FilterOperatorGreaterThanOrEqual, severity, severe)),
		"number/Hi ":      eventItem(node("/"), 0, name, element(ua.FilterOperatorNot, &ua.ElementOperand{Index: 1}), element(ua.FilterOperatorGreaterThanOrEqual, severity, severe)),
		"speed  ":         eventItem(node("/"), 0, name, element(ua.FilterOperatorOfType, literal(standard(id.ExclusiveLimitAlarmType)))),
		"number/Hi  ":     eventItem(node("/"), 0, name, element(ua.FilterOperatorIsNull, field("LimitState/CurrentState"))),
		"number/Hi   ":    eventItem(node("/"), 0, name, element(ua.FilterOperatorInList, field("SourceName"), literal("a"), literal("number/n00000"))),
		"speed    ": eventItem(node("/"), 0, name, element(ua.FilterOperatorAnd, &ua.ElementOperand{Index: 1}, &ua.ElementOperand{Index: 2}),
			element(ua.FilterOperatorBetween, severity, severe, literal(uint16(1000))), element(ua.FilterOperatorEquals, field("ActiveState/Id"), literal(true))),
		"": eventItem(node("/"), 0, name, element(ua.FilterOperatorEquals, field("NoSuchField"), literal(1.0))),
	} {
		listeners[what] = f.listen(t, c, it)
		if status := listeners[what].resp.Results[0].StatusCode; status != ua.StatusOK {
			t.Fatalf("%q: %v", what, status)
		}
	}
	s.sample(speed, tag.Float64(120))
	s.sample(number0, tag.Float64(11))
	for what, l := range listeners {
		l.want(t, strings.Fields(what)...)
	}
	for _, l := range listeners {
		l.none(t)
	}
}

// TestEventItemsRefuse creates items that cannot be.
func TestEventItemsRefuse(t *testing.T) {
	f, _ := withAlarms(t)
	c := f.connect(t)
	name := fields("ConditionName")
	yes := element(ua.FilterOperatorIsNull, field("Message"))
	noFilter := eventItem(standard(id.Server), 0, name)
	noFilter.RequestedParameters.Filter = ua.NewExtensionObject(nil)
	for what, tc := range map[string]struct {
		it   *ua.MonitoredItemCreateRequest
		want ua.StatusCode
	}{
		"no filter":             {noFilter, ua.StatusBadEventFilterInvalid},
		"no fields":             {eventItem(standard(id.Server), 0, nil), ua.StatusBadEventFilterInvalid},
		"101 fields":            {eventItem(standard(id.Server), 0, slices.Repeat(name, 101)), ua.StatusBadEventFilterInvalid},
		"51 elements":           {eventItem(standard(id.Server), 0, name, slices.Repeat([]*ua.ContentFilterElement{yes}, 51)...), ua.StatusBadEventFilterInvalid},
		"a circle":              {eventItem(standard(id.Server), 0, name, element(ua.FilterOperatorNot, &ua.ElementOperand{Index: 0})), ua.StatusBadEventFilterInvalid},
		"an operator too much":  {eventItem(standard(id.Server), 0, name, element(ua.FilterOperatorLike, field("Message"), literal("%"))), ua.StatusBadEventFilterInvalid},
		"an operand too few":    {eventItem(standard(id.Server), 0, name, element(ua.FilterOperatorEquals, field("Message"))), ua.StatusBadEventFilterInvalid},
		"a tag has no events":   {eventItem(node("line1/pump1/speed"), 0, name), ua.StatusBadAttributeIDInvalid},
		"a condition has none":  {eventItem(node("!speed"), 0, name), ua.StatusBadNotSupported},
		"a node that is none's": {eventItem(node("none/"), 0, name), ua.StatusBadNodeIDUnknown},
	} {
		if r := f.listen(t, c, tc.it).resp.Results[0]; r.StatusCode != tc.want {
			t.Errorf("%s: %v, want %v", what, r.StatusCode, tc.want)
		}
	}
	unknown := fields("ConditionName")
	unknown[0].TypeDefinitionID = standard(99999)
	r := f.listen(t, c, eventItem(standard(id.Server), 0, unknown)).resp.Results[0]
	result, ok := r.FilterResult.Value.(*ua.EventFilterResult)
	if r.StatusCode != ua.StatusOK || !ok || result.SelectClauseResults[0] != ua.StatusBadTypeDefinitionInvalid {
		t.Errorf("a field of an unknown type: %v, %+v", r.StatusCode, r.FilterResult.Value)
	}
}

// TestConditionNodes browses what there is of conditions.
func TestConditionNodes(t *testing.T) {
	f, _ := withAlarms(t)
	c := f.connect(t)
	for n, want := range map[*ua.NodeID]uint64{standard(id.Server): 1, node("/"): 1, node("line1/"): 1, standard(id.ObjectsFolder): 0, node("!speed"): 0} {
		if v := readOne(t, c, n, ua.AttributeIDEventNotifier); v.Status != ua.StatusOK || v.Value.Uint() != want {
			t.Errorf("EventNotifier of %s: %v, %v", n, v.Value, v.Status)
		}
	}
	refs, err := c.Node(node("line1/pump1/speed")).ReferencedNodes(limited(t), id.HasCondition, ua.BrowseDirectionForward, ua.NodeClassObject, false)
	if err != nil || len(refs) != 1 || refs[0].ID.String() != "ns=2;s=!speed" {
		t.Fatalf("conditions of a tag: %v, %v", refs, err)
	}
	methods, err := refs[0].ReferencedNodes(limited(t), id.HasComponent, ua.BrowseDirectionForward, ua.NodeClassMethod, true)
	if err != nil || len(methods) != 2 {
		t.Errorf("methods of a condition: %v, %v", methods, err)
	}
	shelving, err := c.Node(node("!speed#ShelvingState")).ReferencedNodes(limited(t), id.HasComponent, ua.BrowseDirectionForward, ua.NodeClassMethod, true)
	if err != nil || len(shelving) != 3 {
		t.Errorf("methods of its shelving state: %v, %v", shelving, err)
	}
	if v := readOne(t, c, standard(id.AcknowledgeableConditionType_Acknowledge), ua.AttributeIDExecutable); !v.Value.Bool() {
		t.Error("Acknowledge is not executable")
	}
}

// TestSlowAlarmCommandHoldsUpNobody: while an acknowledgement waits, the connection reads and others get events.
func TestSlowAlarmCommandHoldsUpNobody(t *testing.T) {
	f, s := withAlarms(t)
	s.sample(run, tag.Bool(false))
	f.set(speed, tag.Float64(1))
	c := f.connect(t, f.as(t, "operator", "right")...)
	other := f.connect(t)
	l := f.listen(t, other, eventItem(standard(id.Server), 0, fields("ConditionName")))
	s.hold = make(chan struct{})
	done := make(chan ua.StatusCode, 1)
	go func() {
		r, err := c.Call(limited(t), &ua.CallMethodRequest{
			ObjectID: node("!stopped"), MethodID: standard(id.AcknowledgeableConditionType_Acknowledge),
			InputArguments: []*ua.Variant{ua.MustVariant(s.key(0)), ua.MustVariant(comment(""))},
		})
		if err != nil {
			done <- ua.StatusBad
			return
		}
		done <- r.StatusCode
	}()
	for range 10 {
		readOne(t, c, node("line1/pump1/speed"), ua.AttributeIDValue)
	}
	s.sample(speed, tag.Float64(120))
	l.want(t, "speed")
	close(s.hold)
	if status := <-done; status != ua.StatusOK {
		t.Error(status)
	}
}
