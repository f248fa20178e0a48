//go:build e2e && linux

package e2e

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var keepalivedProgram = flag.String("campaign.keepalived", "keepalived", "keepalived (Debian package of that name) to measure beside the pair in TestCampaignKeepalived")

const (
	virtualAddress = "10.40.0.100"
	echoPort       = 7000
)

// TestCampaignKeepalived measures, in the same networks, how long a virtual address is away when the machine that has
// it loses its power: what a pair of anything behind keepalived can have at best.
func TestCampaignKeepalived(t *testing.T) {
	if *campaignRuns == 0 {
		t.Skip("a part of the campaign: make campaign")
	}
	needNamespaces(t)
	if _, err := exec.LookPath(*keepalivedProgram); err != nil {
		t.Skip("keepalived is not installed (Debian package keepalived)")
	}
	for _, advert := range []string{"1", "0.1", "0.02"} {
		t.Run("advert_int "+advert, func(t *testing.T) {
			k := newVRRP(t, advert)
			var took []float64
			for i := range *campaignRuns {
				ms, err := k.once()
				if err != nil {
					t.Fatalf("run %d: %v", i, err)
				}
				took = append(took, ms)
			}
			t.Logf("keepalived advert_int %s s: power off to the first answer of the other machine, %d runs: median %.0f ms, p99 %.0f ms, min %.0f ms; %d changes that nobody asked for",
				advert, len(took), quantile(took, 0.5), quantile(took, 0.99), quantile(took, 0), k.unasked)
		})
	}
}

// vrrp is two machines with keepalived and a client.
type vrrp struct {
	t       *testing.T
	lab     *lab
	dir     string
	advert  string
	procs   map[string]*exec.Cmd
	socket  net.PacketConn // of the client
	owner   string
	unasked int
}

func newVRRP(t *testing.T, advert string) *vrrp {
	v := &vrrp{t: t, lab: newLab(t), dir: t.TempDir(), advert: advert, procs: map[string]*exec.Cmd{}}
	v.lab.must(v.lab.spaces["client"].ip("addr add 10.40.0.9/24 dev client"))
	for i, node := range []string{"a", "b"} {
		v.lab.must(v.lab.spaces[node].ip(fmt.Sprintf("addr add 10.40.0.%d/24 dev client", i+1)))
		v.echo(node)
	}
	v.socket = v.listen("client", ":0")
	v.start("a")
	v.start("b")
	t.Cleanup(func() {
		for _, cmd := range v.procs {
			_ = cmd.Process.Signal(syscall.SIGTERM)
			_ = cmd.Wait()
		}
	})
	return v
}

func (v *vrrp) listen(machine, address string) (c net.PacketConn) {
	v.t.Helper()
	done := make(chan error, 1)
	onThread(func() {
		err := unix.Setns(v.lab.spaces[machine].fd, unix.CLONE_NEWNET)
		if err == nil {
			c, err = (&net.ListenConfig{}).ListenPacket(context.Background(), "udp4", address)
		}
		done <- err
	})
	v.lab.must(<-done)
	v.t.Cleanup(func() { c.Close() })
	return c
}

// echo answers every packet with the name of the machine.
func (v *vrrp) echo(node string) {
	c := v.listen(node, fmt.Sprintf(":%d", echoPort))
	go func() {
		b := make([]byte, 64)
		for {
			_, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = c.WriteTo([]byte(node), from)
		}
	}()
}

func (v *vrrp) start(node string) {
	v.t.Helper()
	priority := map[string]int{"a": 101, "b": 100}[node]
	conf := filepath.Join(v.dir, node+".conf")
	for _, left := range []string{".pid", "-vrrp.pid"} { // of the one that was killed
		_ = os.Remove(filepath.Join(v.dir, node+left))
	}
	text := fmt.Sprintf(`global_defs {
 router_id %s
 vrrp_version 3
}
vrrp_instance pair {
 state BACKUP
 nopreempt
 interface client
 virtual_router_id 51
 priority %d
 advert_int %s
 virtual_ipaddress {
  %s/24
 }
}
`, node, priority, v.advert, virtualAddress)
	v.lab.must(os.WriteFile(conf, []byte(text), 0o600))
	log, err := os.Create(filepath.Join(v.dir, node+".log"))
	v.lab.must(err)
	defer log.Close()
	cmd := exec.Command(*keepalivedProgram, "-n", "-l", "-P", "-f", conf, "-p", filepath.Join(v.dir, node+".pid"), "-r", filepath.Join(v.dir, node+"-vrrp.pid"))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	v.lab.must(v.lab.spaces[node].start(cmd))
	v.procs[node] = cmd
}

// answers probes the virtual address every millisecond until ok, and returns when it was.
func (v *vrrp) answers(within time.Duration, ok func(node string) bool) (time.Time, error) {
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				_, _ = v.socket.WriteTo([]byte("?"), &net.UDPAddr{IP: net.ParseIP(virtualAddress), Port: echoPort})
			}
		}
	}()
	_ = v.socket.SetReadDeadline(time.Now().Add(within))
	b := make([]byte, 64)
	for {
		n, _, err := v.socket.ReadFrom(b)
		if err != nil {
			return time.Time{}, fmt.Errorf("no such answer within %s: %w", within, err)
		}
		if ok(string(b[:n])) {
			return time.Now(), nil
		}
	}
}

// once takes the power from the machine that has the address and gives it back.
func (v *vrrp) once() (float64, error) {
	owner, steady := "", 0
	_, err := v.answers(20*time.Second, func(node string) bool {
		if node != owner {
			owner, steady = node, 0
		}
		steady++
		return steady > 2000
	})
	if err != nil {
		return 0, err
	}
	if v.owner != "" && owner != v.owner {
		v.unasked++
	}
	began := time.Now()
	if err := v.lab.cable(owner, false, networks...); err != nil {
		return 0, err
	}
	cmd := v.procs[owner]
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	heir := other(owner)
	at, err := v.answers(20*time.Second, func(node string) bool { return node == heir })
	if err != nil {
		return 0, err
	}
	v.owner = heir
	err = v.lab.spaces[owner].ip("addr flush dev client", fmt.Sprintf("addr add 10.40.0.%d/24 dev client", strings.Index("ab", owner)+1))
	if err == nil {
		err = v.lab.cable(owner, true, networks...)
	}
	v.start(owner)
	return millis(at.Sub(began)), err
}
