package space

import (
	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"scada/acquisition/tag"
)

// The bits of AccessLevel (OPC 10000-3, 8.57).
const (
	AccessRead    = 1
	AccessWrite   = 2
	AccessHistory = 4
)

// Attribute returns the value of an attribute of a node, as seen by a user who may write or not. The value of a tag is
// not here: it is in the table of present values.
func (s *Space) Attribute(r Ref, attr ua.AttributeID, mayWrite bool) (*ua.Variant, ua.StatusCode) {
	switch attr {
	case ua.AttributeIDNodeID:
		return ua.MustVariant(s.NodeID(r)), ua.StatusOK
	case ua.AttributeIDNodeClass:
		return ua.MustVariant(int32(s.Class(r))), ua.StatusOK
	case ua.AttributeIDBrowseName:
		return ua.MustVariant(s.BrowseName(r)), ua.StatusOK
	case ua.AttributeIDDisplayName:
		return ua.MustVariant(s.DisplayName(r)), ua.StatusOK
	case ua.AttributeIDDescription:
		return ua.MustVariant(s.description(r)), ua.StatusOK
	case ua.AttributeIDWriteMask, ua.AttributeIDUserWriteMask:
		return ua.MustVariant(uint32(0)), ua.StatusOK
	}
	switch s.Class(r) {
	case ua.NodeClassVariable, ua.NodeClassVariableType:
		return s.variable(r, attr, mayWrite)
	case ua.NodeClassObject, ua.NodeClassView:
		return s.object(r, attr)
	case ua.NodeClassMethod:
		if attr == ua.AttributeIDExecutable || attr == ua.AttributeIDUserExecutable {
			return ua.MustVariant(s.callable(r)), ua.StatusOK
		}
	case ua.NodeClassReferenceType, ua.NodeClassDataType, ua.NodeClassObjectType:
		return s.typeAttribute(r, attr)
	}
	return nil, ua.StatusBadAttributeIDInvalid
}

// DisplayName returns the name of a node for people.
func (s *Space) DisplayName(r Ref) *ua.LocalizedText {
	if r.kind == kindStandard {
		if d := s.std.nodes[r.index].display; d != "" {
			return ua.NewLocalizedText(d)
		}
	}
	_, name := s.name(r)
	return ua.NewLocalizedText(name)
}

func (s *Space) description(r Ref) *ua.LocalizedText {
	if r.kind == kindTag {
		return ua.NewLocalizedText(s.opt.Tags[r.index].Description)
	}
	return ua.NewLocalizedText("")
}

func (s *Space) callable(r Ref) bool {
	n := s.Numeric(r)
	for _, m := range s.opt.Methods {
		if m == n {
			return true
		}
	}
	return false
}

func (s *Space) object(r Ref, attr ua.AttributeID) (*ua.Variant, ua.StatusCode) {
	if attr == ua.AttributeIDEventNotifier {
		return ua.MustVariant(s.notifier(r)), ua.StatusOK
	}
	if attr == ua.AttributeIDContainsNoLoops && s.Class(r) == ua.NodeClassView {
		return ua.MustVariant(true), ua.StatusOK
	}
	return nil, ua.StatusBadAttributeIDInvalid
}

func (s *Space) typeAttribute(r Ref, attr ua.AttributeID) (*ua.Variant, ua.StatusCode) {
	n := &s.std.nodes[r.index]
	reference := n.class == ua.NodeClassReferenceType
	switch {
	case attr == ua.AttributeIDIsAbstract:
		return ua.MustVariant(n.abstract), ua.StatusOK
	case attr == ua.AttributeIDSymmetric && reference:
		return ua.MustVariant(n.symmetric), ua.StatusOK
	case attr == ua.AttributeIDInverseName && reference && n.inverse != "":
		return ua.MustVariant(ua.NewLocalizedText(n.inverse)), ua.StatusOK
	}
	return nil, ua.StatusBadAttributeIDInvalid
}

// variable returns the attributes of variables and their types.
func (s *Space) variable(r Ref, attr ua.AttributeID, mayWrite bool) (*ua.Variant, ua.StatusCode) {
	dataType, rank, dims := s.shape(r)
	switch attr {
	case ua.AttributeIDDataType:
		return ua.MustVariant(numeric(dataType)), ua.StatusOK
	case ua.AttributeIDValueRank:
		return ua.MustVariant(rank), ua.StatusOK
	case ua.AttributeIDArrayDimensions:
		if len(dims) == 0 {
			return nil, ua.StatusBadAttributeIDInvalid
		}
		return ua.MustVariant(dims), ua.StatusOK
	}
	if s.Class(r) == ua.NodeClassVariableType {
		if attr == ua.AttributeIDIsAbstract {
			return ua.MustVariant(s.std.nodes[r.index].abstract), ua.StatusOK
		}
		return nil, ua.StatusBadAttributeIDInvalid
	}
	switch attr {
	case ua.AttributeIDValue:
		return s.value(r)
	case ua.AttributeIDAccessLevel:
		return ua.MustVariant(s.access(r, true)), ua.StatusOK
	case ua.AttributeIDUserAccessLevel:
		return ua.MustVariant(s.access(r, mayWrite)), ua.StatusOK
	case ua.AttributeIDMinimumSamplingInterval:
		if r.kind == kindTag {
			return ua.MustVariant(s.opt.Tags[r.index].ScanPeriod.Seconds() * 1000), ua.StatusOK
		}
		return ua.MustVariant(0.0), ua.StatusOK
	case ua.AttributeIDHistorizing:
		return ua.MustVariant(r.kind == kindTag && s.Recorded(tag.ID(r.index))), ua.StatusOK
	}
	return nil, ua.StatusBadAttributeIDInvalid
}

// shape returns the data type, rank and dimensions of a variable's value.
func (s *Space) shape(r Ref) (dataType uint32, rank int32, dims []uint32) {
	switch r.kind {
	case kindStandard:
		n := &s.std.nodes[r.index]
		return n.dataType, n.rank, n.dims
	case kindTag:
		return uint32(DataType(s.opt.Tags[r.index].Type)), scalar, nil
	case kindProperty:
		p := &properties[r.prop]
		if p.rank == oneDimension {
			return p.dataType, p.rank, []uint32{0}
		}
		return p.dataType, p.rank, nil
	case kindVersion:
		return id.String, scalar, nil
	}
	return id.BaseDataType, scalar, nil
}

func (s *Space) access(r Ref, mayWrite bool) byte {
	access := byte(AccessRead)
	if r.kind != kindTag {
		return access
	}
	if s.opt.Tags[r.index].Writable && mayWrite {
		access |= AccessWrite
	}
	if s.Recorded(tag.ID(r.index)) {
		access |= AccessHistory
	}
	return access
}

// value returns the value of a variable other than a tag. A variable that belongs to a type has none.
func (s *Space) value(r Ref) (*ua.Variant, ua.StatusCode) {
	switch r.kind {
	case kindProperty:
		return propertyValue(&s.opt.Tags[r.index], r.prop), ua.StatusOK
	case kindVersion:
		return ua.MustVariant(s.version(r.index)), ua.StatusOK
	case kindStandard:
		n := &s.std.nodes[r.index]
		if f, ok := s.opt.Values[n.id]; ok {
			if v := f(); v != nil {
				return v, ua.StatusOK
			}
			return nil, ua.StatusBadNotReadable
		}
		if n.value != nil {
			return n.value, ua.StatusOK
		}
	}
	return new(ua.Variant), ua.StatusOK
}
