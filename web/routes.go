package web

import (
	"net/http"
	"reflect"

	"scada/web/api"
)

// route is one row of the table of everything the server answers.
type route struct {
	method     string
	pattern    string // of http.ServeMux, without the method
	permission Permission
	handle     endpoint

	// The rest describes the route in openapi.json, and the parameters are the only ones it takes.
	summary string
	params  []param
	body    reflect.Type
	answer  reflect.Type
	media   []string // what the answer may be when it is not JSON
	moves   bool     // the browser is sent elsewhere
	extra   bool     // takes parameters nobody here knows
	fails   int      // status of an answer of the same form that is no problem document; 0: there is none
	empty   bool     // the answer may be without content
}

// param is a query parameter.
type param struct{ name, about string }

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

const base = "/api/v1"

var (
	pageParams = []param{{"limit", "rows of a page"}, {"cursor", "next of the page before"}}
	spanParams = []param{{"from", "RFC 3339, or a duration before now such as -8h"}, {"to", "RFC 3339 or now"}}
)

func join(lists ...[]param) []param {
	var all []param
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// routes is the table. A request that matches no row is refused like one without permission.
func routes() []route {
	var all []route
	for _, part := range [][]route{healthRoutes(), sessionRoutes(), federationRoutes(), roleRoutes(), tagRoutes(), deviceRoutes(), alarmRoutes(), appRoutes(), configurationRoutes(), recordRoutes(), peopleRoutes(), proofRoutes(), archiveRoutes(), exportRoutes(), diagnosisRoutes(), textRoutes(), sessionListRoutes()} {
		all = append(all, part...)
	}
	return all
}

func healthRoutes() []route {
	area := []param{{"area", "one area instead of the node"}}
	return []route{
		{method: "GET", pattern: "/health/live", permission: Anonymous, handle: (*Server).getLive, answer: typeOf[api.Health](),
			summary: "200 while the server answers"},
		{method: "GET", pattern: "/health/ready", permission: Anonymous, handle: (*Server).getReady, answer: typeOf[api.Health](), params: area, fails: http.StatusServiceUnavailable,
			summary: "200 when the other node could take over, else 503"},
		{method: "GET", pattern: "/health/active", permission: Anonymous, handle: (*Server).getActive, answer: typeOf[api.Health](), params: area, fails: http.StatusServiceUnavailable,
			summary: "200 when this node is active (in the area, or in any), else 503"},
		{method: "GET", pattern: "/metrics", permission: View, handle: (*Server).getMetrics, media: []string{"text/plain"},
			summary: "Metrics in the Prometheus text format"},
		{method: "GET", pattern: base + "/openapi.json", permission: View, handle: (*Server).getOpenAPI, media: []string{"application/json"},
			summary: "This description"},
	}
}

func sessionRoutes() []route {
	return []route{
		{method: "POST", pattern: base + "/session", permission: Anonymous, handle: (*Server).postSession,
			body: typeOf[api.Login](), answer: typeOf[api.Session](), summary: "Log in: sets the session cookie"},
		{method: "GET", pattern: base + "/session", permission: Own, handle: (*Server).getSession, answer: typeOf[api.Session](),
			summary: "Who is signed in"},
		{method: "DELETE", pattern: base + "/session", permission: Own, handle: (*Server).deleteSession, answer: typeOf[api.SignedOut](), empty: true, summary: "Log out"},
		{method: "POST", pattern: base + "/session/exchange", permission: Anonymous, handle: (*Server).postExchange,
			body: typeOf[api.Ticket](), answer: typeOf[api.Session](), summary: "A session here for a ticket of either node"},
		{method: "POST", pattern: base + "/ticket", permission: View, handle: (*Server).postTicket, answer: typeOf[api.Ticket](),
			summary: "A ticket for the other node, valid for ten minutes"},
		{method: "GET", pattern: base + "/ws", permission: Anonymous, handle: (*Server).getSocket, media: []string{"scada.v1"},
			summary: "The socket scada.v1; it is signed in to by its first message"},
	}
}

func roleRoutes() []route {
	all := []route{
		{method: "GET", pattern: base + "/node", permission: View, handle: (*Server).getNode, answer: typeOf[api.NodeInfo](), summary: "This node"},
		{method: "GET", pattern: base + "/role", permission: View, handle: (*Server).getRole, answer: typeOf[api.Pair](),
			summary: "Roles, readiness and paths of both nodes"},
	}
	for _, v := range []struct{ verb, about string }{
		{api.VerbSwitch, "Planned switch to the other node, or to the node named"},
		{api.VerbTake, "Become active here; force although the other node may be active"},
		{api.VerbRelease, "Give the choice of the active node back to the automatic"},
		{api.VerbDrill, "Planned switch there and back, with its record"},
		{api.VerbMaintenance, "Take this node out of the pair, or back in"},
	} {
		all = append(all, route{method: "POST", pattern: base + "/role/" + v.verb, permission: RoleChange, handle: roleCommand(v.verb),
			body: typeOf[api.RoleCommand](), answer: typeOf[api.RoleResult](), summary: v.about})
	}
	return all
}

func tagRoutes() []route {
	filter := []param{{"glob", "pattern of the name: * within a part, ** over parts"}, {"area", ""}, {"device", ""}, {"text", "part of the name or description"}}
	return []route{
		{method: "GET", pattern: base + "/tags", permission: View, handle: (*Server).getTags, answer: typeOf[api.Tags](),
			params: join(filter, pageParams), summary: "Tags with their present values"},
		{method: "GET", pattern: base + "/tags/{name...}", permission: View, handle: (*Server).getTag, answer: typeOf[api.Tag](), summary: "One tag"},
		{method: "POST", pattern: base + "/tags/{name...}", permission: TagWrite, handle: (*Server).postValue,
			body: typeOf[api.Write](), answer: typeOf[api.WriteResult](), summary: "Write a value: the path ends in /value"},
		{method: "GET", pattern: base + "/devices", permission: View, handle: (*Server).getDevices, answer: typeOf[api.Devices](), summary: "All devices"},
		{method: "GET", pattern: base + "/devices/{name...}", permission: View, handle: (*Server).getDevice, answer: typeOf[api.Device](), summary: "One device"},
	}
}

func alarmRoutes() []route {
	filter := []param{{"all", "true: also those in NORM"}, {"state", ""}, {"area", ""}, {"tag", ""}, {"priority", "this one and more urgent ones"}}
	all := []route{
		{method: "GET", pattern: base + "/alarms", permission: View, handle: (*Server).getAlarms, answer: typeOf[api.Alarms](),
			params: join(filter, pageParams), summary: "Alarms that are not normal"},
		{method: "GET", pattern: base + "/notifications", permission: View, handle: (*Server).getNotifications, answer: typeOf[api.Notifications](),
			summary: "Who is told of alarms, and what is still owed"},
		{method: "POST", pattern: base + "/alarms/preview", permission: AlarmOperate, handle: (*Server).postPreview, body: typeOf[api.PreviewRequest](),
			answer: typeOf[api.Preview](), summary: "How an alarm would have behaved with other settings, from recorded samples"},
		{method: "GET", pattern: base + "/kpi", permission: View, handle: (*Server).getKPI, answer: typeOf[api.KPI](), params: spanParams,
			summary: "Alarm performance"},
	}
	for _, v := range []struct {
		command    string
		permission Permission
		about      string
	}{
		{api.AlarmAck, AlarmOperate, "Acknowledge"},
		{api.AlarmReset, AlarmOperate, "Reset latched alarms"},
		{api.AlarmShelve, AlarmOperate, "Shelve for a time"},
		{api.AlarmUnshelve, AlarmOperate, "End shelving"},
		{api.AlarmComment, AlarmOperate, "Add a comment"},
		{api.AlarmOOS, AlarmEngineer, "Take out of service"},
		{api.AlarmRTS, AlarmEngineer, "Return to service"},
	} {
		all = append(all, route{method: "POST", pattern: base + "/alarms/" + v.command, permission: v.permission, handle: alarmCommand(v.command),
			body: typeOf[api.AlarmCommand](), answer: typeOf[api.AlarmResults](), summary: v.about})
	}
	return all
}

func recordRoutes() []route {
	journal := []param{{"kind", ""}, {"category", "alarm, operation, login, workstation or application"}, {"area", ""}, {"source", "condition, tag, device or user"}, {"user", ""}, {"text", "part of the message"}}
	history := []param{{"tag", "name; up to 64 of them"}, {"aggregate", "OPC UA name such as Average"}, {"step", "interval of the aggregate: 1m"},
		{"zone", "time zone such as Europe/Berlin, with a step of whole days: days of that zone"}, {"points", "about so many samples a tag, extremes kept"}}
	return []route{
		{method: "GET", pattern: base + "/journal", permission: View, handle: (*Server).getJournal, answer: typeOf[api.Journal](),
			params: join(journal, spanParams, pageParams), summary: "Alarms, operators' actions and events, newest first"},
		{method: "GET", pattern: base + "/journal/export", permission: View, handle: (*Server).getJournalExport, media: []string{"text/csv", "application/jsonl"},
			params:  join([]param{{"format", "csv, or jsonl for a JSON object in each line"}}, journal, spanParams, pageParams),
			summary: "A page of the journal as a file; the header Next-Cursor, if there is one, is the cursor of the next page"},
		{method: "GET", pattern: base + "/mimics", permission: View, handle: (*Server).getMimics, answer: typeOf[api.Mimics](), summary: "The users' drawings"},
		{method: "GET", pattern: base + "/mimics/{name}", permission: View, handle: (*Server).getMimic, media: []string{"image/svg+xml"},
			summary: "One drawing, with nothing in it that does more than draw"},
		{method: "GET", pattern: base + "/backup", permission: BackupTake, handle: (*Server).getBackup, media: []string{"application/x-tar"},
			summary: "A backup of this node: a tar archive whose last file, manifest.json, lists the others with their checksums"},
		{method: "GET", pattern: base + "/history", permission: View, handle: (*Server).getHistory, answer: typeOf[api.History](),
			params: join(history, spanParams, pageParams), summary: "Recorded samples: raw, processed or reduced"},
		{method: "GET", pattern: base + "/history/targets", permission: View, handle: (*Server).getHistoryTargets, answer: typeOf[api.HistoryTargets](),
			summary: "The engines the history is sent to"},
	}
}
