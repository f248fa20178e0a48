package server

import (
	"cmp"
	"slices"
	"time"

	"scada/cmd/internal/config"
	"scada/redundancy"
	"scada/web/api"
)

// Role implements [web.Backend].
func (b backend) Role() api.Pair {
	st := b.pair.Status()
	own, peer := b.ownNode(st), b.peerNode(st)
	pair := api.Pair{Nodes: []api.Node{own, peer}, Switches: b.switches.newest(st)}
	slices.SortFunc(pair.Nodes, func(x, y api.Node) int { return cmp.Compare(x.Node, y.Node) })
	for i, sw := range pair.Switches {
		if pair.LastSwitch == nil || sw.At.After(pair.LastSwitch.At) {
			pair.LastSwitch = &pair.Switches[i]
		}
	}
	return pair
}

func (b backend) ownNode(st redundancy.Status) api.Node {
	n := api.Node{
		Node: st.Node, Designation: b.designation(st.Node), Reachable: true, Version: st.Version, ConfigDigest: st.Digest,
		Ready: st.FailoverReady, NotReady: notNil(st.NotReady), Score: totalScore(st.Health), Faults: st.Health.Reasons,
		Backfill: b.backfill(),
	}
	for _, a := range st.Areas {
		n.Areas = append(n.Areas, api.Area{Area: a.Area, Designation: b.designatedFor(a.Area, n.Node), Role: a.Role.String(), Epoch: a.Epoch,
			Confirmed: a.Confirmed, Since: a.Since, Reason: a.Reason})
		n.Mirror = mirrorJSON(n.Mirror, a.Mirror)
	}
	for _, p := range st.Paths {
		n.Paths = append(n.Paths, api.Path{Name: p.Name, Up: p.Up, RTTms: milliseconds(p.RTT), Lost: p.Lost})
	}
	return n
}

// peerNode is the peer as it last told of itself; nothing of it is invented when it is silent.
func (b backend) peerNode(st redundancy.Status) api.Node {
	n := api.Node{
		Node: b.cfg.Peer(b.nodeName), Designation: b.designation(b.cfg.Peer(b.nodeName)), Reachable: st.Peer.Reachable,
		Version: st.Peer.Version, ConfigDigest: st.Peer.Digest, Score: totalScore(st.Peer.Health), Faults: st.Peer.Health.Reasons,
		Ready: st.FailoverReady, NotReady: notNil(slices.Clone(st.Peer.Health.NotReady)),
	}
	if !st.Peer.Reachable {
		n.NotReady = append(n.NotReady, "node "+n.Node+" is not reachable")
	}
	if st.Peer.Refused != "" && !st.Peer.Reachable { // a stranger who is turned away makes nothing less ready
		n.NotReady = append(n.NotReady, st.Peer.Refused)
	}
	if st.Peer.Reachable && !st.Peer.DigestEqual {
		n.NotReady = append(n.NotReady, "node "+n.Node+" runs another configuration ("+st.Peer.Digest+")")
	}
	n.Ready = n.Ready && len(n.NotReady) == 0
	for _, a := range st.Peer.Areas {
		area := api.Area{Area: a.Area, Designation: b.designatedFor(a.Area, n.Node), Role: a.Role.String(), Epoch: a.Epoch,
			Confirmed: a.Confirmed, Since: a.Since, Reason: a.Reason}
		if !n.Reachable {
			area.Role, area.Was, area.Confirmed = api.RoleUnknown, area.Role, false
		}
		n.Areas = append(n.Areas, area)
		n.Mirror = mirrorJSON(n.Mirror, a.Mirror)
	}
	for _, p := range st.Paths {
		n.Paths = append(n.Paths, api.Path{Name: p.Name, Up: p.Up, RTTms: milliseconds(p.RTT), Lost: p.Lost})
	}
	return n
}

func notNil(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// mirrorJSON adds an area to the sum a node shows: positions add up, the oldest lag counts.
func mirrorJSON(sum api.Mirror, m redundancy.MirrorStatus) api.Mirror {
	sum.AppliedSeq += m.AppliedSeq
	sum.DurableSeq += m.DurableSeq
	sum.LagMs = max(sum.LagMs, m.Lag.Milliseconds())
	return sum
}

// designation is what a node is configured as: the primary of the first area, or its standby.
func (s *Server) designation(node string) string { return s.designatedFor(s.areaNames[0], node) }

// designatedFor is what a node is configured as for one area.
func (s *Server) designatedFor(area, node string) string {
	if slices.ContainsFunc(s.cfg.Areas, func(a config.Area) bool { return a.Name == area && a.Primary == node }) {
		return api.DesignatedPrimary
	}
	return api.DesignatedStandby
}
