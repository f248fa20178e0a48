//go:build e2e && linux

package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// containerUser is whom the image runs as.
const containerUser = 999

const containerPlant = `
project: container
nodes:
  a: {links: {lan: "127.0.0.1:%d"}, http: "127.0.0.1:%d", data: /var/lib/scada/a}
  b: {links: {lan: "127.0.0.1:%d"}, http: "127.0.0.1:%d", data: /var/lib/scada/b}
areas: [{name: main, primary: a}]
devices: [{name: pair, driver: system}]
scan_classes: {normal: 1s}
tags: [{name: b-reachable, device: pair, address: "node:b:reachable"}]
`

// buildah builds images and runs them without an engine; its store is the test's own.
type buildah struct {
	t     *testing.T
	store string
}

func (b buildah) command(args ...string) *exec.Cmd {
	return exec.Command("buildah", append([]string{"--storage-driver", "vfs", "--root", filepath.Join(b.store, "root"), "--runroot", filepath.Join(b.store, "run")}, args...)...)
}

func (b buildah) must(args ...string) string {
	b.t.Helper()
	out, err := b.command(args...).Output()
	if err != nil {
		b.t.Fatalf("buildah %s: %v", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out))
}

// TestContainer builds the image of the container file and runs a pair of it: one is active, and when it is asked to end
// the other takes over.
func TestContainer(t *testing.T) {
	needTime(t)
	if os.Geteuid() != 0 {
		t.Skip("the folders of a container have another owner: that needs root")
	}
	needPrograms(t, "buildah")
	if _, err := os.Stat("../../../bin/dist/scadad"); err != nil {
		t.Skipf("%v (make dist)", err)
	}
	b := buildah{t, t.TempDir()}
	b.must("bud", "--isolation", "chroot", "-f", "../packaging/Containerfile", "-t", "scada", "../../..")
	var image struct {
		OCIv1 struct {
			Config struct {
				User       string
				Entrypoint []string
				StopSignal string
			} `json:"config"`
		}
	}
	if err := json.Unmarshal([]byte(b.must("inspect", "--type", "image", "scada")), &image); err != nil {
		t.Fatal(err)
	}
	c := image.OCIv1.Config
	if c.User != fmt.Sprintf("%d:%[1]d", containerUser) || c.StopSignal != "SIGTERM" {
		t.Fatalf("the image runs as %+v", c)
	}
	ports := freePorts()
	etc, data := containerFolders(t, fmt.Sprintf(containerPlant, ports.LanA, ports.HTTPA, ports.LanB, ports.HTTPB))
	run := func(node string) *exec.Cmd {
		name := b.must("from", "--name", "scada-"+node, "scada")
		args := append([]string{"run", "--isolation", "chroot", "-v", etc + ":/etc/scada:ro", "-v", data + ":/var/lib/scada", name, "--"}, c.Entrypoint...)
		return b.start(append(args, "--node", node)...)
	}
	first := run("a")
	containerBecomes(t, "active", ports.HTTPA)
	run("b")
	containerBecomes(t, "ready", ports.HTTPB)
	stop(t, first)
	containerBecomes(t, "active", ports.HTTPB)
	if err := first.Wait(); err != nil {
		t.Errorf("the container that was asked to end: %v", err)
	}
}

// containerFolders makes what a container is given: a folder with the plant file, and one it may write in.
func containerFolders(t *testing.T, plant string) (etc, data string) {
	t.Helper()
	dir := t.TempDir()
	etc, data = filepath.Join(dir, "etc"), filepath.Join(dir, "data")
	for _, d := range []string{etc, data} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(d, containerUser, containerUser); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(etc, "plant.yaml")
	if err := os.WriteFile(file, []byte(plant), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(file, containerUser, containerUser); err != nil {
		t.Fatal(err)
	}
	return etc, data
}

// start starts a container that ends with the test.
func (b buildah) start(args ...string) *exec.Cmd {
	b.t.Helper()
	cmd := b.command(args...)
	log := &syncBuffer{}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		if cmd.ProcessState == nil {
			stop(b.t, cmd)
			_ = cmd.Wait()
		}
		if b.t.Failed() {
			b.t.Logf("%s\n%s", strings.Join(args, " "), log)
		}
	})
	return cmd
}

// stop sends the image's signal to the program in a container, as an engine does: buildah itself kills it.
func stop(t *testing.T, container *exec.Cmd) {
	t.Helper()
	pid := strconv.Itoa(container.Process.Pid)
	for {
		threads, err := filepath.Glob("/proc/" + pid + "/task/*/children")
		if err != nil || len(threads) == 0 {
			t.Errorf("process %s is gone (%v)", pid, err)
			return
		}
		inner := ""
		for _, f := range threads {
			if children, err := os.ReadFile(f); err == nil && len(children) > 0 {
				inner = strings.Fields(string(children))[0]
			}
		}
		if inner == "" {
			break
		}
		pid = inner
	}
	n, err := strconv.Atoi(pid)
	if err == nil {
		err = syscall.Kill(n, syscall.SIGTERM)
	}
	if err != nil {
		t.Error(err)
	}
}

// containerBecomes waits until the node at a port says it is active, or ready to be.
func containerBecomes(t *testing.T, what string, port int) {
	t.Helper()
	address := "http://" + net.JoinHostPort("127.0.0.1", fmt.Sprint(port)) + "/health/" + what
	var last string
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		resp, err := http.Get(address)
		if err != nil {
			last = err.Error()
			continue
		}
		resp.Body.Close()
		if last = resp.Status; resp.StatusCode == http.StatusOK {
			return
		}
	}
	t.Fatalf("%s: %s", address, last)
}
