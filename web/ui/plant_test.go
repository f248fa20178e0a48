package ui_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"scada/acquisition/live"
	"scada/acquisition/tag"
	"scada/simulators/process"
	"scada/web"
	"scada/web/api"
)

// plant is the simulated waterworks behind two backends: what one process would see of a pair. It exists so that the pages
// can be tested against the real web server without the rest of a node.
type plant struct {
	mu      sync.Mutex
	start   time.Time
	model   *process.Plant
	defs    []tag.Definition
	index   []int // of the model's point, by tag.ID
	history [][]api.Sample
	alarms  map[string]*api.Alarm
	journal []api.JournalEntry
	active  string
	epoch   uint64
	dead    map[string]bool
	silent  map[string]bool // devices that do not answer
	last    *api.Switch
	nodes   map[string]*node
	turn    int
	hold    chan struct{} // a write waits until it is closed; nil: none waits
	large   int           // above 0: there is no model, and so many tags change every second
}

// node is one backend of the pair.
type node struct {
	web.Backend // what these tests never ask for
	*plant
	name    string
	view    *web.Plant
	alarmed *web.Feed[api.AlarmChange]
	noted   *web.Feed[api.JournalEntry]
}

const feedSize = 1000

func newPlant() *plant {
	p := &plant{start: time.Now(), model: process.New(1), alarms: map[string]*api.Alarm{}, active: "a", epoch: 7,
		dead: map[string]bool{}, silent: map[string]bool{}, nodes: map[string]*node{}}
	points := p.model.Points()
	order := make([]int, len(points))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return cmp.Compare(points[i].Name, points[j].Name) })
	for id, i := range order {
		pt := points[i]
		typ := pt.Type
		if !pt.Scale.IsZero() {
			typ = tag.TypeFloat64
		}
		p.defs = append(p.defs, tag.Definition{ID: tag.ID(id), Name: pt.Name, Area: "main", Device: pt.Device, Address: fmt.Sprintf("%v:%d", pt.Space, pt.Address),
			Type: typ, RawType: pt.Type, ScanPeriod: time.Second, Unit: pt.Unit, Description: pt.Description, Range: pt.Range,
			Writable: pt.Writable, Bits: pt.States})
		p.index = append(p.index, i)
	}
	p.history = make([][]api.Sample, len(p.defs))
	for _, name := range []string{"a", "b"} {
		p.nodes[name] = &node{plant: p, name: name, view: &web.Plant{Tags: p.defs, Live: live.New(len(p.defs))},
			alarmed: web.NewFeed[api.AlarmChange](feedSize), noted: web.NewFeed[api.JournalEntry](feedSize)}
	}
	p.note(api.JournalEntry{Kind: "role", Event: "active", Source: "main", Message: "node a became active", Node: "a"})
	return p
}

// past makes the history of the time before the test: the plant runs through it at once.
func (p *plant) past(d time.Duration) {
	p.start = time.Now().Add(-d)
	for t := time.Duration(0); t < d; t += time.Second {
		p.step(p.start.Add(t))
	}
}

// run moves the plant until ctx ends.
func (p *plant) run(ctx context.Context) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			p.step(now)
		case <-ctx.Done():
			return
		}
	}
}

// step samples every tag on both nodes, as long as the active one lives.
func (p *plant) step(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead[p.active] {
		return
	}
	if p.large > 0 {
		p.stepLarge(now)
		return
	}
	p.model.Advance(now.Sub(p.start))
	batch := make([]tag.Update, 0, len(p.defs))
	for id, d := range p.defs {
		u := tag.Update{Tag: tag.ID(id), Sample: tag.Sample{Time: now.UnixNano(), Value: p.model.Value(p.index[id])}}
		if p.silent[d.Device] {
			u.Quality = tag.UncertainNoCommunicationLastUsable
			u.Time = now.Add(-4 * time.Second).UnixNano()
		}
		batch = append(batch, u)
		at := now.UTC()
		p.history[id] = append(p.history[id], api.Sample{Time: &at, Value: web.JSONValue(u.Value), Quality: u.Quality.String()})
	}
	for name, n := range p.nodes {
		if !p.dead[name] {
			n.view.Live.Apply(batch)
		}
	}
}

// stepLarge changes a fifth of the tags that change every second; all have a value from the first step on.
func (p *plant) stepLarge(now time.Time) {
	n, first := p.large/5, p.turn*p.large/5
	if p.turn == 0 && p.nodes["a"].view.Live.Seq() == 0 {
		n = len(p.defs)
	}
	batch := make([]tag.Update, n)
	for i := range batch {
		batch[i] = tag.Update{Tag: tag.ID((first + i) % len(p.defs)), Sample: tag.Sample{Time: now.UnixNano(), Value: tag.Float64(float64(now.UnixMilli()%10_000) / 100)}}
	}
	p.turn = (p.turn + 1) % 5
	for _, n := range p.nodes {
		n.view.Live.Apply(batch)
	}
}

// kill ends a node and makes the other active, as the pair would after its time-out.
func (p *plant) kill(name string) {
	p.mu.Lock()
	p.dead[name] = true
	p.mu.Unlock()
	if p.active == name {
		time.Sleep(400 * time.Millisecond) // the pair notices
		p.become(map[string]string{"a": "b", "b": "a"}[name], "fault", "heartbeat lost")
	}
}

func (p *plant) become(to, kind, reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = &api.Switch{Area: "main", From: p.active, To: to, At: time.Now().UTC(), Kind: kind, Reason: reason, DetectMs: 412, ActivateMs: 38, FirstValueMs: 610, MissedSlots: 4}
	p.active = to
	p.epoch++
	p.noteLocked(api.JournalEntry{Kind: "role", Event: "active", Source: "main", Message: "node " + to + " became active: " + reason, Node: to})
}

// raise puts an alarm into the list, or changes it.
func (p *plant) raise(a api.Alarm, event, by string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.raiseLocked(a, event, by)
}

func (p *plant) raiseLocked(a api.Alarm, event, by string) {
	now := time.Now().UTC()
	a.Time, a.Area, a.Epoch = &now, "main", p.epoch
	if event == "RAISE" {
		a.Onset = &now
		a.Occurrence++
	}
	a.Acked = a.State == "ACKED"
	p.alarms[a.ID] = &a
	for name, n := range p.nodes {
		if !p.dead[name] {
			n.alarmed.Append(api.AlarmChange{Event: event, Annunced: event == "RAISE", By: by, Alarm: a})
		}
	}
	p.noteLocked(api.JournalEntry{Kind: "alarm", Event: event, Source: a.ID, State: a.State, Level: a.Level, User: by, Message: a.Message, Node: p.active})
}

func (p *plant) note(e api.JournalEntry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.noteLocked(e)
}

func (p *plant) noteLocked(e api.JournalEntry) {
	e.ID, e.Time, e.Epoch, e.Area = fmt.Sprintf("e%d", len(p.journal)), time.Now().UTC(), p.epoch, "main"
	p.journal = append(p.journal, e)
	for name, n := range p.nodes {
		if !p.dead[name] {
			n.noted.Append(e)
		}
	}
}

func (n *node) Node() api.NodeInfo {
	return api.NodeInfo{Node: n.name, Project: "waterworks", Version: "0.1.0", ConfigDigest: "9f31c2d4a7b8", StartedAt: n.start, Tags: len(n.defs), Devices: len(process.Devices())}
}

func (n *node) Role() api.Pair {
	n.mu.Lock()
	defer n.mu.Unlock()
	pair := api.Pair{LastSwitch: n.last}
	for _, name := range []string{"a", "b"} {
		other := map[string]string{"a": "b", "b": "a"}[name]
		one := api.Node{Node: name, Designation: "primary", Reachable: !n.dead[name], Version: "0.1.0", ConfigDigest: "9f31c2d4a7b8", Ready: !n.dead[other],
			Paths: []api.Path{{Name: "lan", Up: !n.dead[other], RTTms: 0.31}, {Name: "ded", Up: !n.dead[other], RTTms: 0.12, Lost: 2}}}
		role, reason := api.RoleActive, "has the role since the start"
		if name == "b" {
			one.Designation = "standby"
		}
		if name != n.active {
			role, reason = api.RoleStandby, "the other node is active"
			one.Mirror = api.Mirror{AppliedSeq: 182_004, DurableSeq: 181_996, LagMs: 3}
		}
		if n.dead[other] {
			one.NotReady, one.Score = []string{"node " + other + " does not answer on any path"}, 100
		}
		one.Areas = []api.Area{{Area: "main", Role: role, Epoch: n.epoch, Confirmed: true, Since: n.start, Reason: reason}}
		pair.Nodes = append(pair.Nodes, one)
	}
	return pair
}

func (n *node) RoleCommand(_ context.Context, by web.Actor, cmd api.RoleCommand) (api.RoleResult, error) {
	other := map[string]string{"a": "b", "b": "a"}
	switch cmd.Verb {
	case api.VerbSwitch:
		n.become(other[n.active], "planned", cmd.Reason)
	case api.VerbDrill:
		n.become(other[n.active], "drill", cmd.Reason)
		n.become(other[n.active], "drill", cmd.Reason+", and back")
	default:
		return api.RoleResult{}, api.NewProblem(api.CodeNotReady, "not in this test")
	}
	return api.RoleResult{Result: "done"}, nil
}

func (n *node) Ready(string) (bool, []string)            { return true, nil }
func (n *node) Plant() *web.Plant                        { return n.view }
func (n *node) AlarmFeed() *web.Feed[api.AlarmChange]    { return n.alarmed }
func (n *node) JournalFeed() *web.Feed[api.JournalEntry] { return n.noted }
func (n *node) Audit(e web.AuditEvent) {
	n.note(api.JournalEntry{Kind: "session", Event: e.Event, User: e.Actor.User, Node: n.name})
}

// KPI invents a report with a flood in it.
func (n *node) KPI(_ context.Context, from, to time.Time) (api.KPI, error) {
	k := api.KPI{From: from, To: to, Alarms: 71, Per10MinAverage: 1.48, Per10MinPeak: 14, FloodCount: 1, FloodPercent: 2.1, TopPercent: 63, AckMedianS: 41, AckP95S: 207,
		ByPriority: map[string]int{"critical": 3, "high": 11, "medium": 40, "low": 17}, Chattering: []api.AlarmCount{{ID: "wells/well2/door.discrete"}},
		Top: []api.AlarmCount{{ID: "wells/well2/door.discrete", Count: 22}, {ID: "treatment/chlorine/value.level", Count: 14}, {ID: "intake/pump2/trip.discrete", Count: 9}}, Unacknowledged: 3, ActiveNow: 3, ShelvedNow: 1}
	for i := 0; from.Add(time.Duration(i) * 10 * time.Minute).Before(to); i++ {
		k.Per10MinSeries = append(k.Per10MinSeries, api.RatePoint{Time: from.Add(time.Duration(i) * 10 * time.Minute), Count: []int{0, 1, 0, 2, 1, 14, 6, 3, 0, 0, 1}[i%11]})
	}
	return k, nil
}

func (n *node) WriteTag(_ context.Context, by web.Actor, w web.Write) (api.WriteResult, error) {
	if n.hold != nil {
		<-n.hold
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.model.Force(w.Tag.Name, w.Value); err != nil {
		return api.WriteResult{}, api.NewProblem(api.CodeDevice, "%v", err)
	}
	v := web.JSONValue(w.Value)
	n.noteLocked(api.JournalEntry{Kind: "write", Event: "write", Source: w.Tag.Name, User: by.User, New: fmt.Sprint(v), Result: "confirmed", Message: w.Reason, Node: n.active})
	return api.WriteResult{Tag: w.Tag.Name, Result: api.WriteConfirmed, Value: v, ReadBack: v, Quality: "Good", Node: n.active, Epoch: n.epoch}, nil
}

func (n *node) Devices() []api.Device {
	n.mu.Lock()
	defer n.mu.Unlock()
	var list []api.Device
	since := n.start
	for i, name := range process.Devices() {
		d := api.Device{Name: name, Area: "main", Driver: "modbus", Endpoint: fmt.Sprintf("tcp://127.0.0.1:%d", 5020+i), Node: n.name, State: "connected", Since: &since,
			Tags: 30, LatencyMs: 0.8 + float64(i)/3, Requests: 40_211, Reconnects: 1}
		switch {
		case n.name != n.active:
			d.State = "standby"
		case n.silent[name]:
			d.State, d.Timeouts, d.LastError, d.LastErrorAt = "disconnected", 12, "read hr:100+24: no answer within 1s", &since
		}
		list = append(list, d)
	}
	return list
}

func (n *node) Alarms(context.Context, api.AlarmFilter) (api.Alarms, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out api.Alarms
	for _, a := range n.alarms {
		if a.State != "NORM" {
			out.Alarms = append(out.Alarms, *a)
		}
	}
	out.Total = len(out.Alarms)
	return out, nil
}

func (n *node) AlarmCommand(_ context.Context, by web.Actor, cmd api.AlarmCommand) ([]api.AlarmResult, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []api.AlarmResult
	for _, ref := range cmd.Alarms {
		a := *n.alarms[ref.ID]
		a.Comment = cmp.Or(cmd.Comment, a.Comment)
		switch cmd.Command {
		case api.AlarmAck:
			a.State, a.AckedBy = "ACKED", by.User
		case api.AlarmShelve:
			until := time.Now().Add(time.Duration(cmd.ForS) * time.Second)
			a.State, a.Until = "SHELVED", &until
		case api.AlarmUnshelve:
			a.State = "ACKED"
		}
		n.raiseLocked(a, strings.ToUpper(cmd.Command), by.User)
		out = append(out, api.AlarmResult{ID: ref.ID, Result: api.AlarmOK})
	}
	return out, nil
}

func (n *node) Journal(_ context.Context, q api.JournalQuery) (api.Journal, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out api.Journal
	for _, e := range slices.Backward(n.journal) {
		if q.Kind == "" || q.Kind == e.Kind {
			out.Entries = append(out.Entries, e)
		}
	}
	return out, nil
}

func (n *node) History(_ context.Context, q api.HistoryQuery, give func(api.Series) error) (string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, name := range q.Tags {
		i, ok := slices.BinarySearchFunc(n.defs, name, func(d tag.Definition, s string) int { return cmp.Compare(d.Name, s) })
		if !ok {
			continue
		}
		s := api.Series{Tag: name, Unit: n.defs[i].Unit}
		for _, sample := range n.history[i] {
			if !sample.Time.Before(q.From) && sample.Time.Before(q.To) {
				s.Samples = append(s.Samples, sample)
			}
		}
		if err := give(s); err != nil {
			return "", err
		}
	}
	return "", nil
}
