package ui_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"scada/web/api"
	"scada/web/ui/uitest"
)

// spills names what does not fit: a page wider than the window, parts of the frame and of the head of the page outside of it, texts cut
// in buttons, and a page of which nothing is left to see.
const spills = `(() => {
	const bad = [], wide = document.documentElement.clientWidth;
	if (document.documentElement.scrollWidth > wide) bad.push("the page is " + document.documentElement.scrollWidth + " wide");
	const name = e => e.id || e.className || e.localName;
	for (const e of document.querySelectorAll(".head > *, .banner > *, .page-head > *, .notice, #main > *, dialog[open]")) {
		const r = e.getBoundingClientRect();
		if (r.width > 0 && (r.right > wide + 1 || r.left < -1)) bad.push(name(e) + " from " + Math.round(r.left) + " to " + Math.round(r.right));
	}
	for (const e of document.querySelectorAll("button.btn, a.btn, .pill")) {
		if (e.clientWidth > 0 && e.scrollWidth > e.clientWidth + 2) bad.push("cut: " + e.innerText);
	}
	for (const e of document.querySelectorAll(".page-head, .pens, .banner, .head")) if (e.scrollHeight > e.clientHeight + 3) bad.push(name(e) + " is " + e.scrollHeight + " high in " + e.clientHeight);
	for (const e of document.querySelectorAll("#alarm-scroll, #tag-scroll, .events .scroll, .card:has(> table.grid)")) {
		const table = e.querySelector("table");
		if (e.scrollWidth > e.clientWidth + 1) bad.push((table.id || "a table") + " is " + e.scrollWidth + " wide in " + e.clientWidth);
		if (table.querySelector("td:not([height])") && table.getBoundingClientRect().width < e.clientWidth - 2) bad.push((table.id || "a table") + " is only " + table.getBoundingClientRect().width + " wide in " + e.clientWidth);
		const row = table.querySelector("tbody tr:not(.gap)"), last = row && [...row.cells].filter(c => c.offsetWidth > 0).at(-1);
		if (last && last.getBoundingClientRect().right < e.getBoundingClientRect().left + e.clientWidth - 3) bad.push((table.id || "a table") + " ends at " + last.getBoundingClientRect().right);
	}
	const main = document.querySelector("#main");
	if (main && main.clientHeight < 200) bad.push("only " + main.clientHeight + " of the page are left");
	return bad.join("; ");
})()`

// longNames raises alarms with texts, names and numbers as long as plants have them.
func (s *site) longNames() {
	s.someAlarms()
	long := strings.Repeat("一号净水厂二级泵房送水泵电机轴承温度", 4) // 72 signs, no blank
	s.raise(api.Alarm{ID: strings.Repeat("building/", 12) + "temperature", Tag: "treatment/filter1/head_loss", Type: "level", Level: "HiHi", State: "UNACK", Active: true, Priority: 1,
		Value: 12345678901234.5, Unit: "kWh/(m²·d)", Message: long}, "RAISE", "")
	s.raise(api.Alarm{ID: "x/y.level", Tag: strings.Repeat("very_long_name_of_an_area/", 6) + "value", Type: "level", Level: "Hi", State: "UNACK", Active: true, Priority: 2,
		Value: -0.000001234, Message: strings.Repeat("ThisTextHasNoBlankAtAll", 6), Comment: long}, "RAISE", "")
	s.raise(api.Alarm{ID: "z.level", Tag: "mixer/speed", Type: "level", Level: "Hi", State: "RTN_UNACK", Priority: 3, Message: long + " " + long}, "RAISE", "")
}

// TestNothingSpills looks at every page with long names, on a desk, a tablet upright, and magnified to 200 %.
func TestNothingSpills(t *testing.T) {
	needBrowser(t)
	s := newSite(t)
	s.longNames()
	b := uitest.Open(t, 1280, 800)
	b.Shots = os.Getenv("UI_SHOTS")
	s.signIn(b, "a", "adam")
	for _, size := range []struct {
		what, lang    string
		width, height int64
	}{{"desk", "en", 1280, 800}, {"tablet", "zh", 768, 1024}, {"tablet", "en", 768, 1024}, {"200 %", "zh", 640, 400}} {
		b.Size(size.width, size.height)
		b.Look(size.lang, "light")
		for _, page := range uitest.Pages {
			b.GoTo(page)
			if bad := uitest.Eval[string](b, spills); bad != "" {
				t.Errorf("%s %s, %s: %s", size.what, size.lang, page, bad)
			}
			b.Shot(fmt.Sprintf("long-%d-%s-%s", size.width, size.lang, page))
		}
		b.GoTo("alarms")
		b.Click("tr[data-alarm] .rowlink")
		b.Wait("the alarm", "document.querySelector('dialog #alarm-ack')")
		if bad := uitest.Eval[string](b, spills); bad != "" {
			t.Errorf("%s %s, an alarm: %s", size.what, size.lang, bad)
		}
		b.Shot(fmt.Sprintf("long-%d-%s-sheet", size.width, size.lang))
		b.Escape()
	}
	b.Check()
}

// TestNothingMoves: who asks the system for less motion sees no blinking; the unacknowledged are filled all the same.
func TestNothingMoves(t *testing.T) {
	needBrowser(t)
	s := newSite(t)
	s.someAlarms()
	for _, reduced := range []bool{true, false} {
		var flags []string
		if reduced {
			flags = append(flags, "force-prefers-reduced-motion")
		}
		b := uitest.Open(t, 1024, 768, flags...)
		s.signIn(b, "a", "vera")
		b.GoTo("alarms")
		const opacity = "getComputedStyle(document.querySelector('.prio.blink .s')).fillOpacity"
		b.Wait("the beat", "document.documentElement.classList.contains('dim')")
		if got := uitest.Eval[string](b, opacity+" + ' ' + document.documentElement.classList.contains('dim')"); reduced && !strings.HasPrefix(got, "1 ") {
			t.Errorf("it blinks although less motion is asked for: %s", got)
		}
		if !reduced {
			b.Wait("a blink", opacity+" !== '1'")
		}
		b.Check()
	}
}

// sheets are opened from a page by an element that is reached with Tab.
var sheets = []struct{ page, opener string }{
	{"mimic", `[data-tag="treatment/chlorine/value"]`}, {"tags", `tr[data-tag="treatment/chlorine/setpoint"] .rowlink`}, {"alarms", "tr[data-alarm] .rowlink"}, {"alarms", "#ack-visible button, #ack-visible"},
	{"devices", "tr[data-device] .rowlink"}, {"redundancy", "#role-switch"}, {"redundancy", "#role-drill"}, {"settings", "#change-password"}, {"settings", "#add-user"},
	{"settings", "tr[data-user=vera] .rowlink"}, {"settings", "#add-token"},
}

// inSheet marks what can be operated in the open sheet and keeps count of what gets the focus.
const inSheet = `window.seen = new Set([document.activeElement]);
	document.addEventListener('focusin', e => window.seen.add(e.target));
	window.wanted = [...document.querySelectorAll('dialog[open] :is(a[href], button, input, select, ix-button)')].filter(e => !e.disabled && e.getClientRects().length > 0)`

// TestEverySheetIsWorkedByKeyboard opens each sheet with a key, reaches everything in it with Tab, leaves it with Escape, and is back
// where it was. Axe looks at each; it looks at the pages and two sheets in other colours elsewhere.
func TestEverySheetIsWorkedByKeyboard(t *testing.T) {
	needBrowser(t)
	s := newSite(t)
	s.someAlarms()
	b := uitest.Open(t, 1280, 800)
	s.signIn(b, "a", "adam")
	b.Look("en", "dark")
	for _, sheet := range sheets {
		name := sheet.page + " " + sheet.opener
		if !b.Is(fmt.Sprintf("location.hash === '#/%s'", sheet.page)) {
			b.GoTo(sheet.page)
			b.Wait("the page has the focus", "document.activeElement?.id === 'main'")
		}
		if sheet.page == "tags" {
			b.Filter("chlorine/setpoint")
		}
		b.Wait(name, fmt.Sprintf("document.querySelector(%q) && !document.querySelector(%q).disabled", sheet.opener, sheet.opener))
		b.Script(fmt.Sprintf("window.opener_ = document.querySelector(%q); opener_.focus()", sheet.opener))
		if sheet.page == "mimic" { // the driver sends an Enter that was taken on to the button that has the focus then
			b.Keys(" ")
		} else {
			b.Keys("\r")
		}
		b.Wait(name+" opens", "document.querySelector('dialog[open]')")
		b.Script(inSheet)
		if found := b.Axe("node_modules/axe-core/axe.min.js"); found != "" {
			t.Errorf("%s: %s", name, found)
		}
		for range 40 {
			if uitest.Eval[string](b, missed) == "" {
				break
			}
			b.Keys("\t")
		}
		if left := uitest.Eval[string](b, missed); left != "" {
			t.Errorf("%s: Tab never comes to %s", name, left)
		}
		b.Escape()
		b.Wait(name+" closes", "!document.querySelector('dialog[open]')")
		b.Wait("back at "+name, "document.activeElement === window.opener_ || window.opener_.contains(document.activeElement)")
	}
	b.Check()
}

// TestTheDayByKeyboard works an alarm off, zooms a trend and starts a drill with keys alone.
func TestTheDayByKeyboard(t *testing.T) {
	needBrowser(t)
	s := newSite(t)
	s.someAlarms()
	b := uitest.Open(t, 1280, 800)
	s.signIn(b, "a", "adam")
	to := func(what, selector string) { // with Tab, from wherever the focus is
		t.Helper()
		b.Wait(what, fmt.Sprintf("document.querySelector(%q)", selector))
		for range mostTabs {
			if b.Is(fmt.Sprintf("document.activeElement?.matches(%q)", selector)) {
				return
			}
			b.Keys("\t")
		}
		t.Fatalf("Tab never comes to %s", what)
	}
	b.Keys("g", "a")
	to("the alarm", `tr[data-alarm="intake/pump2/trip.discrete"] .rowlink`)
	b.Keys("\r")
	to("the comment", "#alarm-comment")
	b.Keys("s", "e", "e", "n")
	to("the acknowledgement", "#alarm-ack")
	b.Keys("\r")
	b.Wait("it is acknowledged, with the comment", `document.querySelector('tr[data-alarm="intake/pump2/trip.discrete"]')?.dataset.state === 'ACKED' && document.querySelector('#alarm-table').innerText.includes('seen')`)
	to("another alarm", `tr[data-alarm="treatment/chlorine/value.level"] .rowlink`)
	b.Keys("\r")
	to("the time", "#shelve-time")
	b.Keys("8")
	to("the shelf", "#alarm-shelve")
	b.Keys("\r")
	b.Wait("it is shelved", `!document.querySelector('tr[data-alarm="treatment/chlorine/value.level"]') && !document.querySelector('dialog')`)
	b.Keys("g", "r")
	to("the zoom", "#trend-in")
	b.Keys("\r")
	b.Wait("the picture stands still", "document.querySelector('#trend-live').getAttribute('aria-pressed') === 'false'")
	b.Keys("g", "u")
	to("the drill", "#role-drill")
	b.Keys("\r")
	to("the reason", "#ask-reason")
	b.Keys("d", "r", "i", "l", "l")
	to("the button", "#ask-confirm")
	b.Keys("\r")
	b.WaitFor("its record", "!document.querySelector('dialog') && document.querySelector('#last-switch').innerText.includes('drill')", time.Minute)
	b.Check()
}
