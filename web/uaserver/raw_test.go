package uaserver_test

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"
	"github.com/gopcua/opcua/uacp"
)

// raw is a client that sends what it is told, down to single bytes; channel without security.
type raw struct {
	net.Conn
	r       *bufio.Reader
	channel uint32
	token   uint32
	seq     uint32
	auth    *ua.NodeID
}

func dial(t testing.TB, f *fixture) *raw {
	t.Helper()
	nc, err := net.Dial("tcp", f.addr)
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &raw{Conn: nc, r: bufio.NewReader(nc), auth: ua.NewTwoByteNodeID(0)}
}

func (r *raw) close() { _ = r.Conn.Close() }

func (r *raw) frame(t testing.TB) []byte {
	t.Helper()
	head := make([]byte, 8)
	if _, err := io.ReadFull(r.r, head); err != nil {
		t.Fatalf("read: %v", err)
	}
	body := make([]byte, binary.LittleEndian.Uint32(head[4:])-8)
	if _, err := io.ReadFull(r.r, body); err != nil {
		t.Fatalf("read: %v", err)
	}
	return append(head, body...)
}

// chunk builds one chunk; the header is the part between channel id and sequence header.
func (r *raw) chunk(kind string, header, body []byte) []byte {
	r.seq++
	b := append([]byte(kind), 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, r.channel)
	b = append(b, header...)
	b = binary.LittleEndian.AppendUint32(b, r.seq)
	b = binary.LittleEndian.AppendUint32(b, r.seq)
	b = append(b, body...)
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)))
	return b
}

func encode(t testing.TB, req ua.Request) []byte {
	t.Helper()
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

func (r *raw) header() *ua.RequestHeader {
	return &ua.RequestHeader{AuthenticationToken: r.auth, Timestamp: time.Now(), RequestHandle: 1, AdditionalHeader: ua.NewExtensionObject(nil)}
}

func hello() []byte {
	body, err := (&uacp.Hello{ReceiveBufSize: 65535, SendBufSize: 65535, EndpointURL: "opc.tcp://localhost"}).Encode()
	if err != nil {
		panic(err)
	}
	b := append([]byte("HELF"), 0, 0, 0, 0)
	b = append(b, body...)
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)))
	return b
}

// none is the asymmetric header of policy None.
func none() []byte {
	h := binary.LittleEndian.AppendUint32(nil, uint32(len(ua.SecurityPolicyURINone)))
	h = append(h, ua.SecurityPolicyURINone...)
	return append(h, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
}

func rawChannel(t testing.TB, f *fixture) *raw {
	t.Helper()
	return openRaw(t, dial(t, f))
}

// openRaw opens a channel without security.
func openRaw(t testing.TB, r *raw) *raw {
	t.Helper()
	r.write(t, hello())
	r.frame(t)
	open := &ua.OpenSecureChannelRequest{RequestHeader: r.header(), SecurityMode: ua.MessageSecurityModeNone, RequestedLifetime: 3600000}
	r.write(t, r.chunk("OPNF", none(), encode(t, open)))
	answer := r.frame(t)
	_, v, err := ua.DecodeService(answer[12+len(none())+8:])
	resp, ok := v.(*ua.OpenSecureChannelResponse)
	if err != nil || !ok {
		t.Fatalf("open: %T, %v", v, err)
	}
	r.channel, r.token = resp.SecurityToken.ChannelID, resp.SecurityToken.TokenID
	return r
}

// renew asks for a new token and returns it.
func (r *raw) renew(t testing.TB) uint32 {
	t.Helper()
	open := &ua.OpenSecureChannelRequest{RequestHeader: r.header(), RequestType: ua.SecurityTokenRequestTypeRenew, SecurityMode: ua.MessageSecurityModeNone}
	r.write(t, r.chunk("OPNF", none(), encode(t, open)))
	_, v, err := ua.DecodeService(r.frame(t)[12+len(none())+8:])
	resp, ok := v.(*ua.OpenSecureChannelResponse)
	if err != nil || !ok {
		t.Fatalf("renew: %T, %v", v, err)
	}
	return resp.SecurityToken.TokenID
}

func (r *raw) write(t testing.TB, b []byte) {
	t.Helper()
	if _, err := r.Conn.Write(b); err != nil {
		t.Fatalf("write: %v", err)
	}
}

func (r *raw) message(body []byte) []byte {
	return r.chunk("MSGF", binary.LittleEndian.AppendUint32(nil, r.token), body)
}

// exchange sends a request and returns the response; responses are in one chunk.
func (r *raw) exchange(t testing.TB, req ua.Request) any {
	t.Helper()
	req.SetHeader(r.header())
	if err := r.Conn.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	r.write(t, r.message(encode(t, req)))
	_, v, err := ua.DecodeService(r.frame(t)[24:])
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// call sends a request and returns the status of the response.
func (r *raw) call(t testing.TB, req ua.Request) ua.StatusCode {
	t.Helper()
	return r.exchange(t, req).(ua.Response).Header().ServiceResult
}

// rawSession logs in anonymously.
func rawSession(t testing.TB, f *fixture) *raw {
	t.Helper()
	return loginRaw(t, rawChannel(t, f), 0)
}

// loginRaw logs in on a channel and asks for a session timeout in ms.
func loginRaw(t testing.TB, r *raw, timeout float64) *raw {
	t.Helper()
	create, ok := r.exchange(t, &ua.CreateSessionRequest{
		ClientDescription: &ua.ApplicationDescription{ApplicationName: ua.NewLocalizedText("raw")}, RequestedSessionTimeout: timeout,
	}).(*ua.CreateSessionResponse)
	if !ok {
		t.Fatal("no session")
	}
	r.auth = create.AuthenticationToken
	activate := &ua.ActivateSessionRequest{
		ClientSignature: &ua.SignatureData{}, UserTokenSignature: &ua.SignatureData{}, UserIdentityToken: ua.NewExtensionObject(&ua.AnonymousIdentityToken{PolicyID: "anonymous"}),
	}
	if s := r.call(t, activate); s != ua.StatusOK {
		t.Fatalf("activate: %v", s)
	}
	return r
}
