//go:build e2e && linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"scada/web/api"
)

// virtual is the address that moves with the role in this test, on the client network.
const virtual = "10.40.0.100"

// TestAddressAndFieldLoss: a virtual address follows the role; what a killed node leaves behind is removed by scadad cleanup
// and by its next start; and the loss of the field network of the active moves the area to the node that still reaches
// the devices.
func TestAddressAndFieldLoss(t *testing.T) {
	needTime(t)
	needNamespaces(t)
	r := newLabRig(t, setting{300 * time.Millisecond, 10}, false)
	r.addVirtualAddress()
	r.startPlant()
	r.startNode("a")
	r.startNode("b")
	r.expectActive("a")
	r.expectAddress("after the start", "a")

	r.signal("a", syscall.SIGKILL)
	r.eventually(20*time.Second, "b has the address", func() error { return r.hasAddress("b", true) })
	r.expectAddress("after kill -9", "a", "b") // nobody is left to remove it
	r.lab.must(r.lab.spaces["a"].run(nil, filepath.Join(r.bin, "scadad"), "cleanup", "--config", filepath.Join(r.dir, "plant.yaml"), "--node", "a"))
	r.expectAddress("after scadad cleanup", "b")
	r.lab.must(r.lab.spaces["a"].ip("addr add " + virtual + "/24 dev client")) // as if nobody had cleaned up
	r.startNode("a")
	r.expectActive("b")
	r.expectAddress("after the start of a", "b")

	r.lab.must(r.lab.cable("b", false, field))
	r.eventually(60*time.Second, "a is active: it reaches the devices", func() error {
		n, area, err := r.self("a")
		if err == nil && area.Role != api.RoleActive {
			return fmt.Errorf("it is %s, faults %q, not ready %q", area.Role, n.Faults, n.NotReady)
		}
		return err
	})
	r.eventually(20*time.Second, "the record is complete", func() error {
		p, err := r.role("a")
		if err != nil {
			return err
		}
		sw := p.LastSwitch
		if sw == nil || sw.Kind != "health" || sw.From != "b" || sw.To != "a" || sw.FirstValueMs == 0 || !strings.Contains(sw.Reason, "of area main do not answer") {
			return fmt.Errorf("%+v", sw)
		}
		return nil
	})
	r.freshOnAllDevices("a")
	r.expectAddress("after the field was lost", "a")
	r.lab.must(r.lab.cable("b", true, field))
}

// addVirtualAddress gives the area a virtual address, and the machines others in its network.
func (r *labRig) addVirtualAddress() {
	r.t.Helper()
	for node, address := range map[string]string{"a": "10.40.0.1", "b": "10.40.0.2", "client": "10.40.0.9"} {
		r.lab.must(r.lab.spaces[node].ip("addr add " + address + "/24 dev client"))
	}
	path := filepath.Join(r.dir, "plant.yaml")
	b, err := os.ReadFile(path)
	r.lab.must(err)
	with := replace(r.t, "{name: main, primary: a}", "{name: main, primary: a, resources: [{name: vip, type: virtual_ip, critical: true, address: "+virtual+"/24, interface: client}]}")
	r.lab.must(os.WriteFile(path, []byte(with(string(b))), 0o600))
}

// hasAddress returns an error unless the machine has the virtual address, or has it not.
func (r *labRig) hasAddress(node string, want bool) error {
	err := r.lab.spaces[node].run(nil, "sh", "-c", "ip -o addr show | grep -qF ' "+virtual+"/'")
	if (err == nil) != want {
		return fmt.Errorf("%s has %s: %v, want %v", node, virtual, err == nil, want)
	}
	return nil
}

// expectAddress waits until exactly these machines have the address.
func (r *labRig) expectAddress(when string, owners ...string) {
	r.t.Helper()
	for _, node := range []string{"a", "b"} {
		want := strings.Contains(strings.Join(owners, " "), node)
		r.eventually(20*time.Second, when+": the address is on "+strings.Join(owners, " and ")+" alone", func() error { return r.hasAddress(node, want) })
	}
}

func (r *labRig) expectActive(node string) {
	r.t.Helper()
	if active, _, err := r.settled(90 * time.Second); err != nil || active != node {
		r.t.Fatalf("active is %q, want %s: %v", active, node, err)
	}
}
