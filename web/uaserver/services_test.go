package uaserver_test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/gopcua/opcua"
	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"scada/acquisition/tag"
	"scada/web/uaserver"
)

func TestReadGivesValueStatusAndTimes(t *testing.T) {
	f := start(t, newPlant(0), nil)
	c := f.connect(t)
	if v := readOne(t, c, node("line1/pump1/speed"), ua.AttributeIDValue); v.Status != ua.StatusBadWaitingForInitialData {
		t.Errorf("before the first sample: %v", v.Status)
	}
	at := time.Now().Add(-time.Hour).Truncate(100)
	f.table.Apply([]tag.Update{{Tag: speed, Sample: tag.Sample{Time: at.UnixNano(), Value: tag.Float64(42.5), Quality: tag.UncertainLastUsableValue}}})
	v := readOne(t, c, node("line1/pump1/speed"), ua.AttributeIDValue)
	if v.Value.Float() != 42.5 || v.Status != ua.StatusUncertainLastUsableValue || !v.SourceTimestamp.Equal(at) || time.Since(v.ServerTimestamp) > time.Minute {
		t.Errorf("%+v", v)
	}
	for what, c2 := range map[string]struct {
		id   *ua.NodeID
		attr ua.AttributeID
		want ua.StatusCode
	}{
		"unknown tag":       {node("line1/none"), ua.AttributeIDValue, ua.StatusBadNodeIDUnknown},
		"unknown namespace": {ua.NewStringNodeID(99, "line1/pump1/speed"), ua.AttributeIDValue, ua.StatusBadNodeIDUnknown},
		"no such attribute": {node("line1/pump1/speed"), 77, ua.StatusBadAttributeIDInvalid},
		"value of a folder": {node("line1/"), ua.AttributeIDValue, ua.StatusBadAttributeIDInvalid},
	} {
		if v := readOne(t, c, c2.id, c2.attr); v.Status != c2.want {
			t.Errorf("%s: %v, want %v", what, v.Status, c2.want)
		}
	}
	if v := readOne(t, c, node("line1/pump1/speed"), ua.AttributeIDDescription); v.Value.LocalizedText().Text != "drive" {
		t.Errorf("description %v", v.Value.Value())
	}
}

func TestServerObjectTellsOfThePair(t *testing.T) {
	f := start(t, newPlant(0), nil)
	c := f.connect(t)
	for n, want := range map[uint32]any{
		id.Server_ServiceLevel:                                                   byte(255),
		id.Server_ServerRedundancy_RedundancySupport:                             int32(ua.RedundancySupportWarm),
		id.Server_ServerRedundancy_ServerURIArray:                                []string{"urn:test:a", "urn:test:b"},
		id.Server_NamespaceArray:                                                 []string{"http://opcfoundation.org/UA/", "urn:test:a", "urn:scada:waterworks"},
		id.Server_ServerStatus_State:                                             int32(0),
		id.Server_EstimatedReturnTime:                                            time.Time{},
		id.Server_ServerCapabilities_MaxSessions:                                 uint32(100),
		id.Server_ServerDiagnostics_EnabledFlag:                                  true,
		id.Server_ServerDiagnostics_ServerDiagnosticsSummary_CurrentSessionCount: uint32(1),
	} {
		v := readOne(t, c, ua.NewNumericNodeID(0, n), ua.AttributeIDValue)
		if v.Status != ua.StatusOK || !reflect.DeepEqual(v.Value.Value(), want) {
			t.Errorf("i=%d is %v (%v), want %v", n, v.Value.Value(), v.Status, want)
		}
	}
	v := readOne(t, c, ua.NewNumericNodeID(0, id.Server_ServerStatus), ua.AttributeIDValue)
	if status, ok := v.Value.ExtensionObject().Value.(*ua.ServerStatusDataType); !ok || time.Since(status.CurrentTime) > time.Minute {
		t.Errorf("server status %+v", v.Value.Value())
	}
	servers, err := opcua.FindServers(limited(t), f.url)
	if err != nil || len(servers) != 2 || servers[0].DiscoveryURLs[0] != f.url || servers[1].ApplicationURI != "urn:test:b" || servers[1].DiscoveryURLs[0] != "opc.tcp://b:4840" {
		t.Errorf("FindServers: %+v, %v", servers, err)
	}
}

// TestHotIsTold: clients keep their items sampling on the standby if the configuration says so.
func TestHotIsTold(t *testing.T) {
	f := start(t, newPlant(0), func(cfg *uaserver.Config) { cfg.Hot = true })
	v := readOne(t, f.connect(t), ua.NewNumericNodeID(0, id.Server_ServerRedundancy_RedundancySupport), ua.AttributeIDValue)
	if v.Value.Value() != int32(ua.RedundancySupportHot) {
		t.Errorf("RedundancySupport %v", v.Value.Value())
	}
}

func TestWriteIsCheckedAndForwarded(t *testing.T) {
	f := start(t, newPlant(0), nil)
	operator := f.connect(t, f.as(t, "operator", "right")...)
	viewer := f.connect(t, f.as(t, "viewer", "right")...)
	nobody := f.connect(t)
	for _, c := range []struct {
		c    *opcua.Client
		id   *ua.NodeID
		v    any
		want ua.StatusCode
	}{
		{operator, node("line1/pump1/speed"), 12.5, ua.StatusOK},
		{operator, node("line1/pump1/run"), true, ua.StatusOK},
		{operator, node("line1/text"), "水", ua.StatusOK},
		{operator, node("line1/pump1/speed"), "12.5", ua.StatusBadTypeMismatch},
		{operator, node("line1/pump1/speed"), float32(12.5), ua.StatusBadTypeMismatch},
		{operator, node("line1/pump1/speed"), []float64{1}, ua.StatusBadTypeMismatch},
		{operator, node("line1/pump1/starts"), uint32(1), ua.StatusBadNotWritable},
		{operator, node("line1/none"), 1.0, ua.StatusBadNodeIDUnknown},
		{operator, ua.NewNumericNodeID(0, id.Server_ServiceLevel), byte(1), ua.StatusBadNotWritable},
		{viewer, node("line1/pump1/speed"), 1.0, ua.StatusBadUserAccessDenied},
		{nobody, node("line1/pump1/speed"), 1.0, ua.StatusBadUserAccessDenied},
	} {
		if got := write(t, c.c, c.id, c.v); got != c.want {
			t.Errorf("write %v to %s: %v, want %v", c.v, c.id, got, c.want)
		}
	}
	if got, want := fmt.Sprint(f.writes), "[operator line1/pump1/speed=12.5 operator line1/pump1/run=true operator line1/text=水]"; got != want {
		t.Errorf("the backend got %s, want %s", got, want)
	}
	if v := readOne(t, operator, node("line1/pump1/speed"), ua.AttributeIDValue); v.Value.Float() != 12.5 {
		t.Errorf("read back %v", v.Value.Value())
	}
	f.mu.Lock()
	f.refuse = fmt.Errorf("plc1: %w", uaserver.ErrNoCommunication)
	f.mu.Unlock()
	if got := write(t, operator, node("line1/pump1/speed"), 1.0); got != ua.StatusBadNoCommunication {
		t.Errorf("a device that cannot be reached: %v", got)
	}
}

// TestSlowWriteDoesNotHoldUpReads writes to a device that does not answer, and reads meanwhile on the same connection.
func TestSlowWriteDoesNotHoldUpReads(t *testing.T) {
	f := start(t, newPlant(0), nil)
	f.hold = make(chan struct{})
	c := f.connect(t, f.as(t, "operator", "right")...)
	result := make(chan ua.StatusCode, 1)
	go func() { result <- write(t, c, node("line1/pump1/speed"), 5.0) }()
	for range 20 {
		readOne(t, c, node("line1/pump1/starts"), ua.AttributeIDValue)
	}
	select {
	case s := <-result:
		t.Fatalf("the write ended before the device did: %v", s)
	default:
	}
	close(f.hold)
	if s := <-result; s != ua.StatusOK {
		t.Errorf("write: %v", s)
	}
}

func browse(t testing.TB, c *opcua.Client, n *ua.NodeID, limit uint32) ([]*ua.ReferenceDescription, int) {
	t.Helper()
	resp, err := c.Browse(limited(t), &ua.BrowseRequest{
		View:                          &ua.ViewDescription{ViewID: ua.NewTwoByteNodeID(0)},
		RequestedMaxReferencesPerNode: limit,
		NodesToBrowse: []*ua.BrowseDescription{{
			NodeID: n, BrowseDirection: ua.BrowseDirectionForward, ReferenceTypeID: ua.NewNumericNodeID(0, id.HierarchicalReferences),
			IncludeSubtypes: true, ResultMask: uint32(ua.BrowseResultMaskAll),
		}},
	})
	if err != nil || resp.Results[0].StatusCode != ua.StatusOK {
		t.Fatalf("browse %s: %+v, %v", n, resp, err)
	}
	refs, pages := resp.Results[0].References, 1
	for point := resp.Results[0].ContinuationPoint; len(point) > 0; pages++ {
		next, err := c.BrowseNext(limited(t), &ua.BrowseNextRequest{ContinuationPoints: [][]byte{point}})
		if err != nil || next.Results[0].StatusCode != ua.StatusOK {
			t.Fatalf("browse next: %+v, %v", next, err)
		}
		refs, point = append(refs, next.Results[0].References...), next.Results[0].ContinuationPoint
	}
	return refs, pages
}

func TestBrowseTenThousandAndReadFiveThousand(t *testing.T) {
	f := start(t, newPlant(10_000), nil)
	c := f.connect(t)
	for limit, wantPages := range map[uint32]int{0: 1, 3000: 4, 10_001: 1} { // the tags and the NodeVersion
		refs, pages := browse(t, c, node("number/"), limit)
		names := map[string]bool{}
		for _, r := range refs {
			names[r.BrowseName.Name] = true
		}
		if len(names) != 10_001 || len(refs) != 10_001 || pages != wantPages {
			t.Errorf("at most %d: %d references, %d names, %d pages", limit, len(refs), len(names), pages)
		}
	}
	req := &ua.ReadRequest{TimestampsToReturn: ua.TimestampsToReturnSource}
	for i := range 5000 {
		f.set(number0+tag.ID(i), tag.Float64(float64(i)))
		req.NodesToRead = append(req.NodesToRead, &ua.ReadValueID{NodeID: node(fmt.Sprintf("number/n%05d", i)), AttributeID: ua.AttributeIDValue})
	}
	resp, err := c.Read(limited(t), req)
	if err != nil || len(resp.Results) != 5000 {
		t.Fatalf("read: %v", err)
	}
	for i, v := range resp.Results {
		if v.Value.Float() != float64(i) {
			t.Fatalf("value %d is %v", i, v.Value.Value())
		}
	}
	for len(req.NodesToRead) <= uaserver.DefaultLimits().OperationsPerCall {
		req.NodesToRead = append(req.NodesToRead, req.NodesToRead[0])
	}
	_, err = c.Read(limited(t), req)
	wantStatus(t, "one more than the limit", err, ua.StatusBadTooManyOperations)
}

func TestBrowseFromObjectsToATag(t *testing.T) {
	f := start(t, newPlant(0), nil)
	c := f.connect(t)
	at := ua.NewNumericNodeID(0, id.ObjectsFolder)
	for _, name := range []string{"waterworks", "line1", "pump1", "speed", "EURange"} {
		refs, _ := browse(t, c, at, 0)
		found := false
		for _, r := range refs {
			if r.BrowseName.Name == name {
				at, found = r.NodeID.NodeID, true
			}
		}
		if !found {
			t.Fatalf("no %s under %s", name, at)
		}
	}
	if r, ok := readOne(t, c, at, ua.AttributeIDValue).Value.ExtensionObject().Value.(*ua.Range); !ok || r.High != 200 {
		t.Errorf("EURange of the speed: %+v", r)
	}
}

func TestTranslateBrowsePaths(t *testing.T) {
	f := start(t, newPlant(0), nil)
	c := f.connect(t)
	path := func(names ...string) *ua.BrowsePath {
		p := &ua.BrowsePath{StartingNode: ua.NewNumericNodeID(0, id.ObjectsFolder), RelativePath: &ua.RelativePath{}}
		for _, n := range names {
			ns := uint16(2)
			if n == "EURange" || n == "Server" {
				ns = 0
			}
			p.RelativePath.Elements = append(p.RelativePath.Elements, &ua.RelativePathElement{
				ReferenceTypeID: ua.NewNumericNodeID(0, id.HierarchicalReferences), IncludeSubtypes: true, TargetName: &ua.QualifiedName{NamespaceIndex: ns, Name: n},
			})
		}
		return p
	}
	req := &ua.TranslateBrowsePathsToNodeIDsRequest{BrowsePaths: []*ua.BrowsePath{
		path("waterworks", "line1", "pump1", "speed"), path("waterworks", "line1", "pump1", "speed", "EURange"), path("waterworks", "none"), path(),
	}}
	var resp *ua.TranslateBrowsePathsToNodeIDsResponse
	err := c.Send(limited(t), req, func(v ua.Response) error { resp = v.(*ua.TranslateBrowsePathsToNodeIDsResponse); return nil })
	if err != nil {
		t.Fatal(err)
	}
	got := []string{}
	for _, r := range resp.Results {
		s := r.StatusCode.Error()
		for _, target := range r.Targets {
			s = target.TargetID.NodeID.String()
		}
		got = append(got, s)
	}
	want := []string{"ns=2;s=line1/pump1/speed", "ns=2;s=line1/pump1/speed#EURange", ua.StatusBadNoMatch.Error(), ua.StatusBadNothingToDo.Error()}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
