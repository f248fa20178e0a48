package server

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"scada/acquisition/tag"
	"scada/redundancy/role"
	"scada/web/api"
)

// systemPlant has the pair itself as a device: its paths, the other node and the controller are watched by alarms.
var systemPlant = strings.NewReplacer("scan_classes:", "  - {name: pair, driver: system}\nscan_classes:", "alarms:\n  list:\n", `  - {name: system/ded/up, device: pair, address: "path:ded:up", scan: fast}
  - {name: system/a/reachable, device: pair, address: "node:a:reachable", scan: fast}
  - {name: system/b/reachable, device: pair, address: "node:b:reachable", scan: fast}
  - {name: system/b/score, device: pair, address: "node:b:score", scan: fast}
  - {name: system/ready, device: pair, address: "pair:ready", scan: fast}
  - {name: system/reasons, device: pair, address: "pair:reasons", scan: fast}
  - {name: system/history, device: pair, address: "pair:history_equal", scan: fast}
  - {name: system/config, device: pair, address: "pair:config_equal", scan: fast}
  - {name: system/plc/answers, device: pair, address: "device:plc:answers", scan: fast}
alarms:
  list:
    - {id: ded-lost, tag: system/ded/up, type: discrete, normal: [1], on_delay: 1, priority: 2}
    - {id: a-lost, tag: system/a/reachable, type: discrete, normal: [1], on_delay: 1, priority: 1}
    - {id: plc-silent, tag: system/plc/answers, type: discrete, normal: [1], on_delay: 1, priority: 2}
`).Replace(bubblePlant)

// cutDedicated cuts or heals the path whose addresses are those of "ded": a host's connections run over the address they dialled.
func (w *world) cutDedicated(cut bool) {
	for _, link := range []string{"127.0.2.1", "127.0.2.2"} {
		if cut {
			w.net.Cut("a", "b", link)
		} else {
			w.net.Heal("a", "b", link)
		}
	}
}

// TestALostPathIsAnAlarm: the loss of one path, of the other node and of a device are alarms on both nodes like any other,
// and the first moves no role.
func TestALostPathIsAnAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldOf(t, systemPlant, nil)
		w.ready()
		is := func(node, name string, want tag.Value) func() error {
			return func() error {
				if s := w.value(node, name); s.Quality != tag.Good || s.Value != want {
					return fmt.Errorf("%s on %s is %s %s", name, node, s.Value, s.Quality)
				}
				return nil
			}
		}
		for name, want := range map[string]tag.Value{
			"system/ded/up": tag.Bool(true), "system/b/reachable": tag.Bool(true), "system/b/score": tag.Float64(0), "system/ready": tag.Bool(true),
			"system/reasons": tag.String(""), "system/history": tag.Bool(true), "system/config": tag.Bool(true), "system/plc/answers": tag.Bool(true),
		} {
			w.within(time.Second, name, is("b", name, want))
		}
		epochs := w.epochs("a")
		w.cutDedicated(true)
		w.within(5*time.Second, "a shows the alarm", w.alarm("a", "ded-lost", "UNACK"))
		w.within(time.Second, "b shows the alarm", w.alarm("b", "ded-lost", "UNACK"))
		w.within(time.Second, "b knows why", func() error {
			if why := w.value("b", "system/reasons").Value.Text(); !strings.Contains(why, "ded") {
				return fmt.Errorf("the reasons are %q", why)
			}
			return nil
		})
		w.cutDedicated(false)
		w.within(5*time.Second, "the alarm ends on b", w.alarm("b", "ded-lost", "RTN_UNACK"))
		if now := w.epochs("a"); fmt.Sprint(now) != fmt.Sprint(epochs) {
			t.Errorf("a lost path moved a role: %v, before %v", now, epochs)
		}
		w.net.Power("field", false)
		w.within(10*time.Second, "b shows that the controller is silent", w.alarm("b", "plc-silent", "UNACK"))
		w.net.Power("field", true)
		if err := w.stopDead("a"); err != nil {
			w.t.Log(err)
		}
		w.within(5*time.Second, "b is active", w.roleIs("b", role.Active))
		w.within(5*time.Second, "b misses a", w.alarm("b", "a-lost", "UNACK"))
		w.within(time.Second, "a is not reachable", is("b", "system/a/reachable", tag.Bool(false)))
		for _, n := range (backend{w.node["b"]}).Role().Nodes { // who counts the active nodes must find one
			got, want := n.Areas[0], api.Area{Role: api.RoleActive}
			if n.Node == "a" {
				want = api.Area{Role: api.RoleUnknown, Was: api.RoleActive}
			}
			if got.Role != want.Role || got.Was != want.Was {
				w.t.Errorf("b shows %s as %q, was %q", n.Node, got.Role, got.Was)
			}
		}
		w.net.Power("a", true)
		w.start("a")
		w.ready()
		w.within(10*time.Second, "a is back", w.alarm("a", "a-lost", "RTN_UNACK"))
		w.sameArchives()
		w.end()
	})
}

// TestTheSystemIsNoSignOfWork: samples that the node makes itself do not hide that nothing comes from the devices.
func TestTheSystemIsNoSignOfWork(t *testing.T) {
	bubbleOf(t, systemPlant, func(w *world) {
		w.ready()
		a := w.node["a"].areas["main"]
		last := func(name string) time.Time {
			id, ok := w.cfg.Lookup(name)
			if !ok {
				t.Fatalf("no tag %s", name)
			}
			a.mu.Lock()
			a.lastAt = time.Time{}
			a.mu.Unlock()
			a.Publish([]tag.Update{{Tag: id, Sample: tag.Sample{Time: time.Now().UnixNano(), Value: a.live.Get(id).Value}}})
			a.mu.Lock()
			defer a.mu.Unlock()
			return a.lastAt
		}
		if at := last("system/ready"); !at.IsZero() {
			t.Errorf("a tag of the system counts as a sign of work, at %s", at)
		}
		if at := last("level"); at.IsZero() {
			t.Error("a tag of the controller does not count")
		}
	})
}
