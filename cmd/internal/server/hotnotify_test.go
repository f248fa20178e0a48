package server

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"scada/redundancy/role"
	"scada/simulators/plc"
)

// serve lets another receiver be reached while f goes on.
func (p *pager) serve(w *world, address string, f func()) {
	l, err := w.net.Host("another pager").Listen("tcp", address)
	if err != nil {
		w.t.Fatal(err)
	}
	srv := &http.Server{Handler: p}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	defer func() { _ = srv.Close(); <-done }()
	f()
}

// TestReceiversChangeWhileThePairRuns: what is owed to a receiver that stays is still said, to the address it has now; what is
// owed to one that is gone is given up; new alarms follow the new routes, on either node.
func TestReceiversChangeWhileThePairRuns(t *testing.T) {
	notifyBubble(t, func(w *world, p *pager) {
		w.ready()
		p.set("fail")
		w.bank.Set(plc.HoldingRegisters, 1, 90)
		w.within(5*time.Second, "a knows that it is not taken", func() error {
			if r := (backend{w.node["a"]}).Notifications().Receivers; len(r) != 1 || r[0].Failed == 0 {
				return fmt.Errorf("%+v", r)
			}
			return nil
		})
		next := &pager{}
		next.serve(w, "10.0.9.8:80", func() {
			with := func(section string) string { return strings.Replace(bubblePlant, "  list:\n", section+"  list:\n", 1) }
			ans := w.deploy("b", with(strings.Replace(notifySection, "10.0.9.9", "10.0.9.8", 1)))
			if len(ans.Reconnects) > 0 {
				t.Errorf("%v are polled anew", ans.Reconnects)
			}
			w.within(70*time.Second, "the receiver has the alarm at its new address", next.has("high#1/RAISE@duty"))
			w.deploy("a", with(strings.NewReplacer("name: duty", "name: night", "to: [duty]", "to: [night]", "10.0.9.9", "10.0.9.8").Replace(notifySection)))
			w.bank.Set(plc.Coils, 0, 1)
			w.within(5*time.Second, "the new receiver has the new alarm", next.has("high#1/RAISE@duty", "tripped#1/RAISE@night"))
			for _, node := range []string{"a", "b"} {
				w.within(time.Second, "nothing is owed to the old one on "+node, func() error {
					if r := (backend{w.node[node]}).Notifications().Receivers; len(r) != 1 || r[0].Name != "night" || r[0].Kind != "webhook" {
						return fmt.Errorf("%+v", r)
					}
					return nil
				})
			}
			if err := w.stopDead("a"); err != nil {
				w.t.Log(err)
			}
			w.within(5*time.Second, "b is active", w.roleIs("b", role.Active))
			w.bank.Set(plc.Coils, 0, 0)
			time.Sleep(time.Second)
			w.bank.Set(plc.Coils, 0, 1)
			w.within(10*time.Second, "b tells the new receiver", func() error {
				next.mu.Lock()
				defer next.mu.Unlock()
				if n := len(next.taken); n < 3 || next.taken[n-1] != "tripped#2/RAISE@night" && !strings.HasPrefix(next.taken[n-1], "tripped#1/") {
					return fmt.Errorf("it has %v", next.taken)
				}
				return nil
			})
			w.net.Power("a", true)
			w.start("a")
			w.ready()
			w.deploy("a", bubblePlant)
			w.bank.Set(plc.HoldingRegisters, 1, 20)
			time.Sleep(2 * time.Second)
			before := len(next.taken)
			w.bank.Set(plc.HoldingRegisters, 1, 90)
			time.Sleep(10 * time.Second)
			if len(next.taken) != before || len((backend{w.node["b"]}).Notifications().Receivers) > 0 {
				t.Errorf("told although nobody is to be: %v", next.taken[before:])
			}
			w.sameArchives()
		})
		if err := p.has()(); err != nil {
			t.Errorf("the first address: %v", err)
		}
	})
}

// TestLimitsOfTheHistoryChangeWhileThePairRuns: on both nodes, without a device being asked anew.
func TestLimitsOfTheHistoryChangeWhileThePairRuns(t *testing.T) {
	hot(t, func(w *world) {
		ans := w.deploy("b", strings.Replace(hotPlant, "alarms:\n", "history: {raw: 48h, hourly: 96h, max_disk: 1GiB}\nalarms:\n", 1))
		if len(ans.Reconnects) > 0 || len(ans.Restart) > 0 {
			t.Errorf("%+v", ans)
		}
		for _, node := range []string{"a", "b"} {
			if l := w.node[node].store.Limits(); l.Retention != 48*time.Hour || l.Hourly != 96*time.Hour || l.MaxDisk != 1<<30 {
				t.Errorf("%s has %+v", node, l)
			}
		}
	})
}
