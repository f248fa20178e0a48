package server

import (
	"fmt"
	"testing"
	"time"

	"scada/redundancy/role"
	"scada/simulators/plc"
	"scada/web"
	"scada/web/api"
)

// crossedPlant has two areas, each with the other node as its primary: both nodes act, each for one.
const crossedPlant = `
project: bubble
nodes:
  a: {links: {lan: "127.0.1.1:7401", ded: "127.0.2.1:7401"}, http: "10.0.0.1:80", data: a}
  b: {links: {lan: "127.0.1.2:7401", ded: "127.0.2.2:7401"}, http: "10.0.0.2:80", data: b}
web: {insecure: true}
redundancy: {hold_off: 3s}
areas: [{name: north, primary: a}, {name: south, primary: b}]
devices:
  - {name: plc, area: north, driver: modbus, modbus: {endpoints: ["tcp://10.0.3.3:502"], unit: 1, timeout: 500ms}}
  - {name: plc2, area: south, driver: modbus, modbus: {endpoints: ["tcp://10.0.3.3:502"], unit: 2, timeout: 500ms}}
scan_classes: {fast: 100ms}
tags:
  - {name: north/counter, device: plc, address: "hr:0", type: uint16, scan: fast}
  - {name: north/level, device: plc, address: "hr:1", type: uint16, scan: fast, writable: true, range: [0, 1000]}
  - {name: south/counter, device: plc2, address: "hr:0", type: uint16, scan: fast}
  - {name: south/level, device: plc2, address: "hr:1", type: uint16, scan: fast, writable: true, range: [0, 1000]}
alarms:
  list:
    - {id: north-high, tag: north/level, type: level, limits: {Hi: 80}, deadband: 5, priority: 2}
    - {id: south-high, tag: south/level, type: level, limits: {Hi: 80}, deadband: 5, priority: 2}
`

func crossed(t *testing.T, f func(w *world)) {
	bubbleOf(t, crossedPlant, f)
}

// acting checks who is active for each area, as the node sees it, with a standby beside it that is ready.
func (w *world) acting(north, south string) {
	w.t.Helper()
	w.within(40*time.Second, fmt.Sprintf("north on %s, south on %s, both ready", north, south), func() error {
		for _, seen := range []string{"a", "b"} {
			p := backend{w.node[seen]}.Role()
			for _, n := range p.Nodes {
				for area, active := range map[string]string{"north": north, "south": south} {
					want := api.RoleStandby
					if n.Node == active {
						want = api.RoleActive
					}
					if got, _ := n.Area(area); got.Role != want {
						return fmt.Errorf("seen by %s, %s is %q for %s (%s)", seen, n.Node, got.Role, area, got.Reason)
					}
				}
			}
			if ok, why := (backend{w.node[seen]}).Ready(""); !ok {
				return fmt.Errorf("%s is not ready: %v", seen, why)
			}
		}
		return nil
	})
	time.Sleep(time.Second)
}

func (w *world) epochs(node string) map[string]uint64 {
	out := map[string]uint64{}
	for _, a := range w.node[node].pair.Status().Areas {
		out[a.Area] = a.Epoch
	}
	return out
}

// moves checks that a tag goes on with good quality on a node.
func (w *world) moves(node, name string) {
	w.t.Helper()
	before := w.value(node, name)
	w.within(2*time.Second, name+" goes on on "+node, func() error {
		if s := w.value(node, name); s.Value == before.Value || !s.Quality.IsGood() {
			return fmt.Errorf("%s %s", s.Value, s.Quality)
		}
		return nil
	})
}

// TestCrossedAreas: both nodes act, each for its area, and both show everything.
func TestCrossedAreas(t *testing.T) {
	crossed(t, func(w *world) {
		w.acting("a", "b")
		for _, node := range []string{"a", "b"} {
			w.moves(node, "north/counter")
			w.moves(node, "south/counter")
		}
		w.bank.Set(plc.HoldingRegisters, 1, 90)
		w.more.Set(plc.HoldingRegisters, 1, 90)
		for _, node := range []string{"a", "b"} {
			w.within(3*time.Second, "both show both alarms", w.alarm(node, "north-high", "UNACK"))
			w.within(3*time.Second, "both show both alarms", w.alarm(node, "south-high", "UNACK"))
		}
		w.sameArchives()
	})
}

// TestCrossedAreasTakeOver: the node that is left takes what it lacked and nothing else; its own area does not notice.
func TestCrossedAreasTakeOver(t *testing.T) {
	crossed(t, func(w *world) {
		w.acting("a", "b")
		before := w.epochs("b")
		_ = w.stopDead("a")
		w.within(5*time.Second, "b acts for north", func() error {
			for _, a := range w.node["b"].pair.Status().Areas {
				if a.Role != role.Active {
					return fmt.Errorf("%s is %s (%s)", a.Area, a.Role, a.Reason)
				}
			}
			return nil
		})
		w.moves("b", "north/counter")
		w.moves("b", "south/counter")
		after := w.epochs("b")
		if after["south"] != before["south"] || after["north"] == before["north"] {
			w.t.Errorf("terms %v, before %v", after, before)
		}
		w.bank.Set(plc.HoldingRegisters, 1, 90)
		w.within(3*time.Second, "b raises the alarm of north", w.alarm("b", "north-high", "UNACK"))
		w.net.Power("a", true)
		w.start("a")
		w.acting("a", "b") // a has got its own area back, by itself, and only that
		if end := w.epochs("b"); end["south"] != before["south"] {
			w.t.Errorf("south has changed its term with the hand-back of north: %v, before %v", end, before)
		}
		w.sameArchives()
	})
}

// TestCrossedAreasSwitch: an operator moves one area, and the other stays; without a name the order is refused where it
// would exchange the areas.
func TestCrossedAreasSwitch(t *testing.T) {
	crossed(t, func(w *world) {
		w.acting("a", "b")
		by := web.Actor{User: "olga", Role: web.Admin}
		order := func(cmd api.RoleCommand) error {
			_, err := backend{w.node["a"]}.RoleCommand(w.t.Context(), by, cmd)
			return err
		}
		before := w.epochs("b")
		if err := order(api.RoleCommand{Verb: api.VerbSwitch, Area: "north"}); err != nil {
			w.t.Fatal(err)
		}
		w.acting("b", "b")
		if after := w.epochs("b"); after["south"] != before["south"] {
			w.t.Errorf("terms %v, before %v", after, before)
		}
		if err := order(api.RoleCommand{Verb: api.VerbRelease, Area: "north"}); err != nil {
			w.t.Fatal(err)
		}
		w.acting("a", "b")
		if err := order(api.RoleCommand{Verb: api.VerbSwitch}); err == nil {
			w.t.Error("a switch of every area while both nodes act was not refused")
		}
		if err := order(api.RoleCommand{Verb: api.VerbSwitch, To: "b"}); err != nil {
			w.t.Fatal(err)
		}
		w.acting("b", "b")
		if after := w.epochs("b"); after["south"] != before["south"] {
			w.t.Errorf("south was moved: %v, before %v", after, before)
		}
		w.sameArchives()
	})
}
