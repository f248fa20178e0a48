//go:build e2e && linux

package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// The networks of the lab. A link without TLS is only allowed on loopback addresses, so all addresses are such: inside
// these namespaces, and nowhere else, 127.10.0.0/24 and so on lie on the virtual cables and not on lo.
const (
	lan    = "lan"    // first path of the pair
	ded    = "ded"    // second path of the pair
	field  = "field"  // devices
	client = "client" // dashboards, OPC UA clients
)

var (
	networks = []string{lan, ded, field, client}
	prefixes = map[string]string{lan: "127.10.0.", ded: "127.20.0.", field: "127.30.0.", client: "127.40.0."}
)

// space is a network namespace without a name. A thread of its own stays in it for as long as it is used and starts the
// programs in it; when that thread ends, the kernel kills what it started and takes the namespace away, also when this
// test was killed.
type space struct {
	fd   int
	jobs chan func()
}

func newSpace(t *testing.T) *space {
	t.Helper()
	s := &space{fd: -1, jobs: make(chan func())}
	ready := make(chan error, 1)
	onThread(func() {
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			s.fd, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		}
		ready <- err
		if err != nil {
			return
		}
		for f := range s.jobs {
			f()
		}
	})
	if err := <-ready; err != nil {
		t.Fatalf("making a network namespace: %v", err)
	}
	t.Cleanup(func() { close(s.jobs); unix.Close(s.fd) })
	return s
}

// onThread runs f on a thread that ends with it: what f does to its thread harms nobody.
func onThread(f func()) {
	started := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		close(started)
		if unix.Gettid() == unix.Getpid() { // the first thread cannot end
			onThread(f)
			runtime.UnlockOSThread()
			return
		}
		f()
	}()
	<-started
}

// do runs f on the thread of the namespace.
func (s *space) do(f func() error) error {
	done := make(chan error, 1)
	s.jobs <- func() { done <- f() }
	return <-done
}

// start starts a program in the namespace. It is killed when the namespace goes.
func (s *space) start(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	return s.do(cmd.Start)
}

// run runs a program in the namespace with the lines as its input.
func (s *space) run(lines []string, program string, args ...string) error {
	var out strings.Builder
	cmd := exec.Command(program, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(strings.Join(lines, "\n")+"\n"), &out, &out
	if err := s.start(cmd); err != nil {
		return err
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%s %v: %w: %s", program, args, err, out.String())
	}
	return nil
}

func (s *space) ip(lines ...string) error { return s.run(lines, "ip", "-batch", "-") }
func (s *space) nft(lines ...string) error {
	return s.run(lines, "nft", "-f", "-")
}

// dial connects from the namespace. The address must be a numeric one.
func (s *space) dial(ctx context.Context, address string) (net.Conn, error) {
	var (
		conn net.Conn
		err  error
		done = make(chan struct{})
	)
	onThread(func() {
		defer close(done)
		if err = unix.Setns(s.fd, unix.CLONE_NEWNET); err == nil {
			conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", address)
		}
	})
	<-done
	return conn, err
}

// lab is a plant's networks: two nodes, the field and a client, each on the bridges of its networks.
type lab struct {
	t      *testing.T
	hub    *space // the bridges
	spaces map[string]*space
}

// hosts says who is on which network, with the last part of the address there.
var hosts = []struct {
	name, last string
	on         []string
}{
	{"a", "1", networks}, {"b", "2", networks}, {"plant", "9", []string{field}}, {"client", "9", []string{client}},
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{t: t, hub: newSpace(t), spaces: map[string]*space{}}
	var bridges []string
	for _, n := range networks {
		bridges = append(bridges, "link add br-"+n+" type bridge forward_delay 0", "link set br-"+n+" up")
	}
	l.must(l.hub.ip(bridges...))
	for _, h := range hosts {
		s := newSpace(t)
		l.spaces[h.name] = s
		l.must(s.do(func() error { return os.WriteFile("/proc/sys/net/ipv4/conf/all/route_localnet", []byte("1"), 0) }))
		// lo keeps one address instead of all of 127.0.0.0/8.
		l.must(s.ip("link set lo up", "addr del 127.0.0.1/8 dev lo", "addr add 127.0.0.1/32 dev lo"))
		for _, n := range h.on {
			port := n + "-" + h.name
			l.must(l.hub.ip(fmt.Sprintf("link add %s type veth peer name %s netns /proc/%d/fd/%d", port, n, os.Getpid(), s.fd),
				"link set "+port+" master br-"+n, "link set "+port+" up"))
			l.must(s.ip("addr add "+prefixes[n]+h.last+"/24 dev "+n, "link set "+n+" up"))
		}
	}
	return l
}

func (l *lab) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// cable pulls (up false) or plugs the cables of a node to the networks, at the side of the switch.
func (l *lab) cable(node string, up bool, nets ...string) error {
	state := map[bool]string{true: "up", false: "down"}[up]
	var lines []string
	for _, n := range nets {
		lines = append(lines, "link set "+n+"-"+node+" "+state)
	}
	return l.hub.ip(lines...)
}

// deafen drops everything the node gets on both paths; what it says still arrives.
func (l *lab) deafen(node string) error {
	return l.spaces[node].nft("table inet cut {", "chain in {", "type filter hook input priority 0;", `iifname { "lan", "ded" } drop`, "}", "}")
}

func (l *lab) undeafen(node string) error { return l.spaces[node].nft("delete table inet cut") }
