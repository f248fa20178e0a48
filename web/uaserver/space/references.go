package space

import (
	"github.com/gopcua/opcua/id"

	"scada/acquisition/tag"
)

// Reference is a directed connection of a node to another.
type Reference struct {
	Type    uint32 // id of the reference type, namespace 0
	Forward bool
	Target  Ref
}

// References calls yield for each reference of a node, in an order that never changes, until it returns false.
func (s *Space) References(r Ref, yield func(Reference) bool) {
	switch r.kind {
	case kindStandard:
		s.standardReferences(r.index, yield)
	case kindFolder:
		s.folderReferences(r.index, yield)
	case kindTag:
		s.tagReferences(tag.ID(r.index), yield)
	case kindCondition:
		s.conditionReferences(r, yield)
	case kindShelving:
		s.shelvingReferences(r, yield)
	case kindVersion:
		_ = yield(s.typeOf(r)) && yield(Reference{id.HasProperty, false, Ref{kind: kindFolder, index: r.index}})
	case kindProperty:
		_ = yield(s.typeOf(r)) && yield(Reference{id.HasProperty, false, Ref{kind: kindTag, index: r.index}})
	}
}

func (s *Space) standardReferences(index uint32, yield func(Reference) bool) {
	n := &s.std.nodes[index]
	for _, ref := range n.refs {
		if !yield(Reference{ref.typ, ref.forward, Ref{kind: kindStandard, index: ref.target}}) {
			return
		}
	}
	if n.id == id.Server && s.Events() {
		yield(Reference{id.HasNotifier, true, Ref{kind: kindFolder}})
	}
	if n.id == id.ObjectsFolder {
		yield(Reference{id.Organizes, true, Ref{kind: kindFolder}})
	}
}

// typeOf is the reference of a node to its type.
func (s *Space) typeOf(r Ref) Reference {
	t, _ := s.Standard(s.TypeDefinition(r))
	return Reference{id.HasTypeDefinition, true, t}
}

func (s *Space) folderReferences(index uint32, yield func(Reference) bool) {
	r, f := Ref{kind: kindFolder, index: index}, &s.folders[index]
	up := Ref{kind: kindFolder, index: f.parent}
	if index == 0 {
		up, _ = s.Standard(id.ObjectsFolder)
	}
	if !yield(s.typeOf(r)) || !yield(Reference{id.Organizes, false, up}) || !yield(Reference{id.HasProperty, true, Ref{kind: kindVersion, index: index}}) {
		return
	}
	for _, c := range f.children {
		if !yield(Reference{id.Organizes, true, Ref{kind: kindFolder, index: c}}) {
			return
		}
	}
	for _, t := range f.tags {
		if !yield(Reference{id.Organizes, true, s.TagRef(t)}) {
			return
		}
	}
}

func (s *Space) tagReferences(t tag.ID, yield func(Reference) bool) {
	r := s.TagRef(t)
	if !yield(s.typeOf(r)) || !yield(Reference{id.Organizes, false, Ref{kind: kindFolder, index: s.parents[t]}}) {
		return
	}
	for p := property(0); p < propEnd; p++ {
		if has(&s.opt.Tags[t], p) && !yield(Reference{id.HasProperty, true, Ref{kind: kindProperty, prop: p, index: uint32(t)}}) {
			return
		}
	}
	for _, c := range s.ofTag[t] {
		if !yield(Reference{id.HasCondition, true, Ref{kind: kindCondition, index: c}}) {
			return
		}
	}
}

// IsSubtype reports whether the reference or object type t is super or derived from it.
func (s *Space) IsSubtype(t, super uint32) bool {
	for range maxTypeDepth {
		if t == super {
			return true
		}
		up, ok := s.std.superType[t]
		if !ok {
			return false
		}
		t = up
	}
	return false
}

// IsReferenceType reports whether a node is a reference type.
func (s *Space) IsReferenceType(r Ref) bool {
	return r.kind == kindStandard && s.std.nodes[r.index].class == classReferenceType
}
