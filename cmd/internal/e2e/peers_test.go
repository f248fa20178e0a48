//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestNodeOPCUAClient has an independent OPC UA implementation browse, read, write and subscribe.
func TestNodeOPCUAClient(t *testing.T) {
	r := newRig(t, nil)
	r.start()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "interop.mjs", fmt.Sprintf("opc.tcp://127.0.0.1:%d", r.ports.UAA), fmt.Sprintf("opc.tcp://127.0.0.1:%d", r.ports.UAB))
	cmd.Dir = "nodeopcua"
	cmd.Env = append(os.Environ(), "UA_USER=operator", "UA_PASSWORD="+r.who.Operator, "UA_PROJECT=waterworks", "UA_PKI="+t.TempDir(),
		fmt.Sprintf("UA_CONTROL=http://127.0.0.1:%d", r.ports.Control),
		"UA_TRUSTED="+filepath.Join(r.dir, "data/a/pki/trusted")+":"+filepath.Join(r.dir, "data/b/pki/trusted"))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	checks := 0
	scanner := bufio.NewScanner(bytes.NewReader(out))
	for scanner.Scan() {
		var c struct {
			Name, Detail string
			OK           bool
		}
		if json.Unmarshal(scanner.Bytes(), &c) != nil || c.Name == "" {
			continue
		}
		checks++
		t.Logf("%-40s ok=%v %s", c.Name, c.OK, c.Detail)
		if !c.OK {
			t.Errorf("%s: %s", c.Name, c.Detail)
		}
	}
	if err != nil || checks < 8 {
		t.Errorf("%d checks, %v\n%s\n%s", checks, err, out, stderr.Bytes())
	}
}

// TestMbpollReadsTheSimulator is a third opinion on the simulated controllers.
func TestMbpollReadsTheSimulator(t *testing.T) {
	if _, err := exec.LookPath("mbpoll"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("mbpoll is missing, and CI=true")
		}
		t.Skip("mbpoll is not installed (Debian package mbpoll)")
	}
	r := newRig(t, nil)
	r.startPlant()
	for _, c := range []struct {
		port, unit int
		kind       string
	}{{r.ports.PLC1, 1, "4"}, {r.ports.PLC1, 1, "3"}, {r.ports.PLC2, 1, "4"}, {r.ports.PLC3, 3, "3"}, {r.ports.PLC1, 1, "0"}} {
		out, err := exec.Command("mbpoll", "-m", "tcp", "-p", fmt.Sprint(c.port), "-a", fmt.Sprint(c.unit), "-t", c.kind, "-0", "-r", "0", "-c", "4", "-1", "-o", "1", "127.0.0.1").CombinedOutput()
		if err != nil || strings.Count(string(out), "]:") != 4 {
			t.Errorf("mbpoll port %d unit %d type %s: %v\n%s", c.port, c.unit, c.kind, err, out)
		}
	}
}

// TestGarbageEndsItsConnectionAlone throws bytes at every port of the active while the pair works.
func TestGarbageEndsItsConnectionAlone(t *testing.T) {
	r := newRig(t, nil)
	r.start()
	for _, addr := range []string{
		fmt.Sprintf("127.0.0.1:%d", r.ports.LanA), fmt.Sprintf("127.0.0.2:%d", r.ports.DedA), fmt.Sprintf("127.0.0.1:%d", r.ports.HTTPA),
		fmt.Sprintf("127.0.0.1:%d", r.ports.UAA), fmt.Sprintf("127.0.0.1:%d", r.ports.LanB), fmt.Sprintf("127.0.0.1:%d", r.ports.UAB),
	} {
		for range 20 {
			c, err := net.DialTimeout("tcp", addr, 2*time.Second)
			if err != nil {
				t.Fatalf("%s does not accept: %v", addr, err)
			}
			junk := make([]byte, 4096)
			_, _ = rand.Read(junk)
			_, _ = c.Write(junk)
			c.Close()
		}
	}
	p, err := r.role("a")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range p.Nodes {
		for _, a := range n.Areas {
			if a.Epoch != 1 && a.Epoch != 2 {
				t.Errorf("garbage changed the epoch of %s to %d", n.Node, a.Epoch)
			}
		}
	}
	r.waitReady()
	r.freshOnAllDevices("a")
}

// TestBadConfiguration checks what a person sees: exit code 1 and file, line, column, path, reason.
func TestBadConfiguration(t *testing.T) {
	r := newRig(t, replace(t, "heartbeat: 100ms", "heartbeat: 1ms", "driver: opcua", "driver: opc-ua"))
	for _, args := range [][]string{{"check"}, {"--node", "a"}} {
		args = append(args, "--config", filepath.Join(r.dir, "plant.yaml"))
		var stderr bytes.Buffer
		cmd := exec.Command(filepath.Join(r.bin, "scadad"), args...)
		cmd.Stderr = &stderr
		err := cmd.Run()
		if code := cmd.ProcessState.ExitCode(); err == nil || code != 1 {
			t.Errorf("%v: exit code %d", args, code)
		}
		for _, want := range []string{"redundancy.heartbeat: 1ms is outside 20ms .. 10s", `.driver: "opc-ua" is none of modbus, opcua`} {
			if !strings.Contains(stderr.String(), want) {
				t.Errorf("%v: no %q in\n%s", args, want, stderr.String())
			}
		}
	}
	var exit *exec.ExitError
	if err := exec.Command(filepath.Join(r.bin, "scadad"), "--no-such-flag").Run(); !errors.As(err, &exit) || exit.ExitCode() != 2 {
		t.Errorf("an unknown flag: %v, want exit code 2", err)
	}
}

// TestPeerWithAnotherConfiguration: the difference is shown with its reason and blocks nothing but the hand-over.
func TestPeerWithAnotherConfiguration(t *testing.T) {
	r := newRig(t, nil)
	r.startPlant()
	r.startNode("a")
	b, err := os.ReadFile(filepath.Join(r.dir, "plant.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(r.dir, "other.yaml")
	if err := os.WriteFile(other, bytes.Replace(b, []byte("HiHi: 92"), []byte("HiHi: 91"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	r.spawn("b", "scadad", "--config", other, "--node", "b")
	r.waitActive("a", 20*time.Second)
	r.eventually(20*time.Second, "the difference is shown", func() error {
		p, err := r.role("a")
		if err != nil {
			return err
		}
		for _, n := range p.Nodes {
			if !n.Ready && strings.Contains(strings.Join(n.NotReady, "; "), "configuration") {
				return nil
			}
		}
		return fmt.Errorf("%+v", p.Nodes)
	})
}

// TestDemoLeavesNothingBehind runs what make run runs, and ends it with Ctrl-C.
func TestDemoLeavesNothingBehind(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	bin, err := filepath.Abs("../../../bin")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := exec.Command(filepath.Join(bin, "scadasim"), "demo", "--dir", dir)
	cmd.Stdout, cmd.Stderr = &out, &out
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	deadline := time.After(30 * time.Second)
	for {
		if _, err := os.Stat(filepath.Join(dir, "b.pid")); err == nil {
			if c, err := net.Dial("tcp", "127.0.0.1:8082"); err == nil {
				c.Close()
				break
			}
		}
		select {
		case err := <-done:
			t.Fatalf("the demo ended: %v\n%s", err, out.String())
		case <-deadline:
			t.Fatal("the demo does not start")
		case <-time.After(20 * time.Millisecond):
		}
	}
	t.Logf("both nodes served after %s", time.Since(began))
	var pids []string
	for _, name := range []string{"plant", "a", "b"} {
		b, err := os.ReadFile(filepath.Join(dir, name+".pid"))
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, strings.TrimSpace(string(b)))
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("the demo ended with %v\n%s", err, out.String())
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the demo did not end after Ctrl-C")
	}
	for _, pid := range pids {
		if _, err := os.Stat("/proc/" + pid); err == nil {
			t.Errorf("process %s is still there", pid)
		}
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("%s is still there", dir)
	}
	for _, port := range []int{8081, 8082, 7401, 7402, 4841, 4842, 5020, 5021, 5022, 4855, 9500} {
		if c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			c.Close()
			t.Errorf("port %d is still open", port)
		}
	}
}
