package guard_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"scada/web/uaserver/guard"
)

func header() *ua.RequestHeader {
	return &ua.RequestHeader{AuthenticationToken: ua.NewTwoByteNodeID(0), Timestamp: time.Now(), AdditionalHeader: ua.NewExtensionObject(nil)}
}

// samples are requests with everything a client may put in them.
func samples() []any {
	eo := func(v any) *ua.ExtensionObject { return ua.NewExtensionObject(v) }
	status := &ua.ServerStatusDataType{
		BuildInfo: &ua.BuildInfo{ProductURI: "x"}, ShutdownReason: ua.NewLocalizedText("why"), StartTime: time.Now(),
	}
	diag := &ua.DiagnosticInfo{AdditionalInfo: "a", InnerDiagnosticInfo: &ua.DiagnosticInfo{SymbolicID: 3}}
	diag.InnerDiagnosticInfo.UpdateMask()
	diag.UpdateMask()
	value := func(v any) *ua.DataValue {
		d := &ua.DataValue{Value: ua.MustVariant(v), SourceTimestamp: time.Now(), ServerPicoseconds: 7, Status: ua.StatusBad}
		d.UpdateMask()
		return d
	}
	write := &ua.WriteRequest{RequestHeader: header()}
	for _, v := range []any{
		true, int8(1), byte(2), int16(3), uint16(4), int32(5), uint32(6), int64(7), uint64(8), float32(9), 10.0, "text",
		time.Now(), ua.NewGUID("1111AAAA-22BB-33CC-44DD-55EE77FF9900"), []byte("bytes"), ua.XMLElement("<a/>"),
		ua.NewStringNodeID(2, "line1"), ua.NewFourByteExpandedNodeID(0, 85), ua.StatusBad, &ua.QualifiedName{Name: "q"},
		ua.NewLocalizedTextWithLocale("t", "en"), eo(status), value(1.0), diag, []float64{1, 2, 3},
		[][]int32{{1, 2}, {3, 4}, {5, 6}}, []*ua.Variant{ua.MustVariant("x"), ua.MustVariant([]bool{true})},
	} {
		write.NodesToWrite = append(write.NodesToWrite, &ua.WriteValue{NodeID: ua.NewNumericNodeID(0, 2267), Value: value(v)})
	}
	return []any{
		write,
		&ua.ReadRequest{RequestHeader: header(), NodesToRead: []*ua.ReadValueID{{NodeID: ua.NewByteStringNodeID(1, []byte{1}), DataEncoding: &ua.QualifiedName{}}}},
		&ua.ActivateSessionRequest{
			RequestHeader: header(), ClientSignature: &ua.SignatureData{}, UserTokenSignature: &ua.SignatureData{},
			UserIdentityToken: eo(&ua.UserNameIdentityToken{PolicyID: "u", UserName: "n", Password: []byte("p")}),
		},
		&ua.CreateMonitoredItemsRequest{RequestHeader: header(), ItemsToCreate: []*ua.MonitoredItemCreateRequest{{
			ItemToMonitor:       &ua.ReadValueID{NodeID: ua.NewGUIDNodeID(1, "1111AAAA-22BB-33CC-44DD-55EE77FF9900"), DataEncoding: &ua.QualifiedName{}},
			RequestedParameters: &ua.MonitoringParameters{Filter: eo(&ua.DataChangeFilter{DeadbandValue: 1})},
		}}},
	}
}

func TestAcceptsWhatTheCodecWrites(t *testing.T) {
	for _, v := range samples() {
		b, err := ua.Encode(v)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := guard.Check(b, v); err != nil || n != len(b) {
			t.Errorf("%T: %d of %d bytes, %v", v, n, len(b), err)
		}
		for cut := range b {
			if _, err := guard.Check(b[:cut], v); err == nil {
				t.Errorf("%T cut at %d of %d was accepted", v, cut, len(b))
			}
		}
	}
}

func variant(parts ...any) []byte {
	var b bytes.Buffer
	for _, p := range parts {
		if err := binary.Write(&b, binary.LittleEndian, p); err != nil {
			panic(err)
		}
	}
	return b.Bytes()
}

func nest(layers int, inner []byte) []byte {
	return append(bytes.Repeat([]byte{byte(ua.TypeIDVariant)}, layers), inner...)
}

func TestRefusesWhatTheCodecDoesNotSurvive(t *testing.T) {
	const array, dims = byte(ua.VariantArrayValues), byte(ua.VariantArrayDimensions)
	boolean := byte(ua.TypeIDBoolean)
	for name, c := range map[string]struct {
		b    []byte
		want error // nil: accepted
	}{
		"dimensions past 32 bits":   {variant(boolean|array|dims, int32(1), true, int32(2), int32(641), int32(6700417)), guard.ErrMalformed},
		"dimensions past 64 bits":   {variant(boolean|array|dims, int32(0), int32(5), [5]int32{32768, 32768, 32768, 32768, 32768}), guard.ErrMalformed},
		"dimension product too big": {variant(boolean|array|dims, int32(1), true, int32(2), int32(2), int32(1)), guard.ErrMalformed},
		"dimension product small":   {variant(boolean|array|dims, int32(2), true, true, int32(1), int32(1)), guard.ErrMalformed},
		"dimension 0":               {variant(boolean|array|dims, int32(1), true, int32(1), int32(0)), guard.ErrMalformed},
		"negative length":           {variant(boolean|array, int32(-2)), guard.ErrMalformed},
		"null array":                {variant(boolean|array, int32(-1)), nil},
		"longer than the message":   {variant(boolean|array, int32(5), int32(0)), guard.ErrMalformed},
		"most elements":             {append(variant(boolean|array, int32(guard.MaxElements)), make([]byte, guard.MaxElements)...), nil},
		"one element more":          {append(variant(boolean|array, int32(guard.MaxElements+1)), make([]byte, guard.MaxElements+1)...), guard.ErrLimit},
		"most dimensions":           {variant(boolean|array|dims, int32(1), true, int32(guard.MaxDimensions), [guard.MaxDimensions]int32{1, 1, 1, 1, 1, 1, 1, 1}), nil},
		"one dimension more":        {variant(boolean|array|dims, int32(1), true, int32(guard.MaxDimensions+1), [guard.MaxDimensions + 1]int32{1, 1, 1, 1, 1, 1, 1, 1, 1}), guard.ErrLimit},
		"deepest":                   {nest(guard.MaxDepth-1, []byte{0}), nil},
		"one deeper":                {nest(guard.MaxDepth, []byte{0}), guard.ErrLimit},
		"two million layers":        {nest(2_000_000, []byte{0}), guard.ErrLimit},
		"unknown type":              {[]byte{26}, guard.ErrMalformed},
		"text of length -2":         {variant(byte(ua.TypeIDString), int32(-2)), guard.ErrMalformed},
	} {
		if _, err := guard.Check(c.b, &ua.Variant{}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestCountsValuesInAllArraysTogether(t *testing.T) {
	row := append(variant(byte(ua.TypeIDVariant)|ua.VariantArrayValues, int32(60_000)), make([]byte, 60_000)...)
	table := variant(byte(ua.TypeIDVariant)|ua.VariantArrayValues, int32(17))
	for range 17 {
		table = append(table, row...)
	}
	if _, err := guard.Check(table, &ua.Variant{}); !errors.Is(err, guard.ErrLimit) {
		t.Errorf("1,020,000 values: %v", err)
	}
}

// TestLooksIntoExtensionObjects hides a deadly Variant where only the registry says there is one.
func TestLooksIntoExtensionObjects(t *testing.T) {
	deadly := variant(byte(ua.TypeIDBoolean)|ua.VariantArrayValues|ua.VariantArrayDimensions, int32(1), true, int32(2), int32(641), int32(6700417))
	b := variant([]byte{1, 0}, uint16(id.LiteralOperand_Encoding_DefaultBinary), byte(1), int32(len(deadly)), deadly)
	if _, err := guard.Check(b, &ua.ExtensionObject{}); !errors.Is(err, guard.ErrMalformed) {
		t.Errorf("a LiteralOperand with it: %v", err)
	}
	unknown := variant([]byte{1, 0}, uint16(65000), byte(1), int32(len(deadly)), deadly)
	if _, err := guard.Check(unknown, &ua.ExtensionObject{}); err != nil {
		t.Errorf("a body nobody decodes: %v", err)
	}
}

// FuzzGuard holds the promise: what the guard accepts, the codec decodes without a panic, taking the same bytes.
func FuzzGuard(f *testing.F) {
	types := []func() any{
		func() any { return new(ua.WriteRequest) }, func() any { return new(ua.ReadRequest) },
		func() any { return new(ua.ActivateSessionRequest) }, func() any { return new(ua.CreateMonitoredItemsRequest) },
		func() any { return new(ua.Variant) }, func() any { return new(ua.CallRequest) }, func() any { return new(ua.HistoryReadRequest) },
	}
	for i, v := range samples() {
		b, err := ua.Encode(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(byte(i), b)
	}
	f.Add(byte(4), variant(byte(0xc1), int32(1), true, int32(2), int32(641), int32(6700417)))
	f.Fuzz(func(t *testing.T, kind byte, b []byte) {
		v := types[int(kind)%len(types)]()
		n, err := guard.Check(b, v)
		if err != nil {
			return
		}
		if got, err := ua.Decode(b, v); err == nil && got != n {
			t.Fatalf("the guard walked %d bytes, the codec took %d", n, got)
		}
	})
}
