package web

import (
	"strconv"
	"time"

	"scada/web/api"
)

// Bounds of requests that go out to a device.
const (
	deviceTimeout = 30 * time.Second
	maxNodeID     = 4096    // bytes
	maxBrowseFrom = 100_000 // where the last page may begin
)

func deviceRoutes() []route {
	return []route{
		{method: "POST", pattern: base + "/devices/{name}/test", permission: DeviceExamine, handle: (*Server).postDeviceTest,
			body: typeOf[api.DeviceTestCommand](), answer: typeOf[api.DeviceTest](),
			summary: "Examine a device beside its polling: rate, response times, best window, longest read, identity"},
		{method: "GET", pattern: base + "/devices/{name}/nodes", permission: DeviceExamine, handle: (*Server).getDeviceNodes, answer: typeOf[api.DeviceNodes](),
			params: join([]param{{"node", "where to begin; everything when absent"}}, pageParams), summary: "The variables of an OPC UA device"},
	}
}

func (s *Server) postDeviceTest(c *call) (any, error) {
	var cmd api.DeviceTestCommand
	if err := c.decodeOptional(&cmd); err != nil {
		return nil, err
	}
	ctx, cancel := commandContext(c.r.Context(), deviceTimeout)
	defer cancel()
	t, err := s.backend.TestDevice(ctx, c.who.Actor, c.r.PathValue("name"), cmd)
	t.Identity, t.Trials, t.Notes = filled(t.Identity), filled(t.Trials), filled(t.Notes)
	return t, err
}

func (s *Server) getDeviceNodes(c *call) (any, error) {
	q := api.DeviceBrowse{Node: c.query("node"), Cursor: c.query("cursor")}
	var err error
	if q.Limit, err = c.number("limit", defaultPage, maxPage); err != nil {
		return nil, err
	}
	if len(q.Node) > maxNodeID {
		return nil, api.NewProblem(api.CodeBadRequest, "a node id has at most %d bytes", maxNodeID)
	}
	if n, err := strconv.Atoi(q.Cursor); q.Cursor != "" && (err != nil || n < 1 || n > maxBrowseFrom) {
		return nil, api.NewProblem(api.CodeBadRequest, "the cursor is not one of this list")
	}
	ctx, cancel := commandContext(c.r.Context(), deviceTimeout)
	defer cancel()
	nodes, err := s.backend.DeviceNodes(ctx, c.who.Actor, c.r.PathValue("name"), q)
	nodes.Nodes = filled(nodes.Nodes)
	return nodes, err
}
