package server

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"scada/cmd/internal/config"
)

const nicEvery = time.Second

// clientNetwork watches the interfaces on which clients reach this node. Without a cable there a node is of little use as
// the active one, however well it polls.
type clientNetwork struct {
	watched    []watchedAddress
	interfaces func() ([]nic, error) // nil: nothing is watched
	trouble    atomic.Pointer[[]string]
}

type watchedAddress struct {
	what string
	addr netip.Addr
}

// nic is an interface as far as it matters here.
type nic struct {
	name    string
	running bool // up, and with a carrier
	addrs   []netip.Addr
}

// newClientNetwork watches the addresses of the web and OPC UA servers that stand on one interface. In a network that is
// not the machine's own there is nothing to see.
func newClientNetwork(opts Options, node config.Node) *clientNetwork {
	c := &clientNetwork{}
	for what, address := range map[string]string{"web": node.HTTP, "opc ua": node.OPCUA} {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			continue
		}
		if addr, err := netip.ParseAddr(host); err == nil && !addr.IsUnspecified() {
			c.watched = append(c.watched, watchedAddress{what, addr.Unmap().WithZone("")})
		}
	}
	if opts.Dial == nil {
		c.interfaces = systemInterfaces
	}
	return c
}

func (c *clientNetwork) run(ctx context.Context) error {
	if c.interfaces == nil {
		return nil
	}
	tick := time.NewTicker(nicEvery)
	defer tick.Stop()
	for {
		list, err := c.interfaces()
		if err == nil { // a system that does not tell is no fault of the network
			now := c.judge(list)
			c.trouble.Store(&now)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// judge says which of the addresses nobody can reach.
func (c *clientNetwork) judge(list []nic) []string {
	var wrong []string
	for _, w := range c.watched {
		why := ""
		if n, ok := holder(list, w.addr); !ok {
			why = fmt.Sprintf("client network: no interface has the address %s of the %s server", w.addr, w.what)
		} else if !n.running {
			why = fmt.Sprintf("client network: interface %s is down or has no carrier", n.name)
		}
		if why != "" && !slices.Contains(wrong, why) {
			wrong = append(wrong, why)
		}
	}
	return wrong
}

// holder returns the interface with the address. The loopback interface has all of 127.0.0.0/8 that no other has.
func holder(list []nic, addr netip.Addr) (nic, bool) {
	for _, n := range list {
		if slices.Contains(n.addrs, addr) {
			return n, true
		}
	}
	for _, n := range list {
		if addr.Is4() && addr.IsLoopback() && slices.ContainsFunc(n.addrs, netip.Addr.IsLoopback) {
			return n, true
		}
	}
	return nic{}, false
}

// faults says what is wrong with the network of the clients.
func (c *clientNetwork) faults() []string {
	if list := c.trouble.Load(); list != nil {
		return *list
	}
	return nil
}

// systemInterfaces are the interfaces of this machine.
func systemInterfaces() ([]nic, error) {
	list, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("listing the network interfaces: %w", err)
	}
	var out []nic
	for _, i := range list {
		n := nic{name: i.Name, running: i.Flags&net.FlagUp != 0 && i.Flags&net.FlagRunning != 0}
		addrs, err := i.Addrs()
		if err != nil {
			return nil, fmt.Errorf("listing the addresses of %s: %w", i.Name, err)
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				n.addrs = append(n.addrs, p.Addr().Unmap().WithZone(""))
			}
		}
		out = append(out, n)
	}
	return out, nil
}
