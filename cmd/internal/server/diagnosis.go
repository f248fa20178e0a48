package server

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"scada/cmd/internal/doctor"
	"scada/web"
	"scada/web/api"
)

var _ web.Diagnosis = (*Server)(nil)

// uaCertificate is where the OPC UA server keeps its certificate, below the data folder.
const uaCertificate = "pki/own/cert.der"

// Checks implements [web.Diagnosis]: what will stop this node one day without being a fault today.
func (s *Server) Checks(ctx context.Context) api.Checks {
	node := s.cfg.Nodes[s.nodeName]
	list := doctor.Machine(node.Data)
	st := s.pair.Status()
	list = append(list, doctor.Skew(st.Peer.ClockOffset, st.Peer.Reachable), doctor.Late(s.late.worst(time.Now()), 2*s.late.limit))
	for _, p := range st.Paths {
		list = append(list, doctor.Path(p.Name, p.Up, p.RTT, p.Lost))
	}
	list = append(list, doctor.Port(ctx, s.dial, "http", s.WebAddr().String()))
	if node.OPCUA != "" {
		list = append(list, doctor.Port(ctx, s.dial, "opcua", node.OPCUA),
			doctor.CertificateFile("opcua", filepath.Join(node.Data, filepath.FromSlash(uaCertificate)), "", time.Now()))
	}
	if dir := s.cfg.WebDir(s.nodeName); dir != "" {
		list = append(list, doctor.CertificateFile("web", filepath.Join(dir, web.CertificateFile), node.HTTP, time.Now()))
	}
	list = append(list, s.linkCertificates(time.Now())...)
	list = append(list, s.healthCheck())
	slices.SortStableFunc(list, func(x, y api.Check) int { return severity(y) - severity(x) })
	return api.Checks{Node: s.nodeName, Time: time.Now().UTC(), State: api.Worst(list), Checks: list}
}

func severity(c api.Check) int {
	return slices.Index([]string{api.CheckOK, api.CheckWarn, api.CheckFail}, c.State)
}

func (s *Server) linkCertificates(now time.Time) []api.Check {
	if s.link == nil {
		return nil
	}
	st := s.link.Status()
	list := []api.Check{doctor.Certificate("link "+st.Own.Node, st.Own.Expires, now)}
	if len(st.Pins) == 0 {
		return append(list, doctor.NoCertificate("link "+s.cfg.Peer(s.nodeName), "pair the nodes: docs/link-security.md"))
	}
	pin := st.Pins[len(st.Pins)-1]
	return append(list, doctor.Certificate("link "+pin.Node, pin.Expires, now))
}

// healthCheck shows what the pair sees, so that one list says everything.
func (s *Server) healthCheck() api.Check {
	h := s.presentHealth()
	c := api.Check{Name: "health", State: api.CheckOK, Value: float64(h.Score), Unit: "points", Text: "nothing is wrong"}
	if len(h.Reasons) > 0 {
		c.Text = h.Reasons[0]
		if n := len(h.Reasons) - 1; n > 0 {
			c.Text += fmt.Sprintf(" (and %d more)", n)
		}
	}
	if h.Score > 0 {
		c.State, c.Advice = api.CheckWarn, "scadactl role shows all; docs/failures.md says what to do about each"
	}
	if h.Score >= weightStuck {
		c.State = api.CheckFail
	}
	return c
}

// Alive reports why the node makes no progress, nil when it does. It is what the watchdog of a service manager should go by: a
// process whose health nobody assesses any more, or whose engine stands still although devices answer, is better started
// again.
func (s *Server) Alive() error {
	a := s.health.Load()
	if age := time.Since(a.at); age > stuckAfter {
		return fmt.Errorf("the node has not looked at itself for %s", age.Round(time.Second))
	}
	for _, name := range s.areaNames {
		area := s.areas[name]
		if why := area.stuck(area.reach(), area.progress()); why != "" {
			return errors.New(why)
		}
	}
	return nil
}

// Summary is one line about the node for the service manager.
func (s *Server) Summary() string {
	roles := map[string]string{}
	for _, a := range s.pair.Status().Areas {
		roles[a.Area] = a.Role.String()
	}
	text := "node " + s.nodeName
	for _, name := range slices.Sorted(maps.Keys(roles)) {
		text += fmt.Sprintf(", %s %s", name, roles[name])
	}
	return text
}
