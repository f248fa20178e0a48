//go:build e2e && linux

package e2e

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// guard watches the virtual address from the client: it asks the network every other millisecond who has it, and every
// machine that has it answers by itself.
type guard struct {
	mu      sync.Mutex
	answers []claim
}

// claim is a machine's answer that it has the address.
type claim struct {
	at  time.Time
	who string // its hardware address
}

const askEvery = 2 * time.Millisecond

func (r *labRig) newGuard() *guard {
	r.t.Helper()
	g := &guard{}
	fd, ifi, err := -1, (*net.Interface)(nil), error(nil)
	err = r.lab.spaces["client"].do(func() (err error) {
		if ifi, err = net.InterfaceByName(client); err == nil {
			fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(binary.NativeEndian.Uint16([]byte{0x08, 0x06})))
		}
		return err
	})
	r.lab.must(err)
	to := &unix.SockaddrLinklayer{Protocol: binary.NativeEndian.Uint16([]byte{0x08, 0x06}), Ifindex: ifi.Index, Halen: 6}
	r.lab.must(unix.Bind(fd, to))
	r.lab.must(unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000}))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { g.ask(fd, to, ifi.HardwareAddr, stop) })
	wg.Go(func() { g.listen(fd, ifi.HardwareAddr, stop) })
	r.t.Cleanup(func() { close(stop); wg.Wait(); unix.Close(fd) })
	return g
}

// ask sends "who has it" until told to stop. A lost question shows as a longer gap.
func (g *guard) ask(fd int, to unix.Sockaddr, own net.HardwareAddr, stop <-chan struct{}) {
	frame := bytes.Join([][]byte{{255, 255, 255, 255, 255, 255}, own, {8, 6, 0, 1, 8, 0, 6, 4, 0, 1}, own, {10, 40, 0, 9}, make([]byte, 6),
		netip.MustParseAddr(virtualAddress).AsSlice()}, nil)
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			_ = unix.Sendto(fd, frame, 0, to)
		}
	}
}

func (g *guard) listen(fd int, own net.HardwareAddr, stop <-chan struct{}) {
	b := make([]byte, 128)
	for {
		select {
		case <-stop:
			return
		default:
		}
		n, _, err := unix.Recvfrom(fd, b, 0)
		// An answer (2) of the owner of the address to this machine.
		if err != nil || n < 42 || b[21] != 2 || !bytes.Equal(b[28:32], netip.MustParseAddr(virtualAddress).AsSlice()) || !bytes.Equal(b[32:38], own) {
			continue
		}
		g.mu.Lock()
		g.answers = append(g.answers, claim{time.Now(), net.HardwareAddr(b[22:28]).String()})
		g.mu.Unlock()
	}
}

// begin forgets what was heard.
func (g *guard) begin() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.answers = nil
}

// end returns how long at most nobody answered since begin, and how long two did.
func (g *guard) end() (nobody, two float64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, t := owners(g.answers)
	return millis(n), millis(t)
}

// owners goes through the answers: the longest silence, and the longest time in which two machines answered by turns.
func owners(answers []claim) (nobody, two time.Duration) {
	var turns []handOver
	for i := 1; i < len(answers); i++ {
		nobody = max(nobody, answers[i].at.Sub(answers[i-1].at))
		if answers[i].who != answers[i-1].who {
			turns = append(turns, handOver{answers[i].at, answers[i-1].who, answers[i].who})
		}
	}
	return nobody, longestOverlap(turns)
}

func TestOwners(t *testing.T) {
	at := func(ms int, who string) claim { return claim{time.UnixMilli(int64(ms)), who} }
	const ms = time.Millisecond
	for _, c := range []struct {
		name        string
		answers     []claim
		nobody, two time.Duration
	}{
		{"nothing", nil, 0, 0},
		{"a hand-over", []claim{at(0, "a"), at(2, "a"), at(50, "b"), at(52, "b")}, 48 * ms, 0},
		{"both for a while", []claim{at(0, "a"), at(10, "b"), at(12, "a"), at(14, "b"), at(16, "a"), at(18, "b")}, 10 * ms, 6 * ms},
		{"there and back", []claim{at(0, "a"), at(10, "b"), at(200, "b"), at(400, "b"), at(410, "a"), at(420, "a")}, 200 * ms, 0},
	} {
		if nobody, two := owners(c.answers); nobody != c.nobody || two != c.two {
			t.Errorf("%s: nobody %s, two %s; want %s, %s", c.name, nobody, two, c.nobody, c.two)
		}
	}
}
