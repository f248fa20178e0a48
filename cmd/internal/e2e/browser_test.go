//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// What the dashboard promises: values of the other node after the death of its own, and after its freezing.
const (
	pageKillBound = time.Second
	pageStopBound = 3500 * time.Millisecond
)

// page is the dashboard in a real browser.
type page struct {
	t     *testing.T
	ctx   context.Context
	shots string
}

func openPage(t *testing.T, width, height int) *page {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath("/usr/bin/chromium"), chromedp.WindowSize(width, height),
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("lang", "en"))
	alloc, cancelAlloc := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(alloc)
	ctx, cancelTime := context.WithTimeout(ctx, 4*time.Minute)
	t.Cleanup(func() { cancelTime(); cancel(); cancelAlloc() })
	p := &page{t: t, ctx: ctx, shots: "shots"}
	if err := os.MkdirAll(p.shots, 0o755); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *page) do(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx, actions...); err != nil {
		p.t.Fatal(err)
	}
}

func ask[T any](p *page, expression string) T {
	p.t.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%v in %.200s", err, expression)
	}
	return v
}

// wait polls an expression until it is true and returns how long that took.
func (p *page) wait(what, expression string, limit time.Duration) time.Duration {
	p.t.Helper()
	began := time.Now()
	for time.Since(began) < limit {
		if ask[bool](p, "Boolean("+expression+")") {
			return time.Since(began)
		}
		time.Sleep(10 * time.Millisecond)
	}
	p.shot("failed")
	p.t.Fatalf("%s: not within %s; the page says %s", what, limit, ask[string](p, "(window.scada ? JSON.stringify(scada.state()) : '') + document.body.innerText.slice(0, 300)"))
	return 0
}

func (p *page) signIn(url, user, password string) {
	p.t.Helper()
	p.do(chromedp.Navigate(url), chromedp.WaitVisible(chromedp.CSS("input[name=user]")),
		chromedp.SendKeys(chromedp.CSS("input[name=user]"), user), chromedp.SendKeys(chromedp.CSS("input[name=password]"), password+"\r"))
	p.wait("live values after the log-in", "scada.state().connected && !scada.state().stale && scada.state().tags > 150", 15*time.Second)
}

// shot writes a picture of the page for people to look at.
func (p *page) shot(name string) {
	p.t.Helper()
	png, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.shots, name+".png"), png, 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// TestDashboardSurvivesItsServer watches a 10 Hz tag on the active's dashboard while that node is killed, comes back, and
// is frozen. The page is never reloaded.
func TestDashboardSurvivesItsServer(t *testing.T) {
	r := newRig(t, replace(t, "hold_off: 10s", "hold_off: 3s"))
	r.start()
	fast := r.fastTag()
	p := openPage(t, 1280, 800)
	p.signIn(r.url("a"), "operator", r.who.Operator)
	ask[bool](p, "(window.neverReloaded = true)")
	p.wait("the tag is good on the page", fmt.Sprintf("scada.value(%q) && scada.value(%q).quality === 'Good'", fast, fast), 10*time.Second)
	p.shot("takeover-1-before")

	r.signal("a", syscall.SIGKILL)
	took := p.wait("values of b after the death of a", "scada.state().server === 'b' && scada.state().connected && !scada.state().stale", 15*time.Second)
	p.shot("takeover-2-during")
	fresh := p.wait("fresh values of b", fmt.Sprintf("scada.state().role === 'active' && scada.value(%q).ageMs < 1000 && scada.value(%q).quality === 'Good'", fast, fast), 15*time.Second)
	t.Logf("server killed: page on the other node after %s, fresh values of the devices %s later", took, fresh)
	if took+fresh > pageKillBound+killBound {
		t.Errorf("the page needed %s, promised %s", took+fresh, pageKillBound+killBound)
	}

	r.startNode("a")
	r.waitReady()
	p.wait("the page follows the hand-back", "scada.state().connected && !scada.state().stale && scada.state().epoch >= 3", 20*time.Second)
	p.shot("takeover-3-after")
	r.logGaps(p, fast)

	p.signIn(r.url("a"), "operator", r.who.Operator)
	p.wait("live values of a", "scada.state().server === 'a'", 15*time.Second)
	ask[bool](p, "(window.neverReloaded = true)")
	r.signal("a", syscall.SIGSTOP)
	took = p.wait("values of b after a froze", fmt.Sprintf("scada.state().server === 'b' && !scada.state().stale && scada.value(%q).ageMs < 1000", fast), 20*time.Second)
	t.Logf("server frozen: live values of the other node after %s", took)
	if took > pageStopBound {
		t.Errorf("the page needed %s, promised %s", took, pageStopBound)
	}
	r.signal("a", syscall.SIGCONT)
	r.waitReady()
	if !ask[bool](p, "window.neverReloaded === true") {
		t.Error("the page was reloaded")
	}
}

// fastTag returns a tag polled ten times a second whose value moves.
func (r *rig) fastTag() string {
	r.t.Helper()
	var tags struct {
		Tags []struct {
			Name   string
			ScanMs int64 `json:"scan_ms"`
		}
	}
	if err := r.call("a", "GET", "/api/v1/tags?limit=1000", nil, &tags); err != nil {
		r.t.Fatal(err)
	}
	for _, tag := range tags.Tags {
		if tag.ScanMs == 100 {
			return tag.Name
		}
	}
	r.t.Fatal("the demo has no tag of 100 ms")
	return ""
}

func (r *rig) logGaps(p *page, tag string) {
	r.t.Helper()
	gaps := ask[json.RawMessage](p, fmt.Sprintf("scada.gaps(%q)", tag))
	r.t.Logf("gaps of %s as the page saw them: %s", tag, gaps)
}
