//go:build e2e && linux

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"scada/web/api"
)

var (
	alarmRuns    = flag.Int("alarms.campaign", 0, "random faults of TestAlarmCampaign; 0 leaves it at the two of TestAlarmsThroughFaults")
	alarmResults = flag.String("alarms.results", "", "file to which TestAlarmCampaign appends each run as a line of JSON")
)

// alarmRun is what one fault did to the alarms. Lost and doubled are counted in both journals, the worse one is told.
type alarmRun struct {
	Fault       string
	Transitions int // of the plant, by its own journal, since the run before
	Lost        int // not in a journal, or only as the record of a side that lost
	Doubled     int
	Forks       int // records of a side that lost, kept beside
	Acks        map[string]int
	AcksLost    []string // confirmed and in one journal at most
	HealedMs    float64
	Problem     string
}

// TestAlarmsThroughFaults is the short form: the fault that happens most and the one that is hardest on a journal.
func TestAlarmsThroughFaults(t *testing.T) {
	needNamespaces(t)
	runAlarmCampaign(t, []fault{alarmFault("kill -9"), alarmFault("both paths cut")})
}

// TestAlarmCampaign strikes the pair with random faults while alarms come and go and operators acknowledge them, and
// compares both journals with what the plant knows to have happened.
func TestAlarmCampaign(t *testing.T) {
	if *alarmRuns == 0 {
		t.Skip("the campaign takes an hour: make campaign-alarms")
	}
	needNamespaces(t)
	all := alarmFaults()
	var list []fault
	for range *alarmRuns {
		list = append(list, all[rand.IntN(len(all))])
	}
	runAlarmCampaign(t, list)
}

// alarmFaults are the faults that stop, kill or part the nodes; those of the other campaign, and some on the standby.
func alarmFaults() []fault {
	var list []fault
	for _, name := range []string{
		"kill -9", "power off", "SIGSTOP 2 s", "SIGSTOP 10 s", "both paths cut", "one way: active to standby lost",
		"one way: standby to active lost", "one path cut: lan",
	} {
		list = append(list, alarmFault(name))
	}
	return append(list,
		fault{name: "kill -9 of the standby", switches: never, lasts: time.Second, apply: func(r *labRig, active string) (func() error, error) {
			r.signal(other(active), syscall.SIGKILL)
			return func() error { r.startNode(other(active)); return nil }, nil
		}},
		fault{name: "SIGSTOP 2 s of the standby", switches: never, lasts: 2 * time.Second, apply: func(r *labRig, active string) (func() error, error) {
			p := r.procs[other(active)].Process
			return func() error { return p.Signal(syscall.SIGCONT) }, p.Signal(syscall.SIGSTOP)
		}},
		fault{name: "planned switch", switches: always, apply: func(r *labRig, active string) (func() error, error) {
			return func() error { return nil }, r.call(active, http.MethodPost, "/api/v1/role/switch", map[string]string{"area": "main"}, nil)
		}})
}

func alarmFault(name string) fault {
	list := faults()
	return list[slices.IndexFunc(list, func(f fault) bool { return f.name == name })]
}

func runAlarmCampaign(t *testing.T, list []fault) {
	r := newLabRig(t, defaultSetting, false)
	r.start()
	c := &alarmCampaign{t: t, r: r, since: time.Now(), acks: map[string]string{}}
	c.load = &load{r: r, paused: true, stop: make(chan struct{}), next: map[string]time.Time{}, on: map[string]bool{}, raised: map[string]int{}, cleared: map[string]int{}}
	c.load.wg.Go(c.load.toggle)
	c.load.wg.Go(c.operate)
	defer c.load.end()
	problems := 0
	for i, f := range list {
		run := c.once(f)
		c.save(run)
		t.Logf("%d of %d: %+v", i+1, len(list), run)
		if run.Problem != "" || run.Lost > 0 || run.Doubled > 0 || len(run.AcksLost) > 0 {
			t.Errorf("%s: %+v", f.name, run)
			if problems++; problems > mostProblems {
				break
			}
		}
	}
	t.Logf("%d faults, %d transitions, %d forks kept, acknowledgements %v", c.runs, c.transitions, c.forks, c.results)
}

type alarmCampaign struct {
	t      *testing.T
	r      *labRig
	load   *load
	since  time.Time // what is older has been compared
	change uint64    // of the plant's journal, compared too

	runs, transitions, forks int
	results                  map[string]int

	mu    sync.Mutex
	acks  map[string]string // comment -> what the operator was told, since the last comparison
	given int
}

// once does a fault while alarms flow, heals it, and compares.
func (c *alarmCampaign) once(f fault) alarmRun {
	run := alarmRun{Fault: f.name, Acks: map[string]int{}}
	active, _, err := c.r.settled(time.Minute)
	if err != nil {
		run.Problem = "before the fault: " + err.Error()
		return run
	}
	c.resume()
	time.Sleep(c.r.take + 2*time.Second + rand.N(3*time.Second)) // any moment, with alarms on their way
	began := time.Now()
	heal, err := f.apply(c.r, active)
	if err == nil && f.switches(c.r.take) {
		err = c.r.until(func() error {
			if _, a, err := c.r.self(other(active)); err != nil || a.Role != api.RoleActive {
				return fmt.Errorf("%s is %q: %w", other(active), a.Role, errors.Join(err, errNotSeen))
			}
			return nil
		})
	}
	time.Sleep(time.Until(began.Add(f.lasts)) + rand.N(2*time.Second))
	healed := time.Now()
	if heal != nil {
		err = errors.Join(err, heal())
	}
	if _, _, e := c.r.settled(time.Minute); e != nil {
		err = errors.Join(err, e)
	}
	run.HealedMs = millis(time.Since(healed))
	c.load.pause(true)
	if e := c.compare(&run); e != nil {
		err = errors.Join(err, e)
	}
	if err != nil {
		run.Problem = err.Error()
	}
	return run
}

// resume lets the alarms go on. Each state still lasts longer than a take-over with its reading of all devices, also one
// that began just before the pause.
func (c *alarmCampaign) resume() {
	c.load.mu.Lock()
	defer c.load.mu.Unlock()
	c.load.paused = false
	for point := range toggled {
		c.load.next[point] = time.Now().Add(c.r.take + 2*time.Second + rand.N(2*time.Second))
	}
}

// operate is two operators who acknowledge what they see, each in front of one node.
func (c *alarmCampaign) operate() {
	var wg sync.WaitGroup
	for _, node := range []string{"a", "b"} {
		wg.Go(func() {
			tick := time.NewTicker(400 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-c.load.stop:
					return
				case <-tick.C:
					c.acknowledge(node)
				}
			}
		})
	}
	wg.Wait()
}

func (c *alarmCampaign) acknowledge(node string) {
	var list api.Alarms
	if err := c.ask(node, http.MethodGet, "/api/v1/alarms", nil, &list); err != nil {
		return
	}
	for _, a := range list.Alarms {
		if !slices.Contains(slices.Collect(maps.Values(toggled)), a.ID) || a.Acked || rand.IntN(2) == 0 {
			continue
		}
		c.mu.Lock()
		c.given++
		comment := fmt.Sprintf("operator at %s, %d", node, c.given)
		c.mu.Unlock()
		var out api.AlarmResults
		err := c.ask(node, http.MethodPost, "/api/v1/alarms/ack",
			api.AlarmCommand{Alarms: []api.AlarmRef{{ID: a.ID, Occurrence: a.Occurrence}}, Comment: comment}, &out)
		result := "no answer"
		if err == nil && len(out.Results) == 1 {
			result = out.Results[0].Result
		}
		c.mu.Lock()
		c.acks[comment] = result
		c.mu.Unlock()
	}
}

// operatorWaits is how long an operator waits for an answer.
const operatorWaits = 5 * time.Second

// ask is a call of an operator, who does not wait for ever.
func (c *alarmCampaign) ask(node, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(context.Background(), operatorWaits)
	defer cancel()
	return c.r.httpIn(ctx, method, c.r.url(node)+path, c.r.who.Token, in, out)
}

// compare waits until both journals tell what the plant knows; what is on its way gets a few seconds.
func (c *alarmCampaign) compare(run *alarmRun) error {
	truth, last, err := c.changes()
	if err != nil {
		return err
	}
	c.mu.Lock()
	acks := c.acks
	c.acks = map[string]string{}
	c.mu.Unlock()
	for _, n := range truth {
		run.Transitions += n
	}
	if run.Transitions == 0 {
		return errors.New("no alarm has come or gone: it proves nothing")
	}
	for _, result := range acks {
		run.Acks[result]++
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		err := c.look(run, truth, acks)
		if good := err == nil && run.Lost == 0 && run.Doubled == 0 && len(run.AcksLost) == 0; good || time.Now().After(deadline) {
			if !good {
				c.explain()
			}
			c.change, c.since = last, time.Now()
			c.runs, c.transitions, c.forks = c.runs+1, c.transitions+run.Transitions, c.forks+run.Forks
			c.results = sum(c.results, run.Acks)
			return err
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func sum(a, b map[string]int) map[string]int {
	if a == nil {
		a = map[string]int{}
	}
	for k, n := range b {
		a[k] += n
	}
	return a
}

// look compares both journals once.
func (c *alarmCampaign) look(run *alarmRun, truth map[string]int, acks map[string]string) error {
	run.Lost, run.Doubled, run.Forks, run.AcksLost = 0, 0, 0, nil
	ids := map[string]map[string]bool{}
	missing := map[string]bool{}
	for _, node := range []string{"a", "b"} {
		list, err := c.r.alarmEntries(node, c.since.Add(-operatorWaits)) // acknowledgements do not pause for a comparison
		if err != nil {
			return err
		}
		var recent []api.JournalEntry
		forks, said := 0, map[string]bool{}
		ids[node] = map[string]bool{}
		for _, e := range list {
			ids[node][e.ID] = true
			said[e.Message] = said[e.Message] || e.Event == "ACK"
			if e.Time.Before(c.since) {
				continue
			}
			recent = append(recent, e)
			if e.Note == "fork" {
				forks++
			}
		}
		counts, lost, doubled := transitions(recent), 0, 0
		for _, condition := range toggled {
			for _, event := range []string{"RAISE", "CLEAR"} {
				want, got := truth[condition+" "+event], counts[condition+" "+event]
				lost, doubled = lost+max(want-got, 0), doubled+max(got-want, 0)
			}
		}
		run.Lost, run.Doubled, run.Forks = max(run.Lost, lost), max(run.Doubled, doubled), max(run.Forks, forks)
		for comment, result := range acks {
			if (result == api.AlarmOK || result == api.AlarmOKSolo) && !said[comment] {
				missing[comment+" ("+result+") on "+node] = true
			}
		}
	}
	run.AcksLost = slices.Sorted(maps.Keys(missing))
	if !maps.Equal(ids["a"], ids["b"]) {
		return fmt.Errorf("the journals differ: %d and %d alarm records", len(ids["a"]), len(ids["b"]))
	}
	return nil
}

// explain shows both accounts of what has happened since the last comparison.
func (c *alarmCampaign) explain() {
	var lines []string
	line := func(at time.Time, format string, args ...any) {
		lines = append(lines, at.UTC().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
	}
	list, err := c.plantChanges()
	for _, x := range list {
		if condition, ours := toggled[x.Point]; ours {
			line(x.Time, "%-14s plant: %v", condition, x.New)
		}
	}
	for _, node := range []string{"a", "b"} {
		entries, e := c.r.alarmEntries(node, c.since.Add(-operatorWaits))
		err = errors.Join(err, e)
		for _, x := range entries {
			line(x.Time, "%-14s %s: %s %s#%d term %d %s %s", x.Source, node, x.Event, x.Note, x.Occurrence, x.Epoch, x.State, x.Message)
		}
	}
	slices.Sort(lines)
	c.t.Logf("since %s (%v):\n%s", c.since.UTC().Format("15:04:05.000"), err, strings.Join(lines, "\n"))
	c.r.dumpLogs()
}

// plantChange is a change of a point as the plant has it.
type plantChange struct {
	Seq   uint64
	Time  time.Time
	Point string
	New   any
}

func (c *alarmCampaign) plantChanges() ([]plantChange, error) {
	var page struct{ Changes []plantChange }
	path := fmt.Sprintf("/journal?limit=20000&after_request=1000000000&after_change=%d", c.change)
	err := c.r.sim(http.MethodGet, path, nil, &page)
	return page.Changes, err
}

// changes counts what the plant says of the points since the last comparison.
func (c *alarmCampaign) changes() (map[string]int, uint64, error) {
	list, err := c.plantChanges()
	if err != nil {
		return nil, 0, err
	}
	truth, last := map[string]int{}, c.change
	for _, x := range list {
		last = max(last, x.Seq)
		condition, ours := toggled[x.Point]
		switch {
		case !ours:
		case x.New == true || x.New == 1.0:
			truth[condition+" RAISE"]++
		default:
			truth[condition+" CLEAR"]++
		}
	}
	return truth, last, nil
}

// alarmEntries returns the alarm records of a node since a moment.
func (r *labRig) alarmEntries(node string, since time.Time) ([]api.JournalEntry, error) {
	var all []api.JournalEntry
	path := "/api/v1/journal?kind=alarm&limit=1000&from=" + since.UTC().Format(time.RFC3339Nano)
	for cursor := ""; ; {
		var page api.Journal
		if err := r.call(node, http.MethodGet, path+"&cursor="+cursor, nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Entries...)
		if cursor = page.Next; cursor == "" {
			return all, nil
		}
	}
}

func (c *alarmCampaign) save(run alarmRun) {
	if *alarmResults == "" {
		return
	}
	b, err := json.Marshal(run)
	if err == nil {
		var f *os.File
		if f, err = os.OpenFile(*alarmResults, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644); err == nil {
			_, err = f.WriteString(strings.TrimSpace(string(b)) + "\n")
			err = errors.Join(err, f.Close())
		}
	}
	if err != nil {
		c.t.Error(err)
	}
}
