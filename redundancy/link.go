package redundancy

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"scada/redundancy/wire"
)

// Limits of connections.
const (
	// MaxStrangers is how many connections on one path may be open that have not said hello yet.
	MaxStrangers = 16
	// streamTimeout is how long a stream connection may be blocked or silent. Its own heartbeat is a second; a peer that
	// is dead is noticed by the heartbeat paths long before.
	streamTimeout = 15 * time.Second
	streamBeat    = time.Second
	// minPatience is the least time to wait for a hello or an answer on a connection.
	minPatience = 500 * time.Millisecond
	maxPatience = 5 * time.Second
)

// link is one connection to the peer, after the hello.
type link struct {
	n     *Node
	raw   net.Conn // closed without ceremony
	conn  net.Conn // raw, or TLS over it
	in    *bufio.Reader
	hello wire.Hello // of the peer

	out sync.Mutex
	buf []byte
}

// patience is how long to wait for a peer that should answer at once.
func (n *Node) patience() time.Duration {
	return min(max(n.cfg.take(), minPatience), maxPatience)
}

// send writes one message, and closes the connection if that takes too long.
func (l *link) send(m wire.Message, limit time.Duration) error {
	l.out.Lock()
	defer l.out.Unlock()
	l.buf = wire.Append(l.buf[:0], m)
	err := l.conn.SetWriteDeadline(time.Now().Add(limit))
	if err == nil {
		_, err = l.conn.Write(l.buf)
	}
	if cap(l.buf) > wire.MaxFrame {
		l.buf = nil
	}
	if err != nil {
		_ = l.raw.Close()
	}
	return err
}

// receive reads one message.
func (l *link) receive(limit int, within time.Duration) (wire.Message, error) {
	if err := l.conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		return nil, err
	}
	return wire.Read(l.in, limit)
}

// refusal is the error of a hello that was turned away, by either side.
type refusal struct{ reason string }

func (r refusal) Error() string { return r.reason }

// connect dials the peer on a path and exchanges hellos.
func (n *Node) connect(ctx context.Context, p *path, purpose wire.Purpose) (*link, error) {
	dialing, cancel := context.WithTimeout(ctx, min(max(2*n.cfg.Heartbeat, 200*time.Millisecond), 2*time.Second))
	defer cancel()
	raw, err := n.dial(dialing, "tcp", p.Peer)
	if err != nil {
		return nil, err
	}
	l := &link{n: n, raw: raw, conn: raw}
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	defer stop()
	if n.cfg.ClientTLS != nil {
		err = l.secure(tls.Client(raw, n.cfg.ClientTLS))
	}
	if err == nil {
		l.in = bufio.NewReaderSize(l.conn, 32<<10)
		err = l.greet(purpose)
	}
	if err != nil {
		_ = raw.Close()
		n.blameCertificate(err)
		return nil, err
	}
	return l, nil
}

// greet is the dialler's half of the greeting.
func (l *link) greet(purpose wire.Purpose) error {
	n := l.n
	if err := l.send(n.ownHello(purpose), n.patience()); err != nil {
		return err
	}
	m, err := l.receive(wire.MaxHello, n.patience())
	if err != nil {
		return fmt.Errorf("waiting for the hello of %s: %w", n.cfg.Peer, err)
	}
	switch m := m.(type) {
	case wire.Hello:
		if why := n.unwelcome(m); why != "" {
			n.refuse(why)
			return refusal{why}
		}
		l.hello = m
		return n.admit(l)
	case wire.Reject:
		n.outlive(m.Known)
		return refusal{n.cfg.Peer + " refuses: " + m.Reason}
	}
	return refusal{n.cfg.Peer + " does not say hello"}
}

func (n *Node) ownHello(purpose wire.Purpose) wire.Hello {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := wire.Hello{Protocol: wire.Protocol, Purpose: purpose, Incarnation: n.identity.incarnation, Known: n.peer.incarnation,
		Project: n.cfg.Project, Version: n.cfg.Version, Digest: n.digest, Node: n.cfg.Self}
	for _, a := range n.order {
		h.Areas = append(h.Areas, a.name)
	}
	return h
}

// unwelcome says why a peer is turned away, or "".
func (n *Node) unwelcome(h wire.Hello) string {
	switch {
	case h.Protocol != wire.Protocol:
		return fmt.Sprintf("%s runs version %q with link protocol %d, this node version %q with %d: upgrade the older one (upgrade.md)",
			n.cfg.Peer, cut(h.Version), h.Protocol, n.cfg.Version, wire.Protocol)
	case h.Project != n.cfg.Project:
		return fmt.Sprintf("project %q, this node runs %q", h.Project, n.cfg.Project)
	case h.Node != n.cfg.Peer:
		return fmt.Sprintf("node %q, the peer of this node is %q", h.Node, n.cfg.Peer)
	}
	return ""
}

// maxVersion is how much of a stranger's version is repeated, in bytes.
const maxVersion = 64

func cut(version string) string { return version[:min(len(version), maxVersion)] }

// refuse keeps the reason for display.
func (n *Node) refuse(why string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.peer.refused != why {
		n.peer.refused = why
		n.note(slog.LevelWarn, "A peer was refused", "reason", why)
		n.event("", EventPeer, "a peer was refused: "+why, 0)
	}
}

var errOldProcess = errors.New("a process that has been replaced")

// admit registers a connection whose hello is in order. The first connection of a new process of the peer ends those of
// the old one: its last words must not be mistaken for the new one's.
func (n *Node) admit(l *link) error {
	n.outlive(l.hello.Known)
	n.mu.Lock()
	defer n.mu.Unlock()
	if l.hello.Incarnation < n.peer.incarnation {
		return errOldProcess
	}
	if l.hello.Incarnation > n.peer.incarnation {
		n.peer.incarnation, n.peer.newest, n.peer.seq = l.hello.Incarnation, 0, 0
		for old := range n.links {
			_ = old.raw.Close()
		}
	}
	n.peer.meet(n, l.hello)
	n.links[l] = struct{}{}
	return nil
}

// outlive takes a higher incarnation when the peer knows this node by one not lower than the present one, which happens
// when the data directory was lost and the clock was set back.
func (n *Node) outlive(known uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if known <= n.identity.incarnation {
		return
	}
	inc, err := n.store.nextIncarnation(known + 1)
	if err != nil {
		n.note(slog.LevelError, "The incarnation cannot be stored", "error", err)
	}
	n.identity.incarnation = inc
	for l := range n.links {
		_ = l.raw.Close()
	}
}

// drop forgets and closes a connection.
func (n *Node) drop(l *link) {
	_ = l.raw.Close()
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.links, l)
}

func (n *Node) closeLinks() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for l := range n.links {
		_ = l.raw.Close()
	}
}

// accept serves one listener. Whoever does not say a proper hello in time is cut off, and only a few may try at once.
func (n *Node) accept(p *path, listener net.Listener) {
	strangers := make(chan struct{}, MaxStrangers)
	for {
		raw, err := listener.Accept()
		if n.work.Err() != nil {
			if err == nil {
				_ = raw.Close()
			}
			return
		}
		if err != nil {
			n.note(slog.LevelWarn, "A connection could not be accepted", "path", p.Name, "error", err)
			select {
			case <-n.work.Done():
			case <-time.After(n.cfg.Heartbeat):
			}
			continue
		}
		select {
		case strangers <- struct{}{}:
			n.spawn(func() { n.serve(p, raw, func() { <-strangers }) })
		default:
			_ = raw.Close()
		}
	}
}

// serve is the life of an accepted connection. greeted is called when the hello is over.
func (n *Node) serve(p *path, raw net.Conn, greeted func()) {
	stop := context.AfterFunc(n.work, func() { _ = raw.Close() })
	defer stop()
	l := &link{n: n, raw: raw, conn: raw}
	var purpose wire.Purpose
	var err error
	if n.cfg.ServerTLS != nil {
		err = l.secure(tls.Server(raw, n.cfg.ServerTLS))
	}
	if err == nil {
		l.in = bufio.NewReaderSize(l.conn, 32<<10)
		purpose, err = l.welcome()
	} else {
		n.blameCertificate(err)
		l.linger()
	}
	greeted()
	if err != nil {
		_ = raw.Close()
		n.note(slog.LevelDebug, "A connection was turned away", "path", p.Name, "error", err)
		return
	}
	defer n.drop(l)
	if purpose == wire.Stream {
		n.serveStream(l)
		return
	}
	n.serveBeats(p, l)
}

// welcome is the listener's half of the greeting.
func (l *link) welcome() (wire.Purpose, error) {
	n := l.n
	m, err := l.receive(wire.MaxHello, n.patience())
	if err != nil {
		return 0, err
	}
	h, ok := m.(wire.Hello)
	if !ok {
		return 0, errors.New("no hello")
	}
	why := n.unwelcome(h)
	if why != "" {
		n.refuse(why)
	} else {
		l.hello = h
		if err := n.admit(l); err != nil {
			why = err.Error()
		}
	}
	if why != "" {
		n.mu.Lock()
		known := n.peer.incarnation
		n.mu.Unlock()
		if h.Node != n.cfg.Peer || h.Project != n.cfg.Project {
			known = 0
		}
		return 0, errors.Join(refusal{why}, l.send(wire.Reject{Known: known, Reason: why}, n.patience()))
	}
	if err := l.send(n.ownHello(h.Purpose), n.patience()); err != nil {
		n.drop(l)
		return 0, err
	}
	return h.Purpose, nil
}
