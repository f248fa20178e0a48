package plant

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"scada/simulators/plc"
)

// TestManyControllers: three hundred controllers in one process, each of which answers with registers of its own, and one
// of which falls silent when it is told to.
func TestManyControllers(t *testing.T) {
	c, err := Parse("sim.yaml", []byte("many: {count: 300, listen: \"127.0.0.1:0\", registers: 200, tick: 1h}\ncontrol: \"127.0.0.1:0\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	for i := range 300 {
		conn, err := net.Dial("tcp", p.Addr(manyName(i)).String())
		if err != nil {
			t.Fatal(err)
		}
		before := time.Now().UnixNano() / int64(time.Hour)
		got := make([]byte, 9+2*100)
		if _, err := conn.Write([]byte{0, 1, 0, 0, 0, 6, 1, 3, 0, 100, 0, 100}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, got); err != nil {
			t.Fatal(err)
		}
		conn.Close()
		after := time.Now().UnixNano() / int64(time.Hour)
		for a := range 100 {
			v := binary.BigEndian.Uint16(got[9+2*a:])
			if v != plc.ProofValue(uint32(i+1), uint16(100+a), before) && v != plc.ProofValue(uint32(i+1), uint16(100+a), after) {
				t.Fatalf("%s: register %d holds %d", manyName(i), 100+a, v)
			}
		}
	}
	if code := p.http(t, "POST", "/fault", `{"device": "many300", "kind": "silent"}`, nil); code >= 300 {
		t.Errorf("a fault: %d", code)
	}
	if f := p.places["many300"].server.Faults(); len(f) != 1 {
		t.Errorf("faults: %v", f)
	}
}
