package uaserver_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"scada/acquisition/tag"
	"scada/alarms"
	"scada/web/uaserver"
)

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
