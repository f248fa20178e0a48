package redundancy_test

import (
	"testing"
	"time"

	"scada/redundancy"
	"scada/redundancy/role"
)

func (p *pair) health(name string, score int) {
	h := p.hosts[name]
	h.mu.Lock()
	defer h.mu.Unlock()
	h.health = redundancy.Health{Score: score}
}

// TestHealthSwitch: the score of the heartbeats moves the area, by a planned switch that loses nothing, and keeps the
// hand-back from returning it to the ill node.
func TestHealthSwitch(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.startBoth()
		p.health("a", 50)
		took := p.within(12*time.Second, "health switch", func() bool { return p.area("b").Role == role.Active && p.hosts["b"].isActive() })
		if took < role.HealthFor {
			t.Errorf("moved after %v", took)
		}
		time.Sleep(time.Minute) // far beyond the hold-off of the hand-back
		p.expect("a", role.Standby)
		p.mirrored("b", "a")
		if sw := p.nodes["b"].Status().LastSwitch; sw == nil || sw.Kind != role.Health || p.area("b").Pinned {
			t.Errorf("record: %+v, pinned %v", sw, p.area("b").Pinned)
		}
		p.health("a", 0)
		p.within(3*time.Second, "hand-back", func() bool { return p.area("a").Role == role.Active && p.hosts["a"].isActive() })
	})
}

// TestHealthMargin: the margin is a matter of configuration, and a difference below it moves nothing.
func TestHealthMargin(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.config = func(_ string, c *redundancy.Config) { c.HealthMargin = 60 }
		p.startBoth()
		p.health("a", 59)
		time.Sleep(time.Minute)
		p.expect("a", role.Active)
		p.health("a", redundancy.MaxScore+1)
		p.within(12*time.Second, "health switch", p.hosts["b"].isActive)
	})
}

// TestDevicesMoveNothing: devices that do not answer the active may answer the standby no better.
func TestDevicesMoveNothing(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.startBoth()
		p.lose(30, 30)
		time.Sleep(time.Minute)
		p.expect("a", role.Active)
		p.lose(30, 50)
		p.within(12*time.Second, "health switch", p.hosts["b"].isActive)
	})
}

// lose makes node a miss devices, and have a score.
func (p *pair) lose(devices, score int) {
	h := p.hosts["a"]
	h.mu.Lock()
	defer h.mu.Unlock()
	h.health = redundancy.Health{Score: score, Areas: map[string]redundancy.AreaHealth{"main": {Devices: 40, Reachable: 40 - devices}}}
}
