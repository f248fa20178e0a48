//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gopcua/opcua"
	"github.com/gopcua/opcua/ua"
)

// TestDeployedTagsReachClients: a tag that is deployed appears to an OPC UA client that stays connected, on both nodes, and
// goes when the revision before it is taken back; the files, which still have it, are taken again when a hang-up asks for it.
func TestDeployedTagsReachClients(t *testing.T) {
	r := newRig(t, nil)
	r.start()
	g := gopcua{t: t, r: r, policy: ua.SecurityPolicyURINone}
	clients := map[string]*opcua.Client{"a": g.connect(r.ports.UAA, r.who.Operator), "b": g.connect(r.ports.UAB, r.who.Operator)}
	before := r.oneDigest()
	file := filepath.Join(r.dir, "tags", "9-deployed.csv")
	if err := os.WriteFile(file, []byte("name,expr,type,scan\ndeployed/twice,tag('treatment/inlet_valve/position_sp') * 2,float64,normal\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.clientsSee(clients, ua.StatusOK)
	after := r.oneDigest()
	if after == before {
		t.Fatal("the digest is that of before")
	}
	r.eventually(uaPatience, "the revision is taken back", func() error { // what the files deployed may still be ending
		if out, code := r.ctl("config", "rollback", "--comment", "e2e"); code != 0 || !strings.Contains(out, "deployed/twice") {
			return fmt.Errorf("exit code %d: %s", code, out)
		}
		return nil
	})
	r.clientsSee(clients, ua.StatusBadNodeIDUnknown)
	if d := r.oneDigest(); d != before {
		t.Fatalf("rolled back to %s, want %s", d, before)
	}
	r.signal("a", syscall.SIGHUP)
	r.clientsSee(clients, ua.StatusOK)
	if d := r.oneDigest(); d != after {
		t.Fatalf("after the hang-up %s runs, want %s", d, after)
	}
}

// clientsSee waits until all clients get this status for the deployed tag.
func (r *rig) clientsSee(clients map[string]*opcua.Client, want ua.StatusCode) {
	r.t.Helper()
	req := &ua.ReadRequest{NodesToRead: []*ua.ReadValueID{{NodeID: ua.NewStringNodeID(2, "deployed/twice"), AttributeID: ua.AttributeIDValue, DataEncoding: &ua.QualifiedName{}}}}
	g := gopcua{t: r.t, r: r}
	r.eventually(uaPatience, fmt.Sprintf("the clients see %s", want), func() (err error) {
		for node, c := range clients {
			resp, e := c.Read(g.limited(), req)
			switch {
			case e != nil:
				err = errors.Join(err, fmt.Errorf("%s: %w", node, e))
			case resp.Results[0].Status != want:
				err = errors.Join(err, fmt.Errorf("%s: %w", node, resp.Results[0].Status))
			}
		}
		return err
	})
}
