package witness_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"scada/redundancy/role"
	"scada/redundancy/witness"
	"scada/simulators/memnet"
	"scada/simulators/plc"
)

// world is two nodes, a field device, two hosts of the plant's network, and what is between them.
type world struct {
	t      *testing.T
	net    *memnet.Network
	bank   *plc.Memory
	mu     sync.Mutex
	acting map[string]bool
	set    map[string]*witness.Set
	stop   map[string]func()
}

const base = 40

func newWorld(t *testing.T, cfg witness.Config) *world {
	t.Helper()
	w := &world{t: t, net: memnet.New(), bank: plc.NewMemory(base + witness.Registers), acting: map[string]bool{}, set: map[string]*witness.Set{}, stop: map[string]func(){}}
	device := plc.New(plc.Options{
		Name: "plc", Address: "10.0.3.3:502", Units: map[uint8]plc.Unit{1: {Device: "plc", Bank: w.bank}}, Latency: time.Millisecond,
		Listen: w.net.Host("field").Listen,
	})
	w.run("field", func(ctx context.Context) { _ = device.Run(ctx) })
	synctest.Wait() // it listens: a node that is refused at first tries an interval later, and who claims first would be luck
	for node, peer := range map[string]string{"a": "b", "b": "a"} {
		log := slog.New(slog.DiscardHandler)
		if testing.Verbose() {
			log = slog.New(slog.NewTextHandler(t.Output(), nil)).With("node", node)
		}
		s, err := witness.New(witness.Options{
			Config: cfg, Project: "works", Self: node, Peer: peer, Areas: []string{"main"}, Log: log, Dial: w.net.Host(node).Dial,
			Acting: func(string) bool { w.mu.Lock(); defer w.mu.Unlock(); return w.acting[node] },
		})
		if err != nil {
			t.Fatal(err)
		}
		w.set[node] = s
		w.run(node, func(ctx context.Context) { _ = s.Run(ctx) })
	}
	return w
}

func (w *world) run(name string, f func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); f(ctx) }()
	w.stop[name] = sync.OnceFunc(func() { cancel(); <-done })
}

func (w *world) end() {
	for _, stop := range w.stop {
		stop()
	}
}

func (w *world) act(node string, on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acting[node] = on
}

// pass lets time pass and holds that never both may write.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	for range d / (10 * time.Millisecond) {
		time.Sleep(10 * time.Millisecond)
		if w.set["a"].MayWrite("main") && w.set["b"].MayWrite("main") {
			w.t.Fatal("both nodes may write")
		}
	}
}

func (w *world) ask(node string, within time.Duration) role.Verdict {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	return w.set[node].Ask(ctx, "main")
}

func (w *world) want(node string, verdict role.Verdict, mayWrite bool) {
	w.t.Helper()
	began := time.Now()
	if v := w.ask(node, 500*time.Millisecond); v != verdict {
		w.t.Errorf("%s is told that %s, want that %s", node, v, verdict)
	}
	if took := time.Since(began); took >= 450*time.Millisecond {
		w.t.Errorf("the answer took %v of 500 ms: too late to count", took)
	}
	if got := w.set[node].MayWrite("main"); got != mayWrite {
		w.t.Errorf("%s may write: %v, want %v", node, got, mayWrite)
	}
}

func TestDevice(t *testing.T) {
	for name, separate := range map[string]bool{"function 23": false, "functions 16 and 3": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, witness.Config{Modbus: []witness.Modbus{{Area: "main", Endpoint: "tcp://10.0.3.3:502", Unit: 1, Register: base, Separate: separate}}})
				defer w.end()
				w.act("a", true)
				w.pass(3 * time.Second)
				w.want("a", role.PeerDead, true) // the peer does not act: this node holds the lease
				w.want("b", role.PeerAlive, false)
				w.net.Power("a", false)
				w.pass(200 * time.Millisecond)
				w.want("b", role.PeerAlive, false) // not silent for long enough to be sure
				w.pass(2 * time.Second)
				w.want("b", role.PeerDead, false)
				w.act("b", true)
				w.pass(500 * time.Millisecond)
				w.want("b", role.PeerDead, true)
				w.want("a", role.Unknown, false)
				w.net.Power("a", true) // it still wants: b goes on
				w.pass(3 * time.Second)
				w.want("b", role.PeerDead, true)
				w.want("a", role.PeerAlive, false)
				w.act("b", false)
				w.pass(3 * time.Second)
				w.want("a", role.PeerDead, true)
			})
		})
	}
}

// TestDeviceWiped is a controller that starts anew with its registers at zero.
func TestDeviceWiped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, witness.Config{Modbus: []witness.Modbus{{Area: "main", Endpoint: "tcp://10.0.3.3:502", Unit: 1, Register: base}}})
		defer w.end()
		w.act("a", true)
		w.act("b", true)
		w.pass(3 * time.Second)
		w.want("a", role.PeerDead, true)
		for i := range witness.Registers {
			w.bank.Set(plc.HoldingRegisters, uint16(base+i), 0)
		}
		w.pass(time.Second)
		w.want("a", role.Unknown, false)
		w.pass(3 * time.Second)
		w.want("a", role.PeerDead, true)
	})
}

func TestTargets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, witness.Config{TCP: []witness.TCP{{Targets: []string{"10.0.9.1:80", "10.0.9.2:80"}}}})
		defer w.end()
		l, err := w.net.Host("switch").Listen("tcp", "10.0.9.1:80")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		p, err := w.net.Host("printer").Listen("tcp", "10.0.9.2:80")
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		w.want("b", role.Unknown, true) // targets fence nothing
		w.net.Cut("b", "switch", "")
		w.want("b", role.Unknown, true)
		w.net.Cut("b", "printer", "")
		w.want("b", role.CutOff, true)
		w.net.Heal("b", "printer", "")
		w.net.Kill("printer") // its host refuses, so it lives
		w.want("b", role.Unknown, true)
		w.want("a", role.Unknown, true)
	})
}

// TestOrder: targets are asked before leases, but who holds the leases needs nobody's word.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, witness.Config{
			TCP:    []witness.TCP{{Targets: []string{"10.0.9.1:80"}}},
			Modbus: []witness.Modbus{{Area: "main", Endpoint: "tcp://10.0.3.3:502", Unit: 1, Register: base}},
		})
		defer w.end()
		l, err := w.net.Host("switch").Listen("tcp", "10.0.9.1:80")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		w.act("a", true)
		w.pass(3 * time.Second)
		w.want("b", role.PeerAlive, false)
		w.net.Cut("b", "switch", "")
		w.want("b", role.CutOff, false)
		w.net.Cut("a", "switch", "")
		w.want("a", role.PeerDead, true)
	})
}

func TestNobodyToAsk(t *testing.T) {
	s, err := witness.New(witness.Options{Self: "a", Peer: "b", Areas: []string{"main"}})
	if err != nil {
		t.Fatal(err)
	}
	if v := s.Ask(t.Context(), "main"); v != role.Unknown || !s.MayWrite("main") {
		t.Errorf("%v", v)
	}
	if !(witness.Config{}).Empty() || (witness.Config{Files: []witness.File{{}}}).Empty() {
		t.Error("Empty is wrong")
	}
}

// TestAskWaits: what the peer wrote before the question proves nothing; who has the time waits for the next sign.
func TestAskWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, witness.Config{Modbus: []witness.Modbus{{Area: "main", Endpoint: "tcp://10.0.3.3:502", Unit: 1, Register: base}}})
		defer w.end()
		w.act("a", true)
		w.pass(3 * time.Second)
		w.net.Power("a", false)
		if v := w.ask("b", 3*time.Second); v != role.PeerDead {
			t.Errorf("asked right after the death of a: %s", v)
		}
	})
}
