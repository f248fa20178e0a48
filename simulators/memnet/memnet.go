// Package memnet is a network in memory: hosts with names, listeners and connections that behave like TCP, and links
// that can be cut in either direction, delayed, reset, refused or half-opened. It is made for tests in testing/synctest
// bubbles: create the [Network] inside the bubble.
//
// A connection is identified by who dialled, who listens, and the link it runs over. The link is the host part of the
// address that was dialled: everything sent to "127.0.0.2:7401" and back uses the link "127.0.0.2". Connections are
// buffered like sockets, so code that writes before anybody reads does not deadlock.
//
// A cut behaves like a pulled cable: nothing arrives, not even the end of the connection, and nobody is told. What was
// written arrives after the cut has been healed, as TCP would retransmit it.
package memnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Backlog is how many connections wait for Accept before further ones are kept waiting in Dial.
const Backlog = 128

// firstPort is the first of the ports given out for port 0.
const firstPort = 40000

// Network is a set of hosts and the links between them. Its methods may be called from any goroutine.
type Network struct {
	mu        sync.Mutex
	hosts     map[string]*Host
	listeners map[string]*listener
	owners    map[string]*Host // who listened on an address last: a dead host is silent, a live one refuses
	ways      map[way]*condition
	conns     map[*pair]struct{}
	changed   chan struct{} // closed and replaced at every change of hosts, listeners or links
	port      int
}

// way is one direction of one link between two hosts.
type way struct{ from, to, link string }

type condition struct {
	cut   bool
	delay time.Duration
}

// Host is one machine of the network. Its Dial and Listen have the signatures of net.Dialer.DialContext and net.Listen.
type Host struct {
	n    *Network
	name string
	off  bool
	half bool
}

// New returns a network without hosts.
func New() *Network {
	return &Network{
		hosts: map[string]*Host{}, listeners: map[string]*listener{}, owners: map[string]*Host{}, ways: map[way]*condition{},
		conns: map[*pair]struct{}{}, changed: make(chan struct{}), port: firstPort,
	}
}

// Host returns the host with the name; it appears with its first mention.
func (n *Network) Host(name string) *Host {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.host(name)
}

func (n *Network) host(name string) *Host {
	h := n.hosts[name]
	if h == nil {
		h = &Host{n: n, name: name}
		n.hosts[name] = h
	}
	return h
}

// Listen opens a listener on the address, host:port; port 0 chooses one.
func (h *Host) Listen(network, address string) (net.Listener, error) {
	h.n.mu.Lock()
	defer h.n.mu.Unlock()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, opError("listen", address, err)
	}
	if port == "0" {
		h.n.port++
		address = net.JoinHostPort(host, strconv.Itoa(h.n.port))
	}
	if h.n.listeners[address] != nil {
		return nil, opError("listen", address, syscall.EADDRINUSE)
	}
	l := &listener{h: h, address: address, queue: make(chan net.Conn, Backlog), done: make(chan struct{})}
	h.n.listeners[address], h.n.owners[address] = l, h
	h.n.wake()
	return l, nil
}

// Dial connects to the address. A live host without a listener refuses; a cut link or a dead host keeps the caller
// waiting until ctx ends.
func (h *Host) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	link, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, opError("dial", address, err)
	}
	for {
		conn, wait, err := h.attempt(address, link)
		if err != nil {
			return nil, opError("dial", address, err)
		}
		if conn != nil {
			return conn, nil
		}
		select {
		case <-ctx.Done():
			return nil, opError("dial", address, ctx.Err())
		case <-wait:
		}
	}
}

// attempt tries once; without a connection or an error the caller waits for wait and tries again.
func (h *Host) attempt(address, link string) (net.Conn, <-chan struct{}, error) {
	n := h.n
	n.mu.Lock()
	owner, l := n.owners[address], n.listeners[address]
	if owner == nil {
		owner = h // nobody ever listened there: as if the dialler's own machine refused
	}
	out, back := n.condition(h.name, owner.name, link), n.condition(owner.name, h.name, link)
	switch {
	case h.off || owner.off || out.cut || back.cut:
		wait := n.changed
		n.mu.Unlock()
		return nil, wait, nil
	case l == nil && !owner.half:
		n.mu.Unlock()
		sleep(out.delay + back.delay)
		return nil, nil, syscall.ECONNREFUSED
	}
	n.port++
	p := newPair(n, way{h.name, owner.name, link}, net.JoinHostPort(link, strconv.Itoa(n.port)), address)
	if !owner.half {
		select {
		case l.queue <- p.server:
		default:
			wait := n.changed
			n.mu.Unlock()
			return nil, wait, nil
		}
	}
	n.conns[p] = struct{}{}
	n.mu.Unlock()
	sleep(out.delay + back.delay)
	return p.client, nil, nil
}

func sleep(d time.Duration) {
	if d > 0 {
		time.Sleep(d)
	}
}

func (n *Network) condition(from, to, link string) condition {
	if c := n.ways[way{from, to, link}]; c != nil {
		return *c
	}
	return condition{}
}

// wake lets everybody look again. The caller holds n.mu.
func (n *Network) wake() {
	close(n.changed)
	n.changed = make(chan struct{})
	for p := range n.conns {
		p.wake()
	}
}

// change applies f to one direction of a link, or with link "" to that direction of every link between the two hosts.
func (n *Network) change(from, to, link string, f func(*condition)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	links := map[string]bool{link: true}
	if link == "" {
		links = n.links(from, to)
	}
	for l := range links {
		w := way{from, to, l}
		if n.ways[w] == nil {
			n.ways[w] = &condition{}
		}
		f(n.ways[w])
	}
	n.wake()
}

// links returns every link known between two hosts: those of the addresses either listened on.
func (n *Network) links(a, b string) map[string]bool {
	links := map[string]bool{}
	for address, owner := range n.owners {
		if owner.name == a || owner.name == b {
			host, _, _ := net.SplitHostPort(address)
			links[host] = true
		}
	}
	return links
}

// CutWay stops everything from one host to the other on the link; link "" means every link between them.
func (n *Network) CutWay(from, to, link string) {
	n.change(from, to, link, func(c *condition) { c.cut = true })
}

// Cut stops everything between two hosts, in both directions.
func (n *Network) Cut(a, b, link string) {
	n.CutWay(a, b, link)
	n.CutWay(b, a, link)
}

// Heal ends the cuts between two hosts.
func (n *Network) Heal(a, b, link string) {
	n.change(a, b, link, func(c *condition) { c.cut = false })
	n.change(b, a, link, func(c *condition) { c.cut = false })
}

// Delay makes everything from one host to the other take d.
func (n *Network) Delay(from, to, link string, d time.Duration) {
	n.change(from, to, link, func(c *condition) { c.delay = d })
}

// Reset breaks all connections between two hosts; both sides see a reset.
func (n *Network) Reset(a, b string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for p := range n.conns {
		if p.between(a, b) {
			p.reset()
			delete(n.conns, p)
		}
	}
}

// Kill is the death of the process on a host: its listeners close, its connections are reset, and the host refuses.
func (n *Network) Kill(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for address, l := range n.listeners {
		if l.h.name == name {
			delete(n.listeners, address)
			l.shut()
		}
	}
	for p := range n.conns {
		if p.between(name, name) {
			p.resetBy(name)
		}
	}
	n.wake()
}

// Power switches a host off: it falls silent at once, nobody is told. Switched on again it knows nothing of its old
// connections and resets them.
func (n *Network) Power(name string, on bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.host(name).off = !on
	if on {
		for p := range n.conns {
			if p.between(name, name) {
				p.resetBy(name)
			}
		}
	} else {
		for address, l := range n.listeners {
			if l.h.name == name {
				delete(n.listeners, address)
				l.shut()
			}
		}
	}
	n.wake()
}

// HalfOpen makes the host complete connections that no program ever accepts, as a stopped process does.
func (n *Network) HalfOpen(name string, half bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.host(name).half = half
	n.wake()
}

// Connections returns how many connections between two hosts are open on at least one side.
func (n *Network) Connections(a, b string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	count := 0
	for p := range n.conns {
		if p.between(a, b) {
			count++
		}
	}
	return count
}

func opError(op, address string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Addr: addressOf(address), Err: err}
}

// addressOf returns a TCP address where the text is one, so that code which looks at IPs works.
func addressOf(text string) net.Addr {
	host, port, err := net.SplitHostPort(text)
	if err == nil {
		if ip := net.ParseIP(host); ip != nil {
			if p, err := strconv.Atoi(port); err == nil {
				return &net.TCPAddr{IP: ip, Port: p}
			}
		}
	}
	return address(text)
}

type address string

func (a address) Network() string { return "tcp" }
func (a address) String() string  { return string(a) }

type listener struct {
	h       *Host
	address string
	queue   chan net.Conn
	done    chan struct{}
	once    sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case <-l.done:
		return nil, opError("accept", l.address, net.ErrClosed)
	default:
	}
	select {
	case c := <-l.queue:
		l.h.n.mu.Lock()
		l.h.n.wake() // there is room in the queue again
		l.h.n.mu.Unlock()
		return c, nil
	case <-l.done:
		return nil, opError("accept", l.address, net.ErrClosed)
	}
}

func (l *listener) Addr() net.Addr { return addressOf(l.address) }

// Close closes the listener; connections nobody accepted are reset.
func (l *listener) Close() error {
	n := l.h.n
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[l.address] != l {
		return opError("close", l.address, net.ErrClosed)
	}
	delete(n.listeners, l.address)
	l.shut()
	n.wake()
	return nil
}

// shut ends the listener. The caller holds n.mu.
func (l *listener) shut() {
	l.once.Do(func() { close(l.done) })
	for {
		select {
		case c := <-l.queue:
			c.(*conn).pair.resetBy(l.h.name)
		default:
			return
		}
	}
}

// IsRefused reports whether a Dial was refused.
func IsRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

func (w way) String() string { return fmt.Sprintf("%s to %s over %s", w.from, w.to, w.link) }
