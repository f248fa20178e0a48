package uaserver

import (
	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"scada/web/uaserver/space"
)

const (
	maxReferences     = 20_000 // references in the result for one node; the rest follows with BrowseNext
	maxPathElements   = 32     // of a path to translate
	maxPathTargets    = 1000   // of a path to translate
	maxRequestResults = 50_000 // references in one response
)

// continuation is where a Browse is to go on. A revision does not change, so a place in it is a number.
type continuation struct {
	rev   *revision
	ref   space.Ref
	want  wanted
	skip  int
	limit int
}

// wanted says which references a client asks for.
type wanted struct {
	direction ua.BrowseDirection
	typ       uint32 // 0: all
	subtypes  bool
	classes   ua.NodeClass
	mask      ua.BrowseResultMask
}

func (k *call) browse(req *ua.BrowseRequest) (ua.Response, error) {
	if req.View.ViewID.String() != "i=0" {
		return nil, ua.StatusBadViewIDUnknown
	}
	if err := k.operations(len(req.NodesToBrowse)); err != nil {
		return nil, err
	}
	limit := maxReferences
	if n := req.RequestedMaxReferencesPerNode; n > 0 && n < maxReferences {
		limit = int(n)
	}
	k.x.mu.Lock()
	defer k.x.mu.Unlock()
	resp := &ua.BrowseResponse{DiagnosticInfos: []*ua.DiagnosticInfo{}}
	total := 0
	for _, d := range req.NodesToBrowse {
		result := k.browseNode(d, min(limit, max(maxRequestResults-total, 1)))
		total += len(result.References)
		resp.Results = append(resp.Results, result)
	}
	return resp, nil
}

func failed(status ua.StatusCode) *ua.BrowseResult {
	return &ua.BrowseResult{StatusCode: status, References: []*ua.ReferenceDescription{}}
}

func (k *call) browseNode(d *ua.BrowseDescription, limit int) *ua.BrowseResult {
	ref, ok := k.rev.space.Resolve(d.NodeID)
	if !ok {
		return failed(ua.StatusBadNodeIDUnknown)
	}
	if d.BrowseDirection > ua.BrowseDirectionBoth {
		return failed(ua.StatusBadBrowseDirectionInvalid)
	}
	w := wanted{direction: d.BrowseDirection, subtypes: d.IncludeSubtypes, classes: ua.NodeClass(d.NodeClassMask), mask: ua.BrowseResultMask(d.ResultMask)}
	if d.ReferenceTypeID.String() != "i=0" {
		typ, ok := k.rev.space.Resolve(d.ReferenceTypeID)
		if !ok || !k.rev.space.IsReferenceType(typ) {
			return failed(ua.StatusBadReferenceTypeIDInvalid)
		}
		w.typ = k.rev.space.Numeric(typ)
	}
	return k.page(&continuation{rev: k.rev, ref: ref, want: w, limit: limit})
}

// page returns the next references of a Browse, with a continuation point if there are more.
func (k *call) page(c *continuation) *ua.BrowseResult {
	result := failed(ua.StatusOK)
	seen, more := 0, false
	k.rev.space.References(c.ref, func(r space.Reference) bool {
		if !k.rev.matches(&c.want, r) {
			return true
		}
		if seen++; seen <= c.skip {
			return true
		}
		if more = len(result.References) == c.limit; more {
			return false
		}
		result.References = append(result.References, k.rev.describe(r, c.want.mask))
		return true
	})
	if !more {
		return result
	}
	if len(k.x.cps) >= k.s.cfg.Limits.ContinuationPoints {
		return failed(ua.StatusBadNoContinuationPoints)
	}
	c.skip += len(result.References)
	point := secret()[:16]
	k.x.cps[string(point)] = c
	result.ContinuationPoint = point
	return result
}

func (v *revision) matches(w *wanted, r space.Reference) bool {
	switch {
	case w.direction == ua.BrowseDirectionForward && !r.Forward, w.direction == ua.BrowseDirectionInverse && r.Forward:
		return false
	case w.typ != 0 && r.Type != w.typ && !(w.subtypes && v.space.IsSubtype(r.Type, w.typ)):
		return false
	}
	return w.classes == 0 || w.classes&v.space.Class(r.Target) != 0
}

// describe fills in what the mask asks for.
func (v *revision) describe(r space.Reference, mask ua.BrowseResultMask) *ua.ReferenceDescription {
	d := &ua.ReferenceDescription{
		ReferenceTypeID: ua.NewTwoByteNodeID(0), NodeID: &ua.ExpandedNodeID{NodeID: v.space.NodeID(r.Target)},
		BrowseName: &ua.QualifiedName{}, DisplayName: ua.NewLocalizedText(""), TypeDefinition: ua.NewTwoByteExpandedNodeID(0),
	}
	if mask&ua.BrowseResultMaskReferenceTypeID != 0 {
		if typ, ok := v.space.Standard(r.Type); ok {
			d.ReferenceTypeID = v.space.NodeID(typ)
		}
	}
	if mask&ua.BrowseResultMaskIsForward != 0 {
		d.IsForward = r.Forward
	}
	if mask&ua.BrowseResultMaskNodeClass != 0 {
		d.NodeClass = v.space.Class(r.Target)
	}
	if mask&ua.BrowseResultMaskBrowseName != 0 {
		d.BrowseName = v.space.BrowseName(r.Target)
	}
	if mask&ua.BrowseResultMaskDisplayName != 0 {
		d.DisplayName = v.space.DisplayName(r.Target)
	}
	if mask&ua.BrowseResultMaskTypeDefinition != 0 {
		if typ, ok := v.space.Standard(v.space.TypeDefinition(r.Target)); ok {
			d.TypeDefinition = &ua.ExpandedNodeID{NodeID: v.space.NodeID(typ)}
		}
	}
	return d
}

func (k *call) browseNext(req *ua.BrowseNextRequest) (ua.Response, error) {
	if err := k.operations(len(req.ContinuationPoints)); err != nil {
		return nil, err
	}
	k.x.mu.Lock()
	defer k.x.mu.Unlock()
	resp := &ua.BrowseNextResponse{Results: []*ua.BrowseResult{}, DiagnosticInfos: []*ua.DiagnosticInfo{}}
	for _, point := range req.ContinuationPoints {
		c := k.x.cps[string(point)]
		delete(k.x.cps, string(point))
		switch {
		case c == nil || c.rev != k.rev:
			resp.Results = append(resp.Results, failed(ua.StatusBadContinuationPointInvalid))
		case req.ReleaseContinuationPoints:
			resp.Results = append(resp.Results, failed(ua.StatusOK))
		default:
			resp.Results = append(resp.Results, k.page(c))
		}
	}
	return resp, nil
}

func (k *call) translate(req *ua.TranslateBrowsePathsToNodeIDsRequest) (ua.Response, error) {
	if err := k.operations(len(req.BrowsePaths)); err != nil {
		return nil, err
	}
	resp := &ua.TranslateBrowsePathsToNodeIDsResponse{DiagnosticInfos: []*ua.DiagnosticInfo{}}
	for _, p := range req.BrowsePaths {
		targets, status := k.rev.follow(p)
		result := &ua.BrowsePathResult{StatusCode: status, Targets: []*ua.BrowsePathTarget{}}
		for _, t := range targets {
			result.Targets = append(result.Targets, &ua.BrowsePathTarget{
				TargetID: &ua.ExpandedNodeID{NodeID: k.rev.space.NodeID(t)}, RemainingPathIndex: 0xFFFFFFFF,
			})
		}
		resp.Results = append(resp.Results, result)
	}
	return resp, nil
}

// follow finds the nodes at the end of a path of browse names.
func (v *revision) follow(p *ua.BrowsePath) ([]space.Ref, ua.StatusCode) {
	start, ok := v.space.Resolve(p.StartingNode)
	switch n := len(p.RelativePath.Elements); {
	case !ok:
		return nil, ua.StatusBadNodeIDUnknown
	case n == 0:
		return nil, ua.StatusBadNothingToDo
	case n > maxPathElements:
		return nil, ua.StatusBadTooManyOperations
	}
	at := []space.Ref{start}
	for _, e := range p.RelativePath.Elements {
		if e.TargetName.Name == "" {
			return nil, ua.StatusBadBrowseNameInvalid
		}
		w := wanted{direction: ua.BrowseDirectionForward, typ: id.References, subtypes: e.IncludeSubtypes}
		if e.IsInverse {
			w.direction = ua.BrowseDirectionInverse
		}
		if e.ReferenceTypeID.String() == "i=0" {
			w.typ = 0
		} else if typ, ok := v.space.Resolve(e.ReferenceTypeID); ok && v.space.IsReferenceType(typ) {
			w.typ = v.space.Numeric(typ)
		} else {
			return nil, ua.StatusBadNoMatch
		}
		at = v.step(at, &w, e.TargetName)
	}
	if len(at) == 0 {
		return nil, ua.StatusBadNoMatch
	}
	return at, ua.StatusOK
}

// step goes one element of a path further.
func (v *revision) step(from []space.Ref, w *wanted, name *ua.QualifiedName) []space.Ref {
	var to []space.Ref
	for _, ref := range from {
		v.space.References(ref, func(r space.Reference) bool {
			if v.matches(w, r) {
				if n := v.space.BrowseName(r.Target); n.NamespaceIndex == name.NamespaceIndex && n.Name == name.Name {
					to = append(to, r.Target)
				}
			}
			return len(to) < maxPathTargets
		})
	}
	return to
}

// registerNodes gives every node back as it is: a node id is as fast as any handle here.
func (k *call) registerNodes(req *ua.RegisterNodesRequest) (ua.Response, error) {
	return &ua.RegisterNodesResponse{RegisteredNodeIDs: req.NodesToRegister}, k.operations(len(req.NodesToRegister))
}
