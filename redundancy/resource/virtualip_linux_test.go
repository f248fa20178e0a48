package resource_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"scada/redundancy/resource"
)

// space is a network namespace without a name, and a thread that stays in it. Both go with the test, however it ends.
type space struct {
	t    *testing.T
	fd   int
	jobs chan func()
}

func newSpace(t *testing.T) *space {
	t.Helper()
	s := &space{t: t, jobs: make(chan func())}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			s.fd, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		}
		ready <- err
		for f := range s.jobs {
			f()
		}
	}()
	t.Cleanup(func() { close(s.jobs) })
	if err := <-ready; err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("a network namespace is required here: %v", err)
		}
		t.Skipf("needs root for a network namespace: %v", err)
	}
	t.Cleanup(func() { unix.Close(s.fd) })
	// Package net finds out once, in whatever namespace it is used first, whether there is IPv6: by the loopback address.
	s.do("loopback", func() error { return up("lo") })
	return s
}

// do runs f in the namespace.
func (s *space) do(what string, f func() error) {
	s.t.Helper()
	if err := s.try(f); err != nil {
		s.t.Fatalf("%s: %v", what, err)
	}
}

func (s *space) try(f func() error) error {
	done := make(chan error, 1)
	s.jobs <- func() { done <- f() }
	return <-done
}

// cable is two nodes with an interface eth0 each, and a client that sees both through a bridge.
type cable struct {
	t      *testing.T
	client *space
	node   map[string]*space
	mac    map[string]net.HardwareAddr
}

func newCable(t *testing.T) *cable {
	t.Helper()
	c := &cable{t: t, client: newSpace(t), node: map[string]*space{}, mac: map[string]net.HardwareAddr{}}
	c.client.do("bridge", func() error {
		br := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}
		if err := netlink.LinkAdd(br); err != nil {
			return err
		}
		return up("br0", "10.99.0.1/24", "fd99::1/64")
	})
	for i, name := range []string{"a", "b"} {
		n := newSpace(t)
		c.node[name] = n
		c.client.do("cable", func() error {
			veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "to-" + name}, PeerName: "eth0", PeerNamespace: netlink.NsFd(n.fd)}
			if err := netlink.LinkAdd(veth); err != nil {
				return err
			}
			br, err := netlink.LinkByName("br0")
			if err != nil {
				return err
			}
			if err := netlink.LinkSetMaster(veth, br); err != nil {
				return err
			}
			return up("to-" + name)
		})
		n.do("interface", func() error {
			if err := up("eth0", fmt.Sprintf("10.99.0.%d/24", i+2), fmt.Sprintf("fd99::%d/64", i+2)); err != nil {
				return err
			}
			link, err := netlink.LinkByName("eth0")
			c.mac[name] = link.Attrs().HardwareAddr
			return err
		})
		n.do("server", func() error { return serve(t, name) })
		for _, net := range []string{"10.99.0.", "fd99::"} {
			c.until(netip.MustParseAddr(fmt.Sprintf("%s%d", net, i+2)), name) // a new port of a bridge takes a moment
		}
	}
	return c
}

func up(name string, addrs ...string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return err
	}
	for _, a := range addrs {
		addr, err := netlink.ParseAddr(a)
		if err != nil {
			return err
		}
		if addr.IP.To4() == nil {
			addr.Flags = unix.IFA_F_NODAD
		}
		if err := netlink.AddrAdd(link, addr); err != nil {
			return err
		}
	}
	return nil
}

// serve answers every connection on every address of the namespace with the name of the node.
func serve(t *testing.T, name string) error {
	l, err := net.Listen("tcp", ":7000")
	if err != nil {
		return err
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(conn, name)
			conn.Close()
		}
	}()
	return nil
}

// who asks the address once who is there; it must be called in a namespace.
func who(addr netip.Addr) string {
	conn, err := net.DialTimeout("tcp", net.JoinHostPort(addr.String(), "7000"), 40*time.Millisecond)
	if err != nil {
		return ""
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Second))
	b, err := io.ReadAll(conn)
	if err != nil {
		return ""
	}
	return string(b)
}

// until asks every two milliseconds until the node answers and returns when it did.
func (c *cable) until(addr netip.Addr, node string) time.Time {
	c.t.Helper()
	var at time.Time
	c.client.do("waiting for "+node, func() error {
		for limit := time.Now().Add(5 * time.Second); time.Now().Before(limit); time.Sleep(2 * time.Millisecond) {
			if who(addr) == node {
				at = time.Now()
				return nil
			}
		}
		return fmt.Errorf("%s does not answer at %s", node, addr)
	})
	return at
}

// neighbor returns the hardware address at which the client knows the address.
func (c *cable) neighbor(addr netip.Addr) net.HardwareAddr {
	var mac net.HardwareAddr
	c.client.do("neighbours", func() error {
		all, err := netlink.NeighList(0, netlink.FAMILY_ALL)
		for _, n := range all {
			if n.IP.Equal(addr.AsSlice()) {
				mac = n.HardwareAddr
			}
		}
		return err
	})
	return mac
}

func newVIP(t *testing.T, address string) *resource.VirtualIP {
	t.Helper()
	v, err := resource.NewVirtualIP(address, "eth0")
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestVirtualIPMoves moves an address to and fro between two nodes and measures what a client in a third network
// namespace sees: the time from the order to the first answer of the new node.
func TestVirtualIPMoves(t *testing.T) {
	c := newCable(t)
	for _, address := range []string{"10.99.0.10/24", "fd99::10/64"} {
		vip := map[string]*resource.VirtualIP{"a": newVIP(t, address), "b": newVIP(t, address)}
		addr := vip["a"].Addr()
		c.node["a"].do("start", func() error { return vip["a"].Start(t.Context()) })
		c.until(addr, "a")
		var took []time.Duration
		from, to := "a", "b"
		for range 20 {
			began := time.Now()
			c.node[from].do("stop", func() error { return vip[from].Stop(t.Context()) })
			c.node[to].do("start", func() error { return vip[to].Start(t.Context()) })
			took = append(took, c.until(addr, to).Sub(began))
			if mac := c.neighbor(addr); !bytes.Equal(mac, c.mac[to]) {
				t.Errorf("%s: the client knows it at %s, %s has %s", addr, mac, to, c.mac[to])
			}
			c.node[to].do("monitor", func() error { return vip[to].Monitor(t.Context()) })
			if c.node[from].try(func() error { return vip[from].Monitor(t.Context()) }) == nil {
				t.Errorf("%s: %s has it still", addr, from)
			}
			from, to = to, from
		}
		slices.Sort(took)
		t.Logf("%s: 20 moves, order to first answer of the new node: median %s (min %s, max %s)", addr, took[10], took[0], took[19])
		if took[10] > 500*time.Millisecond {
			t.Errorf("%s: the median move took %s", addr, took[10])
		}
		c.node[from].do("stop", func() error { return vip[from].Stop(t.Context()) })
	}
}

// TestVirtualIPLeftBehind: another process put the address there, was killed and had another prefix length.
func TestVirtualIPLeftBehind(t *testing.T) {
	c := newCable(t)
	a := c.node["a"]
	for _, address := range []string{"10.99.0.10/24", "fd99::10/64"} {
		v := newVIP(t, address)
		a.do("the killed one", func() error {
			return newVIP(t, strings.Split(address, "/")[0]+map[bool]string{true: "/28", false: "/80"}[v.Addr().Is4()]).Start(t.Context())
		})
		c.until(v.Addr(), "a")
		for _, want := range []bool{true, false} {
			a.do("clean", func() error {
				left, err := v.Clean(t.Context())
				if err == nil && left != want {
					err = fmt.Errorf("left behind: %v, want %v", left, want)
				}
				return err
			})
		}
		c.client.do("asking", func() error {
			if name := who(v.Addr()); name != "" {
				return fmt.Errorf("%s answers at %s", name, v.Addr())
			}
			return nil
		})
		a.do("its own addresses stay", func() error { return up("lo") })
		for _, own := range []string{"10.99.0.2", "fd99::2"} {
			c.until(netip.MustParseAddr(own), "a")
		}
		a.do("stop without start", func() error { return v.Stop(t.Context()) })
	}
}

// TestVirtualIPFaults: without its interface, with the interface down, with the cable out, and with the address taken
// away by somebody, the resource says so.
func TestVirtualIPFaults(t *testing.T) {
	c := newCable(t)
	a, v := c.node["a"], newVIP(t, "10.99.0.10/24")
	fails := func(step func(context.Context) error, want string) {
		t.Helper()
		if err := a.try(func() error { return step(t.Context()) }); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	other, err := resource.NewVirtualIP("10.99.0.10/24", "eth7")
	if err != nil {
		t.Fatal(err)
	}
	fails(other.Start, "interface eth7: Link not found")
	fails(v.Monitor, "10.99.0.10/24 is not on eth0 any more")
	a.do("start", func() error { return v.Start(t.Context()) })
	a.do("monitor", func() error { return v.Monitor(t.Context()) })
	a.do("start again", func() error { return v.Start(t.Context()) })
	c.client.do("pull the cable", func() error {
		link, err := netlink.LinkByName("to-a")
		if err != nil {
			return err
		}
		return netlink.LinkSetDown(link)
	})
	fails(v.Monitor, "interface eth0 has no carrier")
	fails(v.Start, "interface eth0 has no carrier")
	a.do("interface down", func() error {
		link, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		return netlink.LinkSetDown(link)
	})
	fails(v.Monitor, "interface eth0 is down")
	a.do("stop in any case", func() error { return v.Stop(t.Context()) })
}

// TestGratuitousARP: three frames at once, each naming the address as sender and as target.
func TestGratuitousARP(t *testing.T) {
	c := newCable(t)
	var fd int
	c.client.do("listening", func() (err error) {
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0x0608); err != nil { // ARP, in network order
			return err
		}
		return unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 300_000})
	})
	defer unix.Close(fd)
	v := newVIP(t, "10.99.0.10/24")
	c.node["a"].do("start", func() error { return v.Start(t.Context()) })
	ip, mac := []byte{10, 99, 0, 10}, c.mac["a"]
	want := slices.Concat([]byte{255, 255, 255, 255, 255, 255}, mac, []byte{8, 6, 0, 1, 8, 0, 6, 4, 0, 1}, mac, ip, make([]byte, 6), ip)
	seen := map[int]int{} // by interface: the bridge and its port see each frame
	for buf := make([]byte, 128); ; {
		n, from, err := unix.Recvfrom(fd, buf, 0)
		if err != nil {
			break
		}
		if l, ok := from.(*unix.SockaddrLinklayer); ok && n >= 42 && bytes.Equal(buf[:42], want) {
			seen[l.Ifindex]++
		}
	}
	for index, n := range seen {
		if n != 3 {
			t.Errorf("interface %d saw %d frames, want 3", index, n)
		}
	}
	if len(seen) == 0 {
		t.Error("no frame was seen")
	}
}
