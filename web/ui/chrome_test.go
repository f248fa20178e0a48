package ui_test

import (
	"context"
	"fmt"
	"iter"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"scada/web"
	"scada/web/ui"
)

// needBrowser skips a test, by name and with the reason, where no browser or no bundle is.
func needBrowser(t *testing.T) {
	t.Helper()
	if !ui.Built() {
		t.Skip("the bundle is not built: go run ./web/ui/build")
	}
	if _, err := exec.LookPath("chromium"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("no chromium, and CI=true")
		}
		t.Skip("no chromium")
	}
}

// cable is a listener whose connections can be cut or frozen, as a killed or a stopped process would leave them.
type cable struct {
	net.Listener
	mu     sync.Mutex
	conns  []net.Conn
	frozen chan struct{} // closed: connections hang
}

type frozenConn struct {
	net.Conn
	c *cable
}

func (c *cable) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conns = append(c.conns, conn)
	return &frozenConn{conn, c}, nil
}

// hang blocks for ever once the cable is frozen; the connection's end wakes nobody, as with a stopped process.
func (f *frozenConn) hang() {
	select {
	case <-f.c.frozen:
		select {}
	default:
	}
}

func (f *frozenConn) Write(b []byte) (int, error) {
	f.hang()
	return f.Conn.Write(b)
}

func (f *frozenConn) Read(b []byte) (int, error) {
	n, err := f.Conn.Read(b)
	f.hang()
	return n, err
}

// cut ends the listener and every connection at once.
func (c *cable) cut() {
	c.Listener.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		conn.Close()
	}
}

// site is the pair's two web servers over one plant.
type site struct {
	*plant
	url    map[string]string
	cables map[string]*cable
}

const password = "correct horse"

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{plant: newPlant(), url: map[string]string{}, cables: map[string]*cable{}}
	s.past(6 * time.Minute)
	hash, err := web.HashPassword(password)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s.cables[name] = &cable{Listener: l, frozen: make(chan struct{})}
		s.url[name] = "http://" + l.Addr().String()
	}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	for _, name := range []string{"a", "b"} {
		other := map[string]string{"a": "b", "b": "a"}[name]
		srv, err := web.New(web.Config{
			Node: name, Origins: []string{s.url[name], s.url[other]}, PairKey: []byte(strings.Repeat("k", web.MinPairKey)), UI: ui.Files(),
			Users:  []web.User{{Name: "olga", Role: web.Operator, Hash: hash}, {Name: "adam", Role: web.Admin, Hash: hash}, {Name: "vera", Role: web.Viewer, Hash: hash}},
			Listen: func(string, string) (net.Listener, error) { return s.cables[name], nil },
		}, s.nodes[name])
		if err != nil {
			t.Fatal(err)
		}
		go func() { _ = srv.Run(ctx) }()
	}
	go s.run(ctx)
	return s
}

// tab is a browser page with what it complained of.
type tab struct {
	t          *testing.T
	ctx        context.Context
	mu         sync.Mutex
	complaints []string
}

func openTab(t *testing.T, width, height int) *tab {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath("chromium"), chromedp.WindowSize(width, height),
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("lang", "en"))
	alloc, cancelAlloc := chromedp.NewExecAllocator(t.Context(), options...)
	ctx, cancel := chromedp.NewContext(alloc)
	ctx, cancelTime := context.WithTimeout(ctx, 5*time.Minute)
	t.Cleanup(func() { cancelTime(); cancel(); cancelAlloc() })
	b := &tab{t: t, ctx: ctx}
	messages := chromedp.Console(ctx)
	go b.listen(messages)
	return b
}

// listen collects the errors of the page: exceptions, refusals by the security policy, console errors. A request that
// failed is none: servers die in these tests.
func (b *tab) listen(messages iter.Seq2[chromedp.ConsoleMessage, error]) {
	for m, err := range messages {
		if err != nil {
			return
		}
		if m.Source == "network" || m.Type != chromedp.ConsoleError && m.Type != chromedp.ConsoleException || strings.Contains(m.Text, "WebSocket") {
			continue
		}
		b.mu.Lock()
		b.complaints = append(b.complaints, m.String())
		b.mu.Unlock()
	}
}

func (b *tab) check() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.complaints {
		b.t.Errorf("the page complains: %s", c)
	}
}

func (b *tab) run(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// script runs statements in the page.
func (b *tab) script(statements string) {
	b.t.Helper()
	eval[bool](b, "(() => {"+statements+"; return true})()")
}

// eval evaluates an expression in the page, awaiting a promise.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%v in %.300s", err, expression)
	}
	return v
}

func (b *tab) click(selector string) {
	b.t.Helper()
	b.run(chromedp.Click(chromedp.CSS(selector)))
}

// patience is how long a test waits for the page. It is a matter of a busy machine, not of the product: what takes how
// long is logged, and measured on an idle machine with real processes.
const patience = 45 * time.Second

// wait polls an expression until it is true; what names it in the failure.
func (b *tab) wait(what, expression string) {
	b.t.Helper()
	start := time.Now()
	for time.Since(start) < patience {
		if eval[bool](b, "Boolean("+expression+")") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	state := eval[string](b, "(window.scada ? JSON.stringify(scada.state()) : '') + document.body.innerText.slice(0, 400)")
	b.t.Fatalf("%s: not within %v; the page says %s", what, patience, state)
}

// signIn opens a node's page and logs in as a person does.
func (b *tab) signIn(url, user string) {
	b.t.Helper()
	b.run(chromedp.Navigate(url), chromedp.WaitVisible(chromedp.CSS("input[name=user]")),
		chromedp.SendKeys(chromedp.CSS("input[name=user]"), user), chromedp.SendKeys(chromedp.CSS("input[name=password]"), password+"\r"))
	b.wait("live values after the log-in", "scada.state().connected && !scada.state().stale && scada.state().tags > 200")
}

// goTo shows a page of the dashboard.
func (b *tab) goTo(page string) {
	b.t.Helper()
	b.script(fmt.Sprintf("location.hash = '#/%s'", page))
	b.wait("page "+page, "document.querySelector('#main h1') !== null")
}

// look chooses language and colours as a reader does.
func (b *tab) look(lang, theme string) {
	b.t.Helper()
	b.script(fmt.Sprintf(`const s = document.querySelector('#language'); s.value = %q; s.dispatchEvent(new Event('change'));
		if (document.documentElement.getAttribute('data-ix-color-schema') !== %q) document.querySelector('#theme').click()`, lang, theme))
}

// axeRun is an expression that resolves to the violations of WCAG 2.2 A and AA on the page, as text; empty for none.
const axeRun = `axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}).then(r =>
	r.violations.map(v => v.id + " (" + v.nodes.length + "): " + v.nodes[0].html.slice(0, 160) + " " + v.nodes[0].failureSummary).join("; "))`
