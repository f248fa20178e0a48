package ui_test

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"scada/acquisition/live"
	"scada/acquisition/tag"
	"scada/web"
	"scada/web/api"
	"scada/web/ui/uitest"
)

var figuresTime = flag.Duration("figures", 0, "time to measure each case of TestFigures for; 0 skips it")

// TestFigures measures the page in Chromium: weight, first paint, the load of the renderer, and how it carries a large plant. It
// asserts nothing about speed: make bench-web runs it.
func TestFigures(t *testing.T) {
	if *figuresTime == 0 {
		t.Skip("a measurement: go test ./web/ui -run TestFigures -figures 20s")
	}
	needBrowser(t)
	t.Run("page", figuresOfThePage)
	t.Run("large plant", figuresOfALargePlant)
}

// load is the renderer's share of a core over the time of the measurement.
func load(b *uitest.Tab) string {
	before, began := b.RendererCPU(), time.Now()
	time.Sleep(*figuresTime)
	return fmt.Sprintf("%.1f %% of a core", 100*float64(b.RendererCPU()-before)/float64(time.Since(began)))
}

func figuresOfThePage(t *testing.T) {
	s := newSite(t)
	b := uitest.Open(t, 1280, 800)
	s.signIn(b, "a", "olga")
	t.Logf("first contentful paint %.0f ms, transferred %.0f bytes", uitest.Eval[float64](b, "performance.getEntriesByName('first-contentful-paint')[0].startTime"),
		uitest.Eval[float64](b, "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')].filter(e => !e.name.includes('/api/')).reduce((s, e) => s + e.transferSize, 0)"))
	t.Logf("%d tags change five times a second: %d values/s arrive", len(s.defs), 5*len(s.defs))
	pens := []string{}
	for _, d := range s.defs {
		if d.Type == tag.TypeFloat32 || d.Type == tag.TypeFloat64 {
			pens = append(pens, d.Name)
		}
		if len(pens) == 10 {
			break
		}
	}
	b.GoTo("trends?pens=" + strings.Join(pens, ","))
	b.Wait("ten pens", "document.querySelectorAll('[data-pen]').length === 10")
	time.Sleep(3 * time.Second)
	t.Logf("trend of 10 pens over 5 minutes: renderer %s", load(b))
	for _, page := range []string{"overview", "mimic", "tags"} {
		b.GoTo(page)
		t.Logf("%s: renderer %s", page, load(b))
	}
	b.Check()
}

// figuresOfALargePlant: 10,000 tags of which 1,000 change every second, and 5,000 alarms.
func figuresOfALargePlant(t *testing.T) {
	const tags, alarms, changing = 10_000, 5_000, 1_000
	s := newSite(t)
	s.mu.Lock()
	s.defs = nil
	for i := range tags {
		s.defs = append(s.defs, tag.Definition{ID: tag.ID(i), Name: fmt.Sprintf("area%02d/unit%03d/point%02d", i/1000, i/20, i%20), Area: "main", Device: fmt.Sprint("plc", i/500),
			Type: tag.TypeFloat64, ScanPeriod: time.Second, Unit: "bar", Description: "Pressure before the filter"})
	}
	for _, n := range s.nodes {
		n.view = &web.Plant{Tags: s.defs, Live: live.New(tags)}
	}
	s.large = changing
	s.mu.Unlock()
	b := uitest.Open(t, 1280, 800)
	began := time.Now()
	b.SignIn(s.url["a"], "olga", password, tags)
	t.Logf("%d tags: from the log-in page to live values %s (with the typing)", tags, time.Since(began).Round(10*time.Millisecond))
	b.Script(`window.longest = 0; new PerformanceObserver(l => { for (const e of l.getEntries()) window.longest = Math.max(window.longest, e.duration) }).observe({entryTypes: ["longtask"]})`)
	b.GoTo("tags")
	t.Logf("tag browser, %d of %d change every second: renderer %s", changing, tags, load(b))
	took := func(what, do, until string) {
		t.Helper()
		b.Script("window.longest = 0; window.begun = performance.now();" + do)
		b.Wait(what, until)
		t.Logf("%s: %.0f ms, longest block of the page %.0f ms", what, uitest.Eval[float64](b, "performance.now() - window.begun"), uitest.Eval[float64](b, "window.longest"))
	}
	took("filter to one tag", "const i = document.querySelector('input.search'); i.value = 'unit321/point07'; i.dispatchEvent(new Event('input'))", "document.querySelectorAll('tr[data-tag]').length === 1")
	b.Filter("")
	b.Wait("all tags", "document.querySelectorAll('tr[data-tag]').length > 10")
	took("scroll to the end", "document.querySelector('#tag-scroll').scrollTop = 1e9", "document.querySelector('tr[data-tag=\"area09/unit499/point19\"]')")
	b.GoTo("alarms")
	b.Script("window.longest = 0; window.begun = performance.now()")
	go func() {
		for i := range alarms {
			s.raise(api.Alarm{ID: fmt.Sprint("alarm", i), Tag: s.defs[i].Name, Type: "level", Level: "Hi", State: "UNACK", Active: true, Priority: 1 + i%4, Message: "Pressure high"}, "RAISE", "")
		}
	}()
	b.Wait("all alarms", fmt.Sprintf("scada.state().unacked === %d", alarms))
	t.Logf("%d alarms in a burst: all on the page after %.0f ms, longest block of the page %.0f ms", alarms, uitest.Eval[float64](b, "performance.now() - window.begun"), uitest.Eval[float64](b, "window.longest"))
	b.Script("window.longest = 0")
	t.Logf("alarm page with %d alarms: renderer %s, longest block of the page %.0f ms", alarms, load(b), uitest.Eval[float64](b, "window.longest"))
	b.Check()
}
