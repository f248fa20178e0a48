package opcua

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/server"
	"github.com/gopcua/opcua/ua"

	"scada/acquisition"
	"scada/acquisition/tag"
)

// patience is how long a test waits for something that should happen soon.
const patience = 10 * time.Second

// rig is a server, a proxy before it that can be cut and frozen, and the source under test.
type rig struct {
	t      *testing.T
	nodes  *server.NodeNameSpace
	proxy  *proxy
	source *Source
	sink   *sink
	cancel func()
	done   chan error
}

// identity is made once: keys are slow to make.
var identity = sync.OnceValues(func() (*Identity, error) { return NewIdentity("urn:scada:test") })

func testIdentity(t *testing.T) *Identity {
	t.Helper()
	id, err := identity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// shared is one server for all tests: it takes long to start. It is the library's own, an opinion that is not ours.
var shared = sync.OnceValues(func() (*testServer, error) {
	own, err := identity()
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &testServer{port: l.Addr().(*net.TCPAddr).Port}
	if err := l.Close(); err != nil {
		return nil, err
	}
	s.server = server.New(
		server.EndPoint("127.0.0.1", s.port), server.EnableSecurity("None", ua.MessageSecurityModeNone),
		server.EnableSecurity("Basic256Sha256", ua.MessageSecurityModeSignAndEncrypt), server.PrivateKey(own.Key), server.Certificate(own.Certificate),
		server.EnableAuthMode(ua.UserTokenTypeAnonymous), server.EnableAuthMode(ua.UserTokenTypeUserName),
	)
	s.nodes = server.NewNodeNameSpace(s.server, "test")
	for name, v := range startValues {
		s.nodes.Objects().AddRef(s.nodes.AddNewVariableStringNode(name, v), server.RefType(47), true)
	}
	s.server.RegisterHandler(id.HistoryReadRequest_Encoding_DefaultBinary, readHistory)
	return s, s.server.Start(context.Background())
})

var startValues = map[string]any{
	"speed": 10.5, "count": int32(7), "on": true, "text": "ready", "raw": int16(13824), "array": []float64{1, 2}, "setpoint": 1.0,
}

type testServer struct {
	server *server.Server
	nodes  *server.NodeNameSpace
	port   int
}

func newRig(t *testing.T, change func(d *Device, o *Options)) *rig {
	t.Helper()
	if raceDetector {
		t.Skip("the library's server races with itself when a value is set; the driver meets the race detector at simulators/ua")
	}
	s, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, sink: newSink(), nodes: s.nodes}
	for name, v := range startValues {
		r.set(name, v)
	}
	address := fmt.Sprintf("127.0.0.1:%d", s.port)
	r.proxy = newProxy(t, address)
	d := Device{Name: "mixer", Endpoint: "opc.tcp://" + r.proxy.addr(), Timeout: 500 * time.Millisecond, Tags: testTags(r.nodes.ID())}
	o := Options{}
	if change != nil {
		change(&d, &o)
	}
	if d.Endpoint == "direct" { // this server offers secure endpoints under its own address only
		d.Endpoint = "opc.tcp://" + address
	}
	if r.source, err = New(d, o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.stop)
	return r
}

func testTags(ns uint16) []tag.Definition {
	def := func(id tag.ID, name string, t tag.Type) tag.Definition {
		return tag.Definition{ID: id, Name: name, Address: fmt.Sprintf("ns=%d;s=%s", ns, name), Type: t, RawType: t, ScanPeriod: 100 * time.Millisecond}
	}
	tags := []tag.Definition{
		def(0, "speed", tag.TypeFloat64), def(1, "count", tag.TypeInt32), def(2, "on", tag.TypeBool), def(3, "text", tag.TypeString),
		def(4, "raw", tag.TypeInt16), def(5, "array", tag.TypeFloat64), def(6, "nothing", tag.TypeFloat64), def(7, "setpoint", tag.TypeFloat64),
		def(8, "text", tag.TypeInt16), def(9, "speed", tag.TypeFloat64),
	}
	tags[4].Type, tags[4].Scale = tag.TypeFloat64, tag.Linear{RawHigh: 27648, High: 100}
	tags[7].Writable, tags[0].Range, tags[9].Range = true, tag.Range{High: 100}, tag.Range{High: 5}
	return tags
}

func (r *rig) run() {
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel, r.done = cancel, make(chan error, 1)
	go func() { r.done <- r.source.Run(ctx, r.sink) }()
}

// stop ends Run and checks that it ends at once and takes its connections with it.
func (r *rig) stop() {
	if r.cancel == nil {
		return
	}
	begun := time.Now()
	r.cancel()
	r.cancel = nil
	select {
	case err := <-r.done:
		if err != nil {
			r.t.Errorf("Run ended with %v", err)
		}
	case <-time.After(patience):
		r.t.Fatal("Run does not end")
	}
	if took := time.Since(begun); took > 2*time.Second {
		r.t.Errorf("Run took %v to end", took)
	}
	for end := time.Now().Add(patience); r.proxy.open() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("%d connections are left after Run", r.proxy.open())
		}
	}
}

func (r *rig) set(name string, v any) {
	r.t.Helper()
	id := ua.NewStringNodeID(r.nodes.ID(), name)
	variant, err := ua.NewVariant(v)
	if err != nil {
		r.t.Fatal(err)
	}
	r.nodes.SetAttribute(id, ua.AttributeIDValue, &ua.DataValue{EncodingMask: ua.DataValueValue | ua.DataValueSourceTimestamp, Value: variant, SourceTimestamp: time.Now()})
	r.nodes.ChangeNotification(id)
}

// sink remembers the newest sample of each tag and lets a test wait for one.
type sink struct {
	mu      sync.Mutex
	last    map[tag.ID]tag.Sample
	all     []tag.Update
	settled []error
	changed chan struct{}
}

func newSink() *sink { return &sink{last: map[tag.ID]tag.Sample{}, changed: make(chan struct{}, 1)} }

func (s *sink) Publish(batch []tag.Update) {
	s.mu.Lock()
	for _, u := range batch {
		s.last[u.Tag] = u.Sample
		s.all = append(s.all, u)
	}
	s.mu.Unlock()
	s.signal()
}

func (s *sink) Settled(_ string, _ time.Time, err error) {
	s.mu.Lock()
	s.settled = append(s.settled, err)
	s.mu.Unlock()
	s.signal()
}

func (s *sink) signal() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// wait returns how long it took until the tag's sample was as wanted.
func (s *sink) wait(t *testing.T, id tag.ID, what string, want func(tag.Sample) bool) time.Duration {
	t.Helper()
	begun := time.Now()
	give := time.After(patience)
	for {
		s.mu.Lock()
		x := s.last[id]
		s.mu.Unlock()
		if want(x) {
			return time.Since(begun)
		}
		select {
		case <-s.changed:
		case <-give:
			t.Fatalf("tag %d never became %s; it is %v %s", id, what, x.Value, x.Quality)
		}
	}
}

// loss tells whether the tag has been shown as lost since, with its last value; it may be good again by then.
func (s *sink) loss(id tag.ID) func(tag.Sample) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	from, value := len(s.all), s.last[id].Value
	return func(tag.Sample) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return slices.ContainsFunc(s.all[from:], func(u tag.Update) bool {
			return u.Tag == id && u.Quality == tag.UncertainNoCommunicationLastUsable && u.Value == value
		})
	}
}

func (s *sink) waitSettled(t *testing.T, n int) {
	t.Helper()
	s.wait(t, 0, "settled", func(tag.Sample) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.settled) >= n
	})
}

func (s *sink) waitQuality(t *testing.T, id tag.ID, q tag.Quality) time.Duration {
	t.Helper()
	return s.wait(t, id, q.String(), func(x tag.Sample) bool { return x.Quality == q && x.Time != 0 })
}

func (s *sink) waitNumber(t *testing.T, id tag.ID, f float64) time.Duration {
	t.Helper()
	return s.wait(t, id, fmt.Sprint(f), func(x tag.Sample) bool { return x.Quality == tag.Good && x.Value.Number() == f })
}

// proxy passes bytes on until it is told not to.
type proxy struct {
	listener net.Listener
	target   string
	frozen   atomic.Bool
	refusing atomic.Bool
	spoil    atomic.Pointer[func(chunk []byte) []byte] // changes what the server sends

	mu      sync.Mutex
	conns   map[net.Conn]bool
	remotes []string
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, target: target, conns: map[net.Conn]bool{}}
	go p.accept()
	t.Cleanup(func() { l.Close(); p.cut() })
	return p
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

func (p *proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		if p.refusing.Load() {
			c.Close()
			continue
		}
		p.mu.Lock()
		p.conns[c] = true
		p.remotes = append(p.remotes, c.RemoteAddr().String())
		p.mu.Unlock()
		go p.join(c)
	}
}

// join connects to the server when the client has said something: this server never accepts again after a client that
// left without a word.
func (p *proxy) join(c net.Conn) {
	buf := make([]byte, maxChunk)
	n, err := readChunk(c, buf)
	if err != nil {
		p.forget(c)
		return
	}
	out, err := net.Dial("tcp", p.target)
	if err != nil {
		p.forget(c)
		return
	}
	for p.frozen.Load() {
		time.Sleep(5 * time.Millisecond)
	}
	if _, err := out.Write(buf[:n]); err != nil {
		out.Close()
		p.forget(c)
		return
	}
	go p.pump(out, c, &p.spoil)
	p.pump(c, out, nil)
}

func (p *proxy) forget(c net.Conn) {
	c.Close()
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
}

func (p *proxy) pump(from, to net.Conn, spoil *atomic.Pointer[func([]byte) []byte]) {
	defer func() {
		from.Close()
		to.Close()
		p.mu.Lock()
		delete(p.conns, from)
		delete(p.conns, to)
		p.mu.Unlock()
	}()
	buf := make([]byte, maxChunk)
	for {
		n, err := readChunk(from, buf)
		for p.frozen.Load() {
			time.Sleep(5 * time.Millisecond)
		}
		if err != nil {
			return
		}
		out := buf[:n]
		if spoil != nil {
			if f := spoil.Load(); f != nil {
				out = (*f)(out)
			}
		}
		if _, err := to.Write(out); err != nil {
			return
		}
	}
}

// cut ends every connection.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
	}
}

func (p *proxy) open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns)
}

func (p *proxy) lastRemote() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.remotes) == 0 {
		return ""
	}
	return p.remotes[len(p.remotes)-1]
}

var _ acquisition.Sink = (*sink)(nil)
