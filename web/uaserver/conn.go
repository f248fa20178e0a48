package uaserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"scada/web/uaserver/channel"
	"scada/web/uaserver/guard"
	"scada/web/uaserver/wire"
)

const (
	maxLogInFailures = 5   // wrong log-ins after which a connection is closed
	maxWaitingJobs   = 100 // Writes and Calls of one connection that wait for the ones before them
)

// conn is one client's connection and what is being done for it.
type conn struct {
	s        *Server
	nc       net.Conn
	id       uint32
	host     string    // the client's address without the port
	since    time.Time // it has no session; guarded by the server's lock
	sessions atomic.Int32
	ch       *channel.Conn
	failures int
	jobs     chan func(context.Context)
}

// errEnd is a refusal after which the connection ends.
var errEnd = errors.New("refused too often")

func (c *conn) kill() { _ = c.nc.Close() } // the reader wakes with the error

// serve handles the connection until it ends. Whatever happens in it ends this connection only.
func (c *conn) serve(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	defer func() {
		cancel()
		c.leave()
		<-done
	}()
	stop := context.AfterFunc(ctx, c.kill)
	defer stop()
	c.jobs = make(chan func(context.Context), maxWaitingJobs)
	go func() {
		defer close(done)
		c.work(ctx)
	}()
	err := c.run()
	level := c.s.log.Info
	if errors.Is(err, channel.ErrClosed) || errors.Is(err, io.EOF) || ctx.Err() != nil {
		level = c.s.log.Debug
	}
	level("OPC UA connection ended", "remote", c.nc.RemoteAddr(), "error", err)
}

// work does one after the other what has to wait for devices, so that reading and subscriptions need not.
func (c *conn) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case job := <-c.jobs:
			func() {
				defer c.survive("job")
				job(ctx)
			}()
		}
	}
}

// survive ends the connection instead of the process.
func (c *conn) survive(what string) {
	if p := recover(); p != nil {
		c.s.log.Error("OPC UA connection ended by a fault in the server", "remote", c.nc.RemoteAddr(), "in", what, "panic", p, "stack", string(debug.Stack()))
		c.kill()
	}
}

// leave unbinds the sessions of the connection; they stay for the client to come back to.
func (c *conn) leave() {
	c.s.mu.Lock()
	delete(c.s.conns, c)
	var bound []*session
	var lost []Presence
	for _, x := range c.s.sessions {
		if x.conn == c {
			c.s.unbind(x)
			bound = append(bound, x)
			if p, changed := x.present(ClientLost, "connection ended"); changed {
				lost = append(lost, p)
			}
		}
	}
	c.s.mu.Unlock()
	for _, p := range lost {
		c.s.tell(p, true)
	}
	for _, x := range bound {
		c.s.counts.aborted.Add(1)
		x.client.Forget(c.ch)
	}
	if c.ch != nil {
		c.ch.Close()
	}
	c.kill()
}

// run reads and answers requests.
func (c *conn) run() (err error) {
	defer c.survive("request")
	ch, err := channel.Accept(c.nc, c.id, &c.s.channel)
	if err != nil {
		return err
	}
	c.ch = ch
	for {
		req, err := ch.Read()
		if err != nil {
			return err
		}
		if err := c.handle(req); err != nil {
			return err
		}
	}
}

// call is one request being handled.
type call struct {
	c       *conn
	s       *Server
	rev     *revision // the plant as the whole request sees it
	x       *session  // nil for services without one
	user    User      // of the session
	h       wire.RequestHeader
	request uint32
	raw     []byte
}

// handle answers one request. An error ends the connection.
func (c *conn) handle(req channel.Request) error {
	r := wire.Reader{B: req.Body}
	k := &call{c: c, s: c.s, rev: c.s.now(), h: r.RequestHeader(), request: req.ID, raw: req.Body}
	if r.Err != nil {
		return fmt.Errorf("request header: %w", r.Err)
	}
	if k.h.Type == id.CloseSecureChannelRequest_Encoding_DefaultBinary {
		return channel.ErrClosed
	}
	need := needs(k.h.Type)
	if need != nothing {
		var status ua.StatusCode
		if k.x, status = c.s.find(k, need); status != ua.StatusOK {
			c.s.counts.refusedRequests.Add(1)
			return k.fault(status)
		}
		k.x.past.tally.count(k.h.Type)
	} else if c.ch.Security().None() && !c.s.cfg.AllowNone && !discovery(k.h.Type) {
		return k.fault(ua.StatusBadSecurityPolicyRejected)
	}
	if k.h.Type == id.ReadRequest_Encoding_DefaultBinary {
		return k.read(&r)
	}
	msg := newRequest(k.h.Type)
	if msg == nil {
		return k.fault(ua.StatusBadServiceUnsupported)
	}
	var typ ua.ExpandedNodeID
	n, err := guard.Check(req.Body, &typ)
	if err == nil {
		_, err = guard.Check(req.Body[n:], msg)
	}
	if err != nil {
		c.s.log.Info("OPC UA request refused", "remote", c.nc.RemoteAddr(), "type", k.h.Type, "error", err)
		return k.fault(ua.StatusBadDecodingError)
	}
	if _, err := ua.Decode(req.Body[n:], msg); err != nil {
		return k.fault(ua.StatusBadDecodingError)
	}
	resp, err := k.serve(msg)
	if errors.Is(err, errEnd) {
		return err
	}
	return k.answer(resp, err)
}

// answer sends a response, or a fault for err; neither is a response that comes later.
func (k *call) answer(resp ua.Response, err error) error {
	if err != nil {
		return k.fault(statusOf(err))
	}
	if resp == nil {
		return nil
	}
	resp.SetHeader(k.header(ua.StatusOK))
	b := wire.TypeID(nil, ua.ServiceTypeID(resp))
	body, err := ua.Encode(resp)
	if err != nil {
		k.s.log.Error("cannot encode an OPC UA response", "type", k.h.Type, "error", err)
		return k.fault(ua.StatusBadEncodingError)
	}
	return k.send(append(b, body...))
}

func (k *call) header(status ua.StatusCode) *ua.ResponseHeader {
	return &ua.ResponseHeader{
		Timestamp: time.Now(), RequestHandle: k.h.Handle, ServiceResult: status,
		ServiceDiagnostics: &ua.DiagnosticInfo{}, StringTable: []string{}, AdditionalHeader: ua.NewExtensionObject(nil),
	}
}

func (k *call) send(body []byte) error {
	if len(body) > k.c.ch.Room() {
		return k.fault(ua.StatusBadResponseTooLarge)
	}
	return k.c.ch.Send(k.request, body)
}

func (k *call) fault(status ua.StatusCode) error {
	k.s.counts.rejectedRequests.Add(1)
	if k.x != nil {
		k.x.past.tally.fail(k.h.Type, status)
	}
	return k.c.ch.Send(k.request, wire.ResponseHeader(nil, id.ServiceFault_Encoding_DefaultBinary, k.h.Handle, status, time.Now().UnixNano()))
}

// later does the rest of a call after the ones before it, without holding up the connection.
func (k *call) later(job func(context.Context) (ua.Response, error)) error {
	return k.queue(func(ctx context.Context) {
		resp, err := job(ctx)
		_ = k.answer(resp, err) // an error is a connection that has ended
	})
}

// queue has something done after what is queued before it.
func (k *call) queue(do func(context.Context)) error {
	select {
	case k.c.jobs <- do:
		return nil
	default:
		return ua.StatusBadTooManyOperations
	}
}
