//go:build e2e

package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"scada/web/api"
)

// original is a value of the demo that changes all the time.
const original = "intake/header/flow"

// TestHistoryHealsFromTheDevice: an OPC UA device of another maker, and a server of our own, go on recording while their
// cable is pulled, and the former while both nodes are down. Afterwards both archives have what happened then.
func TestHistoryHealsFromTheDevice(t *testing.T) {
	r := newRig(t, nil)
	cable, own := newCable(t, rememberingDevice(t)), newCable(t, fmt.Sprintf("127.0.0.1:%d", r.ports.UAA))
	devices := "devices:\n"
	for name, c := range map[string]*cableTo{"memory": cable, "own": own} {
		devices += fmt.Sprintf("  - {name: %s, area: main, driver: opcua, opcua: {endpoint: \"opc.tcp://%s\", history: heal}}\n", name, c.addr())
	}
	r.edit("plant.yaml", replace(t, "devices:\n", devices))
	if err := os.WriteFile(filepath.Join(r.dir, "tags", "9-memory.csv"), []byte("name,device,address,type,scan\nmemory/v0,memory,ns=1;s=v0,float64,fast\nmemory/v1,memory,ns=1;s=v1,float64,fast\nown/level,own,ns=2;s="+original+",float32,fast\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.eventually(30*time.Second, "the device is read", func() error { return r.remembered("a", time.Now().Add(-3*time.Second), time.Now(), 5) })

	const away = 3 * time.Second
	from := time.Now()
	cable.pull()
	own.pull()
	time.Sleep(away)
	to := time.Now()
	cable.plug()
	own.plug()
	r.healed("the cable was pulled", from, to)
	r.eventually(60*time.Second, "the copy is as the original", func() error { return r.copied(from, to) })

	from = time.Now()
	r.signal("b", syscall.SIGKILL)
	r.signal("a", syscall.SIGKILL)
	time.Sleep(away)
	to = time.Now()
	r.startNode("a")
	r.startNode("b")
	r.healed("both nodes were down", from, to)
	r.waitReady()
}

// healed waits until both nodes have what the device recorded in a gap, and the journal tells of it.
func (r *rig) healed(what string, from, to time.Time) {
	r.t.Helper()
	want := int(to.Sub(from)/(100*time.Millisecond)) - 10 // a value each 100 ms, of a busy machine
	for _, node := range []string{"a", "b"} {
		r.eventually(60*time.Second, what+": "+node+" has the values of the gap", func() error { return r.remembered(node, from, to, want) })
	}
	r.eventually(30*time.Second, what+": the journal tells of it", func() error {
		var page api.Journal
		if err := r.call("b", http.MethodGet, "/api/v1/journal?limit=500&from="+url.QueryEscape(from.UTC().Format(time.RFC3339Nano)), nil, &page); err != nil {
			return err
		}
		for _, e := range page.Entries {
			if e.Event == "history recovered" && e.Source == "memory" {
				r.t.Logf("%s: %s", what, e.Message)
				return nil
			}
		}
		return fmt.Errorf("%d entries, none of it", len(page.Entries))
	})
}

// remembered checks that a node has at least so many good values of both variables in a time, each at the time it says.
func (r *rig) remembered(node string, from, to time.Time, want int) error {
	for _, name := range []string{"memory/v0", "memory/v1"} {
		q := url.Values{"tag": {name}, "from": {from.UTC().Format(time.RFC3339Nano)}, "to": {to.UTC().Format(time.RFC3339Nano)}}
		var h api.History
		if err := r.call(node, http.MethodGet, "/api/v1/history?"+q.Encode(), nil, &h); err != nil {
			return err
		}
		n := 0
		for _, s := range h.Series {
			for _, p := range s.Samples {
				if v, ok := p.Value.(float64); ok && p.Quality == "Good" {
					n++
					if off := p.Time.Sub(time.UnixMilli(int64(v))).Abs(); off > 2*time.Second {
						return fmt.Errorf("%s: a value of %v stands at %v", name, time.UnixMilli(int64(v)), p.Time)
					}
				}
			}
		}
		if n < want {
			return fmt.Errorf("%s: %d values, want %d", name, n, want)
		}
	}
	return nil
}

// copied checks that both nodes have of a value that was read from node a what node a recorded of it in a time.
func (r *rig) copied(from, to time.Time) error {
	values := func(node, name string) (list []string, err error) {
		q := url.Values{"tag": {name}, "from": {from.UTC().Format(time.RFC3339Nano)}, "to": {to.UTC().Format(time.RFC3339Nano)}}
		var h api.History
		err = r.call(node, http.MethodGet, "/api/v1/history?"+q.Encode(), nil, &h)
		for _, s := range h.Series {
			for _, p := range s.Samples {
				if p.Quality == "Good" {
					list = append(list, fmt.Sprint(p.Time.Truncate(100*time.Nanosecond), p.Value)) // the protocol counts in 100 ns
				}
			}
		}
		return list, err
	}
	original, err := values("a", original)
	if err != nil || len(original) < 10 {
		return fmt.Errorf("%d values, %w", len(original), err)
	}
	for _, node := range []string{"a", "b"} {
		copied, err := values(node, "own/level")
		if err != nil {
			return err
		}
		for _, v := range original {
			if !slices.Contains(copied, v) {
				return fmt.Errorf("%s: %d values, not %s", node, len(copied), v)
			}
		}
	}
	return nil
}

// rememberingDevice starts a node-opcua server that changes its variables each 100 ms and remembers that.
func rememberingDevice(t *testing.T) (address string) {
	t.Helper()
	if _, err := os.Stat("opcua/server/node_modules/node-opcua-server"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("node-opcua-server is missing, and CI=true")
		}
		t.Skip("node-opcua-server is not installed (make e2e installs it)")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(l.Addr().String(), ":")
	l.Close()
	cmd := exec.Command("node", "device.mjs", port, t.TempDir(), "3", "100", "0", "20000")
	cmd.Dir = "opcua/server"
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it serves until then
		_ = cmd.Wait()         // killed
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "ready" {
	}
	if lines.Text() != "ready" {
		t.Fatal("the device did not start")
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return "127.0.0.1:" + port
}

// cableTo is a connection to a device that can be pulled.
type cableTo struct {
	listener net.Listener
	target   string

	mu     sync.Mutex
	pulled bool
	conns  []net.Conn
}

func newCable(t *testing.T, target string) *cableTo {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cableTo{listener: l, target: target}
	go c.accept()
	t.Cleanup(func() { l.Close(); c.pull() })
	return c
}

func (c *cableTo) addr() string { return c.listener.Addr().String() }

func (c *cableTo) accept() {
	for {
		in, err := c.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", c.target)
		if err != nil || !c.keep(in, out) {
			in.Close()
			if out != nil {
				out.Close()
			}
			continue
		}
		for _, d := range [][2]net.Conn{{in, out}, {out, in}} {
			go func() {
				_, _ = io.Copy(d[1], d[0])
				d[0].Close()
				d[1].Close()
			}()
		}
	}
}

func (c *cableTo) keep(conns ...net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conns = append(c.conns, conns...)
	return !c.pulled
}

func (c *cableTo) pull() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pulled = true
	for _, x := range c.conns {
		x.Close()
	}
	c.conns = nil
}

func (c *cableTo) plug() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pulled = false
}
