package channel

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gopcua/opcua/ua"
	"github.com/gopcua/opcua/uacp"
	"github.com/gopcua/opcua/uasc"
)

// Conn is one client's connection.
type Conn struct {
	nc  net.Conn
	r   *bufio.Reader
	cfg *Config
	id  uint32 // of the secure channel

	// Of the reading goroutine alone.
	opened   bool
	security Security
	raw      []byte   // client certificate as sent
	tokens   []*token // newest last, at most two
	nextID   uint32   // of tokens
	seqIn    uint32
	partial  []byte
	partOf   uint32
	chunks   int

	active  atomic.Bool           // a session is active: large requests are taken
	sending atomic.Pointer[token] // keys of what is sent

	// Limits the client announced.
	peerChunk, peerMessage, peerChunks int

	mu      sync.Mutex
	queue   []answer
	queued  int // bytes
	wake    sync.Cond
	closing error // not nil: nothing more is queued
	done    chan struct{}
}

// Accept performs the HELLO exchange on nc and starts the goroutine that writes. id becomes the id of the secure
// channel. On an error nc is closed.
func Accept(nc net.Conn, id uint32, cfg *Config) (*Conn, error) {
	c := &Conn{nc: nc, r: bufio.NewReaderSize(nc, 8<<10), cfg: cfg, id: id, done: make(chan struct{})}
	c.wake.L = &c.mu
	if err := c.hello(); err != nil {
		c.abort(err)
		_ = nc.Close()
		return nil, fmt.Errorf("hello: %w", err)
	}
	go c.write()
	return c, nil
}

// hello reads HELLO and answers ACKNOWLEDGE.
func (c *Conn) hello() error {
	if err := c.nc.SetDeadline(time.Now().Add(handshakeTime)); err != nil {
		return err
	}
	f, err := c.frame(maxHelloBytes)
	if err != nil {
		return err
	}
	if f.kind() != uacp.MessageTypeHello {
		return fail(ua.StatusBadTCPMessageTypeInvalid, "%q instead of HELLO", f.kind())
	}
	var h uacp.Hello
	if _, err := h.Decode(f[8:]); err != nil {
		return fail(ua.StatusBadDecodingError, "HELLO: %v", err)
	}
	if h.ReceiveBufSize < minChunkBytes || h.SendBufSize < minChunkBytes {
		return fail(ua.StatusBadConnectionRejected, "buffers of %d and %d bytes", h.ReceiveBufSize, h.SendBufSize)
	}
	c.peerChunk = min(int(h.ReceiveBufSize), chunkBytes)
	c.peerMessage, c.peerChunks = int(h.MaxMessageSize), int(h.MaxChunkCount)
	ack := uacp.Acknowledge{
		ReceiveBufSize: uint32(min(int(h.SendBufSize), chunkBytes)), SendBufSize: uint32(c.peerChunk),
		MaxMessageSize: uint32(c.cfg.MaxMessage), MaxChunkCount: uint32(c.maxChunks()),
	}
	body, err := ack.Encode()
	if err != nil {
		return err
	}
	_, err = c.nc.Write(appendFrame(nil, uacp.MessageTypeAcknowledge, body))
	return err
}

// maxChunks is the number of chunks one request may come in.
func (c *Conn) maxChunks() int { return c.cfg.MaxMessage/(chunkBytes/chunksPerBuffer) + 1 }

// appendFrame appends a message of the connection protocol.
func appendFrame(dst []byte, kind string, body []byte) []byte {
	dst = append(append(dst, kind...), uacp.ChunkTypeFinal)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(8+len(body)))
	return append(dst, body...)
}

// frame is one message or chunk as it came: three letters, chunk type, size, content.
type frame []byte

func (f frame) kind() string { return string(f[:3]) }
func (f frame) chunk() byte  { return f[3] }

// frame reads one message or chunk of at most limit bytes.
func (c *Conn) frame(limit int) (frame, error) {
	var head [8]byte
	if _, err := io.ReadFull(c.r, head[:1]); err != nil {
		return nil, err
	}
	if c.opened {
		// Waiting for a request may take as long as the keys live; reading one may not.
		if err := c.nc.SetReadDeadline(time.Now().Add(messageTime)); err != nil {
			return nil, err
		}
	}
	if _, err := io.ReadFull(c.r, head[1:]); err != nil {
		return nil, err
	}
	size := binary.LittleEndian.Uint32(head[4:])
	if size < 8 || size > uint32(limit) {
		return nil, fail(ua.StatusBadTCPMessageTooLarge, "%q of %d bytes, at most %d", head[:3], size, limit)
	}
	f := make(frame, size)
	copy(f, head[:])
	if _, err := io.ReadFull(c.r, f[8:]); err != nil {
		return nil, err
	}
	return f, nil
}

// Read returns the next request. OpenSecureChannel is handled inside. Any error is the end of the connection; the
// client was told the reason if the protocol has a way to.
func (c *Conn) Read() (Request, error) {
	for {
		req, done, err := c.next()
		if err != nil {
			c.abort(err)
			return Request{}, err
		}
		if done {
			return req, nil
		}
	}
}

// next reads one chunk; done says that it completed a request.
func (c *Conn) next() (req Request, done bool, err error) {
	c.drain()
	if c.opened {
		if err := c.nc.SetReadDeadline(c.expiry()); err != nil {
			return req, false, err
		}
	}
	f, err := c.frame(chunkBytes)
	if err != nil {
		return req, false, err
	}
	switch f.kind() {
	case uasc.MessageTypeOpenSecureChannel:
		return req, false, c.open(f)
	case uasc.MessageTypeMessage, uasc.MessageTypeCloseSecureChannel:
	default:
		return req, false, fail(ua.StatusBadTCPMessageTypeInvalid, "%q", f.kind())
	}
	if !c.opened {
		return req, false, fail(ua.StatusBadTCPSecureChannelUnknown, "%s before OpenSecureChannel", f.kind())
	}
	t, plain, err := c.unseal(f)
	if err != nil {
		return req, false, err
	}
	if err := c.sequence(t, binary.LittleEndian.Uint32(plain)); err != nil {
		return req, false, err
	}
	if f.kind() == uasc.MessageTypeCloseSecureChannel {
		return req, false, ErrClosed
	}
	return c.assemble(f.chunk(), plain)
}

// assemble adds a chunk's content, sequence header included, to the request it belongs to.
func (c *Conn) assemble(chunk byte, plain []byte) (Request, bool, error) {
	id, body := binary.LittleEndian.Uint32(plain[4:]), plain[sequenceBytes:]
	if c.chunks > 0 && id != c.partOf {
		return Request{}, false, fail(ua.StatusBadSecurityChecksFailed, "a chunk of request %d within request %d", id, c.partOf)
	}
	limit := c.cfg.MaxMessage
	if !c.active.Load() {
		limit = min(limit, earlyBytes)
	}
	if c.chunks++; len(c.partial)+len(body) > limit || c.chunks > c.maxChunks() {
		return Request{}, false, fail(ua.StatusBadRequestTooLarge, "a request of more than %d bytes or %d chunks", limit, c.maxChunks())
	}
	switch chunk {
	case uacp.ChunkTypeAbort:
		c.partial, c.chunks = nil, 0
		return Request{}, false, nil
	case uacp.ChunkTypeIntermediate:
		c.partial, c.partOf = append(c.partial, body...), id
		return Request{}, false, nil
	case uacp.ChunkTypeFinal:
		if c.chunks > 1 {
			body = append(c.partial, body...)
		}
		c.partial, c.chunks = nil, 0
		return Request{ID: id, Body: body}, true, nil
	}
	return Request{}, false, fail(ua.StatusBadTCPMessageTypeInvalid, "chunk type %q", chunk)
}

// sequence checks that no chunk is missing, repeated or from elsewhere (OPC 10000-6, 6.7.2.4). Some clients count on
// with the old keys while they renew them and start the new ones from a copy of the counter, so a number may follow
// the last of its own keys as well as the last of all: a chunk that is replayed does neither.
func (c *Conn) sequence(t *token, seq uint32) error {
	own, all := t.seqIn, c.seqIn
	c.seqIn, t.seqIn = seq, seq
	if all == 0 || follows(all, seq) || (own != 0 && follows(own, seq)) {
		return nil
	}
	return fail(ua.StatusBadSequenceNumberInvalid, "sequence number %d after %d", seq, all)
}

func follows(old, seq uint32) bool {
	const wrapTo = 1024
	return seq == old+1 || (old > lastSequence-wrapTo && seq < wrapTo)
}

// openSequence checks the number of an OpenSecureChannel. For the reason above a renewal may be a little behind; it
// is signed with the client's certificate, and all a repeated one brings is keys nobody can use.
func (c *Conn) openSequence(seq uint32) error {
	old := c.seqIn
	c.seqIn = seq
	if old == 0 || follows(old, seq) || (old >= seq && old-seq < maxRenewalLag) {
		return nil
	}
	return fail(ua.StatusBadSequenceNumberInvalid, "sequence number %d of OpenSecureChannel after %d", seq, old)
}

// expiry is when the newest keys stop being taken.
func (c *Conn) expiry() time.Time {
	if len(c.tokens) == 0 {
		return time.Now().Add(handshakeTime)
	}
	return c.tokens[len(c.tokens)-1].expires
}

// ID returns the id of the secure channel.
func (c *Conn) ID() uint32 { return c.id }

// Security returns what protects the channel; it is known once a request was read and does not change after.
func (c *Conn) Security() Security { return c.security }

// RawCertificate returns the client's certificate, with its chain, as the channel was opened with it.
func (c *Conn) RawCertificate() []byte { return c.raw }

// RemoteAddr returns the client's address.
func (c *Conn) RemoteAddr() net.Addr { return c.nc.RemoteAddr() }

// SetActive says whether a session is active on the channel: only then are large requests taken.
func (c *Conn) SetActive(active bool) { c.active.Store(active) }

// abort tells the client why the connection ends, if it may know.
func (c *Conn) abort(err error) {
	var p *protocolError
	if !errors.As(err, &p) {
		return
	}
	body, encErr := (&uacp.Error{ErrorCode: uint32(p.code)}).Encode()
	if encErr != nil {
		return
	}
	// Best effort: the connection ends either way.
	_ = c.nc.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = c.nc.Write(appendFrame(nil, uacp.MessageTypeError, body))
}
