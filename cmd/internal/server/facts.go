package server

import (
	"slices"
	"strings"

	"scada/acquisition"
	"scada/acquisition/system"
	"scada/acquisition/tag"
	"scada/web/api"
)

// facts is one picture of the pair for the tags of the system: what people are shown of it, as this node sees it.
type facts struct {
	s    *Server
	area string
	pair api.Pair
}

func (s *Server) facts(area string) system.Facts {
	return &facts{s: s, area: area, pair: backend{s}.Role()}
}

// Fact implements [system.Facts].
func (f *facts) Fact(a system.Address) (tag.Value, bool) {
	switch a.Object {
	case "pair":
		return f.ofPair(a.Fact), true
	case "node":
		n, _ := f.pair.Find(a.Name)
		return f.ofNode(n, a.Fact)
	case "path":
		return f.ofPath(a.Name, a.Fact)
	case "device":
		return f.ofDevice(a.Name, a.Fact)
	}
	return f.ofApp(a.Name, a.Fact)
}

func (f *facts) ofPair(fact string) tag.Value {
	var reasons []string
	equal, same := true, true
	for _, n := range f.pair.Nodes {
		reasons = append(reasons, n.NotReady...)
		equal = equal && !slices.ContainsFunc(n.Faults, func(why string) bool { return strings.HasPrefix(why, eventDiverged) })
		same = same && (!n.Reachable || n.ConfigDigest == f.pair.Nodes[0].ConfigDigest || !f.pair.Nodes[0].Reachable)
	}
	switch fact {
	case "ready":
		return tag.Bool(!slices.ContainsFunc(f.pair.Nodes, func(n api.Node) bool { return !n.Ready }))
	case "reasons":
		return tag.String(strings.Join(reasons, "; "))
	case "history_equal":
		return tag.Bool(equal)
	}
	return tag.Bool(same)
}

func (f *facts) ofNode(n api.Node, fact string) (tag.Value, bool) {
	if fact == "reachable" {
		return tag.Bool(n.Reachable), true
	}
	if !n.Reachable { // what it said last is no fact any more
		return tag.Bool(false), fact == "active"
	}
	switch fact {
	case "active":
		return tag.Bool(slices.ContainsFunc(n.Areas, func(a api.Area) bool { return a.Area == f.area && a.Role == api.RoleActive })), true
	case "score":
		return tag.Float64(float64(n.Score)), true
	case "reasons":
		return tag.String(strings.Join(n.Faults, "; ")), true
	case "mirror_lag_ms":
		return tag.Float64(float64(n.Mirror.LagMs)), true
	}
	return tag.Float64(float64(n.Backfill.Remaining)), true
}

func (f *facts) ofPath(name, fact string) (tag.Value, bool) {
	own, _ := f.pair.Find(f.s.nodeName)
	i := slices.IndexFunc(own.Paths, func(p api.Path) bool { return p.Name == name })
	if i < 0 {
		return tag.Value{}, false
	}
	if p := own.Paths[i]; fact == "rtt_ms" {
		return tag.Float64(p.RTTms), p.Up
	}
	return tag.Bool(own.Paths[i].Up), true
}

func (f *facts) ofDevice(name, fact string) (tag.Value, bool) {
	for _, area := range f.s.areaNames {
		list := f.s.areas[area].status()
		i := slices.IndexFunc(list, func(d acquisition.DeviceStatus) bool { return d.Device == name })
		if i < 0 {
			continue
		}
		switch d := list[i]; fact {
		case "answers":
			return tag.Bool(answers(d.State)), true
		case "latency_ms":
			return tag.Float64(milliseconds(d.Response)), answers(d.State)
		default:
			return tag.Float64(float64(d.Counters.Timeouts)), true
		}
	}
	return tag.Value{}, false
}

// ofApp tells whether an application is at work, not switched off for its mistakes, and whether it is what somebody deployed
// last.
func (f *facts) ofApp(name, fact string) (tag.Value, bool) {
	for _, area := range f.s.areaNames {
		h := f.s.areas[area].apps
		if h == nil || !slices.Contains(h.engine.Names(), name) {
			continue
		}
		if fact == "deployed" {
			return tag.Bool(!h.refusedLast(name)), true
		}
		return tag.Bool(h.show(name).Disabled == ""), true
	}
	return tag.Value{}, false
}
