package redundancy_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"scada/redundancy"
	"scada/redundancy/role"
)

// fence is a witness that keeps a lease.
type fence struct {
	says  func() role.Verdict
	holds *atomic.Bool
}

func (f fence) Ask(context.Context, string) role.Verdict { return f.says() }
func (f fence) MayWrite(string) bool                     { return f.holds.Load() }

// TestFence: a witness's lease is needed by a node that is alone, and by nobody else.
func TestFence(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		var holds atomic.Bool
		p.says = func(string) role.Verdict { return role.PeerDead }
		p.fence = &holds
		mayWrite := func(name string, want bool, when string) {
			t.Helper()
			if got := p.nodes[name].MayWrite("main"); got != want || p.area(name).MayWrite != want {
				t.Errorf("%s: %s may write: %v, want %v", when, name, got, want)
			}
		}
		p.startBoth()
		mayWrite("a", true, "the peer echoes and the witness is away")
		p.kill("b")
		time.Sleep(2 * time.Second)
		mayWrite("a", false, "the peer is gone and the lease not held")
		holds.Store(true)
		mayWrite("a", true, "the peer is gone and the lease held")
		holds.Store(false)
		p.start("b")
		for range 200 { // while it arrives
			time.Sleep(10 * time.Millisecond)
			if n := p.nodes["a"]; n.MayWrite("main") && p.area("a").Solo {
				t.Fatal("a writes alone without the lease")
			}
		}
		mayWrite("a", true, "the peer echoes again")
	})
}

var _ redundancy.Fence = fence{}
