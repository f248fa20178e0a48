package web

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/crypto/argon2"

	"scada/acquisition/tag"
	"scada/web/api"
)

// pipes is a network of net.Pipe connections: it works inside a bubble and has no buffers a slow reader could hide in.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "10.0.0.7:1000" }

type pipeConn struct{ net.Conn }

func (pipeConn) RemoteAddr() net.Addr { return pipeAddr{} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return pipeConn{c}, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return pipeAddr{} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.closed:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// cheapHash costs nothing: the tests are not about the price of a hash.
func cheapHash(password string) string {
	salt := []byte("saltsalt")
	key := argon2.IDKey([]byte(password), salt, 1, 64, 1, 32)
	b := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=19$m=64,t=1,p=1$%s$%s", b.EncodeToString(salt), b.EncodeToString(key))
}

var testKey = bytes.Repeat([]byte{7}, MinPairKey)

func testConfig(node string) Config {
	return Config{
		Node: node, Origins: []string{"http://a.test", "http://b.test"}, PairKey: testKey,
		Users: []User{{Name: "vera", Role: Viewer, Hash: cheapHash("password-v")}, {Name: "olga", Role: Operator, Hash: cheapHash("password-o")},
			{Name: "emil", Role: Engineer, Hash: cheapHash("password-e")}, {Name: "adam", Role: Admin, Hash: cheapHash("password-a")}},
		Tokens: []Token{{Name: "script-view", Role: Viewer, Hash: HashToken("tok-viewer")}, {Name: "script-op", Role: Operator, Hash: HashToken("tok-operator")},
			{Name: "script-eng", Role: Engineer, Hash: HashToken("tok-engineer")}, {Name: "script-admin", Role: Admin, Hash: HashToken("tok-admin")}},
	}
}

// rig is a running server and ways to talk to it.
type rig struct {
	t    *testing.T
	s    *Server
	f    *fake
	net  *pipes
	http *http.Client
	stop func()

	cookie string // of an administrator, once there is one
}

func startRig(t *testing.T, cfg Config, f *fake) *rig {
	t.Helper()
	p := newPipes()
	cfg.Listen = func(string, string) (net.Listener, error) { return p, nil }
	s, err := New(cfg, f)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	transport := &http.Transport{DialContext: p.dial, DisableCompression: true}
	r := &rig{t: t, s: s, f: f, net: p, http: &http.Client{Transport: transport}}
	var once sync.Once
	r.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Run: %v", err)
			}
			transport.CloseIdleConnections()
		})
	}
	return r
}

// bubble runs the test with virtual time and a server that is gone, with every goroutine, when it ends.
func bubble(t *testing.T, f *fake, test func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t, testConfig("a"), f)
		defer r.stop()
		test(r)
	})
}

// answer is a response read to its end.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) code() string {
	var p api.Problem
	if json.Unmarshal([]byte(a.body), &p) != nil {
		return ""
	}
	return p.Code
}

// do sends a request; headers are name, value, name, value…
func (r *rig) do(method, path, body string, headers ...string) answer {
	r.t.Helper()
	req, err := http.NewRequest(method, "http://a.test"+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := r.http.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(text)}
}

func bearer(token string) []string { return []string{"Authorization", "Bearer " + token} }

// login returns the session cookie of a user.
func (r *rig) login(user, password string) (answer, string) {
	r.t.Helper()
	a := r.do("POST", "/api/v1/session", fmt.Sprintf(`{"user":%q,"password":%q}`, user, password))
	cookie, _, _ := strings.Cut(a.header.Get("Set-Cookie"), ";")
	return a, cookie
}

// sock is the client's end of a socket.
type sock struct {
	t    *testing.T
	conn *websocket.Conn
}

func (r *rig) socket(headers ...string) *sock {
	r.t.Helper()
	d := websocket.Dialer{NetDialContext: r.net.dial, Subprotocols: []string{subprotocol}}
	h := http.Header{}
	for i := 0; i < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	conn, resp, err := d.Dial("ws://a.test/api/v1/ws", h)
	if err != nil {
		status := ""
		if resp != nil {
			status = resp.Status
		}
		r.t.Fatalf("socket: %v %s", err, status)
	}
	return &sock{r.t, conn}
}

// hello opens a socket and signs in with a token.
func (r *rig) hello(token, more string) (*sock, map[string]any) {
	r.t.Helper()
	s := r.socket()
	s.send(fmt.Sprintf(`{"t":"hello","token":%q%s}`, token, more))
	return s, s.want("welcome")
}

func (s *sock) send(text string) {
	s.t.Helper()
	if err := s.conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		s.t.Fatalf("send %s: %v", text, err)
	}
}

// next returns the next message that is no heartbeat: text as an object, binary as bytes.
func (s *sock) next() (map[string]any, []byte) {
	s.t.Helper()
	for range 200 {
		kind, data, err := s.conn.ReadMessage()
		if err != nil {
			s.t.Fatalf("read: %v", err)
		}
		if kind == websocket.BinaryMessage {
			return nil, data
		}
		var m map[string]any
		if err := json.Unmarshal(data, &m); err != nil {
			s.t.Fatalf("%s: %v", data, err)
		}
		if m["t"] != "hb" {
			return m, nil
		}
	}
	s.t.Fatal("nothing but heartbeats")
	return nil, nil
}

func (s *sock) want(kind string) map[string]any {
	s.t.Helper()
	m, data := s.next()
	if m == nil || m["t"] != kind {
		s.t.Fatalf("got %v %d bytes, want %s", m, len(data), kind)
	}
	return m
}

// wantFrame reads a data frame.
func (s *sock) wantFrame() decoded {
	s.t.Helper()
	m, data := s.next()
	if data == nil {
		s.t.Fatalf("got %v, want a frame", m)
	}
	f, err := decodeFrame(data)
	if err != nil {
		s.t.Fatal(err)
	}
	return f
}

// wantClose reads to the end and returns the close code.
func (s *sock) wantClose() int {
	s.t.Helper()
	for {
		if _, _, err := s.conn.ReadMessage(); err != nil {
			var ce *websocket.CloseError
			if !errors.As(err, &ce) {
				s.t.Fatalf("ended without a close: %v", err)
			}
			s.conn.Close()
			return ce.Code
		}
	}
}

func (s *sock) close() { s.conn.Close() }

func float(name string) tag.Definition {
	return tag.Definition{Name: name, Type: tag.TypeFloat64, Writable: true, Range: tag.Range{Low: 0, High: 100}, Unit: "%", ScanPeriod: time.Second}
}

func set(p *Plant, name string, v tag.Value, q tag.Quality) {
	d, _ := p.find(name)
	p.Live.Apply([]tag.Update{{Tag: d.ID, Sample: tag.Sample{Time: time.Now().UnixNano(), Value: v, Quality: q}}})
}

// recorded is a response writer for handlers that need no server.
type recorded struct {
	code   int
	header http.Header
	body   strings.Builder
}

func newRecorded() *recorded { return &recorded{code: 200, header: http.Header{}} }

func (r *recorded) Header() http.Header         { return r.header }
func (r *recorded) WriteHeader(code int)        { r.code = code }
func (r *recorded) Write(b []byte) (int, error) { return r.body.Write(b) }
