package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/time/rate"
)

const subprotocol = "scada.v1"

// client is one socket: a reader, which is the goroutine of the request, and a writer.
type client struct {
	h      *hub
	conn   *websocket.Conn
	remote string
	page   bool   // of a browser
	user   string // guarded by hub.mu: counts the connections of a user
	who    principal
	json   bool // data as JSON
	ticket bool // signed in by ticket: no session here to end

	kick     chan struct{}   // the writer has something to look at
	server   context.Context // ends with the server
	done     context.Context // ends with the connection
	stop     context.CancelFunc
	commands sync.WaitGroup
	slots    chan struct{} // commands that run
	control  *rate.Limiter
	acks     *rate.Limiter

	mu        sync.Mutex
	outbox    [][]byte
	ping      *string // to be answered
	subs      map[uint16]*subscription
	handles   int // over all subscriptions
	acked     uint32
	sent      uint32
	closing   *closeError // the first reason to end
	gone      error       // why nothing more came
	instance  string      // the one of resume, when recovered
	recovered bool
}

// originAllowed lets pages of the pair and of the host asked open sockets; programs send no Origin.
func (s *Server) originAllowed(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || slices.Contains(s.cfg.Origins, origin) {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && strings.EqualFold(u.Host, r.Host)
}

// getSocket makes the connection of the request a socket.
func (s *Server) getSocket(c *call) (any, error) {
	if !slices.Contains(websocket.Subprotocols(c.r), subprotocol) {
		return nil, badSocket(c.r)
	}
	if !s.originAllowed(c.r) {
		return nil, authoriseOrigin(c.r)
	}
	w := c.w
	if u, ok := w.(interface{ Unwrap() http.ResponseWriter }); ok {
		w = u.Unwrap()
	}
	conn, err := s.hub.upgrader.Upgrade(w, c.r, nil)
	if err != nil {
		return nil, nil // the upgrader has answered
	}
	shrinkSendBuffer(conn.NetConn())
	base, ok := c.r.Context().Value(baseKey{}).(context.Context)
	if !ok {
		base = context.WithoutCancel(c.r.Context())
	}
	cl := newClient(s.hub, conn, c.who)
	cl.remote, cl.page = remote(c.r), c.r.Header.Get("Origin") != ""
	s.running.another()
	go s.serveSocket(base, cl)
	return nil, nil
}

// serveSocket serves a socket on a goroutine that has nothing of the request any more: its header, buffers and stack are most of what
// a socket would hold for hours.
func (s *Server) serveSocket(ctx context.Context, c *client) {
	defer s.running.end()
	defer c.conn.Close()
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("socket panicked", "remote", c.remote, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	c.serve(ctx)
}

func newClient(h *hub, conn *websocket.Conn, who principal) *client {
	return &client{h: h, conn: conn, who: who, kick: make(chan struct{}, 1), slots: make(chan struct{}, maxCommands),
		control: rate.NewLimiter(controlPerSecond, controlBurst), acks: rate.NewLimiter(acksPerSecond, ackBurst),
		subs: map[uint16]*subscription{}}
}

// shrinkSendBuffer keeps the kernel from storing values for a slow reader: they get old there and cannot be merged.
func shrinkSendBuffer(c net.Conn) {
	for {
		switch t := c.(type) {
		case interface{ SetWriteBuffer(bytes int) error }:
			if t.SetWriteBuffer(sendBuffer) != nil {
				return // still correct, only slower to notice a slow reader
			}
			return
		case interface{ NetConn() net.Conn }:
			c = t.NetConn()
		default:
			return
		}
	}
}

// serve runs the socket until it ends. ctx is the server's.
func (c *client) serve(ctx context.Context) {
	c.server = ctx
	c.done, c.stop = context.WithCancel(ctx)
	defer c.stop()
	refused := c.h.join(c)
	defer c.h.leave(c)
	if refused == nil {
		apart(func() { refused = c.hello() })
	}
	if refused != nil {
		c.end(refused)
	} else {
		c.tell(Presence{What: ClientConnected})
	}
	written := make(chan struct{})
	go func() { defer close(written); c.write() }()
	c.read()
	c.stop()
	<-written
	c.conn.Close()
	c.commands.Wait()
	c.releaseSets()
	if refused == nil && ctx.Err() == nil {
		c.tell(c.parting())
	}
	c.mu.Lock()
	code := websocket.CloseNormalClosure
	if c.closing != nil {
		code = c.closing.code
	}
	c.mu.Unlock()
	c.h.s.metrics.closed.WithLabelValues(strconv.Itoa(code)).Inc()
}

// hello waits for the first message, signs in and queues the welcome.
func (c *client) hello() *closeError {
	c.expect(helloTime)
	data, err := c.next()
	if err != nil {
		var ce *closeError
		var ne net.Error
		switch {
		case errors.As(err, &ce):
			return ce
		case errors.As(err, &ne) && ne.Timeout():
			return &closeError{closeTooSlow, "no hello"}
		}
		return &closeError{websocket.CloseNormalClosure, ""}
	}
	m, verb, ce := parseControl(data)
	if ce != nil {
		return ce
	}
	in, ok := m.(*helloMessage)
	if !ok {
		return &closeError{closeBadRequest, verb + " before hello"}
	}
	if ce := c.signIn(in); ce != nil {
		return ce
	}
	if in.Enc != "" && in.Enc != "binary" && in.Enc != "json" {
		return &closeError{closeBadRequest, "enc is binary or json"}
	}
	c.json = in.Enc == "json"
	if c.h.refresh() {
		c.h.wakeAll()
	}
	c.welcome(in)
	c.expect(silence)
	return nil
}

// signIn finds out who the client is: by the session of the request, else by ticket, else by token.
func (c *client) signIn(in *helloMessage) *closeError {
	s := c.h.s
	known := c.who.User != ""
	if !known && in.Ticket != "" {
		if who, err := s.admit(in.Ticket, c.remote); err == nil {
			c.who, c.ticket, known = who, true, true
		}
	}
	if !known && in.Token != "" {
		c.who, known = s.bearer(c.server, in.Token, c.remote)
	}
	if !known {
		return &closeError{closeUnauthorized, "not signed in"}
	}
	if c.who.MustChange {
		return &closeError{closeForbidden, "change the password first"}
	}
	if !c.who.Role.May(View) {
		return &closeError{closeForbidden, "this role may not view"}
	}
	return c.h.signIn(c, c.who)
}

func (c *client) welcome(in *helloMessage) {
	v := c.h.now()
	instance := c.h.instance(v.revision)
	if r := in.Resume; r != nil && r.Instance == instance && r.Epoch == v.epoch {
		c.recovered, c.instance = true, instance
	}
	peers := []string{}
	if len(c.h.s.cfg.Origins) > 1 {
		peers = c.h.s.cfg.Origins[1:]
	}
	c.send(welcomeMessage{T: "welcome", Server: c.h.s.cfg.Node, Instance: instance, Epoch: v.epoch, Seq: v.plant.Live.Seq(),
		HbMs: heartbeat.Milliseconds(), Time: c.h.s.now().UTC(), User: c.who.User, Role: c.who.Role.String(),
		Permissions: c.who.permissions(), Roles: v.roles, Peers: peers, Recovered: c.recovered,
		Plant: strconv.Itoa(v.revision), Qualities: qualityTable(), Limits: limitsTable()})
}

// read takes messages until the connection ends.
func (c *client) read() {
	c.conn.SetPongHandler(func(string) error { c.expect(silence); return nil })
	// The writer alone writes, also the answers to pings and to a close.
	c.conn.SetPingHandler(c.pinged)
	c.conn.SetCloseHandler(func(int, string) error { return nil })
	for {
		data, err := c.next()
		if err != nil {
			c.mu.Lock()
			c.gone = err
			c.mu.Unlock()
			c.end(readError(err))
			return
		}
		if !c.expect(silence) {
			continue // closing: wait for the client's close, do nothing any more
		}
		if ce := c.handle(data); ce != nil {
			c.end(ce)
		}
	}
}

// apart runs f on a goroutine of its own and waits for it. What needs much stack once in a while is done there: a stack that has grown
// stays, and hundreds of sockets would hold theirs for hours. A panic of f is one of the caller.
func apart(f func()) {
	ended := make(chan any)
	go func() {
		defer func() { ended <- recover() }()
		f()
	}()
	if p := <-ended; p != nil {
		panic(p)
	}
}

// pinged leaves the answer to a ping to the writer; of several pings the newest is answered.
func (c *client) pinged(data string) error {
	c.mu.Lock()
	c.ping = &data
	c.mu.Unlock()
	c.wake()
	return nil
}

func readError(err error) *closeError {
	var ce *closeError
	var ne net.Error
	switch {
	case errors.As(err, &ce):
		return ce
	case errors.As(err, &ne) && ne.Timeout():
		return &closeError{closeTooSlow, "silent"}
	}
	return &closeError{websocket.CloseNormalClosure, ""}
}

// next reads one text message within the limit.
func (c *client) next() ([]byte, error) {
	kind, r, err := c.conn.NextReader()
	if err != nil {
		return nil, err
	}
	if kind != websocket.TextMessage {
		return nil, &closeError{closeBadRequest, "control messages are text"}
	}
	data, err := io.ReadAll(io.LimitReader(r, maxControl+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxControl {
		return nil, &closeError{closeTooBig, "message too long"}
	}
	return data, nil
}

// expect gives the client so much time to be heard from; false when the connection is closing.
func (c *client) expect(within time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing == nil {
		c.conn.SetReadDeadline(c.h.s.now().Add(within))
	}
	return c.closing == nil
}

// end makes the writer close the connection; the first reason counts. The client has a moment to answer, then the reader
// gives up.
func (c *client) end(reason *closeError) {
	c.mu.Lock()
	if c.closing == nil {
		c.closing = reason
		c.conn.SetReadDeadline(c.h.s.now().Add(closeTime))
	}
	c.mu.Unlock()
	c.wake()
}

func (c *client) wake() {
	select {
	case c.kick <- struct{}{}:
	default:
	}
}

// send queues a message for the writer. A client that asks faster than it reads the answers is ended.
func (c *client) send(m any) {
	data, err := json.Marshal(m)
	if err != nil {
		c.h.s.log.Error("message not sent", "error", err)
		return
	}
	c.mu.Lock()
	full := len(c.outbox) >= maxOutbox
	if !full {
		c.outbox = append(c.outbox, data)
	}
	c.mu.Unlock()
	if full {
		c.end(&closeError{closeTooMany, "answers not read"})
		return
	}
	c.wake()
}

// allowed reports whether the client may still be connected: sessions end, users and tokens are removed.
func (c *client) allowed(now time.Time) bool {
	acc := c.h.s.accounts.Load()
	switch {
	case c.who.session != nil:
		return now.Before(c.who.session.expires)
	case c.ticket:
		a, ok := c.h.s.lookUp(c.who.User, c.who.account)
		return ok && !a.locked && !a.mustChange && a.role == c.who.Role && maps.Equal(a.areas, c.who.Areas)
	}
	for _, t := range acc.tokens {
		if t.Name == c.who.User && t.Role == c.who.Role && maps.Equal(t.Areas, c.who.Areas) && (t.Expires.IsZero() || now.Before(t.Expires)) {
			return true
		}
	}
	return false
}
