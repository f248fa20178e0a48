package space_test

import (
	"fmt"
	"testing"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"scada/acquisition/tag"
	"scada/web/uaserver/space"
)

func build(t testing.TB, tags ...tag.Definition) *space.Space {
	t.Helper()
	for i := range tags {
		tags[i].ID = tag.ID(i)
	}
	s, err := space.New(space.Options{
		Project: "waterworks", Tags: tags, Redundant: true, Methods: []uint32{id.Server_GetMonitoredItems},
		Values: map[uint32]func() *ua.Variant{
			id.Server_ServiceLevel:                       func() *ua.Variant { return ua.MustVariant(byte(255)) },
			id.Server_ServerRedundancy_ServerURIArray:    func() *ua.Variant { return ua.MustVariant([]string{"urn:a", "urn:b"}) },
			id.Server_ServerRedundancy_RedundancySupport: func() *ua.Variant { return ua.MustVariant(int32(2)) },
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func plant() []tag.Definition {
	return []tag.Definition{
		{Name: "line1/pump1/mode", Type: tag.TypeUint8, Bits: []string{"off", "manual", "auto"}},
		{Name: "line1/pump1/run", Type: tag.TypeBool, Bits: []string{"stopped", "running"}, Writable: true},
		{Name: "line1/pump1/speed", Type: tag.TypeFloat32, Unit: "rpm", Range: tag.Range{High: 3000}, Writable: true, Description: "drive"},
		{Name: "line1/temp", Type: tag.TypeFloat64, Unit: "°C"},
		{Name: "plain", Type: tag.TypeString},
	}
}

// TestEveryNodeIsReachableAndResolves walks the whole space from Root and checks both directions of every reference.
func TestEveryNodeIsReachableAndResolves(t *testing.T) {
	s := build(t, plant()...)
	root, _ := s.Standard(id.RootFolder)
	seen := map[space.Ref]bool{root: true}
	for queue := []space.Ref{root}; len(queue) > 0; queue = queue[1:] {
		r := queue[0]
		if back, ok := s.Resolve(s.NodeID(r)); !ok || back != r {
			t.Fatalf("%v resolves to %v, %v", s.NodeID(r), back, ok)
		}
		for _, attr := range []ua.AttributeID{ua.AttributeIDNodeClass, ua.AttributeIDBrowseName, ua.AttributeIDDisplayName} {
			if v, status := s.Attribute(r, attr, false); status != ua.StatusOK || v.Value() == nil {
				t.Errorf("%v has no %v", s.NodeID(r), attr)
			}
		}
		s.References(r, func(ref space.Reference) bool {
			if !ref.Forward || !s.IsSubtype(ref.Type, id.HierarchicalReferences) {
				return true
			}
			mirrored := false
			s.References(ref.Target, func(back space.Reference) bool {
				mirrored = mirrored || (!back.Forward && back.Target == r && back.Type == ref.Type)
				return true
			})
			if !mirrored {
				t.Errorf("%v -> %v has no way back", s.NodeID(r), s.NodeID(ref.Target))
			}
			if !seen[ref.Target] {
				seen[ref.Target] = true
				queue = append(queue, ref.Target)
			}
			return true
		})
	}
	if len(seen) < 3000 {
		t.Errorf("only %d nodes", len(seen))
	}
	t.Logf("%d nodes", len(seen))
}

func TestTagsAreTypedByWhatTheirDefinitionPromises(t *testing.T) {
	s := build(t, plant()...)
	for _, c := range []struct {
		node  string
		typ   uint32
		props string
	}{
		{"line1/pump1/speed", id.AnalogItemType, "[EURange EngineeringUnits]"},
		{"line1/temp", id.AnalogUnitType, "[EngineeringUnits]"},
		{"line1/pump1/run", id.TwoStateDiscreteType, "[FalseState TrueState]"},
		{"line1/pump1/mode", id.MultiStateDiscreteType, "[EnumStrings]"},
		{"plain", id.BaseDataVariableType, "[]"},
		{"line1/pump1/", id.FolderType, "[NodeVersion]"},
	} {
		r, ok := s.Text([]byte(c.node))
		if !ok || s.TypeDefinition(r) != c.typ {
			t.Errorf("%s: %v, type %d, want %d", c.node, ok, s.TypeDefinition(r), c.typ)
		}
		props := []string{}
		s.References(r, func(ref space.Reference) bool {
			if ref.Type == id.HasProperty {
				props = append(props, s.BrowseName(ref.Target).Name)
			}
			return true
		})
		if fmt.Sprint(props) != c.props {
			t.Errorf("%s has %v, want %s", c.node, props, c.props)
		}
	}
	if _, ok := s.Text([]byte("plain#EURange")); ok {
		t.Error("a text has a range")
	}
	r, _ := s.Text([]byte("line1/pump1/speed#EngineeringUnits"))
	v, _ := s.Attribute(r, ua.AttributeIDValue, false)
	if eu := v.ExtensionObject().Value.(*ua.EUInformation); eu.UnitID != 'R'<<16|'P'<<8|'M' {
		t.Errorf("rpm is unit %d", eu.UnitID)
	}
	speed, _ := s.Text([]byte("line1/pump1/speed"))
	for mayWrite, want := range map[bool]uint64{true: 3, false: 1} {
		if v, _ := s.Attribute(speed, ua.AttributeIDUserAccessLevel, mayWrite); v.Uint() != want {
			t.Errorf("access level %d for a user who may write: %v", v.Uint(), mayWrite)
		}
	}
}

func TestServerObjectSaysOnlyWhatIsTrue(t *testing.T) {
	s := build(t)
	for n, want := range map[uint32]bool{
		id.Server_ServiceLevel: true, id.Server_ServerRedundancy_ServerURIArray: true, id.Server_GetMonitoredItems: true,
		id.Server_GetMonitoredItems_InputArguments: true, id.Server_ServerStatus: false, id.Server_ResendData: false,
		id.Server_ServerRedundancy_RedundantServerArray: false, id.AnalogItemType: true, id.ServerState_EnumStrings: true,
	} {
		if _, ok := s.Standard(n); ok != want {
			t.Errorf("node %d: %v, want %v", n, ok, want)
		}
	}
	r, _ := s.Standard(id.ServerState_EnumStrings)
	v, _ := s.Attribute(r, ua.AttributeIDValue, false)
	if texts, ok := v.Value().([]*ua.LocalizedText); !ok || len(texts) != 8 || texts[0].Text != "Running" {
		t.Errorf("server states are %v", v.Value())
	}
	r, _ = s.Standard(id.Server_GetMonitoredItems_InputArguments)
	v, _ = s.Attribute(r, ua.AttributeIDValue, false)
	if args, ok := v.Value().([]*ua.ExtensionObject); !ok || len(args) != 1 || args[0].Value.(*ua.Argument).Name != "SubscriptionId" {
		t.Errorf("arguments of GetMonitoredItems are %v", v.Value())
	}
	r, _ = s.Standard(id.Server_ServerRedundancy)
	if typ := s.TypeDefinition(r); typ != id.NonTransparentRedundancyType {
		t.Errorf("ServerRedundancy has type %d", typ)
	}
}

func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		build(b, plant()...)
	}
}
