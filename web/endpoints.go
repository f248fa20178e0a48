package web

import (
	"net/http"
	"runtime"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"scada/web/api"
)

func (s *Server) getLive(*call) (any, error) { return api.Health{Status: "ok"}, nil }

func (s *Server) getReady(c *call) (any, error) {
	area := c.query("area")
	if area != "" && !s.knowsArea(area) {
		return nil, api.NewProblem(api.CodeNotFound, "no area %q", area)
	}
	ready, _ := s.backend.Ready(area)
	return health(c, ready)
}

func (s *Server) getActive(c *call) (any, error) {
	area := c.query("area")
	if area != "" && !s.knowsArea(area) {
		return nil, api.NewProblem(api.CodeNotFound, "no area %q", area)
	}
	n, _ := s.backend.Role().Find(s.cfg.Node)
	active := slices.ContainsFunc(n.Areas, func(a api.Area) bool {
		return a.Role == api.RoleActive && (area == "" || a.Area == area)
	})
	return health(c, active)
}

func health(c *call, ok bool) (any, error) {
	if ok {
		return api.Health{Status: "ok"}, nil
	}
	return nil, sendJSON(c.w, c.r, http.StatusServiceUnavailable, jsonType, api.Health{Status: "unavailable"})
}

func (s *Server) knowsArea(area string) bool {
	_, ok := s.myArea(area)
	return ok
}

func (s *Server) getMetrics(c *call) (any, error) {
	promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second}).ServeHTTP(c.w, c.r)
	return nil, nil
}

func (s *Server) getNode(*call) (any, error) {
	n := s.backend.Node()
	n.Time = s.now().UTC()
	n.GoVersion = runtime.Version()
	return n, nil
}

func (s *Server) getDigest(*call) (any, error) {
	return api.ConfigDigest{Node: s.cfg.Node, Digest: s.backend.Node().ConfigDigest}, nil
}

func (s *Server) getRole(*call) (any, error) { return tidyPair(s.backend.Role()), nil }

// tidyPair turns nil lists into empty ones: clients index without asking.
func tidyPair(p api.Pair) api.Pair {
	p.Nodes = append([]api.Node{}, p.Nodes...)
	for i := range p.Nodes {
		n := &p.Nodes[i]
		n.Areas, n.NotReady, n.Paths = filled(n.Areas), filled(n.NotReady), filled(n.Paths)
	}
	return p
}

// filled returns the list, empty instead of nil, which JSON would show as null.
func filled[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

const roleTimeout = 55 * time.Second // a drill is two switches; within the time an answer may take to write

func roleCommand(verb string) endpoint {
	return func(s *Server, c *call) (any, error) {
		var cmd api.RoleCommand
		if err := c.decodeOptional(&cmd); err != nil {
			return nil, err
		}
		switch {
		case cmd.Verb != "" && cmd.Verb != verb:
			return nil, api.NewProblem(api.CodeBadRequest, "the path says %s, the body %s", verb, cmd.Verb)
		case cmd.Force && verb != api.VerbTake, cmd.On && verb != api.VerbMaintenance:
			return nil, api.NewProblem(api.CodeBadRequest, "force is for take, on for maintenance")
		case cmd.To != "" && verb != api.VerbSwitch:
			return nil, api.NewProblem(api.CodeBadRequest, "to is for switch")
		case len(cmd.Reason) > maxText:
			return nil, api.NewProblem(api.CodeBadRequest, "the reason has at most %d bytes", maxText)
		case cmd.Area != "" && !s.knowsArea(cmd.Area):
			return nil, api.NewProblem(api.CodeNotFound, "no area %q", cmd.Area)
		}
		if err := c.who.Refuse(RoleChange, cmd.Area); err != nil {
			return nil, err
		}
		cmd.Verb = verb
		ctx, cancel := commandContext(c.r.Context(), roleTimeout)
		defer cancel()
		return s.backend.RoleCommand(ctx, c.who.Actor, cmd)
	}
}

const alarmTimeout = 15 * time.Second

func alarmCommand(command string) endpoint {
	return func(s *Server, c *call) (any, error) {
		var cmd api.AlarmCommand
		if err := c.decode(&cmd); err != nil {
			return nil, err
		}
		if err := checkAlarmCommand(command, cmd); err != nil {
			return nil, err
		}
		cmd.Command = command
		ctx, cancel := commandContext(c.r.Context(), alarmTimeout)
		defer cancel()
		results, err := s.backend.AlarmCommand(ctx, c.who.Actor, cmd)
		return api.AlarmResults{Results: filled(results)}, err
	}
}

func checkAlarmCommand(command string, cmd api.AlarmCommand) error {
	switch {
	case cmd.Command != "" && cmd.Command != command:
		return api.NewProblem(api.CodeBadRequest, "the path says %s, the body %s", command, cmd.Command)
	case len(cmd.Alarms) == 0 || len(cmd.Alarms) > maxAlarmRefs:
		return api.NewProblem(api.CodeBadRequest, "want 1 to %d alarms", maxAlarmRefs)
	case len(cmd.Comment) > maxText:
		return api.NewProblem(api.CodeBadRequest, "the comment has at most %d bytes", maxText)
	case command == api.AlarmComment && cmd.Comment == "":
		return api.NewProblem(api.CodeBadRequest, "a comment needs a text")
	case command == api.AlarmShelve && !cmd.OneShot && (cmd.ForS < 1 || cmd.ForS > maxShelve):
		return api.NewProblem(api.CodeBadRequest, "for_s: shelve for 1 to %d seconds, or one_shot", maxShelve)
	case command != api.AlarmShelve && (cmd.ForS != 0 || cmd.OneShot):
		return api.NewProblem(api.CodeBadRequest, "for_s and one_shot are for shelve")
	}
	for _, a := range cmd.Alarms {
		if a.ID == "" || len(a.ID) > maxText {
			return api.NewProblem(api.CodeBadRequest, "an alarm has no id, or one of more than %d bytes", maxText)
		}
	}
	return nil
}

func (s *Server) getAlarms(c *call) (any, error) {
	all, err := c.boolean("all")
	if err != nil {
		return nil, err
	}
	priority, err := c.number("priority", 0, 1_000_000)
	if err != nil {
		return nil, err
	}
	limit, err := c.number("limit", defaultPage, maxPage)
	if err != nil {
		return nil, err
	}
	a, err := s.backend.Alarms(c.r.Context(), api.AlarmFilter{All: all, State: c.query("state"), Area: c.query("area"),
		Tag: c.query("tag"), MaxPriority: priority, Limit: limit, Cursor: c.query("cursor")})
	a.Alarms = filled(a.Alarms)
	return a, err
}

func (s *Server) getKPI(c *call) (any, error) {
	from, to, err := c.span(s.now(), 8*time.Hour)
	if err != nil {
		return nil, err
	}
	return s.backend.KPI(c.r.Context(), from, to)
}

func (s *Server) getJournal(c *call) (any, error) {
	q, err := c.journalQuery(s.now(), defaultPage)
	if err != nil {
		return nil, err
	}
	j, err := s.backend.Journal(c.r.Context(), q)
	j.Entries = filled(j.Entries)
	return j, err
}

func (c *call) journalQuery(now time.Time, page int) (api.JournalQuery, error) {
	q := api.JournalQuery{Kind: c.query("kind"), Category: c.query("category"), Area: c.query("area"), Source: c.query("source"), User: c.query("user"),
		Text: c.query("text"), Cursor: c.query("cursor")}
	var err error
	if q.From, err = c.instant("from", now); err != nil {
		return q, err
	}
	if q.To, err = c.instant("to", now); err != nil {
		return q, err
	}
	if q.Limit, err = c.number("limit", page, maxPage); err != nil {
		return q, err
	}
	if len(q.Text) > maxText {
		return q, api.NewProblem(api.CodeBadRequest, "text has at most %d bytes", maxText)
	}
	return q, nil
}

func (s *Server) getDevices(*call) (any, error) {
	return api.Devices{Devices: filled(s.backend.Devices())}, nil
}

func (s *Server) getDevice(c *call) (any, error) {
	name := c.r.PathValue("name")
	for _, d := range s.backend.Devices() {
		if d.Name == name {
			return d, nil
		}
	}
	return nil, api.NewProblem(api.CodeNotFound, "no device %q", name)
}
