//go:build e2e

package e2e

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"scada/web/api"
)

const (
	uaProofTag = "mixer/proof/counter"
	// uaBlind bounds the time for which a client that follows the standard may have no value after the loss of its
	// server: the take-over itself, and the client's own way to the other server.
	uaBlind = 3 * time.Second
)

var uaModes = flag.String("ua.modes", "warm", "what clients are told of the redundancy, one run each: warm, hot")

// uaLine is what failover.mjs prints.
type uaLine struct {
	Kind, Server, From, To, Reason, Status, ID, Condition, Error, Why string
	At, Time                                                          int64 // ms
	Level                                                             int
	Value                                                             *float64
	Active, Acked, Retain, Refreshed, Overflow                        bool
	Servers                                                           []string
	raw                                                               string
}

// uaFollower is a client that knows only the standard.
type uaFollower struct {
	r     *rig
	stdin io.Closer
	cmd   *exec.Cmd
	done  chan struct{}

	mu    sync.Mutex
	lines []uaLine
}

func (r *rig) follow() *uaFollower {
	r.t.Helper()
	cmd := exec.Command("node", "failover.mjs", fmt.Sprintf("opc.tcp://127.0.0.1:%d", r.ports.UAA), "ns=2;s="+uaProofTag)
	cmd.Dir = "nodeopcua"
	stdin, err := cmd.StdinPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	f := &uaFollower{r: r, stdin: stdin, cmd: cmd, done: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	go func() {
		defer close(f.done)
		for s := bufio.NewScanner(out); s.Scan(); {
			var l uaLine
			if json.Unmarshal(s.Bytes(), &l) == nil && l.Kind != "" {
				l.raw = s.Text()
				f.mu.Lock()
				f.lines = append(f.lines, l)
				f.mu.Unlock()
			}
		}
	}()
	r.t.Cleanup(f.end)
	return f
}

// end ends the client; it can be called again.
func (f *uaFollower) end() {
	_ = f.stdin.Close()
	select {
	case <-f.done:
	case <-time.After(5 * time.Second):
		_ = f.cmd.Process.Kill()
		<-f.done
	}
	_ = f.cmd.Wait()
	if f.r.t.Failed() {
		for _, l := range f.all("") {
			if l.Kind != "value" {
				f.r.t.Log(l.raw)
			}
		}
	}
}

// all returns the lines of a kind, or all.
func (f *uaFollower) all(kind string) []uaLine {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.lines), func(l uaLine) bool { return kind != "" && l.Kind != kind })
}

// uses waits until the client takes fresh values from a node, and returns when the last move to it began.
func (f *uaFollower) uses(node string, after int64) (moved uaLine) {
	f.r.t.Helper()
	f.r.eventually(30*time.Second, "the client uses "+node, func() error {
		for _, l := range f.all("switch") {
			if l.At >= after && strings.HasSuffix(l.To, ":"+node) {
				moved = l
			}
		}
		if moved.At == 0 {
			return fmt.Errorf("it does not move")
		}
		for _, l := range f.all("value") {
			if l.At >= moved.At && strings.HasSuffix(l.Server, ":"+node) && l.Status == "Good" && l.Time > after {
				return nil
			}
		}
		return fmt.Errorf("no fresh value since")
	})
	return moved
}

// event waits for an event of a condition, not one of a refresh, and returns it.
func (f *uaFollower) event(condition string, after int64, active bool) (found uaLine) {
	f.r.t.Helper()
	f.r.eventually(15*time.Second, fmt.Sprintf("the client is told of %s, active %v", condition, active), func() error {
		for _, l := range f.all("event") {
			if l.Condition == condition && l.Active == active && l.At >= after {
				found = l
				return nil
			}
		}
		return fmt.Errorf("it is not")
	})
	return found
}

// TestStandardClientFollowsTheActive has a client that knows only the standard follow the plant through a kill and a
// planned switch. It sees every recorded change of a proof tag but those of the gap, and every alarm once.
func TestStandardClientFollowsTheActive(t *testing.T) {
	for _, mode := range strings.Split(*uaModes, ",") {
		t.Run(mode, func(t *testing.T) {
			r := newRig(t, replace(t, "hold_off: 10s", "hold_off: 5m", "opcua: {allow_none: true,", "opcua: {redundancy: "+mode+", allow_none: true,"))
			r.start()
			f := r.follow()
			began := f.uses("a", 0).At
			force := func(v int) {
				t.Helper()
				if err := r.sim(http.MethodPost, "/points", map[string]any{"name": "intake/flooded", "value": v}, nil); err != nil {
					t.Fatal(err)
				}
			}
			force(1)
			raised := f.event("intake-flooded", began, true)
			time.Sleep(3 * time.Second) // changes of the proof tag, to be compared below

			killed := time.Now().UnixMilli()
			r.signal("a", syscall.SIGKILL)
			sw := r.waitSwitch("b", "fault")
			f.uses("b", killed)
			r.eventually(10*time.Second, "the alarm is refreshed, with its EventId", func() error {
				for _, l := range f.all("event") {
					if l.At >= killed && l.Refreshed && l.Condition == "intake-flooded" && l.ID == raised.ID && l.Active {
						return nil
					}
				}
				return fmt.Errorf("it is not, before it was %s", raised.raw)
			})
			f.gap(t, "kill -9", killed, sw)
			force(0)
			cleared := f.event("intake-flooded", killed, false)

			r.startNode("a")
			from, to := r.waitPair()
			planned := time.Now().UnixMilli()
			if err := r.call(from, http.MethodPost, "/api/v1/role/switch", map[string]string{"area": "main"}, nil); err != nil {
				t.Fatal(err)
			}
			sw = r.waitSwitch(to, "planned")
			moved := f.uses(to, planned)
			f.gap(t, "planned switch", planned, sw)
			force(1)
			second := f.event("intake-flooded", planned, true)
			force(0)
			f.event("intake-flooded", second.At, false)
			if raised.ID == cleared.ID || second.ID == raised.ID {
				t.Errorf("EventIds are used twice: %s %s %s", raised.ID, cleared.ID, second.ID)
			}
			time.Sleep(2 * time.Second) // values are on their way; what is compared below ends before this
			f.end()
			f.checkEvents(t)
			f.checkValues(t, to, began+500, moved.At+500, killed)
		})
	}
}

// waitPair waits until the loss of either node would be survived, and returns which one is active. On a machine that is
// short of time the pair may move to the healthier node by itself.
func (r *rig) waitPair() (active, standby string) {
	r.t.Helper()
	r.eventually(60*time.Second, "the pair is complete", func() error {
		p, err := r.role("b")
		if err != nil {
			return err
		}
		active, standby = "", ""
		for _, n := range p.Nodes {
			switch a, _ := n.Area("main"); {
			case a.Role == api.RoleActive && n.Ready:
				active = n.Node
			case a.Role == api.RoleStandby && n.Ready:
				standby = n.Node
			default:
				return fmt.Errorf("node %s is %q, ready %v %v", n.Node, a.Role, n.Ready, n.NotReady)
			}
		}
		if active == "" || standby == "" {
			return fmt.Errorf("active %q, standby %q", active, standby)
		}
		return nil
	})
	return active, standby
}

// gap says how long the client had no fresh value, and holds it to the bound.
func (f *uaFollower) gap(t *testing.T, what string, at int64, sw api.Switch) {
	t.Helper()
	var before, after int64
	for _, l := range f.all("value") {
		if l.Status != "Good" {
			continue
		}
		if l.Time <= at {
			before = max(before, l.Time)
		} else if l.At > at && after == 0 {
			after = l.At
		}
	}
	blind := time.Duration(after-before) * time.Millisecond
	t.Logf("%s: no value for %s; the pair: detected after %d ms, active %d ms later, first value after %d ms, %d slots missed", what, blind, sw.DetectMs, sw.ActivateMs, sw.FirstValueMs, sw.MissedSlots)
	if blind > uaBlind {
		t.Errorf("%s: the client had no value for %s, bound %s", what, blind, uaBlind)
	}
}

// checkEvents holds what the client was told against the journal: each EventId is one transition, told as the same by
// both servers, and none was told twice by one of them but in a refresh.
func (f *uaFollower) checkEvents(t *testing.T) {
	t.Helper()
	seen, direct := map[string]string{}, map[string]int{}
	for _, l := range f.all("event") {
		if l.Condition != "intake-flooded" {
			continue
		}
		state := fmt.Sprint(l.Condition, l.Active, l.Acked, l.Retain, l.Time)
		if was, ok := seen[l.ID]; ok && was != state {
			t.Errorf("event %s is %q and %q", l.ID, was, state)
		}
		seen[l.ID] = state
		if !l.Refreshed {
			if direct[l.Server+l.ID]++; direct[l.Server+l.ID] > 1 {
				t.Errorf("event %s was told twice by %s", l.ID, l.Server)
			}
		}
	}
	transitions := 0
	for _, e := range f.r.entries("b", "alarm") {
		if e.Source == "intake-flooded" && (e.Event == "RAISE" || e.Event == "CLEAR") {
			transitions++
		}
	}
	if len(seen) != transitions || transitions != 4 {
		t.Errorf("the client knows %d events of the condition, the journal %d, there were 4", len(seen), transitions)
	}
}

// checkValues compares what the client saw of the proof tag with what was recorded: all of it, but for what was on its
// way to the client when its server was killed.
func (f *uaFollower) checkValues(t *testing.T, node string, from, to, killed int64) {
	t.Helper()
	seen := map[int64]float64{}
	both := 0
	for _, l := range f.all("value") {
		if l.Status != "Good" || l.Value == nil {
			continue
		}
		if was, ok := seen[l.Time]; ok {
			if both++; was != *l.Value {
				t.Errorf("at %d the tag was %v and %v", l.Time, was, *l.Value)
			}
		}
		if l.Overflow {
			t.Errorf("a queue overflowed at %d", l.Time)
		}
		seen[l.Time] = *l.Value
	}
	// The client's clock has ms; it may round the other way.
	saw := func(at int64) bool {
		return slices.ContainsFunc([]int64{at - 1, at, at + 1}, func(ms int64) bool { _, ok := seen[ms]; return ok })
	}
	recorded, was, missed := 0, "", []int64{}
	for _, s := range f.r.history(node, uaProofTag, time.UnixMilli(to)) {
		at, v := s.Time.UnixMilli(), fmt.Sprint(s.Value)
		if at < from || s.Quality != "Good" || v == was {
			continue // no change: nothing to tell
		}
		was = v
		if recorded++; !saw(at) {
			missed = append(missed, at-killed)
		}
	}
	t.Logf("%d changes recorded; not seen by the client, in ms from the kill: %v; %d seen from both servers", recorded, missed, both)
	// The tag changes ten times a second; a machine that is short of time samples it less often.
	if seconds := (to - from) / 1000; int64(recorded) < max(seconds, 30) {
		t.Errorf("only %d changes were recorded in %d s", recorded, seconds)
	}
	for _, ms := range missed {
		// Sampled every 100 ms, published every 100 ms: nothing older than that waits in a server.
		if ms < -500 || ms > 500 {
			t.Errorf("the change %d ms from the kill was not seen", ms)
		}
	}
}
