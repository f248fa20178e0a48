//go:build e2e

package e2e

import (
	"bufio"
	"flag"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

var long = flag.Bool("long", false, "run the tests that mostly wait as well (make e2e-long)")

// needTime skips what takes half a minute unless it is asked for.
func needTime(t *testing.T) {
	t.Helper()
	if !*long {
		t.Skip("it takes half a minute: make e2e-long")
	}
}

// link runs scadad link for a node.
func (r *rig) link(node string, args ...string) string {
	r.t.Helper()
	args = append([]string{"link"}, append(args, "--config", filepath.Join(r.dir, "plant.yaml"), "--node", node)...)
	out, err := exec.Command(filepath.Join(r.bin, "scadad"), args...).CombinedOutput()
	if err != nil {
		r.t.Fatalf("scadad %v: %v: %s", args, err, out)
	}
	return string(out)
}

// pairLink lets the nodes get to know each other's certificate by a one-time code, as two people do.
func (r *rig) pairLink() {
	r.t.Helper()
	cmd := exec.Command(filepath.Join(r.bin, "scadad"), "link", "pair", "--config", filepath.Join(r.dir, "plant.yaml"), "--node", "b", "--listen", "127.0.0.1:0")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		r.t.Fatal(err)
	}
	invitation := regexp.MustCompile(`--connect (\S+) --code (\S+)`)
	lines := bufio.NewScanner(out)
	paired := false
	for lines.Scan() {
		if m := invitation.FindStringSubmatch(lines.Text()); m != nil {
			r.link("a", "pair", "--connect", m[1], "--code", m[2])
		}
		paired = paired || strings.Contains(lines.Text(), "paired with a")
	}
	if err := cmd.Wait(); err != nil || !paired {
		r.t.Fatalf("pairing: %v, paired %v", err, paired)
	}
}

var ownCertificate = regexp.MustCompile(`(?m)^[ab] +([0-9A-Za-z: ]+), expires`)

// TestLinkRenewal pairs two nodes by a code, renews the certificate of each while they run, and sees no gap: no path is
// lost, no term begins. Afterwards a node that starts anew is believed by its new certificate.
func TestLinkRenewal(t *testing.T) {
	needTime(t)
	r := newRig(t, replace(t, "policy: availability", "policy: availability\n  tls: {dir: pki/link}", "heartbeat: 100ms", "heartbeat: 300ms", "misses: 5", "misses: 10"))
	r.pairLink()
	r.start()
	before, err := r.role("a")
	if err != nil {
		t.Fatal(err)
	}
	for node, peer := range map[string]string{"a": "b", "b": "a"} {
		old := ownCertificate.FindStringSubmatch(r.link(node, "show"))[1]
		r.link(node, "renew")
		r.eventually(60*time.Second, node+" uses its new certificate and "+peer+" has pinned it alone", func() error {
			mine, theirs := r.link(node, "show"), r.link(peer, "show")
			now := ownCertificate.FindStringSubmatch(mine)[1]
			if now == old || strings.Contains(mine, node+" next") || !strings.Contains(theirs, now) || strings.Contains(theirs, old) {
				return fmt.Errorf("%s shows\n%s%s shows\n%s", node, mine, peer, theirs)
			}
			return nil
		})
	}
	after, err := r.role("a")
	if err != nil {
		t.Fatal(err)
	}
	if after.Epoch() != before.Epoch() {
		t.Errorf("a term began: %d, before %d", after.Epoch(), before.Epoch())
	}
	for _, node := range []string{"a", "b"} {
		for _, e := range r.entries(node, "role") {
			if e.Event == "path" && strings.Contains(e.Message, "down") {
				t.Errorf("a path was lost: %+v", e)
			}
		}
	}
	r.signal("a", syscall.SIGKILL)
	r.waitSwitch("b", "fault")
	r.startNode("a")
	r.eventually(60*time.Second, "both hear each other with the new certificates", func() error {
		p, err := r.role("a")
		if err != nil {
			return err
		}
		for _, n := range p.Nodes {
			if !n.Reachable {
				return fmt.Errorf("%s is not reachable: %q", n.Node, n.NotReady)
			}
		}
		return nil
	})
}
