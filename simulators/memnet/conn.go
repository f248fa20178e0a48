package memnet

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Buffer is how many bytes one direction of a connection holds before writers wait: a socket's send and receive buffer.
const Buffer = 256 << 10

// pair is one connection with its two ends.
type pair struct {
	n              *Network
	way            way // of the client's bytes
	client, server *conn
	toServer       *stream
	toClient       *stream
}

func newPair(n *Network, w way, clientAddress, serverAddress string) *pair {
	p := &pair{n: n, way: w}
	p.toServer = &stream{n: n, way: w, changed: make(chan struct{})}
	p.toClient = &stream{n: n, way: way{w.to, w.from, w.link}, changed: make(chan struct{})}
	local, remote := addressOf(clientAddress), addressOf(serverAddress)
	p.client = &conn{pair: p, in: p.toClient, out: p.toServer, local: local, remote: remote}
	p.server = &conn{pair: p, in: p.toServer, out: p.toClient, local: remote, remote: local}
	p.client.init()
	p.server.init()
	return p
}

// between reports whether the pair joins a and b; with a == b, whether a is one of its ends.
func (p *pair) between(a, b string) bool {
	if a == b {
		return p.way.from == a || p.way.to == a
	}
	return p.way.from == a && p.way.to == b || p.way.from == b && p.way.to == a
}

func (p *pair) wake() {
	p.toServer.wake()
	p.toClient.wake()
}

// reset breaks the connection for both ends at once.
func (p *pair) reset() {
	p.toServer.fail(syscall.ECONNRESET, true)
	p.toClient.fail(syscall.ECONNRESET, true)
}

// resetBy breaks the connection because the program or host at one end is gone; the other end learns it when the
// reset reaches it.
func (p *pair) resetBy(host string) {
	if p.way.from == host {
		p.toServer.fail(syscall.ECONNRESET, false)
		p.toClient.fail(syscall.ECONNRESET, true)
	}
	if p.way.to == host {
		p.toClient.fail(syscall.ECONNRESET, false)
		p.toServer.fail(syscall.ECONNRESET, true)
	}
}

// segment is what one Write sent.
type segment struct {
	at   time.Time // of arrival
	data []byte
}

// stream is one direction of a connection.
type stream struct {
	n   *Network
	way way

	mu      sync.Mutex
	queue   []segment
	size    int
	changed chan struct{} // closed and replaced at every change

	ended  bool  // the writer closed; EOF follows the last segment
	broken error // the writer is gone; reaches the reader like a segment without waiting for others
	failed error // for both sides, at once
	unread bool  // the reader closed: further writes meet a reset
}

func (s *stream) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wakeLocked()
}

func (s *stream) wakeLocked() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// fail breaks the stream: at once for whoever uses it, or for the reader when the news can reach it.
func (s *stream) fail(err error, atOnce bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if atOnce {
		if s.failed == nil {
			s.failed = err
		}
	} else if s.broken == nil {
		s.broken = err
	}
	s.wakeLocked()
}

// state returns what the network does to the stream now. It takes the network's lock, so never while holding s.mu.
func (s *stream) state() (c condition, silent bool) {
	s.n.mu.Lock()
	defer s.n.mu.Unlock()
	c = s.n.condition(s.way.from, s.way.to, s.way.link)
	return c, c.cut || s.n.host(s.way.from).off || s.n.host(s.way.to).off
}

// current returns the channel of the next change. It is taken before looking, so that no change is missed in between.
func (s *stream) current() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// read takes bytes that have arrived. With 0 bytes and no error the caller waits for changed, or until again.
func (s *stream) read(b []byte) (n int, changed <-chan struct{}, again time.Time, err error) {
	changed = s.current()
	_, silent := s.state()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.unread:
		return 0, changed, again, net.ErrClosed
	case s.failed != nil:
		return 0, changed, again, s.failed
	case silent:
		return 0, changed, again, nil
	case s.broken != nil:
		return 0, changed, again, s.broken
	case len(s.queue) == 0 && s.ended:
		return 0, changed, again, io.EOF
	case len(s.queue) == 0:
		return 0, changed, again, nil
	case time.Now().Before(s.queue[0].at):
		return 0, changed, s.queue[0].at, nil
	}
	n = copy(b, s.queue[0].data)
	if n == len(s.queue[0].data) {
		s.queue = s.queue[1:]
	} else {
		s.queue[0].data = s.queue[0].data[n:]
	}
	s.size -= n
	s.wakeLocked()
	return n, changed, again, nil
}

// write puts bytes on their way, as many as there is room for.
func (s *stream) write(b []byte) (n int, changed <-chan struct{}, err error) {
	changed = s.current()
	c, silent := s.state()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended:
		return 0, changed, net.ErrClosed
	case s.failed != nil:
		return 0, changed, s.failed
	case s.unread && !silent:
		return 0, changed, syscall.EPIPE
	}
	n = min(len(b), Buffer-s.size)
	if n <= 0 {
		return 0, changed, nil
	}
	at := time.Now().Add(c.delay)
	if last := len(s.queue) - 1; last >= 0 && s.queue[last].at.After(at) {
		at = s.queue[last].at // bytes stay in order
	}
	s.queue = append(s.queue, segment{at: at, data: append([]byte(nil), b[:n]...)})
	s.size += n
	s.wakeLocked()
	return n, changed, nil
}

// conn is one end of a connection.
type conn struct {
	pair          *pair
	in, out       *stream
	local, remote net.Addr
	readLimit     deadline
	writeLimit    deadline
	closing       sync.Once
}

func (c *conn) init() {
	c.readLimit.passed = make(chan struct{})
	c.writeLimit.passed = make(chan struct{})
}

func (c *conn) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	for {
		n, changed, again, err := c.in.read(b)
		if errors.Is(err, io.EOF) {
			return 0, io.EOF
		}
		if n > 0 || err != nil {
			return n, c.wrap("read", err)
		}
		if err := await(changed, again, c.readLimit.channel()); err != nil {
			return 0, c.wrap("read", err)
		}
	}
}

func (c *conn) Write(b []byte) (int, error) {
	done := 0
	for {
		select {
		case <-c.writeLimit.channel():
			return done, c.wrap("write", os.ErrDeadlineExceeded)
		default:
		}
		n, changed, err := c.out.write(b[done:])
		done += n
		if err != nil || done == len(b) {
			return done, c.wrap("write", err)
		}
		if n > 0 {
			continue
		}
		if err := await(changed, time.Time{}, c.writeLimit.channel()); err != nil {
			return done, c.wrap("write", err)
		}
	}
}

// await waits until something changed, the time again has come, or the limit has passed.
func await(changed <-chan struct{}, again time.Time, limit <-chan struct{}) error {
	var arrival <-chan time.Time
	if !again.IsZero() {
		timer := time.NewTimer(time.Until(again))
		defer timer.Stop()
		arrival = timer.C
	}
	select {
	case <-changed:
	case <-arrival:
	case <-limit:
		return os.ErrDeadlineExceeded
	}
	return nil
}

func (c *conn) wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: err}
}

// Close ends this side: the other reads what was sent and then EOF, and its writes fail.
func (c *conn) Close() error {
	err := net.ErrClosed
	c.closing.Do(func() {
		err = nil
		c.out.mu.Lock()
		c.out.ended = true
		c.out.wakeLocked()
		c.out.mu.Unlock()
		c.in.mu.Lock()
		c.in.unread = true
		peerClosed := c.in.ended
		c.in.wakeLocked()
		c.in.mu.Unlock()
		if peerClosed {
			c.pair.n.mu.Lock()
			delete(c.pair.n.conns, c.pair)
			c.pair.n.mu.Unlock()
		}
	})
	return err
}

func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

func (c *conn) SetDeadline(t time.Time) error {
	c.readLimit.set(t)
	c.writeLimit.set(t)
	return nil
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.readLimit.set(t)
	return nil
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.writeLimit.set(t)
	return nil
}

// deadline is a channel that is closed when the time has come, and can be set anew.
type deadline struct {
	mu     sync.Mutex
	timer  *time.Timer
	passed chan struct{}
}

func (d *deadline) channel() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.passed
}

func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && !d.timer.Stop() {
		<-d.passed // the timer fired and is closing the channel
	}
	d.timer = nil
	select {
	case <-d.passed:
		d.passed = make(chan struct{})
	default:
	}
	if t.IsZero() {
		return
	}
	wait := time.Until(t)
	if wait <= 0 {
		close(d.passed)
		return
	}
	passed := d.passed
	d.timer = time.AfterFunc(wait, func() { close(passed) })
}
