//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/gopcua/opcua"
	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"scada/web/uaserver"
)

const (
	uaPatience = 30 * time.Second // one request, on a machine that does other things as well
	uaItems    = 1000
	uaKeyLife  = 2 * time.Second // of the keys of a channel; the library renews them after three quarters
)

// TestGopcuaClient has the client of another project read, write, log in, read the past, take 1,000 items for five seconds
// and through three renewals of its keys, acknowledge an alarm and compare ServiceLevels, with and without security.
func TestGopcuaClient(t *testing.T) {
	r := newRig(t, nil)
	r.start()
	identity, err := uaserver.LoadOrCreateCertificate(t.TempDir(), "urn:gopcua", []string{"localhost"})
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range []string{"a", "b"} {
		trust, err := uaserver.OpenTrustList(filepath.Join(r.dir, "data", node, "pki"), false)
		if err != nil {
			t.Fatal(err)
		}
		if err := trust.Add(identity.Certificate); err != nil {
			t.Fatal(err)
		}
	}
	for _, policy := range []string{ua.SecurityPolicyURINone, ua.SecurityPolicyURIBasic256Sha256, ua.SecurityPolicyURIAes256Sha256RsaPss} {
		t.Run(policy[len(ua.SecurityPolicyURIPrefix):], func(t *testing.T) {
			g := gopcua{t: t, r: r, policy: policy, identity: identity}
			c := g.connect(r.ports.UAA, r.who.Operator)
			g.values(c)
			g.past(c)
			g.events(c)
			g.thousand(c, 5*time.Second)
			if policy != ua.SecurityPolicyURINone {
				// The server ends a connection whose keys grow old, so one that lasts has renewed them.
				g.thousand(g.connect(r.ports.UAA, r.who.Operator, opcua.Lifetime(uaKeyLife)), 4*uaKeyLife)
			}
			if _, err := g.try(r.ports.UAA, "wrong"); !isStatus(err, ua.StatusBadUserAccessDenied) {
				t.Errorf("a wrong password: %v", err)
			}
			g.alarm(c)
			other := g.connect(r.ports.UAB, r.who.Operator)
			// Which one is active is the pair's choice; that a client can tell is what counts.
			r.eventually(uaPatience, "one server is healthy, the other is not the one to use", func() error {
				if a, b := g.number(c, id.Server_ServiceLevel), g.number(other, id.Server_ServiceLevel); (a < 200) == (b < 200) {
					return fmt.Errorf("ServiceLevel %d and %d", a, b)
				}
				return nil
			})
		})
	}
}

// gopcua is the library's client.
type gopcua struct {
	t        *testing.T
	r        *rig
	policy   string
	identity *uaserver.Identity
}

func isStatus(err error, want ua.StatusCode) bool {
	got, ok := err.(ua.StatusCode) //nolint:errorlint // the library returns it as it is
	return ok && got == want
}

func (g gopcua) limited() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), uaPatience)
	g.t.Cleanup(cancel)
	return ctx
}

func (g gopcua) connect(port int, password string, more ...opcua.Option) *opcua.Client {
	g.t.Helper()
	c, err := g.try(port, password, more...)
	if err != nil {
		g.t.Fatalf("connect: %v", err)
	}
	return c
}

func (g gopcua) try(port int, password string, more ...opcua.Option) (*opcua.Client, error) {
	url := fmt.Sprintf("opc.tcp://127.0.0.1:%d", port)
	endpoints, err := opcua.GetEndpoints(g.limited(), url)
	if err != nil {
		return nil, err
	}
	for _, e := range endpoints {
		if e.SecurityPolicyURI != g.policy || e.SecurityMode == ua.MessageSecurityModeSign {
			continue
		}
		opts := []opcua.Option{opcua.AutoReconnect(false), opcua.AuthUsername("operator", password), opcua.SecurityFromEndpoint(e, ua.UserTokenTypeUserName)}
		if g.policy != ua.SecurityPolicyURINone {
			opts = append(opts, opcua.ApplicationURI("urn:gopcua"), opcua.PrivateKey(g.identity.Key), opcua.Certificate(g.identity.Certificate))
		}
		c, err := opcua.NewClient(url, append(opts, more...)...)
		if err != nil {
			return nil, err
		}
		if err := c.Connect(g.limited()); err != nil {
			return nil, err
		}
		g.t.Cleanup(func() { _ = c.Close(context.Background()) })
		return c, nil
	}
	return nil, fmt.Errorf("no endpoint with %s", g.policy)
}

func (g gopcua) number(c *opcua.Client, node uint32) uint64 {
	g.t.Helper()
	v, err := c.Node(ua.NewNumericNodeID(0, node)).Value(g.limited())
	if err != nil {
		g.t.Fatal(err)
	}
	return v.Uint()
}

// values browses the folders, reads everything 5,000 at a time, and writes.
func (g gopcua) values(c *opcua.Client) {
	g.t.Helper()
	project, err := c.Node(ua.NewNumericNodeID(0, id.ObjectsFolder)).ReferencedNodes(g.limited(), id.Organizes, ua.BrowseDirectionForward, ua.NodeClassAll, true)
	if err != nil || len(project) == 0 {
		g.t.Fatalf("browse: %d, %v", len(project), err)
	}
	const tag = "treatment/inlet_valve/position_sp"
	req := &ua.ReadRequest{TimestampsToReturn: ua.TimestampsToReturnBoth}
	for range 5000 {
		req.NodesToRead = append(req.NodesToRead, &ua.ReadValueID{NodeID: ua.NewStringNodeID(2, tag), AttributeID: ua.AttributeIDValue, DataEncoding: &ua.QualifiedName{}})
	}
	var resp *ua.ReadResponse
	g.r.eventually(uaPatience, "5,000 good values are read", func() (err error) {
		if resp, err = c.Read(g.limited(), req); err != nil {
			return err
		}
		if n := len(resp.Results); n != 5000 || resp.Results[n-1].Status != ua.StatusOK {
			return fmt.Errorf("%d results, %w", n, resp.Results[n-1].Status)
		}
		return nil
	})
	for _, w := range []struct {
		name  string
		value *ua.Variant
		want  ua.StatusCode
	}{{tag, resp.Results[0].Value, ua.StatusOK}, {tag, ua.MustVariant("text"), ua.StatusBadTypeMismatch}, {"no/such/tag", resp.Results[0].Value, ua.StatusBadNodeIDUnknown}} {
		got, err := c.Write(g.limited(), &ua.WriteRequest{NodesToWrite: []*ua.WriteValue{{
			NodeID: ua.NewStringNodeID(2, w.name), AttributeID: ua.AttributeIDValue, Value: &ua.DataValue{EncodingMask: ua.DataValueValue, Value: w.value},
		}}})
		if err != nil || got.Results[0] != w.want {
			g.t.Errorf("write %v to %s: %+v, %v", w.value.Value(), w.name, got, err)
		}
	}
}

func (g gopcua) past(c *opcua.Client) {
	g.t.Helper()
	nodes := []*ua.HistoryReadValueID{{NodeID: ua.NewStringNodeID(2, uaProofTag), DataEncoding: &ua.QualifiedName{}}}
	resp, err := c.HistoryReadRawModified(g.limited(), nodes, &ua.ReadRawModifiedDetails{StartTime: time.Now().Add(-time.Hour), EndTime: time.Now(), NumValuesPerNode: 10})
	if err != nil || len(resp.Results) != 1 || resp.Results[0].StatusCode != ua.StatusOK && resp.Results[0].StatusCode != ua.StatusGoodMoreData {
		g.t.Fatalf("history: %+v, %v", resp, err)
	}
	if data, ok := resp.Results[0].HistoryData.Value.(*ua.HistoryData); !ok || len(data.DataValues) == 0 {
		g.t.Errorf("history: %+v", resp.Results[0])
	}
}

// alarm raises an alarm, waits for its event, acknowledges it and ends it.
func (g gopcua) alarm(c *opcua.Client) {
	g.t.Helper()
	notify := make(chan *opcua.PublishNotificationData, 1000)
	sub, err := c.Subscribe(g.limited(), &opcua.SubscriptionParameters{Interval: 100 * time.Millisecond}, notify)
	if err != nil {
		g.t.Fatal(err)
	}
	defer func() { _ = sub.Cancel(g.limited()) }()
	field := func(typ uint32, attr ua.AttributeID, path ...string) *ua.SimpleAttributeOperand {
		op := &ua.SimpleAttributeOperand{TypeDefinitionID: ua.NewNumericNodeID(0, typ), AttributeID: attr}
		for _, name := range path {
			op.BrowsePath = append(op.BrowsePath, &ua.QualifiedName{Name: name})
		}
		return op
	}
	filter := &ua.EventFilter{WhereClause: &ua.ContentFilter{}, SelectClauses: []*ua.SimpleAttributeOperand{
		field(id.BaseEventType, ua.AttributeIDValue, "EventId"), field(id.ConditionType, ua.AttributeIDValue, "ConditionName"),
		field(id.AlarmConditionType, ua.AttributeIDValue, "ActiveState", "Id"), field(id.AcknowledgeableConditionType, ua.AttributeIDValue, "AckedState", "Id"),
		field(id.ConditionType, ua.AttributeIDNodeID),
	}}
	resp, err := sub.Monitor(g.limited(), ua.TimestampsToReturnBoth, &ua.MonitoredItemCreateRequest{
		ItemToMonitor:  &ua.ReadValueID{NodeID: ua.NewNumericNodeID(0, id.Server), AttributeID: ua.AttributeIDEventNotifier, DataEncoding: &ua.QualifiedName{}},
		MonitoringMode: ua.MonitoringModeReporting, RequestedParameters: &ua.MonitoringParameters{QueueSize: 1000, DiscardOldest: true, Filter: ua.NewExtensionObject(filter)},
	})
	if err != nil || resp.Results[0].StatusCode != ua.StatusOK {
		g.t.Fatalf("monitor events: %+v, %v", resp, err)
	}
	force := func(v int) {
		g.t.Helper()
		if err := g.r.sim(http.MethodPost, "/points", map[string]any{"name": "intake/flooded", "value": v}, nil); err != nil {
			g.t.Fatal(err)
		}
	}
	wait := func(active, acked bool) []*ua.Variant {
		g.t.Helper()
		for limit := time.After(uaPatience); ; {
			select {
			case <-limit:
				g.t.Fatalf("no event: active %v, acknowledged %v", active, acked)
			case n := <-notify:
				list, ok := n.Value.(*ua.EventNotificationList)
				if !ok {
					continue
				}
				for _, e := range list.Events {
					if f := e.EventFields; f[1].Value() == "intake-flooded" && f[2].Value() == active && f[3].Value() == acked {
						return f
					}
				}
			}
		}
	}
	force(1)
	raised := wait(true, false)
	condition, ok := raised[4].Value().(*ua.NodeID)
	if !ok {
		g.t.Fatalf("the condition is %v", raised[4].Value())
	}
	result, err := c.Call(g.limited(), &ua.CallMethodRequest{
		ObjectID: condition, MethodID: ua.NewNumericNodeID(0, id.AcknowledgeableConditionType_Acknowledge),
		InputArguments: []*ua.Variant{raised[0], ua.MustVariant(ua.NewLocalizedText("seen"))},
	})
	if err != nil || result.StatusCode != ua.StatusOK {
		g.t.Errorf("acknowledge: %+v, %v", result, err)
	}
	wait(true, true)
	force(0)
	wait(false, true)
}
