package server

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"scada/redundancy/role"
)

// newWitnessWorld is a pair that asks its controller.
func newWitnessWorld(t *testing.T) *world {
	t.Helper()
	plant := strings.Replace(bubblePlant, "{hold_off: 3s}",
		`{hold_off: 3s, failback: manual, witnesses: [{modbus: {endpoint: "tcp://10.0.3.3:502", unit: 1, register: 20}}]}`, 1)
	return newWorldOf(t, plant, nil)
}

// watch lets time pass and holds that never both nodes may write.
func (w *world) watch(d time.Duration) {
	w.t.Helper()
	for range d / (10 * time.Millisecond) {
		time.Sleep(10 * time.Millisecond)
		if w.node["a"].pair.MayWrite("main") && w.node["b"].pair.MayWrite("main") {
			w.t.Fatal("both nodes may write")
		}
	}
}

func (w *world) expect(name string, want role.Role, mayWrite bool) {
	w.t.Helper()
	if err := w.roleIs(name, want)(); err != nil {
		w.t.Error(err)
	}
	if got := w.node[name].pair.MayWrite("main"); got != mayWrite {
		w.t.Errorf("%s may write: %v, want %v", name, got, mayWrite)
	}
}

// TestWitness cuts the link and then a machine off: the controller tells the pair which of the two it was.
func TestWitness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWitnessWorld(t)
		defer w.end()
		w.ready()
		w.expect("a", role.Active, true)
		w.net.Cut("a", "b", "")
		w.watch(10 * time.Second)
		w.expect("a", role.Active, true) // it holds the lease, so it goes on
		w.expect("b", role.Standby, false)
		w.net.Heal("a", "b", "")
		w.watch(5 * time.Second)
		w.expect("a", role.Active, true)
		w.expect("b", role.Standby, false)
		w.net.Cut("a", "b", "")
		w.net.Cut("a", "field", "")
		w.watch(5 * time.Second)
		w.expect("a", role.Active, false) // for all it knows the others are gone, but it holds nothing
		w.expect("b", role.Active, true)
		w.net.Heal("a", "b", "")
		w.net.Heal("a", "field", "")
		w.watch(10 * time.Second)
		w.expect("b", role.Active, true)
		w.expect("a", role.Standby, false)
	})
}
