package server

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"scada/acquisition/tag"
	"scada/redundancy/role"
	"scada/simulators/plc"
)

// TestCalculatedTagsOfThePair: the active computes, the standby has the results, an alarm on a result goes on after a
// power loss, and both archives have the same samples.
func TestCalculatedTagsOfThePair(t *testing.T) {
	plant := strings.Replace(bubblePlant, "alarms:\n", `  - {name: load, expr: "tag('level') / 10", scan: fast}
  - {name: overload, expr: "tag('load') > 8", type: bool, scan: fast}
alarms:
`, 1) + "    - {id: overloaded, tag: overload, type: discrete, normal: [0], priority: 1}\n"
	synctest.Test(t, func(t *testing.T) {
		w := newWorldOf(t, plant, nil)
		w.ready()
		is := func(node string, want float64) func() error {
			return func() error {
				if s := w.value(node, "load"); s.Quality != tag.Good || s.Value.Number() != want {
					return fmt.Errorf("the load on %s is %s %s", node, s.Value, s.Quality)
				}
				return nil
			}
		}
		w.bank.Set(plc.HoldingRegisters, 1, 75)
		w.within(time.Second, "both have the result", is("a", 7.5))
		w.within(time.Second, "both have the result", is("b", 7.5))
		w.bank.Set(plc.HoldingRegisters, 1, 90)
		w.within(time.Second, "b shows the alarm", w.alarm("b", "overloaded", "UNACK"))
		if err := w.stopDead("a"); err != nil {
			w.t.Log(err)
		}
		w.within(5*time.Second, "b is active", w.roleIs("b", role.Active))
		w.bank.Set(plc.HoldingRegisters, 1, 20)
		w.within(time.Second, "b computes", is("b", 2))
		w.within(time.Second, "the alarm ends on b", w.alarm("b", "overloaded", "RTN_UNACK"))
		w.net.Power("a", true)
		w.start("a")
		w.ready()
		w.within(time.Second, "a computes again", is("a", 2))
		w.sameArchives()
		w.end()
	})
}
