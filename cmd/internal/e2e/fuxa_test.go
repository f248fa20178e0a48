//go:build e2e

package e2e

import (
	"bufio"
	"encoding/csv"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"scada/simulators/plc"
	"scada/web"
	"scada/web/api"
)

var (
	fuxaDir  = flag.String("fuxa", "", "folder into which FUXA, modbus-serial and socket.io-client were installed by npm; empty leaves TestBesideFUXA out")
	fuxaTime = flag.Duration("fuxa.time", 20*time.Second, "time to measure each case of TestBesideFUXA for")
)

const (
	peerClients = 100
	peerShown   = 200
	silenceTime = 15 * time.Second // longer than anybody should look at an old value
)

// TestBesideFUXA has FUXA and a pair of ours poll the same simulated device, one after the other, and says what each keeps of
// it. It measures and asserts nothing about speed: make bench-web runs it.
func TestBesideFUXA(t *testing.T) {
	if *fuxaDir == "" {
		t.Skip("a measurement: go test -tags e2e ./cmd/internal/e2e -run TestBesideFUXA -fuxa DIR")
	}
	t.Run("FUXA", func(t *testing.T) {
		device, bank := newPeerDevice(t)
		f := startFUXA(t)
		f.project(device, false)
		c := candidate{device: device, bank: bank, pid: f.cmd.Process.Pid, watch: func(tags []string) *watcher { return watchFUXA(t, f.port, tags) }}
		c.measure(t)
		c.silence(t)
		f.lateWrite(bank) // starts it again, too
		c.pid = f.cmd.Process.Pid
		f.project(device, true)
		for began := time.Now(); f.rows() == 0 && time.Since(began) < time.Minute; {
			time.Sleep(time.Second) // it enters the names of the tags first
		}
		before := f.rows()
		c.record(t, func(from, to time.Time) string {
			n, all := f.rows()-before, peerTags*int(to.Sub(from).Seconds())
			return fmt.Sprintf("%d of %d values, %.1f %%", n, all, 100*float64(n)/float64(all))
		})
	})
	t.Run("pair", func(t *testing.T) {
		device, bank := newPeerDevice(t)
		r, tokens := peerPair(t, device.Addr().String())
		n := 0
		c := candidate{device: device, bank: bank, pid: r.procs["a"].Process.Pid, watch: func(tags []string) *watcher {
			n++
			return watchOurs(t, r.url("a"), tokens[n%len(tokens)], tags)
		}}
		c.measure(t)
		c.silence(t)
		c.record(t, r.recorded)
	})
}

// candidate is one of the two.
type candidate struct {
	device *plc.Server
	bank   *secondsBank
	pid    int
	watch  func(tags []string) *watcher
}

// measure takes cycles, delay and bytes with one client, and the cost of a hundred.
func (c candidate) measure(t *testing.T) {
	w := c.watch(shown(peerShown))
	for began := time.Now(); len(w.delays()) < 5; time.Sleep(100 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatal("no values")
		}
	}
	w.reset()
	cycles, began := c.bank.polled(), time.Now()
	before, _ := usage(t, c.pid)
	time.Sleep(*fuxaTime)
	took := time.Since(began).Seconds()
	after, _ := usage(t, c.pid)
	alone := 100 * (after - before).Seconds() / took
	t.Logf("%d tags of one device at 1 s: %.0f %% of the cycles", peerTags, 100*float64(c.bank.polled()-cycles)/took)
	t.Logf("one client, %d tags: %s bytes a value; register to client %s, answer of the device to client %s; server %.1f %% of a core with the polling", peerShown, w.perValue(),
		spread(w.delays()), spread(c.bank.after(w.freshValues())), alone)

	all := []*watcher{w}
	for range peerClients - 1 {
		all = append(all, c.watch(shown(peerShown)))
	}
	time.Sleep(3 * time.Second)
	for _, x := range all {
		x.reset()
	}
	before, _ = usage(t, c.pid)
	began = time.Now()
	time.Sleep(*fuxaTime)
	after, mb := usage(t, c.pid)
	share := 100 * (after - before).Seconds() / time.Since(began).Seconds()
	var delays, answers []time.Duration
	for _, x := range all {
		delays, answers = append(delays, x.delays()...), append(answers, c.bank.after(x.freshValues())...)
	}
	t.Logf("%d clients with %d tags: server %.1f %% of a core with the polling, %.1f more than with one, %d MB; register to client %s, answer of the device to client %s",
		peerClients, peerShown, share, share-alone, mb, spread(delays), spread(answers))
}

// record takes what is stored of values that all change once a second, and the memory that costs.
func (c candidate) record(t *testing.T, stored func(from, to time.Time) string) {
	c.polling(t, 3)
	_, before := usage(t, c.pid)
	from := time.Now()
	time.Sleep(2 * *fuxaTime)
	to := time.Now()
	_, after := usage(t, c.pid)
	t.Logf("%d values/s recorded for %.0f s: %s; memory %d -> %d MB", peerTags, to.Sub(from).Seconds(), stored(from, to), before, after)
}

// silence takes how long it is until a client is told that the device says nothing any more.
func (c candidate) silence(t *testing.T) {
	w := c.watch(shown(peerShown))
	c.polling(t, 2)
	w.reset()
	if err := c.device.Inject(plc.Fault{Kind: plc.Silent}); err != nil {
		t.Fatal(err)
	}
	silent := time.Now()
	for w.marked().IsZero() && time.Since(silent) < silenceTime {
		time.Sleep(10 * time.Millisecond)
	}
	if w.marked().IsZero() {
		t.Logf("device silent: no mark on its values within %v", silenceTime)
	} else {
		t.Logf("device silent: marked after %v", w.marked().Sub(silent).Round(10*time.Millisecond))
	}
	c.device.Clear(peerUnit)
	c.device.Clear(0)
}

// polling waits for so many cycles.
func (c candidate) polling(t *testing.T, cycles int) {
	t.Helper()
	until := c.bank.polled() + cycles
	for began := time.Now(); c.bank.polled() < until; time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatal("the device is not polled")
		}
	}
}

// spread is the median and the 99th percentile.
func spread(d []time.Duration) string {
	if len(d) == 0 {
		return "nothing came"
	}
	slices.Sort(d)
	return fmt.Sprintf("p50 %v, p99 %v (%d)", d[len(d)/2].Round(time.Millisecond), d[len(d)*99/100].Round(time.Millisecond), len(d))
}

// peerPair starts a pair of ours that polls the device, and returns tokens enough for many clients.
func peerPair(t *testing.T, address string) (*rig, []string) {
	t.Helper()
	r, tokens := preparePeer(t, address, peerTags, "")
	r.startNode("a")
	r.startNode("b")
	r.waitReady()
	return r, tokens
}

// preparePeer writes the plant of a pair that polls so many registers of the device; more is put into its file.
func preparePeer(t *testing.T, address string, tags int, more string) (*rig, []string) {
	t.Helper()
	var tokens []string
	r := newRig(t, func(plant string) string {
		head, rest, _ := strings.Cut(plant, "devices:\n")
		_, users, _ := strings.Cut(rest, "\nusers:")
		users, tail, _ := strings.Cut(users, "tokens:\n")
		var list strings.Builder
		for i := range peerClients / 5 {
			tokens = append(tokens, fmt.Sprint("peer-token-", i))
			fmt.Fprintf(&list, "  - {name: peer%d, role: viewer, hash: %q}\n", i, web.HashToken(tokens[i]))
		}
		device := fmt.Sprintf("  - {name: plc, area: main, driver: modbus, modbus: {endpoints: [\"tcp://%s\"], unit: %d, timeout: 1s, retries: 1}, probe: tcp}\n", address, peerUnit)
		return head + "devices:\n" + device + "scan_classes: {normal: 1s}\ntag_files: [peer.csv]\n" + more + "users:" + users + "tokens:\n" + list.String() + tail
	})
	file, err := os.Create(filepath.Join(r.dir, "peer.csv"))
	if err != nil {
		t.Fatal(err)
	}
	w := csv.NewWriter(file)
	_ = w.Write([]string{"name", "device", "address", "type", "scan", "history"})
	for i := range tags {
		_ = w.Write([]string{peerTag(i), "plc", fmt.Sprint("hr:", i), "uint16", "normal", "change"})
	}
	w.Flush()
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return r, tokens
}

// recorded asks the archive for 64 of the tags: every second has a sample of each when nothing was lost.
func (r *rig) recorded(from, to time.Time) string {
	first, last := from.Truncate(time.Second).Add(time.Second), to.Truncate(time.Second).Add(-time.Second)
	q := url.Values{"from": {first.UTC().Format(time.RFC3339Nano)}, "to": {last.UTC().Format(time.RFC3339Nano)}, "limit": {"1000"}, "tag": shown(64)}
	have, want := 0, 64*int(last.Sub(first).Seconds())
	r.eventually(10*time.Second, "the archive answers", func() error {
		var h api.History
		if err := r.call("a", http.MethodGet, "/api/v1/history?"+q.Encode(), nil, &h); err != nil {
			return err
		}
		have = 0
		for _, s := range h.Series {
			have += len(s.Samples)
		}
		return nil
	})
	return fmt.Sprintf("%d of %d samples of 64 tags, %.1f %%", have, want, 100*float64(have)/float64(want))
}

// fuxa is a running FUXA.
type fuxa struct {
	t    *testing.T
	dir  string // of the packages
	data string
	port int
	cmd  *exec.Cmd
}

func startFUXA(t *testing.T) *fuxa {
	t.Helper()
	dir, err := filepath.Abs(*fuxaDir)
	if err != nil {
		t.Fatal(err)
	}
	f := &fuxa{t: t, dir: dir, data: t.TempDir()}
	if err := os.Mkdir(filepath.Join(f.data, "_pkg"), 0o755); err != nil {
		t.Fatal(err)
	}
	// Its Modbus driver is a plugin, looked for here.
	if err := os.Symlink(filepath.Join(dir, "node_modules/modbus-serial"), filepath.Join(f.data, "_pkg/modbus-serial")); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.port = l.Addr().(*net.TCPAddr).Port
	l.Close()
	f.start()
	t.Cleanup(f.kill)
	return f
}

func (f *fuxa) start() {
	f.cmd = exec.Command("node", filepath.Join(f.dir, "node_modules/@frangoteam/fuxa/main.js"), "--userDir", f.data)
	f.cmd.Env = append(os.Environ(), fmt.Sprint("PORT=", f.port))
	f.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := f.cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	for began := time.Now(); time.Since(began) < time.Minute; time.Sleep(100 * time.Millisecond) {
		resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/", f.port))
		if err == nil {
			resp.Body.Close()
			return
		}
	}
	f.t.Fatal("FUXA does not answer")
}

func (f *fuxa) kill() {
	_ = f.cmd.Process.Kill()
	_ = f.cmd.Wait()
}

// project gives FUXA the device and its tags, recorded on each change or not.
func (f *fuxa) project(device *plc.Server, record bool) {
	tags := map[string]any{}
	for i := range peerTags {
		id := peerTag(i)
		tags[id] = map[string]any{"id": id, "name": id, "type": "UInt16", "memaddress": "400000", "address": fmt.Sprint(i + 1),
			"daq": map[string]any{"enabled": record, "changed": true, "interval": 60}}
	}
	hmi, charts := fuxaView()
	project := map[string]any{"version": "1.02", "hmi": hmi, "charts": charts,
		"server": map[string]any{"id": "0", "name": "FUXA Server", "type": "FuxaServer", "property": map[string]any{}},
		"devices": map[string]any{"d1": map[string]any{"id": "d1", "name": "plc", "type": "ModbusTCP", "enabled": true, "polling": 1000,
			"property": map[string]any{"address": device.Addr().String(), "slaveid": fmt.Sprint(peerUnit)}, "tags": tags}}}
	r := &rig{t: f.t}
	if err := r.http(http.MethodPost, fmt.Sprintf("http://127.0.0.1:%d/api/project", f.port), "", project, nil); err != nil {
		f.t.Fatal(err)
	}
}

// rows counts what FUXA has stored, with its own engine.
func (f *fuxa) rows() int {
	f.t.Helper()
	const script = `const sqlite3 = require(process.argv[1]), fs = require('fs'), dir = process.argv[2];
		for (const name of fs.readdirSync(dir).filter(n => n.startsWith('daq-data_'))) {
			const db = new sqlite3.Database(dir + '/' + name, sqlite3.OPEN_READONLY);
			db.get('select count(*) n from data', (e, r) => console.log(e ? 0 : r.n));
		}`
	out, err := exec.Command("node", "-e", script, filepath.Join(f.dir, "node_modules/sqlite3"), filepath.Join(f.data, "_db")).Output()
	if err != nil {
		f.t.Fatalf("counting rows: %v", err)
	}
	sum := 0
	for line := range strings.FieldsSeq(string(out)) {
		n, err := strconv.Atoi(line)
		if err != nil {
			f.t.Fatalf("counting rows: %v", err)
		}
		sum += n
	}
	return sum
}

// lateWrite orders a write, with the library of FUXA's page, while the server is dead, starts it again after ten seconds, and
// waits for the register to be written.
func (f *fuxa) lateWrite(bank *secondsBank) {
	t := f.t
	const script = `const s = require(process.argv[1]).io(process.argv[2], {transports: ['websocket']});
		s.once('connect', () => console.log('connected'));
		process.stdin.once('data', () => { s.emit('device-values', {cmd: 'set', var: {source: 'd1', id: process.argv[3], value: 77}}); console.log('ordered'); });`
	page := exec.CommandContext(t.Context(), "node", "-e", script, filepath.Join(f.dir, "node_modules/socket.io-client"), fmt.Sprintf("http://127.0.0.1:%d", f.port), peerTag(peerTarget))
	in, err := page.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := page.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := page.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = page.Process.Kill(); _ = page.Wait() }()
	lines := bufio.NewScanner(out)
	lines.Scan()
	f.kill()
	_, _ = in.Write([]byte("now\n"))
	lines.Scan()
	ordered := time.Now()
	time.Sleep(10 * time.Second)
	f.start()
	for time.Since(ordered) < time.Minute {
		if at := bank.writtenAt(); !at.IsZero() {
			t.Logf("an order while the server was dead for 10 s: executed after %v", at.Sub(ordered).Round(100*time.Millisecond))
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Log("an order while the server was dead: not executed within a minute")
}
