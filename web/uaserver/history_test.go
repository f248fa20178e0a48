package uaserver_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/gopcua/opcua"
	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"scada/acquisition/tag"
	"scada/history"
	"scada/web/uaserver"
)

// archive gives the server the real archive, as the composition root does.
type archive struct {
	store *history.Store
	hold  chan struct{} // a read waits for it
}

var kinds = map[uaserver.Aggregate]history.Kind{
	uaserver.AggregateInterpolative: history.Interpolative, uaserver.AggregateAverage: history.Average, uaserver.AggregateMinimum: history.Minimum,
	uaserver.AggregateMaximumTime: history.MaximumTime, uaserver.AggregateCount: history.Count, uaserver.AggregateStart: history.Start,
	uaserver.AggregateEnd: history.End, uaserver.AggregateDurationGood: history.DurationGood, uaserver.AggregateTotal: history.Total,
	uaserver.AggregateWorstQuality: history.WorstQuality,
}

func (a *archive) Raw(ctx context.Context, name string, from, to int64, limit int, at uaserver.Position) (uaserver.RawPage, error) {
	if a.hold != nil {
		select {
		case <-a.hold:
		case <-ctx.Done():
			return uaserver.RawPage{}, ctx.Err()
		}
	}
	p, err := a.store.Raw(ctx, name, from, to, limit, history.Cursor(at))
	return uaserver.RawPage{Samples: p.Samples, Next: uaserver.Position(p.Next), More: p.More}, err
}

func (a *archive) Aggregate(ctx context.Context, name string, from, to int64, step time.Duration, kind uaserver.Aggregate) ([]tag.Sample, error) {
	k, ok := kinds[kind]
	if !ok {
		return nil, errors.New("not in this test")
	}
	return a.store.Aggregate(ctx, name, from, to, step, k)
}

func (a *archive) Before(ctx context.Context, name string, t int64) (tag.Sample, bool, error) {
	return a.store.Before(ctx, name, t, 366*24*time.Hour)
}

// origin is the first second of the recorded hour.
var origin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func second(n int) time.Time { return origin.Add(time.Duration(n) * time.Second) }

// withHistory starts a server whose speed has one sample a second for n seconds, counting up from 0.
func withHistory(t testing.TB, n int, change func(*uaserver.Config)) (*fixture, *archive) {
	t.Helper()
	p := newPlant(0)
	p.tags[starts].History = tag.HistoryOff
	store, err := history.Open(t.TempDir(), history.Options{
		Tags: p.tags, Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return origin.Add(2 * time.Hour) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	for i := range n {
		store.Append([]tag.Update{{Tag: speed, Sample: tag.Sample{Time: second(i).UnixNano(), Value: tag.Float64(float64(i))}}})
	}
	a := &archive{store: store}
	f := start(t, p, func(cfg *uaserver.Config) {
		cfg.History = a
		if change != nil {
			change(cfg)
		}
	})
	return f, a
}

// read asks for history, and returns the status, the values as text "second=value", and the continuation point.
func readHistory(t testing.TB, c *opcua.Client, name string, details any, point []byte) (ua.StatusCode, []*ua.DataValue, []byte) {
	t.Helper()
	r, err := tryHistory(t, c, details, &ua.HistoryReadValueID{NodeID: node(name), DataEncoding: &ua.QualifiedName{}, ContinuationPoint: point})
	if err != nil {
		t.Fatalf("history of %s: %v", name, err)
	}
	if len(r.Results) != 1 {
		t.Fatalf("%d results", len(r.Results))
	}
	one := r.Results[0]
	if data, ok := one.HistoryData.Value.(*ua.HistoryData); ok {
		return one.StatusCode, data.DataValues, one.ContinuationPoint
	}
	return one.StatusCode, nil, one.ContinuationPoint
}

func tryHistory(t testing.TB, c *opcua.Client, details any, nodes ...*ua.HistoryReadValueID) (*ua.HistoryReadResponse, error) {
	t.Helper()
	return history1(t, c, &ua.HistoryReadRequest{
		HistoryReadDetails: ua.NewExtensionObject(details), TimestampsToReturn: ua.TimestampsToReturnBoth, NodesToRead: nodes,
	})
}

func history1(t testing.TB, c *opcua.Client, req *ua.HistoryReadRequest) (*ua.HistoryReadResponse, error) {
	var resp *ua.HistoryReadResponse
	err := c.Send(limited(t), req, func(v ua.Response) error {
		r, ok := v.(*ua.HistoryReadResponse)
		if !ok {
			return fmt.Errorf("answer %T", v)
		}
		resp = r
		return nil
	})
	return resp, err
}

func texts(values []*ua.DataValue) []string {
	out := []string{}
	for _, v := range values {
		s := fmt.Sprintf("%v=", v.SourceTimestamp.Sub(origin).Seconds())
		if v.Value != nil && v.Value.Value() != nil {
			s += fmt.Sprint(v.Value.Value())
		}
		if v.Status != ua.StatusOK {
			s += fmt.Sprintf(" %08x", uint32(v.Status))
		}
		out = append(out, s)
	}
	return out
}

func TestHistoryReadRaw(t *testing.T) {
	f, _ := withHistory(t, 10, nil)
	c := f.connect(t)
	forever := time.Unix(0, 1<<62)
	for _, tc := range []struct {
		name string
		d    ua.ReadRawModifiedDetails
		want []string
	}{
		{"the end is not in the range", ua.ReadRawModifiedDetails{StartTime: second(2), EndTime: second(5)}, []string{"2=2", "3=3", "4=4"}},
		{"backwards, the start is", ua.ReadRawModifiedDetails{StartTime: second(5), EndTime: second(2)}, []string{"5=5", "4=4", "3=3"}},
		{"from a start on", ua.ReadRawModifiedDetails{StartTime: second(7), NumValuesPerNode: 2}, []string{"7=7", "8=8"}},
		{"up to an end", ua.ReadRawModifiedDetails{EndTime: second(7), NumValuesPerNode: 2}, []string{"7=7", "6=6"}},
		{"the last before the end of time", ua.ReadRawModifiedDetails{EndTime: forever, NumValuesPerNode: 1}, []string{"9=9"}},
		{"one instant", ua.ReadRawModifiedDetails{StartTime: second(3), EndTime: second(3)}, []string{"3=3"}},
		{"bounds that are samples", ua.ReadRawModifiedDetails{StartTime: second(2), EndTime: second(4), ReturnBounds: true}, []string{"2=2", "3=3", "4=4"}},
		{"bounds between samples", ua.ReadRawModifiedDetails{StartTime: second(2).Add(5e8), EndTime: second(3).Add(5e8), ReturnBounds: true}, []string{"2=2", "3=3", "4=4"}},
		{"bounds backwards", ua.ReadRawModifiedDetails{StartTime: second(3).Add(5e8), EndTime: second(2).Add(5e8), ReturnBounds: true}, []string{"4=4", "3=3", "2=2"}},
		{"no bounds", ua.ReadRawModifiedDetails{StartTime: second(-2), EndTime: second(20), ReturnBounds: true, NumValuesPerNode: 3}, []string{"-2= 80d70000", "0=0", "1=1"}},
		{"no last bound", ua.ReadRawModifiedDetails{StartTime: second(9), EndTime: second(20), ReturnBounds: true}, []string{"9=9", "20= 80d70000"}},
	} {
		status, values, _ := readHistory(t, c, "line1/pump1/speed", &tc.d, nil)
		if got := texts(values); !slices.Equal(got, tc.want) || uint32(status)>>30 != 0 {
			t.Errorf("%s: %v, %v, want %v", tc.name, got, status, tc.want)
		}
	}
	status, values, _ := readHistory(t, c, "line1/pump1/speed", &ua.ReadRawModifiedDetails{StartTime: second(100), EndTime: second(200)}, nil)
	if status != ua.StatusGoodNoData || len(values) != 0 {
		t.Errorf("an empty range: %v, %v", status, texts(values))
	}
}

// TestHistoryReadRefuses asks for what cannot be.
func TestHistoryReadRefuses(t *testing.T) {
	f, _ := withHistory(t, 3, nil)
	c := f.connect(t)
	whole := &ua.ReadRawModifiedDetails{StartTime: second(0), EndTime: second(5)}
	average := ua.NewNumericNodeID(0, id.AggregateFunction_Average)
	standard := &ua.AggregateConfiguration{UseServerCapabilitiesDefaults: true}
	for _, tc := range []struct {
		name, tag string
		d         any
		point     []byte
		want      ua.StatusCode
	}{
		{"a tag without history", "line1/pump1/starts", whole, nil, ua.StatusBadHistoryOperationUnsupported},
		{"a folder", "line1/", whole, nil, ua.StatusBadHistoryOperationUnsupported},
		{"an unknown node", "no/such", whole, nil, ua.StatusBadNodeIDUnknown},
		{"modified values", "line1/pump1/speed", &ua.ReadRawModifiedDetails{IsReadModified: true, StartTime: second(0), EndTime: second(5)}, nil, ua.StatusBadHistoryOperationUnsupported},
		{"a start alone", "line1/pump1/speed", &ua.ReadRawModifiedDetails{StartTime: second(0)}, nil, ua.StatusBadHistoryOperationInvalid},
		{"nothing", "line1/pump1/speed", &ua.ReadRawModifiedDetails{NumValuesPerNode: 5}, nil, ua.StatusBadHistoryOperationInvalid},
		{"a point that is none", "line1/pump1/speed", whole, []byte("none"), ua.StatusBadContinuationPointInvalid},
		{"an aggregate that is none", "line1/pump1/speed", &ua.ReadProcessedDetails{StartTime: second(0), EndTime: second(5), AggregateType: []*ua.NodeID{ua.NewNumericNodeID(0, id.AggregateFunction_AnnotationCount)}, AggregateConfiguration: standard}, nil, ua.StatusBadAggregateNotSupported},
		{"other rules", "line1/pump1/speed", &ua.ReadProcessedDetails{StartTime: second(0), EndTime: second(5), AggregateType: []*ua.NodeID{average}, AggregateConfiguration: &ua.AggregateConfiguration{PercentDataBad: 50}}, nil, ua.StatusBadAggregateConfigurationRejected},
		{"a negative interval", "line1/pump1/speed", &ua.ReadProcessedDetails{StartTime: second(0), EndTime: second(5), ProcessingInterval: -1, AggregateType: []*ua.NodeID{average}, AggregateConfiguration: standard}, nil, ua.StatusBadInvalidArgument},
	} {
		if status, _, _ := readHistory(t, c, tc.tag, tc.d, tc.point); status != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, status, tc.want)
		}
	}
	one := &ua.HistoryReadValueID{NodeID: node("line1/pump1/speed"), DataEncoding: &ua.QualifiedName{}}
	for _, tc := range []struct {
		name  string
		d     any
		nodes []*ua.HistoryReadValueID
		want  ua.StatusCode
	}{
		{"events", &ua.ReadEventDetails{Filter: &ua.EventFilter{WhereClause: &ua.ContentFilter{}}}, []*ua.HistoryReadValueID{one}, ua.StatusBadHistoryOperationUnsupported},
		{"fewer aggregates than nodes", &ua.ReadProcessedDetails{StartTime: second(0), EndTime: second(5), AggregateConfiguration: standard}, []*ua.HistoryReadValueID{one}, ua.StatusBadAggregateListMismatch},
		{"no nodes", whole, nil, ua.StatusBadNothingToDo},
		{"1,001 nodes", whole, slices.Repeat([]*ua.HistoryReadValueID{one}, 1001), ua.StatusBadTooManyOperations},
		{"1,001 instants", &ua.ReadAtTimeDetails{ReqTimes: slices.Repeat([]time.Time{origin}, 1001)}, []*ua.HistoryReadValueID{one}, ua.StatusBadTooManyOperations},
	} {
		_, err := tryHistory(t, c, tc.d, tc.nodes...)
		wantStatus(t, tc.name, err, tc.want)
		c = f.connect(t) // the library drops a connection at any fault
	}
}

// TestHistoryReadContinues reads everything in pages, forwards and backwards, and gets each sample once.
func TestHistoryReadContinues(t *testing.T) {
	const all = 25_000
	f, _ := withHistory(t, all/10, nil)
	c := f.connect(t)
	for _, tc := range []struct {
		name  string
		d     ua.ReadRawModifiedDetails
		pages int
	}{
		{"forwards by 400", ua.ReadRawModifiedDetails{StartTime: second(0), EndTime: second(all), NumValuesPerNode: 400}, 7},
		{"backwards by 400", ua.ReadRawModifiedDetails{StartTime: second(all), EndTime: second(-1), NumValuesPerNode: 400}, 7},
		{"all in one", ua.ReadRawModifiedDetails{StartTime: second(0), EndTime: second(all)}, 1},
	} {
		var got []string
		pages := 0
		for point := []byte(nil); ; pages++ {
			status, values, next := readHistory(t, c, "line1/pump1/speed", &tc.d, point)
			if status != ua.StatusOK {
				t.Fatalf("%s: page %d: %v", tc.name, pages, status)
			}
			got = append(got, texts(values)...)
			if point = next; len(point) == 0 {
				pages++
				break
			}
		}
		if tc.d.StartTime.After(tc.d.EndTime) {
			slices.Reverse(got)
		}
		want := make([]string, all/10)
		for i := range want {
			want[i] = fmt.Sprintf("%d=%d", i, i)
		}
		if !slices.Equal(got, want) || pages != tc.pages {
			t.Errorf("%s: %d values in %d pages, want %d in %d", tc.name, len(got), pages, len(want), tc.pages)
		}
	}
}

// TestHistoryContinuationPoints holds that they are bounded, used once, and can be released.
func TestHistoryContinuationPoints(t *testing.T) {
	f, _ := withHistory(t, 10, func(cfg *uaserver.Config) { cfg.Limits.HistoryContinuationPoints = 2 })
	c := f.connect(t)
	d := &ua.ReadRawModifiedDetails{StartTime: second(0), EndTime: second(10), NumValuesPerNode: 3}
	_, _, first := readHistory(t, c, "line1/pump1/speed", d, nil)
	_, _, second := readHistory(t, c, "line1/pump1/speed", d, nil)
	if status, _, _ := readHistory(t, c, "line1/pump1/speed", d, nil); status != ua.StatusBadNoContinuationPoints {
		t.Errorf("a third point: %v", status)
	}
	resp, err := history1(t, c, &ua.HistoryReadRequest{
		HistoryReadDetails: ua.NewExtensionObject(d), ReleaseContinuationPoints: true,
		NodesToRead: []*ua.HistoryReadValueID{{NodeID: node("line1/pump1/speed"), DataEncoding: &ua.QualifiedName{}, ContinuationPoint: second}},
	})
	if err != nil || resp.Results[0].StatusCode != ua.StatusOK {
		t.Fatalf("release: %v, %v", resp, err)
	}
	if status, _, _ := readHistory(t, c, "line1/pump1/speed", d, second); status != ua.StatusBadContinuationPointInvalid {
		t.Errorf("a point that was released: %v", status)
	}
	if status, values, _ := readHistory(t, c, "line1/pump1/speed", d, first); status != ua.StatusOK || len(values) != 3 {
		t.Errorf("the other point: %v, %v", status, texts(values))
	}
	if status, _, _ := readHistory(t, c, "line1/pump1/speed", d, first); status != ua.StatusBadContinuationPointInvalid {
		t.Errorf("a point used twice: %v", status)
	}
	other := f.connect(t)
	_, _, third := readHistory(t, c, "line1/pump1/speed", d, nil)
	if status, _, _ := readHistory(t, other, "line1/pump1/speed", d, third); status != ua.StatusBadContinuationPointInvalid {
		t.Errorf("a point of another session: %v", status)
	}
}

func TestHistoryReadProcessed(t *testing.T) {
	f, _ := withHistory(t, 100, nil)
	c := f.connect(t)
	for _, tc := range []struct {
		function uint32
		from, to int
		step     float64
		want     []string
	}{
		{id.AggregateFunction_Average, 0, 20, 10_000, []string{"0=4.5 00000401", "10=14.5 00000401"}},
		{id.AggregateFunction_Minimum, 0, 20, 10_000, []string{"0=0 00000401", "10=10 00000401"}},
		{id.AggregateFunction_MaximumActualTime, 0, 20, 10_000, []string{"9=9", "19=19"}},
		{id.AggregateFunction_Start, 0, 20, 10_000, []string{"0=0", "10=10"}},
		{id.AggregateFunction_End, 0, 20, 10_000, []string{"9=9", "19=19"}},
		{id.AggregateFunction_Count, 0, 25, 10_000, []string{"0=10 00000401", "10=10 00000401", "20=5 00000405"}},
		{id.AggregateFunction_DurationGood, 0, 20, 10_000, []string{"0=10000 00000401", "10=10000 00000401"}},
		{id.AggregateFunction_Total, 0, 10, 0, []string{"0=50 00000401"}},
		{id.AggregateFunction_Interpolative, 0, 2, 500, []string{"0=0 00000402", "0.5=0.5 00000402", "1=1 00000402", "1.5=1.5 00000402"}},
		{id.AggregateFunction_Average, 200, 210, 0, []string{"200= 809b0000"}},
	} {
		d := &ua.ReadProcessedDetails{
			StartTime: second(tc.from), EndTime: second(tc.to), ProcessingInterval: tc.step,
			AggregateType: []*ua.NodeID{ua.NewNumericNodeID(0, tc.function)}, AggregateConfiguration: &ua.AggregateConfiguration{UseServerCapabilitiesDefaults: true},
		}
		status, values, _ := readHistory(t, c, "line1/pump1/speed", d, nil)
		if got := texts(values); !slices.Equal(got, tc.want) || status != ua.StatusOK {
			t.Errorf("%s: %v, %v, want %v", id.Name(tc.function), got, status, tc.want)
		}
	}
	worst := &ua.ReadProcessedDetails{
		StartTime: second(0), EndTime: second(10), AggregateType: []*ua.NodeID{ua.NewNumericNodeID(0, id.AggregateFunction_WorstQuality)},
		AggregateConfiguration: &ua.AggregateConfiguration{UseServerCapabilitiesDefaults: true},
	}
	if _, values, _ := readHistory(t, c, "line1/pump1/speed", worst, nil); len(values) != 1 || values[0].Value.Type() != ua.TypeIDStatusCode {
		t.Errorf("worst quality: %v", texts(values))
	}
}

// TestHistoryReadProcessedContinues asks for more intervals than one answer holds.
func TestHistoryReadProcessedContinues(t *testing.T) {
	f, _ := withHistory(t, 30, nil)
	c := f.connect(t)
	d := &ua.ReadProcessedDetails{
		StartTime: second(0), EndTime: second(30), ProcessingInterval: 2, AggregateType: []*ua.NodeID{ua.NewNumericNodeID(0, id.AggregateFunction_Interpolative)},
		AggregateConfiguration: &ua.AggregateConfiguration{TreatUncertainAsBad: true, PercentDataBad: 100, PercentDataGood: 100},
	}
	status, values, point := readHistory(t, c, "line1/pump1/speed", d, nil)
	if status != ua.StatusOK || len(values) != 10_000 || len(point) == 0 {
		t.Fatalf("%v, %d values", status, len(values))
	}
	status, rest, point := readHistory(t, c, "line1/pump1/speed", d, point)
	if status != ua.StatusOK || len(rest) != 5000 || len(point) != 0 || !rest[0].SourceTimestamp.Equal(second(20)) {
		t.Fatalf("%v, %d values from %v", status, len(rest), rest[0].SourceTimestamp)
	}
}

func TestHistoryReadAtTime(t *testing.T) {
	f, _ := withHistory(t, 10, nil)
	c := f.connect(t)
	d := &ua.ReadAtTimeDetails{ReqTimes: []time.Time{second(3), second(3).Add(25e7), second(-1), time.Now().Add(time.Hour)}, UseSimpleBounds: true}
	status, values, _ := readHistory(t, c, "line1/pump1/speed", d, nil)
	got := texts(values)
	if status != ua.StatusOK || !slices.Equal(got[:3], []string{"3=3", "3.25=3.25 00000402", "-1= 809b0000"}) || values[3].Status != ua.StatusBadNoData {
		t.Errorf("%v, %v", status, got)
	}
}

// TestHistoryNodes looks at what a client browses and reads before it asks for history.
func TestHistoryNodes(t *testing.T) {
	f, _ := withHistory(t, 1, nil)
	c := f.connect(t)
	for name, want := range map[string]uint64{"line1/pump1/speed": 7, "line1/pump1/starts": 1} {
		access := readOne(t, c, node(name), ua.AttributeIDAccessLevel)
		historizing := readOne(t, c, node(name), ua.AttributeIDHistorizing)
		if access.Value.Uint() != want || historizing.Value.Bool() != (want&4 != 0) {
			t.Errorf("%s: access %v, historizing %v", name, access.Value.Value(), historizing.Value.Value())
		}
	}
	if v := readOne(t, c, ua.NewNumericNodeID(0, id.HistoryServerCapabilities_AccessHistoryDataCapability), ua.AttributeIDValue); !v.Value.Bool() {
		t.Errorf("AccessHistoryDataCapability %v", v.Value)
	}
	for _, folder := range []uint32{id.Server_ServerCapabilities_AggregateFunctions, id.HistoryServerCapabilities_AggregateFunctions} {
		refs, err := c.Node(ua.NewNumericNodeID(0, folder)).ReferencedNodes(limited(t), id.Organizes, ua.BrowseDirectionForward, ua.NodeClassObject, true)
		if err != nil || len(refs) != 20 {
			t.Errorf("%d aggregates below %d: %v", len(refs), folder, err)
		}
	}
	plain := start(t, newPlant(0), nil)
	pc := plain.connect(t)
	if v := readOne(t, pc, ua.NewNumericNodeID(0, id.HistoryServerCapabilities), ua.AttributeIDBrowseName); v.Status != ua.StatusBadNodeIDUnknown {
		t.Errorf("a server without history has capabilities: %v", v.Status)
	}
	_, err := tryHistory(t, pc, &ua.ReadRawModifiedDetails{StartTime: origin}, &ua.HistoryReadValueID{NodeID: node("line1/pump1/speed"), DataEncoding: &ua.QualifiedName{}})
	wantStatus(t, "a server without history", err, ua.StatusBadHistoryOperationUnsupported)
}

// TestSlowHistoryHoldsUpNobody: while the archive does not answer, the same connection reads, and others do all.
func TestSlowHistoryHoldsUpNobody(t *testing.T) {
	f, a := withHistory(t, 5, nil)
	a.hold = make(chan struct{})
	f.set(speed, tag.Float64(1))
	c := f.connect(t)
	done := make(chan error, 1)
	go func() {
		_, err := tryHistory(t, c, &ua.ReadRawModifiedDetails{StartTime: second(0), EndTime: second(5)}, &ua.HistoryReadValueID{NodeID: node("line1/pump1/speed"), DataEncoding: &ua.QualifiedName{}})
		done <- err
	}()
	for range 10 {
		readOne(t, c, node("line1/pump1/speed"), ua.AttributeIDValue)
	}
	select {
	case err := <-done:
		t.Fatalf("the archive was not asked: %v", err)
	default:
	}
	close(a.hold)
	if err := <-done; err != nil {
		t.Error(err)
	}
}
