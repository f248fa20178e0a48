package redundancy_test

import (
	"strings"
	"testing"
	"time"

	"scada/redundancy"
	"scada/redundancy/role"
)

// TestStreamLeavesADeadPath: whichever path the stream is on, the cut of one path stops the values for no longer than it
// takes to see that the path is dead.
func TestStreamLeavesADeadPath(t *testing.T) {
	for _, ip := range []string{"127.0.0.1", "127.0.0.2"} {
		bubble(t, func(t *testing.T, p *pair) {
			p.startBoth()
			p.net.Cut("a", "b", ip)
			time.Sleep(time.Second)
			p.mirrored("a", "b")
			p.expect("a", role.Active)
			p.expect("b", role.Standby)
			if got := p.hosts["b"].applied; got != 1 {
				t.Errorf("%d snapshots: the tail is enough", got)
			}
		})
	}
}

// TestOnePathCutAtTheFastestHeartbeat: what hangs on a dead path (dials, writes, a path that comes and goes) must not
// hold up the heartbeats of the other one, not even when three of them are 60 ms.
func TestOnePathCutAtTheFastestHeartbeat(t *testing.T) {
	for _, ip := range []string{"127.0.0.1", "127.0.0.2"} {
		bubble(t, func(t *testing.T, p *pair) {
			p.config = func(_ string, c *redundancy.Config) { c.Heartbeat, c.Misses = 20*time.Millisecond, 3 }
			p.startBoth()
			epoch := p.area("a").Epoch
			for i := range 40 {
				p.net.Cut("a", "b", ip)
				time.Sleep(time.Duration(100+97*i) * time.Millisecond) // past the end of every dial and of every patience
				p.net.Heal("a", "b", ip)
				time.Sleep(time.Duration(13*i) * time.Millisecond)
			}
			p.expect("a", role.Active)
			p.expect("b", role.Standby)
			if got := p.area("a").Epoch; got != epoch {
				t.Errorf("the epoch went from %d to %d", epoch, got)
			}
			for _, name := range []string{"a", "b"} {
				for _, e := range p.events[name] {
					if strings.HasPrefix(e, redundancy.EventLease) || strings.HasPrefix(e, redundancy.EventStall) || strings.Contains(e, "not heard") {
						t.Errorf("%s: %s", name, e)
					}
				}
			}
			p.mirrored("a", "b")
		})
	}
}
