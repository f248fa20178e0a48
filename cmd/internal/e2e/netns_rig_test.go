//go:build e2e && linux

package e2e

import (
	"context"
	"fmt"
	"io"
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

// labRig is the demo plant with every program in the namespace of its machine.
type labRig struct {
	*rig
	lab  *lab
	take time.Duration // heartbeat x misses
}

// setting is a pair's heartbeat.
type setting struct {
	heartbeat time.Duration
	misses    int
}

func (s setting) String() string { return fmt.Sprintf("%s x %d", s.heartbeat, s.misses) }

// needNamespaces skips where they cannot be had, and fails where they must.
func needNamespaces(t *testing.T) {
	t.Helper()
	why := ""
	if os.Geteuid() != 0 {
		why = "network namespaces need root"
	}
	for _, program := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(program); err != nil {
			why = program + " is not installed (Debian packages iproute2, nftables)"
		}
	}
	if why == "" {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal(why + ", and CI=true")
	}
	t.Skip(why)
}

// labOptions is what some faults need beside the plant.
type labOptions struct {
	// smallDisks: the data of each node is on a file system of its own that is easily filled, and that is lost with the process.
	smallDisks bool
	secured    bool     // the link has TLS, and the nodes are paired
	clocks     bool     // the wall clocks of the nodes can be set
	virtualIP  bool     // the active has virtualAddress
	folder     bool     // both nodes have a folder in common, and it is their witness
	replace    []string // in plant.yaml, pairs
}

// newLabRig is newLab with the plant written for its addresses.
func newLabRig(t *testing.T, hb setting, smallDisks bool) *labRig {
	t.Helper()
	return newLabWith(t, hb, labOptions{smallDisks: smallDisks})
}

func newLabWith(t *testing.T, hb setting, opts labOptions) *labRig {
	t.Helper()
	l := newLab(t)
	r := &rig{t: t, dir: t.TempDir(), bin: t.TempDir(), ports: demo.DefaultPorts(), procs: map[string]*exec.Cmd{}}
	for _, program := range []string{"scadad", "scadasim"} { // copies: a campaign outlives a build
		if err := copyFile(filepath.Join("../../../bin", program), filepath.Join(r.bin, program)); err != nil {
			t.Fatalf("the programs are not built (make build): %v", err)
		}
	}
	var err error
	if r.who, err = demo.Write(r.dir, r.ports); err != nil {
		t.Fatal(err)
	}
	rewrite := func(name string, pairs ...string) { l.must(rewriteFile(t, filepath.Join(r.dir, name), pairs...)) }
	rewrite("plant.yaml",
		"127.0.0.1:7401", "127.10.0.1:7401", "127.0.0.1:7402", "127.10.0.2:7402",
		"127.0.0.2:7401", "127.20.0.1:7401", "127.0.0.2:7402", "127.20.0.2:7402",
		"127.0.0.1:8081", "127.40.0.1:8081", "127.0.0.1:8082", "127.40.0.2:8082",
		"127.0.0.1:4841", "127.40.0.1:4841", "127.0.0.1:4842", "127.40.0.2:4842",
		"127.0.0.11", "127.30.0.1", "127.0.0.12", "127.30.0.2",
		"127.0.0.1:50", "127.30.0.9:50", "127.0.0.1:4855", "127.30.0.9:4855",
		"heartbeat: 100ms", "heartbeat: "+hb.heartbeat.String(), "misses: 5", fmt.Sprintf("misses: %d", hb.misses),
		// A cable that was just plugged needs up to a second until the bridge uses it.
		"failback: auto", "failback: never\n  join_wait: 2s")
	if pairs := opts.plant(r.dir); len(pairs) > 0 {
		rewrite("plant.yaml", pairs...)
	}
	rewrite("sim.yaml", "127.0.0.1:", "127.30.0.9:", "seed: 1", "seed: 1\njournal: 200000")

	lr := &labRig{rig: r, lab: l, take: hb.heartbeat * time.Duration(hb.misses)}
	r.launch = func(name string, cmd *exec.Cmd) error {
		if opts.smallDisks && name != "plant" {
			lr.onSmallDisk(name, cmd)
		}
		cmd.Env = append(os.Environ(), clockVariable+"="+lr.clockFile(name))
		return l.spaces[name].start(cmd)
	}
	r.client = &http.Client{Transport: &http.Transport{DialContext: lr.dial, MaxIdleConnsPerHost: 4}}
	t.Cleanup(r.stop)
	lr.prepare(opts)
	return lr
}

// plant returns what is replaced in plant.yaml.
func (o labOptions) plant(dir string) (pairs []string) {
	more := ""
	if o.secured {
		more += "\n  tls: {dir: pki/link}"
	}
	if o.folder {
		more += "\n  witnesses: [{file: {folder: \"" + filepath.Join(dir, "shared") + "\", interval: 50ms}}]"
	}
	if more != "" {
		pairs = append(pairs, "failback: never", "failback: never"+more)
	}
	if o.virtualIP {
		pairs = append(pairs, "primary: a}", `primary: a, resources: [{name: address, type: virtual_ip, address: "`+virtualAddress+`/24", interface: client}]}`)
	}
	return append(pairs, o.replace...)
}

// prepare makes what the options need before anything starts.
func (r *labRig) prepare(o labOptions) {
	if o.folder {
		r.lab.must(os.Mkdir(filepath.Join(r.dir, "shared"), 0o700))
	}
	if o.virtualIP {
		r.lab.must(r.lab.spaces["client"].ip("addr add 10.40.0.9/24 dev client"))
	}
	if o.clocks {
		r.lab.must(r.buildWithClock())
	}
	if o.secured {
		r.lab.must(r.pairNodes())
	}
}

// start starts everything, whichever node becomes active.
func (r *labRig) start() {
	r.t.Helper()
	r.startPlant()
	r.startNode("a")
	r.startNode("b")
	if _, _, err := r.settled(time.Minute); err != nil {
		r.t.Fatal(err)
	}
}

// rewriteFile replaces text in a file; it must be there.
func rewriteFile(t *testing.T, path string, pairs ...string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(replace(t, pairs...)(string(b))), 0o600)
}

func copyFile(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(dst, src); err != nil {
		dst.Close()
		return err
	}
	return dst.Close()
}

// dial connects to the rig's programs by the ports the rig knows them by, each from the machine it runs on: what is cut
// between the machines does not blind the test.
func (r *labRig) dial(ctx context.Context, _, address string) (net.Conn, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	switch port {
	case fmt.Sprint(r.ports.HTTPA):
		return r.lab.spaces["a"].dial(ctx, prefixes[client]+"1:"+port)
	case fmt.Sprint(r.ports.HTTPB):
		return r.lab.spaces["b"].dial(ctx, prefixes[client]+"2:"+port)
	case fmt.Sprint(r.ports.Control):
		return r.lab.spaces["plant"].dial(ctx, prefixes[field]+"9:"+port)
	}
	return nil, fmt.Errorf("nobody in the lab serves %s", address)
}

// smallDisk is a little more than what a node leaves free on every disk, and in memory.
const smallDisk = "size=320m"

func (r *labRig) dataDir(node string) string { return filepath.Join(r.dir, "data", node) }

// onSmallDisk has a node mount its data folder, in a mount namespace of its own.
func (r *labRig) onSmallDisk(node string, cmd *exec.Cmd) {
	if err := os.MkdirAll(r.dataDir(node), 0o700); err != nil {
		r.t.Fatal(err)
	}
	script := `mount -t tmpfs -o ` + smallDisk + ` scada "$1" && shift && exec "$@"`
	cmd.Args = append([]string{"sh", "-c", script, "sh", r.dataDir(node), cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/bin/sh"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Unshareflags: syscall.CLONE_NEWNS}
}

// fill fills the disk of a node to the last byte, and returns how to make room again.
func (r *labRig) fill(node string) (release func() error, err error) {
	path := fmt.Sprintf("/proc/%d/root%s", r.procs[node].Process.Pid, filepath.Join(r.dataDir(node), "filler"))
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
	return func() error { return os.Remove(path) }, nil
}

// settled waits until one node is active and the other its ready standby, as both say, and returns the active one.
func (r *labRig) settled(within time.Duration) (active string, epoch uint64, err error) {
	deadline := time.Now().Add(within)
	for {
		if active, epoch, err = r.agreed(); err == nil || time.Now().After(deadline) {
			return active, epoch, err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (r *labRig) agreed() (active string, epoch uint64, err error) {
	for _, viewer := range []string{"a", "b"} {
		p, err := r.role(viewer)
		if err != nil {
			return "", 0, err
		}
		seen := ""
		for _, name := range []string{"a", "b"} {
			n, _ := p.Find(name)
			area, _ := n.Area("main")
			switch {
			case !n.Ready || !n.Reachable:
				return "", 0, fmt.Errorf("seen by %s, node %s is %s and not ready: %s", viewer, name, area.Role, strings.Join(n.NotReady, "; "))
			case area.Role == api.RoleActive && seen == "":
				seen = name
			case area.Role != api.RoleStandby:
				return "", 0, fmt.Errorf("seen by %s, node %s is %s", viewer, name, area.Role)
			}
		}
		if seen == "" || active != "" && active != seen {
			return "", 0, fmt.Errorf("seen by %s, %q is active", viewer, seen)
		}
		active, epoch = seen, p.Epoch()
	}
	return active, epoch, nil
}

func other(node string) string {
	if node == "a" {
		return "b"
	}
	return "a"
}

// self returns what a node says of itself.
func (r *labRig) self(node string) (api.Node, api.Area, error) {
	p, err := r.role(node)
	if err != nil {
		return api.Node{}, api.Area{}, err
	}
	n, _ := p.Find(node)
	a, _ := n.Area("main")
	return n, a, nil
}
