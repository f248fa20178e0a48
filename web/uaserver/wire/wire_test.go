package wire_test

import (
	"bytes"
	"math"
	"testing"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"scada/acquisition/tag"
	"scada/web/uaserver/wire"
)

// TestDataValuesAreThoseOfTheLibrary compares the bytes with those of the library's codec.
func TestDataValuesAreThoseOfTheLibrary(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 123456700, time.UTC)
	server := at.Add(time.Second)
	for _, c := range []struct {
		v    tag.Value
		want any
	}{
		{tag.Bool(true), true}, {tag.Int(tag.TypeInt8, -5), int8(-5)}, {tag.Uint(tag.TypeUint8, 200), byte(200)},
		{tag.Int(tag.TypeInt16, -300), int16(-300)}, {tag.Uint(tag.TypeUint16, 60000), uint16(60000)},
		{tag.Int(tag.TypeInt32, -70000), int32(-70000)}, {tag.Uint(tag.TypeUint32, 4e9), uint32(4e9)},
		{tag.Int(tag.TypeInt64, math.MinInt64), int64(math.MinInt64)}, {tag.Uint(tag.TypeUint64, math.MaxUint64), uint64(math.MaxUint64)},
		{tag.Float32(1.5), float32(1.5)}, {tag.Float64(-0.1), -0.1}, {tag.String("水"), "水"}, {tag.String(""), ""},
	} {
		for _, q := range []tag.Quality{tag.Good, tag.BadCommunicationError} {
			for _, stamps := range []ua.TimestampsToReturn{ua.TimestampsToReturnSource, ua.TimestampsToReturnServer, ua.TimestampsToReturnBoth, ua.TimestampsToReturnNeither} {
				d := ua.DataValue{Value: ua.MustVariant(c.want), Status: ua.StatusCode(q)}
				if stamps == ua.TimestampsToReturnSource || stamps == ua.TimestampsToReturnBoth {
					d.SourceTimestamp = at
				}
				if stamps == ua.TimestampsToReturnServer || stamps == ua.TimestampsToReturnBoth {
					d.ServerTimestamp = server
				}
				d.UpdateMask()
				want, err := d.Encode()
				if err != nil {
					t.Fatal(err)
				}
				got := wire.DataValue(nil, wire.Value{Sample: tag.Sample{Time: at.UnixNano(), Value: c.v, Quality: q}}, stamps, server.UnixNano())
				if !bytes.Equal(got, want) {
					t.Errorf("%v %v %v:\n got %x\nwant %x", c.v, q, stamps, got, want)
				}
			}
		}
	}
}

func TestTimesReadBack(t *testing.T) {
	for _, at := range []time.Time{time.Unix(0, 100), time.Unix(0, -150), time.Date(1950, 1, 1, 0, 0, 0, 0, time.UTC), time.Now()} {
		got := ua.NewBuffer(wire.Time(nil, at.UnixNano())).ReadTime()
		if d := at.Sub(got); d < 0 || d >= 100 {
			t.Errorf("%v is read as %v", at, got)
		}
	}
}

func TestResponseHeaderIsThatOfTheLibrary(t *testing.T) {
	now := time.Now().Truncate(100)
	b := wire.ResponseHeader(nil, id.ServiceFault_Encoding_DefaultBinary, 7, ua.StatusBadNoSubscription, now.UnixNano())
	_, v, err := ua.DecodeService(b)
	fault, ok := v.(*ua.ServiceFault)
	if err != nil || !ok || fault.ResponseHeader.RequestHandle != 7 || fault.ResponseHeader.ServiceResult != ua.StatusBadNoSubscription || !fault.ResponseHeader.Timestamp.Equal(now) {
		t.Errorf("%T %+v, %v", v, v, err)
	}
}

func request(t testing.TB, nodes ...*ua.NodeID) []byte {
	req := &ua.ReadRequest{
		RequestHeader: &ua.RequestHeader{
			AuthenticationToken: ua.NewByteStringNodeID(0, []byte("secret")), Timestamp: time.Now(), RequestHandle: 42,
			AuditEntryID: "audit", TimeoutHint: 5000, AdditionalHeader: ua.NewExtensionObject(&ua.Range{Low: 1}),
		},
		MaxAge: 2000, TimestampsToReturn: ua.TimestampsToReturnBoth,
	}
	for _, n := range nodes {
		req.NodesToRead = append(req.NodesToRead, &ua.ReadValueID{NodeID: n, AttributeID: ua.AttributeIDValue, IndexRange: "1:2", DataEncoding: &ua.QualifiedName{NamespaceIndex: 0, Name: "Default Binary"}})
	}
	typ, err := ua.NewFourByteExpandedNodeID(0, ua.ServiceTypeID(req)).Encode()
	if err != nil {
		t.Fatal(err)
	}
	body, err := ua.Encode(req)
	if err != nil {
		t.Fatal(err)
	}
	return append(typ, body...)
}

func TestReadRequestReadsBack(t *testing.T) {
	nodes := []*ua.NodeID{
		ua.NewTwoByteNodeID(84), ua.NewFourByteNodeID(0, 2267), ua.NewNumericNodeID(7, 99999), ua.NewStringNodeID(2, "line1/pump1/speed"),
		ua.NewByteStringNodeID(1, []byte{1, 2}), ua.NewGUIDNodeID(3, "1111AAAA-22BB-33CC-44DD-55EE77FF9900"),
	}
	r := wire.Reader{B: request(t, nodes...)}
	h := r.RequestHeader()
	if h.Type != id.ReadRequest_Encoding_DefaultBinary || h.Handle != 42 || h.Timeout != 5000 || string(h.Token.Text) != "secret" || h.Token.Kind != ua.NodeIDTypeByteString {
		t.Errorf("header %+v", h)
	}
	if age, stamps := r.Float64(), r.Uint32(); age != 2000 || stamps != uint32(ua.TimestampsToReturnBoth) {
		t.Errorf("max age %v, timestamps %v", age, stamps)
	}
	if n := r.ReadItems(); n != len(nodes) {
		t.Fatalf("%d items", n)
	}
	for _, n := range nodes {
		it := r.ReadItem()
		if it.Node.Namespace != n.Namespace() || it.Node.Number != n.IntID() || it.Attribute != ua.AttributeIDValue || string(it.IndexRange) != "1:2" || string(it.Encoding) != "Default Binary" {
			t.Errorf("%v is read as %+v", n, it)
		}
	}
	if r.Err != nil || len(r.B) != 0 {
		t.Errorf("%v, %d bytes left", r.Err, len(r.B))
	}
}

// FuzzRead holds that the reader neither panics nor reads what is not there.
func FuzzRead(f *testing.F) {
	f.Add(request(f, ua.NewStringNodeID(2, "line1"), ua.NewFourByteNodeID(0, 2267)))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := wire.Reader{B: b}
		r.RequestHeader()
		r.Float64()
		r.Uint32()
		n := r.ReadItems()
		if n*16 > len(b) {
			t.Fatalf("%d items in %d bytes", n, len(b))
		}
		for range n {
			r.ReadItem()
		}
	})
}
