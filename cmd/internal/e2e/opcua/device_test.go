//go:build e2e

package opcua

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	client "scada/acquisition/opcua"
	"scada/acquisition/tag"
)

// make soak asks for ten thousand items and twenty seconds.
var (
	items  = flag.Int("items", 100, "of the device")
	every  = flag.Duration("every", 100*time.Millisecond, "how often each item changes")
	freeze = flag.Duration("freeze", 5*time.Second, "how long the device is frozen")
)

// What is promised, and what a loaded machine, on which node takes seconds over ten thousand items, is given beside it.
const (
	foundWithin     = 3 * time.Second // a device that is frozen or gone is marked
	recoveredWithin = time.Second     // after the device is there again, its values are good, and fresh with the next change
	grace           = 10 * time.Second
)

// device is a node-opcua server in a process of its own.
type device struct {
	t     *testing.T
	port  int
	pki   string
	items int
	every time.Duration
	nodes int // in one request; 0 is any number

	history int // values of each variable but the last it remembers
	cmd     *exec.Cmd
	read    chan struct{}
}

func newDevice(t *testing.T, items int, every time.Duration) *device {
	t.Helper()
	if _, err := os.Stat("server/node_modules/node-opcua-server"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("node-opcua-server is missing, and CI=true")
		}
		t.Skip("node-opcua-server is not installed (make e2e installs it)")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d := &device{t: t, port: l.Addr().(*net.TCPAddr).Port, pki: t.TempDir(), items: items, every: every}
	t.Cleanup(d.kill)
	return d
}

// start waits until it listens: node takes seconds to load its address space.
func (d *device) start() {
	d.t.Helper()
	d.cmd = exec.Command("node", "device.mjs", strconv.Itoa(d.port), d.pki, strconv.Itoa(d.items), strconv.Itoa(int(d.every.Milliseconds())), strconv.Itoa(d.nodes), strconv.Itoa(d.history))
	d.cmd.Dir = "server"
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	d.cmd.Stderr = d.cmd.Stdout
	if err := d.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	ready := make(chan struct{})
	d.read = make(chan struct{})
	go func() {
		defer close(d.read)
		lines := bufio.NewScanner(io.LimitReader(out, 1<<20))
		said := ""
		for first := true; lines.Scan(); {
			if said += lines.Text() + "\n"; lines.Text() == "ready" && first {
				first = false
				close(ready)
			}
		}
		if d.t.Failed() {
			fmt.Fprintf(os.Stderr, "the device said:\n%s", said)
		}
	}()
	select {
	case <-ready:
	case <-d.read:
		d.t.Fatal("the device ended")
	case <-time.After(120 * time.Second):
		d.t.Fatal("the device did not start")
	}
}

func (d *device) signal(s os.Signal) {
	d.t.Helper()
	if err := d.cmd.Process.Signal(s); err != nil {
		d.t.Fatal(err)
	}
}

func (d *device) kill() {
	if d.cmd == nil {
		return
	}
	_ = d.cmd.Process.Kill() // it may be frozen
	<-d.read
	_ = d.cmd.Wait() // killed
	d.cmd = nil
}

// sink keeps the last sample of each tag. The variables hold the time of their change, which never goes back: a value
// that is lower than one before was older than it.
type sink struct {
	mu    sync.Mutex
	last  map[tag.ID]tag.Sample
	most  map[tag.ID]float64   // the newest value of each
	back  map[tag.ID]time.Time // when it became good after it was not
	older int                  // values older than one before
}

func newSink() *sink {
	return &sink{last: map[tag.ID]tag.Sample{}, most: map[tag.ID]float64{}, back: map[tag.ID]time.Time{}}
}

func (s *sink) Publish(batch []tag.Update) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range batch {
		if u.Quality.IsGood() {
			if !s.last[u.Tag].Quality.IsGood() || s.last[u.Tag].Time == 0 {
				s.back[u.Tag] = time.Now()
			}
			if u.Value.Number() < s.most[u.Tag] {
				s.older++
			}
			s.most[u.Tag] = max(s.most[u.Tag], u.Value.Number())
		}
		s.last[u.Tag] = u.Sample
	}
}

func (s *sink) Settled(string, time.Time, error) {}

// fresh counts the tags whose value is good and was made after the instant.
func (s *sink) fresh(after time.Time) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.last {
		if x.Quality.IsGood() && x.Value.Number() >= float64(after.UnixMilli()) {
			n++
		}
	}
	return n
}

// again counts the tags that are good and became so after the instant, and says when the last of them did.
func (s *sink) again(after time.Time) (n int, last time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, x := range s.last {
		if at := s.back[id]; x.Quality.IsGood() && at.After(after) {
			n++
			if at.After(last) {
				last = at
			}
		}
	}
	return n, last
}

func (s *sink) good() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.last {
		if x.Quality.IsGood() {
			n++
		}
	}
	return n
}

// rig is our client at a device.
type rig struct {
	t *testing.T
	*device
	sink   *sink
	source *client.Source
}

func newRig(t *testing.T, d *device, dial func(context.Context, string, string) (net.Conn, error), change func(*client.Device, *client.Options)) *rig {
	t.Helper()
	cfg := client.Device{Name: "mixer", Endpoint: fmt.Sprintf("opc.tcp://127.0.0.1:%d", d.port), Timeout: 2 * time.Second}
	for i := range d.items {
		cfg.Tags = append(cfg.Tags, tag.Definition{ID: tag.ID(i), Name: fmt.Sprint("v", i), Address: fmt.Sprintf("ns=1;s=v%d", i), Type: tag.TypeFloat64, ScanPeriod: d.every})
	}
	o := client.Options{Dial: dial}
	if change != nil {
		change(&cfg, &o)
	}
	source, err := client.New(cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, device: d, sink: newSink(), source: source}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- source.Run(ctx, r.sink) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return r
}

// allFresh waits until every value is good and newer than now, and returns how long that took.
func (r *rig) allFresh(limit time.Duration) time.Duration {
	r.t.Helper()
	began := time.Now()
	for time.Since(began) < limit {
		if r.sink.fresh(began) == r.items {
			return time.Since(began)
		}
		time.Sleep(5 * time.Millisecond)
	}
	r.t.Fatalf("after %v %d of %d values are good and fresh; %+v", limit, r.sink.fresh(began), r.items, r.source.Status()[0])
	return 0
}

// recovered waits until every value that was lost at the event is good again: each has been asked for anew. It returns
// how long that took since the event, and since the device answered somebody else, which is when it was really there.
func (r *rig) recovered(event time.Time, answers <-chan time.Time, limit time.Duration) string {
	r.t.Helper()
	for began := time.Now(); time.Since(began) < limit; time.Sleep(2 * time.Millisecond) {
		n, last := r.sink.again(event)
		if n < r.items {
			continue
		}
		text := fmt.Sprintf("all good %v after it", last.Sub(event).Round(time.Millisecond))
		if answers != nil {
			text += fmt.Sprintf(", %v after it answered another client", last.Sub(<-answers).Round(time.Millisecond))
		}
		return text
	}
	n, _ := r.sink.again(event)
	r.t.Fatalf("after %v %d of %d values are good again; %+v", limit, n, r.items, r.source.Status()[0])
	return ""
}

// answers asks the device, from another client, until it answers, and tells when that was.
func (r *rig) answers() <-chan time.Time {
	r.t.Helper()
	cfg := client.Device{Name: "other", Endpoint: fmt.Sprintf("opc.tcp://127.0.0.1:%d", r.port), Timeout: time.Second, Probe: "read"}
	other, err := client.New(cfg, client.Options{})
	if err != nil {
		r.t.Fatal(err)
	}
	at := make(chan time.Time, 1)
	go func() {
		for r.t.Context().Err() == nil {
			if other.Probe(r.t.Context(), cfg.Name) == nil {
				at <- time.Now()
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	return at
}

// noneGood waits until no value is good.
func (r *rig) noneGood(limit time.Duration) time.Duration {
	r.t.Helper()
	began := time.Now()
	for time.Since(began) < limit {
		if r.sink.good() == 0 {
			return time.Since(began)
		}
		time.Sleep(5 * time.Millisecond)
	}
	r.t.Fatalf("after %v %d of %d values are still good", limit, r.sink.good(), r.items)
	return 0
}

// connections opens connections that can be cut.
type connections struct {
	mu   sync.Mutex
	open []net.Conn
}

func (c *connections) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err == nil {
		c.mu.Lock()
		c.open = append(c.open, conn)
		c.mu.Unlock()
	}
	return conn, err
}

// drop resets every connection.
func (c *connections) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.open {
		if t, ok := conn.(*net.TCPConn); ok {
			_ = t.SetLinger(0) // it may be closed already
		}
		_ = conn.Close() // as above
	}
	c.open = nil
}

// TestForeignDevice: a device of another maker, whose connection is dropped, which is frozen, and which is restarted: each
// is found and got over, and nothing is silently dead afterwards.
func TestForeignDevice(t *testing.T) {
	d := newDevice(t, *items, *every)
	d.start()
	var conns connections
	r := newRig(t, d, conns.dial, nil)
	within := recoveredWithin + *every + grace
	t.Logf("first values of all after %v", r.allFresh(60*time.Second))
	for range 3 {
		event := time.Now()
		conns.drop()
		t.Logf("connection dropped: %s, all changed since after another %v", r.recovered(event, nil, within), r.allFresh(within))
	}
	d.signal(syscall.SIGSTOP)
	found := r.noneGood(foundWithin + grace)
	time.Sleep(*freeze - found)
	event := time.Now()
	d.signal(syscall.SIGCONT)
	t.Logf("frozen for %v: found after %v, after its return %s, all changed since after another %v", *freeze, found, r.recovered(event, r.answers(), within), r.allFresh(within))
	d.kill()
	found = r.noneGood(foundWithin + grace)
	event = time.Now()
	answers := r.answers()
	d.start()
	began := time.Since(event)
	t.Logf("restarted: found after %v, since the start, of which it took %v to listen, %s, all changed since after another %v", found, began, r.recovered(event, answers, within), r.allFresh(within))
	for range 3 {
		r.allFresh(within)
	}
	t.Logf("%d reconnections", r.source.Status()[0].Counters.Reconnects)
	if r.sink.mu.Lock(); r.sink.older > 0 {
		t.Errorf("%d values came after a newer one of their tag", r.sink.older)
	}
	r.sink.mu.Unlock()
}

// TestForeignDeviceChangesItsCertificate: a device that comes back with another certificate is refused until somebody
// trusts it, and then read again.
func TestForeignDeviceChangesItsCertificate(t *testing.T) {
	d := newDevice(t, 100, 100*time.Millisecond)
	d.start()
	trust := t.TempDir()
	id, err := client.LoadOrCreateIdentity(t.TempDir(), "urn:scada:test")
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, d, nil, func(cfg *client.Device, o *client.Options) {
		cfg.Security, o.Identity, o.TrustDir = "Basic256Sha256", id, trust
	})
	accept := func() {
		t.Helper()
		var rejected []string
		for range 600 { // 30 s
			if rejected, _ = filepath.Glob(filepath.Join(trust, "rejected", "*.der")); len(rejected) > 0 {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		if len(rejected) != 1 || r.sink.good() > 0 {
			t.Fatalf("rejected certificates %v, %d values good", rejected, r.sink.good())
		}
		if err := os.MkdirAll(filepath.Join(trust, "trusted"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(rejected[0], filepath.Join(trust, "trusted", filepath.Base(rejected[0]))); err != nil {
			t.Fatal(err)
		}
		t.Logf("trusted: all good and fresh after %v", r.allFresh(recoveredWithin+grace))
	}
	accept()
	d.kill()
	r.noneGood(foundWithin + grace)
	d.pki = t.TempDir()
	d.start()
	time.Sleep(2 * time.Second)
	accept()
}

// TestForeignDeviceIsAsked: a device that takes few nodes in a request is read all the same, says who it is, and what it has.
func TestForeignDeviceIsAsked(t *testing.T) {
	d := newDevice(t, 100, 100*time.Millisecond)
	d.nodes = 30
	d.start()
	r := newRig(t, d, nil, nil)
	r.allFresh(60 * time.Second)
	nodes, total, err := r.source.Browse(t.Context(), "", 10, 50)
	if err != nil || total != 100 || len(nodes) != 50 || nodes[0].Type != tag.TypeFloat64 || nodes[0].Path != "Plant/v18" || nodes[0].ID != "ns=1;s=v18" {
		t.Errorf("%d of %d nodes, %v", len(nodes), total, err)
		t.Log(nodes)
	}
	e, err := r.source.Examine(t.Context(), "mixer")
	if err != nil || len(e.Identity) == 0 || e.Largest != d.nodes || len(e.Trials) != 1 || !e.Trials[0].Good() {
		t.Errorf("%+v, %v", e, err)
	}
	t.Logf("%+v", e)
	r.allFresh(recoveredWithin + grace)
}
