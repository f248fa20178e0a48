package server

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"scada/redundancy/role"
)

// probingPlant has a probe on its device.
var probingPlant = strings.Replace(bubblePlant, "driver: modbus,", "driver: modbus, probe: read,", 1)

func healthWorld(t *testing.T, plant string, f func(w *world)) {
	bubbleOf(t, plant, func(w *world) {
		w.ready()
		time.Sleep(2 * probeEvery) // the standby has looked around
		f(w)
	})
}

// TestFieldNetworkOfTheActive: the active loses its devices and the standby still reaches them: the area moves after ten
// seconds, with the reason, and comes back when the devices do.
func TestFieldNetworkOfTheActive(t *testing.T) {
	healthWorld(t, probingPlant, func(w *world) {
		w.net.Cut("a", "field", "")
		took := w.within(20*time.Second, "b is active", w.roleIs("b", role.Active))
		if took < role.HealthFor {
			w.t.Errorf("moved after %s", took)
		}
		w.within(2*time.Second, "b polls", w.counts("b"))
		sw := (backend{w.node["b"]}).Role().LastSwitch
		if sw == nil || sw.Kind != role.Health.String() || !strings.Contains(sw.Reason, "1 of 1 devices of area main do not answer: plc") {
			w.t.Errorf("the record is %+v", sw)
		}
		time.Sleep(time.Minute)
		if err := w.roleIs("b", role.Active)(); err != nil {
			w.t.Error(err)
		}
		w.net.Heal("a", "field", "")
		w.within(30*time.Second, "a has the area back", w.roleIs("a", role.Active))
		w.sameArchives()
	})
}

// TestFieldNetworkMovesNothing: without a probe nobody knows whether the standby would reach more; when both lose the field
// it would not; and a margin of 0 says never.
func TestFieldNetworkMovesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		plant string
		cut   []string
	}{
		"no probe": {bubblePlant, []string{"a"}},
		"both cut": {probingPlant, []string{"a", "b"}},
		"never":    {strings.Replace(probingPlant, "hold_off: 3s", "hold_off: 3s, health_margin: 0", 1), []string{"a"}},
		"weight 0": {strings.Replace(probingPlant, "probe: read,", "probe: read, weight: 0,", 1), []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			healthWorld(t, c.plant, func(w *world) {
				for _, node := range c.cut {
					w.net.Cut(node, "field", "")
				}
				for range 40 {
					time.Sleep(time.Second)
					if err := w.roleIs("a", role.Active)(); err != nil {
						w.t.Fatal(err)
					}
				}
				faults := (backend{w.node["b"]}).Role().Nodes[0].Faults
				if !slices.ContainsFunc(faults, func(f string) bool { return strings.Contains(f, "do not answer: plc") }) {
					w.t.Errorf("what is shown of a on b is %q", faults)
				}
			})
		})
	}
}

// TestStandbyWithoutField: the standby that could not poll says so and is not ready; it gets nothing by itself.
func TestStandbyWithoutField(t *testing.T) {
	healthWorld(t, probingPlant, func(w *world) {
		w.net.Cut("b", "field", "")
		w.within(15*time.Second, "not ready", func() error {
			if _, why := (backend{w.node["a"]}).Ready(""); !slices.ContainsFunc(why, func(r string) bool { return strings.Contains(r, "device plc cannot be reached from here") }) {
				return fmt.Errorf("%q", why)
			}
			return nil
		})
		w.net.Heal("b", "field", "")
		w.ready()
	})
}

func TestOldAssessmentIsAFault(t *testing.T) {
	at := time.Unix(1000, 0)
	a := &assessment{at: at}
	if h := a.present(at.Add(stuckAfter)); h.Score != 0 || len(h.NotReady) != 0 {
		t.Errorf("%+v", h)
	}
	if h := a.present(at.Add(stuckAfter + 1)); h.Score != weightStuck || len(h.NotReady) != 1 || len(a.health.Reasons) != 0 {
		t.Errorf("%+v", h)
	}
}

func TestLateness(t *testing.T) {
	l, at := newLateness(500*time.Millisecond), time.Unix(1000, 0)
	l.note(at, 400*time.Millisecond)
	l.note(at.Add(time.Second), 30*time.Millisecond)
	if got := l.worst(at.Add(9 * time.Second)); got != 400*time.Millisecond || l.limit != 250*time.Millisecond {
		t.Errorf("%s, limit %s", got, l.limit)
	}
	if got := l.worst(at.Add(10*time.Second + lateFor/lateLast)); got != 30*time.Millisecond {
		t.Errorf("later %s", got)
	}
}

func TestClientNetwork(t *testing.T) {
	addr := netip.MustParseAddr
	watch := func(addrs ...string) *clientNetwork {
		c := &clientNetwork{}
		for _, a := range addrs {
			c.watched = append(c.watched, watchedAddress{"web", addr(a)})
		}
		return c
	}
	lo := nic{"lo", true, []netip.Addr{addr("127.0.0.1"), addr("::1")}}
	eth := nic{"eth0", true, []netip.Addr{addr("10.0.0.1"), addr("127.40.0.1")}}
	dead := nic{"eth1", false, []netip.Addr{addr("10.0.0.2"), addr("127.50.0.1")}}
	list := []nic{lo, eth, dead}
	for address, want := range map[string]string{
		"127.0.0.9": "", "10.0.0.1": "", "127.40.0.1": "", "::1": "",
		"10.0.0.2": "interface eth1 is down", "127.50.0.1": "interface eth1 is down", "10.0.0.3": "no interface has the address",
	} {
		got := watch(address, address).judge(list)
		if (len(got) == 0) != (want == "") || len(got) > 1 || len(got) == 1 && !strings.Contains(got[0], want) {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
	if _, err := systemInterfaces(); err != nil {
		t.Error(err)
	}
}
