package opcua

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/gopcua/opcua/ua"

	"scada/acquisition"
	"scada/acquisition/tag"
)

// Bounds of a search through an address space. What it is given is walked once, however its references go in circles.
const (
	browseBatch = 100     // nodes in one Browse
	browsePage  = 5_000   // references in one answer
	browseDepth = 32      // levels
	browseNodes = 200_000 // nodes seen, those without a value included
	maxPathPart = 256     // bytes
	maxPath     = 1024    // bytes
)

// Ids of the namespace every server has.
const (
	idObjects      = 85
	idHierarchical = 33
	idHasProperty  = 46
)

// Browse implements [acquisition.Browser]. It uses the session that is there.
func (s *Source) Browse(ctx context.Context, node string, skip, most int) ([]acquisition.Node, int, error) {
	from := ua.NewNumericNodeID(0, idObjects)
	if node != "" {
		var err error
		if from, err = parseNode(node); err != nil {
			return nil, 0, err
		}
	}
	c := s.present()
	if c == nil {
		return nil, 0, ErrNotConnected
	}
	w := walk{c: c, seen: map[string]bool{from.String(): true}}
	level := []place{{id: from}}
	for depth := 0; depth < browseDepth && len(level) > 0 && len(w.seen) < browseNodes; depth++ {
		var next []place
		for len(level) > 0 {
			part := level[:min(len(level), s.most(browseBatch))]
			below, err := w.below(ctx, part)
			if s.tooMany(len(part), err) {
				continue
			}
			if err != nil {
				return nil, 0, err
			}
			level = level[len(part):]
			next = append(next, below...)
		}
		level = next
	}
	slices.SortFunc(w.found, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.path, b.path), cmp.Compare(a.id.String(), b.id.String()))
	})
	page := w.found[min(skip, len(w.found)):]
	nodes, err := s.describe(ctx, c, page[:min(most, len(page))])
	return nodes, len(w.found), err
}

// present returns the channel in use, nil when there is none.
func (s *Source) present() *channel {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live
}

// place is a node on the way.
type place struct {
	id   *ua.NodeID
	path string
}

// walk is a search through an address space.
type walk struct {
	c     *channel
	seen  map[string]bool
	found []place // variables
}

// below browses nodes and returns those below them.
func (w *walk) below(ctx context.Context, nodes []place) (next []place, err error) {
	req := &ua.BrowseRequest{View: &ua.ViewDescription{ViewID: ua.NewTwoByteNodeID(0)}, RequestedMaxReferencesPerNode: browsePage}
	for _, n := range nodes {
		req.NodesToBrowse = append(req.NodesToBrowse, &ua.BrowseDescription{
			NodeID: n.id, BrowseDirection: ua.BrowseDirectionForward, ReferenceTypeID: ua.NewNumericNodeID(0, idHierarchical), IncludeSubtypes: true,
			NodeClassMask: uint32(ua.NodeClassObject | ua.NodeClassVariable), ResultMask: uint32(ua.BrowseResultMaskAll),
		})
	}
	res, err := call[*ua.BrowseResponse](ctx, w.c, req)
	if err != nil {
		return nil, fmt.Errorf("browsing: %w", err)
	}
	if len(res.Results) != len(nodes) {
		return nil, fmt.Errorf("%w: %d results for %d nodes", errHostile, len(res.Results), len(nodes))
	}
	for i, r := range res.Results {
		for r != nil {
			if r.StatusCode != ua.StatusOK {
				return nil, fmt.Errorf("browsing %s: %w", nodes[i].id, r.StatusCode)
			}
			next = append(next, w.take(nodes[i], r.References)...)
			if len(r.ContinuationPoint) == 0 {
				break
			}
			if r, err = w.more(ctx, r.ContinuationPoint); err != nil {
				return nil, err
			}
		}
	}
	return next, nil
}

func (w *walk) more(ctx context.Context, point []byte) (*ua.BrowseResult, error) {
	res, err := call[*ua.BrowseNextResponse](ctx, w.c, &ua.BrowseNextRequest{ContinuationPoints: [][]byte{point}})
	if err != nil {
		return nil, fmt.Errorf("browsing on: %w", err)
	}
	if len(res.Results) != 1 {
		return nil, fmt.Errorf("%w: %d results for one node", errHostile, len(res.Results))
	}
	return res.Results[0], nil
}

// take adds what was not seen yet. The server's description of itself and the properties of variables are not what
// anybody looks for.
func (w *walk) take(from place, refs []*ua.ReferenceDescription) (next []place) {
	for _, r := range refs {
		if r == nil || r.NodeID == nil || r.NodeID.NodeID == nil || r.NodeID.NodeID.Namespace() == 0 || isProperty(r.ReferenceTypeID) {
			continue
		}
		id := r.NodeID.NodeID
		key := id.String()
		if w.seen[key] || len(w.seen) >= browseNodes {
			continue
		}
		w.seen[key] = true
		name := ""
		switch {
		case r.BrowseName != nil && r.BrowseName.Name != "":
			name = r.BrowseName.Name
		case r.DisplayName != nil:
			name = r.DisplayName.Text
		}
		p := place{id: id, path: name[:min(len(name), maxPathPart)]}
		if from.path != "" {
			p.path = from.path + "/" + p.path
		}
		if len(p.path) > maxPath {
			continue
		}
		if r.NodeClass == ua.NodeClassVariable && len(w.found) < acquisition.MaxBrowse {
			w.found = append(w.found, p)
		}
		next = append(next, p)
	}
	return next
}

func isProperty(id *ua.NodeID) bool {
	return id != nil && id.Namespace() == 0 && id.Type() != ua.NodeIDTypeString && id.IntID() == idHasProperty
}

// asked are the attributes that say what tag a variable could be.
var asked = [...]ua.AttributeID{ua.AttributeIDDataType, ua.AttributeIDValueRank, ua.AttributeIDUserAccessLevel, ua.AttributeIDValue}

// describe asks what the variables are.
func (s *Source) describe(ctx context.Context, c *channel, places []place) ([]acquisition.Node, error) {
	nodes := make([]acquisition.Node, 0, len(places))
	for len(places) > 0 {
		part := places[:min(len(places), max(1, s.most(browseBatch*len(asked))/len(asked)))]
		req := &ua.ReadRequest{TimestampsToReturn: ua.TimestampsToReturnNeither}
		for _, p := range part {
			for _, a := range asked {
				req.NodesToRead = append(req.NodesToRead, &ua.ReadValueID{NodeID: p.id, AttributeID: a, DataEncoding: &ua.QualifiedName{}})
			}
		}
		res, err := call[*ua.ReadResponse](ctx, c, req)
		if s.tooMany(len(req.NodesToRead), err) {
			continue
		}
		places = places[len(part):]
		if err != nil {
			return nil, fmt.Errorf("asking what the variables are: %w", err)
		}
		if len(res.Results) != len(req.NodesToRead) {
			return nil, fmt.Errorf("%w: %d results for %d questions", errHostile, len(res.Results), len(req.NodesToRead))
		}
		for i, p := range part {
			answers := res.Results[i*len(asked):][:len(asked)]
			n := acquisition.Node{ID: p.id.String(), Path: p.path, Writable: isWritable(answers[2])}
			if rank, ok := number(answers[1]); !ok || rank < 0 {
				n.Type = typeOf(answers[0], answers[3])
			}
			nodes = append(nodes, n)
		}
	}
	return nodes, nil
}

// variantOf returns what an attribute holds, nil when it was not told.
func variantOf(dv *ua.DataValue) *ua.Variant {
	if dv == nil || dv.Status != ua.StatusOK {
		return nil
	}
	return dv.Value
}

func number(dv *ua.DataValue) (float64, bool) {
	v := variantOf(dv)
	if v == nil {
		return 0, false
	}
	return float(v)
}

func isWritable(dv *ua.DataValue) bool {
	level, ok := number(dv)
	return ok && ua.AccessLevelType(level)&ua.AccessLevelTypeCurrentWrite != 0
}

// The types of single values, by the number of the data type and of the encoding alike.
var types = map[ua.TypeID]tag.Type{
	ua.TypeIDBoolean: tag.TypeBool, ua.TypeIDSByte: tag.TypeInt8, ua.TypeIDByte: tag.TypeUint8, ua.TypeIDInt16: tag.TypeInt16,
	ua.TypeIDUint16: tag.TypeUint16, ua.TypeIDInt32: tag.TypeInt32, ua.TypeIDUint32: tag.TypeUint32, ua.TypeIDInt64: tag.TypeInt64,
	ua.TypeIDUint64: tag.TypeUint64, ua.TypeIDFloat: tag.TypeFloat32, ua.TypeIDDouble: tag.TypeFloat64, ua.TypeIDString: tag.TypeString,
	ua.TypeIDLocalizedText: tag.TypeString,
}

// typeOf is the type of a tag: by the data type if that is one of the basic ones, else by the value that is there.
func typeOf(dataType, value *ua.DataValue) tag.Type {
	if v := variantOf(dataType); v != nil {
		if id, ok := v.Value().(*ua.NodeID); ok && id != nil && id.Namespace() == 0 && id.Type() != ua.NodeIDTypeString && id.IntID() <= 255 {
			if t, basic := types[ua.TypeID(id.IntID())]; basic {
				return t
			}
		}
	}
	if v := variantOf(value); v != nil && v.ArrayLength() == 0 && len(v.ArrayDimensions()) == 0 {
		return types[v.Type()]
	}
	return tag.TypeNone
}

var _ acquisition.Browser = (*Source)(nil)
