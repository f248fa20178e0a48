package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"scada/acquisition"
	"scada/acquisition/tag"
	"scada/history/journal"
	"scada/redundancy"
	"scada/web"
	"scada/web/api"
)

// maxNodesBytes bounds one page of a device's nodes on its way between the nodes of the pair.
const maxNodesBytes = redundancy.MaxCommand / 2

// deviceRequest is a question to a device, as it travels from the standby to the active.
type deviceRequest struct {
	Device string `json:"device"`
	By     string `json:"by"`
	Browse bool   `json:"browse,omitempty"` // what it has; else how it is doing
	Node   string `json:"node,omitempty"`
	Skip   int    `json:"skip,omitempty"`
	Most   int    `json:"most,omitempty"`
}

// deviceAnswer is one of the two answers, or why there is none.
type deviceAnswer struct {
	Test    *api.DeviceTest  `json:"test,omitempty"`
	Nodes   *api.DeviceNodes `json:"nodes,omitempty"`
	Problem *api.Problem     `json:"problem,omitempty"`
}

// TestDevice implements [web.Backend].
func (b backend) TestDevice(ctx context.Context, by web.Actor, device string, cmd api.DeviceTestCommand) (api.DeviceTest, error) {
	a := b.areaOfDevice(device)
	switch {
	case a == nil:
		return api.DeviceTest{}, api.NewProblem(api.CodeNotFound, "no device %q", device)
	case cmd.Here && !a.isActive():
		return b.lookFromStandby(ctx, a, device)
	}
	ans, err := b.askDevice(ctx, a, deviceRequest{Device: device, By: by.User})
	if err != nil || ans.Test == nil {
		return api.DeviceTest{}, err
	}
	return *ans.Test, nil
}

// DeviceNodes implements [web.Backend].
func (b backend) DeviceNodes(ctx context.Context, by web.Actor, device string, q api.DeviceBrowse) (api.DeviceNodes, error) {
	a := b.areaOfDevice(device)
	if a == nil {
		return api.DeviceNodes{}, api.NewProblem(api.CodeNotFound, "no device %q", device)
	}
	skip := 0
	if q.Cursor != "" {
		var err error
		if skip, err = strconv.Atoi(q.Cursor); err != nil {
			return api.DeviceNodes{}, api.NewProblem(api.CodeBadRequest, "the cursor is not one of this list")
		}
	}
	ans, err := b.askDevice(ctx, a, deviceRequest{Device: device, By: by.User, Browse: true, Node: q.Node, Skip: skip, Most: q.Limit})
	if err != nil || ans.Nodes == nil {
		return api.DeviceNodes{}, err
	}
	return *ans.Nodes, nil
}

// areaOfDevice returns the area of a device, nil when there is no such device.
func (s *Server) areaOfDevice(device string) *area {
	for _, a := range s.areas {
		if slices.Contains(a.group.Devices(), device) {
			return a
		}
	}
	return nil
}

// askDevice has the active node ask a device.
func (s *Server) askDevice(ctx context.Context, a *area, req deviceRequest) (ans deviceAnswer, err error) {
	if ans, err = ask[deviceAnswer](ctx, s, a.name, request{Op: opDevice, Device: &req}, nil); err != nil {
		return ans, forwardProblem(err)
	}
	if ans.Problem != nil {
		return ans, ans.Problem
	}
	return ans, nil
}

// deviceHere asks a device on this node, which is active or refuses.
func (s *Server) deviceHere(ctx context.Context, a *area, req deviceRequest) deviceAnswer {
	if !a.isActive() {
		return deviceAnswer{Problem: api.NewProblem(api.CodeNotActive, "this node is not active for area %s", a.name)}
	}
	if req.Browse {
		nodes, total, err := a.group.Browse(ctx, req.Device, req.Node, req.Skip, req.Most)
		if err != nil {
			return deviceAnswer{Problem: deviceProblem(err)}
		}
		return deviceAnswer{Nodes: nodesJSON(nodes, req.Skip, total)}
	}
	e, err := a.group.Examine(ctx, req.Device)
	a.record(s.newEntry(journal.ClassSystem, "device tested", a.name, req.Device, req.By, ""))
	if err != nil {
		return deviceAnswer{Problem: deviceProblem(err)}
	}
	t := s.testJSON(a, "active", e)
	return deviceAnswer{Test: &t}
}

func deviceProblem(err error) *api.Problem {
	switch {
	case errors.Is(err, acquisition.ErrNoDevice):
		return api.NewProblem(api.CodeNotFound, "%s", err)
	case errors.Is(err, acquisition.ErrNotBrowsable), errors.Is(err, acquisition.ErrNotExaminable):
		return api.NewProblem(api.CodeBadRequest, "%s", err)
	}
	return api.NewProblem(api.CodeDevice, "%s", err)
}

// lookFromStandby is what a standby may find out: whether it would reach the device, by the means the device's
// configuration permits it anyway.
func (s *Server) lookFromStandby(ctx context.Context, a *area, device string) (api.DeviceTest, error) {
	for _, d := range s.now().cfg.Devices {
		if d.Name == device && (d.Probe == "" || d.Probe == "none") {
			return api.DeviceTest{}, api.NewProblem(api.CodeNotActive,
				"node %s is the standby of area %s and must not touch %s (probe: none); node %s is active", s.nodeName, a.name, device, s.cfg.Peer(s.nodeName))
		}
	}
	began := time.Now()
	err := a.group.Probe(ctx, device)
	t := s.testJSON(a, "standby", acquisition.Examination{Device: device})
	reached := err == nil
	t.Reached, t.ReachedMs = &reached, milliseconds(time.Since(began))
	if err != nil {
		t.Notes = append(t.Notes, err.Error())
	}
	t.Notes = append(t.Notes, fmt.Sprintf("only a look: node %s is active", s.cfg.Peer(s.nodeName)))
	return t, nil
}

func (s *Server) testJSON(a *area, role string, e acquisition.Examination) api.DeviceTest {
	t := api.DeviceTest{
		Name: e.Device, Area: a.name, Driver: s.now().drivers[e.Device], Node: s.nodeName, Role: role, Time: time.Now().UTC(),
		BestWindow: e.Best, LargestRead: e.Largest, Notes: e.Notes,
	}
	for _, f := range e.Identity {
		t.Identity = append(t.Identity, api.DeviceFact{Name: f.Name, Text: f.Text})
	}
	for _, x := range e.Trials {
		t.Trials = append(t.Trials, api.DeviceTrial{
			Window: x.Window, PerSecond: x.Rate(), Answers: x.Answers, P50Ms: milliseconds(x.P50), P99Ms: milliseconds(x.P99), MaxMs: milliseconds(x.Max),
			Timeouts: x.Timeouts, Malformed: x.Malformed, Exceptions: x.Exceptions, Lost: x.Lost,
		})
	}
	return t
}

// nodesJSON makes a page, which ends where it becomes too long for the link.
func nodesJSON(nodes []acquisition.Node, skip, total int) *api.DeviceNodes {
	page := &api.DeviceNodes{Total: total}
	const overhead = 80 // bytes of the names and quotes of a node
	size := 0
	for _, n := range nodes {
		j := api.DeviceNode{Address: n.ID, Path: n.Path, Writable: n.Writable}
		if n.Type != tag.TypeNone {
			j.Type = n.Type.String()
		}
		if size += overhead + len(j.Address) + len(j.Path); size > maxNodesBytes {
			break
		}
		page.Nodes = append(page.Nodes, j)
	}
	if end := skip + len(page.Nodes); end < total && len(page.Nodes) > 0 {
		page.Next = strconv.Itoa(end)
	}
	return page
}
