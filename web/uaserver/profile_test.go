package uaserver_test

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"
)

// TestServerTakesWhatTheProfileAsksFor has 50 sessions, one of which has five subscriptions with 500 items each, ten
// Publish requests waiting, and five unfinished Browses.
func TestServerTakesWhatTheProfileAsksFor(t *testing.T) {
	const sessions, subscriptions, itemsEach, publishes, points = 50, 5, 500, 10, 5
	f := start(t, newPlant(itemsEach), nil)
	var r *raw
	for range sessions {
		r = rawSession(t, f)
		defer r.close()
	}
	for range subscriptions {
		sub := r.exchange(t, &ua.CreateSubscriptionRequest{RequestedPublishingInterval: 60_000, RequestedLifetimeCount: 100, RequestedMaxKeepAliveCount: 10, PublishingEnabled: true}).(*ua.CreateSubscriptionResponse)
		for list := items(itemsEach, 0, 5); len(list) > 0; list = list[100:] { // an answer of one chunk
			made := r.exchange(t, &ua.CreateMonitoredItemsRequest{SubscriptionID: sub.SubscriptionID, ItemsToCreate: list[:100]}).(*ua.CreateMonitoredItemsResponse)
			for i, x := range made.Results {
				if x.StatusCode != ua.StatusOK || x.RevisedQueueSize < 5 {
					t.Fatalf("item %d: %v, queue %d", i, x.StatusCode, x.RevisedQueueSize)
				}
			}
		}
	}
	browse := &ua.BrowseRequest{View: &ua.ViewDescription{ViewID: ua.NewTwoByteNodeID(0)}, RequestedMaxReferencesPerNode: 1}
	for range points {
		browse.NodesToBrowse = append(browse.NodesToBrowse, &ua.BrowseDescription{NodeID: node("number/"), ReferenceTypeID: standard(id.Organizes)})
	}
	for i, x := range r.exchange(t, browse).(*ua.BrowseResponse).Results {
		if x.StatusCode != ua.StatusOK || len(x.ContinuationPoint) == 0 {
			t.Errorf("browse %d: %v, point %x", i, x.StatusCode, x.ContinuationPoint)
		}
	}
	for range publishes {
		p := &ua.PublishRequest{}
		p.SetHeader(r.header())
		r.write(t, r.message(encode(t, p)))
	}
	stop := &ua.CancelRequest{RequestHandle: r.header().RequestHandle}
	stop.SetHeader(r.header())
	r.write(t, r.message(encode(t, stop)))
	for i := range publishes + 1 {
		_, v, err := ua.DecodeService(r.frame(t)[24:])
		if err != nil {
			t.Fatal(err)
		}
		switch x := v.(type) {
		case *ua.ServiceFault:
			if got := x.ResponseHeader.ServiceResult; i == publishes || got != ua.StatusBadRequestCancelledByRequest {
				t.Errorf("answer %d is %v", i, got)
			}
		case *ua.CancelResponse:
			if i != publishes || x.CancelCount != publishes {
				t.Errorf("answer %d: %d cancelled", i, x.CancelCount)
			}
		default:
			t.Errorf("answer %d is %T", i, v)
		}
	}
}

func TestRegisteredNodesAreAsTheyWere(t *testing.T) {
	f := start(t, newPlant(1), nil)
	r := rawSession(t, f)
	want := []*ua.NodeID{node("line1/text"), standard(id.Server_ServiceLevel)}
	got := r.exchange(t, &ua.RegisterNodesRequest{NodesToRegister: want}).(*ua.RegisterNodesResponse).RegisteredNodeIDs
	if !slices.EqualFunc(got, want, func(a, b *ua.NodeID) bool { return a.String() == b.String() }) {
		t.Errorf("registered %v, want %v", got, want)
	}
	if got := r.call(t, &ua.UnregisterNodesRequest{NodesToUnregister: got}); got != ua.StatusOK {
		t.Errorf("unregister: %v", got)
	}
	if got := r.call(t, &ua.RegisterNodesRequest{}); got != ua.StatusBadNothingToDo {
		t.Errorf("register nothing: %v", got)
	}
}

// TestPageNamesTestsThatExist holds the conformance page against the tests: each it names is there, and each unit it says
// is supported names one.
func TestPageNamesTestsThatExist(t *testing.T) {
	page, err := os.ReadFile("../../docs/opcua.md")
	if err != nil {
		t.Fatal(err)
	}
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`)
	exist := map[string]bool{}
	for _, dir := range []string{".", "channel", "guard", "monitor", "space", "wire", "../../cmd/scadactl", "../../cmd/internal/e2e"} {
		files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no tests in %s: %v", dir, err)
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range declared.FindAllSubmatch(text, -1) {
				exist[string(m[1])] = true
			}
		}
	}
	named := regexp.MustCompile(`\b(?:Test|Fuzz|Benchmark)[A-Z]\w+`)
	for _, name := range named.FindAllString(string(page), -1) {
		if !exist[name] {
			t.Errorf("there is no test %s", name)
		}
	}
	units := 0
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || !strings.HasPrefix(strings.TrimSpace(cells[2]), "yes") {
			continue
		}
		units++
		if !named.MatchString(cells[3]) && !strings.Contains(cells[3], "interop") && !strings.Contains(cells[3], "gopcua") {
			t.Errorf("supported, but no test: %s", cells[1])
		}
	}
	if units < 50 {
		t.Errorf("only %d supported units: is it still that page?", units)
	}
}

func TestReadPartOfAnArray(t *testing.T) {
	f := start(t, newPlant(0), nil)
	c := f.connect(t)
	for part, want := range map[string]any{
		"1": []string{"urn:test:a"}, "1:2": []string{"urn:test:a", "urn:scada:waterworks"}, "2:9": []string{"urn:scada:waterworks"},
		"3": ua.StatusBadIndexRangeNoData, "2:1": ua.StatusBadIndexRangeInvalid, "x": ua.StatusBadIndexRangeInvalid,
	} {
		resp, err := c.Read(limited(t), &ua.ReadRequest{NodesToRead: []*ua.ReadValueID{{
			NodeID: standard(id.Server_NamespaceArray), AttributeID: ua.AttributeIDValue, IndexRange: part, DataEncoding: &ua.QualifiedName{},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		var got any = resp.Results[0].Status
		if v := resp.Results[0].Value; v != nil && resp.Results[0].Status == ua.StatusOK {
			got = v.Value()
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("part %s: %v, want %v", part, got, want)
		}
	}
}
