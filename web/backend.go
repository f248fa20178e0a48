package web

import (
	"context"
	"time"

	"scada/acquisition/live"
	"scada/acquisition/tag"
	"scada/web/api"
)

// Backend is the node behind the interface. Its methods are called from many goroutines. Those without a context
// answer from memory at once; those with one end when it does. An error that is an [*api.Problem] is told to the client
// as it is; of any other the client learns only that it happened, and the log the rest.
type Backend interface {
	// Node identifies this node.
	Node() api.NodeInfo
	// Role is the state of both nodes as this one knows it. It does not ask the other node: it is read several times
	// a second.
	Role() api.Pair
	// RoleCommand changes roles: one of the verbs of package api. It returns when the change is done or refused.
	RoleCommand(ctx context.Context, by Actor, cmd api.RoleCommand) (api.RoleResult, error)
	// Ready reports whether the other node could take over the area (every area when empty), and if not why.
	Ready(area string) (bool, []string)

	// Plant is the present configuration with its values. A reload makes a new one.
	Plant() *Plant
	// WriteTag writes a value to the device of a tag, here or on the active node.
	WriteTag(ctx context.Context, by Actor, w Write) (api.WriteResult, error)
	// Devices is the state of every device.
	Devices() []api.Device
	// TestDevice examines a device from the active node, or looks at it from this one.
	TestDevice(ctx context.Context, by Actor, device string, cmd api.DeviceTestCommand) (api.DeviceTest, error)
	// DeviceNodes is a page of the variables a device has.
	DeviceNodes(ctx context.Context, by Actor, device string, q api.DeviceBrowse) (api.DeviceNodes, error)

	// Apps is every application, without source, state and log.
	Apps() []api.App
	// App shows, checks or replaces an application, on the node that runs it.
	App(ctx context.Context, by Actor, cmd api.AppCommand) (api.App, error)

	// Alarms returns the alarms of the filter, most urgent and newest first.
	Alarms(ctx context.Context, f api.AlarmFilter) (api.Alarms, error)
	// AlarmCommand acknowledges, shelves, comments…, here or on the active node. One result for each alarm of the command.
	AlarmCommand(ctx context.Context, by Actor, cmd api.AlarmCommand) ([]api.AlarmResult, error)
	// AlarmFeed carries every transition of every alarm, after it is durable.
	AlarmFeed() *Feed[api.AlarmChange]
	// Notifications tells who is told of alarms, and what is still owed.
	Notifications() api.Notifications
	// PreviewAlarm replays recorded samples against changed settings of an alarm.
	PreviewAlarm(ctx context.Context, r api.PreviewRequest) (api.Preview, error)
	// KPI computes the alarm performance of an interval.
	KPI(ctx context.Context, from, to time.Time) (api.KPI, error)

	// Journal returns a page of the journal, newest first.
	Journal(ctx context.Context, q api.JournalQuery) (api.Journal, error)
	// JournalFeed carries every new entry of the journal.
	JournalFeed() *Feed[api.JournalEntry]
	// History calls give with the recorded samples of one tag after the other, in pieces: what follows with the same tag goes on
	// with it, and each tag has one piece at least, perhaps an empty one. A piece is valid until give returns. It returns the
	// cursor of the rest, if there is more.
	History(ctx context.Context, q api.HistoryQuery, give func(api.Series) error) (next string, err error)
	// Audit records a log-in, a log-out, or a refused one.
	Audit(e AuditEvent)
}

// Plant is one revision of the configuration as clients see it. Definitions and values belong together: a handle is a
// tag.ID and means another tag in another revision. It is read-only; pointer identity is the revision.
type Plant struct {
	Tags []tag.Definition // by ID, hence by name
	Live *live.Table
	// Pages are the tags shown on named pages, for subscriptions by page.
	Pages map[string][]string
	// Texts are the descriptions and messages in other languages: language -> text -> text in the language.
	Texts map[string]map[string]string
}

// Actor is who asks: it goes into the journal with everything they do.
type Actor struct {
	User   string
	Role   Role            // in the whole plant
	Areas  map[string]Role // the roles in some areas instead
	Remote string          // address of the client without the port
	// MustChange: somebody else knows the password; until it is changed nothing else may be done with it.
	MustChange bool
}

// Write is a checked request to write a tag.
type Write struct {
	Tag   tag.Definition
	Value tag.Value // of the tag's type and within its range
	// Deadline is always set. The value must not be sent to the device after it.
	Deadline time.Time
	// Epoch, when not 0, is the only epoch of the area in which the value may be written. Whoever writes checks it
	// again: it may have changed since the server did.
	Epoch  uint64
	Nonce  string
	Reason string
}

// AuditEvent is a log-in or log-out for the journal.
type AuditEvent struct {
	Event  string // log-in, log-in refused, log-out, ticket exchanged
	Actor  Actor
	Detail string
}
