package space

import (
	"fmt"
	"hash/fnv"
	"slices"

	"github.com/gopcua/opcua/ua"

	"scada/acquisition/tag"
)

// versionSuffix ends the node id of the NodeVersion of a folder.
const versionSuffix = "#NodeVersion"

// The verbs of a change (OPC 10000-5, 12.15).
const (
	NodeAdded        byte = 1
	NodeDeleted      byte = 2
	ReferenceAdded   byte = 4
	ReferenceDeleted byte = 8
	DataTypeChanged  byte = 16
)

// Change is what happened to one node between two revisions.
type Change struct {
	Node *ua.NodeID
	Type uint32 // its type definition
	Verb byte
}

// Revise returns the space of another revision of the plant. Namespace 0 is shared with the present one.
func (s *Space) Revise(tags []tag.Definition, conditions []Condition) (*Space, error) {
	opt := s.opt
	opt.Tags, opt.Conditions = tags, conditions
	return build(opt, s.std)
}

// version names the state of the references of a folder. It is the same on both nodes of a pair.
func (s *Space) version(index uint32) string {
	h, f := fnv.New64a(), &s.folders[index]
	for _, c := range f.children {
		_, _ = fmt.Fprintf(h, "%s/\n", s.folders[c].name) // a hash takes everything
	}
	for _, t := range f.tags {
		_, _ = fmt.Fprintf(h, "%s\n", s.opt.Tags[t].Name)
	}
	return fmt.Sprintf("%016x", h.Sum64())
}

// comparison gathers the changes from one space to the next.
type comparison struct {
	model    []Change
	semantic []Change
	parents  map[string]int // place in model of nodes whose references changed
}

// Changes lists the nodes that next has and s has not, and the other way round, with the nodes that refer to them; and
// those tags whose values mean something else.
func (s *Space) Changes(next *Space) (model, semantic []Change) {
	c := &comparison{parents: map[string]int{}}
	c.oneSided(s, next, NodeDeleted, ReferenceDeleted)
	c.oneSided(next, s, NodeAdded, ReferenceAdded)
	for i := range s.opt.Tags {
		if t, ok := next.byName[s.opt.Tags[i].Name]; ok {
			c.tag(s, next, tag.ID(i), t)
		}
	}
	return c.model, c.semantic
}

// oneSided lists what a has and b has not.
func (c *comparison) oneSided(a, b *Space, node, reference byte) {
	for i := range a.folders {
		if _, ok := b.byFolder[a.folders[i].path]; !ok {
			c.node(a, Ref{kind: kindFolder, index: uint32(i)}, node)
			c.refers(a, Ref{kind: kindFolder, index: a.folders[i].parent}, reference)
		}
	}
	for i := range a.opt.Tags {
		if _, ok := b.byName[a.opt.Tags[i].Name]; !ok {
			c.node(a, a.TagRef(tag.ID(i)), node)
			c.refers(a, Ref{kind: kindFolder, index: a.parents[i]}, reference)
		}
	}
	for i := range a.opt.Conditions {
		if _, ok := b.conditions[a.opt.Conditions[i].ID]; !ok {
			c.node(a, Ref{kind: kindCondition, index: uint32(i)}, node)
			c.refers(a, a.sourceOf(uint32(i)), reference)
		}
	}
}

// tag compares a tag that both have.
func (c *comparison) tag(a, b *Space, before, after tag.ID) {
	was, is := &a.opt.Tags[before], &b.opt.Tags[after]
	ref := b.TagRef(after)
	if was.Type != is.Type || variableType(was) != variableType(is) {
		c.refers(b, ref, DataTypeChanged)
	}
	for p := property(0); p < propEnd; p++ {
		switch {
		case has(was, p) && !has(is, p):
			c.refers(b, ref, ReferenceDeleted)
		case !has(was, p) && has(is, p):
			c.refers(b, ref, ReferenceAdded)
		}
	}
	if !SameMeaning(was, is) {
		c.semantic = append(c.semantic, Change{Node: b.NodeID(ref), Type: b.TypeDefinition(ref)})
	}
}

// SameMeaning reports whether values of two definitions are to be read alike: unit, range, names of states.
func SameMeaning(a, b *tag.Definition) bool {
	return a.Unit == b.Unit && a.Range == b.Range && slices.Equal(a.Bits, b.Bits)
}

func (c *comparison) node(s *Space, r Ref, verb byte) {
	c.model = append(c.model, Change{Node: s.NodeID(r), Type: s.TypeDefinition(r), Verb: verb})
}

// refers notes a change of the references of a node, or of its type; many to one node are one.
func (c *comparison) refers(s *Space, r Ref, verb byte) {
	n := s.NodeID(r)
	if i, ok := c.parents[n.String()]; ok {
		c.model[i].Verb |= verb
		return
	}
	c.parents[n.String()] = len(c.model)
	c.model = append(c.model, Change{Node: n, Type: s.TypeDefinition(r), Verb: verb})
}
