//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"scada/web/api"
)

// untouchedRequests is how many requests of another device are waited for after a change: some seconds of its scans.
const untouchedRequests = 20

// TestConfigurationOfRunningProcesses: one changed device polls anew and no other notices; a changed file deploys itself;
// and when the active is killed in the middle of a deployment, at several moments, both nodes run one revision afterwards.
func TestConfigurationOfRunningProcesses(t *testing.T) {
	r := newRig(t, replace(t, "failback: auto", "failback: manual")) // the nodes take turns: nobody waits for a hand-back
	r.start()
	path := filepath.Join(r.dir, "plant.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	variant := func(i int) string {
		return replace(t, "unit: 1, timeout: 1s, retries: 2, max_gap: 8, byte_order: ABCD", fmt.Sprintf("unit: 1, timeout: %dms, retries: 2, max_gap: 8, byte_order: ABCD", 1000+i))(string(text))
	}
	other := filepath.Join(r.dir, "next.yaml") // beside the tag files
	deploy := func(i int) (string, error) {
		if err := os.WriteFile(other, []byte(variant(i)), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(filepath.Join(r.bin, "scadactl"), "--server", r.url("a")+","+r.url("b"), "config", "deploy", other, "--comment", "e2e")
		cmd.Env = append(os.Environ(), "SCADACTL_TOKEN="+r.who.Token)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	before := r.device("plc2")
	if out, err := deploy(1); err != nil || !strings.Contains(out, "reconnects") || !strings.Contains(out, "plc1") || strings.Contains(out, "plc2") {
		t.Fatalf("%v\n%s", err, out)
	}
	first := r.oneDigest()
	var after api.Device
	r.eventually(20*time.Second, "the untouched device is polled on", func() error {
		if after = r.device("plc2"); after.Requests < before.Requests+untouchedRequests {
			return fmt.Errorf("%d requests, before %d", after.Requests, before.Requests)
		}
		return nil
	})
	if after.Reconnects != before.Reconnects {
		t.Errorf("the untouched device: %+v before, %+v after", before, after)
	}
	if err := os.WriteFile(path, []byte(variant(2)), 0o600); err != nil {
		t.Fatal(err)
	}
	r.eventually(20*time.Second, "the changed file is deployed", func() error {
		if d, err := r.digests(); err != nil || d[0] == first || d[0] != d[1] {
			return fmt.Errorf("digests %v: %w", d, err)
		}
		return nil
	})
	active, standby := "a", "b"
	for i, delay := range []time.Duration{30, 60, 100, 150, 220} {
		r.waitStandby(standby, active)
		done := make(chan string, 1)
		go func() {
			out, err := deploy(10 + i)
			done <- fmt.Sprintf("%v %s", err, out)
		}()
		time.Sleep(delay * time.Millisecond)
		r.signal(active, syscall.SIGKILL)
		r.waitActive(standby, 20*time.Second)
		t.Logf("killed after %d ms: the engineer was told %.120s", delay, <-done)
		r.startNode(active)
		r.waitStandby(active, standby)
		r.oneDigest()
		active, standby = standby, active
	}
}

func (r *rig) device(name string) (d api.Device) {
	r.t.Helper()
	if err := r.call("a", http.MethodGet, "/api/v1/devices/"+name, nil, &d); err != nil {
		r.t.Fatal(err)
	}
	return d
}

func (r *rig) digests() (list []string, err error) {
	for _, node := range []string{"a", "b"} {
		var d api.ConfigDigest
		if err := r.call(node, http.MethodGet, "/api/v1/config/digest", nil, &d); err != nil {
			return nil, err
		}
		list = append(list, d.Digest)
	}
	return list, nil
}

// oneDigest expects that both nodes run one configuration.
func (r *rig) oneDigest() string {
	r.t.Helper()
	var d []string
	r.eventually(20*time.Second, "both nodes run one configuration", func() (err error) {
		if d, err = r.digests(); err == nil && d[0] != d[1] {
			err = fmt.Errorf("digests %v", d)
		}
		return err
	})
	return d[0]
}
