package space

import (
	"fmt"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"scada/acquisition/tag"
)

// The indexes of the namespaces. They are the same on every server, as the nodes of a pair must have equal node ids.
const (
	NamespaceUA     = 0 // http://opcfoundation.org/UA/
	NamespaceServer = 1 // the application URI, reserved for what is not the same on both nodes
	NamespaceTags   = 2
)

// Ref names a node of the space. Refs are comparable, and the zero Ref names none.
type Ref struct {
	kind  kind
	prop  property
	index uint32
}

type kind uint8

const (
	kindNone      kind = iota
	kindStandard       // index into standard.nodes
	kindFolder         // index into folders
	kindTag            // index is the tag's id
	kindProperty       // prop of the tag index
	kindCondition      // index into Options.Conditions
	kindShelving       // the ShelvingState of the condition index
	kindVersion        // the NodeVersion of the folder index
)

// property is a property variable of a tag.
type property uint8

const (
	propRange property = iota
	propUnits
	propFalseState
	propTrueState
	propEnumStrings
	propEnd
)

// Options says what the space is of.
type Options struct {
	Project string // name of the folder of the tags
	Tags    []tag.Definition
	// Values gives the present value of the variables of the Server object by their numeric ids. A variable that
	// is not in it exists only if it is part of a type.
	Values map[uint32]func() *ua.Variant
	// Methods are the ids of the methods of the Server object that can be called.
	Methods []uint32
	// History says that tags are recorded; Aggregates are the functions their history can be read with.
	History bool
	// EventHistory says that events are recorded, too.
	EventHistory bool
	Aggregates   []uint32
	// Conditions are those of the alarm engine. If there are none only the Server object has events.
	Conditions []Condition
	// Redundant says that the server is one of a non-transparent redundant set.
	Redundant bool
}

// Condition is a condition of the alarm engine.
type Condition struct {
	ID   string
	Tag  string // the tag it watches; it may have none
	Type uint32 // its type, in namespace 0
}

// Space is an address space.
type Space struct {
	conditions map[string]uint32   // by id
	ofTag      map[tag.ID][]uint32 // conditions of a tag
	opt        Options
	std        *standard
	folders    []folder
	byFolder   map[string]uint32
	byName     map[string]tag.ID
	parents    []uint32 // folder of each tag
}

// folder is one level of the tags' paths; the first is the project's.
type folder struct {
	path     string // "line1/pump1/", "" for the project
	name     string
	parent   uint32
	children []uint32
	tags     []tag.ID
}

// New builds the space. Tags must be in order of their ids, as the table of values is.
func New(opt Options) (*Space, error) {
	std, err := loadStandard(opt)
	if err != nil {
		return nil, fmt.Errorf("namespace 0: %w", err)
	}
	return build(opt, std)
}

// build lays out the tags and conditions.
func build(opt Options, std *standard) (*Space, error) {
	s := &Space{
		opt: opt, std: std,
		folders: []folder{{name: opt.Project}}, byFolder: map[string]uint32{"": 0},
		byName: make(map[string]tag.ID, len(opt.Tags)), parents: make([]uint32, len(opt.Tags)),
		conditions: make(map[string]uint32, len(opt.Conditions)), ofTag: map[tag.ID][]uint32{},
	}
	for i := range opt.Tags {
		def := &opt.Tags[i]
		if int(def.ID) != i || def.Name == "" {
			return nil, fmt.Errorf("tag %q at %d has id %d", def.Name, i, def.ID)
		}
		if other, ok := s.byName[def.Name]; ok {
			return nil, fmt.Errorf("tags %d and %d are both called %q", other, i, def.Name)
		}
		s.byName[def.Name] = def.ID
		f := s.folder(dir(def.Name))
		s.folders[f].tags = append(s.folders[f].tags, def.ID)
		s.parents[i] = f
	}
	for i, c := range opt.Conditions {
		s.conditions[c.ID] = uint32(i)
		if t, ok := s.byName[c.Tag]; ok {
			s.ofTag[t] = append(s.ofTag[t], uint32(i))
		}
	}
	return s, nil
}

// dir returns the path of the folder of a tag or folder, with its slash; "" is the project's.
func dir(name string) string {
	for i := len(name) - 2; i >= 0; i-- {
		if name[i] == '/' {
			return name[:i+1]
		}
	}
	return ""
}

// folder returns the folder with the given path, making it and those above it if need be.
func (s *Space) folder(path string) uint32 {
	if f, ok := s.byFolder[path]; ok {
		return f
	}
	up := dir(path)
	parent := s.folder(up)
	f := uint32(len(s.folders))
	s.folders = append(s.folders, folder{path: path, name: path[len(up) : len(path)-1], parent: parent})
	s.folders[parent].children = append(s.folders[parent].children, f)
	s.byFolder[path] = f
	return f
}

// Standard returns the node with a numeric id of namespace 0.
func (s *Space) Standard(numeric uint32) (Ref, bool) {
	i, ok := s.std.byID[numeric]
	return Ref{kind: kindStandard, index: i}, ok
}

// Text returns the node with a string id of the tags' namespace. It does not keep name.
func (s *Space) Text(name []byte) (Ref, bool) {
	if id, ok := s.byName[string(name)]; ok {
		return Ref{kind: kindTag, index: uint32(id)}, true
	}
	n := len(name)
	if n > 0 && name[n-1] == '/' {
		return s.folderText(name)
	}
	if n > 0 && name[0] == conditionMark {
		return s.conditionText(string(name[1:]))
	}
	if n > len(versionSuffix) && string(name[n-len(versionSuffix):]) == versionSuffix {
		if r, ok := s.folderText(name[:n-len(versionSuffix)]); ok {
			return Ref{kind: kindVersion, index: r.index}, true
		}
	}
	for p := property(0); p < propEnd; p++ {
		suffix := "#" + properties[p].name
		if n <= len(suffix) || string(name[n-len(suffix):]) != suffix {
			continue
		}
		id, ok := s.byName[string(name[:n-len(suffix)])]
		if !ok || !has(&s.opt.Tags[id], p) {
			return Ref{}, false
		}
		return Ref{kind: kindProperty, prop: p, index: uint32(id)}, true
	}
	return Ref{}, false
}

// folderText returns the folder with a path; the project's has the node id "/".
func (s *Space) folderText(path []byte) (Ref, bool) {
	if len(path) == 1 && path[0] == '/' {
		return Ref{kind: kindFolder}, true
	}
	f, ok := s.byFolder[string(path)]
	return Ref{kind: kindFolder, index: f}, ok && f > 0
}

// folderID returns the text of the node id of a folder.
func (s *Space) folderID(index uint32) string {
	if index == 0 {
		return "/"
	}
	return s.folders[index].path
}

// Resolve returns the node with the given id.
func (s *Space) Resolve(n *ua.NodeID) (Ref, bool) {
	switch {
	case n == nil:
		return Ref{}, false
	case n.Namespace() == NamespaceUA && n.Type() <= ua.NodeIDTypeNumeric:
		return s.Standard(n.IntID())
	case n.Namespace() == NamespaceTags && n.Type() == ua.NodeIDTypeString:
		return s.Text([]byte(n.StringID()))
	}
	return Ref{}, false
}

// NodeID returns the id of a node.
func (s *Space) NodeID(r Ref) *ua.NodeID {
	switch r.kind {
	case kindStandard:
		return numeric(s.std.nodes[r.index].id)
	case kindFolder:
		return ua.NewStringNodeID(NamespaceTags, s.folderID(r.index))
	case kindVersion:
		return ua.NewStringNodeID(NamespaceTags, s.folderID(r.index)+versionSuffix)
	case kindTag:
		return ua.NewStringNodeID(NamespaceTags, s.opt.Tags[r.index].Name)
	case kindProperty:
		return ua.NewStringNodeID(NamespaceTags, s.opt.Tags[r.index].Name+"#"+properties[r.prop].name)
	case kindCondition:
		return ua.NewStringNodeID(NamespaceTags, string(conditionMark)+s.opt.Conditions[r.index].ID)
	case kindShelving:
		return ua.NewStringNodeID(NamespaceTags, string(conditionMark)+s.opt.Conditions[r.index].ID+shelvingSuffix)
	}
	return ua.NewTwoByteNodeID(0)
}

// numeric returns the shortest form of an id of namespace 0.
func numeric(n uint32) *ua.NodeID {
	switch {
	case n < 1<<8:
		return ua.NewTwoByteNodeID(uint8(n))
	case n < 1<<16:
		return ua.NewFourByteNodeID(NamespaceUA, uint16(n))
	}
	return ua.NewNumericNodeID(NamespaceUA, n)
}

// Tag returns the tag behind a node, if the node is a tag's variable.
func (s *Space) Tag(r Ref) (tag.ID, bool) { return tag.ID(r.index), r.kind == kindTag }

// TagRef returns the node of a tag.
func (s *Space) TagRef(id tag.ID) Ref { return Ref{kind: kindTag, index: uint32(id)} }

// Numeric returns the id of a node of namespace 0, and 0 for other nodes.
func (s *Space) Numeric(r Ref) uint32 {
	if r.kind != kindStandard {
		return 0
	}
	return s.std.nodes[r.index].id
}

// Recorded reports whether a tag has a history.
func (s *Space) Recorded(id tag.ID) bool {
	return s.opt.History && s.opt.Tags[id].History != tag.HistoryOff
}

// IsText reports whether the values of the tag with a name are text.
func (s *Space) IsText(name string) bool {
	t, ok := s.byName[name]
	return ok && s.opt.Tags[t].Type == tag.TypeString
}

// TagNamed returns the tag with a name.
func (s *Space) TagNamed(name string) (tag.ID, bool) {
	t, ok := s.byName[name]
	return t, ok
}

// Definition returns the definition of a tag.
func (s *Space) Definition(id tag.ID) *tag.Definition { return &s.opt.Tags[id] }

// Class returns the class of a node.
func (s *Space) Class(r Ref) ua.NodeClass {
	switch r.kind {
	case kindStandard:
		return s.std.nodes[r.index].class
	case kindFolder, kindCondition, kindShelving:
		return ua.NodeClassObject
	case kindTag, kindProperty, kindVersion:
		return ua.NodeClassVariable
	}
	return ua.NodeClassUnspecified
}

// BrowseName returns the browse name of a node.
func (s *Space) BrowseName(r Ref) *ua.QualifiedName {
	ns, name := s.name(r)
	return &ua.QualifiedName{NamespaceIndex: ns, Name: name}
}

func (s *Space) name(r Ref) (uint16, string) {
	switch r.kind {
	case kindStandard:
		return NamespaceUA, s.std.nodes[r.index].name
	case kindFolder:
		return NamespaceTags, s.folders[r.index].name
	case kindTag:
		name := s.opt.Tags[r.index].Name
		return NamespaceTags, name[len(dir(name)):]
	case kindProperty:
		return NamespaceUA, properties[r.prop].name
	case kindCondition:
		return NamespaceTags, s.opt.Conditions[r.index].ID
	case kindShelving:
		return NamespaceUA, "ShelvingState"
	case kindVersion:
		return NamespaceUA, "NodeVersion"
	}
	return 0, ""
}

// TypeDefinition returns the type of an object or variable, as an id of namespace 0; 0 for other nodes.
func (s *Space) TypeDefinition(r Ref) uint32 {
	switch r.kind {
	case kindStandard:
		for _, ref := range s.std.nodes[r.index].refs {
			if ref.typ == id.HasTypeDefinition && ref.forward {
				return s.std.nodes[ref.target].id
			}
		}
	case kindFolder:
		return id.FolderType
	case kindTag:
		return variableType(&s.opt.Tags[r.index])
	case kindProperty, kindVersion:
		return id.PropertyType
	case kindCondition:
		return s.opt.Conditions[r.index].Type
	case kindShelving:
		return id.ShelvedStateMachineType
	}
	return 0
}
