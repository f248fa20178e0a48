package opcua

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/gopcua/opcua/ua"

	"scada/web/uaserver/guard"
)

// Limits of what a server may send.
const (
	maxChunk   = 65_535      // bytes of one chunk; also what we offer in the handshake
	minBuffer  = 8_192       // smallest buffer the protocol allows
	maxMessage = 2 << 20     // bytes of one message, all chunks together
	maxPartial = 8           // messages begun and not finished
	headBytes  = 8           // message type, chunk type, size
	writeLimit = time.Second // for handing bytes on
)

var errHostile = errors.New("the server broke the protocol")

// relay stands between the library and the connection to the server. It exists because the library decodes in a
// goroutine of its own, where a panic or an endless loop cannot be caught, and because it takes a TCP connection only:
// it gets one end of a local one, and everything the server sends is looked over before it reaches that.
//
// On a channel without security every message is checked as far as the codec will decode it. On a secure channel the
// messages are sealed for the library alone; there the chunk sizes and the certificate are checked, and the trust in
// that certificate has to cover the rest.
type relay struct {
	local  *net.TCPConn // the library's end
	inner  net.Conn     // our end of the same connection
	server net.Conn
	check  *inspector
	wg     sync.WaitGroup
	ended  chan struct{} // closed when the connection is of no use any more

	mu   sync.Mutex
	err  error
	over bool
}

// newRelay begins to relay; close it in the end.
func newRelay(ctx context.Context, server net.Conn, check *inspector) (*relay, error) {
	local, inner, err := localPair(ctx)
	if err != nil {
		return nil, fmt.Errorf("joining the connection to the protocol library: %w", err)
	}
	r := &relay{local: local, inner: inner, server: server, check: check, ended: make(chan struct{})}
	r.wg.Go(r.down)
	r.wg.Go(r.up)
	return r, nil
}

// localPair returns the two ends of a TCP connection within this process.
func localPair(ctx context.Context) (*net.TCPConn, net.Conn, error) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	if err := l.SetDeadline(time.Now().Add(writeLimit)); err != nil {
		return nil, nil, err
	}
	var d net.Dialer
	out, err := d.DialContext(ctx, "tcp", l.Addr().String())
	if err != nil {
		return nil, nil, err
	}
	for {
		in, err := l.Accept()
		if err != nil {
			out.Close()
			return nil, nil, err
		}
		if in.RemoteAddr().String() == out.LocalAddr().String() {
			return out.(*net.TCPConn), in, nil
		}
		in.Close() // somebody else on this machine was quicker
	}
}

// close ends the connection in both directions and waits for that.
func (r *relay) close() {
	r.hangUp(nil)
	r.wg.Wait()
}

func (r *relay) hangUp(why error) {
	r.mu.Lock()
	if !r.over {
		r.over, r.err = true, why
		close(r.ended)
	}
	r.mu.Unlock()
	_ = r.inner.Close() // each may be closed already
	_ = r.server.Close()
	_ = r.local.Close()
}

// reason returns why the relay ended, if it was not told to.
func (r *relay) reason() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

func (r *relay) up() {
	_, err := io.Copy(r.server, r.inner)
	r.hangUp(cmp.Or(err, io.EOF))
}

func (r *relay) down() {
	buf := make([]byte, maxChunk)
	for {
		n, err := readChunk(r.server, buf)
		if err == nil {
			err = r.check.chunk(buf[:n])
		}
		if err == nil {
			_, err = r.inner.Write(buf[:n])
		}
		if err != nil {
			r.hangUp(err)
			return
		}
	}
}

// readChunk reads one chunk, header included.
func readChunk(from io.Reader, buf []byte) (int, error) {
	if _, err := io.ReadFull(from, buf[:headBytes]); err != nil {
		return 0, err
	}
	size := binary.LittleEndian.Uint32(buf[4:])
	if size < headBytes || size > maxChunk {
		return 0, fmt.Errorf("%w: a chunk of %d bytes", errHostile, size)
	}
	_, err := io.ReadFull(from, buf[headBytes:size])
	return int(size), err
}

// inspector looks over what a server sends.
type inspector struct {
	policy      string // URI the server must use
	certificate []byte // the server must use it; nil with policy None
	partial     map[uint32][]byte
}

// secureHead is the length of what stands before the body of a message on a channel without security.
const secureHead = 24

// chunk checks one chunk and may correct it in place.
func (x *inspector) chunk(b []byte) error {
	switch string(b[:3]) {
	case "ACK":
		return x.acknowledge(b)
	case "OPN":
		return x.open(b)
	case "MSG":
		if x.policy != ua.SecurityPolicyURINone {
			return nil
		}
		return x.message(b)
	case "ERR", "CLO":
		return nil
	}
	return fmt.Errorf("%w: message type %q", errHostile, b[:3])
}

// acknowledge holds the sizes the server announces within what we offered: the library believes them, and would
// allocate a buffer of 4 GiB for every message.
func (x *inspector) acknowledge(b []byte) error {
	if len(b) < headBytes+20 {
		return fmt.Errorf("%w: acknowledge of %d bytes", errHostile, len(b))
	}
	for _, at := range []int{headBytes + 4, headBytes + 8} {
		size := binary.LittleEndian.Uint32(b[at:])
		if size < minBuffer {
			return fmt.Errorf("%w: a buffer of %d bytes", errHostile, size)
		}
		binary.LittleEndian.PutUint32(b[at:], min(size, maxChunk))
	}
	if most := binary.LittleEndian.Uint32(b[headBytes+12:]); most == 0 || most > maxMessage {
		binary.LittleEndian.PutUint32(b[headBytes+12:], maxMessage)
	}
	if chunks := binary.LittleEndian.Uint32(b[headBytes+16:]); chunks == 0 || chunks > maxMessage/minBuffer {
		binary.LittleEndian.PutUint32(b[headBytes+16:], maxMessage/minBuffer)
	}
	return nil
}

// open keeps the server to the policy and certificate that were chosen: the library would follow it to another.
func (x *inspector) open(b []byte) error {
	rest := b[min(12, len(b)):]
	policy, rest, err := cutBytes(rest)
	if err != nil {
		return err
	}
	if string(policy) != x.policy {
		return fmt.Errorf("%w: it answers with policy %.80q, %q was chosen", errHostile, policy, x.policy)
	}
	certificate, rest, err := cutBytes(rest)
	if err != nil {
		return err
	}
	if _, rest, err = cutBytes(rest); err != nil {
		return err
	}
	if x.policy != ua.SecurityPolicyURINone {
		if string(certificate) != string(x.certificate) {
			return fmt.Errorf("%w: it answers with another certificate than the trusted one", errHostile)
		}
		return nil
	}
	if len(rest) < 8 || b[3] != 'F' {
		return fmt.Errorf("%w: open answer cut short", errHostile)
	}
	return checkBody(rest[8:])
}

// cutBytes takes a length and as many bytes off the front.
func cutBytes(b []byte) (cut, rest []byte, err error) {
	if len(b) < 4 {
		return nil, nil, fmt.Errorf("%w: header cut short", errHostile)
	}
	n := int64(int32(binary.LittleEndian.Uint32(b)))
	if n == -1 {
		return nil, b[4:], nil
	}
	if n < 0 || n > int64(len(b)-4) {
		return nil, nil, fmt.Errorf("%w: header with a length of %d", errHostile, n)
	}
	return b[4 : 4+n], b[4+n:], nil
}

// message collects the chunks of a message and checks it when it is whole.
func (x *inspector) message(b []byte) error {
	if len(b) < secureHead {
		return fmt.Errorf("%w: message of %d bytes", errHostile, len(b))
	}
	request, body := binary.LittleEndian.Uint32(b[20:]), b[secureHead:]
	have := x.partial[request]
	if len(have)+len(body) > maxMessage {
		return fmt.Errorf("%w: message beyond %d bytes", errHostile, maxMessage)
	}
	switch b[3] {
	case 'A':
		delete(x.partial, request)
		if len(body) < 8 {
			return fmt.Errorf("%w: abort cut short", errHostile)
		}
		return nil
	case 'C':
		if x.partial == nil {
			x.partial = map[uint32][]byte{}
		}
		if len(x.partial) >= maxPartial && have == nil {
			return fmt.Errorf("%w: more than %d unfinished messages", errHostile, maxPartial)
		}
		x.partial[request] = append(have, body...)
		return nil
	case 'F':
		delete(x.partial, request)
		return checkBody(append(have, body...))
	}
	return fmt.Errorf("%w: chunk type %q", errHostile, b[3])
}

// answers are the only messages this client expects, by the number of their encoding.
var answers = func() map[uint32]any {
	m := map[uint32]any{}
	for _, v := range []any{
		&ua.ServiceFault{}, &ua.OpenSecureChannelResponse{}, &ua.CloseSecureChannelResponse{}, &ua.GetEndpointsResponse{},
		&ua.CreateSessionResponse{}, &ua.ActivateSessionResponse{}, &ua.CloseSessionResponse{}, &ua.ReadResponse{},
		&ua.WriteResponse{}, &ua.BrowseResponse{}, &ua.BrowseNextResponse{}, &ua.CreateSubscriptionResponse{},
		&ua.CreateMonitoredItemsResponse{}, &ua.PublishResponse{}, &ua.HistoryReadResponse{},
	} {
		m[uint32(ua.ServiceTypeID(v))] = v
	}
	return m
}()

// checkBody refuses a message the codec would not survive, and any that nobody asked for.
func checkBody(b []byte) error {
	n, err := guard.Check(b, &ua.ExpandedNodeID{})
	if err != nil {
		return fmt.Errorf("%w: message type: %w", errHostile, err)
	}
	var id ua.ExpandedNodeID
	if _, err := id.Decode(b[:n]); err != nil {
		return fmt.Errorf("%w: message type: %w", errHostile, err)
	}
	if id.NodeID == nil || id.NodeID.Type() == ua.NodeIDTypeString || id.NodeID.Namespace() != 0 {
		return fmt.Errorf("%w: message type %s", errHostile, id.NodeID)
	}
	v, ok := answers[id.NodeID.IntID()]
	if !ok {
		return fmt.Errorf("%w: unexpected message type %d", errHostile, id.NodeID.IntID())
	}
	if _, err := guard.Check(b[n:], v); err != nil {
		return fmt.Errorf("%w: %T: %w", errHostile, v, err)
	}
	return nil
}
