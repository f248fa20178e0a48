package opcua

import (
	"context"
	"fmt"
	"net/url"

	"github.com/gopcua/opcua/ua"
)

// maxBrowse is the most nodes one Browse returns.
const maxBrowse = 10_000

// Probe implements [acquisition.Source].
func (s *Source) Probe(ctx context.Context, _ string) error {
	if s.device.Probe == "none" || !s.probing.TryLock() {
		return nil // running is better than any probe
	}
	defer s.probing.Unlock()
	ctx, cancel := context.WithTimeout(ctx, 2*s.device.Timeout)
	defer cancel()
	s.mu.Lock()
	s.cancel = cancel
	s.mu.Unlock()
	if s.device.Probe == "tcp" {
		u, err := url.Parse(s.device.Endpoint)
		if err != nil {
			return fmt.Errorf("endpoint: %w", err)
		}
		c, err := s.dial(ctx, "tcp", u.Host)
		if err != nil {
			return fmt.Errorf("connecting: %w", err)
		}
		return c.Close()
	}
	c, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	_, err = call[*ua.ReadResponse](ctx, c, &ua.ReadRequest{NodesToRead: []*ua.ReadValueID{readValue(ua.NewNumericNodeID(0, 2258))}})
	return err
}

func (s *Source) interruptProbe() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cancel != nil {
		s.cancel()
	}
}

// Node is one node of a device's address space.
type Node struct {
	ID       string // in the form of tag addresses
	Name     string
	Variable bool // it has a value
}

// Browse returns the children of a node of the device, through the present session or, without one, a session of its
// own. An empty id is the Objects folder.
func (s *Source) Browse(ctx context.Context, id string) ([]Node, error) {
	from := ua.NewNumericNodeID(0, 85)
	if id != "" {
		var err error
		if from, err = parseNode(id); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	c := s.live
	s.mu.Unlock()
	if c == nil {
		var err error
		if c, err = s.connect(ctx); err != nil {
			return nil, err
		}
		defer c.close()
	}
	res, err := call[*ua.BrowseResponse](ctx, c, &ua.BrowseRequest{
		View: &ua.ViewDescription{ViewID: ua.NewTwoByteNodeID(0)}, RequestedMaxReferencesPerNode: maxBrowse,
		NodesToBrowse: []*ua.BrowseDescription{{
			NodeID: from, BrowseDirection: ua.BrowseDirectionForward, ReferenceTypeID: ua.NewNumericNodeID(0, 33), IncludeSubtypes: true,
			NodeClassMask: uint32(ua.NodeClassObject | ua.NodeClassVariable), ResultMask: uint32(ua.BrowseResultMaskAll),
		}},
	})
	if err != nil {
		return nil, fmt.Errorf("browsing: %w", err)
	}
	results := res.Results
	var nodes []Node
	for len(results) == 1 && results[0] != nil {
		r := results[0]
		if r.StatusCode != ua.StatusOK {
			return nil, fmt.Errorf("browsing %s: %w", from, r.StatusCode)
		}
		nodes = appendNodes(nodes, r.References)
		if len(r.ContinuationPoint) == 0 || len(nodes) >= maxBrowse {
			return nodes, nil
		}
		next, err := call[*ua.BrowseNextResponse](ctx, c, &ua.BrowseNextRequest{ContinuationPoints: [][]byte{r.ContinuationPoint}})
		if err != nil {
			return nil, fmt.Errorf("browsing on: %w", err)
		}
		results = next.Results
	}
	return nil, fmt.Errorf("%w: %d results for one node", errHostile, len(results))
}

func appendNodes(nodes []Node, refs []*ua.ReferenceDescription) []Node {
	for _, r := range refs {
		if r == nil || r.NodeID == nil || r.NodeID.NodeID == nil || len(nodes) >= maxBrowse {
			continue
		}
		n := Node{ID: r.NodeID.NodeID.String(), Variable: r.NodeClass == ua.NodeClassVariable}
		if r.DisplayName != nil {
			n.Name = r.DisplayName.Text
		}
		if n.Name == "" && r.BrowseName != nil {
			n.Name = r.BrowseName.Name
		}
		nodes = append(nodes, n)
	}
	return nodes
}
