package redundancy_test

import (
	"strings"
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

// TestDevicesMoveTheArea: what the active cannot reach counts only as far as the standby reaches more, and moves the area
// after ten seconds; it does not go back while the primary still cannot reach it.
func TestDevicesMoveTheArea(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.startBoth()
		p.lose("a", 30)
		p.lose("b", 30) // dead for both
		time.Sleep(time.Minute)
		p.expect("a", role.Active)
		p.lose("b", 11) // better by less than the margin
		time.Sleep(time.Minute)
		p.expect("a", role.Active)
		p.lose("b", 10)
		took := p.within(12*time.Second, "health switch", p.hosts["b"].isActive)
		if took < role.HealthFor {
			t.Errorf("moved after %v", took)
		}
		sw := p.nodes["b"].Status().LastSwitch
		if sw == nil || sw.Kind != role.Health || !strings.Contains(sw.Reason, "some devices are lost") {
			t.Errorf("record: %+v", sw)
		}
		time.Sleep(time.Minute)
		p.expect("b", role.Active)
		p.lose("a", 0)
		p.lose("b", 0)
		p.within(3*time.Second, "hand-back", p.hosts["a"].isActive)
	})
}

// TestDeviceGlitch: a loss that comes and goes moves nothing.
func TestDeviceGlitch(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.startBoth()
		for range 6 {
			p.lose("a", 70)
			time.Sleep(role.HealthFor - time.Second)
			p.lose("a", 0)
			time.Sleep(time.Second)
		}
		p.expect("a", role.Active)
	})
}

// lose makes a node miss devices of this weight.
func (p *pair) lose(name string, weight int) {
	h := p.hosts[name]
	h.mu.Lock()
	defer h.mu.Unlock()
	h.health = redundancy.Health{Areas: map[string]redundancy.AreaHealth{"main": {Devices: 40, Reachable: 40, Lost: weight}}}
	if weight > 0 {
		h.health.Areas["main"] = redundancy.AreaHealth{Devices: 40, Lost: weight, Reasons: []string{"some devices are lost"}}
	}
}
