package server

import (
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
	"time"

	"scada/acquisition/tag"
	"scada/alarms"
	"scada/cmd/internal/config"
	"scada/history/journal"
	"scada/redundancy"
	"scada/redundancy/role"
	"scada/simulators/plc"
	"scada/web"
	"scada/web/api"
)

var olga = web.Actor{User: "olga", Role: web.Operator, Remote: "10.0.0.9"}

// journalOf returns the whole journal of a node.
func (w *world) journalOf(name string) map[alarms.Key]journal.Entry {
	w.t.Helper()
	all := map[alarms.Key]journal.Entry{}
	q := journal.Query{Limit: journal.MaxPage}
	for more := true; more; more = q.Cursor != "" {
		page, err := w.node[name].journal.Query(q)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, e := range page.Entries {
			all[e.Key] = e
		}
		q.Cursor = page.Next
	}
	return all
}

// sameJournals waits until both nodes have the same entries with the same content.
func (w *world) sameJournals() {
	w.t.Helper()
	w.within(20*time.Second, "both journals have the same content", func() error {
		time.Sleep(200 * time.Millisecond)
		a, b := w.journalOf("a"), w.journalOf("b")
		for _, pair := range []struct {
			name      string
			has, also map[alarms.Key]journal.Entry
		}{{"a", a, b}, {"b", b, a}} {
			for key, e := range pair.has {
				x, _ := json.Marshal(e)
				y, _ := json.Marshal(pair.also[key])
				if string(x) != string(y) {
					return fmt.Errorf("%s has %s, the other %s", pair.name, x, y)
				}
			}
		}
		return nil
	})
}

// events returns the alarm records of a condition on a node.
func (w *world) events(name, condition string) []journal.Entry {
	w.t.Helper()
	page, err := w.node[name].journal.Query(journal.Query{Class: journal.ClassAlarm, Source: condition, Limit: journal.MaxPage})
	if err != nil {
		w.t.Fatal(err)
	}
	return page.Entries
}

// raisedOnce checks that no activation was recorded twice as a genuine one, and none left out.
func (w *world) raisedOnce(name, condition string) {
	w.t.Helper()
	next := uint64(1)
	for _, e := range w.events(name, condition) {
		if e.Kind != "RAISE" || e.Alarm.Note == alarms.NoteFork {
			continue
		}
		if e.Alarm.Occurrence != next {
			w.t.Errorf("on %s: occurrence %d of %s where %d was due", name, e.Alarm.Occurrence, condition, next)
		}
		next = e.Alarm.Occurrence + 1
	}
}

func (w *world) ack(name, id string, occurrence uint64) string {
	w.t.Helper()
	results, err := backend{w.node[name]}.AlarmCommand(w.t.Context(), olga,
		api.AlarmCommand{Command: api.AlarmAck, Alarms: []api.AlarmRef{{ID: id, Occurrence: occurrence}}})
	if err != nil || len(results) != 1 {
		w.t.Fatalf("%+v, %v", results, err)
	}
	return results[0].Result
}

func (w *world) activeNode() string {
	for name, s := range w.node {
		if s.pair.Status().Areas[0].Role == role.Active {
			return name
		}
	}
	return ""
}

// TestPartitionIsMergedWhenItHeals: both nodes act while both links are cut. What the loser recorded and its operator
// did is neither lost nor discarded when they meet again.
func TestPartitionIsMergedWhenItHeals(t *testing.T) {
	bubble(t, func(w *world) {
		w.ready()
		w.bank.Set(plc.HoldingRegisters, 1, 90)
		w.within(3*time.Second, "the alarm is on b", w.alarm("b", "high", "UNACK"))
		w.net.Cut("a", "b", "")
		w.within(5*time.Second, "b acts too", w.roleIs("b", role.Active))
		w.within(time.Second, "a still acts", w.roleIs("a", role.Active))
		w.within(2*time.Second, "b polls", w.counts("b"))
		w.within(2*time.Second, "a knows that it is alone", func() error {
			if w.node["a"].peerReachable() {
				return fmt.Errorf("b is reachable")
			}
			return nil
		})
		if got := w.ack("a", "high", 1); got != string(alarms.ResultOKSolo) {
			t.Errorf("an acknowledgement on a alone is %q", got)
		}
		w.net.Cut("b", "field", "")
		time.Sleep(2 * time.Second)
		w.bank.Set(plc.Coils, 0, 1) // only a sees it come and go
		w.within(2*time.Second, "a raises it", w.alarm("a", "tripped", "UNACK"))
		w.bank.Set(plc.Coils, 0, 0)
		w.within(2*time.Second, "it goes", w.alarm("a", "tripped", "RTN_UNACK"))
		w.net.Heal("b", "field", "")
		w.within(30*time.Second, "b reaches the controller again", func() error {
			if h := w.node["b"].health.Load().health.Areas["main"]; h.Reachable != 1 {
				return fmt.Errorf("%+v", h)
			}
			return nil
		})
		time.Sleep(time.Second) // the heartbeat tells so
		if err := w.alarm("b", "high", "UNACK")(); err != nil {
			t.Error(err)
		}
		w.net.Heal("a", "b", "")
		w.ready2()
		for _, node := range []string{"a", "b"} {
			w.within(20*time.Second, "the loser's acknowledgement counts", w.alarm(node, "high", "ACKED"))
			w.within(20*time.Second, "the alarm only the loser saw is shown", w.alarm(node, "tripped", "RTN_UNACK"))
		}
		w.sameJournals()
		w.sameArchives()
		forks, reports := 0, 0
		for _, e := range w.journalOf("b") {
			if e.Alarm != nil && e.Alarm.Note == alarms.NoteFork {
				forks++
				if e.Kind == "RAISE" && (e.Value != "true" || e.Quality != "Good") {
					t.Errorf("the record lost its value: %+v", e)
				}
			}
			if e.Kind == "merge" {
				reports++
			}
		}
		if forks < 3 || reports == 0 {
			t.Errorf("%d records of the loser and %d reports of a merge", forks, reports)
		}
		if got := w.ack(w.activeNode(), "tripped", 1); got != api.AlarmOK {
			t.Errorf("acknowledging it is %q", got)
		}
		w.sameJournals()
	})
}

// ready2 waits until one node is active and the other mirrors it, whichever.
func (w *world) ready2() {
	w.t.Helper()
	w.within(40*time.Second, "the pair is whole", func() error {
		roles := map[role.Role]bool{}
		for name := range w.node {
			roles[w.node[name].pair.Status().Areas[0].Role] = true
			if ok, why := (backend{w.node[name]}).Ready(""); !ok {
				return fmt.Errorf("%s: %v", name, why)
			}
		}
		if !roles[role.Active] || !roles[role.Standby] {
			return fmt.Errorf("roles %v", roles)
		}
		return nil
	})
}

// burst raises and clears an alarm every 300 ms until stop is closed.
func (w *world) burst(stop, done chan struct{}) {
	defer close(done)
	for n := uint16(0); ; n++ {
		w.bank.Set(plc.Coils, 0, 1-n%2)
		select {
		case <-stop:
			w.bank.Set(plc.Coils, 0, 0)
			return
		case <-time.After(300 * time.Millisecond):
		}
	}
}

func TestKillOfTheActiveInABurstOfAlarms(t *testing.T) {
	for _, ms := range []time.Duration{3000, 3104} {
		after := ms * time.Millisecond
		t.Run(after.String(), func(t *testing.T) {
			bubble(t, func(w *world) {
				w.ready()
				stop, done := make(chan struct{}), make(chan struct{})
				go w.burst(stop, done)
				time.Sleep(after)
				if err := w.stopDead("a"); err != nil {
					t.Log(err)
				}
				w.within(5*time.Second, "b is active", w.roleIs("b", role.Active))
				time.Sleep(2 * time.Second)
				w.net.Power("a", true)
				w.start("a")
				w.ready()
				close(stop)
				<-done
				time.Sleep(2 * time.Second)
				w.sameJournals()
				w.sameArchives()
				for _, node := range []string{"a", "b"} {
					w.raisedOnce(node, "tripped")
				}
			})
		})
	}
}

// TestAlarmTheActiveCouldNotTellBeforeItDied: the active journals an alarm, the link is gone already, and it dies. The
// other raises the alarm itself; after the return nobody takes the first record for a second alarm.
func TestAlarmTheActiveCouldNotTellBeforeItDied(t *testing.T) {
	bubble(t, func(w *world) {
		w.ready()
		w.net.Cut("a", "b", "")
		w.bank.Set(plc.Coils, 0, 1)
		w.within(400*time.Millisecond, "a raises it", w.alarm("a", "tripped", "UNACK"))
		time.Sleep(50 * time.Millisecond)
		if err := w.stopDead("a"); err != nil {
			t.Log(err)
		}
		w.within(5*time.Second, "b raises it", w.alarm("b", "tripped", "UNACK"))
		w.net.Heal("a", "b", "")
		w.net.Power("a", true)
		w.start("a")
		w.ready()
		w.sameJournals()
		for _, node := range []string{"a", "b"} {
			forks := 0
			for _, e := range w.events(node, "tripped") {
				if e.Kind == "RAISE" && e.Alarm.Note == alarms.NoteFork {
					forks++
				}
			}
			if forks != 1 {
				t.Errorf("%s has %d records of the first alarm", node, forks)
			}
			w.raisedOnce(node, "tripped")
			w.within(time.Second, "it is one alarm", w.alarm(node, "tripped", "UNACK"))
		}
		if got := w.ack("a", "tripped", 1); got != api.AlarmOK {
			t.Errorf("acknowledging it is %q", got)
		}
		w.within(time.Second, "it is acknowledged", w.alarm("b", "tripped", "ACKED"))
	})
}

func TestRestartOfTheStandbyInABurstOfAlarms(t *testing.T) {
	bubble(t, func(w *world) {
		w.ready()
		stop, done := make(chan struct{}), make(chan struct{})
		go w.burst(stop, done)
		time.Sleep(2 * time.Second)
		if err := w.stop["b"](); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		w.start("b")
		w.ready()
		close(stop)
		<-done
		time.Sleep(2 * time.Second)
		w.sameJournals()
		w.sameArchives()
		for _, node := range []string{"a", "b"} {
			w.raisedOnce(node, "tripped")
			for _, e := range w.events(node, "tripped") {
				if e.Alarm.Note == alarms.NoteFork {
					t.Errorf("on %s a record counts as that of a split brain nobody had: %+v", node, e)
				}
			}
		}
	})
}

func TestWritesDuringASwitch(t *testing.T) {
	bubble(t, func(w *world) {
		w.ready()
		id, _ := w.cfg.Lookup("level")
		stop, done := make(chan struct{}), make(chan struct{})
		last, refused, confirmed := -1, 0, 0
		go func() {
			defer close(done)
			for n := 1; ; n++ {
				select {
				case <-stop:
					return
				case <-time.After(20 * time.Millisecond):
				}
				v := parse(w.cfg, "level", n%1000)
				res, err := backend{w.node["b"]}.WriteTag(w.t.Context(), olga, web.Write{Tag: w.cfg.Tags[id], Value: v, Deadline: time.Now().Add(2 * time.Second)})
				switch {
				case err != nil:
					refused++
				case res.Result == api.WriteConfirmed:
					last, confirmed = n%1000, confirmed+1
				default:
					t.Errorf("write %d: %+v", n, res)
				}
			}
		}()
		time.Sleep(time.Second)
		if _, err := (backend{w.node["b"]}).RoleCommand(w.t.Context(), olga, api.RoleCommand{Verb: api.VerbSwitch, Area: "main"}); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		close(stop)
		<-done
		t.Logf("%d writes confirmed, %d refused", confirmed, refused)
		if got := int(w.bank.Get(plc.HoldingRegisters, 1, 1)[0]); got != last {
			t.Errorf("the controller has %d, the last confirmed write was %d", got, last)
		}
		if confirmed < 50 || refused > 20 {
			t.Errorf("%d writes confirmed, %d refused", confirmed, refused)
		}
		w.sameJournals()
		w.sameArchives()
	})
}

func TestForksFitIntoRequests(t *testing.T) {
	var f forks
	text := make([]byte, alarms.MaxText)
	for i := range text {
		text[i] = 'x'
	}
	for i := range 3000 {
		ev := alarms.Event{Condition: fmt.Sprintf("c%d", i%7), Time: int64(i + 1), Comment: string(text)}
		f.add(forked{Entry: journal.Entry{Key: alarms.KeyOf(&ev), Alarm: &ev}})
	}
	pieces, err := f.pieces()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, p := range pieces {
		if len(p) > redundancy.MaxCommand*3/4 {
			t.Errorf("a piece of %d bytes", len(p))
		}
		var list []forked
		if err := json.Unmarshal(p, &list); err != nil {
			t.Fatal(err)
		}
		n += len(list)
	}
	if n != 3000 {
		t.Errorf("%d records, want 3000", n)
	}
}

func parse(cfg *config.Config, name string, n int) tag.Value {
	id, _ := cfg.Lookup(name)
	v, err := tag.Parse(cfg.Tags[id].Type, strconv.Itoa(n))
	if err != nil {
		panic(err)
	}
	return v
}

// TestComparisonIncludesThisInstant: an entry of the very instant at which the archives are compared is not left out for
// ever: the next comparison begins where this one ended.
func TestComparisonIncludesThisInstant(t *testing.T) {
	bubble(t, func(w *world) {
		w.ready()
		b := w.node["b"]
		e := b.newEntry(journal.ClassSystem, "test", "main", "b", alarms.System, "written by the standby alone")
		if err := b.journal.Append(e); err != nil {
			t.Fatal(err)
		}
		b.heal("main") // the clock of a bubble stands still until everybody waits
		w.within(5*time.Second, "the other node has it", func() error {
			if _, ok, err := w.node["a"].journal.Get(e.Key); !ok {
				return fmt.Errorf("not found: %w", err)
			}
			return nil
		})
	})
}
