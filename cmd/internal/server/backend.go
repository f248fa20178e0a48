package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"time"

	"scada/acquisition"
	"scada/alarms"
	"scada/history/journal"
	"scada/redundancy"
	"scada/web"
	"scada/web/api"
)

// backend is the server as HTTP and WebSocket clients see it.
type backend struct{ *Server }

var _ web.Backend = backend{}

// Limits of what one request may ask for.
const (
	defaultAlarms = 1000
	maxAlarms     = 10_000
)

// Node implements [web.Backend].
func (b backend) Node() api.NodeInfo {
	return api.NodeInfo{
		Node: b.nodeName, Project: b.cfg.Project, Version: b.version, GoVersion: runtime.Version(), ConfigDigest: b.now().cfg.Digest,
		StartedAt: b.started, Time: time.Now().UTC(), Tags: len(b.now().cfg.Tags), Devices: len(b.now().cfg.Devices),
	}
}

// RoleCommand implements [web.Backend].
func (b backend) RoleCommand(ctx context.Context, by web.Actor, cmd api.RoleCommand) (api.RoleResult, error) {
	return b.roleCommand(ctx, by, cmd)
}

// Ready implements [web.Backend].
func (b backend) Ready(string) (bool, []string) {
	pair := b.Role()
	var reasons []string
	for _, n := range pair.Nodes {
		reasons = append(reasons, n.NotReady...)
	}
	return b.pair.Status().FailoverReady && len(reasons) == 0, reasons
}

// Plant implements [web.Backend].
func (b backend) Plant() *web.Plant { return b.now().plant }

// WriteTag implements [web.Backend].
func (b backend) WriteTag(ctx context.Context, by web.Actor, w web.Write) (api.WriteResult, error) {
	return b.write(ctx, by, w)
}

// Devices implements [web.Backend].
func (b backend) Devices() []api.Device {
	var out []api.Device
	st := b.pair.Status()
	for _, name := range b.areaNames {
		view := b.nodeName
		if !slices.ContainsFunc(st.Areas, func(a redundancy.AreaStatus) bool { return a.Area == name && a.Role.String() == api.RoleActive }) {
			view = b.cfg.Peer(b.nodeName)
		}
		for _, d := range b.areas[name].status() {
			out = append(out, b.deviceJSON(name, view, d))
		}
	}
	return out
}

func (b backend) deviceJSON(area, view string, d acquisition.DeviceStatus) api.Device {
	c := d.Counters
	j := api.Device{
		Name: d.Device, Area: area, Driver: b.now().drivers[d.Device], Endpoint: d.Endpoint, Node: view, State: deviceState(d.State), Since: moment(d.Since),
		Tags: d.Tags, LatencyMs: milliseconds(d.Response), Requests: c.Requests, Errors: c.Malformed + exceptions(c.Exceptions),
		Timeouts: c.Timeouts, Overruns: c.Overruns, Reconnects: c.Reconnects, LastError: d.LastError, LastErrorAt: moment(d.LastErrorAt),
		LatencyMax: milliseconds(d.ResponseMax), StartLateMs: milliseconds(d.Lateness), Blocks: d.Blocks, Window: d.Window,
		Late: c.Late, Malformed: c.Malformed, Demotions: c.Demotions, Writes: c.Writes, Exceptions: byCode(c.Exceptions),
	}
	if c.Late+c.Malformed+c.Demotions > 0 {
		j.Detail = fmt.Sprintf("late %d, malformed %d, demoted %d", c.Late, c.Malformed, c.Demotions)
	}
	return j
}

// byCode lists the counts of a device's exceptions by code.
func byCode(m map[uint8]uint64) (list []uint64) {
	for code, n := range m {
		if grow := int(code) + 1 - len(list); grow > 0 {
			list = append(list, make([]uint64, grow)...)
		}
		list[code] = n
	}
	return list
}

func exceptions(byCode map[uint8]uint64) (sum uint64) {
	for _, n := range byCode {
		sum += n
	}
	return sum
}

// deviceState says it in the words of the interface.
func deviceState(s acquisition.State) string {
	switch s {
	case acquisition.Good:
		return "connected"
	case acquisition.Connecting, acquisition.Waiting, acquisition.Suspect:
		return "connecting" // a suspect does not answer now: calling it connected would mislead
	case acquisition.Demoted:
		return "disconnected"
	case acquisition.Stopped:
		return "standby"
	}
	return s.String()
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// Alarms implements [web.Backend].
func (b backend) Alarms(_ context.Context, f api.AlarmFilter) (api.Alarms, error) {
	var all []api.Alarm
	for _, name := range b.areaNames {
		if f.Area != "" && f.Area != name {
			continue
		}
		for _, c := range b.areas[name].conditions(alarms.Filter{Tag: f.Tag}) {
			j := alarmJSON(name, b.areas[name].unit(c.Tag), c)
			if (c.State == alarms.StateNorm && !f.All) || (f.State != "" && j.State != f.State) || (f.MaxPriority > 0 && j.Priority > f.MaxPriority) {
				continue
			}
			all = append(all, j)
		}
	}
	slices.SortStableFunc(all, func(x, y api.Alarm) int {
		return cmp.Or(cmp.Compare(x.Priority, y.Priority), cmp.Compare(nanos(y.Time), nanos(x.Time)))
	})
	return alarmPage(all, f)
}

func nanos(t *time.Time) int64 {
	if t == nil {
		return 0
	}
	return t.UnixNano()
}

func alarmPage(all []api.Alarm, f api.AlarmFilter) (api.Alarms, error) {
	from := 0
	if f.Cursor != "" {
		n, err := strconv.Atoi(f.Cursor)
		if err != nil || n < 0 || n > len(all) {
			return api.Alarms{}, api.NewProblem(api.CodeBadRequest, "the cursor is not one of this list")
		}
		from = n
	}
	limit := f.Limit
	if limit <= 0 {
		limit = defaultAlarms
	}
	to := min(from+min(limit, maxAlarms), len(all))
	page := api.Alarms{Alarms: all[from:to], Total: len(all)}
	if page.Alarms == nil {
		page.Alarms = []api.Alarm{}
	}
	if to < len(all) {
		page.Next = strconv.Itoa(to)
	}
	return page, nil
}

// conditions returns the area's conditions of a filter.
func (a *area) conditions(f alarms.Filter) []alarms.Condition {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.engine.Conditions(f)
}

// AlarmCommand implements [web.Backend].
func (b backend) AlarmCommand(ctx context.Context, by web.Actor, cmd api.AlarmCommand) ([]api.AlarmResult, error) {
	return b.alarmCommand(ctx, by, cmd)
}

// AlarmFeed implements [web.Backend].
func (b backend) AlarmFeed() *web.Feed[api.AlarmChange] { return b.alarmFeed }

// JournalFeed implements [web.Backend].
func (b backend) JournalFeed() *web.Feed[api.JournalEntry] { return b.entryFeed }

// Journal implements [web.Backend].
func (b backend) Journal(_ context.Context, q api.JournalQuery) (api.Journal, error) {
	if c := journal.Category(q.Category); c != "" && !slices.Contains(journal.Categories, c) {
		return api.Journal{}, api.NewProblem(api.CodeBadRequest, "no category is named %q", q.Category)
	}
	page, err := b.journal.Query(journal.Query{
		From: nanosOf(q.From), To: nanosOf(q.To), Class: journal.Class(q.Kind), Category: journal.Category(q.Category), Area: q.Area, Source: q.Source, User: q.User, Text: q.Text,
		Descending: true, Limit: q.Limit, Cursor: q.Cursor,
	})
	if errors.Is(err, journal.ErrCursor) {
		return api.Journal{}, api.NewProblem(api.CodeBadRequest, "the cursor is not one of this list")
	}
	if err != nil {
		return api.Journal{}, err
	}
	out := api.Journal{Entries: make([]api.JournalEntry, 0, len(page.Entries)), Next: page.Next}
	for _, e := range page.Entries {
		out.Entries = append(out.Entries, entryJSON(e))
	}
	return out, nil
}

func nanosOf(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// Audit implements [web.Backend].
func (b backend) Audit(ev web.AuditEvent) {
	e := b.newEntry(journal.ClassSession, ev.Event, "", ev.Actor.User, ev.Actor.User, ev.Detail)
	e.Message = joinText(e.Message, "from "+ev.Actor.Remote)
	b.areas[b.areaNames[0]].record(e)
}
