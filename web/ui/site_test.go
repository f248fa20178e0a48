package ui_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"scada/web"
	"scada/web/ui"
	"scada/web/ui/uitest"
)

// needBrowser skips a test where no browser or no bundle is.
func needBrowser(t *testing.T) {
	t.Helper()
	if !ui.Built() {
		t.Skip("the bundle is not built: go run ./web/ui/build")
	}
	uitest.Need(t)
}

// cable is a listener whose connections can be cut or frozen, as a killed or a stopped process would leave them.
type cable struct {
	net.Listener
	mu     sync.Mutex
	conns  []net.Conn
	frozen chan struct{} // closed: connections hang
}

type frozenConn struct {
	net.Conn
	c *cable
}

func (c *cable) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conns = append(c.conns, conn)
	return &frozenConn{conn, c}, nil
}

// hang blocks for ever once the cable is frozen; the connection's end wakes nobody, as with a stopped process.
func (f *frozenConn) hang() {
	select {
	case <-f.c.frozen:
		select {}
	default:
	}
}

func (f *frozenConn) Write(b []byte) (int, error) {
	f.hang()
	return f.Conn.Write(b)
}

func (f *frozenConn) Read(b []byte) (int, error) {
	n, err := f.Conn.Read(b)
	f.hang()
	return n, err
}

// cut ends the listener and every connection at once.
func (c *cable) cut() {
	c.Listener.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		conn.Close()
	}
}

// site is the pair's two web servers over one plant.
type site struct {
	*plant
	people *registry
	url    map[string]string
	cables map[string]*cable
}

const password = "correct horse"

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{plant: newPlant(), url: map[string]string{}, cables: map[string]*cable{}}
	s.past(6 * time.Minute)
	hash, err := web.HashPassword(password)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s.cables[name] = &cable{Listener: l, frozen: make(chan struct{})}
		s.url[name] = "http://" + l.Addr().String()
	}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	users := []web.User{{Name: "olga", Role: web.Operator, Hash: hash}, {Name: "adam", Role: web.Admin, Hash: hash}, {Name: "vera", Role: web.Viewer, Hash: hash}}
	reg, err := newRegistry(users)
	if err != nil {
		t.Fatal(err)
	}
	s.people = reg
	for _, name := range []string{"a", "b"} {
		other := map[string]string{"a": "b", "b": "a"}[name]
		srv, err := web.New(web.Config{
			Node: name, Origins: []string{s.url[name], s.url[other]}, PairKey: []byte(strings.Repeat("k", web.MinPairKey)), UI: ui.Files(),
			Users: users, People: reg,
			Listen: func(string, string) (net.Listener, error) { return s.cables[name], nil },
		}, s.nodes[name])
		if err != nil {
			t.Fatal(err)
		}
		reg.servers = append(reg.servers, srv)
	}
	for _, srv := range reg.servers {
		go func() { _ = srv.Run(ctx) }()
	}
	go s.run(ctx)
	return s
}

// signIn opens a node's page, logs in, and waits for the first values: a gap is one only after a good value.
func (s *site) signIn(b *uitest.Tab, node, user string) {
	b.SignIn(s.url[node], user, password, 200)
	b.Wait("a good value", "scada.value('intake/river/level')?.quality === 'Good'")
}
