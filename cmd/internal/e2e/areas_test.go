//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"net/http"
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

// crossedAreas makes two areas of the demo plant: the works with a as their primary, and the wells with b. A process that
// dies is noticed at once however slow the heartbeat; the slow one keeps a busy machine from switching by itself.
func crossedAreas(t *testing.T) func(string) string {
	edit := replace(t, "areas:\n  - {name: main, primary: a}", "areas:\n  - {name: main, primary: a}\n  - {name: wells, primary: b}", "hold_off: 10s", "hold_off: 3s", "heartbeat: 100ms", "heartbeat: 300ms", "misses: 5", "misses: 10")
	return func(text string) string {
		text = withoutLogic(t, edit(text))
		for n := 1; n <= 4; n++ {
			at := fmt.Sprintf("  - name: well%d", n)
			i := strings.Index(text, at)
			if i < 0 {
				t.Fatalf("plant.yaml has no %q", at)
			}
			text = text[:i] + strings.Replace(text[i:], "area: main", "area: wells", 1)
		}
		return text
	}
}

// withoutLogic leaves out the applications of the demo and the tags they make: they read the devices of both areas.
func withoutLogic(t *testing.T, text string) string {
	before, rest, found := strings.Cut(text, "\napps:")
	_, after, ended := strings.Cut(rest, "\ntag_files:")
	if !found || !ended {
		t.Fatal("plant.yaml has no applications before its tag files")
	}
	text = before + "\ntag_files:" + after
	text = replace(t, `["tags/*.csv"]`, `["tags/[0-4]*.csv", "tags/6*.csv"]`)(text)
	return strings.Join(slices.DeleteFunc(strings.Split(text, "\n"), func(line string) bool { return strings.Contains(line, "id: totaliser-") }), "\n")
}

// acting waits until both nodes show the given nodes as active for the works and the wells, with ready standbys, and returns
// the terms.
func (r *rig) acting(works, wells string) (epochs map[string]uint64) {
	r.t.Helper()
	r.eventually(60*time.Second, "works on "+works+", wells on "+wells+", both ready", func() error {
		epochs = map[string]uint64{}
		for _, seen := range []string{"a", "b"} {
			p, err := r.role(seen)
			if err != nil {
				return err
			}
			for _, n := range p.Nodes {
				for area, active := range map[string]string{"main": works, "wells": wells} {
					want := api.RoleStandby
					if n.Node == active {
						want = api.RoleActive
					}
					got, _ := n.Area(area)
					if got.Role != want || !n.Ready {
						return fmt.Errorf("seen by %s, %s is %q for %s, ready %v %v", seen, n.Node, got.Role, area, n.Ready, n.NotReady)
					}
					if want == api.RoleActive {
						epochs[area] = got.Epoch
					}
				}
			}
		}
		return nil
	})
	return epochs
}

// ctl runs scadactl against both nodes.
func (r *rig) ctl(args ...string) (string, int) {
	r.t.Helper()
	cmd := exec.Command(filepath.Join(r.bin, "scadactl"), args...)
	cmd.Env = append(os.Environ(), "SCADACTL_SERVER="+r.url("a")+","+r.url("b"), "SCADACTL_TOKEN="+r.who.Token)
	out, _ := cmd.CombinedOutput() // the exit code says what the error would
	return string(out), cmd.ProcessState.ExitCode()
}

func (r *rig) mustCtl(args ...string) string {
	r.t.Helper()
	out, code := r.ctl(args...)
	if code != 0 {
		r.t.Fatalf("scadactl %v: exit code %d: %s", args, code, out)
	}
	return out
}

// onlyPolledBy checks, by the count of the devices themselves, that each is polled by the node of its area alone.
func (r *rig) onlyPolledBy(works, wells string) {
	r.t.Helper()
	read := func() map[string]map[string]uint64 {
		var polls struct {
			Devices []struct {
				Device  string
				Clients map[string]struct{ Requests uint64 }
			}
		}
		if err := r.sim(http.MethodGet, "/polls", nil, &polls); err != nil {
			r.t.Fatal(err)
		}
		out := map[string]map[string]uint64{}
		for _, d := range polls.Devices {
			out[d.Device] = map[string]uint64{}
			for address, c := range d.Clients {
				out[d.Device][map[string]string{"127.0.0.11": "a", "127.0.0.12": "b"}[address]] += c.Requests
			}
		}
		return out
	}
	r.eventually(10*time.Second, "every device is polled by the node of its area alone", func() error {
		before := read()
		time.Sleep(time.Second)
		for device, by := range read() {
			want := works
			if strings.HasPrefix(device, "well") {
				want = wells
			}
			for node, n := range by {
				if by["a"]+by["b"] == before[device]["a"]+before[device]["b"] {
					continue // a gateway is none itself
				}
				if moved := n > before[device][node]; moved != (node == want) {
					return fmt.Errorf("%s: by %s %d requests in a second", device, node, n-before[device][node])
				}
			}
		}
		return nil
	})
}

// TestCrossedAreas: both nodes act, each for its area, over one link. Alarms come and go in both areas all the time; one
// area is moved by an operator, a node is killed and its area alone is taken over and handed back, and in the end both
// nodes hold the same, once.
func TestCrossedAreas(t *testing.T) {
	r := newRig(t, crossedAreas(t))
	r.startPlant()
	r.startNode("a")
	r.startNode("b")
	r.acting("a", "b")
	stop, raised := make(chan struct{}), map[string]int{}
	var wg sync.WaitGroup
	for point := range toggled {
		wg.Go(func() { r.toggle(point, stop, raised) })
	}
	r.onlyPolledBy("a", "b")
	if out := r.mustCtl("role", "-o", "json"); strings.Count(out, `"role": "active"`) != 2 || strings.Count(out, `"designation": "primary"`) != 3 {
		t.Errorf("scadactl role:\n%s", out)
	}
	r.switchOneArea()
	r.killBoth()
	close(stop)
	wg.Wait()
	r.checkGroundTruth()
	r.checkRaised(raised)
	r.checkHistory()
}

// switchOneArea moves the works to b and back; the wells stay. An order that would exchange the areas is refused.
func (r *rig) switchOneArea() {
	r.t.Helper()
	before := r.acting("a", "b")
	if out, code := r.ctl("role", "switch"); code != 3 || !strings.Contains(out, "name the area") {
		r.t.Errorf("a switch of both areas: exit code %d: %s", code, out)
	}
	r.mustCtl("role", "switch", "--area", "main", "--reason", "pump service")
	after := r.acting("b", "b")
	if after["wells"] != before["wells"] {
		r.t.Errorf("the wells have a new term after a switch of the works: %v, before %v", after, before)
	}
	r.onlyPolledBy("b", "b")
	r.freshOnAllDevices("a")
	p, err := r.role("a")
	if err != nil || p.LastSwitch == nil || p.LastSwitch.Area != "main" || p.LastSwitch.Kind != "planned" || p.LastSwitch.Duplicates != 0 {
		r.t.Errorf("the record of the switch is %+v (%v)", p.LastSwitch, err)
	}
	r.mustCtl("role", "release", "--area", "main")
	r.acting("a", "b")
	if out := r.mustCtl("role", "drill", "--area", "wells"); !strings.Contains(out, "drill") {
		r.t.Errorf("the drill of the wells:\n%s", out)
	}
	r.acting("a", "b")
	// The switch, its hand-back, the drill there and back. A record is written when every device has delivered its first values.
	r.eventually(5*time.Second, "scadactl role history tells the four switches", func() error {
		if out := r.mustCtl("role", "history"); strings.Count(out, "switch-over") < 4 || !strings.Contains(out, "(well1 ") {
			return errors.New(out)
		}
		return nil
	})
}

// killBoth kills the nodes in turn: the other takes the area it lacked, and only that, and gives it back.
func (r *rig) killBoth() {
	r.t.Helper()
	for _, victim := range []string{"a", "b"} {
		lost, kept := "main", "wells"
		if victim == "b" {
			lost, kept = kept, lost
		}
		before := r.acting("a", "b")
		heir := map[string]string{"a": "b", "b": "a"}[victim]
		r.signal(victim, syscall.SIGKILL)
		r.eventually(10*time.Second, heir+" acts for both areas", func() error {
			p, err := r.role(heir)
			if err != nil {
				return err
			}
			n, _ := p.Find(heir)
			for _, area := range []string{lost, kept} {
				if a, _ := n.Area(area); a.Role != api.RoleActive {
					return fmt.Errorf("%s: %q", area, a.Role)
				}
			}
			if sw := p.LastSwitch; sw == nil || sw.Area != lost || sw.Kind != "fault" || sw.To != heir || sw.FirstValueMs == 0 {
				return fmt.Errorf("the record is %+v", p.LastSwitch)
			}
			if a, _ := n.Area(kept); a.Epoch != before[kept] {
				r.t.Errorf("%s has noticed the end of %s: term %d, before %d", kept, victim, a.Epoch, before[kept])
			}
			return nil
		})
		r.freshOnAllDevices(heir)
		r.startNode(victim)
		after := r.acting("a", "b")
		if after[kept] != before[kept] {
			r.t.Errorf("%s has a new term after the hand-back of %s: %v, before %v", kept, lost, after, before)
		}
		p, err := r.role(victim)
		if err != nil || p.LastSwitch == nil || p.LastSwitch.Area != lost || p.LastSwitch.Kind != "hand-back" || p.LastSwitch.To != victim {
			r.t.Errorf("the record of the hand-back is %+v (%v)", p.LastSwitch, err)
		}
	}
}
