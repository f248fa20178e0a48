package modbus

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"scada/acquisition/tag"
	"scada/simulators/memnet"
	"scada/simulators/plc"
)

// simulated runs a channel against the plant's simulated controller over the in-memory network.
func simulated(t *testing.T, window int, framing plc.Framing, body func(*rig, *plc.Server)) {
	t.Helper()
	simulatedBlocks(t, window, framing, 8, body)
}

func simulatedBlocks(t *testing.T, window int, framing plc.Framing, blocks int, body func(*rig, *plc.Server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		net := memnet.New()
		bank := plc.NewMemory(10000)
		for a := range 10000 {
			bank.Set(plc.HoldingRegisters, uint16(a), register(1, a))
		}
		server := plc.New(plc.Options{Framing: framing, Address: "plc:502", Listen: net.Host("plc").Listen, Latency: 2 * time.Millisecond, Parallel: window > 1,
			Units: map[uint8]plc.Unit{1: {Device: "plc", Bank: bank, Identity: plc.Identity{Vendor: "Maker", Product: "Model 7", Revision: "1.2"}}}})
		if err := server.Listen(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- server.Run(ctx) }()
		d := plainDevice("plc", 1, window, 0, blocks)
		if framing == plc.RTU {
			d.Endpoints = []string{"rtuovertcp://plc:502"}
		}
		r := newRig(t, d)
		r.c.opts.Dial = net.Host("node").Dial
		r.start()
		time.Sleep(time.Second)
		r.allGood(2 * testPeriod)
		body(r, server)
		r.cancel()
		if err := <-r.done; err != nil {
			t.Error(err)
		}
		cancel()
		<-ended
	})
}

// TestSimulatorFaults: every fault the simulator knows, for twenty seconds and then gone: no wrong value, and the device
// is back within the longest pause between probes.
func TestSimulatorFaults(t *testing.T) {
	for _, framing := range []plc.Framing{plc.TCP, plc.RTU} {
		for _, kind := range plc.Kinds() {
			for _, window := range []int{1, 16} {
				if framing == plc.RTU && window > 1 || framing == plc.TCP && kind == plc.BadCRC {
					continue // a line has a window of one; Modbus TCP has no checksum to be wrong
				}
				t.Run(fmt.Sprintf("%v/%s/W%d", framing, kind, window), func(t *testing.T) {
					simulated(t, window, framing, func(r *rig, server *plc.Server) {
						if err := server.Inject(plc.Fault{Kind: kind, Delay: 350 * time.Millisecond, After: 7, Count: 40}); err != nil {
							t.Fatal(err)
						}
						time.Sleep(20 * time.Second)
						server.Clear(0)
						r.recovers()
						if kind != plc.Freeze && kind != plc.Refuse && len(server.Faults()) > 0 {
							t.Errorf("the fault is still there")
						}
					})
				})
			}
		}
	}
}

// TestSimulatorTypes: driver and simulator agree on bits, texts and writes.
func TestSimulatorTypes(t *testing.T) {
	simulated(t, 1, plc.TCP, func(r *rig, _ *plc.Server) {
		c, err := r.c.Client(r.t.Context(), "plc")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.WriteMultipleRegisters(5000, 2, []byte{0x3f, 0xc0, 0, 0}); err != nil {
			t.Fatal(err)
		}
		b, err := c.ReadHoldingRegisters(5000, 2)
		if err != nil {
			t.Fatal(err)
		}
		p := mustPoint(t, tag.Definition{Address: "hr:5000", Type: tag.TypeFloat32})
		if v, _ := p.decode(b, 0, ""); v != tag.Float32(1.5) {
			t.Errorf("read back %v", v)
		}
	})
}
