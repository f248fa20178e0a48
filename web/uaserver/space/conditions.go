package space

import (
	"strings"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"
)

// The node id of a condition is the mark and its id; that of its shelving state has the suffix.
const (
	conditionMark  = '!'
	shelvingSuffix = "#ShelvingState"
)

// The bits of EventNotifier (OPC 10000-3, 8.59).
const (
	subscribeToEvents byte = 1
	readEventHistory  byte = 4
)

// conditionMethods and shelvingMethods are those of the types; a condition has no others of its own.
var (
	conditionMethods = []uint32{id.AcknowledgeableConditionType_Acknowledge, id.ConditionType_AddComment}
	shelvingMethods  = []uint32{id.ShelvedStateMachineType_TimedShelve, id.ShelvedStateMachineType_OneShotShelve, id.ShelvedStateMachineType_Unshelve}
)

// Events reports whether the tags have events; the Server object always has.
func (s *Space) Events() bool { return len(s.opt.Conditions) > 0 }

// notifier returns the EventNotifier of an object: events come from the Server object and from the folders of tags.
func (s *Space) notifier(r Ref) byte {
	if (s.Events() && r.kind == kindFolder) || s.Numeric(r) == id.Server {
		if s.Events() && s.opt.EventHistory {
			return subscribeToEvents | readEventHistory
		}
		return subscribeToEvents
	}
	return 0
}

// RecordsEvents reports whether the events of a node can be read later.
func (s *Space) RecordsEvents(r Ref) bool { return s.notifier(r)&readEventHistory != 0 }

// Notifies reports whether a node has events, and of which tags: those whose names begin with prefix. All says that it
// has those of no tag, too.
func (s *Space) Notifies(r Ref) (prefix string, all, ok bool) {
	if s.notifier(r) == 0 {
		return "", false, false
	}
	if r.kind == kindFolder {
		return s.folders[r.index].path, r.index == 0, true
	}
	return "", true, true
}

// ConditionRef returns the node of a condition.
func (s *Space) ConditionRef(id string) (Ref, bool) {
	i, ok := s.conditions[id]
	return Ref{kind: kindCondition, index: i}, ok
}

// Condition returns the id of the condition a node is, or is the shelving state of.
func (s *Space) Condition(r Ref) (string, bool) {
	if r.kind != kindCondition && r.kind != kindShelving {
		return "", false
	}
	return s.opt.Conditions[r.index].ID, true
}

// TagNode returns the node id of a tag by its name; a name that is none's gives the null id.
func (s *Space) TagNode(name string) *ua.NodeID {
	if t, ok := s.byName[name]; ok {
		return s.NodeID(s.TagRef(t))
	}
	return ua.NewTwoByteNodeID(0)
}

func (s *Space) conditionText(text string) (Ref, bool) {
	name, shelving := strings.CutSuffix(text, shelvingSuffix)
	r, ok := s.ConditionRef(name)
	if shelving {
		r.kind = kindShelving
	}
	if !ok {
		return Ref{}, false
	}
	return r, true
}

func (s *Space) conditionReferences(r Ref, yield func(Reference) bool) {
	if !yield(s.typeOf(r)) || !yield(Reference{id.HasCondition, false, s.sourceOf(r.index)}) ||
		!yield(Reference{id.HasComponent, true, Ref{kind: kindShelving, index: r.index}}) {
		return
	}
	s.methods(conditionMethods, yield)
}

// sourceOf returns the node a condition belongs to: its tag, or the project.
func (s *Space) sourceOf(condition uint32) Ref {
	if t, ok := s.byName[s.opt.Conditions[condition].Tag]; ok {
		return s.TagRef(t)
	}
	return Ref{kind: kindFolder}
}

func (s *Space) shelvingReferences(r Ref, yield func(Reference) bool) {
	if yield(s.typeOf(r)) && yield(Reference{id.HasComponent, false, Ref{kind: kindCondition, index: r.index}}) {
		s.methods(shelvingMethods, yield)
	}
}

func (s *Space) methods(ids []uint32, yield func(Reference) bool) {
	for _, n := range ids {
		if m, ok := s.Standard(n); ok && !yield(Reference{id.HasComponent, true, m}) {
			return
		}
	}
}
