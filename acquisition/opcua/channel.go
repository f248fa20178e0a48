package opcua

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/gopcua/opcua/ua"
	"github.com/gopcua/opcua/uacp"
	"github.com/gopcua/opcua/uapolicy"
	"github.com/gopcua/opcua/uasc"
)

// Times of a channel.
const (
	channelLifetime = time.Hour
	goodbyeLimit    = 200 * time.Millisecond // for telling the server that we leave
)

// channel is an open secure channel with, after login, a session on it.
type channel struct {
	sc      *uasc.SecureChannel
	relay   *relay
	faults  chan error // what the library's receiver ran into
	timeout time.Duration
	with    security
	token   *ua.NodeID                          // of the session
	made    *ua.CreateSessionResponse           // the session, with the server's last nonce
	subs    map[uint32]*subscription            // of the session, once they are made
	note    func(took time.Duration, err error) // told of each call

	answered atomic.Int64 // when the last answer came, in nanoseconds
}

// security is what is agreed before a channel is opened.
type security struct {
	policy      string // URI
	mode        ua.MessageSecurityMode
	certificate []byte // the server's
}

var plain = security{policy: ua.SecurityPolicyURINone, mode: ua.MessageSecurityModeNone}

// open connects to the device and opens a channel.
func (s *Source) open(ctx context.Context, with security) (c *channel, err error) {
	defer rescue(&err)
	ctx, cancel := context.WithTimeout(ctx, s.device.Timeout)
	defer cancel()
	u, err := url.Parse(s.device.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("endpoint: %w", err)
	}
	tcp, err := s.dial(ctx, "tcp", u.Host)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	r, err := newRelay(ctx, tcp, &inspector{policy: with.policy, certificate: with.certificate})
	if err != nil {
		_ = tcp.Close() // it is of no use
		return nil, err
	}
	// Part of the library's greeting heeds a deadline and no cancellation: take the connection away from it.
	defer context.AfterFunc(ctx, func() { r.hangUp(context.Cause(ctx)) })()
	c = &channel{relay: r, faults: make(chan error, 1), timeout: s.device.Timeout, with: with, note: s.note}
	defer func() {
		if err != nil {
			c.close()
			if why := r.reason(); errors.Is(why, errHostile) {
				err = why
			}
		}
	}()
	conn, err := uacp.NewConn(r.local, &uacp.Acknowledge{ReceiveBufSize: maxChunk, SendBufSize: maxChunk, MaxMessageSize: maxMessage})
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	if err := conn.Handshake(ctx, s.device.Endpoint); err != nil {
		return nil, fmt.Errorf("greeting the server: %w", err)
	}
	c.sc, err = uasc.NewSecureChannel(s.device.Endpoint, conn, s.channelConfig(with), c.faults)
	if err != nil {
		return nil, fmt.Errorf("preparing the secure channel: %w", err)
	}
	if err := c.sc.Open(ctx); err != nil {
		return nil, fmt.Errorf("opening the secure channel: %w", err)
	}
	return c, nil
}

func (s *Source) channelConfig(with security) *uasc.Config {
	cfg := &uasc.Config{
		SecurityPolicyURI: with.policy, SecurityMode: with.mode, Lifetime: uint32(s.lifetime.Milliseconds()), RequestTimeout: s.device.Timeout,
	}
	if with.policy != ua.SecurityPolicyURINone && s.o.Identity != nil {
		cfg.Certificate, cfg.LocalKey = s.o.Identity.Certificate, s.o.Identity.Key
		cfg.RemoteCertificate, cfg.Thumbprint = with.certificate, uapolicy.Thumbprint(with.certificate)
	} else if s.o.Identity != nil {
		cfg.LocalKey = s.o.Identity.Key
	}
	return cfg
}

// close tells the server, briefly, and ends the connection. When it returns nothing of the channel touches the device.
func (c *channel) close() {
	if c == nil {
		return
	}
	if c.sc != nil {
		_ = c.relay.local.SetWriteDeadline(time.Now().Add(goodbyeLimit)) // at worst the goodbye is not said
		if c.token != nil {
			ctx, cancel := context.WithTimeout(context.Background(), goodbyeLimit)
			_, _ = call[*ua.CloseSessionResponse](ctx, c, &ua.CloseSessionRequest{DeleteSubscriptions: true})
			cancel()
		}
		c.sc.Close() // its error is always EOF
	}
	c.relay.close()
}

// failed returns the reason the channel is of no use any more, nil while it is.
func (c *channel) failed() error {
	for {
		select {
		case err := <-c.faults:
			var status ua.StatusCode
			if errors.As(err, &status) && status != ua.StatusBadSecureChannelClosed && status != ua.StatusBadSessionIDInvalid && status != ua.StatusBadSessionClosed {
				continue // an answer that is an error belongs to who asked
			}
			if why := c.relay.reason(); why != nil {
				err = why
			}
			return err
		default:
			return c.relay.reason()
		}
	}
}

// call sends a request and returns the answer.
func call[T ua.Response](ctx context.Context, c *channel, req ua.Request) (T, error) {
	return callWithin[T](ctx, c, req, c.timeout)
}

func callWithin[T ua.Response](ctx context.Context, c *channel, req ua.Request, limit time.Duration) (res T, err error) {
	defer rescue(&err)
	// The library adds a grace of its own to its limit, and gives up on ctx alone when a write hangs.
	ctx, cancel := context.WithTimeoutCause(ctx, limit, ua.StatusBadTimeout)
	defer cancel()
	unblock := context.AfterFunc(ctx, func() {
		_ = c.relay.local.SetWriteDeadline(time.Now()) // a send that hangs gives up
	})
	got, begun := false, time.Now()
	err = c.sc.SendRequestWithTimeout(ctx, req, c.token, limit, func(v ua.Response) error {
		r, ok := v.(T)
		if !ok {
			return fmt.Errorf("%w: %T in answer to %T", errHostile, v, req)
		}
		res, got = r, true
		return nil
	})
	if !unblock() {
		_ = c.relay.local.SetWriteDeadline(time.Time{}) // for the next one; a broken connection says so itself
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		err = ua.StatusBadTimeout
	case err == nil && !got:
		err = fmt.Errorf("%w: no answer to %T", errHostile, req)
	case errors.Is(err, io.EOF):
		if why := c.relay.reason(); why != nil {
			err = why
		}
	}
	if err == nil {
		c.answered.Store(time.Now().UnixNano())
	}
	c.note(time.Since(begun), err)
	return res, err
}

// rescue turns a panic of the protocol library, which trusts what it decodes, into an error.
func rescue(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%w: the protocol library gave up: %v", errHostile, p)
	}
}

// dial connects from the configured local address.
func (s *Source) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if s.o.Dial != nil {
		return s.o.Dial(ctx, network, address)
	}
	d := net.Dialer{Timeout: s.device.Timeout}
	if s.o.LocalAddress != "" {
		ip := net.ParseIP(s.o.LocalAddress)
		if ip == nil {
			return nil, fmt.Errorf("local address %q is not an IP address", s.o.LocalAddress)
		}
		d.LocalAddr = &net.TCPAddr{IP: ip}
	}
	return d.DialContext(ctx, network, address)
}
