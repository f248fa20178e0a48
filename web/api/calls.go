package api

import (
	"context"
	"time"
)

// Role returns the state of both nodes.
func (c *Client) Role(ctx context.Context) (Pair, error) {
	var out Pair
	return out, c.get(ctx, "/role", nil, &out)
}

// RoleCommand changes roles; cmd.Verb says how.
func (c *Client) RoleCommand(ctx context.Context, cmd RoleCommand) (RoleResult, error) {
	var out RoleResult
	verb := cmd.Verb
	cmd.Verb = ""
	return out, c.post(ctx, "/role/"+verb, cmd, &out)
}

// Node identifies the server that answers.
func (c *Client) Node(ctx context.Context) (NodeInfo, error) {
	var out NodeInfo
	return out, c.get(ctx, "/node", nil, &out)
}

// ConfigDigest returns the digest of the configuration of the server that answers.
func (c *Client) ConfigDigest(ctx context.Context) (ConfigDigest, error) {
	var out ConfigDigest
	return out, c.get(ctx, "/config/digest", nil, &out)
}

// Session tells who the client is signed in as.
func (c *Client) Session(ctx context.Context) (Session, error) {
	var out Session
	return out, c.get(ctx, "/session", nil, &out)
}

// Tags returns a page of tags.
func (c *Client) Tags(ctx context.Context, f TagFilter) (Tags, error) {
	var out Tags
	q := values("glob", f.Glob, "area", f.Area, "device", f.Device, "text", f.Text, "limit", count(f.Limit), "cursor", f.Cursor)
	return out, c.get(ctx, "/tags", q, &out)
}

// Tag returns one tag.
func (c *Client) Tag(ctx context.Context, name string) (Tag, error) {
	var out Tag
	return out, c.get(ctx, "/tags/"+escapeName(name), nil, &out)
}

// WriteTag writes a value.
func (c *Client) WriteTag(ctx context.Context, name string, w Write) (WriteResult, error) {
	var out WriteResult
	return out, c.post(ctx, "/tags/"+escapeName(name)+"/value", w, &out)
}

// Devices returns the devices.
func (c *Client) Devices(ctx context.Context) (Devices, error) {
	var out Devices
	return out, c.get(ctx, "/devices", nil, &out)
}

// Device returns one device.
func (c *Client) Device(ctx context.Context, name string) (Device, error) {
	var out Device
	return out, c.get(ctx, "/devices/"+escapeName(name), nil, &out)
}

// TestDevice examines a device.
func (c *Client) TestDevice(ctx context.Context, name string, cmd DeviceTestCommand) (DeviceTest, error) {
	var out DeviceTest
	return out, c.post(ctx, "/devices/"+escapeName(name)+"/test", cmd, &out)
}

// DeviceNodes returns a page of the variables of a device.
func (c *Client) DeviceNodes(ctx context.Context, name string, q DeviceBrowse) (DeviceNodes, error) {
	var out DeviceNodes
	return out, c.get(ctx, "/devices/"+escapeName(name)+"/nodes", values("node", q.Node, "cursor", q.Cursor, "limit", count(q.Limit)), &out)
}

// Apps returns the applications.
func (c *Client) Apps(ctx context.Context) (Apps, error) {
	var out Apps
	return out, c.get(ctx, "/apps", nil, &out)
}

// App returns one application with its source, state and log.
func (c *Client) App(ctx context.Context, name string) (App, error) {
	var out App
	return out, c.get(ctx, "/apps/"+escapeName(name), nil, &out)
}

// AppCommand checks, deploys or rolls back an application; cmd.Command says which.
func (c *Client) AppCommand(ctx context.Context, cmd AppCommand) (App, error) {
	var out App
	return out, c.post(ctx, "/apps/"+escapeName(cmd.Name)+"/"+cmd.Command, cmd, &out)
}

// Alarms returns a page of alarms.
func (c *Client) Alarms(ctx context.Context, f AlarmFilter) (Alarms, error) {
	var out Alarms
	all := ""
	if f.All {
		all = "true"
	}
	q := values("all", all, "state", f.State, "area", f.Area, "tag", f.Tag, "priority", count(f.MaxPriority), "limit", count(f.Limit), "cursor", f.Cursor)
	return out, c.get(ctx, "/alarms", q, &out)
}

// AlarmCommand acknowledges, shelves, comments…; cmd.Command says which.
func (c *Client) AlarmCommand(ctx context.Context, cmd AlarmCommand) (AlarmResults, error) {
	var out AlarmResults
	command := cmd.Command
	cmd.Command = ""
	return out, c.post(ctx, "/alarms/"+command, cmd, &out)
}

// KPI returns the alarm performance of an interval; a zero bound is the server's default.
func (c *Client) KPI(ctx context.Context, from, to time.Time) (KPI, error) {
	var out KPI
	return out, c.get(ctx, "/kpi", values("from", stamp(from), "to", stamp(to)), &out)
}

// Journal returns a page of the journal, newest first.
func (c *Client) Journal(ctx context.Context, q JournalQuery) (Journal, error) {
	var out Journal
	v := values("from", stamp(q.From), "to", stamp(q.To), "kind", q.Kind, "category", q.Category, "area", q.Area, "source", q.Source, "user", q.User,
		"text", q.Text, "limit", count(q.Limit), "cursor", q.Cursor)
	return out, c.get(ctx, "/journal", v, &out)
}

// History returns recorded samples.
func (c *Client) History(ctx context.Context, q HistoryQuery) (History, error) {
	var out History
	step := ""
	if q.Step != 0 {
		step = q.Step.String()
	}
	v := values("from", stamp(q.From), "to", stamp(q.To), "aggregate", q.Aggregate, "step", step, "zone", q.Zone, "points", count(q.Points),
		"limit", count(q.Limit), "cursor", q.Cursor)
	v["tag"] = q.Tags
	return out, c.get(ctx, "/history", v, &out)
}
