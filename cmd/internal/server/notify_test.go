package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"scada/redundancy/role"
	"scada/simulators/plc"
)

const notifySection = `  notify:
    receivers: [{name: duty, timeout: 2s, webhook: {url: "http://10.0.9.9:80/hook"}}]
    routes: [{to: [duty], alarms: [high, tripped], repeat: 5m}]
`

// pager is a receiver of webhooks that remembers what it has taken.
type pager struct {
	mu    sync.Mutex
	taken []string // ids of the items
	keys  []string // of the messages
	mode  string   // "", fail, slow: takes it at once and says so after a second
}

func (p *pager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Alerts []struct{ Annotations map[string]string }
	}
	err := json.NewDecoder(r.Body).Decode(&body)
	p.mu.Lock()
	mode := p.mode
	p.mu.Unlock()
	switch {
	case err != nil || mode == "fail":
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	p.mu.Lock()
	for _, a := range body.Alerts {
		p.taken = append(p.taken, a.Annotations["id"])
	}
	p.keys = append(p.keys, r.Header.Get("Idempotency-Key"))
	p.mu.Unlock()
	if mode == "slow" {
		select {
		case <-time.After(time.Second):
		case <-r.Context().Done():
		}
	}
}

func (p *pager) set(mode string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode = mode
}

// has checks that exactly these have been taken, in whatever order.
func (p *pager) has(want ...string) func() error {
	return func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		got := slices.Sorted(slices.Values(p.taken))
		slices.Sort(want)
		if !slices.Equal(got, want) {
			return fmt.Errorf("it has %v, want %v", got, want)
		}
		return nil
	}
}

func notifyBubble(t *testing.T, f func(w *world, p *pager)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldOf(t, strings.Replace(bubblePlant, "  list:\n", notifySection+"  list:\n", 1), nil)
		p := &pager{}
		l, err := w.net.Host("pager").Listen("tcp", "10.0.9.9:80")
		if err != nil {
			t.Fatal(err)
		}
		srv := &http.Server{Handler: p}
		done := make(chan struct{})
		go func() { defer close(done); _ = srv.Serve(l) }()
		defer func() { // also when the test has failed: a bubble ends when nothing runs in it any more
			w.end()
			_ = srv.Close()
			<-done
		}()
		f(w, p)
	})
}

// TestNotificationsThroughATakeOver: what was delivered is not said again, what was not is, under the same id.
func TestNotificationsThroughATakeOver(t *testing.T) {
	notifyBubble(t, func(w *world, p *pager) {
		w.ready()
		w.bank.Set(plc.HoldingRegisters, 1, 90)
		w.within(5*time.Second, "the alarm is told", p.has("high#1/RAISE@duty"))
		p.set("fail")
		w.bank.Set(plc.Coils, 0, 1)
		w.within(2*time.Second, "both have the alarm", w.alarm("b", "tripped", "UNACK"))
		w.within(10*time.Second, "a knows that it is not taken", func() error {
			r := (backend{w.node["a"]}).Notifications().Receivers
			if len(r) != 1 || r[0].Failed < 2 || r[0].Pending != 2 { // the repetition of the first waits, too
				return fmt.Errorf("%+v", r)
			}
			return nil
		})
		if err := w.stopDead("a"); err != nil {
			w.t.Log(err)
		}
		w.within(5*time.Second, "b is active", w.roleIs("b", role.Active))
		p.set("")
		w.within(5*time.Second, "the other one is told by b", p.has("high#1/RAISE@duty", "tripped#1/RAISE@duty"))
		w.bank.Set(plc.Coils, 0, 0)
		w.within(5*time.Second, "its end as well", p.has("high#1/RAISE@duty", "tripped#1/RAISE@duty", "tripped#1/CLEAR@duty"))
		if got := w.ack("b", "high", 1); got != "ok_solo" {
			t.Errorf("acknowledging is %q", got)
		}
		time.Sleep(10 * time.Minute) // nothing is repeated that has been acknowledged
		if err := p.has("high#1/RAISE@duty", "tripped#1/RAISE@duty", "tripped#1/CLEAR@duty")(); err != nil {
			t.Error(err)
		}
		w.net.Power("a", true)
		w.start("a")
		w.ready()
	})
}

// TestAMarkThatWasLostIsSaidAgainUnderTheSameID: the receiver takes it, and a dies before it hears so.
func TestAMarkThatWasLostIsSaidAgainUnderTheSameID(t *testing.T) {
	notifyBubble(t, func(w *world, p *pager) {
		w.ready()
		p.set("slow")
		w.bank.Set(plc.Coils, 0, 1)
		w.within(5*time.Second, "it is taken from a", p.has("tripped#1/RAISE@duty"))
		if err := w.stopDead("a"); err != nil {
			w.t.Log(err)
		}
		p.set("")
		w.within(10*time.Second, "it is taken again from b", p.has("tripped#1/RAISE@duty", "tripped#1/RAISE@duty"))
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.keys[0] != p.keys[1] || p.keys[0] == "" {
			t.Errorf("the messages have the ids %v", p.keys)
		}
	})
}

// TestTheOutboxSurvivesBoth: a pair that was switched off still owes what nobody took.
func TestTheOutboxSurvivesBoth(t *testing.T) {
	notifyBubble(t, func(w *world, p *pager) {
		w.ready()
		p.set("fail")
		w.bank.Set(plc.Coils, 0, 1)
		w.within(2*time.Second, "both have the alarm", w.alarm("b", "tripped", "UNACK"))
		time.Sleep(2 * time.Second)
		for _, name := range []string{"b", "a"} {
			if err := w.stop[name](); err != nil {
				t.Error(err)
			}
		}
		p.set("")
		w.start("a")
		w.start("b")
		w.ready()
		w.within(5*time.Second, "it is told", p.has("tripped#1/RAISE@duty"))
	})
}

func TestARefusedNotificationIsInTheJournal(t *testing.T) {
	notifyBubble(t, func(w *world, _ *pager) {
		w.ready()
		for _, name := range []string{"a", "b"} {
			n := w.node[name].areas["main"].notify
			n.refused(context.Canceled.Error(), "it does not like it")
		}
		w.sameJournals()
		found := 0
		for _, e := range w.journalOf("b") {
			if e.Kind == "notification-refused" && e.Message == "it does not like it" {
				found++
			}
		}
		if found != 2 {
			t.Errorf("%d entries", found)
		}
	})
}
