//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"scada/web/api"
)

// TestNotificationsThroughKills kills the active while its receivers fail, stall and lie, and while they take: a pager on
// HTTP, a real mail server and a real MQTT broker. In the end each has been told of every activation and its end, and of
// nothing twice but around a kill or a stall.
func TestNotificationsThroughKills(t *testing.T) {
	pager := newPager(t)
	post, bus := newPostOffice(t), newBroker(t)
	notify := fmt.Sprintf(`alarms:
  notify:
    receivers:
      - {name: pager, timeout: 2s, webhook: {url: %q}}
      - {name: mail, timeout: 2s, smtp: {server: %q, tls: none, from: works@example.org, to: [duty@example.org]}}
      - {name: bus, timeout: 2s, mqtt: {broker: "tcp://%s", topic: works}}
    routes: [{to: [pager, mail, bus]}]
`, pager.URL, post.addr, bus.addr)
	r := newRig(t, replace(t, "hold_off: 10s", "hold_off: 5m", "alarms:\n", notify))
	r.start()
	bus.listen()
	var troubles []trouble
	var told map[string]bool
	victim, heir := "a", "b"
	for _, mode := range []string{"fail", "stall", "lie", ""} {
		began := time.Now()
		pager.set(mode)
		if mode == "stall" {
			post.signal(syscall.SIGSTOP)
			bus.signal(syscall.SIGSTOP)
		}
		if mode == "fail" {
			post.stop()
		}
		r.forceAll(1)
		r.eventually(10*time.Second, heir+" has the alarms", func() error { return r.allAre(heir, "UNACK") })
		r.signal(victim, syscall.SIGKILL)
		r.waitSwitch(heir, "fault")
		r.forceAll(0)
		r.eventually(10*time.Second, "they are gone", func() error { return r.allAre(heir, "RTN_UNACK") })
		pager.set("")
		if mode == "stall" {
			post.signal(syscall.SIGCONT)
			bus.signal(syscall.SIGCONT)
		}
		if mode == "fail" {
			post.start()
		}
		r.eventually(60*time.Second, "everybody is told", func() error {
			told = r.announced(heir)
			return firstError(pager.log.lacks(told), post.lacks(told), bus.log.lacks(told))
		})
		troubles = append(troubles, trouble{began, time.Now()})
		t.Logf("%q and a kill of %s: %d notifications so far, in %s", mode, victim, len(told), time.Since(began).Round(time.Millisecond))
		r.startNode(victim)
		r.waitStandby(victim, heir)
		victim, heir = heir, victim
	}
	for name, log := range map[string]*deliveries{"pager": &pager.log, "mail": post.read(), "bus": &bus.log} {
		t.Logf("%s: %s", name, log.repeats(t, name, told, troubles))
	}
}

// trouble is a time in which something may be told twice.
type trouble struct{ from, to time.Time }

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *rig) forceAll(value int) {
	for point := range toggled {
		r.force(point, value)
	}
}

func (r *rig) allAre(node, state string) error {
	var list api.Alarms
	if err := r.call(node, http.MethodGet, "/api/v1/alarms?limit=1000", nil, &list); err != nil {
		return err
	}
	left := map[string]bool{}
	for _, condition := range toggled {
		left[condition] = true
	}
	for _, a := range list.Alarms {
		if a.State == state {
			delete(left, a.ID)
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("%v are not", left)
	}
	return nil
}

// announced is what has to be told of the alarms that were toggled, after the journal.
func (r *rig) announced(node string) map[string]bool {
	ours, out := map[string]bool{}, map[string]bool{}
	for _, condition := range toggled {
		ours[condition] = true
	}
	for _, e := range r.entries(node, "alarm") {
		raise := fmt.Sprintf("%s#%d/RAISE", e.Source, e.Occurrence)
		switch {
		case !ours[e.Source] || e.Note != "":
		case e.Event == "RAISE" && e.Annunced:
			out[raise] = true
		case e.Event == "CLEAR" && out[raise]:
			out[strings.Replace(raise, "RAISE", "CLEAR", 1)] = true
		}
	}
	return out
}

// deliveries are the moments at which something was taken.
type deliveries struct {
	mu sync.Mutex
	at map[string][]time.Time
}

func (d *deliveries) add(id string, at time.Time) {
	id, _, _ = strings.Cut(id, "@")
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.at == nil {
		d.at = map[string][]time.Time{}
	}
	d.at[id] = append(d.at[id], at)
}

func (d *deliveries) lacks(want map[string]bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for id := range want {
		if len(d.at[id]) == 0 {
			return fmt.Errorf("%s is not told", id)
		}
	}
	return nil
}

// repeats checks that what was told twice was so around a trouble. Other alarms of the plant are left out: the pair itself
// has some, whose trouble is not of our making.
func (d *deliveries) repeats(t *testing.T, name string, of map[string]bool, troubles []trouble) string {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	twice := 0
	for id, at := range d.at {
		if len(at) == 1 || !of[id] {
			continue
		}
		twice++
		excused := false
		for _, x := range troubles {
			excused = excused || at[0].After(x.from) && at[len(at)-1].Before(x.to.Add(time.Second))
		}
		if !excused {
			t.Errorf("%s: %s was told at %v, without a reason", name, id, at)
		}
	}
	return fmt.Sprintf("%d told, %d of them more than once", len(d.at), twice)
}

// pager is a receiver of webhooks that misbehaves as it is told.
type pager struct {
	*httptest.Server
	log deliveries

	mu   sync.Mutex
	mode string
	lies int
}

func newPager(t *testing.T) *pager {
	p := &pager{}
	p.Server = httptest.NewServer(p)
	t.Cleanup(func() { p.CloseClientConnections(); p.Close() })
	return p
}

func (p *pager) set(mode string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode = mode
}

func (p *pager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	mode := p.mode
	if mode == "lie" {
		p.lies++
	}
	lies := p.lies
	p.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	var m struct {
		Alerts []struct{ Annotations map[string]string }
	}
	switch {
	case err != nil || json.Unmarshal(body, &m) != nil || mode == "fail":
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case mode == "stall":
		<-r.Context().Done()
		return
	case mode == "lie" && lies%2 == 0:
		http.Redirect(w, r, "/login", http.StatusFound)
		return
	case mode == "lie": // it says yes and does not finish its sentence
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte("ok"))
		return
	}
	for _, a := range m.Alerts {
		p.log.add(a.Annotations["id"], time.Now())
	}
}

// server is a program of the distribution that listens on a port.
type server struct {
	t    *testing.T
	addr string
	args []string
	cmd  *exec.Cmd
}

func newServer(t *testing.T, program, pack string, args func(addr string) []string) *server {
	t.Helper()
	if _, err := os.Stat(program); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed, and CI=true", pack)
		}
		t.Skipf("%s is not installed (Debian package %s)", program, pack)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	s := &server{t: t, addr: l.Addr().String()}
	s.args = append([]string{program}, args(s.addr)...)
	s.start()
	t.Cleanup(s.stop)
	return s
}

func (s *server) start() {
	s.t.Helper()
	s.cmd = exec.Command(s.args[0], s.args[1:]...)
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("tcp", s.addr)
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%v: %v", s.args, err)
		}
	}
}

func (s *server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) stop() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

// postOffice is a mail server that puts what it takes into a Maildir.
type postOffice struct {
	*server
	dir string
}

func newPostOffice(t *testing.T) *postOffice {
	t.Helper()
	const module = "/usr/lib/python3/dist-packages/aiosmtpd/main.py"
	if _, err := os.Stat(module); err != nil && os.Getenv("CI") != "true" {
		t.Skip("aiosmtpd is not installed (Debian package python3-aiosmtpd)")
	}
	dir := filepath.Join(t.TempDir(), "mail")
	return &postOffice{dir: dir, server: newServer(t, "/usr/bin/python3", "python3-aiosmtpd", func(addr string) []string {
		return []string{"-m", "aiosmtpd", "-n", "-l", addr, "-c", "aiosmtpd.handlers.Mailbox", dir}
	})}
}

var mailedAlarm = regexp.MustCompile(`(?m)^([A-Z]+) .*\n  alarm +(\S+) #(\d+)`)

// read returns what is in the mailbox.
func (p *postOffice) read() *deliveries {
	p.t.Helper()
	d := &deliveries{}
	files, err := os.ReadDir(filepath.Join(p.dir, "new"))
	if err != nil {
		p.t.Fatal(err)
	}
	for _, f := range files {
		path := filepath.Join(p.dir, "new", f.Name())
		info, err := f.Info()
		if err != nil {
			p.t.Fatal(err)
		}
		file, err := os.Open(path)
		if err != nil {
			p.t.Fatal(err)
		}
		m, err := mail.ReadMessage(file)
		var text []byte
		if err == nil {
			text, err = io.ReadAll(quotedprintable.NewReader(m.Body))
		}
		file.Close()
		if err != nil {
			p.t.Fatalf("%s: %v", path, err)
		}
		for _, found := range mailedAlarm.FindAllStringSubmatch(strings.ReplaceAll(string(text), "\r", ""), -1) {
			event := "RAISE"
			if found[1] == "GONE" {
				event = "CLEAR"
			}
			d.add(found[2]+"#"+found[3]+"/"+event, info.ModTime())
		}
	}
	return d
}

func (p *postOffice) lacks(want map[string]bool) error {
	if err := p.read().lacks(want); err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	return nil
}

// broker is a mosquitto, and a listener to all that it passes on.
type broker struct {
	*server
	log deliveries
}

func newBroker(t *testing.T) *broker {
	t.Helper()
	conf := filepath.Join(t.TempDir(), "mosquitto.conf")
	return &broker{server: newServer(t, "/usr/sbin/mosquitto", "mosquitto", func(addr string) []string {
		host, port, _ := net.SplitHostPort(addr)
		text := fmt.Sprintf("listener %s %s\nallow_anonymous true\npersistence false\nlog_type none\n", port, host)
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return []string{"-c", conf}
	})}
}

func (b *broker) listen() {
	b.t.Helper()
	o := mqtt.NewClientOptions().AddBroker("tcp://" + b.addr).SetClientID("listener").SetKeepAlive(5 * time.Minute)
	c := mqtt.NewClient(o)
	if tok := c.Connect(); !tok.WaitTimeout(10*time.Second) || tok.Error() != nil {
		b.t.Fatalf("connecting to the broker: %v", tok.Error())
	}
	b.t.Cleanup(func() { c.Disconnect(0) })
	tok := c.Subscribe("works/#", 1, func(_ mqtt.Client, m mqtt.Message) {
		var n struct{ ID string }
		if err := json.Unmarshal(m.Payload(), &n); err != nil {
			b.t.Errorf("%s: %v", m.Topic(), err)
			return
		}
		b.log.add(n.ID, time.Now())
	})
	if !tok.WaitTimeout(10*time.Second) || tok.Error() != nil {
		b.t.Fatalf("subscribing: %v", tok.Error())
	}
}
