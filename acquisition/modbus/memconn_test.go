package modbus

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// half is one direction of an in-memory connection: a byte queue with deadlines.
type half struct {
	mu      sync.Mutex
	cond    *sync.Cond
	buf     []byte
	limit   int // bytes before a writer waits
	closed  error
	readBy  time.Time
	writeBy time.Time
	timers  [2]*time.Timer
}

func newHalf() *half {
	h := &half{limit: 64 << 10}
	h.cond = sync.NewCond(&h.mu)
	return h
}

func (h *half) deadline(which int, t time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.timers[which] != nil {
		h.timers[which].Stop()
		h.timers[which] = nil
	}
	if which == 0 {
		h.readBy = t
	} else {
		h.writeBy = t
	}
	if !t.IsZero() {
		h.timers[which] = time.AfterFunc(time.Until(t), h.cond.Broadcast)
	}
	h.cond.Broadcast()
}

func expired(t time.Time) bool { return !t.IsZero() && !time.Now().Before(t) }

func (h *half) read(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case expired(h.readBy):
			return 0, os.ErrDeadlineExceeded
		case len(h.buf) > 0:
			n := copy(b, h.buf)
			h.buf = h.buf[n:]
			h.cond.Broadcast()
			return n, nil
		case h.closed != nil:
			return 0, h.closed
		}
		h.cond.Wait()
	}
}

func (h *half) write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.closed != nil:
			return 0, io.ErrClosedPipe
		case expired(h.writeBy):
			return 0, os.ErrDeadlineExceeded
		case len(h.buf)+len(b) <= h.limit:
			h.buf = append(h.buf, b...)
			h.cond.Broadcast()
			return len(b), nil
		}
		h.cond.Wait()
	}
}

func (h *half) close(err error) {
	h.mu.Lock()
	if h.closed == nil {
		h.closed = err
	}
	for _, t := range h.timers {
		if t != nil {
			t.Stop()
		}
	}
	h.cond.Broadcast()
	h.mu.Unlock()
}

// memConn is one end of an in-memory connection.
type memConn struct {
	in, out *half
	turn    chan struct{} // holds one: the device's answers are written one after the other
}

func memPipe() (a, b *memConn) {
	x, y := newHalf(), newHalf()
	return &memConn{in: x, out: y, turn: make(chan struct{}, 1)}, &memConn{in: y, out: x, turn: make(chan struct{}, 1)}
}

func (c *memConn) Read(b []byte) (int, error)         { return c.in.read(b) }
func (c *memConn) Write(b []byte) (int, error)        { return c.out.write(b) }
func (c *memConn) Close() error                       { c.out.close(io.EOF); c.in.close(net.ErrClosed); return nil }
func (c *memConn) SetReadDeadline(t time.Time) error  { c.in.deadline(0, t); return nil }
func (c *memConn) SetWriteDeadline(t time.Time) error { c.out.deadline(1, t); return nil }
func (c *memConn) SetDeadline(t time.Time) error {
	c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

// send writes when nobody else is writing.
func (c *memConn) send(b []byte) {
	c.turn <- struct{}{}
	c.Write(b)
	<-c.turn
}

func (c *memConn) LocalAddr() net.Addr  { return &net.TCPAddr{} }
func (c *memConn) RemoteAddr() net.Addr { return &net.TCPAddr{} }

var errReset = errors.New("connection reset by peer")

// reset breaks both directions at once; what was not read is lost.
func (c *memConn) reset() {
	for _, h := range []*half{c.in, c.out} {
		h.mu.Lock()
		h.buf = nil
		h.mu.Unlock()
		h.close(errReset)
	}
}
