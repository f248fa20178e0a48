package redundancy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"scada/redundancy/role"
)

// Errors of the node's methods.
var (
	// ErrNotActive: the area is not active on this node, or no longer in the same term.
	ErrNotActive = errors.New("this node is not active for the area")
	// ErrNoPeer: the peer that should do it cannot be reached.
	ErrNoPeer = errors.New("the peer cannot be reached")
	// ErrLostAnswer: a forwarded command was sent, and the connection broke before its answer came. It may have been
	// executed.
	ErrLostAnswer = errors.New("the connection to the active node broke before its answer came: the command may have been executed")
	// ErrRefused: the state of the pair does not allow what was asked.
	ErrRefused = role.ErrRefused
	// ErrUnknownArea: no area has that name.
	ErrUnknownArea = errors.New("unknown area")
)

// Node is one node of a pair. Create it with [New], then call [Node.Run].
type Node struct {
	cfg     Config
	host    Host
	witness Witness
	log     *slog.Logger
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
	listen  func(network, address string) (net.Listener, error)
	store   *store
	events  *events
	wake    chan struct{} // the main loop is to look at its deadline again
	wg      sync.WaitGroup
	work    context.Context // ends when everything is to end; set by Run

	areas map[string]*area
	order []*area
	paths []*path

	mu       sync.Mutex // guards everything below; held for moments only
	start    time.Time
	armed    time.Duration // when the main loop will look next
	links    map[*link]struct{}
	identity identity
	peer     peer
	digest   string        // of the configuration that runs now; that in cfg is the first
	changing time.Duration // the digests may differ until then
	health   Health
	healthAt time.Duration // when the host is asked again
	farewell chan struct{} // closed when every area has stopped and nothing acts
	silent   bool          // goodbye was said: no more heartbeats
	last     *Switch
	pending  map[uint64]*call
	calls    uint64
}

// identity numbers what this process says.
type identity struct {
	incarnation uint64
	seq         uint64 // of messages
	request     uint64
	sent        role.Sent
}

// New returns a node that does nothing yet. It reads the stored epochs.
func New(opts Options) (*Node, error) {
	cfg := opts.Config.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if opts.Host == nil {
		return nil, errors.New("redundancy: a node needs a host")
	}
	st, err := openStore(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	n := &Node{
		cfg: cfg, digest: cfg.Digest, host: opts.Host, witness: opts.Witness, log: opts.Log, dial: opts.Dial, listen: opts.Listen, store: st,
		events: newEvents(opts.Event), wake: make(chan struct{}, 1), start: time.Now(), areas: map[string]*area{},
		links: map[*link]struct{}{}, farewell: make(chan struct{}), pending: map[uint64]*call{},
	}
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	if n.dial == nil {
		n.dial = (&net.Dialer{}).DialContext
	}
	if n.listen == nil {
		n.listen = net.Listen
	}
	for _, ac := range cfg.Areas {
		a, err := n.newArea(ac)
		if err != nil {
			return nil, err
		}
		n.areas[ac.Name] = a
		n.order = append(n.order, a)
	}
	for i, pc := range cfg.Paths {
		n.paths = append(n.paths, &path{Path: pc, n: n, index: i})
	}
	return n, nil
}

// now is the node's monotonic clock.
func (n *Node) now() time.Duration { return time.Since(n.start) }

// Run runs the node until ctx ends: then the areas are deactivated, the standby is given what it lacks, the peer is
// told goodbye, and every goroutine has ended when Run returns.
func (n *Node) Run(ctx context.Context) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	n.work = work
	listeners, err := n.open()
	if err != nil {
		cancel()
		return err
	}
	n.spawn(func() { n.events.run(work) })
	for i, l := range listeners {
		n.spawn(func() { n.accept(n.paths[i], l) })
	}
	for _, a := range n.order {
		n.spawn(a.execute)
	}
	for _, p := range n.paths {
		n.spawn(func() { p.keep(work) })
	}
	n.spawn(func() { n.loop(work) })
	<-ctx.Done()
	n.leave()
	cancel()
	for _, l := range listeners {
		_ = l.Close() // the process ends; an error would change nothing
	}
	n.closeLinks()
	n.wg.Wait()
	return nil
}

// open takes a new incarnation and listens on every path. Listening comes before dialling on both nodes: then a peer
// that refuses a connection on every path has no process.
func (n *Node) open() ([]net.Listener, error) {
	inc, err := n.store.nextIncarnation(uint64(time.Now().UnixNano()))
	if err != nil {
		return nil, err
	}
	var listeners []net.Listener
	for _, p := range n.paths {
		l, err := n.listen("tcp", p.Listen)
		if err != nil {
			for _, l := range listeners {
				_ = l.Close()
			}
			return nil, fmt.Errorf("path %s: listening on %s: %w", p.Name, p.Listen, err)
		}
		listeners = append(listeners, l)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.identity.incarnation = inc
	n.start = time.Now()
	now := time.Duration(0)
	for _, a := range n.order {
		if err := a.reset(now); err != nil {
			return nil, err
		}
	}
	return listeners, nil
}

func (n *Node) spawn(f func()) {
	n.wg.Add(1)
	go func() {
		defer n.wg.Done()
		f()
	}()
}

// loop is the main goroutine: it lets time pass for the machines.
func (n *Node) loop(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.wake:
		case <-timer.C:
		}
		n.askHealth()
		n.mu.Lock()
		n.tick()
		n.armed = n.deadline()
		timer.Reset(max(0, n.armed-n.now()))
		n.mu.Unlock()
	}
}

// askHealth asks the host how it is, once per heartbeat.
func (n *Node) askHealth() {
	n.mu.Lock()
	due := n.now() >= n.healthAt
	n.mu.Unlock()
	if !due {
		return
	}
	health := n.host.Health()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.health, n.healthAt = health, n.now()+n.cfg.Heartbeat
}

// tick lets time pass. The caller holds n.mu, as for everything in lower case that says nothing else.
func (n *Node) tick() {
	now := n.now()
	for _, a := range n.order {
		a.refresh()
		a.dispatch(a.machine.Tick(now))
		a.dropDeadStreams(now)
	}
	for _, p := range n.paths {
		p.watch(now)
	}
	for _, a := range n.order {
		a.leaveDeadPath()
	}
	n.peer.watch(n)
}

func (n *Node) deadline() time.Duration {
	next := n.now() + n.cfg.Heartbeat
	for _, a := range n.order {
		next = min(next, a.machine.Deadline())
	}
	return next
}

// rearm makes the main loop look again if an input has brought the deadline closer.
func (n *Node) rearm() {
	if n.deadline() < n.armed {
		n.armed = 0
		select {
		case n.wake <- struct{}{}:
		default:
		}
	}
}

// leave ends this node's part in order.
func (n *Node) leave() {
	n.mu.Lock()
	for _, a := range n.order {
		a.dispatch(a.machine.Stop(n.now(), "the node was stopped"))
	}
	n.mu.Unlock()
	<-n.farewell
	for _, a := range n.order {
		a.flush()
	}
	n.sayGoodbye()
}

// note logs from the goroutine of the events: a log that blocks must not hold the heartbeats up.
func (n *Node) note(level slog.Level, message string, attrs ...any) {
	n.events.put(happening{log: func() { n.log.Log(context.Background(), level, message, attrs...) }}) //nolint:sloglint // the callers pass constants
}

func (n *Node) event(area, what, reason string, epoch uint64) {
	n.events.add(Event{Time: time.Now(), Area: area, What: what, Reason: reason, Epoch: epoch})
}
