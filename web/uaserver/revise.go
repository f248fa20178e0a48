package uaserver

import (
	"crypto/rand"
	"fmt"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"scada/acquisition/live"
	"scada/alarms"
	"scada/web/uaserver/monitor"
	"scada/web/uaserver/space"
	"scada/web/uaserver/wire"
)

// maxModelChanges is the most changes one event lists; of more it says only that there were some.
const maxModelChanges = 1000

// revision is the plant as one state of its configuration describes it. It does not change, and each request sees one.
type revision struct {
	s     *Server
	space *space.Space
	table *live.Table
}

// now returns the present revision.
func (s *Server) now() *revision { return s.rev.Load() }

// present makes the call see the present revision until the returned function is called.
func (k *call) present() func() {
	k.s.revising.RLock()
	k.rev = k.s.now()
	return k.s.revising.RUnlock
}

// Revised says what a revision changed for clients.
type Revised struct {
	Added, Removed, Changed int // nodes
}

// Revise takes over the tags, the table of present values and the conditions the [Backend] and [Alarms] have now. It is
// to be called when they have changed, with the table holding the values of the tags that stay; tags may have other ids
// than before. Sessions and subscriptions stay, and the items on tags that still exist go on. Those on tags that do not
// tell their clients so once, with Bad_NodeIdUnknown. Clients with items for events of the Server object get a
// GeneralModelChangeEvent and, for other units, ranges and names of states, a SemanticChangeEvent. On an error nothing
// has changed.
func (s *Server) Revise() (Revised, error) {
	tags, table := s.backend.Tags(), s.backend.Live()
	if len(tags) != table.Len() {
		return Revised{}, fmt.Errorf("revise opc ua server: %d tags, but a table for %d", len(tags), table.Len())
	}
	s.revising.Lock()
	defer s.revising.Unlock()
	before, conditions := s.now(), s.conditions()
	nodes, err := before.space.Revise(tags, spaceConditions(conditions))
	if err != nil {
		return Revised{}, fmt.Errorf("revise opc ua server: %w", err)
	}
	next := &revision{s: s, space: nodes, table: table}
	model, semantic := before.space.Changes(nodes)
	s.rev.Store(next)
	s.alarms.revise(conditions)
	s.engine.Revise(table, func(spec *monitor.Spec) monitor.Rebound { return next.rebind(before, spec) })
	if len(model) > 0 {
		s.engine.Notify(modelChange(model))
	}
	if len(semantic) > 0 {
		s.engine.Notify(semanticChange(semantic))
	}
	return count(model, semantic), nil
}

func count(model, semantic []space.Change) Revised {
	r := Revised{Changed: len(semantic)}
	for _, c := range model {
		switch {
		case c.Verb&space.NodeAdded != 0:
			r.Added++
		case c.Verb&space.NodeDeleted != 0:
			r.Removed++
		case c.Verb&space.DataTypeChanged != 0:
			r.Changed++
		}
	}
	return r
}

// conditions returns those of the alarm engine.
func (s *Server) conditions() []alarms.Condition {
	if s.cfg.Alarms == nil {
		return nil
	}
	return s.cfg.Alarms.Conditions()
}

// The places of items, by which they are found again in another revision. An item on a tag's value has none as long as
// the tag exists: its id says it.
type (
	lostPlace   struct{ tag string }      // of the value of a tag that does not exist
	eventPlace  struct{ node *ua.NodeID } // of events
	polledPlace struct {
		node    *ua.NodeID
		attr    ua.AttributeID
		session *session
	}
)

// watch has an item ask for an attribute.
func (v *revision) watch(spec *monitor.Spec, ref space.Ref, p polledPlace) {
	spec.Place, spec.Poll = p, func() wire.Value { return v.readAttribute(ref, p.attr, v.s.userOf(p.session)) }
}

// rebind moves an item from the revision before to this one.
func (v *revision) rebind(before *revision, spec *monitor.Spec) monitor.Rebound {
	switch p := spec.Place.(type) {
	case polledPlace:
		if ref, ok := v.space.Resolve(p.node); ok {
			v.watch(spec, ref, p)
			return monitor.Kept
		}
		return monitor.Gone
	case lostPlace:
		t, ok := v.space.TagNamed(p.tag)
		if !ok {
			return monitor.Gone
		}
		spec.Tag, spec.Place, spec.Least = t, nil, v.space.Definition(t).Deadband
		return monitor.Kept
	}
	was := before.space.Definition(spec.Tag)
	t, ok := v.space.TagNamed(was.Name)
	if !ok {
		spec.Tag, spec.Place = 0, lostPlace{was.Name}
		return monitor.Gone
	}
	is := v.space.Definition(t)
	spec.Tag, spec.Least = t, is.Deadband
	if !space.SameMeaning(was, is) {
		return monitor.Changed
	}
	return monitor.Kept
}

// ofServer makes an event of the Server object about the address space.
func ofServer(typ uint32, message string, changes []*ua.ExtensionObject) *event {
	eventID := make([]byte, 16)
	_, _ = rand.Read(eventID) // never fails: crypto/rand aborts instead
	ev := baseEvent(typ, eventID, time.Now().UnixNano(), ua.NewNumericNodeID(0, id.Server), "Server", message, aboutSeverity)
	ev.ofServer = true
	if changes != nil {
		ev.set("Changes", changes)
	}
	return ev.seal()
}

func modelChange(all []space.Change) *event {
	message := fmt.Sprintf("the address space has changed: %d nodes", len(all))
	if len(all) > maxModelChanges {
		return ofServer(id.BaseModelChangeEventType, message, nil)
	}
	changes := make([]*ua.ExtensionObject, len(all))
	for i, c := range all {
		changes[i] = ua.NewExtensionObject(&ua.ModelChangeStructureDataType{Affected: c.Node, AffectedType: ua.NewNumericNodeID(0, c.Type), Verb: c.Verb})
	}
	return ofServer(id.GeneralModelChangeEventType, message, changes)
}

func semanticChange(all []space.Change) *event {
	message := fmt.Sprintf("units, ranges or names of states have changed: %d nodes", len(all))
	changes := make([]*ua.ExtensionObject, min(len(all), maxModelChanges))
	for i := range changes {
		changes[i] = ua.NewExtensionObject(&ua.SemanticChangeStructureDataType{Affected: all[i].Node, AffectedType: ua.NewNumericNodeID(0, all[i].Type)})
	}
	return ofServer(id.SemanticChangeEventType, message, changes)
}
