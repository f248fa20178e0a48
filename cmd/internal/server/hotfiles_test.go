package server

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"scada/acquisition"
	"scada/redundancy/role"
	"scada/simulators/plc"
	"scada/web/api"
)

// broken are 30 ways to spoil the plant: what is replaced by what, and the position and the beginning of what is told.
var broken = []struct{ name, old, new, want string }{
	{"a bracket is missing", "areas: [{name: main, primary: a}]", "areas: [{name: main, primary: a}", "plant.yaml:8:"},
	{"an unknown field", "redundancy: {hold_off: 3s}", "redundancy: {hold_of: 3s}", "plant.yaml:6:14: redundancy.hold_of: unknown field"},
	{"a field twice", "redundancy: {hold_off: 3s}", "redundancy: {hold_off: 3s, hold_off: 4s}", "plant.yaml:6:"},
	{"no duration", "hold_off: 3s", "hold_off: soon", "plant.yaml:6:24: redundancy.hold_off: "},
	{"a duration out of range", "hold_off: 3s", "hold_off: 5h", "plant.yaml:6:14: redundancy.hold_off: "},
	{"a number for a list", "areas: [{name: main, primary: a}]", "areas: 7", "plant.yaml:7:8: areas: a list expected"},
	{"an unknown primary", "primary: a}", "primary: c}", "plant.yaml:7:"},
	{"a project without a name", "project: bubble", "project: \"\"", "plant.yaml:2:"},
	{"a bad project name", "project: bubble", "project: \"a b\"", "plant.yaml:2:1: project: "},
	{"one node", "  b: {links", "  #b: {links", "plant.yaml:3:"},
	{"a link with one end", `ded: "127.0.2.2:7401"`, `dad: "127.0.2.2:7401"`, "plant.yaml:"},
	{"an address twice", `http: "10.0.0.2:80"`, `http: "10.0.0.1:80"`, "plant.yaml:5:"},
	{"an address without a port", `http: "10.0.0.2:80"`, `http: "10.0.0.2"`, "plant.yaml:5:"},
	{"an unknown driver", "{name: other, driver: modbus, modbus:", "{name: other, driver: profibus, modbus:", "plant.yaml:10:"},
	{"a driver without its section", "{name: other, driver: modbus, modbus: {endpoints: [\"tcp://10.0.3.4:502\"], unit: 1, timeout: 500ms}}", "{name: other, driver: modbus}", "plant.yaml:10:"},
	{"a device twice", "{name: other, driver", "{name: plc, driver", "plant.yaml:10:"},
	{"a unit out of range", `10.0.3.4:502"], unit: 1`, `10.0.3.4:502"], unit: 256`, "plant.yaml:10:"},
	{"an endpoint that is none", "tcp://10.0.3.4:502", "carrier pigeon", "plant.yaml:10:"},
	{"a scan class too fast", "fast: 100ms", "fast: 1ms", "plant.yaml:11:16: scan_classes.fast: "},
	{"an unknown scan class", "address: \"hr:0\", type: uint16, scan: fast}\n  - {name: level", "address: \"hr:0\", type: uint16, scan: fats}\n  - {name: level", "plant.yaml:13:"},
	{"a tag twice", "{name: trip, device", "{name: level, device", "plant.yaml:15:"},
	{"a tag of no device", "{name: trip, device: plc", "{name: trip, device: nobody", "plant.yaml:15:"},
	{"an unknown type", "address: \"co:0\", type: bool", "address: \"co:0\", type: boolean", "plant.yaml:15:"},
	{"an address that is none", "address: \"co:0\"", "address: \"zz:0\"", "plant.yaml:15:"},
	{"a range upside down", "range: [0, 1000]", "range: [1000, 0]", "plant.yaml:14:"},
	{"a bad tag name", "{name: trip, device", "{name: \"tr ip\", device", "plant.yaml:15:"},
	{"an expression that does not compile", "2 * tag('counter')", "2 * tag('counter'", "plant.yaml:17:"},
	{"an expression of an unknown tag", "2 * tag('counter')", "2 * tag('nothing')", "plant.yaml:17:"},
	{"an alarm of an unknown tag", "{id: high, tag: level", "{id: high, tag: nothing", "plant.yaml:20:"},
	{"an alarm twice", "{id: slow, tag", "{id: high, tag", "plant.yaml:22:"},
	{"an alarm without limits", "type: level, limits: {Hi: 80}, deadband: 5,", "type: level,", "plant.yaml:20:"},
	{"an unknown limit", "limits: {Hi: 80}, deadband", "limits: {Huge: 80}, deadband", "plant.yaml:20:"},
	{"a tag file that is not there", "scan_classes:", "tag_files: [tags/*.csv]\nscan_classes:", "plant.yaml:11:"},
	{"a history shorter than a day", "scan_classes:", "history: {raw: 3h}\nscan_classes:", "plant.yaml:11:"},
	{"two documents", "scan_classes:", "---\nscan_classes:", "plant.yaml:"},
	{"nothing at all", hotPlant, "", "plant.yaml:1:1: "},
}

// TestBrokenFilesChangeNothing: each is told with file, line, column and path on the node asked, and neither node changes.
func TestBrokenFilesChangeNothing(t *testing.T) {
	hot(t, func(w *world) {
		before := w.counters("a", "plc")
		gen := w.node["a"].now()
		for _, c := range broken {
			plant := strings.Replace(hotPlant, c.old, c.new, 1)
			if plant == hotPlant {
				t.Errorf("%s: the plant is not broken", c.name)
				continue
			}
			cmd := api.ConfigCommand{Command: api.ConfigDeploy, Files: []api.ConfigFile{{Name: "plant.yaml", Text: plant}}}
			ans, err := w.node["b"].conf.Config(w.t.Context(), erika, cmd)
			if err != nil || len(ans.Errors) == 0 {
				t.Errorf("%s: %+v, %v", c.name, ans, err)
				continue
			}
			if e := ans.Errors[0]; !strings.HasPrefix(plantError(e).Error(), c.want) || e.Line < 1 || e.Col < 1 || e.Message == "" {
				t.Errorf("%s: %v, want %s", c.name, plantError(e), c.want)
			}
		}
		if w.node["a"].now() != gen || w.same() != nil {
			t.Error("something has changed")
		}
		if after := w.counters("a", "plc"); after.Reconnects != before.Reconnects || after.Overruns != before.Overruns {
			t.Errorf("the polling: %+v before, %+v after", before, after)
		}
		if list, err := w.node["a"].conf.ConfigRevisions(); err != nil || len(list.Revisions) != 1 {
			t.Errorf("revisions %+v, %v", list, err)
		}
	})
}

// TestChangedFilesDeployThemselves: a good file is deployed by the active, a bad one is told and changes nothing.
func TestChangedFilesDeployThemselves(t *testing.T) {
	hot(t, func(w *world) {
		write := func(plant string) {
			if err := os.WriteFile(w.cfg.Path, []byte(plant), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		first := w.node["a"].now().cfg.Digest
		write(strings.Replace(hotPlant, "Hi: 80", "Hi: eighty", 1))
		w.within(5*time.Second, "the mistake is in the journal", func() error {
			page, err := backend{w.node["b"]}.Journal(w.t.Context(), api.JournalQuery{Kind: "config", Limit: 10})
			if err == nil && (len(page.Entries) == 0 || page.Entries[0].User != "file" || !strings.Contains(page.Entries[0].Message, "plant.yaml:20:")) {
				err = fmt.Errorf("%+v", page.Entries)
			}
			return err
		})
		if w.node["a"].now().cfg.Digest != first {
			t.Error("a bad file has changed something")
		}
		write(strings.Replace(hotPlant, "Hi: 80", "Hi: 85", 1))
		w.within(5*time.Second, "both run what the file says", func() error {
			if w.node["a"].now().cfg.Digest == first {
				return fmt.Errorf("nothing has changed")
			}
			return w.same()
		})
		if rev := w.node["b"].conf.present(); rev.By != "file" {
			t.Errorf("the author is %s", rev.By)
		}
	})
}

// TestBothNodesChangedApart: the pair runs one revision, the other is kept until a person chooses.
func TestBothNodesChangedApart(t *testing.T) {
	hot(t, func(w *world) {
		if err := w.stopDead("b"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		offline := func(node, plant string) {
			cmd := api.ConfigCommand{Command: api.ConfigDeploy, OfflineEdit: true, Files: []api.ConfigFile{{Name: "plant.yaml", Text: plant}}}
			if ans, err := w.node[node].conf.Config(w.t.Context(), erika, cmd); err != nil || ans.Result != "deployed on one node" {
				t.Fatalf("%+v, %v", ans, err)
			}
		}
		offline("a", strings.Replace(hotPlant, "Hi: 80", "Hi: 85", 1))
		if err := w.stopDead("a"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		w.net.Power("b", true)
		w.start("b")
		w.within(30*time.Second, "b acts", w.roleIs("b", role.Active))
		offline("b", strings.Replace(hotPlant, "on_delay: 20", "on_delay: 30", 1))
		w.net.Power("a", true)
		w.start("a")
		w.within(30*time.Second, "a runs what b runs", w.same)
		digest := w.node["b"].now().cfg.Digest
		w.within(10*time.Second, "a says that somebody must choose", func() error {
			if why := fmt.Sprint(w.node["a"].health.Load().health.NotReady); !strings.Contains(why, "both nodes have changed the configuration") {
				return fmt.Errorf("not ready: %s", why)
			}
			return nil
		})
		time.Sleep(10 * time.Second)
		if err := w.roleIs("b", role.Active)(); err != nil {
			t.Errorf("it was handed back: %v", err)
		}
		list, err := w.node["a"].conf.ConfigRevisions()
		if x := list.Conflict; err != nil || x == nil || x.Base == "" || fmt.Sprint(x.Ours) != "[{alarms high changed limits map[Hi:{80 }] -> map[Hi:{85 }]}]" || len(x.Theirs) != 1 {
			t.Fatalf("%+v, %v", list.Conflict, err)
		}
		if ans, err := w.node["a"].conf.Config(w.t.Context(), erika, api.ConfigCommand{Command: api.ConfigRollback, Revision: list.Conflict.Own}); err != nil || ans.Result != "deployed" {
			t.Fatalf("choosing: %+v, %v", ans, err)
		}
		w.ready() // and a has its area back
		if err := w.same(); err != nil || w.node["a"].now().cfg.Digest == digest {
			t.Errorf("%v, digest %s", err, digest)
		}
	})
}

var deployments = flag.Int("deployments", 60, "how many deployments the test of what they leave behind makes")

// TestManyDeploymentsLeaveNothingBehind: goroutines, memory and files are those of the beginning.
func TestManyDeploymentsLeaveNothingBehind(t *testing.T) {
	hot(t, func(w *world) {
		change := func(i int) {
			plant := strings.Replace(hotPlant, "tags:\n", fmt.Sprintf("tags:\n  - {name: aaa/%d, device: plc, address: \"hr:1\", type: uint16, scan: fast}\n", i%3), 1)
			w.deploy("a", plant)
		}
		measure := func() (goroutines int, heap uint64, files int) {
			time.Sleep(10 * time.Second)
			var m runtime.MemStats
			runtime.GC()
			runtime.GC()
			runtime.ReadMemStats(&m)
			open, _ := filepath.Glob("/proc/self/fd/*")
			return runtime.NumGoroutine(), m.HeapAlloc, len(open)
		}
		n := *deployments
		for i := range 21 {
			change(i)
		}
		g0, h0, f0 := measure()
		for i := range n {
			change(i)
		}
		g1, h1, f1 := measure()
		t.Logf("%d deployments: goroutines %d -> %d, heap %d -> %d KiB, files %d -> %d", n, g0, g1, h0>>10, h1>>10, f0, f1)
		if g1 > g0+5 || f1 > f0+5 || h1 > h0+h0/2+8<<20 {
			t.Errorf("something stays: goroutines %d -> %d, heap %d -> %d, files %d -> %d", g0, g1, h0, h1, f0, f1)
		}
	})
}

// TestOneDeviceOfFifty: when one of 50 devices changes, no other misses a slot, reconnects or loses its counters.
func TestOneDeviceOfFifty(t *testing.T) {
	const n = 50
	var devices, tags strings.Builder
	for i := range n {
		fmt.Fprintf(&devices, "  - {name: d%d, driver: modbus, modbus: {endpoints: [\"tcp://10.0.9.%d:502\"], unit: 1, timeout: 500ms}}\n", i, i+1)
		fmt.Fprintf(&tags, "  - {name: d%d/value, device: d%d, address: \"hr:0\", type: uint16, scan: fast}\n", i, i)
	}
	plant := hotPlant[:strings.Index(hotPlant, "devices:")] + "devices:\n" + devices.String() + "scan_classes: {fast: 100ms}\ntags:\n" + tags.String() + "web: {insecure: true}\n"
	bubbleOf(t, plant, func(w *world) {
		ctx, cancel := context.WithCancel(w.t.Context())
		var running sync.WaitGroup
		defer func() { cancel(); running.Wait() }()
		for i := range n {
			device := plc.New(plc.Options{
				Name: fmt.Sprintf("d%d", i), Address: fmt.Sprintf("10.0.9.%d:502", i+1), Units: map[uint8]plc.Unit{1: {Device: "d", Bank: w.bank}},
				Latency: time.Millisecond, Listen: w.net.Host(fmt.Sprintf("field%d", i)).Listen,
			})
			running.Go(func() { _ = device.Run(ctx) })
		}
		w.ready()
		time.Sleep(2 * time.Second)
		before := map[string]acquisition.Counters{}
		for i := range n {
			before[fmt.Sprintf("d%d", i)] = w.counters("a", fmt.Sprintf("d%d", i))
		}
		ans := w.deploy("a", strings.Replace(plant, `{name: d7/value, device: d7, address: "hr:0"`, `{name: a7/renamed, device: d7, address: "hr:1"`, 1))
		if fmt.Sprint(ans.Reconnects) != "[d7]" {
			t.Errorf("%v reconnect", ans.Reconnects)
		}
		time.Sleep(2 * time.Second)
		for name, was := range before {
			is := w.counters("a", name)
			if name == "d7" {
				continue
			}
			if is.Overruns != was.Overruns || is.Reconnects != was.Reconnects || is.Timeouts != was.Timeouts || is.Requests < was.Requests+20 {
				t.Errorf("%s: %+v before, %+v after", name, was, is)
			}
		}
	})
}
