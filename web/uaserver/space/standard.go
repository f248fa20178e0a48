package space

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/schema"
	"github.com/gopcua/opcua/ua"
)

const (
	classReferenceType = ua.NodeClassReferenceType
	maxTypeDepth       = 32 // levels of reference types; the deepest of the standard has 6
)

// standard is the part of namespace 0 that this server has.
type standard struct {
	nodes     []node
	byID      map[uint32]uint32
	superType map[uint32]uint32 // of reference and object types
}

// node is a node of namespace 0.
type node struct {
	id        uint32
	class     ua.NodeClass
	name      string
	display   string
	inverse   string
	dataType  uint32
	rank      int32
	dims      []uint32
	abstract  bool
	symmetric bool
	value     *ua.Variant // fixed value: names of an enumeration, arguments of a method
	refs      []reference
}

type reference struct {
	typ     uint32
	target  uint32 // index; while loading: id
	forward bool
}

// serverObjects are the objects below the Server object this server has. Variables below it exist if they have a
// value, methods if they can be called.
var serverObjects = []uint32{
	id.Server_ServerCapabilities, id.Server_ServerCapabilities_OperationLimits, id.Server_ServerCapabilities_ModellingRules,
	id.Server_ServerCapabilities_AggregateFunctions, id.Server_ServerDiagnostics, id.Server_ServerDiagnostics_SessionsDiagnosticsSummary,
	id.HistoryServerCapabilities, id.HistoryServerCapabilities_AggregateFunctions, id.Server_VendorServerInfo, id.Server_ServerRedundancy, id.Server_Namespaces,
}

// loader reads the node set.
type loader struct {
	aliases map[string]string
	nodes   map[uint32]*node
	super   map[uint32]uint32
	keep    map[uint32]bool
	opt     *Options
}

func loadStandard(opt Options) (*standard, error) {
	l := &loader{aliases: map[string]string{}, nodes: map[uint32]*node{}, super: map[uint32]uint32{}, keep: map[uint32]bool{}, opt: &opt}
	if err := l.parse(); err != nil {
		return nil, err
	}
	l.mirror()
	if opt.Redundant {
		l.redundancy()
	}
	if opt.History {
		l.aggregates()
	}
	l.reach(id.RootFolder, false)
	return l.standard(), nil
}

// parse reads all nodes of the node set.
func (l *loader) parse() error {
	s := &scanner{rest: schema.OpcUaNodeSet2}
	var n *node
	for {
		e, ok := s.next()
		if !ok {
			return nil
		}
		switch {
		case e.end:
		case e.name == "Alias":
			l.aliases[e.attr("Alias")] = unescape(e.text)
		case classOf(e.name) != 0:
			n = l.node(e)
		case n == nil:
		case e.name == "DisplayName" && n.display == "":
			n.display = unescape(e.text)
		case e.name == "InverseName":
			n.inverse = unescape(e.text)
		case e.name == "Reference":
			l.reference(n, e)
		case e.name == "Value":
			value, err := l.parseValue(s.value())
			if err != nil {
				return fmt.Errorf("node %d: %w", n.id, err)
			}
			n.value = value
		}
	}
}

func classOf(name string) ua.NodeClass {
	switch name {
	case "UAObject":
		return ua.NodeClassObject
	case "UAVariable":
		return ua.NodeClassVariable
	case "UAMethod":
		return ua.NodeClassMethod
	case "UAObjectType":
		return ua.NodeClassObjectType
	case "UAVariableType":
		return ua.NodeClassVariableType
	case "UAReferenceType":
		return ua.NodeClassReferenceType
	case "UADataType":
		return ua.NodeClassDataType
	case "UAView":
		return ua.NodeClassView
	}
	return 0
}

func (l *loader) node(e element) *node {
	n := &node{
		class: classOf(e.name), name: e.attr("BrowseName"), rank: scalar,
		abstract: e.attr("IsAbstract") == "true", symmetric: e.attr("Symmetric") == "true",
	}
	n.id, _ = l.numericID(e.attr("NodeId"))
	if n.class == ua.NodeClassVariable || n.class == ua.NodeClassVariableType {
		n.dataType = id.BaseDataType
		if dataType, ok := l.numericID(e.attr("DataType")); ok {
			n.dataType = dataType
		}
		if rank, err := strconv.ParseInt(e.attr("ValueRank"), 10, 32); err == nil {
			n.rank = int32(rank)
		}
		for _, d := range strings.Split(e.attr("ArrayDimensions"), ",") {
			if size, err := strconv.ParseUint(d, 10, 32); err == nil {
				n.dims = append(n.dims, uint32(size))
			}
		}
	}
	l.nodes[n.id] = n
	return n
}

func (l *loader) reference(n *node, e element) {
	typ, ok := l.numericID(e.attr("ReferenceType"))
	target, ok2 := l.numericID(string(e.text))
	if ok && ok2 {
		n.refs = append(n.refs, reference{typ, target, e.attr("IsForward") != "false"})
	}
}

// mirror adds the other direction of each reference that is listed at one end only, but for those from the many
// instances to their one type, and learns the hierarchy of reference types.
func (l *loader) mirror() {
	for from, n := range l.nodes {
		for _, r := range n.refs {
			if r.typ == id.HasSubtype && (n.class == ua.NodeClassReferenceType || n.class == ua.NodeClassObjectType) {
				if r.forward {
					l.super[r.target] = from
				} else {
					l.super[from] = r.target
				}
			}
			if r.typ == id.HasTypeDefinition || r.typ == id.HasModellingRule {
				continue
			}
			if to, ok := l.nodes[r.target]; ok {
				to.add(reference{r.typ, from, !r.forward})
			}
		}
	}
}

func (n *node) add(r reference) {
	if !slices.Contains(n.refs, r) {
		n.refs = append(n.refs, r)
	}
}

// redundancy makes ServerRedundancy what it is in a non-transparent set; the node set has the property but not the
// reference to it.
func (l *loader) redundancy() {
	object, uris := l.nodes[id.Server_ServerRedundancy], l.nodes[id.Server_ServerRedundancy_ServerURIArray]
	if object == nil || uris == nil {
		return
	}
	object.add(reference{id.HasProperty, uris.id, true})
	uris.add(reference{id.HasProperty, object.id, false})
	for i := range object.refs {
		if object.refs[i].typ == id.HasTypeDefinition {
			object.refs[i].target = id.NonTransparentRedundancyType
		}
	}
}

// aggregates puts the functions the history can be read with into both folders for them.
func (l *loader) aggregates() {
	for _, folder := range []uint32{id.Server_ServerCapabilities_AggregateFunctions, id.HistoryServerCapabilities_AggregateFunctions} {
		for _, f := range l.opt.Aggregates {
			if from, to := l.nodes[folder], l.nodes[f]; from != nil && to != nil {
				from.add(reference{id.Organizes, f, true})
				to.add(reference{id.Organizes, folder, false})
			}
		}
	}
}

// reach marks a node and what hangs below it as kept.
func (l *loader) reach(from uint32, server bool) {
	n, ok := l.nodes[from]
	if !ok || l.keep[from] {
		return
	}
	l.keep[from] = true
	server = server || from == id.Server
	for _, r := range n.refs {
		if r.forward && l.hierarchical(r.typ) && l.wanted(n, r.target, server) {
			l.reach(r.target, server)
		}
	}
}

func (l *loader) hierarchical(typ uint32) bool {
	for range maxTypeDepth {
		if typ == id.HierarchicalReferences {
			return true
		}
		typ = l.super[typ]
	}
	return false
}

// wanted says which children of the Server object, and of Objects, exist: those that say something true.
func (l *loader) wanted(parent *node, child uint32, server bool) bool {
	if parent.id == id.ObjectsFolder {
		return child == id.Server
	}
	if !server {
		return true
	}
	n, ok := l.nodes[child]
	if !ok {
		return false
	}
	switch n.class {
	case ua.NodeClassObject:
		if child == id.HistoryServerCapabilities {
			return l.opt.History
		}
		return slices.Contains(serverObjects, child) || (l.opt.History && slices.Contains(l.opt.Aggregates, child))
	case ua.NodeClassMethod:
		return slices.Contains(l.opt.Methods, child)
	}
	_, has := l.opt.Values[child]
	return has || parent.class == ua.NodeClassMethod
}

// standard lays out the kept nodes in order of their ids.
func (l *loader) standard() *standard {
	s := &standard{byID: make(map[uint32]uint32, len(l.keep)), superType: l.super}
	for n := range l.keep {
		s.nodes = append(s.nodes, *l.nodes[n])
	}
	slices.SortFunc(s.nodes, func(a, b node) int { return cmp.Compare(a.id, b.id) })
	for i := range s.nodes {
		s.byID[s.nodes[i].id] = uint32(i)
	}
	for i := range s.nodes {
		n := &s.nodes[i]
		refs := n.refs
		n.refs = make([]reference, 0, len(refs))
		for _, r := range refs {
			if target, ok := s.byID[r.target]; ok {
				n.refs = append(n.refs, reference{r.typ, target, r.forward})
			}
		}
		// Mirrored references come in the order of a map; a browse must not.
		slices.SortFunc(n.refs, func(a, b reference) int {
			return cmp.Or(cmp.Compare(a.typ, b.typ), cmp.Compare(a.target, b.target))
		})
		if n.display == n.name {
			n.display = n.name // one string for both
		}
	}
	return s
}
