package uaserver_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gopcua/opcua"
	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"scada/acquisition/tag"
)

const (
	sessionsArray      = id.Server_ServerDiagnostics_SessionsDiagnosticsSummary_SessionDiagnosticsArray
	securityArray      = id.Server_ServerDiagnostics_SessionsDiagnosticsSummary_SessionSecurityDiagnosticsArray
	subscriptionsArray = id.Server_ServerDiagnostics_SubscriptionDiagnosticsArray
)

// elements reads an array of structures.
func elements[T any](t *testing.T, c *opcua.Client, n uint32) []*T {
	t.Helper()
	v := readOne(t, c, standard(n), ua.AttributeIDValue)
	list, ok := v.Value.Value().([]*ua.ExtensionObject)
	if !ok || v.Status != ua.StatusOK {
		t.Fatalf("node %d: %v, %v", n, v.Status, v.Value)
	}
	var out []*T
	for _, x := range list {
		out = append(out, x.Value.(*T))
	}
	return out
}

func TestDiagnosticsCountWhatClientsDo(t *testing.T) {
	f := start(t, newPlant(3), nil)
	admin := f.connect(t, append(f.as(t, "admin", "right"), opcua.SessionName("office"))...)
	worker := f.connect(t, append(f.as(t, "operator", "right"), opcua.SessionName("line"))...)
	w := f.watch(t, worker, 50*time.Millisecond, items(3, 0, 2)...)
	for i := range 10 {
		f.set(number0, tag.Float64(float64(i)))
		w.until(t, func() bool { return w.last(0) == float64(i) })
	}
	for range 4 { // and the library has read the namespaces when it connected
		readOne(t, worker, node("line1/text"), ua.AttributeIDValue)
	}
	if _, err := worker.Browse(limited(t), &ua.BrowseRequest{View: &ua.ViewDescription{ViewID: ua.NewTwoByteNodeID(9)}}); err == nil {
		t.Error("an unknown view was browsed")
	}

	sessions := elements[ua.SessionDiagnosticsDataType](t, admin, sessionsArray)
	if len(sessions) != 2 || sessions[0].SessionName != "office" || sessions[1].SessionName != "line" {
		t.Fatalf("sessions: %+v", sessions)
	}
	line := sessions[1]
	got := fmt.Sprint(*line.ReadCount, *line.CreateMonitoredItemsCount, *line.BrowseCount, *line.WriteCount, line.CurrentSubscriptionsCount, line.CurrentMonitoredItemsCount)
	if want := "{5 0} {1 0} {1 1} {0 0} 1 3"; got != want {
		t.Errorf("read, create items, browse, write, subscriptions, items: %s, want %s", got, want)
	}
	if n := line.TotalRequestCount; n.TotalCount < 8 || n.ErrorCount != 1 || line.ClientLastContactTime.Before(line.ClientConnectionTime) {
		t.Errorf("in all %+v, from %v to %v", n, line.ClientConnectionTime, line.ClientLastContactTime)
	}

	subs := elements[ua.SubscriptionDiagnosticsDataType](t, admin, subscriptionsArray)
	if len(subs) != 1 || subs[0].SessionID.String() != line.SessionID.String() {
		t.Fatalf("subscriptions: %+v", subs)
	}
	seen := len(w.got(0)) + len(w.got(1)) + len(w.got(2))
	if s := subs[0]; s.MonitoredItemCount != 3 || int(s.DataChangeNotificationsCount) != seen || s.NotificationsCount != s.DataChangeNotificationsCount || s.PublishingInterval != 50 {
		t.Errorf("%d values came, the server says %+v", seen, s)
	}

	security := elements[ua.SessionSecurityDiagnosticsDataType](t, admin, securityArray)
	if len(security) != 2 || security[1].ClientUserIDOfSession != "operator" || security[1].AuthenticationMechanism != "UserName" ||
		security[1].SecurityPolicyURI != ua.SecurityPolicyURINone || !slices.Equal(security[1].ClientUserIDHistory, []string{"operator"}) {
		t.Errorf("security: %+v", security)
	}
	if n := readOne(t, admin, standard(id.Server_ServerDiagnostics_ServerDiagnosticsSummary_PublishingIntervalCount), ua.AttributeIDValue); n.Value.Uint() != 1 {
		t.Errorf("%v publishing intervals", n.Value.Value())
	}
	if on := readOne(t, admin, standard(id.Server_ServerDiagnostics_EnabledFlag), ua.AttributeIDValue); !on.Value.Bool() {
		t.Error("the diagnostics are said to be off")
	}

	// An item on what tells of the subscriptions does not wait for itself.
	own := f.watch(t, admin, 50*time.Millisecond, item(standard(subscriptionsArray), 0, 100, 10, nil))
	own.until(t, func() bool {
		v := own.got(0)
		return len(v) > 1 && len(v[len(v)-1].Value.Value().([]*ua.ExtensionObject)) == 2
	})
}

func TestDiagnosticsOfOthersAreForAdministrators(t *testing.T) {
	f := start(t, newPlant(1), nil)
	for name, c := range map[string]*opcua.Client{"nobody": f.connect(t), "an operator": f.connect(t, f.as(t, "operator", "right")...)} {
		for _, n := range []uint32{sessionsArray, securityArray, subscriptionsArray} {
			if got := readOne(t, c, standard(n), ua.AttributeIDValue).Status; got != ua.StatusBadUserAccessDenied {
				t.Errorf("%s reads %d: %v", name, n, got)
			}
			if got := readOne(t, c, standard(n), ua.AttributeIDUserAccessLevel).Value.Uint(); got != 0 {
				t.Errorf("%s has access %d to %d", name, got, n)
			}
			resp, err := c.Read(limited(t), &ua.ReadRequest{NodesToRead: []*ua.ReadValueID{{NodeID: standard(n), AttributeID: ua.AttributeIDValue, IndexRange: "0", DataEncoding: &ua.QualifiedName{}}}})
			if err != nil || resp.Results[0].Status != ua.StatusBadUserAccessDenied {
				t.Errorf("%s reads part of %d: %+v, %v", name, n, resp, err)
			}
		}
		w := f.watch(t, c, 50*time.Millisecond, item(standard(sessionsArray), 0, 100, 10, nil))
		w.until(t, func() bool { return len(w.got(0)) > 0 })
		if got := w.got(0)[0].Status; got != ua.StatusBadUserAccessDenied {
			t.Errorf("%s is notified of %v", name, got)
		}
	}
}

func TestServerCountsRefusals(t *testing.T) {
	f := start(t, newPlant(1), nil)
	r := rawSession(t, f)
	auth := r.auth
	r.auth = ua.NewByteStringNodeID(1, make([]byte, 32))
	read := func(n uint32) *ua.ReadRequest {
		return &ua.ReadRequest{NodesToRead: []*ua.ReadValueID{{NodeID: standard(n), AttributeID: ua.AttributeIDValue, DataEncoding: &ua.QualifiedName{}}}}
	}
	for range 3 {
		r.call(t, read(id.Server_ServiceLevel))
	}
	r.auth = auth
	r.call(t, &ua.BrowseNextRequest{})
	for n, want := range map[uint32]uint64{
		id.Server_ServerDiagnostics_ServerDiagnosticsSummary_SecurityRejectedRequestsCount: 3,
		id.Server_ServerDiagnostics_ServerDiagnosticsSummary_RejectedRequestsCount:         4,
		id.Server_ServerDiagnostics_ServerDiagnosticsSummary_CurrentSessionCount:           1,
	} {
		resp := r.exchange(t, read(n)).(*ua.ReadResponse)
		if got := resp.Results[0].Value.Uint(); got != want {
			t.Errorf("node %d says %d, want %d", n, got, want)
		}
	}
}
