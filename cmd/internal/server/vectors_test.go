package server

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goccy/go-yaml"

	"scada/acquisition/tag"
	"scada/alarms"
	"scada/alarms/vectors"
	"scada/cmd/internal/config"
	"scada/history/journal"
	"scada/redundancy/role"
	"scada/simulators/memnet"
	"scada/web"
	"scada/web/api"
)

// The vectors of package alarms are stories with their whole journal. Here those of pairs are played on two whole
// servers: real role machines, streams, committers, journals and merges, over a network in memory and in virtual time.
// What a story calls a crash is a power loss that takes the disk with it: everything that was not replicated is gone.

// otherwise names the stories a pair of whole servers tells otherwise, with the reason.
var otherwise = map[string]string{
	"command-without-link": "a standby that hears nothing takes over by itself: it does not stay a standby beside a lost link",
}

func TestPairVectorsOnTwoServers(t *testing.T) {
	paths := []string{"../../../alarms/testdata/alarms.yaml", "../../../alarms/testdata/more.yaml"}
	if other := os.Getenv("ALARM_VECTORS"); other != "" {
		paths = []string{other}
	}
	for _, path := range paths {
		f, err := vectors.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		played := 0
		for _, v := range f.Vectors {
			if v.Kind != "pair" {
				continue
			}
			played++
			t.Run(v.ID, func(t *testing.T) {
				if why := otherwise[v.ID]; why != "" {
					t.Skip(why)
				}
				v.Alarms = f.Alarms(&v)
				synctest.Test(t, func(t *testing.T) { play(t, &story{v}) })
			})
		}
		if played == 0 {
			t.Errorf("%s has no story of a pair", path)
		}
	}
}

// story is a vector with all its alarms.
type story struct{ vectors.Vector }

// stage is the world of one story.
type stage struct {
	*world
	v         *story
	dir       string
	base      time.Time // the story's 0
	slack     time.Duration
	up        map[string]bool
	linked    bool
	term      uint64            // as the story counts
	epochs    map[uint64]uint64 // real -> as the story counts
	commands  []*storyCommand
	healedFor time.Duration
}

type storyCommand struct {
	step vectors.Step
	got  chan string
}

func play(t *testing.T, v *story) {
	s := newStage(t, v)
	for i, step := range v.Steps {
		time.Sleep(time.Until(s.at(step.T)))
		synctest.Wait()
		s.step(step)
		if i == len(v.Steps)-1 || v.Steps[i+1].T > step.T {
			synctest.Wait()
		}
	}
	time.Sleep(s.slack)
	synctest.Wait()
	for _, c := range s.commands {
		if got, want := <-c.got, cmp.Or(c.step.Expect, "ok"); got != want {
			t.Errorf("t=%v %s: %s, want %s", c.step.T, c.step.Do, got, want)
		}
	}
	s.check()
}

func (s *stage) end() {
	for name, up := range s.up {
		if !up {
			continue
		}
		if err := s.stop[name](); err != nil {
			s.t.Errorf("stopping %s: %v", name, err)
		}
	}
}

func newStage(t *testing.T, v *story) *stage {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "plant.yaml")
	if err := os.WriteFile(path, []byte(storyPlant(t, v)), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Devices = nil // the samples are the story's
	patience := v.patience()
	cfg.Redundancy.Misses = 20
	cfg.Redundancy.Heartbeat = patience / 20
	s := &stage{
		world: &world{t: t, net: memnet.New(), cfg: cfg, node: map[string]*Server{}, stop: map[string]func() error{}},
		v:     v, dir: dir, slack: 2*cfg.Redundancy.Heartbeat + 20*time.Millisecond, up: map[string]bool{}, linked: true, term: 1, epochs: map[uint64]uint64{},
	}
	t.Cleanup(s.end) // also when the test has failed: a bubble ends when nothing runs in it any more
	s.begin("a")
	s.begin("b")
	s.ready()
	s.epochs[s.node["a"].pair.Status().Areas[0].Epoch] = 1
	if v.startsBad() {
		time.Sleep(alarms.DefaultFirstScanGrace) // what a first start is unsure of is not part of a story
	}
	s.base = time.Now().Truncate(time.Second).Add(2 * time.Second)
	return s
}

// patience is how long a standby waits before it takes over: what passes in the story.
func (v *story) patience() time.Duration {
	began := -1.0
	for _, step := range v.Steps {
		switch {
		case (step.Do == "crash" || step.Do == "link_down") && began < 0:
			began = step.T
		case step.Do == "takeover" && began >= 0:
			return vectors.Span(step.T - began)
		}
	}
	return 2 * time.Second
}

// startsBad reports whether the first sample of a tag is bad.
func (v *story) startsBad() bool {
	seen := map[string]bool{}
	for _, step := range v.Steps {
		if step.Do == "" && !seen[step.Tag] && step.Q == "bad" {
			return true
		}
		seen[step.Tag] = seen[step.Tag] || step.Do == ""
	}
	return false
}

// storyPlant is a plant of two nodes with the alarms of a story and the tags they use.
func storyPlant(t *testing.T, v *story) string {
	t.Helper()
	tags := map[string]bool{}
	for _, a := range v.Alarms {
		for _, name := range []string{a.Tag, a.Setpoint, a.Target, a.SuppressTag} {
			if name != "" {
				tags[name] = true
			}
		}
	}
	list, err := yaml.Marshal(v.Alarms)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString(`project: story
nodes:
  a: {links: {lan: "127.0.1.1:7401", ded: "127.0.2.1:7401"}, http: "10.0.0.1:80", data: a}
  b: {links: {lan: "127.0.1.2:7401", ded: "127.0.2.2:7401"}, http: "10.0.0.2:80", data: b}
web: {insecure: true}
redundancy: {failback: never}
areas: [{name: main, primary: a}]
devices: [{name: plc, driver: modbus, modbus: {endpoints: ["tcp://10.0.3.3:502"], unit: 1}}]
scan_classes: {fast: 100ms}
tags:
`)
	for name := range tags {
		fmt.Fprintf(&b, "  - {name: %s, device: plc, address: \"hr:%d\", type: float64, scan: fast}\n", name, 4*(b.Len()%1000))
	}
	b.WriteString("alarms:\n")
	if v.Grace != nil {
		fmt.Fprintf(&b, "  first_scan_grace: %v\n", cmp.Or(*v.Grace, -1))
	}
	b.WriteString("  list:\n")
	for line := range strings.Lines(string(list)) {
		b.WriteString("    " + line)
	}
	return b.String()
}

func (s *stage) at(t float64) time.Time { return s.base.Add(vectors.Span(t)) }

// begin starts a node. The sources repeat what is bad; here the story says when.
func (s *stage) begin(name string) {
	s.start(name)
	s.up[name] = true
	a := s.node[name].areas["main"]
	a.mu.Lock()
	a.inputs = nil
	a.mu.Unlock()
}

func (s *stage) step(step vectors.Step) {
	step.Node = strings.ToLower(step.Node)
	switch step.Do {
	case "":
		s.sample(step)
	case "tick":
	case "link_down":
		s.linked = false
		s.net.Cut("a", "b", "")
	case "link_up", "heal":
		s.linked = true
		s.net.Heal("a", "b", "")
		if step.Do == "heal" {
			s.healedFor = s.within(40*time.Second, "the pair is whole", s.whole)
		}
	case "crash":
		s.crash(step.Node)
	case "restart":
		s.net.Power(step.Node, true)
		if !s.linked {
			s.net.Heal("a", "b", "")
			s.linked = true
		}
		s.begin(step.Node)
	case "takeover":
		s.takeOver(step.Node)
	default:
		s.command(step)
	}
}

// crash takes the node away with everything it has stored.
func (s *stage) crash(name string) {
	s.net.Power(name, false)
	s.up[name] = false
	_ = s.stop[name]() // it ends without its peer, and complains
	if err := os.RemoveAll(filepath.Join(s.dir, name)); err != nil {
		s.t.Fatal(err)
	}
	delete(s.node, name)
}

func (s *stage) takeOver(name string) {
	if s.linked && len(s.node) == 2 {
		if err := s.node[name].pair.Switch(s.t.Context(), "main", "the story"); err != nil {
			s.t.Fatal(err)
		}
	}
	s.within(s.slack, name+" takes over", s.roleIs(name, role.Active))
	s.term++
	s.epochs[s.node[name].pair.Status().Areas[0].Epoch] = s.term
}

func (s *stage) sample(step vectors.Step) {
	name := step.Tag
	if name == "" {
		name = s.v.Alarms[0].Tag
	}
	id, ok := s.cfg.Lookup(name)
	if !ok {
		s.t.Fatalf("no tag %s", name)
	}
	u := tag.Update{Tag: id, Sample: tag.Sample{Time: s.at(step.T).UnixNano()}}
	if step.V != nil {
		u.Value = tag.Float64(*step.V)
	}
	switch step.Q {
	case "uncertain":
		u.Quality = tag.UncertainLastUsableValue
	case "bad":
		u.Quality = tag.BadCommunicationError
	}
	for node, srv := range s.node {
		if step.Node == "" || step.Node == node {
			srv.areas["main"].take([]tag.Update{u}, effects{exact: step.SOE})
		}
	}
}

// command gives a command like a client: it may take its time. One the story calls unconfirmed is not waited for.
func (s *stage) command(step vectors.Step) {
	name := cmp.Or(step.Node, s.leader())
	srv := s.node[name]
	cmd := api.AlarmCommand{Command: step.Do, Alarms: []api.AlarmRef{{ID: cmp.Or(step.Alarm, s.firstCondition()), Occurrence: step.Occ}}, ForS: int64(step.For)}
	if step.Do == "shelve_oneshot" {
		cmd.Command, cmd.OneShot = api.AlarmShelve, true
	}
	c := &storyCommand{step: step, got: make(chan string, 1)}
	s.commands = append(s.commands, c)
	wait := 20 * time.Second
	if step.Expect == string(alarms.ResultUnconfirmed) {
		wait = 50 * time.Millisecond
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		defer cancel()
		results, err := backend{srv}.AlarmCommand(ctx, web.Actor{User: step.By, Role: web.Admin}, cmd)
		switch {
		case err != nil:
			c.got <- err.Error()
		default:
			c.got <- results[0].Result
		}
	}()
}

func (s *stage) firstCondition() string { return s.v.Alarms[0].ID }

// leader is the active node with the highest epoch.
func (s *stage) leader() string {
	best, epoch := "", uint64(0)
	for name, srv := range s.node {
		if st := srv.pair.Status().Areas[0]; st.Role == role.Active && st.Epoch > epoch {
			best, epoch = name, st.Epoch
		}
	}
	return best
}

// whole: one node is active, the other mirrors it, and both have what the other had.
func (s *stage) whole() error {
	roles := map[role.Role]int{}
	for _, srv := range s.node {
		roles[srv.pair.Status().Areas[0].Role]++
		for _, n := range (backend{srv}).Role().Nodes {
			if n.Backfill.Remaining > 0 || !n.Ready {
				return fmt.Errorf("%s: %+v %v", n.Node, n.Backfill, n.NotReady)
			}
		}
	}
	if roles[role.Active] != 1 || roles[role.Standby] != 1 {
		return fmt.Errorf("roles %v", roles)
	}
	return nil
}

// recorded returns the alarm journal of a node up to the end of the story.
func (s *stage) recorded(name string) []alarms.Event {
	end := s.at(s.v.Steps[len(s.v.Steps)-1].T).Add(s.slack + s.healedFor)
	page, err := s.node[name].journal.Query(journal.Query{Class: journal.ClassAlarm, From: s.base.Add(-time.Second).UnixNano(), To: end.UnixNano() + 1, Limit: journal.MaxPage})
	if err != nil {
		s.t.Fatal(err)
	}
	var list []alarms.Event
	for _, e := range page.Entries {
		list = append(list, *e.Alarm)
	}
	return list
}

func (s *stage) check() {
	name := s.leader()
	if name == "" {
		s.t.Fatal("no node is active at the end")
	}
	got := s.recorded(name)
	f, left := s.frame(), slices.Clone(got)
	for _, want := range s.v.Expect.Events {
		at := slices.IndexFunc(left, func(ev alarms.Event) bool { return f.Differs(&want, &ev) == "" })
		if at < 0 {
			s.t.Errorf("missing %s", want.Tell())
			continue
		}
		left = slices.Delete(left, at, at+1)
	}
	for _, ev := range left {
		s.t.Errorf("not in the story: %s", f.Tell(&ev))
	}
	if s.t.Failed() {
		for i := range got {
			s.t.Log(f.Tell(&got[i]))
			for _, want := range s.v.Expect.Events {
				s.t.Logf("   beside %s at %v: %s", want.E, want.T, f.Differs(&want, &got[i]))
			}
		}
	}
	for id, want := range s.v.Expect.Final {
		c := s.node[name].areas["main"].conditions(alarms.Filter{Condition: id})
		if len(c) != 1 || c[0].State.String() != want.State || c[0].Level.String() != want.Level || want.Occ != nil && c[0].Occurrence != *want.Occ {
			s.t.Errorf("in the end %+v, want %+v", c, want)
		}
	}
	if len(s.node) == 2 && s.linked {
		s.sameJournals()
	}
}

// frame is how two servers tell a story: roles change within a heartbeat or two of the story's moment, and a merge takes
// its time; all else is exact.
func (s *stage) frame() *vectors.Frame {
	return &vectors.Frame{Begin: s.base, First: s.firstCondition(), Terms: s.epochs, Slack: func(ev *alarms.Event) time.Duration {
		switch {
		case ev.Kind == alarms.KindMerge || ev.Note == alarms.NoteMerged:
			return s.healedFor + s.slack
		case ev.By != "" || ev.Kind == alarms.KindAck || ev.Kind == alarms.KindRealarm:
			return s.slack
		}
		return 0
	}}
}
