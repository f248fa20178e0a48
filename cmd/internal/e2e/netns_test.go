//go:build e2e && linux

package e2e

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"
)

var (
	campaignRuns     = flag.Int("campaign", 0, "runs of each fault in TestCampaign; 0 leaves it out")
	campaignSettings = flag.String("campaign.heartbeats", "100ms x 5,20ms x 3,1s x 4", "heartbeat settings of TestCampaign")
	campaignFaults   = flag.String("campaign.faults", "", "part of the names of the faults of TestCampaign, separated by commas; empty is all")
	campaignResults  = flag.String("campaign.results", "", "file to which TestCampaign appends each run as a line of JSON")
)

var defaultSetting = setting{100 * time.Millisecond, 5}

const (
	labDevices   = 7
	mostProblems = 3 // runs of a fault with problems, before it is given up
)

// outcome is what one run of one fault showed.
type outcome struct {
	Setting, Fault string
	Switched       bool
	DetectMs       float64 // by the record: last sign of life to the decision; without a switch until it was shown
	FirstMs        float64 // fault to the first good value of the last device on the node that took over; without a switch from the healing
	SilenceMs      float64 // the longest a Modbus device was not asked, by its own account
	Missed, Dup    int64   // slots of the proof tag, by the record
	Lost, Doubled  int     // alarm transitions in either journal
	Stale          int     // writes that reached a device after one of a newer term
	Both           int     // times two nodes wrote to a device at once
	PollersMs      float64 // time in which two nodes polled a device
	Writes         int     // that reached the device
	Termed         int     // of them, answered with their term
	Accepted       map[string]int
	HealedMs       float64 // end of the fault to one active node with a ready standby
	Extra          int     // changes of epoch that nobody asked for
	NobodyMs       float64 // the longest the virtual address did not answer
	TwoMs          float64 // the longest two answered for it
	Active         string  // in the end
	Reason         string  // of the newest switch-over, where there was one
	Seen, Problem  string
}

// TestNamespaces does what harms most once, over real interfaces.
func TestNamespaces(t *testing.T) {
	needNamespaces(t)
	short := map[string]bool{
		"kill -9": true, "power off": true, "both paths cut": true, "one path cut: lan": true, "one way: active to standby lost": true,
		"one way: standby to active lost": true, "client network of the active": true,
	}
	c := newCampaign(t, defaultSetting, labOptions{})
	for _, f := range faults() {
		if short[f.name] {
			c.check(f, c.once(f))
		}
	}
}

// TestCampaign measures every fault many times; make campaign prints the table.
func TestCampaign(t *testing.T) {
	if *campaignRuns == 0 {
		t.Skip("the campaign takes hours: make campaign")
	}
	needNamespaces(t)
	for text := range strings.SplitSeq(*campaignSettings, ",") {
		hb, misses, ok := strings.Cut(text, " x ")
		var s setting
		var err error
		if s.heartbeat, err = time.ParseDuration(hb); err != nil || !ok {
			t.Fatalf("%q is not a heartbeat (100ms x 5)", text)
		}
		if _, err := fmt.Sscan(misses, &s.misses); err != nil {
			t.Fatalf("%q is not a heartbeat (100ms x 5)", text)
		}
		t.Run(s.String(), func(t *testing.T) { runCampaign(t, s) })
	}
}

func runCampaign(t *testing.T, s setting) {
	var all []outcome
	for _, f := range faults() {
		if !named(f.name) {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			c, problems := newCampaign(t, s, f.lab), 0
			for range *campaignRuns {
				o := c.once(f)
				all = append(all, o)
				c.save(o)
				c.check(f, o)
				if problems += min(len(o.Problem), 1); problems > mostProblems {
					return // what follows would measure something else
				}
			}
		})
	}
	t.Logf("heartbeat %s\n%s", s, table(all))
}

func named(name string) bool {
	if *campaignFaults == "" {
		return true
	}
	for part := range strings.SplitSeq(*campaignFaults, ",") {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

// campaign is one lab with its load.
type campaign struct {
	t       *testing.T
	r       *labRig
	load    *load
	setting setting
	since   time.Time // the alarms before have been checked
	seq     uint64    // the requests before have been judged
	epoch   uint64
	guard   *guard // of the virtual address, if there is one
}

func newCampaign(t *testing.T, s setting, opts labOptions) *campaign {
	t.Helper()
	c := &campaign{t: t, r: newLabWith(t, s, opts), setting: s, since: time.Now()}
	c.r.start()
	if opts.virtualIP {
		c.guard = c.r.newGuard()
	}
	c.load = c.r.startLoad()
	t.Cleanup(c.load.end)
	return c
}

// once does a fault once, heals it, and compares what the pair recorded with what the plant knows.
func (c *campaign) once(f fault) outcome {
	o := outcome{Setting: c.setting.String(), Fault: f.name}
	active, epoch, err := c.r.settled(time.Minute)
	if err != nil {
		o.Problem = "before the fault: " + err.Error()
		return o
	}
	if c.epoch != 0 && epoch != c.epoch {
		o.Extra++
	}
	c.epoch = epoch
	base := counts{} // before the alarms of the run begin
	if f.askew {
		if base, err = c.r.countsAround(c.since); err != nil {
			o.Problem = err.Error()
		}
	}
	c.load.pause(f.blind)
	time.Sleep(rand.N(time.Second)) // any moment of the cycle, with alarms on their way
	if active, epoch, err = c.still(active, epoch, &o); err != nil {
		o.Problem = "before the fault: " + err.Error()
		return o
	}
	c.epoch = epoch
	if c.guard != nil {
		c.guard.begin()
	}
	if err := c.strike(f, active, &o); err != nil {
		o.Problem = err.Error()
	}
	if c.guard != nil {
		o.NobodyMs, o.TwoMs = c.guard.end()
	}
	if f.blind { // the alarms change once the devices can be read again
		c.load.pause(false)
		time.Sleep(time.Second)
	}
	c.load.pause(true)
	c.account(epoch, base, &o)
	c.t.Logf("%+v", o)
	return o
}

// still waits until the pair is ready, and counts how often it has changed its roles by itself meanwhile.
func (c *campaign) still(active string, epoch uint64, o *outcome) (string, uint64, error) {
	for {
		now, after, err := c.r.agreed()
		if err == nil && now == active && after == epoch {
			return active, epoch, nil
		}
		before := epoch
		if active, epoch, err = c.r.settled(time.Minute); err != nil {
			return "", 0, err
		}
		if epoch != before {
			o.Extra++
		}
	}
}

func (c *campaign) strike(f fault, active string, o *outcome) error {
	began := time.Now()
	heal, err := f.apply(c.r, active)
	if err != nil {
		return fmt.Errorf("making the fault: %w", err)
	}
	var problem error
	switch {
	case f.watch != nil:
		o.Seen, problem = f.watch(c.r, active)
		o.DetectMs = millis(time.Since(began))
	case f.switches(c.r.take):
		problem = c.watchSwitch(other(active), began, o)
	}
	time.Sleep(time.Until(began.Add(f.lasts)))
	healed := time.Now()
	if err := heal(); err != nil {
		return fmt.Errorf("healing: %w", err)
	}
	if f.blind {
		err := c.r.until(func() error {
			if good, err := c.r.goodDevices(active); err != nil || good < labDevices {
				return fmt.Errorf("%d devices have good values (%w)", good, errors.Join(err, errNotSeen))
			}
			return nil
		})
		o.FirstMs, problem = millis(time.Since(healed)), errors.Join(problem, err)
	}
	before := c.epoch
	o.Active, c.epoch, err = c.r.settled(time.Minute)
	o.HealedMs = millis(time.Since(healed))
	if p, err := c.r.role(o.Active); err == nil && p.LastSwitch != nil && c.epoch > before {
		o.Reason = p.LastSwitch.Reason
		o.Switched = o.Switched || f.watch != nil && p.LastSwitch.At.After(began)
	}
	if problem == nil && err != nil {
		problem = fmt.Errorf("after the fault: %w", err)
	}
	return problem
}

// watchSwitch waits for the complete record of the node that takes over.
func (c *campaign) watchSwitch(heir string, began time.Time, o *outcome) error {
	return c.r.until(func() error {
		p, err := c.r.role(heir)
		if err != nil {
			return err
		}
		sw := p.LastSwitch
		if sw == nil || sw.To != heir || sw.Kind != "fault" || sw.FirstValueMs == 0 || sw.At.Before(began) {
			return fmt.Errorf("the record of %s is %+v", heir, sw)
		}
		o.Switched = true
		o.DetectMs, o.Missed, o.Dup = float64(sw.DetectMs), sw.MissedSlots, sw.Duplicates
		o.FirstMs = millis(sw.At.Add(time.Duration(sw.FirstValueMs) * time.Millisecond).Sub(began))
		return nil
	})
}

// account fills in what the journals and the devices say of the run.
func (c *campaign) account(before uint64, base counts, o *outcome) {
	if !o.Switched && c.epoch > before {
		o.Extra++
	}
	var err error
	if o.Lost, o.Doubled, err = c.load.checkAlarms(c.since, base); err != nil && o.Problem == "" {
		o.Problem = err.Error()
	}
	c.since = time.Now()
	list, err := c.r.requests(c.seq)
	if err != nil && o.Problem == "" {
		o.Problem = err.Error()
	}
	c.load.mu.Lock()
	defer c.load.mu.Unlock()
	tr := judge(list, c.load.epochs)
	if tr.stale > 0 {
		c.t.Logf("the writes of the run:%s", story(list, c.load.epochs))
	}
	if len(list) > 0 {
		c.seq = list[len(list)-1].Seq
	}
	o.SilenceMs, o.Stale, o.Both, o.PollersMs, o.Writes, o.Termed = millis(tr.silence), tr.stale, tr.both, millis(tr.pollers), tr.writes, len(c.load.epochs)
	o.Accepted, c.load.accepted, c.load.epochs = c.load.accepted, map[string]int{}, map[string]uint64{}
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// check fails the test where the pair broke a promise. Figures are measured, not judged: the machine has other work.
func (c *campaign) check(f fault, o outcome) {
	c.t.Helper()
	if o.Problem != "" {
		c.t.Errorf("%s: %s", f.name, o.Problem)
	}
	if f.watch == nil && o.Switched != f.switches(c.r.take) {
		c.t.Errorf("%s: switched %v", f.name, o.Switched)
	}
	if o.Both > 0 {
		c.t.Errorf("%s: two nodes wrote to a device at once, %d times", f.name, o.Both)
	}
	if o.Stale > 0 { // the table counts them: the one that kept the area had the right to write, and its old epoch still
		c.t.Logf("%s: %d writes reached a device after one of a newer term", f.name, o.Stale)
	}
	if o.Writes == 0 || o.Termed == 0 {
		c.t.Errorf("%s: nothing was written (%d) or answered (%d): it proves nothing", f.name, o.Writes, o.Termed)
	}
	if o.Lost > 0 || o.Doubled > 0 && !f.bothAct {
		c.t.Errorf("%s: %d alarm transitions lost, %d doubled", f.name, o.Lost, o.Doubled)
	}
	if o.Dup > 0 {
		c.t.Errorf("%s: %d samples twice", f.name, o.Dup)
	}
}

// save appends a run to the file of results: a campaign that is broken off keeps what it has measured.
func (c *campaign) save(o outcome) {
	if *campaignResults == "" {
		return
	}
	f, err := os.OpenFile(*campaignResults, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		c.t.Fatal(err)
	}
	defer f.Close()
	if err := json.NewEncoder(f).Encode(o); err != nil {
		c.t.Fatal(err)
	}
}

// table shows the runs, a fault a line. Runs with a problem are counted and measured where they have figures.
func table(all []outcome) string {
	var b strings.Builder
	b.WriteString("| fault | runs | switched | detection ms | first good value ms | longest silence ms | slots missed | alarms lost / doubled | two writing / stale writes | two polling ms | unasked changes | whole again ms | address: nobody / two ms |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, f := range faults() {
		var of []outcome
		for _, o := range all {
			if o.Fault == f.name {
				of = append(of, o)
			}
		}
		if len(of) > 0 {
			b.WriteString(row(f, of))
		}
	}
	return b.String()
}

func row(f fault, of []outcome) string {
	values := func(get func(outcome) float64) (list []float64) {
		for _, o := range of {
			list = append(list, get(o))
		}
		return list
	}
	pair := func(get func(outcome) float64) string {
		v := values(get)
		return fmt.Sprintf("%.0f / %.0f", quantile(v, 0.5), quantile(v, 0.99))
	}
	most := func(get func(outcome) float64) float64 { return quantile(values(get), 1) }
	switched, lost, doubled, both, stale, extra := 0, 0, 0, 0, 0, 0
	for _, o := range of {
		if o.Switched {
			switched++
		}
		lost, doubled, both, stale, extra = lost+o.Lost, doubled+o.Doubled, both+o.Both, stale+o.Stale, extra+o.Extra
	}
	first, missed, address := "-", "-", "-"
	if f.lab.virtualIP {
		address = pair(func(o outcome) float64 { return o.NobodyMs }) + "; " + pair(func(o outcome) float64 { return o.TwoMs })
	}
	if most(func(o outcome) float64 { return o.FirstMs }) > 0 {
		first = pair(func(o outcome) float64 { return o.FirstMs })
	}
	if switched > 0 {
		missed = pair(func(o outcome) float64 { return float64(o.Missed) })
	}
	return fmt.Sprintf("| %s | %d | %d | %s | %s | %s | %s | %d / %d | %d / %d | %.0f | %d | %s | %s |\n", f.name, len(of), switched,
		pair(func(o outcome) float64 { return o.DetectMs }), first, pair(func(o outcome) float64 { return o.SilenceMs }), missed,
		lost, doubled, both, stale, most(func(o outcome) float64 { return o.PollersMs }), extra,
		pair(func(o outcome) float64 { return o.HealedMs }), address)
}
