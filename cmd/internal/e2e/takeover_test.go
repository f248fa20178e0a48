//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"syscall"
	"testing"
	"time"

	"scada/web/api"
)

// What the demo promises at its default heartbeat (100 ms, 5 misses), from the last sign of life of the old active to
// good fresh values of every device on the new one.
const (
	killBound = time.Second
	stopBound = 1500 * time.Millisecond
)

// TestKillTakesOverWithinASecond kills the active ten times, the nodes in turn: each time the other one takes over, and
// the dead one comes back as standby.
func TestKillTakesOverWithinASecond(t *testing.T) {
	r := newRig(t, replace(t, "hold_off: 10s", "hold_off: 5m"))
	r.start()
	const runs = 10
	var took []time.Duration
	victim, heir := "a", "b"
	for i := range runs {
		r.signal(victim, syscall.SIGKILL)
		sw := r.waitSwitch(heir, "fault")
		total := time.Duration(sw.DetectMs+sw.FirstValueMs) * time.Millisecond
		t.Logf("run %d: %s killed; detected in %d ms, active after %d ms more, good values of every device after %d ms; %d slots missed, %d double; %s",
			i, victim, sw.DetectMs, sw.ActivateMs, sw.FirstValueMs, sw.MissedSlots, sw.Duplicates, sw.Reason)
		took = append(took, total)
		if sw.Duplicates != 0 {
			t.Errorf("run %d: %d samples twice", i, sw.Duplicates)
		}
		r.freshOnAllDevices(heir)
		r.startNode(victim)
		r.waitStandby(victim, heir)
		victim, heir = heir, victim
	}
	slices.Sort(took)
	t.Logf("kill -9 to good values of every device: median %s, min %s, max %s of %d", took[runs/2], took[0], took[runs-1], runs)
	if took[runs/2] > killBound {
		t.Errorf("median %s, promised %s", took[runs/2], killBound)
	}
	r.checkGroundTruth()
}

// TestReturnedPrimaryGetsThePlantBack kills the primary and starts it again: it gets the plant back by itself.
func TestReturnedPrimaryGetsThePlantBack(t *testing.T) {
	r := newRig(t, replace(t, "hold_off: 10s", "hold_off: 3s"))
	r.start()
	r.signal("a", syscall.SIGKILL)
	r.waitSwitch("b", "fault")
	r.startNode("a")
	r.waitReady()
	p, err := r.role("a")
	if err != nil || p.LastSwitch == nil || p.LastSwitch.Kind != "hand-back" {
		t.Fatalf("the last switch is %+v, want a hand-back (%v)", p.LastSwitch, err)
	}
	t.Logf("hand-back: %+v", *p.LastSwitch)
	if p.LastSwitch.MissedSlots != 0 || p.LastSwitch.Duplicates != 0 {
		t.Errorf("%d slots missed, %d samples twice", p.LastSwitch.MissedSlots, p.LastSwitch.Duplicates)
	}
	r.checkGroundTruth()
	r.checkHistory()
}

// TestFrozenActiveIsReplaced stops the active with SIGSTOP, and wakes it: it must find out by itself that it is no
// longer active.
func TestFrozenActiveIsReplaced(t *testing.T) {
	r := newRig(t, replace(t, "hold_off: 10s", "hold_off: 2s"))
	r.start()
	const runs = 3
	var took []time.Duration
	for i := range runs {
		r.signal("a", syscall.SIGSTOP)
		sw := r.waitSwitch("b", "fault")
		total := time.Duration(sw.DetectMs+sw.FirstValueMs) * time.Millisecond
		t.Logf("run %d: detected in %d ms, good values after %d ms; %s", i, sw.DetectMs, sw.FirstValueMs, sw.Reason)
		took = append(took, total)
		r.freshOnAllDevices("b")
		r.signal("a", syscall.SIGCONT)
		r.waitReady()
	}
	slices.Sort(took)
	t.Logf("SIGSTOP to good values of every device: median %s, max %s of %d", took[runs/2], took[runs-1], runs)
	if took[runs/2] > stopBound {
		t.Errorf("median %s, promised %s", took[runs/2], stopBound)
	}
	r.checkGroundTruth()
}

// TestPlannedSwitch moves the plant to b and back on an operator's order.
func TestPlannedSwitch(t *testing.T) {
	r := newRig(t, nil)
	r.start()
	var res api.RoleResult
	if err := r.call("a", http.MethodPost, "/api/v1/role/switch", map[string]string{"area": "main", "reason": "test"}, &res); err != nil {
		t.Fatal(err)
	}
	p := r.waitActive("b", 5*time.Second)
	r.freshOnAllDevices("b")
	r.eventually(5*time.Second, "the record is complete", func() (err error) {
		if p, err = r.role("b"); err != nil {
			return err
		}
		if sw := p.LastSwitch; sw == nil || sw.Kind != "planned" || sw.FirstValueMs == 0 {
			return fmt.Errorf("%+v", p.LastSwitch)
		}
		return nil
	})
	t.Logf("planned switch: %+v", *p.LastSwitch)
	if p.LastSwitch.Duplicates != 0 {
		t.Errorf("%d samples twice", p.LastSwitch.Duplicates)
	}
	// An operator's choice stands until it is released; then the primary gets the plant back.
	if err := r.call("b", http.MethodPost, "/api/v1/role/release", map[string]string{"area": "main"}, nil); err != nil {
		t.Fatal(err)
	}
	r.waitReady()
	r.checkGroundTruth()
}

// waitSwitch waits until the node is active by a switch of the kind, with its record complete.
func (r *rig) waitSwitch(node, kind string) api.Switch {
	r.t.Helper()
	var sw api.Switch
	began := time.Now()
	r.eventually(15*time.Second, node+" has taken over", func() error {
		p, err := r.role(node)
		if err != nil {
			return err
		}
		n, _ := p.Find(node)
		if a, _ := n.Area("main"); a.Role != api.RoleActive || p.LastSwitch == nil {
			return fmt.Errorf("it is %q", a.Role)
		}
		sw = *p.LastSwitch
		if sw.To != node || sw.Kind != kind || sw.FirstValueMs == 0 || time.Since(sw.At) > time.Since(began)+2*time.Second {
			return fmt.Errorf("the record is %+v", sw)
		}
		return nil
	})
	return sw
}

// freshOnAllDevices checks that every device has a good value younger than its scan allows.
func (r *rig) freshOnAllDevices(node string) {
	r.t.Helper()
	r.eventually(3*time.Second, "good fresh values of every device on "+node, func() error {
		var tags api.Tags
		if err := r.call(node, http.MethodGet, "/api/v1/tags?limit=1000", nil, &tags); err != nil {
			return err
		}
		fresh := map[string]bool{}
		for _, tag := range tags.Tags {
			ok := tag.Quality == "Good" && tag.Time != nil && time.Since(*tag.Time) < 2*time.Second
			fresh[tag.Device] = fresh[tag.Device] || ok
		}
		if len(fresh) < 7 {
			return fmt.Errorf("%d devices", len(fresh))
		}
		for device, ok := range fresh {
			if !ok {
				return fmt.Errorf("%s has none", device)
			}
		}
		return nil
	})
}
