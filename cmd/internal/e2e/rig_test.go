//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"scada/cmd/scadasim/demo"
	"scada/web/api"
)

// rig is one demo plant with its pair, on ports and in a folder of its own.
type rig struct {
	t     *testing.T
	dir   string
	bin   string
	ports demo.Ports
	who   demo.Credentials
	procs map[string]*exec.Cmd

	client *http.Client                           // nil: the default one
	launch func(name string, cmd *exec.Cmd) error // nil: as a child on this machine's own network
}

// newRig writes a demo plant; edit may change plant.yaml before anything starts.
func newRig(t *testing.T, edit func(plant string) string) *rig {
	t.Helper()
	bin, err := filepath.Abs("../../../bin")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(bin, "scadad")); err != nil {
		t.Fatalf("the programs are not built (make build): %v", err)
	}
	r := &rig{t: t, dir: t.TempDir(), bin: bin, ports: freePorts(), procs: map[string]*exec.Cmd{}}
	if r.who, err = demo.Write(r.dir, r.ports); err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		path := filepath.Join(r.dir, "plant.yaml")
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(edit(string(b))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(r.stop)
	return r
}

// replace returns an edit that must find what it replaces.
func replace(t *testing.T, pairs ...string) func(string) string {
	return func(text string) string {
		for i := 0; i < len(pairs); i += 2 {
			if !strings.Contains(text, pairs[i]) {
				t.Fatalf("plant.yaml has no %q", pairs[i])
			}
			text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
		}
		return text
	}
}

// firstPort is the first port a rig may use.
const firstPort = 10_000

// freePorts returns ports that nobody listens on.
func freePorts() demo.Ports {
	var p demo.Ports
	var open []net.Listener
	for _, port := range []*int{&p.LanA, &p.LanB, &p.DedA, &p.DedB, &p.HTTPA, &p.HTTPB, &p.UAA, &p.UAB, &p.PLC1, &p.PLC2, &p.PLC3, &p.Mixer, &p.Control} {
		for *port == 0 {
			// Not one of those the system gives to outgoing connections, also in the moments when a program is restarted.
			n := firstPort + rand.IntN(32_768-firstPort)
			if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", n)); err == nil {
				open, *port = append(open, l), n
			}
		}
	}
	for _, l := range open {
		l.Close()
	}
	return p
}

// start starts the plant and both nodes and waits until the pair is ready.
func (r *rig) start() {
	r.t.Helper()
	r.startPlant()
	r.startNode("a")
	r.startNode("b")
	r.waitReady()
}

func (r *rig) startPlant() {
	r.t.Helper()
	r.spawn("plant", "scadasim", "plant", "--config", filepath.Join(r.dir, "sim.yaml"))
	r.eventually(20*time.Second, "the plant serves", func() error { return r.sim(http.MethodGet, "/health", nil, nil) })
}

func (r *rig) startNode(name string) {
	r.t.Helper()
	r.spawn(name, "scadad", "--config", filepath.Join(r.dir, "plant.yaml"), "--node", name)
}

func (r *rig) spawn(name, program string, args ...string) {
	r.t.Helper()
	log, err := os.OpenFile(filepath.Join(r.dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		r.t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(r.bin, program), args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	start := func(_ string, cmd *exec.Cmd) error { return cmd.Start() }
	if r.launch != nil {
		start = r.launch
	}
	if err := start(name, cmd); err != nil {
		r.t.Fatal(err)
	}
	log.Close()
	r.procs[name] = cmd
}

// signal sends a signal to a process of the rig; after SIGKILL it waits for its end.
func (r *rig) signal(name string, sig syscall.Signal) {
	r.t.Helper()
	cmd := r.procs[name]
	if err := cmd.Process.Signal(sig); err != nil {
		r.t.Fatalf("%s to %s: %v", sig, name, err)
	}
	if sig == syscall.SIGKILL {
		_ = cmd.Wait()
		delete(r.procs, name)
	}
}

// stop ends everything; a node that does not end in time, or not with 0, fails the test.
func (r *rig) stop() {
	for _, name := range []string{"a", "b", "plant"} {
		cmd := r.procs[name]
		if cmd == nil {
			continue
		}
		_ = cmd.Process.Signal(syscall.SIGCONT)
		_ = cmd.Process.Signal(syscall.SIGTERM)
		done := make(chan error, 1)
		go func() { done <- cmd.Wait() }()
		select {
		case err := <-done:
			if err != nil {
				r.t.Errorf("%s ended with %v", name, err)
			}
		case <-time.After(6 * time.Second):
			r.t.Errorf("%s did not end within 6 s of SIGTERM", name)
			_ = cmd.Process.Kill()
			<-done
		}
	}
	if r.t.Failed() {
		r.dumpLogs()
	}
}

func (r *rig) dumpLogs() {
	for _, name := range []string{"plant", "a", "b"} {
		b, err := os.ReadFile(filepath.Join(r.dir, name+".log"))
		if err != nil {
			continue
		}
		const most = 12_000
		if len(b) > most {
			b = b[len(b)-most:]
		}
		r.t.Logf("--- %s.log (its end)\n%s", name, b)
	}
}

func (r *rig) url(node string) string {
	port := r.ports.HTTPA
	if node == "b" {
		port = r.ports.HTTPB
	}
	return fmt.Sprintf("http://127.0.0.1:%d", port)
}

// call asks a node with the demo's token.
func (r *rig) call(node, method, path string, in, out any) error {
	return r.http(method, r.url(node)+path, r.who.Token, in, out)
}

// sim asks the simulator's control port.
func (r *rig) sim(method, path string, in, out any) error {
	return r.http(method, fmt.Sprintf("http://127.0.0.1:%d%s", r.ports.Control, path), "", in, out)
}

func (r *rig) http(method, url, token string, in, out any) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return r.httpIn(ctx, method, url, token, in, out)
}

func (r *rig) httpIn(ctx context.Context, method, url, token string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	client := http.DefaultClient
	if r.client != nil {
		client = r.client
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %s", method, url, resp.Status, b)
	}
	if out != nil {
		return json.Unmarshal(b, out)
	}
	return nil
}

// eventually polls until check passes. It is the only wait of these tests: on a condition, with a limit.
func (r *rig) eventually(within time.Duration, what string, check func() error) {
	r.t.Helper()
	deadline := time.Now().Add(within)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("after %s still not: %s: %v", within, what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (r *rig) role(node string) (api.Pair, error) {
	var p api.Pair
	err := r.call(node, http.MethodGet, "/api/v1/role", nil, &p)
	return p, err
}

// waitReady waits until a is active, b mirrors it, and the loss of either would be survived.
func (r *rig) waitReady() {
	r.t.Helper()
	r.waitStandby("b", "a")
}

// waitStandby waits until one node mirrors the other and the loss of either would be survived.
func (r *rig) waitStandby(standby, active string) {
	r.t.Helper()
	r.eventually(60*time.Second, standby+" mirrors "+active, func() error {
		for _, node := range []string{"a", "b"} {
			p, err := r.role(node)
			if err != nil {
				return err
			}
			for name, want := range map[string]string{active: api.RoleActive, standby: api.RoleStandby} {
				n, _ := p.Find(name)
				if a, _ := n.Area("main"); a.Role != want || !n.Ready {
					return fmt.Errorf("seen by %s, node %s is %q, ready %v %v", node, name, a.Role, n.Ready, n.NotReady)
				}
			}
		}
		return nil
	})
}

// waitActive waits until a node says of itself that it is active.
func (r *rig) waitActive(node string, within time.Duration) api.Pair {
	r.t.Helper()
	var p api.Pair
	r.eventually(within, node+" is active", func() (err error) {
		if p, err = r.role(node); err != nil {
			return err
		}
		n, _ := p.Find(node)
		if a, _ := n.Area("main"); a.Role != api.RoleActive {
			return fmt.Errorf("it is %q", a.Role)
		}
		return nil
	})
	return p
}
