package web

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"scada/acquisition/live"
	"scada/acquisition/tag"
	"scada/web/api"
)

// fake is a backend in memory.
type fake struct {
	mu         sync.Mutex
	node       string
	plant      *Plant
	pair       api.Pair
	ready      bool
	alarms     []api.Alarm
	alarmErr   error
	journalErr error
	pages      []api.Journal // of the journal, instead of what was audited
	alarmLog   *Feed[api.AlarmChange]
	journal    *Feed[api.JournalEntry]
	audits     []AuditEvent
	writes     []Write
	write      func(ctx context.Context, w Write) (api.WriteResult, error)
	commands   []string
	query      api.HistoryQuery
	panics     bool
}

func newFake(node string, tags ...tag.Definition) *fake {
	f := &fake{node: node, plant: newPlant(tags...), ready: true,
		alarmLog: NewFeed[api.AlarmChange](8), journal: NewFeed[api.JournalEntry](8)}
	f.setRole(api.RoleActive, 7)
	return f
}

func newPlant(tags ...tag.Definition) *Plant {
	for i := range tags {
		tags[i].ID = tag.ID(i)
		if tags[i].Area == "" {
			tags[i].Area = "main"
		}
	}
	return &Plant{Tags: tags, Live: live.New(len(tags)), Pages: map[string][]string{"overview": {"a/x", "gone"}}}
}

func (f *fake) setRole(role string, epoch uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pair = api.Pair{Nodes: []api.Node{{Node: f.node, Designation: "primary", Reachable: true, Ready: true,
		Areas: []api.Area{{Area: "main", Role: role, Epoch: epoch, Confirmed: true}}}, {Node: "other", Mirror: api.Mirror{LagMs: 3}, Reachable: true}}}
}

func (f *fake) Node() api.NodeInfo {
	return api.NodeInfo{Node: f.node, Project: "plant", Version: "v1", ConfigDigest: "d1"}
}

func (f *fake) Role() api.Pair {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.panics {
		panic("role")
	}
	return f.pair
}

func (f *fake) RoleCommand(_ context.Context, by Actor, cmd api.RoleCommand) (api.RoleResult, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.commands = append(f.commands, fmt.Sprintf("%s %s %+v", by.User, cmd.Verb, cmd))
	if !f.ready {
		return api.RoleResult{}, fmt.Errorf("switch: %w", api.NewProblem(api.CodeNotReady, "back-fill has 3 windows to go"))
	}
	return api.RoleResult{Result: "done"}, nil
}

func (f *fake) Ready(string) (bool, []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ready, nil
}

func (f *fake) Plant() *Plant {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.plant
}

func (f *fake) WriteTag(ctx context.Context, _ Actor, w Write) (api.WriteResult, error) {
	f.mu.Lock()
	f.writes = append(f.writes, w)
	do := f.write
	f.mu.Unlock()
	if do != nil {
		return do(ctx, w)
	}
	return api.WriteResult{Tag: w.Tag.Name, Result: api.WriteConfirmed, Value: JSONValue(w.Value), ReadBack: JSONValue(w.Value), Node: f.node, Epoch: 7}, nil
}

func (f *fake) written() []Write {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Write{}, f.writes...)
}

func (f *fake) Apps() []api.App { return []api.App{{Name: "totals", Running: true}} }
func (f *fake) App(_ context.Context, _ Actor, cmd api.AppCommand) (api.App, error) {
	if cmd.Name != "totals" {
		return api.App{}, api.NewProblem(api.CodeNotFound, "no application is named %q", cmd.Name)
	}
	return api.App{Name: cmd.Name, Source: cmd.Source}, nil
}
func (f *fake) TestDevice(_ context.Context, _ Actor, device string, cmd api.DeviceTestCommand) (api.DeviceTest, error) {
	if device != "plc1" {
		return api.DeviceTest{}, api.NewProblem(api.CodeNotFound, "no device %q", device)
	}
	if cmd.Here {
		return api.DeviceTest{}, api.NewProblem(api.CodeNotActive, "node b is active")
	}
	return api.DeviceTest{Name: device, Role: "active", BestWindow: 4}, nil
}

func (f *fake) DeviceNodes(_ context.Context, _ Actor, device string, q api.DeviceBrowse) (api.DeviceNodes, error) {
	if device != "plc1" {
		return api.DeviceNodes{}, api.NewProblem(api.CodeNotFound, "no device %q", device)
	}
	return api.DeviceNodes{Nodes: []api.DeviceNode{{Address: q.Node + q.Cursor, Path: "a/b"}}, Total: q.Limit}, nil
}

func (f *fake) Devices() []api.Device { return []api.Device{{Name: "plc1", State: "connected"}} }

func (f *fake) Alarms(_ context.Context, q api.AlarmFilter) (api.Alarms, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.alarmErr != nil {
		return api.Alarms{}, f.alarmErr
	}
	from := 0
	if q.Cursor != "" {
		fmt.Sscan(q.Cursor, &from)
	}
	from = max(min(from, len(f.alarms)), 0)
	to := min(from+q.Limit, len(f.alarms))
	out := api.Alarms{Alarms: append([]api.Alarm{}, f.alarms[from:to]...), Total: len(f.alarms)}
	if to < len(f.alarms) {
		out.Next = fmt.Sprint(to)
	}
	return out, nil
}

func (f *fake) AlarmCommand(_ context.Context, by Actor, cmd api.AlarmCommand) ([]api.AlarmResult, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.commands = append(f.commands, fmt.Sprintf("%s %s %d", by.User, cmd.Command, len(cmd.Alarms)))
	return []api.AlarmResult{{ID: cmd.Alarms[0].ID, Result: api.AlarmOK}}, nil
}

func (f *fake) AlarmFeed() *Feed[api.AlarmChange]    { return f.alarmLog }
func (f *fake) JournalFeed() *Feed[api.JournalEntry] { return f.journal }

func (f *fake) PreviewAlarm(_ context.Context, r api.PreviewRequest) (api.Preview, error) {
	return api.Preview{Alarm: r.Alarm, From: r.From, To: r.To, Samples: 5}, nil
}

func (f *fake) Notifications() api.Notifications {
	return api.Notifications{Node: "a", Receivers: []api.Receiver{{Name: "duty", Area: "main", Kind: "webhook", Pending: 2}}}
}

func (f *fake) KPI(_ context.Context, from, to time.Time) (api.KPI, error) {
	return api.KPI{From: from, To: to}, nil
}

// Journal finds log-outs by their text, as the real one does.
func (f *fake) Journal(_ context.Context, q api.JournalQuery) (api.Journal, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.pages) > 0 { // the first, or the one its cursor leads to
		return f.pages[min(len(q.Cursor), 1)], nil
	}
	var j api.Journal
	for _, e := range f.audits {
		if q.Text != "" && q.Kind == "session" && strings.Contains(e.Detail, q.Text) {
			j.Entries = append(j.Entries, api.JournalEntry{Kind: "session", Event: e.Event, Message: e.Detail})
		}
	}
	return j, f.journalErr
}

func (f *fake) History(_ context.Context, q api.HistoryQuery, _ func(api.Series) error) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.query = q
	return "", nil
}

func (f *fake) Audit(e AuditEvent) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.audits = append(f.audits, e)
}

func (f *fake) audited() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []string
	for _, e := range f.audits {
		list = append(list, e.Event+" "+e.Actor.User)
	}
	return list
}
