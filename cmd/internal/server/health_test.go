package server

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
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

// lostOf is the weight of what a node calls lost, and its score as the other one shows it.
func (w *world) lostOf(node, other string) (lost, score int) {
	h := w.node[node].health.Load().health
	for _, n := range (backend{w.node[other]}).Role().Nodes {
		if n.Node == node {
			score = n.Score
		}
	}
	return h.Areas["main"].Lost, score
}

// TestNewStandbyHasLostNothing: a node that has just given its area away, or has just started, has looked at no device yet.
// That is no fault, on neither node and at no moment.
func TestNewStandbyHasLostNothing(t *testing.T) {
	healthWorld(t, probingPlant, func(w *world) {
		calm := func(what, node, other string, d time.Duration) {
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
				if lost, score := w.lostOf(node, other); lost != 0 || score != 0 {
					w.t.Fatalf("%s: lost %d, score %d: %q", what, lost, score, w.node[node].health.Load().health.Reasons)
				}
			}
		}
		if err := w.node["a"].pair.Switch(w.t.Context(), "main", "test"); err != nil {
			w.t.Fatal(err)
		}
		calm("after the switch", "a", "b", 2*probeEvery)
		if err := w.stop["a"](); err != nil {
			w.t.Fatal(err)
		}
		w.start("a")
		calm("after the start", "a", "b", 2*probeEvery)
	})
}

// TestNoHandBackBeforeALook: a primary that returns without its field does not get the area, however short the hold-off.
func TestNoHandBackBeforeALook(t *testing.T) {
	healthWorld(t, strings.Replace(probingPlant, "hold_off: 3s", "hold_off: 0s", 1), func(w *world) {
		if err := w.stop["a"](); err != nil {
			w.t.Fatal(err)
		}
		w.within(5*time.Second, "b acts", w.roleIs("b", role.Active))
		w.net.Cut("a", "field", "")
		w.start("a")
		why := map[string]bool{}
		for range 600 {
			time.Sleep(50 * time.Millisecond)
			if err := w.roleIs("b", role.Active)(); err != nil {
				w.t.Fatal(err)
			}
			for _, reason := range w.node["a"].health.Load().health.NotReady {
				why[reason] = true
			}
		}
		for _, want := range []string{"the devices of area main have not been looked at yet", "device plc cannot be reached from here"} {
			if !why[want] {
				w.t.Errorf("a was not ready for %v", why)
			}
		}
		w.net.Heal("a", "field", "")
		w.within(time.Minute, "a has the area back", w.roleIs("a", role.Active))
	})
}

// TestLooksThatTakeLong: where a round has no time for all devices of a channel, what was lost stays lost and what was
// reached is not known any more; what nobody knows is as the active has it.
func TestLooksThatTakeLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent := map[string]bool{}
		l := &lookout{log: slog.New(slog.DiscardHandler), active: func() bool { return false }, sights: map[string]sight{}}
		l.look = func(ctx context.Context, device string) error {
			if !silent[device] {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}
		lane := []string{"d0", "d1", "d2", "d3"}
		next := 0
		for _, c := range []struct {
			silent string
			next   int
			want   []sight
		}{
			{"", 0, []sight{reached, reached, reached, reached}},
			{"d0 d1 d2", 2, []sight{failed, failed, stale, stale}}, // two seconds each: that is all the time there is
			{"d0 d1 d2", 1, []sight{failed, failed, failed, reached}},
			{"d0 d1 d2", 3, []sight{failed, failed, failed, stale}},
			{"", 3, []sight{reached, reached, reached, reached}},
		} {
			clear(silent)
			for _, d := range strings.Fields(c.silent) {
				silent[d] = true
			}
			if next = l.round(t.Context(), lane, next); next != c.next {
				t.Errorf("the next round begins at %d, want %d", next, c.next)
			}
			for i, d := range lane {
				if got := l.sight(d); got != c.want[i] {
					t.Errorf("%s is %d, want %d", d, got, c.want[i])
				}
			}
		}
	})
}

func TestWhatNobodyKnowsIsAsTheActiveHasIt(t *testing.T) {
	there := map[string]bool{"up": true, "down": false}
	for _, c := range []struct {
		active bool
		device string
		sight  sight
		want   reach
	}{
		{true, "up", unseen, reach{active: true, watched: 7, seen: 7}},
		{true, "down", reached, reach{active: true, watched: 7, lost: 7}},
		{false, "up", unseen, reach{unseen: true}},
		{false, "down", unseen, reach{unseen: true, lost: 7}},
		{false, "new", unseen, reach{unseen: true}},
		{false, "up", stale, reach{}},
		{false, "down", stale, reach{lost: 7}},
		{false, "down", reached, reach{watched: 7, seen: 7}},
		{false, "up", failed, reach{watched: 7, lost: 7, failed: []string{"up"}, missed: []string{"up"}}},
		{false, "down", failed, reach{watched: 7, lost: 7, failed: []string{"down"}}},
	} {
		r := reach{active: c.active}
		r.count(c.device, 7, c.sight, there)
		if !reflect.DeepEqual(r, c.want) {
			t.Errorf("%+v: %+v, want %+v", c, r, c.want)
		}
	}
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
