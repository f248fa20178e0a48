package alarms_test

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"testing"
	"time"

	"scada/acquisition/tag"
	"scada/alarms"
	"scada/alarms/vectors"
)

// soloAfter is how long a node waits for a standby before the pair counts as solo.
const soloAfter = 2 * time.Second

// storyOptions run a vector under further strain that must not change its journal.
type storyOptions struct {
	// restore replaces every engine after every step by a new one with its snapshot.
	restore bool
	// reload loads the same configuration after every step.
	reload bool
}

// world is a pair of nodes with real engines and the least of a shell around them: a link, journals, an active role.
type world struct {
	now    int64
	t      *testing.T
	file   *vectorFile
	v      *vectors.Vector
	opt    storyOptions
	cfg    alarms.Config
	names  *names
	live   map[tag.ID]tag.Sample
	nodes  [2]*node
	link   bool
	lostAt int64 // since when the nodes do not hear each other
	sent   []vectors.Notification
	count  int // journal records so far, for the order within one instant
}

type node struct {
	name          string
	eng           *alarms.Engine
	alive, active bool
	solo          bool // took over without the peer
	behind        bool // must take a snapshot before it can follow
	journal       map[alarms.Key]entry
	marked        map[alarms.Key]bool // notifications known to be delivered
	tail          []record            // not replicated
	confirmed     map[alarms.Key]bool // commands reported as done
	own           []alarms.Event      // recorded since the last contact
}

type entry struct {
	alarms.Event
	n int
}

// record is one entry of the stream between the nodes, in its binary form.
type record struct {
	cfg     *alarms.Config
	samples []tag.Update
	outcome []byte
}

func (f *vectorFile) story(t *testing.T, v *vectors.Vector, opt storyOptions) {
	cfg, err := f.Config(v)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, file: f, v: v, opt: opt, cfg: cfg, names: newNames(), live: map[tag.ID]tag.Sample{}, link: true}
	for i, name := range []string{"A", "B"} {
		w.nodes[i] = &node{name: name, alive: true, active: i == 0, journal: map[alarms.Key]entry{}, marked: map[alarms.Key]bool{}, confirmed: map[alarms.Key]bool{}}
		w.nodes[i].eng = w.engine()
	}
	for i := range v.Steps {
		w.step(&v.Steps[i])
	}
	w.check()
}

func (w *world) engine() *alarms.Engine {
	e, err := alarms.New(w.cfg, w.names.lookup)
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

func (w *world) step(s *vectors.Step) {
	w.now = max(w.now, instant(s.T)) // a sample that comes late does not turn the clock back
	now := w.now
	for _, n := range w.nodes {
		if n.alive && n.active {
			w.done(n, nil, n.eng.Advance(now-1))
		}
	}
	w.work(s, now)
	for _, n := range w.nodes {
		if n.alive && n.active {
			w.done(n, nil, n.eng.Advance(now))
		}
	}
	w.replicate()
	if w.opt.restore {
		w.restoreAll()
	}
	if w.opt.reload {
		w.load(w.cfg, now)
		w.replicate()
	}
}

func (w *world) work(s *vectors.Step, now int64) {
	switch s.Do {
	case "":
		w.sample(s, now)
	case "tick":
	case "reload":
		w.reload(s, now)
	case "link_down":
		w.link, w.lostAt = false, now
	case "link_up":
		w.link = true
	case "heal":
		w.heal(now)
	case "crash":
		n := w.node(s.Node)
		n.alive, n.active = false, false
		if w.lostAt == 0 {
			w.lostAt = now
		}
	case "restart":
		n := w.node(s.Node)
		n.alive, n.behind, w.link = true, true, true // a node that starts dials its peer
		for _, r := range n.tail {
			o, _, _ := alarms.ReadOutcome(r.outcome)
			for _, ev := range o.Events {
				delete(n.journal, ev.Key)
			}
		}
		n.tail, n.own = nil, nil
		n.eng = w.engine()
	case "takeover":
		w.takeOver(w.node(s.Node), now)
	default:
		w.command(s, now)
	}
}

func (w *world) node(name string) *node {
	for _, n := range w.nodes {
		if n.name == name {
			return n
		}
	}
	w.t.Fatalf("unknown node %q", name)
	return nil
}

func (w *world) peer(n *node) *node {
	if n == w.nodes[0] {
		return w.nodes[1]
	}
	return w.nodes[0]
}

// leader is the active node with the highest term, nil if there is none.
func (w *world) leader() *node {
	var best *node
	for _, n := range w.nodes {
		if n.alive && n.active && (best == nil || n.eng.Term() > best.eng.Term()) {
			best = n
		}
	}
	return best
}

func (w *world) sample(s *vectors.Step, now int64) {
	name := s.Tag
	if name == "" {
		name = w.cfg.Alarms[0].Tag
	}
	id, _ := w.names.lookup(name)
	u := tag.Update{Tag: id, Sample: tag.Sample{Time: instant(s.T)}}
	if s.V != nil {
		u.Value = tag.Float64(*s.V)
	}
	switch s.Q {
	case "", "good":
	case "uncertain":
		u.Quality = tag.UncertainLastUsableValue
	case "bad":
		u.Quality = tag.BadCommunicationError
	default:
		w.t.Fatalf("unknown quality %q", s.Q)
	}
	w.live[id] = u.Sample
	for _, n := range w.nodes {
		if !n.alive || !n.active || (s.Node != "" && s.Node != n.name) {
			continue
		}
		batch := []tag.Update{u}
		if s.SOE {
			w.done(n, batch, n.eng.Reports(now, batch))
		} else {
			w.done(n, batch, n.eng.Samples(now, batch))
		}
	}
}

// done is what a shell does with an outcome: journal, stream, notify.
func (w *world) done(n *node, samples []tag.Update, o alarms.Outcome) {
	if len(samples) == 0 && o.IsZero() {
		return
	}
	n.tail = append(n.tail, record{samples: samples, outcome: alarms.AppendOutcome(nil, o)})
	w.record(n, o.Events)
	n.own = append(n.own, o.Events...)
	for i := range o.Events {
		ev := &o.Events[i]
		if ev.Annunciate && !n.marked[ev.Key] {
			n.marked[ev.Key] = true
			w.sent = append(w.sent, vectors.Notification{T: seconds(ev.Time), Node: n.name, Key: ev.NotificationKey()})
		}
	}
}

func (w *world) record(n *node, events []alarms.Event) {
	for _, ev := range events {
		w.count++
		if ev.Key != alarms.KeyOf(&ev) {
			w.t.Errorf("event %v has the key of something else", describe(&ev))
		}
		n.journal[ev.Key] = entry{ev, w.count}
	}
}

// replicate brings the standby up to date while the link is there, through the binary form.
func (w *world) replicate() {
	from := w.leader()
	if from == nil || !w.link {
		return
	}
	to := w.peer(from)
	if !to.alive || to.active {
		return
	}
	if to.behind {
		if err := to.eng.Restore(from.eng.Snapshot()); err != nil {
			w.t.Fatal(err)
		}
		maps.Copy(to.journal, from.journal)
		maps.Copy(to.marked, from.marked)
		to.behind, from.tail = false, nil
	}
	for _, r := range from.tail {
		if r.cfg != nil {
			if err := to.eng.Reconfigure(*r.cfg, w.names.lookup); err != nil {
				w.t.Fatal(err)
			}
		}
		to.eng.Observe(r.samples)
		o, rest, err := alarms.ReadOutcome(r.outcome)
		if err != nil || len(rest) > 0 {
			w.t.Fatalf("outcome does not read back: %v, %d bytes left", err, len(rest))
		}
		if err := to.eng.Apply(o); err != nil {
			w.t.Fatal(err)
		}
		w.record(to, o.Events)
	}
	maps.Copy(to.marked, from.marked)
	from.tail, from.own, to.own = nil, nil, nil
	from.solo, w.lostAt = false, 0
	if !bytes.Equal(from.eng.Snapshot(), to.eng.Snapshot()) {
		w.t.Errorf("the standby's image differs from the active's:\n%+v\n%+v", from.eng.Conditions(alarms.Filter{}), to.eng.Conditions(alarms.Filter{}))
	}
}

func (w *world) restoreAll() {
	for _, n := range w.nodes {
		image := n.eng.Snapshot()
		n.eng = w.engine()
		if err := n.eng.Restore(image); err != nil {
			w.t.Fatal(err)
		}
		if !bytes.Equal(image, n.eng.Snapshot()) {
			w.t.Errorf("node %s: a restored engine has another image", n.name)
		}
	}
}

func (w *world) takeOver(n *node, now int64) {
	peer := w.peer(n)
	reachable := w.link && peer.alive
	if reachable {
		w.replicate()
		peer.active = false
	}
	n.active, n.solo = true, !reachable
	if !peer.alive {
		n.own = nil
	}
	w.done(n, nil, n.eng.TakeOver(now, max(n.eng.Term(), 1)+1))
}

// heal ends a split brain: the lower term steps down and its records are merged.
func (w *world) heal(now int64) {
	w.link = true
	winner := w.leader()
	if winner == nil {
		return
	}
	loser := w.peer(winner)
	if !loser.alive || !loser.active {
		return
	}
	var forked []alarms.Forked
	for _, ev := range loser.own {
		forked = append(forked, alarms.Forked{Event: ev, Confirmed: loser.confirmed[ev.Key]})
	}
	w.done(winner, nil, winner.eng.Merge(now, winner.own, forked))
	loser.active, loser.behind, loser.tail, loser.own = false, true, nil, nil
	w.replicate()
}

func (w *world) reload(s *vectors.Step, now int64) {
	cfg, err := vectors.Configure(s.Alarms)
	if err != nil {
		w.t.Fatal(err)
	}
	cfg.FirstScanGrace, w.cfg = w.cfg.FirstScanGrace, cfg
	w.load(cfg, now)
}

func (w *world) load(cfg alarms.Config, now int64) {
	for _, n := range w.nodes {
		if !n.alive || !n.active {
			continue
		}
		o, err := n.eng.Reload(now, cfg, w.names.lookup, func(id tag.ID) (tag.Sample, bool) {
			s, ok := w.live[id]
			return s, ok
		})
		if err != nil {
			w.t.Fatal(err)
		}
		w.done(n, nil, o)
		n.tail[len(n.tail)-1].cfg = &cfg
	}
}

func (w *world) command(s *vectors.Step, now int64) {
	want, got := cmp.Or(s.Expect, "ok"), w.execute(s, now)
	if got != want {
		w.t.Errorf("t=%v %s: result %s, want %s", s.T, s.Do, got, want)
	}
}

func (w *world) execute(s *vectors.Step, now int64) string {
	n := w.leader()
	if s.Node != "" {
		n = w.node(s.Node)
		if !n.active && w.link && w.peer(n).alive {
			n = w.peer(n)
		}
	}
	if n == nil || !n.alive || !n.active {
		return string(alarms.ResultNotActive)
	}
	cmd := alarms.Command{Condition: cmp.Or(s.Alarm, w.file.First(w.v).ID), Occurrence: s.Occ, By: s.By, For: span(s.For)}
	if err := cmd.Kind.UnmarshalText([]byte(s.Do)); err != nil {
		w.t.Fatal(err)
	}
	r, o := n.eng.Command(now, cmd)
	w.done(n, nil, o)
	if r != alarms.ResultOK {
		return string(r)
	}
	r = w.confirmation(n, now)
	for _, ev := range o.Events {
		n.confirmed[ev.Key] = r != alarms.ResultUnconfirmed
	}
	return string(r)
}

func (w *world) confirmation(n *node, now int64) alarms.Result {
	switch peer := w.peer(n); {
	case w.link && peer.alive:
		return alarms.ResultOK
	case n.solo || now-w.lostAt >= int64(soloAfter):
		return alarms.ResultOKSolo
	}
	return alarms.ResultUnconfirmed
}

// journal returns the records of a node in the order of time, within one instant as they were made.
func (n *node) sorted() []alarms.Event {
	list := slices.SortedFunc(maps.Values(n.journal), func(a, b entry) int { return cmp.Or(cmp.Compare(a.Time, b.Time), a.n-b.n) })
	var events []alarms.Event
	for _, e := range list {
		events = append(events, e.Event)
	}
	return events
}

func (w *world) check() {
	n := w.leader()
	if n == nil {
		w.t.Fatal("no node is active at the end")
	}
	got := n.sorted()
	if diff := w.compare(got); diff != "" {
		w.t.Errorf("journal: %s\ngot:\n%swant:\n%s", diff, describeAll(got), describeWanted(w.v.Expect.Events))
	}
	w.final(n)
	if want := w.v.Expect.Notifications; want != nil && !slices.Equal(want, w.sent) {
		w.t.Errorf("notifications %v, want %v", w.sent, want)
	}
	if peer := w.peer(n); peer.alive && w.link {
		if a, b := describeAll(got), describeAll(peer.sorted()); a != b {
			w.t.Errorf("journals differ:\n%s\n%s", a, b)
		}
	} else if w.v.Expect.JournalsEqual {
		w.t.Error("the journals should be equal, but the nodes are not connected")
	}
}

func (w *world) final(n *node) {
	for id, want := range w.v.Expect.Final {
		c, ok := n.eng.Condition(id)
		if !ok {
			w.t.Errorf("final: no condition %s", id)
		} else if c.State.String() != want.State || c.Level.String() != want.Level || (want.Occ != nil && c.Occurrence != *want.Occ) {
			w.t.Errorf("final %s: %s %q occurrence %d, want %+v", id, c.State, c.Level, c.Occurrence, want)
		}
	}
}
