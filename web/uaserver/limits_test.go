package uaserver_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopcua/opcua"
	"github.com/gopcua/opcua/ua"
	"github.com/gopcua/opcua/uacp"

	"scada/acquisition/tag"
	"scada/web/uaserver"
)

// refusal reads the ERROR message a connection ends with.
func (r *raw) refusal(t testing.TB) ua.StatusCode {
	t.Helper()
	b := r.frame(t)
	if string(b[:3]) != uacp.MessageTypeError {
		t.Fatalf("%q instead of ERR", b[:3])
	}
	return ua.StatusCode(binary.LittleEndian.Uint32(b[8:]))
}

func TestHelloLimits(t *testing.T) {
	f := start(t, newPlant(0), nil)
	long := func(n int) []byte {
		body, err := (&uacp.Hello{ReceiveBufSize: 8192, SendBufSize: 8192, EndpointURL: strings.Repeat("x", n)}).Encode()
		if err != nil {
			t.Fatal(err)
		}
		b := append([]byte("HELF"), 0, 0, 0, 0)
		b = append(b, body...)
		binary.LittleEndian.PutUint32(b[4:], uint32(len(b)))
		return b
	}
	r := dial(t, f)
	r.write(t, long(4096))
	if b := r.frame(t); string(b[:3]) != uacp.MessageTypeAcknowledge {
		t.Errorf("the longest URL: %q", b[:3])
	}
	r = dial(t, f)
	r.write(t, long(4097))
	if s := r.refusal(t); s != ua.StatusBadTCPMessageTooLarge {
		t.Errorf("one byte more: %v", s)
	}
	small := hello()
	binary.LittleEndian.PutUint32(small[12:], 8191)
	r = dial(t, f)
	r.write(t, small)
	if s := r.refusal(t); s != ua.StatusBadConnectionRejected {
		t.Errorf("a buffer of 8191 bytes: %v", s)
	}
}

func TestRequestsAreBounded(t *testing.T) {
	const limit = 300_000
	f := start(t, newPlant(0), func(c *uaserver.Config) { c.Limits.MessageBytes = limit })
	// A Write of a text is as long as wanted.
	request := func(r *raw, size int) []byte {
		req := func(n int) []byte {
			w := &ua.WriteRequest{RequestHeader: r.header(), NodesToWrite: []*ua.WriteValue{{
				NodeID: node("line1/text"), AttributeID: ua.AttributeIDValue, Value: &ua.DataValue{EncodingMask: 1, Value: ua.MustVariant(strings.Repeat("x", n))},
			}}}
			return encode(t, w)
		}
		return req(size - len(req(1)) + 1)
	}
	send := func(r *raw, body []byte) {
		token := binary.LittleEndian.AppendUint32(nil, r.token)
		for ; len(body) > 60_000; body = body[60_000:] {
			r.chunkOf(t, "MSGC", token, body[:60_000])
		}
		r.chunkOf(t, "MSGF", token, body)
	}
	r := rawSession(t, f)
	send(r, request(r, limit))
	if _, v, err := ua.DecodeService(r.frame(t)[24:]); err != nil || v.(*ua.WriteResponse).Results[0] != ua.StatusBadUserAccessDenied {
		t.Errorf("the longest request: %+v, %v", v, err)
	}
	send(r, request(r, limit+1))
	if s := r.refusal(t); s != ua.StatusBadRequestTooLarge {
		t.Errorf("one byte more: %v", s)
	}
	r = rawSession(t, f)
	b := r.message(make([]byte, 65_536-24))
	r.write(t, b[:8])
	if s := r.refusal(t); s != ua.StatusBadTCPMessageTooLarge {
		t.Errorf("a chunk of 65,536 bytes: %v", s)
	}
}

// chunkOf sends a chunk of the request whose first chunk was the last to have another type than C.
func (r *raw) chunkOf(t testing.TB, kind string, header, body []byte) {
	t.Helper()
	b := r.chunk(kind, header, body)
	const requestID = 12 + 4 + 4
	binary.LittleEndian.PutUint32(b[requestID:], 77)
	r.write(t, b)
}

func TestRepeatedWrongPasswordsEndTheConnection(t *testing.T) {
	f := start(t, newPlant(0), nil)
	r := rawChannel(t, f)
	create := r.exchange(t, &ua.CreateSessionRequest{ClientDescription: &ua.ApplicationDescription{ApplicationName: ua.NewLocalizedText("raw")}}).(*ua.CreateSessionResponse)
	r.auth = create.AuthenticationToken
	for range 5 {
		got := r.call(t, &ua.ActivateSessionRequest{
			ClientSignature: &ua.SignatureData{}, UserTokenSignature: &ua.SignatureData{},
			UserIdentityToken: ua.NewExtensionObject(&ua.UserNameIdentityToken{PolicyID: "username", UserName: "operator", Password: []byte("guess")}),
		})
		if got != ua.StatusBadIdentityTokenRejected {
			t.Fatalf("a guess: %v", got)
		}
	}
	r.ended(t)
	f.served(t)
}

func TestRejectedCertificatesAreBounded(t *testing.T) {
	dir := t.TempDir()
	trust, err := uaserver.OpenTrustList(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 105 {
		path := filepath.Join(dir, "rejected", fmt.Sprintf("%03d.der", i))
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(time.Duration(i-200)*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	id, err := uaserver.LoadOrCreateCertificate(t.TempDir(), "urn:x", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = trust.Verify(id.Certificate)
	var status *uaserver.StatusError
	if !asStatus(err, &status) || status.Status != uint32(ua.StatusBadSecurityChecksFailed) {
		t.Errorf("an unknown certificate: %v", err)
	}
	kept, err := os.ReadDir(filepath.Join(dir, "rejected"))
	if err != nil || len(kept) != 100 {
		t.Errorf("%d are kept, %v", len(kept), err)
	}
	if _, err := os.Stat(filepath.Join(dir, "rejected", "104.der")); err != nil {
		t.Errorf("the newest went: %v", err)
	}
	if _, err := trust.Verify([]byte("no certificate")); !asStatus(err, &status) || status.Status != uint32(ua.StatusBadCertificateInvalid) {
		t.Errorf("garbage: %v", err)
	}
}

func asStatus(err error, target **uaserver.StatusError) bool {
	return errors.As(err, target)
}

func TestConfigIsChecked(t *testing.T) {
	p := newPlant(0)
	for want, cfg := range map[string]uaserver.Config{
		"no project":         {ApplicationURI: "urn:x", AllowNone: true},
		"no application uri": {Project: "x", AllowNone: true},
		"nobody could":       {Project: "x", ApplicationURI: "urn:x"},
		"trust list":         {Project: "x", ApplicationURI: "urn:x", Identity: &uaserver.Identity{ApplicationURI: "urn:x"}},
		"is for":             {Project: "x", ApplicationURI: "urn:x", Identity: &uaserver.Identity{ApplicationURI: "urn:y"}, Trust: &uaserver.TrustList{}},
	} {
		if _, err := uaserver.New(cfg, p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

// TestServeEndsWithItsClients stops a server that has a subscriber and an idle connection, and starts another.
func TestServeEndsWithItsClients(t *testing.T) {
	f := start(t, newPlant(10), nil)
	w := f.watch(t, f.connect(t), 50*time.Millisecond, items(10, 0, 1)...)
	f.set(number0, tag.Float64(1))
	w.until(t, func() bool { return w.last(0) == 1 })
	dial(t, f)
	began := time.Now()
	f.stop()
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
	if _, err := opcua.GetEndpoints(limited(t), f.url); err == nil {
		t.Error("it still answers")
	}
}
