package server

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"scada/acquisition/tag"
	"scada/alarms"
	"scada/cmd/internal/config"
	"scada/history/journal"
	"scada/redundancy/resource"
	"scada/redundancy/role"
	"scada/simulators/memnet"
	"scada/simulators/plc"
	"scada/web"
	"scada/web/api"
)

const bubblePlant = `
project: bubble
nodes:
  a: {links: {lan: "127.0.1.1:7401", ded: "127.0.2.1:7401"}, http: "10.0.0.1:80", data: a}
  b: {links: {lan: "127.0.1.2:7401", ded: "127.0.2.2:7401"}, http: "10.0.0.2:80", data: b}
web: {insecure: true}
redundancy: {hold_off: 3s}
areas: [{name: main, primary: a}]
devices:
  - {name: plc, driver: modbus, modbus: {endpoints: ["tcp://10.0.3.3:502"], unit: 1, timeout: 500ms}}
scan_classes: {fast: 100ms}
tags:
  - {name: counter, device: plc, address: "hr:0", type: uint16, scan: fast}
  - {name: level, device: plc, address: "hr:1", type: uint16, scan: fast, writable: true, range: [0, 1000]}
  - {name: trip, device: plc, address: "co:0", type: bool, scan: fast}
alarms:
  list:
    - {id: high, tag: level, type: level, limits: {Hi: 80}, deadband: 5, priority: 2}
    - {id: tripped, tag: trip, type: discrete, normal: [0], priority: 1}
    - {id: slow, tag: level, type: level, limits: {Hi: 80}, on_delay: 20, priority: 3}
`

// bankSize is how many registers the controller has, with those of a witness.
const bankSize = 64

// world is a pair, a controller and the networks between them, inside a bubble.
type world struct {
	t    *testing.T
	net  *memnet.Network
	bank *plc.Memory // of unit 1
	more *plc.Memory // of unit 2, where a plant has one
	cfg  *config.Config
	node map[string]*Server
	stop map[string]func() error

	resource func(node string, c config.Resource) (resource.Resource, error)
	version  string    // of nodes started from now on; "test" by default
	notice   io.Writer // of nodes started from now on
	logTo    io.Writer // the whole log of nodes started from now on
}

func newWorldOf(t *testing.T, plant string, res func(node string, c config.Resource) (resource.Resource, error)) *world {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "plant.yaml")
	if err := os.WriteFile(path, []byte(plant), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, resource: res, net: memnet.New(), bank: plc.NewMemory(bankSize), more: plc.NewMemory(bankSize), cfg: cfg, node: map[string]*Server{}, stop: map[string]func() error{}}
	device := plc.New(plc.Options{
		Name: "plc", Address: "10.0.3.3:502", Units: map[uint8]plc.Unit{1: {Device: "plc", Bank: w.bank}, 2: {Device: "plc2", Bank: w.more}}, Latency: time.Millisecond,
		Listen: w.net.Host("field").Listen,
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- device.Run(ctx) }()
	go w.count(ctx)
	w.stop["field"] = func() error { cancel(); return <-done }
	w.start("a")
	w.start("b")
	return w
}

// count is the process: a register that counts ten times a second.
func (w *world) count(ctx context.Context) {
	tick := time.NewTicker(100*time.Millisecond + 7*time.Microsecond)
	defer tick.Stop()
	for n := uint16(0); ; n++ {
		w.bank.Set(plc.HoldingRegisters, 0, n)
		w.more.Set(plc.HoldingRegisters, 0, n)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (w *world) start(name string) {
	w.t.Helper()
	host := w.net.Host(name)
	log := slog.New(slog.DiscardHandler)
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(w.t.Output(), nil))
	}
	if w.logTo != nil {
		log = slog.New(slog.NewTextHandler(w.logTo, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	opts := Options{Config: w.cfg, Node: name, Version: cmp.Or(w.version, "test"), Log: log, Dial: host.Dial, Listen: host.Listen, Notice: w.notice}
	if w.resource != nil {
		opts.Resource = func(c config.Resource) (resource.Resource, error) { return w.resource(name, c) }
	}
	s, err := New(opts)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	w.node[name] = s
	w.stop[name] = func() error { cancel(); return <-done }
}

func (w *world) end() {
	for _, name := range []string{"a", "b", "field"} {
		if err := w.stop[name](); err != nil {
			w.t.Errorf("stopping %s: %v", name, err)
		}
	}
}

// within waits in virtual time until check passes and returns how long it took.
func (w *world) within(limit time.Duration, what string, check func() error) time.Duration {
	w.t.Helper()
	began := time.Now()
	for {
		synctest.Wait()
		err := check()
		took := time.Since(began)
		if err == nil {
			return took
		}
		if took > limit {
			w.t.Fatalf("after %s still not: %s: %v", limit, what, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (w *world) roleIs(name string, want role.Role) func() error {
	return func() error {
		if st := w.node[name].pair.Status().Areas[0]; st.Role != want {
			return fmt.Errorf("%s is %s (%s)", name, st.Role, st.Reason)
		}
		return nil
	}
}

func (w *world) ready() {
	w.t.Helper()
	w.within(30*time.Second, "a is active, b mirrors it", func() error {
		for name, want := range map[string]role.Role{"a": role.Active, "b": role.Standby} {
			if err := w.roleIs(name, want)(); err != nil {
				return err
			}
			if ok, why := (backend{w.node[name]}).Ready(""); !ok {
				return fmt.Errorf("%s is not ready: %v", name, why)
			}
		}
		return nil
	})
	time.Sleep(time.Second) // both know of each other that they are ready
}

func (w *world) value(name, tagName string) tag.Sample {
	return w.node[name].now().last(tagName)
}

// counts checks that the counter moves on the node, with good quality.
func (w *world) counts(name string) func() error {
	before := w.value(name, "counter")
	return func() error {
		s := w.value(name, "counter")
		if s.Quality != tag.Good || s.Value == before.Value {
			return fmt.Errorf("the counter on %s is %s %s", name, s.Value, s.Quality)
		}
		return nil
	}
}

func (w *world) alarm(name, id, want string) func() error {
	return func() error {
		area, _ := w.node[name].alarmArea(id)
		list := w.node[name].areas[area].conditions(alarms.Filter{Condition: id})
		if len(list) != 1 {
			return fmt.Errorf("%d conditions %s", len(list), id)
		}
		c := list[0]
		if got := c.State.String(); got != want {
			return fmt.Errorf("alarm %s on %s is %s, want %s", id, name, got, want)
		}
		return nil
	}
}

func bubble(t *testing.T, f func(w *world)) { bubbleOf(t, bubblePlant, f) }

func bubbleOf(t *testing.T, plant string, f func(w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldOf(t, plant, nil)
		f(w)
		w.end()
	})
}

func TestPairMirrorsValuesAndAlarms(t *testing.T) {
	bubble(t, func(w *world) {
		w.ready()
		w.within(time.Second, "b shows the counter move", w.counts("b"))
		w.bank.Set(plc.HoldingRegisters, 1, 90)
		w.bank.Set(plc.Coils, 0, 1)
		for _, node := range []string{"a", "b"} {
			w.within(3*time.Second, "both show the alarms", w.alarm(node, "high", "UNACK"))
			w.within(3*time.Second, "both show the alarms", w.alarm(node, "tripped", "UNACK"))
		}
		w.sameArchives()
	})
}

// TestPowerLossOfTheActive: b takes over, raises what happens meanwhile, and a gets everything back when it returns.
func TestPowerLossOfTheActive(t *testing.T) {
	bubble(t, func(w *world) {
		w.ready()
		w.bank.Set(plc.HoldingRegisters, 1, 90) // slow waits 20 s from here on
		began := time.Now()
		time.Sleep(5 * time.Second)
		if err := w.stopDead("a"); err != nil {
			w.t.Log(err)
		}
		took := w.within(5*time.Second, "b is active", w.roleIs("b", role.Active))
		if took > 700*time.Millisecond {
			w.t.Errorf("b took over after %s, want 5 x 100 ms", took)
		}
		w.within(time.Second, "b polls", w.counts("b"))
		w.bank.Set(plc.Coils, 0, 1)
		w.within(2*time.Second, "b raises the alarm", w.alarm("b", "tripped", "UNACK"))
		raised := w.within(25*time.Second, "the delay that began on a ends on b", w.alarm("b", "slow", "UNACK"))
		_ = raised
		if total := time.Since(began); total < 20*time.Second || total > 21*time.Second {
			w.t.Errorf("the delayed alarm came %s after its cause, want 20 s", total)
		}
		w.net.Power("a", true)
		w.start("a")
		w.ready()
		if sw := w.node["a"].pair.Status().LastSwitch; sw == nil || sw.Kind != role.HandBack {
			w.t.Errorf("the last switch is %+v, want a hand-back", sw)
		}
		w.sameArchives()
	})
}

func TestWriteAndAcknowledgeThroughTheStandby(t *testing.T) {
	bubble(t, func(w *world) {
		w.ready()
		standby := backend{w.node["b"]}
		id, _ := w.cfg.Lookup("level")
		v, err := tag.Parse(tag.TypeUint16, "95")
		if err != nil {
			w.t.Fatal(err)
		}
		by := web.Actor{User: "olga", Role: web.Operator, Remote: "10.0.0.9"}
		res, err := standby.WriteTag(w.t.Context(), by, web.Write{Tag: w.cfg.Tags[id], Value: v, Deadline: time.Now().Add(5 * time.Second)})
		if err != nil || res.Result != api.WriteConfirmed || res.Node != "a" {
			w.t.Fatalf("%+v, %v", res, err)
		}
		if got := w.bank.Get(plc.HoldingRegisters, 1, 1)[0]; got != 95 {
			w.t.Fatalf("the controller has %d", got)
		}
		w.within(2*time.Second, "the alarm is on b", w.alarm("b", "high", "UNACK"))
		results, err := standby.AlarmCommand(w.t.Context(), by, api.AlarmCommand{Command: api.AlarmAck, Alarms: []api.AlarmRef{{ID: "high", Occurrence: 1}}, Comment: "seen"})
		if err != nil || len(results) != 1 || results[0].Result != api.AlarmOK {
			w.t.Fatalf("%+v, %v", results, err)
		}
		for _, node := range []string{"a", "b"} {
			w.within(time.Second, "both show it acknowledged", w.alarm(node, "high", "ACKED"))
		}
		w.sameArchives()
	})
}

func TestPlannedSwitchMissesNoSlot(t *testing.T) {
	bubble(t, func(w *world) {
		w.ready()
		if err := w.node["b"].pair.Switch(w.t.Context(), "main", "test"); err != nil {
			w.t.Fatal(err)
		}
		if err := w.roleIs("b", role.Active)(); err != nil {
			w.t.Fatal(err)
		}
		w.within(time.Second, "b polls", w.counts("b"))
		w.within(2*time.Second, "the record is complete", func() error {
			sw := w.node["b"].pair.Status().LastSwitch
			if sw == nil || sw.Kind != role.Planned || sw.FirstValue == 0 {
				return fmt.Errorf("%+v", sw)
			}
			if sw.MissedSlots != 0 || sw.Duplicates != 0 {
				w.t.Errorf("%d slots missed, %d samples twice", sw.MissedSlots, sw.Duplicates)
			}
			return nil
		})
		w.sameArchives()
	})
}

// stopDead takes a node away as a power loss does: nothing it sends arrives any more, and then it is gone.
func (w *world) stopDead(name string) error {
	w.net.Power(name, false)
	stop := w.stop[name]
	done := make(chan error, 1)
	go func() { done <- stop() }()
	w.stop[name] = func() error { return nil }
	go func() { <-done }()
	return nil
}

// sameArchives compares journals and histories of both nodes.
func (w *world) sameArchives() {
	w.t.Helper()
	w.within(20*time.Second, "both journals are equal", func() error {
		pages := map[string]map[alarms.Key]journal.Entry{}
		for _, node := range []string{"a", "b"} {
			page, err := w.node[node].journal.Query(journal.Query{Limit: journal.MaxPage})
			if err != nil {
				return err
			}
			pages[node] = map[alarms.Key]journal.Entry{}
			for _, e := range page.Entries {
				pages[node][e.Key] = e
			}
		}
		for _, pair := range [][2]string{{"a", "b"}, {"b", "a"}} {
			for key, e := range pages[pair[0]] {
				if _, ok := pages[pair[1]][key]; !ok {
					return fmt.Errorf("only on %s: %+v", pair[0], e)
				}
			}
		}
		return nil
	})
	to := time.Now().Add(-time.Second).UnixNano()
	w.within(20*time.Second, "both histories are equal", func() error {
		a, err := w.node["a"].store.Digest(w.t.Context(), nil, 0, to)
		if err != nil {
			return err
		}
		b, err := w.node["b"].store.Digest(w.t.Context(), nil, 0, to)
		if err != nil {
			return err
		}
		if a != b || a.Samples == 0 {
			return fmt.Errorf("digests %+v and %+v", a, b)
		}
		return nil
	})
}

// TestCommandRightAfterASwitch: the node that was active a moment ago does not refuse a command because it has not heard
// the new active yet; and the operator who ordered the switch gets its record, not that of the one before.
func TestCommandRightAfterASwitch(t *testing.T) {
	bubble(t, func(w *world) {
		w.ready()
		old := backend{w.node["a"]}
		by := web.Actor{User: "olga", Role: web.Admin, Remote: "10.0.0.9"}
		res, err := old.RoleCommand(w.t.Context(), by, api.RoleCommand{Verb: api.VerbSwitch, Area: "main"})
		if err != nil || res.Switch == nil || res.Switch.Kind != "planned" || res.Switch.To != "b" {
			w.t.Errorf("%+v %+v, %v", res, res.Switch, err)
		}
		time.Sleep(3 * time.Second) // a follows the stream of b
		if err := w.node["b"].pair.Switch(w.t.Context(), "main", "and back"); err != nil {
			w.t.Error(err)
		}
		id, _ := w.cfg.Lookup("level")
		v, err := tag.Parse(tag.TypeUint16, "95")
		if err != nil {
			w.t.Fatal(err)
		}
		done, err := backend{w.node["b"]}.WriteTag(w.t.Context(), by, web.Write{Tag: w.cfg.Tags[id], Value: v, Deadline: time.Now().Add(5 * time.Second)})
		if err != nil || done.Result != api.WriteConfirmed || done.Node != "a" {
			w.t.Errorf("%+v, %v", done, err)
		}
	})
}
