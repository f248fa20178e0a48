package server

import (
	"strings"
	"sync"
	"testing"
	"time"

	"scada/alarms"
	"scada/simulators/plc"
	"scada/web"
	"scada/web/api"
)

// TestTwoOperatorsAcknowledgeAtOnce, one at each node: one has done it, the other is told so, and both journals have one
// record of it, with the comment as it was typed.
func TestTwoOperatorsAcknowledgeAtOnce(t *testing.T) {
	bubble(t, func(w *world) {
		w.ready()
		w.bank.Set(plc.Coils, 0, 1)
		w.within(3*time.Second, "both show the alarm", w.alarm("b", "tripped", "UNACK"))
		comments := map[string]string{"a": "1 号泵已检查 👷🏽‍♀️", "b": "已派人 🚨 \"now\"\n,;"}
		give := func(node, comment string) string {
			results, err := backend{w.node[node]}.AlarmCommand(w.t.Context(), web.Actor{User: "at " + node, Role: web.Operator},
				api.AlarmCommand{Command: api.AlarmAck, Alarms: []api.AlarmRef{{ID: "tripped", Occurrence: 1}}, Comment: comment})
			if err != nil || len(results) != 1 {
				t.Errorf("%s: %v %v", node, results, err)
				return ""
			}
			return results[0].Result
		}
		if got := give("b", strings.Repeat("长", 10_000/3)); got != string(alarms.ResultTextTooLong) {
			t.Errorf("a comment of 10 kB: %q", got)
		}
		var mu sync.Mutex
		var both sync.WaitGroup
		got := map[string]string{}
		for node, comment := range comments {
			both.Go(func() {
				result := give(node, comment)
				mu.Lock()
				defer mu.Unlock()
				got[result] = node
			})
		}
		both.Wait()
		winner, done := got[api.AlarmOK]
		if _, late := got[string(alarms.ResultAlreadyAcked)]; !done || !late {
			t.Fatalf("results %v", got)
		}
		w.sameJournals()
		for _, node := range []string{"a", "b"} {
			n := 0
			for _, e := range w.events(node, "tripped") {
				if e.Kind == "ACK" {
					n++
					if e.Message != comments[winner] || e.User != "at "+winner {
						t.Errorf("%s has %q by %q", node, e.Message, e.User)
					}
				}
			}
			if n != 1 {
				t.Errorf("%s has %d acknowledgements", node, n)
			}
		}
	})
}
