package redundancy_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
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

	mu      sync.Mutex
	node    *redundancy.Node
	values  []uint64
	active  map[string]bool
	terms   []redundancy.Term
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
	h.active[area] = true
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
	n, err := redundancy.New(redundancy.Options{Config: c, Host: h, Dial: p.net.Host(name).Dial, Listen: p.net.Host(name).Listen,
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

func (p *pair) stop(name string) {
	if end := p.end[name]; end != nil {
		delete(p.end, name)
		end()
	}
}

// kill is kill -9: the network sees the process die; what still runs of it here can no longer be heard.
func (p *pair) kill(name string) {
	p.net.Kill(name)
	p.net.Host(name) // its goroutines end below, unheard: every connection is reset and it listens no more
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

func TestJoin(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.startBoth()
		p.mirrored("a", "b")
		for _, name := range []string{"a", "b"} {
			st := p.nodes[name].Status()
			if !st.FailoverReady {
				t.Errorf("%s is not ready: %v", name, st.NotReady)
			}
			for _, path := range st.Paths {
				if !path.Up || path.RTT != 2*time.Millisecond || path.Lost != 0 {
					t.Errorf("path of %s: %+v", name, path)
				}
			}
			if !st.Peer.Reachable || !st.Peer.DigestEqual || st.Peer.Version != "1" {
				t.Errorf("peer of %s: %+v", name, st.Peer)
			}
		}
		if !p.nodes["a"].MayWrite("main") || p.nodes["b"].MayWrite("main") {
			t.Error("the active may write, the standby may not")
		}
	})
}

func TestTakeOverOnSilence(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.startBoth()
		p.net.Power("a", false)
		took := p.within(time.Second, "take-over", p.hosts["b"].isActive)
		if took < 400*time.Millisecond || took > 600*time.Millisecond {
			t.Errorf("took over after %v, want 5 heartbeats", took)
		}
		time.Sleep(50 * time.Millisecond)
		sw := p.nodes["b"].Status().LastSwitch
		if sw == nil || sw.From != "a" || sw.To != "b" || sw.Kind != role.Fault || sw.Detect < 400*time.Millisecond || sw.Detect > 600*time.Millisecond {
			t.Errorf("record: %+v", sw)
		}
		if st := p.area("b"); st.Confirmed || !st.MayWrite || st.Epoch != 2 {
			t.Errorf("%+v", st)
		}
	})
}

func TestTakeOverOnProcessDeathAndHandBack(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.startBoth()
		p.net.Kill("a")
		took := p.within(time.Second, "take-over", p.hosts["b"].isActive)
		if took > 50*time.Millisecond {
			t.Errorf("took over after %v: proof needs no missed heartbeats", took)
		}
		p.stop("a")
		time.Sleep(time.Second)
		if st := p.area("b"); !st.Confirmed || !st.MayWrite || !st.Solo {
			t.Errorf("%+v", st)
		}
		p.start("a")
		time.Sleep(time.Second)
		p.expect("b", role.Active)
		p.expect("a", role.Standby)
		p.mirrored("b", "a")
		p.within(3*time.Second, "hand-back", p.hosts["a"].isActive)
		time.Sleep(500 * time.Millisecond)
		p.expect("b", role.Standby)
		p.mirrored("a", "b")
		for _, name := range []string{"a", "b"} {
			if sw := p.nodes[name].Status().LastSwitch; sw == nil || sw.Kind != role.HandBack || sw.To != "a" {
				t.Errorf("%s: record %+v", name, sw)
			}
		}
	})
}

func TestOnePathLost(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.startBoth()
		p.net.Cut("a", "b", "127.0.0.1")
		p.net.Reset("a", "b")
		time.Sleep(10 * time.Second)
		p.expect("a", role.Active)
		p.expect("b", role.Standby)
		p.mirrored("a", "b")
		st := p.nodes["b"].Status()
		if st.FailoverReady || !slices.Contains(st.NotReady, "path lan is down") {
			t.Errorf("ready %v, %v", st.FailoverReady, st.NotReady)
		}
		p.heal()
		time.Sleep(3 * time.Second)
		if st := p.nodes["b"].Status(); !st.FailoverReady {
			t.Errorf("after healing: %v", st.NotReady)
		}
	})
}

func TestPlannedSwitchWithoutGapOrOverlap(t *testing.T) {
	for _, asked := range []string{"a", "b"} {
		t.Run("asked on "+asked, func(t *testing.T) {
			bubble(t, func(t *testing.T, p *pair) {
				p.startBoth()
				p.hosts["a"].slow = 20 * time.Millisecond
				var overlap, gap time.Duration
				end := everyMillisecond(func() {
					a, b := p.hosts["a"].isActive(), p.hosts["b"].isActive()
					if a && b {
						overlap += time.Millisecond
					}
					if !a && !b {
						gap += time.Millisecond
					}
				})
				defer end()
				if err := p.nodes[asked].Switch(t.Context(), "main", "test"); err != nil {
					t.Fatal(err)
				}
				end()
				time.Sleep(time.Second)
				p.expect("b", role.Active)
				p.expect("a", role.Standby)
				if overlap > 0 || gap > 5*time.Millisecond {
					t.Errorf("overlap %v, gap %v", overlap, gap)
				}
				p.mirrored("b", "a")
				if !p.nodes["b"].MayWrite("main") || !p.area("b").Pinned {
					t.Errorf("%+v", p.area("b"))
				}
				time.Sleep(10 * time.Second)
				p.expect("b", role.Active) // pinned
				if err := p.nodes["a"].Release("main", "done"); err != nil {
					t.Fatal(err)
				}
				time.Sleep(3 * time.Second)
				p.expect("a", role.Active)
			})
		})
	}
}

func TestSwitchRolledBack(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.startBoth()
		p.hosts["b"].fail = errors.New("the card is not there")
		err := p.nodes["a"].Switch(t.Context(), "main", "test")
		if !errors.Is(err, redundancy.ErrRefused) || !strings.Contains(err.Error(), "the card is not there") {
			t.Errorf("switch: %v", err)
		}
		time.Sleep(time.Second)
		p.expect("a", role.Active)
		p.expect("b", role.Standby)
		if a := p.area("a"); a.Epoch != 3 || !a.MayWrite {
			t.Errorf("%+v", a)
		}
		p.mirrored("a", "b")
	})
}

func TestTailAfterReconnection(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.startBoth()
		before := p.hosts["b"].applied
		p.net.Reset("a", "b")
		time.Sleep(time.Second)
		p.mirrored("a", "b")
		if p.hosts["b"].applied != before {
			t.Error("a short interruption needed a snapshot")
		}
		p.expect("a", role.Active)
	})
}

func TestSnapshotWhenTheRingIsTooShort(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.config = func(_ string, c *redundancy.Config) { c.RingAge = 50 * time.Millisecond; c.Policy = role.Safety }
		p.startBoth()
		before := p.hosts["b"].applied
		p.cut()
		time.Sleep(5 * time.Second)
		p.heal()
		time.Sleep(3 * time.Second)
		p.expect("a", role.Active)
		p.mirrored("a", "b")
		if p.hosts["b"].applied != before+1 {
			t.Errorf("%d snapshots, want one more than %d", p.hosts["b"].applied, before)
		}
	})
}

// TestCutsNeverGiveTwoWriters cuts the links in every way and compares the instants at which the hosts were allowed to
// write.
func TestCutsNeverGiveTwoWriters(t *testing.T) {
	cuts := map[string]func(n *memnet.Network, link string){
		"both ways": func(n *memnet.Network, link string) { n.Cut("a", "b", link) },
		"a to b":    func(n *memnet.Network, link string) { n.CutWay("a", "b", link) },
		"b to a":    func(n *memnet.Network, link string) { n.CutWay("b", "a", link) },
	}
	for name, cut := range cuts {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, p *pair) {
				p.startBoth()
				both := 0
				end := everyMillisecond(func() {
					if p.nodes["a"].MayWrite("main") && p.nodes["b"].MayWrite("main") {
						both++
					}
				})
				defer end()
				for _, link := range []string{"127.0.0.1", "127.0.0.2"} {
					cut(p.net, link)
				}
				time.Sleep(5 * time.Second)
				p.heal()
				time.Sleep(10 * time.Second)
				end()
				if both > 0 {
					t.Errorf("both nodes might write for %d ms", both)
				}
				if len(p.hosts["b"].writes) == 0 {
					t.Error("the standby never took over with the right to write")
				}
				p.expect("a", role.Active) // handed back
				p.mirrored("a", "b")
			})
		})
	}
}

func TestOtherDigestIsFlaggedAndBlocksHandBack(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.startBoth()
		p.kill("a")
		p.config = func(name string, c *redundancy.Config) { c.Digest = "d2" }
		p.start("a")
		time.Sleep(20 * time.Second)
		p.expect("b", role.Active)
		p.expect("a", role.Standby)
		st := p.nodes["b"].Status()
		if st.FailoverReady || st.Peer.DigestEqual || !slices.Contains(st.NotReady, "the configurations of the nodes differ") {
			t.Errorf("%v %+v", st.NotReady, st.Peer)
		}
	})
}

func TestOtherProjectIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.config = func(name string, c *redundancy.Config) { c.Project = "works of " + name }
		p.start("a")
		p.start("b")
		time.Sleep(5 * time.Second)
		st := p.nodes["a"].Status()
		if !strings.Contains(st.Peer.Refused, `project "works of b"`) || st.Peer.Reachable {
			t.Errorf("%+v", st.Peer)
		}
	})
}

func TestWaitDurable(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.startBoth()
		a := p.nodes["a"]
		seq := a.Publish("main", redundancy.Record{Kind: 1, Payload: record(0).Payload})
		start := time.Now()
		d, err := a.WaitDurable(t.Context(), "main", seq)
		if d != redundancy.Durable || err != nil || time.Since(start) < 5*time.Millisecond {
			t.Errorf("%v, %v after %v", d, err, time.Since(start))
		}
		p.kill("b")
		time.Sleep(100 * time.Millisecond)
		if d, err := a.WaitDurable(t.Context(), "main", seq+10); d != redundancy.Solo || err != nil {
			t.Errorf("alone: %v, %v", d, err)
		}
		if _, err := p.nodes["a"].WaitDurable(t.Context(), "other", 1); !errors.Is(err, redundancy.ErrUnknownArea) {
			t.Errorf("unknown area: %v", err)
		}
	})
}

func TestForward(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.startBoth()
		for _, name := range []string{"a", "b"} {
			got, err := p.nodes[name].Forward(t.Context(), "main", []byte("open"))
			if string(got) != "a did open" || err != nil {
				t.Errorf("from %s: %q, %v", name, got, err)
			}
			if _, err := p.nodes[name].Forward(t.Context(), "main", []byte("fail")); !errors.Is(err, redundancy.ErrRefused) || !strings.Contains(err.Error(), "the valve is locked") {
				t.Errorf("from %s: %v", name, err)
			}
		}
		errs := make(chan error, 1)
		go func() {
			_, err := p.nodes["b"].Forward(t.Context(), "main", []byte("hang"))
			errs <- err
		}()
		time.Sleep(100 * time.Millisecond)
		p.kill("a")
		if err := <-errs; err == nil {
			t.Error("a command to a dead node succeeded")
		}
		time.Sleep(time.Second)
		if got, err := p.nodes["b"].Forward(t.Context(), "main", []byte("open")); string(got) != "b did open" || err != nil {
			t.Errorf("after the take-over: %q, %v", got, err)
		}
	})
}

func TestOrderlyStop(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.startBoth()
		last := len(p.hosts["a"].values)
		start := time.Now()
		p.stop("a")
		took := p.within(time.Second, "take-over", p.hosts["b"].isActive)
		if total := time.Since(start); total > 100*time.Millisecond {
			t.Errorf("stopped and taken over after %v (%v)", total, took)
		}
		if got := len(p.hosts["b"].values); got < last {
			t.Errorf("b has %d values, a had %d", got, last)
		}
		if !p.area("b").Confirmed {
			t.Error("a goodbye is a confirmation")
		}
	})
}

func TestEpochSurvivesRestart(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.startBoth()
		for range 3 {
			p.kill("b")
			p.kill("a")
			time.Sleep(time.Second)
			p.startBoth()
		}
		if e := p.area("a").Epoch; e != 7 {
			t.Errorf("the fourth term of a has epoch %d, want 7", e)
		}
	})
}

func TestForcedTake(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.startBoth()
		if err := p.nodes["b"].Take("main", "test"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		p.expect("b", role.Active)
		p.expect("a", role.Standby)
		if err := p.nodes["b"].Maintenance("main", true, "test"); !errors.Is(err, redundancy.ErrRefused) {
			t.Errorf("maintenance of the active: %v", err)
		}
		if err := p.nodes["a"].Maintenance("main", true, "test"); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		p.expect("a", role.Maintenance)
	})
}

func TestStrangersAndGarbage(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.startBoth()
		for _, garbage := range []string{"GET / HTTP/1.1\r\n\r\n", "\x00\x00\x00\x00", "\xff\xff\xff\xff", "\x05\x00\x00\x00hello", ""} {
			c, err := p.net.Host("x").Dial(t.Context(), "tcp", "127.0.0.1:7401")
			if err != nil {
				t.Fatal(err)
			}
			_, _ = c.Write([]byte(garbage))
			_ = c.SetReadDeadline(time.Now().Add(time.Minute))
			start := time.Now()
			if n, err := c.Read(make([]byte, 100)); n > 0 || err == nil {
				t.Errorf("%q was answered", garbage)
			}
			if time.Since(start) > 5*time.Second {
				t.Errorf("%q was borne for %v", garbage, time.Since(start))
			}
			_ = c.Close()
		}
		for range 3 * redundancy.MaxStrangers { // silent callers must not keep the peer out
			c, err := p.net.Host("x").Dial(t.Context(), "tcp", "127.0.0.1:7401")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
		}
		time.Sleep(5 * time.Second)
		p.expect("a", role.Active)
		if st := p.nodes["b"].Status(); !st.FailoverReady {
			t.Error(st.NotReady)
		}
	})
}

func TestRefusesToStart(t *testing.T) {
	good := redundancy.Config{Project: "p", Digest: "d", Self: "a", Peer: "b", DataDir: t.TempDir(),
		Areas:     []redundancy.Area{{Name: "main", Primary: "a"}},
		Paths:     []redundancy.Path{{Name: "lan", Listen: "127.0.0.1:7401", Peer: "127.0.0.1:7402"}},
		Heartbeat: 100 * time.Millisecond, Misses: 5}
	if _, err := redundancy.New(redundancy.Options{Config: good, Host: newHost("a")}); err != nil {
		t.Fatal(err)
	}
	tests := map[string]func(c *redundancy.Config){
		"not a loopback address": func(c *redundancy.Config) {
			c.Paths = []redundancy.Path{{Name: "lan", Listen: "10.0.0.1:7401", Peer: "127.0.0.1:7402"}}
		},
		"heartbeat 19ms":          func(c *redundancy.Config) { c.Heartbeat = 19 * time.Millisecond },
		"heartbeat 11s":           func(c *redundancy.Config) { c.Heartbeat = 11 * time.Second },
		"misses 21":               func(c *redundancy.Config) { c.Misses = 21 },
		"0 paths":                 func(c *redundancy.Config) { c.Paths = nil },
		"no project":              func(c *redundancy.Config) { c.Project = "" },
		"not a node of the pair":  func(c *redundancy.Config) { c.Areas = []redundancy.Area{{Name: "main", Primary: "c"}} },
		"two nodes with differ":   func(c *redundancy.Config) { c.Peer = "a"; c.Areas[0].Primary = "a" },
		"nameless or there twice": func(c *redundancy.Config) { c.Areas = append(c.Areas, c.Areas[0]) },
	}
	for want, change := range tests {
		c := good
		c.Areas = slices.Clone(good.Areas)
		change(&c)
		if _, err := redundancy.New(redundancy.Options{Config: c, Host: newHost("a")}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}

func TestCrossedAreas(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.config = func(_ string, c *redundancy.Config) {
			c.Areas = append(c.Areas, redundancy.Area{Name: "north", Primary: "b"})
		}
		p.start("a")
		p.start("b")
		time.Sleep(time.Second)
		a, b := p.nodes["a"].Status(), p.nodes["b"].Status()
		if a.Areas[0].Role != role.Active || a.Areas[1].Role != role.Standby || b.Areas[0].Role != role.Standby || b.Areas[1].Role != role.Active {
			t.Fatalf("%+v\n%+v", a.Areas, b.Areas)
		}
		p.kill("a")
		time.Sleep(time.Second)
		for _, st := range p.nodes["b"].Status().Areas {
			if st.Role != role.Active || !st.MayWrite {
				t.Errorf("%+v", st)
			}
		}
	})
}
