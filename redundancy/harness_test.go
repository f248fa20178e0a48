package redundancy_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"scada/redundancy"
	"scada/redundancy/role"
	"scada/simulators/memnet"
)

// fakeHost is an area whose state is the list of numbers published so far. While active it publishes the next number
// every 10 ms, with the instant, so that a test can see gaps and overlaps.
type fakeHost struct {
	name string
	slow time.Duration // of Deactivate
	// What happens, if set, while the host does these; an error of joining is the host's.
	leaving, following func()
	joining            func() error // guarded by mu, as following is

	mu      sync.Mutex
	node    *redundancy.Node
	values  []uint64
	active  map[string]bool
	terms   []redundancy.Term
	had     int // values when it was last activated
	stop    map[string]func()
	fail    error
	health  redundancy.Health
	applied int // snapshots
	log     []string
	writes  []time.Time
}

func newHost(name string) *fakeHost {
	return &fakeHost{name: name, active: map[string]bool{}, stop: map[string]func(){}}
}

func (h *fakeHost) note(format string, args ...any) {
	h.log = append(h.log, fmt.Sprintf(format, args...))
}

func record(v uint64) redundancy.Record {
	return redundancy.Record{Kind: 1, Payload: binary.LittleEndian.AppendUint64(nil, v)}
}

func (h *fakeHost) Activate(ctx context.Context, area string, t redundancy.Term, reason string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.note("activate %s %d", area, t.Epoch)
	if h.fail != nil {
		return h.fail
	}
	h.active[area], h.had = true, len(h.values)
	h.terms = append(h.terms, t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			h.poll(area)
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	h.stop[area] = func() { <-done }
	return nil
}

func (h *fakeHost) poll(area string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v := uint64(len(h.values)) + 1
	if h.node.Publish(area, record(v)) > 0 {
		h.values = append(h.values, v)
	}
	if h.node.MayWrite(area) {
		h.writes = append(h.writes, time.Now())
	}
}

func (h *fakeHost) Deactivate(area, reason string) {
	h.mu.Lock()
	stop := h.stop[area]
	delete(h.stop, area)
	h.mu.Unlock()
	if stop != nil {
		stop()
	}
	if h.leaving != nil {
		h.leaving()
	}
	time.Sleep(h.slow)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.active[area] = false
	h.note("deactivate %s", area)
}

func (h *fakeHost) Snapshot(area string) (uint64, []redundancy.Record) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []redundancy.Record
	for _, v := range h.values {
		list = append(list, record(v))
	}
	for _, a := range h.node.Status().Areas {
		if a.Area == area {
			return a.Mirror.Published, list
		}
	}
	return 0, nil
}

func (h *fakeHost) ApplySnapshot(area string, epoch, seq uint64, records []redundancy.Record) error {
	h.mu.Lock()
	joining := h.joining
	h.mu.Unlock()
	if joining != nil {
		if err := joining(); err != nil {
			return err
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.values = nil
	h.applied++
	for _, r := range records {
		h.values = append(h.values, binary.LittleEndian.Uint64(r.Payload))
	}
	h.node.Durable(area, epoch, seq)
	return nil
}

func (h *fakeHost) Apply(area string, epoch, first uint64, records []redundancy.Record) error {
	h.mu.Lock()
	following := h.following
	h.mu.Unlock()
	if following != nil {
		following()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range records {
		h.values = append(h.values, binary.LittleEndian.Uint64(r.Payload))
	}
	n, seq := h.node, first+uint64(len(records))-1
	time.AfterFunc(5*time.Millisecond, func() { n.Durable(area, epoch, seq) }) // the group commit
	return nil
}

func (h *fakeHost) Command(ctx context.Context, area string, payload []byte) ([]byte, error) {
	if string(payload) == "fail" {
		return nil, fmt.Errorf("%w: the valve is locked", redundancy.ErrRefused)
	}
	if string(payload) == "hang" {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return []byte(h.name + " did " + string(payload)), nil
}

func (h *fakeHost) Health() redundancy.Health {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.health
}

func (h *fakeHost) isActive() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.active["main"]
}

// pair is two nodes on an in-memory network with two paths.
type pair struct {
	t      *testing.T
	net    *memnet.Network
	config func(node string, c *redundancy.Config)
	says   func(node string) role.Verdict // the witness, if any
	fence  *atomic.Bool                   // set: the witness is a fence, and this is its word
	dirs   map[string]string
	hosts  map[string]*fakeHost
	nodes  map[string]*redundancy.Node
	end    map[string]func()
	events map[string][]string
	mu     sync.Mutex
}

func newPair(t *testing.T) *pair {
	p := &pair{t: t, net: memnet.New(), dirs: map[string]string{"a": t.TempDir(), "b": t.TempDir()}, hosts: map[string]*fakeHost{},
		nodes: map[string]*redundancy.Node{}, end: map[string]func(){}, events: map[string][]string{}}
	for from, to := range map[string]string{"a": "b", "b": "a"} {
		for _, link := range []string{"127.0.0.1", "127.0.0.2"} {
			p.net.Delay(from, to, link, time.Millisecond)
		}
	}
	t.Cleanup(p.stopAll)
	return p
}

func (p *pair) stopAll() {
	for name := range p.end {
		p.net.Heal("a", "b", "127.0.0.1")
		p.net.Heal("a", "b", "127.0.0.2")
		p.stop(name)
	}
}

func (p *pair) start(name string) {
	p.t.Helper()
	port := map[string]string{"a": "7401", "b": "7402"}
	other := map[string]string{"a": "b", "b": "a"}[name]
	h := newHost(name)
	if old := p.hosts[name]; old != nil {
		h.health, h.slow = old.health, old.slow
	}
	c := redundancy.Config{
		Project: "works", Version: "1", Digest: "d1", Self: name, Peer: other, DataDir: p.dirs[name],
		Areas:     []redundancy.Area{{Name: "main", Primary: "a"}},
		Heartbeat: 100 * time.Millisecond, Misses: 5, HoldOff: 2 * time.Second,
	}
	for path, ip := range map[string]string{"lan": "127.0.0.1:", "ded": "127.0.0.2:"} {
		c.Paths = append(c.Paths, redundancy.Path{Name: path, Listen: ip + port[name], Peer: ip + port[other]})
	}
	slices.SortFunc(c.Paths, func(x, y redundancy.Path) int { return strings.Compare(x.Name, y.Name) })
	if p.config != nil {
		p.config(name, &c)
	}
	var w redundancy.Witness
	if p.says != nil {
		w = witness(func() role.Verdict { return p.says(name) })
		if p.fence != nil {
			w = fence{func() role.Verdict { return p.says(name) }, p.fence}
		}
	}
	n, err := redundancy.New(redundancy.Options{Config: c, Host: h, Witness: w, Dial: p.net.Host(name).Dial, Listen: p.net.Host(name).Listen,
		Event: func(e redundancy.Event) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.events[name] = append(p.events[name], e.What+": "+e.Reason)
		}})
	if err != nil {
		p.t.Fatal(err)
	}
	h.node = n
	p.hosts[name], p.nodes[name] = h, n
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	p.end[name] = func() {
		cancel()
		if err := <-done; err != nil {
			p.t.Errorf("node %s: %v", name, err)
		}
	}
}

type witness func() role.Verdict

func (w witness) Ask(context.Context, string) role.Verdict { return w() }

func (p *pair) stop(name string) {
	if end := p.end[name]; end != nil {
		delete(p.end, name)
		end()
	}
}

// kill is kill -9: its connections are reset and it listens no more. Its goroutines end unheard.
func (p *pair) kill(name string) {
	p.net.Kill(name)
	p.stop(name)
}

func (p *pair) startBoth() {
	p.t.Helper()
	p.start("a")
	p.start("b")
	time.Sleep(time.Second)
	p.expect("a", role.Active)
	p.expect("b", role.Standby)
}

func (p *pair) area(name string) redundancy.AreaStatus { return p.nodes[name].Status().Areas[0] }

func (p *pair) expect(name string, want role.Role) {
	p.t.Helper()
	if got := p.area(name); got.Role != want || p.hosts[name].isActive() != (want == role.Active) {
		p.t.Fatalf("node %s is %s (%s), host active %v; want %s\nevents of a: %s\nevents of b: %s", name, got.Role, got.Reason,
			p.hosts[name].isActive(), want, strings.Join(p.events["a"], "\n\t"), strings.Join(p.events["b"], "\n\t"))
	}
}

// within waits until the condition holds and returns how long that took.
func (p *pair) within(limit time.Duration, what string, holds func() bool) time.Duration {
	p.t.Helper()
	start := time.Now()
	for !holds() {
		if time.Since(start) > limit {
			p.t.Fatalf("%s did not happen within %v\nevents of a: %s\nevents of b: %s", what, limit, strings.Join(p.events["a"], "\n\t"), strings.Join(p.events["b"], "\n\t"))
		}
		time.Sleep(time.Millisecond)
	}
	return time.Since(start)
}

func (p *pair) cut() {
	p.net.Cut("a", "b", "127.0.0.1")
	p.net.Cut("a", "b", "127.0.0.2")
}

func (p *pair) heal() {
	p.net.Heal("a", "b", "127.0.0.1")
	p.net.Heal("a", "b", "127.0.0.2")
}

// mirrored checks that the standby has what the active published up to now.
func (p *pair) mirrored(active, standby string) {
	p.t.Helper()
	values := func(name string) []uint64 {
		h := p.hosts[name]
		h.mu.Lock()
		defer h.mu.Unlock()
		return slices.Clone(h.values)
	}
	// The next number comes every 10 ms and takes 1 ms: at some instant in between both have the same.
	p.within(20*time.Millisecond, "mirroring", func() bool { return slices.Equal(values(active), values(standby)) })
	for i, v := range values(standby) {
		if v != uint64(i)+1 {
			p.t.Fatalf("value %d of %s is %d", i, standby, v)
		}
	}
}

// everyMillisecond calls f until the returned function is called.
func everyMillisecond(f func()) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			f()
			time.Sleep(time.Millisecond)
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

func bubble(t *testing.T, f func(t *testing.T, p *pair)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newPair(t)) })
}
