package server

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"scada/acquisition"
	"scada/cmd/internal/config"
	"scada/history"
	"scada/redundancy/role"
	"scada/simulators/plc"
	"scada/web"
	"scada/web/api"
)

// hotPlant has a device that is changed, others that must not notice, and calculated tags.
const hotPlant = `
project: bubble
nodes:
  a: {links: {lan: "127.0.1.1:7401", ded: "127.0.2.1:7401"}, http: "10.0.0.1:80", data: a}
  b: {links: {lan: "127.0.1.2:7401", ded: "127.0.2.2:7401"}, http: "10.0.0.2:80", data: b}
redundancy: {hold_off: 3s}
areas: [{name: main, primary: a}]
devices:
  - {name: plc, driver: modbus, modbus: {endpoints: ["tcp://10.0.3.3:502"], unit: 1, timeout: 500ms}}
  - {name: other, driver: modbus, modbus: {endpoints: ["tcp://10.0.3.4:502"], unit: 1, timeout: 500ms}}
scan_classes: {fast: 100ms}
tags:
  - {name: counter, device: plc, address: "hr:0", type: uint16, scan: fast}
  - {name: level, device: plc, address: "hr:1", type: uint16, scan: fast, writable: true, range: [0, 1000]}
  - {name: trip, device: plc, address: "co:0", type: bool, scan: fast}
  - {name: other/counter, device: other, address: "hr:0", type: uint16, scan: fast, writable: true}
  - {name: double, expr: "2 * tag('counter')", scan: fast}
alarms:
  list:
    - {id: high, tag: level, type: level, limits: {Hi: 80}, deadband: 5, priority: 2}
    - {id: tripped, tag: trip, type: discrete, normal: [0], priority: 1}
    - {id: slow, tag: level, type: level, limits: {Hi: 80}, on_delay: 20, priority: 3}
web: {insecure: true}
`

var erika = web.Actor{User: "erika", Role: web.Engineer, Remote: "10.0.0.9"}

// hot is a bubble with a second controller.
func hot(t *testing.T, f func(w *world)) {
	bubbleOf(t, hotPlant, func(w *world) {
		device := plc.New(plc.Options{
			Name: "other", Address: "10.0.3.4:502", Units: map[uint8]plc.Unit{1: {Device: "other", Bank: w.more}}, Latency: time.Millisecond,
			Listen: w.net.Host("field2").Listen,
		})
		ctx, cancel := context.WithCancel(w.t.Context())
		done := make(chan error, 1)
		go func() { done <- device.Run(ctx) }()
		defer func() { cancel(); <-done }()
		w.ready()
		f(w)
	})
}

func (w *world) config(node, command, plant string) (api.ConfigAnswer, error) {
	cmd := api.ConfigCommand{Command: command, Comment: "a test"}
	if plant != "" {
		cmd.Files = []api.ConfigFile{{Name: "plant.yaml", Text: plant}}
	}
	return w.node[node].conf.Config(w.t.Context(), erika, cmd)
}

// deploy deploys a plant and expects that both nodes run it.
func (w *world) deploy(node, plant string) api.ConfigAnswer {
	w.t.Helper()
	ans, err := w.config(node, api.ConfigDeploy, plant)
	if err != nil || ans.Result != "deployed" {
		w.t.Fatalf("deploying on %s: %+v, %v", node, ans, err)
	}
	if err := w.same(); err != nil {
		w.t.Fatal(err)
	}
	return ans
}

// same checks that both nodes run the same revision.
func (w *world) same() error {
	a, b := w.node["a"], w.node["b"]
	if x, y := a.conf.present(), b.conf.present(); x.ID != y.ID && x.Digest != y.Digest {
		return fmt.Errorf("a has revision %s, b %s", x.ID, y.ID)
	}
	if x, y := a.now().cfg.Digest, b.now().cfg.Digest; x != y || x != a.conf.present().Digest || y != b.conf.present().Digest {
		return fmt.Errorf("a runs %s, b %s; stored are %s and %s", x, y, a.conf.present().Digest, b.conf.present().Digest)
	}
	return nil
}

func (w *world) counters(node, device string) acquisition.Counters {
	for _, d := range w.node[node].areas["main"].group.Status() {
		if d.Device == device {
			return d.Counters
		}
	}
	w.t.Errorf("no device %s", device)
	return acquisition.Counters{}
}

// TestAChangedDeviceAlonePollsAnew: tags get other numbers, and a device that was not touched misses no slot, keeps its
// connection and its counters; its samples go to its own tags on both nodes.
func TestAChangedDeviceAlonePollsAnew(t *testing.T) {
	hot(t, func(w *world) {
		w.bank.Set(plc.HoldingRegisters, 1, 90)
		w.bank.Set(plc.Coils, 0, 1)
		w.within(3*time.Second, "the alarms are on b", w.alarm("b", "tripped", "UNACK"))
		time.Sleep(5 * time.Second)
		before, replaced := w.counters("a", "other"), w.counters("a", "plc")
		plant := strings.Replace(hotPlant, "tags:\n", "tags:\n  - {name: aaa/new, device: plc, address: \"hr:1\", type: uint16, scan: fast}\n", 1)
		plant = strings.Replace(plant, "  - {name: trip, device", "  - {name: zzz/trip, device", 1)
		plant = strings.Replace(plant, "    - {id: tripped, tag: trip, type: discrete, normal: [0], priority: 1}\n", "    - {id: low, tag: aaa/new, type: level, limits: {Lo: 95}, priority: 1}\n", 1)
		ans := w.deploy("b", plant) // through the standby
		if got := fmt.Sprint(ans.Reconnects); got != "[plc]" {
			w.t.Errorf("%s reconnect, want [plc]", got)
		}
		for _, node := range []string{"a", "b"} {
			w.within(time.Second, "the new tag has a value on "+node, func() error {
				if s := w.value(node, "aaa/new"); s.Value.Number() != 90 {
					return fmt.Errorf("aaa/new is %s %s", s.Value, s.Quality)
				}
				return nil
			})
			w.within(time.Second, "the counter moves on "+node, w.counts(node))
			w.within(time.Second, "the other counter is its own", func() error {
				if x, y := w.value(node, "other/counter").Value.Number(), w.value(node, "counter").Value.Number(); x < y-2 || x > y+2 || x == 90 {
					return fmt.Errorf("other/counter is %v, counter %v", x, y)
				}
				return nil
			})
			w.within(time.Second, "the calculated tag goes on", func() error {
				if x, y := w.value(node, "double").Value.Number(), w.value(node, "counter").Value.Number(); x < 2*y-4 || x > 2*y {
					return fmt.Errorf("double is %v, counter %v", x, y)
				}
				return nil
			})
			w.within(time.Second, "the state of an alarm survives", w.alarm(node, "high", "UNACK"))
			w.within(time.Second, "a new alarm is judged", w.alarm(node, "low", "UNACK"))
			if _, there := w.node[node].alarmArea("tripped"); there {
				w.t.Errorf("a removed alarm is still on %s", node)
			}
		}
		time.Sleep(2 * time.Second)
		after := w.counters("a", "other")
		if after.Overruns != before.Overruns || after.Reconnects != before.Reconnects || after.Requests < before.Requests+20 {
			w.t.Errorf("the untouched device: %+v before, %+v after", before, after)
		}
		if c := w.counters("a", "plc"); c.Requests >= replaced.Requests {
			w.t.Errorf("the changed device was not made anew: %+v", c)
		}
		if err := w.gapless("other/counter"); err != nil {
			w.t.Error(err)
		}
		w.sameArchives()
	})
}

// gapless checks that the recorded samples of a tag on node a are one every 100 ms.
func (w *world) gapless(name string) error {
	page, err := w.node["a"].store.Raw(w.t.Context(), name, time.Now().Add(-3*time.Second).UnixNano(), time.Now().UnixNano(), 0, history.Cursor{})
	if err != nil {
		return err
	}
	for i := 1; i < len(page.Samples); i++ {
		if d := time.Duration(page.Samples[i].Time - page.Samples[i-1].Time); d > 150*time.Millisecond {
			return fmt.Errorf("%s has no sample for %s", name, d)
		}
	}
	if len(page.Samples) < 25 {
		return fmt.Errorf("%s has %d samples", name, len(page.Samples))
	}
	return nil
}

func TestRollbackAndRevisions(t *testing.T) {
	hot(t, func(w *world) {
		first := w.node["a"].now().cfg.Digest
		w.deploy("a", strings.Replace(hotPlant, "Hi: 80", "Hi: 95", 2))
		w.within(time.Second, "ready", func() error { return nil })
		if _, err := w.config("b", api.ConfigRollback, ""); err != nil {
			w.t.Fatal(err)
		}
		if err := w.same(); err != nil || w.node["b"].now().cfg.Digest != first {
			w.t.Errorf("after the way back: %v, digest %s, want %s", err, w.node["b"].now().cfg.Digest, first)
		}
		for i := range 15 {
			w.deploy("a", strings.Replace(hotPlant, "Hi: 80", fmt.Sprintf("Hi: %d", 100+i), 2))
		}
		for _, node := range []string{"a", "b"} {
			list, err := w.node[node].conf.ConfigRevisions()
			if err != nil || len(list.Revisions) != keptRevisions || !list.Revisions[0].Current || list.Revisions[0].By != "erika" || list.Revisions[0].Comment != "a test" {
				w.t.Errorf("revisions on %s: %+v, %v", node, list, err)
			}
		}
		// A node that starts again runs what it ran, although the file says something else.
		digest := w.node["b"].now().cfg.Digest
		if err := w.stop["b"](); err != nil {
			w.t.Fatal(err)
		}
		w.start("b")
		w.ready()
		if got := w.node["b"].now().cfg.Digest; got != digest {
			w.t.Errorf("b runs %s after a restart, want %s", got, digest)
		}
	})
}

func TestWhatCannotBeHotIsRefused(t *testing.T) {
	hot(t, func(w *world) {
		_, err := w.config("a", api.ConfigDeploy, strings.Replace(hotPlant, "hold_off: 3s", "hold_off: 4s", 1))
		if err == nil || !strings.Contains(err.Error(), "needs a restart of each node: redundancy changed") {
			w.t.Errorf("%v", err)
		}
		w.net.Power("b", false)
		time.Sleep(time.Second)
		plant := strings.Replace(hotPlant, "Hi: 80", "Hi: 95", 2)
		if _, err := w.config("a", api.ConfigDeploy, plant); err == nil || !strings.Contains(err.Error(), "b is not heard") {
			w.t.Errorf("without the other node: %v", err)
		}
		ans, err := w.node["a"].conf.Config(w.t.Context(), erika, api.ConfigCommand{Command: api.ConfigDeploy, OfflineEdit: true, Files: []api.ConfigFile{{Name: "plant.yaml", Text: plant}}})
		if err != nil || ans.Result != "deployed on one node" {
			w.t.Errorf("%+v, %v", ans, err)
		}
		if err := w.stop["b"](); err != nil {
			w.t.Log(err)
		}
		w.net.Power("b", true)
		w.start("b")
		w.ready()
		if err := w.same(); err != nil {
			w.t.Error(err)
		}
		w.sameArchives()
	})
}

var errCrash = errors.New("killed")

// TestKilledInTheMiddleOfADeployment: whichever node dies at whichever step, both run one revision afterwards, with what
// belongs to it.
func TestKilledInTheMiddleOfADeployment(t *testing.T) {
	for _, c := range []struct{ node, step string }{
		{"a", "checked"}, {"a", "staged"}, {"a", "stored"}, {"a", "adopted"}, {"b", "tried"}, {"b", "stored"},
	} {
		t.Run(c.node+" "+c.step, func(t *testing.T) {
			hot(t, func(w *world) {
				w.node[c.node].conf.step = func(step string) error {
					if step != c.step {
						return nil
					}
					w.net.Power(c.node, false)
					return errCrash
				}
				old := w.node["a"].now().cfg.Digest
				ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
				defer cancel()
				plant := strings.Replace(hotPlant, "tags:\n", "tags:\n  - {name: aaa/new, device: other, address: \"hr:5\", type: uint16, scan: fast}\n", 1)
				_, err := w.node["a"].conf.Config(ctx, erika, api.ConfigCommand{Command: api.ConfigDeploy, Files: []api.ConfigFile{{Name: "plant.yaml", Text: plant}}})
				w.t.Logf("the engineer was told: %v", err)
				if err := w.stopDead(c.node); err != nil {
					w.t.Log(err)
				}
				time.Sleep(5 * time.Second)
				peer := map[string]string{"a": "b", "b": "a"}[c.node]
				w.within(5*time.Second, peer+" acts", w.roleIs(peer, role.Active))
				w.net.Power(c.node, true)
				w.start(c.node)
				w.within(time.Minute, "both run one revision", func() error {
					if err := w.same(); err != nil {
						return err
					}
					if w.node[c.node].conf.apart() {
						return fmt.Errorf("%s has a revision of its own", c.node)
					}
					return nil
				})
				w.ready()
				now := w.node["a"].now()
				if _, there := now.cfg.Lookup("aaa/new"); there == (now.cfg.Digest == old) || now.live.Len() != len(now.cfg.Tags) {
					w.t.Errorf("a mix: digest %s, before %s, %d tags", now.cfg.Digest, old, len(now.cfg.Tags))
				}
				w.within(time.Second, "b shows the counter move", w.counts("b"))
				w.sameArchives()
			})
		})
	}
}

// apart reports whether the node has a revision the other one does not follow.
func (c *configurator) apart() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.own != nil
}

// plantError is how a mistake is told.
func plantError(e api.ConfigError) error {
	return config.Error{Position: config.Position{File: e.File, Line: e.Line, Col: e.Col}, Path: e.Path, Message: e.Message}
}
