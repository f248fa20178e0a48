package uitest

import (
	"context"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// Browser is the program that is driven.
const Browser = "chromium"

// Patience is how long a test waits for the page unless it says otherwise. It is a matter of a busy machine, not of the product.
const Patience = 45 * time.Second

// life bounds a whole test.
const life = 9 * time.Minute

// Need skips a test, by name and with the reason, where there is no browser; with CI=true there has to be one.
func Need(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath(Browser); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("no chromium, and CI=true")
		}
		t.Skip("no chromium")
	}
}

// Tab is a page of the browser and what it complained of.
type Tab struct {
	// Ctx is the browser's context, for what has no method here.
	Ctx context.Context
	// Shots is the folder for pictures; a wait that fails leaves one there. Empty: no pictures.
	Shots string

	t          testing.TB
	mu         sync.Mutex
	complaints []string
}

// Open starts a browser with one page of the given size, and with flags of its own. It ends with the test.
func Open(t testing.TB, width, height int64, flags ...string) *Tab {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(Browser), chromedp.WindowSize(int(width), int(height)),
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("lang", "en"))
	for _, f := range flags {
		options = append(options, chromedp.Flag(f, true))
	}
	alloc, cancelAlloc := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(alloc)
	ctx, cancelTime := context.WithTimeout(ctx, life)
	t.Cleanup(func() { cancelTime(); cancel(); cancelAlloc() })
	b := &Tab{t: t, Ctx: ctx}
	messages := chromedp.Console(ctx)
	go b.listen(messages)
	b.Size(width, height)
	return b
}

// listen collects the errors of the page: exceptions, refusals by the security policy, console errors. A request that
// failed is none: servers die in these tests.
func (b *Tab) listen(messages iter.Seq2[chromedp.ConsoleMessage, error]) {
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

// Check fails the test for every complaint of the page.
func (b *Tab) Check() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.complaints {
		b.t.Errorf("the page complains: %s", c)
	}
}

// Do runs actions of the browser.
func (b *Tab) Do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.Ctx, actions...); err != nil {
		_ = b.picture("failed") // the failure itself says more
		b.t.Fatal(err)
	}
}

// Size sets the size of the page in pixels.
func (b *Tab) Size(width, height int64) {
	b.t.Helper()
	b.Do(chromedp.EmulateViewport(width, height))
}

// Script runs statements in the page.
func (b *Tab) Script(statements string) {
	b.t.Helper()
	Eval[bool](b, "(() => {"+statements+"; return true})()")
}

// Eval evaluates an expression in the page, awaiting a promise.
func Eval[T any](b *Tab, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.Ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%v in %.300s", err, expression)
	}
	return v
}

// Is reports whether an expression is true in the page.
func (b *Tab) Is(expression string) bool {
	b.t.Helper()
	return Eval[bool](b, "Boolean("+expression+")")
}

// Wait polls an expression until it is true; what names it in the failure.
func (b *Tab) Wait(what, expression string) time.Duration {
	b.t.Helper()
	return b.WaitFor(what, expression, Patience)
}

// WaitFor polls an expression until it is true and returns how long that took.
func (b *Tab) WaitFor(what, expression string, limit time.Duration) time.Duration {
	b.t.Helper()
	began := time.Now()
	for time.Since(began) < limit {
		if b.Is(expression) {
			return time.Since(began)
		}
		time.Sleep(10 * time.Millisecond)
	}
	_ = b.picture("failed") // the failure itself says more
	state := Eval[string](b, "(window.scada ? JSON.stringify(scada.state()) : '') + document.body.innerText.slice(0, 600)")
	b.t.Fatalf("%s: not within %v; the page says %s", what, limit, state)
	return 0
}

// Settle waits until fonts are there and two frames have been drawn.
func (b *Tab) Settle() {
	b.t.Helper()
	Eval[bool](b, "document.fonts.ready.then(() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true)))))")
}

// Click clicks the first visible element of a CSS selector once it is there.
func (b *Tab) Click(selector string) {
	b.t.Helper()
	b.Wait(selector, fmt.Sprintf("document.querySelector(%q)", selector))
	b.Do(chromedp.Click(chromedp.CSS(selector)))
}

// Type clicks an element and types text into it.
func (b *Tab) Type(selector, text string) {
	b.t.Helper()
	b.Wait(selector, fmt.Sprintf("document.querySelector(%q)", selector))
	b.Do(chromedp.SendKeys(chromedp.CSS(selector), text))
}

// Keys sends keys to whatever has the focus, one after the other.
func (b *Tab) Keys(keys ...string) {
	b.t.Helper()
	for _, k := range keys {
		b.Do(chromedp.KeyEvent(k))
	}
}

// Escape closes the topmost sheet.
func (b *Tab) Escape() {
	b.t.Helper()
	b.Keys("\x1b")
}

// Shot writes a picture of the page for people to look at.
func (b *Tab) Shot(name string) {
	b.t.Helper()
	if b.Shots == "" {
		return
	}
	if err := b.picture(name); err != nil {
		b.t.Fatal(err)
	}
}

func (b *Tab) picture(name string) error {
	if b.Shots == "" {
		return nil
	}
	if err := os.MkdirAll(b.Shots, 0o755); err != nil {
		return err
	}
	png, err := chromedp.Run(b.Ctx, chromedp.CaptureScreenshot())
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.Shots, name+".png"), png, 0o644)
}
