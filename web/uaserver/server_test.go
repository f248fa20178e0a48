package uaserver_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gopcua/opcua"
	"github.com/gopcua/opcua/ua"

	"scada/acquisition/live"
	"scada/acquisition/tag"
	"scada/web/uaserver"
)

// plant is a backend with a few tags of each kind and as many numbers as wanted.
type plant struct {
	tags  []tag.Definition
	table *live.Table
	level atomic.Int32

	mu     sync.Mutex
	writes []string
	refuse error
	hold   chan struct{} // a Write waits for it
}

func newPlant(numbers int) *plant {
	p := &plant{tags: []tag.Definition{
		{Name: "line1/pump1/run", Type: tag.TypeBool, Bits: []string{"stopped", "running"}, Writable: true},
		{Name: "line1/pump1/speed", Type: tag.TypeFloat64, Unit: "rpm", Range: tag.Range{High: 200}, Writable: true, Description: "drive"},
		{Name: "line1/pump1/starts", Type: tag.TypeUint32},
		{Name: "line1/text", Type: tag.TypeString, Writable: true},
	}}
	for i := range numbers {
		p.tags = append(p.tags, tag.Definition{Name: fmt.Sprintf("number/n%05d", i), Type: tag.TypeFloat64})
	}
	for i := range p.tags {
		p.tags[i].ID = tag.ID(i)
	}
	p.table = live.New(len(p.tags))
	p.level.Store(255)
	return p
}

const (
	run, speed, starts, text, number0 tag.ID = 0, 1, 2, 3, 4
)

func (p *plant) set(id tag.ID, v tag.Value) {
	p.table.Apply([]tag.Update{{Tag: id, Sample: tag.Sample{Time: time.Now().UnixNano(), Value: v}}})
}

func (p *plant) id(name string) tag.ID {
	return tag.ID(slices.IndexFunc(p.tags, func(d tag.Definition) bool { return d.Name == name }))
}

func (p *plant) Tags() []tag.Definition { return p.tags }
func (p *plant) Live() *live.Table      { return p.table }
func (p *plant) ServiceLevel() byte     { return byte(p.level.Load()) }
func (p *plant) Servers() []uaserver.ServerInfo {
	return []uaserver.ServerInfo{
		{ApplicationURI: "urn:test:a", Name: "node a", EndpointURLs: []string{"opc.tcp://a:4840"}},
		{ApplicationURI: "urn:test:b", Name: "node b", EndpointURLs: []string{"opc.tcp://b:4840"}},
	}
}

func (p *plant) Authenticate(_ context.Context, user, password string) (uaserver.User, error) {
	if password != "right" {
		return uaserver.User{}, fmt.Errorf("log in %s: %w", user, uaserver.ErrUserAccessDenied)
	}
	return uaserver.User{Name: user, MayWrite: user == "operator", MayOperateAlarms: user == "operator", MayDiagnose: user == "admin"}, nil
}

func (p *plant) Write(ctx context.Context, user uaserver.User, def tag.Definition, v tag.Value) error {
	p.mu.Lock()
	hold, refuse := p.hold, p.refuse
	p.writes = append(p.writes, fmt.Sprintf("%s %s=%s", user.Name, def.Name, v))
	p.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if refuse == nil {
		p.set(p.id(def.Name), v)
	}
	return refuse
}

// fixture is a running server with its address.
type fixture struct {
	*plant
	url   string
	addr  string
	pki   string
	trust *uaserver.TrustList
	stop  func()
	srv   *uaserver.Server
}

// identities are made once for all tests: making a key takes longer than most of them.
var identities sync.Map

func certificateOf(t testing.TB, uri string) *uaserver.Identity {
	t.Helper()
	if id, ok := identities.Load(uri); ok {
		return id.(*uaserver.Identity)
	}
	id, err := uaserver.LoadOrCreateCertificate(t.TempDir(), uri, []string{"localhost", "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	identities.Store(uri, id)
	return id
}

func start(t testing.TB, p *plant, change func(*uaserver.Config)) *fixture {
	t.Helper()
	f := startWith(t, p, change)
	f.plant = p
	return f
}

func startWith(t testing.TB, p uaserver.Backend, change func(*uaserver.Config)) *fixture {
	t.Helper()
	dir := t.TempDir()
	identity := certificateOf(t, "urn:test:a")
	trust, err := uaserver.OpenTrustList(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	cfg := uaserver.Config{
		Project: "waterworks", ApplicationURI: "urn:test:a", Identity: identity, Trust: trust, AllowNone: true, AllowAnonymous: true,
	}
	if os.Getenv("UA_LOG") != "" {
		cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	if change != nil {
		change(&cfg)
	}
	srv, err := uaserver.New(cfg, p)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ctx, l) }()
	var once sync.Once
	stop := func() {
		once.Do(func() {
			cancel()
			select {
			case err := <-done:
				if err != nil {
					t.Errorf("Serve: %v", err)
				}
			case <-time.After(20 * time.Second):
				t.Error("Serve does not end")
			}
		})
	}
	t.Cleanup(stop)
	return &fixture{url: "opc.tcp://" + l.Addr().String(), addr: l.Addr().String(), pki: dir, trust: trust, stop: stop, srv: srv}
}

func limited(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// connect connects a client; the default is no security and no user.
func (f *fixture) connect(t testing.TB, opts ...opcua.Option) *opcua.Client {
	t.Helper()
	c, err := f.tryConnect(t, opts...)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	return c
}

func (f *fixture) tryConnect(t testing.TB, opts ...opcua.Option) (*opcua.Client, error) {
	c, err := opcua.NewClient(f.url, append([]opcua.Option{opcua.AutoReconnect(false), opcua.SecurityMode(ua.MessageSecurityModeNone)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Connect(limited(t)); err != nil {
		return nil, err
	}
	awaitPublisher(t)
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c, nil
}

// secure gives the options for a policy, with a client certificate, and a log-in if there is a user.
func (f *fixture) secure(t testing.TB, policy string, mode ua.MessageSecurityMode, user, password string) []opcua.Option {
	t.Helper()
	id := certificateOf(t, "urn:test:client")
	endpoints, err := opcua.GetEndpoints(limited(t), f.url)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range endpoints {
		if e.SecurityPolicyURI != policy || e.SecurityMode != mode {
			continue
		}
		opts := []opcua.Option{opcua.ApplicationURI("urn:test:client"), opcua.PrivateKey(id.Key), opcua.Certificate(id.Certificate)}
		if mode == ua.MessageSecurityModeNone {
			opts = nil
		}
		if user == "" {
			return append(opts, opcua.SecurityFromEndpoint(e, ua.UserTokenTypeAnonymous))
		}
		return append(opts, opcua.AuthUsername(user, password), opcua.SecurityFromEndpoint(e, ua.UserTokenTypeUserName))
	}
	t.Fatalf("no endpoint with %s, %s", policy, mode)
	return nil
}

// as gives the options for a user on a channel without security; the password is encrypted all the same.
func (f *fixture) as(t testing.TB, user, password string) []opcua.Option {
	return f.secure(t, ua.SecurityPolicyURINone, ua.MessageSecurityModeNone, user, password)
}

func node(name string) *ua.NodeID { return ua.NewStringNodeID(2, name) }

func readOne(t testing.TB, c *opcua.Client, id *ua.NodeID, attr ua.AttributeID) *ua.DataValue {
	t.Helper()
	resp, err := c.Read(limited(t), &ua.ReadRequest{
		TimestampsToReturn: ua.TimestampsToReturnBoth, NodesToRead: []*ua.ReadValueID{{NodeID: id, AttributeID: attr}},
	})
	if err != nil {
		t.Fatalf("read %s: %v", id, err)
	}
	return resp.Results[0]
}

func write(t testing.TB, c *opcua.Client, id *ua.NodeID, v any) ua.StatusCode {
	t.Helper()
	resp, err := c.Write(limited(t), &ua.WriteRequest{NodesToWrite: []*ua.WriteValue{{
		NodeID: id, AttributeID: ua.AttributeIDValue, Value: &ua.DataValue{EncodingMask: ua.DataValueValue, Value: ua.MustVariant(v)},
	}}})
	if err != nil {
		t.Fatalf("write %s: %v", id, err)
	}
	return resp.Results[0]
}

func wantStatus(t testing.TB, what string, err error, want ua.StatusCode) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}
