package ua

import (
	"net"
	"sync"
)

// Drop ends every connection with a reset. Clients may come back at once.
func (d *Device) Drop() { d.gate.drop() }

// Refuse makes the device reset every new connection, or take them again.
func (d *Device) Refuse(on bool) { d.gate.set(func(g *gate) { g.refusing = on }) }

// Freeze makes the values stand still while the device goes on answering, or lets them go.
func (d *Device) Freeze(on bool) { d.gate.set(func(g *gate) { g.frozen = on }) }

// Hang makes the device take requests and answer none, as a crashed program on a living machine does, or lets it go on.
func (d *Device) Hang(on bool) { d.gate.set(func(g *gate) { g.hanging = on }) }

// Faults returns the names of what is being done to the device.
func (d *Device) Faults() []string { return d.gate.faults() }

// Clear ends all that is being done to the device.
func (d *Device) Clear() {
	d.gate.set(func(g *gate) { g.refusing, g.frozen, g.hanging = false, false, false })
}

// gate is the listener of a device with its disturbances.
type gate struct {
	mu                        sync.Mutex
	changed                   sync.Cond
	l                         net.Listener
	conns                     map[*gatedConn]struct{}
	refusing, frozen, hanging bool
}

func newGate() *gate {
	g := &gate{conns: map[*gatedConn]struct{}{}}
	g.changed.L = &g.mu
	return g
}

func (g *gate) set(change func(*gate)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change(g)
	g.changed.Broadcast()
}

func (g *gate) listener(l net.Listener) { g.set(func(g *gate) { g.l = l }) }

func (g *gate) isFrozen() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.frozen
}

func (g *gate) faults() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var list []string
	for _, f := range []struct {
		on   bool
		name string
	}{{g.refusing, "refuse"}, {g.frozen, "freeze"}, {g.hanging, "hang"}} {
		if f.on {
			list = append(list, f.name)
		}
	}
	return list
}

func (g *gate) addr() net.Addr {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.l == nil {
		return nil
	}
	return g.l.Addr()
}

func (g *gate) remotes() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var list []string
	for c := range g.conns {
		list = append(list, c.RemoteAddr().String())
	}
	return list
}

func (g *gate) drop() {
	g.mu.Lock()
	var all []*gatedConn
	for c := range g.conns {
		all = append(all, c)
	}
	g.mu.Unlock()
	for _, c := range all {
		reset(c.Conn)
		_ = c.Close() // that it is closed is all that matters
	}
}

// reset makes the close of a TCP connection a reset.
func reset(c net.Conn) {
	if t, ok := c.(interface{ SetLinger(int) error }); ok {
		_ = t.SetLinger(0) // without it the client sees an orderly end: a milder fault
	}
}

// Accept implements [net.Listener].
func (g *gate) Accept() (net.Conn, error) {
	for {
		nc, err := g.l.Accept()
		if err != nil {
			return nil, err
		}
		g.mu.Lock()
		if g.refusing {
			g.mu.Unlock()
			reset(nc)
			_ = nc.Close() // that it is closed is all that matters
			continue
		}
		c := &gatedConn{Conn: nc, g: g}
		g.conns[c] = struct{}{}
		g.mu.Unlock()
		return c, nil
	}
}

// Close implements [net.Listener].
func (g *gate) Close() error { return g.l.Close() }

// Addr implements [net.Listener].
func (g *gate) Addr() net.Addr { return g.addr() }

// gatedConn is a connection that hangs with its device.
type gatedConn struct {
	net.Conn
	g      *gate
	closed bool // guarded by the gate's lock
}

// Read waits while the device hangs; what came stays in the kernel's buffers.
func (c *gatedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.wait()
	return n, err
}

// Write waits while the device hangs.
func (c *gatedConn) Write(b []byte) (int, error) {
	c.wait()
	return c.Conn.Write(b)
}

func (c *gatedConn) wait() {
	c.g.mu.Lock()
	for c.g.hanging && !c.closed {
		c.g.changed.Wait()
	}
	c.g.mu.Unlock()
}

// Close implements [net.Conn].
func (c *gatedConn) Close() error {
	c.g.set(func(g *gate) {
		c.closed = true
		delete(g.conns, c)
	})
	return c.Conn.Close()
}
