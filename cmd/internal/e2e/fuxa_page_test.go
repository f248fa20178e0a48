//go:build e2e

package e2e

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"scada/web/ui/uitest"
)

const (
	pagePens  = 10
	deathTime = 50 * time.Second // longer than it took FUXA's page to notice
)

// TestPagesBesideFUXA has the pages of FUXA and of a pair show the same simulated device in Chromium, one after the other: from the change
// of a register to the pixel, the load of the renderer, and the death of the server. It asserts nothing about speed: make bench-web
// runs it.
func TestPagesBesideFUXA(t *testing.T) {
	if *fuxaDir == "" {
		t.Skip("a measurement: go test -tags e2e ./cmd/internal/e2e -run TestPagesBesideFUXA -fuxa DIR")
	}
	uitest.Need(t)
	t.Run("FUXA", func(t *testing.T) {
		device, bank := newPeerDevice(t)
		f := startFUXA(t)
		f.project(device, false)
		b := uitest.Open(t, 1280, 800)
		b.Do(chromedp.Navigate(fmt.Sprintf("http://127.0.0.1:%d/home", f.port)))
		p := page{Tab: b, bank: bank, value: `[id="VAL_0"]`}
		p.pixels(t)
		p.load(t, fmt.Sprintf("%d values and a chart of %d pens on one view, %d values/s change in the plant", peerShown, pagePens, peerTags))
		before := uitest.Eval[string](b, "document.body.innerText")
		b.Script(`window.said = 0; new MutationObserver(() => { if (!window.said && performance.now() - window.died > 1500) window.said = performance.now() })
			.observe(document.body, {subtree: true, childList: true, characterData: true, attributes: true})`)
		b.Script("window.died = performance.now()")
		f.kill()
		died := time.Now()
		for time.Since(died) < deathTime && !b.Is("window.said > 0") {
			time.Sleep(20 * time.Millisecond)
		}
		t.Logf("server killed: the first change of the page after %s (0: none within %v); it shows the same text: %t", uitest.Eval[string](b, "((window.said && window.said - window.died) / 1000).toFixed(1) + ' s'"), deathTime,
			before == uitest.Eval[string](b, "document.body.innerText"))
		b.Shots = shotsDir
		b.Shot("fuxa-server-dead")
	})
	t.Run("pair", func(t *testing.T) {
		device, bank := newPeerDevice(t)
		r, _ := peerPair(t, device.Addr().String())
		b := r.open("a", "operator", r.who.Operator)
		p := page{Tab: b, bank: bank, value: fmt.Sprintf(`tr[data-tag=%q] .val`, peerTag(0))}
		b.GoTo("tags")
		p.pixels(t)
		p.load(t, fmt.Sprintf("the page of tags, %d values/s arrive", peerTags))
		var pens []string
		for i := range pagePens {
			pens = append(pens, peerTag(i))
		}
		b.GoTo("trends?pens=" + strings.Join(pens, ","))
		b.Wait("the pens", fmt.Sprintf("document.querySelectorAll('[data-pen]').length === %d", pagePens))
		p.load(t, fmt.Sprintf("a trend of %d pens, %d values/s arrive", pagePens, peerTags))
		r.signal("a", syscall.SIGKILL)
		took := b.Wait("values of b", fmt.Sprintf("scada.state().server === 'b' && scada.state().connected && !scada.state().stale && scada.value(%q)?.quality === 'Good'", peerTag(0)))
		t.Logf("server killed: good values of the other node after %s", took.Round(10*time.Millisecond))
		b.Check()
	})
}

// page is one of the two in the browser.
type page struct {
	*uitest.Tab
	bank  *secondsBank
	value string // selects the element that shows register 0
}

// shownPixel is a text of that element and when it was on the screen: the animation frame after the one that drew it.
type shownPixel struct {
	Text string
	At   float64 // Unix milliseconds
}

// pixels takes how long a value needs from the register, and from the answer of the device that had it first, to the screen.
func (p page) pixels(t *testing.T) {
	t.Helper()
	p.Wait("a value", fmt.Sprintf(`/\d/.test(document.querySelector(%q)?.textContent ?? "")`, p.value))
	p.Script(fmt.Sprintf(`window.pixels = []; let last = document.querySelector(%q).textContent;
		window.watching = new MutationObserver(() => {
			const text = document.querySelector(%q)?.textContent ?? last;
			if (text === last) return;
			last = text;
			requestAnimationFrame(() => window.pixels.push({Text: text, At: performance.timeOrigin + performance.now()}));
		});
		window.watching.observe(document.body, {subtree: true, childList: true, characterData: true})`, p.value, p.value))
	time.Sleep(*fuxaTime)
	p.Script("window.watching.disconnect()")
	var register, answer []time.Duration
	for _, x := range uitest.Eval[[]shownPixel](p.Tab, "window.pixels") {
		digits := strings.Map(func(r rune) rune {
			if r < '0' || r > '9' {
				return -1
			}
			return r
		}, x.Text)
		v, err := strconv.ParseUint(digits, 10, 16)
		served, ok := p.bank.servedAt(uint16(v))
		if err != nil || !ok {
			continue
		}
		at := time.UnixMicro(int64(x.At * 1000))
		register = append(register, ageOf(uint16(v), at))
		answer = append(answer, at.Sub(served))
	}
	t.Logf("register to pixel %s; from the answer of the device to the pixel %s", spread(register), spread(answer))
}

// load takes the renderer's share of a core.
func (p page) load(t *testing.T, what string) {
	t.Helper()
	time.Sleep(2 * time.Second)
	before, began := p.RendererCPU(), time.Now()
	time.Sleep(*fuxaTime)
	t.Logf("%s: renderer %.1f %% of a core", what, 100*(p.RendererCPU()-before).Seconds()/time.Since(began).Seconds())
}

// fuxaView is a view of FUXA with the values the clients of the other test show, and a chart.
func fuxaView() (hmi, charts any) {
	const id, chart = "v_1", "c_1"
	items := map[string]any{}
	var svg strings.Builder
	svg.WriteString(`<svg width="1200" height="800" xmlns="http://www.w3.org/2000/svg" xmlns:svg="http://www.w3.org/2000/svg" xmlns:html="http://www.w3.org/1999/xhtml"><g><title>Layer 1</title>`)
	for i, name := range shown(peerShown) {
		item := fmt.Sprint("VAL_", i)
		items[item] = map[string]any{"id": item, "type": "svg-ext-value", "name": name, "label": "Value",
			"property": map[string]any{"events": []any{}, "actions": []any{}, "variable": name, "variableId": name, "variableSrc": "plc", "ranges": []any{}}}
		fmt.Fprintf(&svg, `<g id="%s" type="svg-ext-value" fill="#000000" font-size="12" font-family="sans-serif" text-anchor="middle"><text id="T%s" x="%d" y="%d" font-size="12" text-anchor="middle">##.##</text></g>`,
			item, item, 30+55*(i%20), 30+25*(i/20))
	}
	items["HXC_1"] = map[string]any{"id": "HXC_1", "type": "svg-ext-html_chart", "name": "pens", "label": "HtmlChart", "property": map[string]any{"id": chart, "type": "realtime1"}}
	svg.WriteString(`<g id="HXC_1" type="svg-ext-html_chart" fill="#FFFFFF" font-size="14" font-family="sans-serif" text-anchor="right"><rect x="20" y="300" width="1160" height="460" id="svg_r1" fill="#ffffff"/>` +
		`<foreignObject x="20" y="300" height="460" width="1160" id="H-HXC_1"><DIV style="width: 100%; height: 100%;" id="D-HXC_1"></DIV></foreignObject></g></g></svg>`)
	var lines []any
	for i := range pagePens {
		lines = append(lines, map[string]any{"id": peerTag(i * peerTags / peerShown), "name": peerTag(i * peerTags / peerShown), "device": "plc", "color": fmt.Sprintf("#%02x4080", 20*i+40), "yaxis": 1})
	}
	hmi = map[string]any{"layout": map[string]any{"start": id, "navigation": map[string]any{"mode": "void", "type": "inline", "items": []any{}}, "header": map[string]any{}},
		"views": []any{map[string]any{"id": id, "name": "View", "profile": map[string]any{"width": 1200, "height": 800, "bkcolor": "#ffffffff"}, "items": items, "variables": map[string]any{}, "svgcontent": svg.String()}}}
	return hmi, []any{map[string]any{"id": chart, "name": "pens", "lines": lines}}
}
