//go:build e2e && linux

package e2e

import (
	"context"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// firstFormats is the commit since which what the nodes tell each other is kept readable for the version before: before it the
// alarms of a node cannot be mirrored by an older one. Where there is no release yet, an upgrade begins there.
const firstFormats = "b8ee488"

var upgradeFrom = flag.String("upgrade.from", "", "commit or tag TestUpgrade upgrades from; empty: the newest tag, or where there is none "+firstFormats)

const buildTimeout = 15 * time.Minute

// TestUpgrade upgrades a pair one node at a time, from a build of the previous release to this one, while alarms come and go. In
// between the two versions form a pair: the new one mirrors the old one and the other way round, they switch both ways, and
// each is killed. No alarm may be lost and both nodes have to end with the same journal and the same history.
func TestUpgrade(t *testing.T) {
	needTime(t)
	r := newRig(t, nil)
	old := buildOld(t, previous(t))
	r.adopt(old.writer)
	programs := t.TempDir()
	for name, from := range map[string]string{"scadad": filepath.Join(r.bin, "scadad"), "scadasim": filepath.Join(r.bin, "scadasim"), "scadad-old": old.node} {
		if err := copyFile(from, filepath.Join(programs, name)); err != nil {
			t.Fatal(err)
		}
	}
	r.bin = programs
	start := func(node, program string) {
		r.spawn(node, program, "--config", filepath.Join(r.dir, "plant.yaml"), "--node", node)
	}
	r.startPlant()
	start("a", "scadad-old")
	start("b", "scadad-old")
	r.waitReady()

	stop, raised := make(chan struct{}), map[string]int{}
	var wg sync.WaitGroup
	for point := range toggled {
		wg.Go(func() { r.toggle(point, stop, raised) })
	}
	r.replaceNode("b", func() { start("b", "scadad") })
	r.waitReady()
	t.Log("the old a is active, the new b mirrors it")
	r.thereAndBack()
	r.signal("a", syscall.SIGKILL)
	r.waitSwitch("b", "fault")
	start("a", "scadad-old")
	r.waitReady()
	t.Log("the new b took over from the old a and gave back")

	if err := r.call("a", http.MethodPost, "/api/v1/role/switch", map[string]string{"area": "main"}, nil); err != nil {
		t.Fatal(err)
	}
	r.waitActive("b", 5*time.Second)
	r.waitStandby("a", "b")
	t.Log("the old a mirrors the new b")
	r.replaceNode("a", func() { start("a", "scadad") })
	r.waitStandby("a", "b")
	if err := r.call("b", http.MethodPost, "/api/v1/role/release", map[string]string{"area": "main"}, nil); err != nil {
		t.Fatal(err)
	}
	r.waitReady()
	r.signal("a", syscall.SIGKILL)
	r.waitSwitch("b", "fault")
	start("a", "scadad")
	r.waitReady()
	close(stop)
	wg.Wait()
	r.checkGroundTruth()
	r.checkRaised(raised)
	r.checkHistory()
}

// thereAndBack switches to b and back to a.
func (r *rig) thereAndBack() {
	r.t.Helper()
	if err := r.call("a", http.MethodPost, "/api/v1/role/switch", map[string]string{"area": "main"}, nil); err != nil {
		r.t.Fatal(err)
	}
	r.waitActive("b", 5*time.Second)
	if err := r.call("b", http.MethodPost, "/api/v1/role/release", map[string]string{"area": "main"}, nil); err != nil {
		r.t.Fatal(err)
	}
	r.waitReady()
}

// replaceNode ends a node in order and starts it again.
func (r *rig) replaceNode(name string, start func()) {
	r.t.Helper()
	cmd := r.procs[name]
	r.signal(name, syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		r.t.Errorf("%s ended with %v", name, err)
	}
	delete(r.procs, name)
	start()
}

// previous is the commit to upgrade from. A checkout without that much history cannot tell.
func previous(t *testing.T) string {
	t.Helper()
	from := *upgradeFrom
	if from == "" {
		from = firstFormats
		if tag, err := git("describe", "--tags", "--abbrev=0", "HEAD~1"); err == nil {
			from = tag
		}
	}
	commit, err := git("rev-parse", "--verify", "--quiet", from+"^{commit}")
	if err != nil {
		t.Skipf("%s is not in this checkout: fetch the whole history, or name a commit with -upgrade.from", from)
	}
	t.Logf("upgrading from %s (%.10s)", from, commit)
	return commit
}

func git(args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = "../../.."
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

// release is what is built of a commit: the node, and what writes the plant it knows.
type release struct{ node, writer string }

// writePlant writes the demo plant of the commit it is built in: an upgrade finds the configuration of the version before.
const writePlant = `package main

import (
	"encoding/json"
	"os"

	"scada/cmd/scadasim/demo"
)

func main() {
	var ports demo.Ports
	if err := json.Unmarshal([]byte(os.Args[2]), &ports); err != nil {
		panic(err)
	}
	who, err := demo.Write(os.Args[1], ports)
	if err != nil {
		panic(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(who); err != nil {
		panic(err)
	}
}
`

// adopt replaces the plant of this version by that of the previous one, on the same ports.
func (r *rig) adopt(writer string) {
	r.t.Helper()
	ports, err := json.Marshal(r.ports)
	if err != nil {
		r.t.Fatal(err)
	}
	dir := filepath.Join(r.dir, "previous")
	out, err := exec.Command(writer, dir, string(ports)).Output()
	if err == nil {
		err = json.Unmarshal(out, &r.who)
	}
	if err != nil {
		r.t.Fatalf("writing the plant of the previous version: %v", err)
	}
	r.dir = dir
	path := filepath.Join(dir, "plant.yaml")
	b, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, []byte(replace(r.t, "hold_off: 10s", "hold_off: 1s")(string(b))), 0o600)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// buildOld builds a commit in a folder of its own; the checkout is not touched.
func buildOld(t *testing.T, commit string) release {
	t.Helper()
	dir := exported(t, commit)
	ctx, cancel := context.WithTimeout(t.Context(), buildTimeout)
	defer cancel()
	writer := filepath.Join(dir, "cmd", "writeplant")
	err := os.Mkdir(writer, 0o755)
	if err == nil {
		err = os.WriteFile(filepath.Join(writer, "main.go"), []byte(writePlant), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-X main.version="+commit[:10], "-o", out+"/", "./cmd/scadad", "./cmd/writeplant")
	build.Dir = dir
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v: %s", commit, err, text)
	}
	return release{node: filepath.Join(out, "scadad"), writer: filepath.Join(out, "writeplant")}
}

// exported is the tree of a commit in a new folder.
func exported(t *testing.T, commit string) string {
	t.Helper()
	dir := t.TempDir()
	pack := exec.Command("git", "archive", "--format=tar", "-o", filepath.Join(dir, "tree.tar"), commit)
	pack.Dir = "../../.."
	if out, err := pack.CombinedOutput(); err != nil {
		t.Fatalf("git archive: %v: %s", err, out)
	}
	if out, err := exec.Command("tar", "-xf", filepath.Join(dir, "tree.tar"), "-C", dir).CombinedOutput(); err != nil {
		t.Fatalf("tar: %v: %s", err, out)
	}
	if err := os.Remove(filepath.Join(dir, "tree.tar")); err != nil {
		t.Fatal(err)
	}
	return dir
}
