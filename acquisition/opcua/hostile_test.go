package opcua

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"

	"scada/acquisition/tag"
)

// chunk builds a chunk of an open channel.
func chunk(kind string, request uint32, body []byte) []byte {
	b := append([]byte(kind), 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, 1)       // channel
	b = binary.LittleEndian.AppendUint32(b, 1)       // token
	b = binary.LittleEndian.AppendUint32(b, 51)      // sequence
	b = binary.LittleEndian.AppendUint32(b, request) // request
	b = append(b, body...)
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)))
	return b
}

// readResponse is the body of an answer to Read with the given bytes as its first value.
func readResponse(t testing.TB, dataValue []byte) []byte {
	t.Helper()
	good, err := ua.Encode(&ua.ReadResponse{
		ResponseHeader: &ua.ResponseHeader{Timestamp: time.Now(), ServiceDiagnostics: &ua.DiagnosticInfo{}, AdditionalHeader: ua.NewExtensionObject(nil)},
	})
	if err != nil {
		t.Fatal(err)
	}
	b := []byte{1, 0}
	b = binary.LittleEndian.AppendUint16(b, ua.ServiceTypeID(&ua.ReadResponse{}))
	b = append(b, good[:len(good)-8]...) // without the two empty lists
	b = binary.LittleEndian.AppendUint32(b, 1)
	b = append(b, dataValue...)
	return append(b, 0xFF, 0xFF, 0xFF, 0xFF)
}

// endless is the variant with dimensions 641 x 6700417, whose product wraps to 1: the codec does not come back from it.
func endless() []byte {
	b := []byte{1, 0x80 | 0x40 | 1, 1, 0, 0, 0, 1, 2, 0, 0, 0}
	b = binary.LittleEndian.AppendUint32(b, 641)
	return binary.LittleEndian.AppendUint32(b, 6700417)
}

func negative() []byte { return []byte{1, 0x80 | 11, 0xFE, 0xFF, 0xFF, 0xFF} }

func nested() []byte {
	b := []byte{1}
	for range 100_000 / 5 {
		b = append(b, 0x80|24, 1, 0, 0, 0)
	}
	return b
}

func TestInspectorRefuses(t *testing.T) {
	fresh := func() *inspector { return &inspector{policy: ua.SecurityPolicyURINone} }
	if err := fresh().chunk(chunk("MSGF", 1, readResponse(t, []byte{1, 11, 0, 0, 0, 0, 0, 0, 0, 0}))); err != nil {
		t.Fatalf("a good answer is refused: %v", err)
	}
	huge := make([]byte, maxChunk-secureHead)
	for name, chunks := range map[string][][]byte{
		"endless variant":  {chunk("MSGF", 1, readResponse(t, endless()))},
		"negative length":  {chunk("MSGF", 1, readResponse(t, negative()))},
		"nested variants":  {chunk("MSGF", 1, readResponse(t, nested()))},
		"in two chunks":    {chunk("MSGC", 1, readResponse(t, endless())[:20]), chunk("MSGF", 1, readResponse(t, endless())[20:])},
		"a request":        {chunk("MSGF", 1, []byte{1, 0, byte(ua.ServiceTypeID(&ua.ReadRequest{})), byte(ua.ServiceTypeID(&ua.ReadRequest{}) >> 8)})},
		"no type":          {chunk("MSGF", 1, nil)},
		"text type":        {chunk("MSGF", 1, []byte{3, 0, 0, 1, 0, 0, 0, 'x'})},
		"short":            {[]byte("MSGF\x0c\x00\x00\x00\x00\x00\x00\x00")},
		"abort cut":        {chunk("MSGA", 1, nil)},
		"chunk type":       {chunk("MSGX", 1, nil)},
		"message type":     {chunk("HELF", 1, nil)},
		"acknowledge cut":  {[]byte("ACKF\x0c\x00\x00\x00\x00\x00\x00\x00")},
		"tiny buffers":     {append([]byte("ACKF\x1c\x00\x00\x00\x00\x00\x00\x00"), make([]byte, 16)...)},
		"other policy":     {append([]byte("OPNF\x00\x00\x00\x00\x00\x00\x00\x00"), 1, 0, 0, 0, 'x', 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF)},
		"message too long": slicesOf(chunk("MSGC", 1, huge), maxMessage/len(huge)+1),
		"many unfinished":  unfinished(maxPartial + 1),
	} {
		x := fresh()
		var err error
		for _, c := range chunks {
			if err == nil {
				err = x.chunk(bytes.Clone(c))
			}
		}
		if !errors.Is(err, errHostile) {
			t.Errorf("%s: %v", name, err)
		}
	}
	x := fresh()
	for _, c := range append(unfinished(maxPartial), slicesOf(chunk("MSGC", 0, make([]byte, 1000)), 10)...) {
		if err := x.chunk(c); err != nil {
			t.Fatalf("just under the limits: %v", err)
		}
	}
}

func slicesOf(b []byte, n int) [][]byte {
	var list [][]byte
	for range n {
		list = append(list, b)
	}
	return list
}

func unfinished(n int) [][]byte {
	var list [][]byte
	for i := range n {
		list = append(list, chunk("MSGC", uint32(i), []byte{1}))
	}
	return list
}

func TestInspectorHoldsTheAcknowledgeDown(t *testing.T) {
	b := binary.LittleEndian.AppendUint32([]byte("ACKF\x1c\x00\x00\x00"), 0)
	for _, v := range []uint32{0xFFFFFFFF, 0x7FFFFFFF, 0, 0xFFFFFFFF} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	if err := (&inspector{}).chunk(b); err != nil {
		t.Fatal(err)
	}
	for i, want := range []uint32{maxChunk, maxChunk, maxMessage, maxMessage / minBuffer} {
		if got := binary.LittleEndian.Uint32(b[12+4*i:]); got != want {
			t.Errorf("field %d is %d, want %d", i, got, want)
		}
	}
}

// TestASecureChannelKeepsItsPolicyAndCertificate: the library would follow the answer to another.
func TestASecureChannelKeepsItsPolicyAndCertificate(t *testing.T) {
	answer := func(policy, certificate string) []byte {
		b := []byte("OPNF\x00\x00\x00\x00\x00\x00\x00\x00")
		for _, s := range []string{policy, certificate, "thumb"} {
			b = binary.LittleEndian.AppendUint32(b, uint32(len(s)))
			b = append(b, s...)
		}
		return b
	}
	x := &inspector{policy: ua.SecurityPolicyURIBasic256Sha256, certificate: []byte("trusted")}
	for _, c := range []struct {
		policy, certificate string
		ok                  bool
	}{
		{ua.SecurityPolicyURIBasic256Sha256, "trusted", true}, {ua.SecurityPolicyURINone, "trusted", false}, {ua.SecurityPolicyURIBasic256Sha256, "other", false},
	} {
		if err := x.chunk(answer(c.policy, c.certificate)); (err == nil) != c.ok {
			t.Errorf("%s with %s: %v", c.policy, c.certificate, err)
		}
	}
}

// TestAHostileServerHarmsNothing replaces a server's answers while the source runs: its tags lose their good quality,
// nothing hangs, crashes or grows, and when the server behaves again all is well.
func TestAHostileServerHarmsNothing(t *testing.T) {
	r := newRig(t, nil)
	r.run()
	r.sink.waitNumber(t, 0, 10.5)
	for name, spoil := range map[string]func(c []byte) []byte{
		"endless variant": func(c []byte) []byte {
			return chunk("MSGF", binary.LittleEndian.Uint32(c[20:]), readResponse(t, endless()))
		},
		"negative length": func(c []byte) []byte {
			return chunk("MSGF", binary.LittleEndian.Uint32(c[20:]), readResponse(t, negative()))
		},
		"nested": func(c []byte) []byte {
			return chunk("MSGF", binary.LittleEndian.Uint32(c[20:]), readResponse(t, nested()[:60_000]))
		},
		"garbage":    func(c []byte) []byte { return bytes.Repeat([]byte{0xA5}, len(c)) },
		"cut":        func(c []byte) []byte { return c[:len(c)/2] },
		"huge chunk": func(c []byte) []byte { b := bytes.Clone(c); binary.LittleEndian.PutUint32(b[4:], 1<<31); return b },
		"wrong answer": func(c []byte) []byte {
			return chunk("MSGF", binary.LittleEndian.Uint32(c[20:]), []byte{1, 0, byte(ua.ServiceTypeID(&ua.WriteResponse{}) & 0xFF), byte(ua.ServiceTypeID(&ua.WriteResponse{}) >> 8)})
		},
	} {
		f := func(c []byte) []byte {
			if len(c) > secureHead && strings.HasPrefix(string(c), "MSG") {
				return spoil(c)
			}
			return c
		}
		r.proxy.spoil.Store(&f)
		took := r.sink.waitQuality(t, 0, tag.UncertainNoCommunicationLastUsable)
		r.proxy.spoil.Store(nil)
		back := r.sink.waitNumber(t, 0, 10.5)
		t.Logf("%s: noticed after %v, good again %v later", name, took, back)
	}
	r.stop()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.HeapAlloc > 512<<20 {
		t.Errorf("%d MiB on the heap", m.HeapAlloc>>20)
	}
}

func FuzzInspector(f *testing.F) {
	f.Add(chunk("MSGF", 1, readResponse(f, []byte{1, 11, 0, 0, 0, 0, 0, 0, 0, 0})))
	f.Add(chunk("MSGF", 1, readResponse(f, endless())))
	f.Add(chunk("MSGC", 1, readResponse(f, negative())))
	f.Add([]byte("OPNF\x00\x00\x00\x00\x00\x00\x00\x00\x2f\x00\x00\x00" + ua.SecurityPolicyURINone))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < headBytes || len(b) > maxChunk {
			return
		}
		x := &inspector{policy: ua.SecurityPolicyURINone}
		if err := x.chunk(b); err != nil || string(b[:4]) != "MSGF" {
			return
		}
		// What passes is what the library then decodes in a goroutine where nobody could help it.
		_, _, _ = ua.DecodeService(b[secureHead:])
	})
}
