package redundancy_test

import (
	"context"
	"net"
	"testing"
	"time"

	"scada/redundancy"
	"scada/redundancy/role"
)

// TestRealSockets runs the pair over TCP on the loopback interface: what a memory network cannot show is how the
// kernel reports a dead process.
func TestRealSockets(t *testing.T) {
	if testing.Short() {
		t.Skip("takes real time")
	}
	free := func() string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		return l.Addr().String()
	}
	address := map[string]string{"a": free(), "b": free()}
	hosts, nodes, ends := map[string]*fakeHost{}, map[string]*redundancy.Node{}, map[string]func(){}
	for self, peer := range map[string]string{"a": "b", "b": "a"} {
		h := newHost(self)
		n, err := redundancy.New(redundancy.Options{Host: h, Config: redundancy.Config{
			Project: "works", Self: self, Peer: peer, DataDir: t.TempDir(), Areas: []redundancy.Area{{Name: "main", Primary: "a"}},
			Paths:     []redundancy.Path{{Name: "lan", Listen: address[self], Peer: address[peer]}},
			Heartbeat: 200 * time.Millisecond, Misses: 10,
		}})
		if err != nil {
			t.Fatal(err)
		}
		h.node = n
		hosts[self], nodes[self] = h, n
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- n.Run(ctx) }()
		ends[self] = func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("node %s: %v", self, err)
			}
		}
	}
	await := func(what string, holds func() bool) {
		t.Helper()
		for limit := time.Now().Add(20 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(limit) {
				t.Fatalf("%s: %+v\n%+v", what, nodes["a"].Status(), nodes["b"].Status())
			}
		}
	}
	await("the pair is ready", func() bool {
		return nodes["a"].Status().FailoverReady && nodes["b"].Status().FailoverReady && hosts["a"].isActive()
	})
	if err := nodes["a"].Switch(t.Context(), "main", "test"); err != nil {
		t.Error(err)
	}
	await("b is active", func() bool { return hosts["b"].isActive() && nodes["a"].Status().Areas[0].Role == role.Standby })
	await("the mirror is complete again", func() bool { return nodes["a"].Status().FailoverReady })
	ends["b"]()
	await("a is active", func() bool { return hosts["a"].isActive() && nodes["a"].MayWrite("main") })
	ends["a"]()
}
