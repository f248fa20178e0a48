package ui_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"scada/web/api"
)

var pages = []string{"overview", "mimic", "tags", "alarms", "trends", "devices", "redundancy", "journal"}

func (s *site) someAlarms() {
	s.raise(api.Alarm{ID: "intake/pump2/trip.discrete", Tag: "intake/pump2/trip", Type: "discrete", State: "UNACK", Active: true, Priority: 1, Message: "Intake pump 2 tripped"}, "RAISE", "")
	s.raise(api.Alarm{ID: "treatment/chlorine/value.level", Tag: "treatment/chlorine/value", Type: "level", Level: "Lo", State: "UNACK", Active: true, Priority: 2, Value: 0.18, Unit: "mg/l", Message: "Chlorine low"}, "RAISE", "")
	s.raise(api.Alarm{ID: "wells/well2/door.discrete", Tag: "wells/well2/door", Type: "discrete", State: "RTN_UNACK", Priority: 3, Message: "Door of well 2 open"}, "RAISE", "")
	s.raise(api.Alarm{ID: "treatment/clear_tank/level.level", Tag: "treatment/clear_tank/level", Type: "level", Level: "Hi", State: "ACKED", Active: true, Priority: 3, Value: 91.2, Unit: "%", Message: "Clear water tank high", AckedBy: "olga"}, "RAISE", "")
	s.raise(api.Alarm{ID: "mixer/torque.level", Tag: "mixer/torque", Type: "level", Level: "Hi", State: "SHELVED", Active: true, Priority: 4, Value: 310.0, Unit: "N.m", Message: "Mixer labours"}, "RAISE", "")
}

// TestShots writes pictures of every page to the directory UI_SHOTS, for people to look at.
func TestShots(t *testing.T) {
	dir := os.Getenv("UI_SHOTS")
	if dir == "" {
		t.Skip("set UI_SHOTS to a directory for pictures")
	}
	needBrowser(t)
	s := newSite(t)
	s.someAlarms()
	b := openTab(t, 1280, 800)
	shot := func(name string) {
		png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b.run(chromedp.Navigate(s.url["a"]), chromedp.WaitVisible(chromedp.CSS("input[name=user]")))
	shot("login")
	b.signIn(s.url["a"], "adam")
	for _, look := range []struct {
		name, lang, theme string
		width             int64
	}{{"en-light", "en", "light", 1280}, {"zh-dark", "zh", "dark", 1280}, {"en-dark-768", "en", "dark", 768}} {
		b.run(chromedp.EmulateViewport(look.width, 800))
		b.look(look.lang, look.theme)
		for _, page := range pages {
			b.goTo(page)
			time.Sleep(1200 * time.Millisecond)
			shot(look.name + "-" + page)
		}
	}
	b.run(chromedp.EmulateViewport(1280, 800))
	b.look("zh", "light")
	b.goTo("mimic")
	b.click(`[data-tag="treatment/chlorine/value"]`)
	shot("faceplate")
	b.run(chromedp.KeyEvent("\x1b"))
	b.goTo("tags")
	b.script(`const i = document.querySelector('input.search'); i.value = 'chlorine/setpoint'; i.dispatchEvent(new Event('input'))`)
	b.wait("one row", "document.querySelectorAll('tr[data-tag]').length === 1")
	b.click("tr[data-tag] .rowlink")
	b.run(chromedp.SendKeys(chromedp.CSS("dialog input[name=value]"), "0.75\r"))
	shot("write-confirm")
	b.run(chromedp.KeyEvent("\x1b"))
	b.goTo("alarms")
	b.click("tr[data-alarm] .rowlink")
	shot("alarm-sheet")
	b.run(chromedp.KeyEvent("\x1b"))
	b.goTo("redundancy")
	b.click("#role-switch")
	shot("switch-question")
	b.run(chromedp.KeyEvent("\x1b"))
	b.look("en", "light")
	b.goTo("trends?pens=treatment/chlorine/value,network/pressure/value,intake/river/level,intake/pump1/running")
	s.silentDevice("plc2")
	time.Sleep(6 * time.Second)
	s.cables["a"].cut()
	s.kill("a")
	time.Sleep(4 * time.Second)
	b.script("[...document.querySelectorAll('.group .btn')].find(x => x.innerText === '1 min').click()")
	time.Sleep(time.Second)
	shot("trends-after-kill")
	b.goTo("redundancy")
	time.Sleep(time.Second)
	shot("redundancy-after-kill")
	b.goTo("mimic")
	time.Sleep(500 * time.Millisecond)
	shot("mimic-silent")
	b.goTo("tags")
	s.cables["b"].cut()
	time.Sleep(2 * time.Second)
	shot("lost")
	b.check()
}

func (p *plant) silentDevice(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent[name] = true
}

// TestFollowsTheActiveWhenItIsKilled: the page was served by a, a dies with everything it had open, and without a reload
// the page shows live values of b within a second.
func TestFollowsTheActiveWhenItIsKilled(t *testing.T) {
	needBrowser(t)
	s := newSite(t)
	b := openTab(t, 1280, 800)
	b.signIn(s.url["a"], "olga")
	b.script("window.mark = 'not reloaded'")
	s.cables["a"].cut()
	killed := time.Now()
	b.wait("b's socket", "scada.state().server === 'b' && scada.state().connected")
	t.Logf("linked to b %v after the kill", time.Since(killed).Round(time.Millisecond))
	s.kill("a")
	b.wait("epoch 8 and fresh values", "scada.state().epoch === 8 && !scada.state().stale && scada.gaps('intake/river/level').length >= 1 && scada.value('intake/river/level').ageMs < 1000")
	t.Logf("fresh values of the new active %v after the kill; gap %s", time.Since(killed).Round(time.Millisecond), eval[string](b, "JSON.stringify(scada.gaps('intake/river/level'))"))
	if eval[string](b, "window.mark") != "not reloaded" {
		t.Error("the page was reloaded")
	}
	b.goTo("journal") // HTTP goes to b too, with a token from the ticket
	b.wait("the journal from b", "document.querySelector('#journal-table').innerText.includes('heartbeat lost')")
	b.goTo("trends")
	b.wait("no error on trends", "!document.querySelector('#main .error')")
	b.check()
}

// TestLeavesAFrozenServer: a is stopped, not dead: its sockets stay open and say nothing.
func TestLeavesAFrozenServer(t *testing.T) {
	needBrowser(t)
	s := newSite(t)
	b := openTab(t, 1280, 800)
	b.signIn(s.url["a"], "olga")
	b.goTo("tags")
	close(s.cables["a"].frozen)
	stopped := time.Now()
	b.wait("the page says stale or moved on", "scada.state().stale || scada.state().server === 'b'")
	b.wait("values of b", "scada.state().server === 'b' && !scada.state().stale && scada.value('intake/river/level').ageMs < 1500")
	t.Logf("values of b %v after the freeze", time.Since(stopped).Round(time.Millisecond))
	b.check()
}

// TestNothingIsSentWhileDisconnected: a write needs a link; with none it is refused at once and never sent later.
func TestNothingIsSentWhileDisconnected(t *testing.T) {
	needBrowser(t)
	s := newSite(t)
	b := openTab(t, 1280, 800)
	b.signIn(s.url["a"], "olga")
	b.goTo("tags")
	b.script(`const i = document.querySelector('input.search'); i.value = 'chlorine/setpoint'; i.dispatchEvent(new Event('input'))`)
	b.wait("one row", "document.querySelectorAll('tr[data-tag]').length === 1")
	b.click("tr[data-tag] .rowlink")
	b.wait("the faceplate", "document.querySelector('dialog input[name=value]')")
	b.run(chromedp.SendKeys(chromedp.CSS("dialog input[name=value]"), "0.75\r"))
	b.wait("the question", "document.querySelector('#write-confirm')")
	b.script("document.querySelector('#write-confirm').click()")
	b.wait("the value read back", "document.querySelector('#write-result')?.className === 'ok' && document.querySelector('#write-result').innerText.includes('0.75')")
	b.wait("the written value on the page", "Math.abs(scada.value('treatment/chlorine/setpoint').value - 0.75) < 1e-6")
	b.script("[...document.querySelectorAll('dialog .write button')].at(-1).click()")
	b.run(chromedp.SendKeys(chromedp.CSS("dialog input[name=value]"), "0.5\r"))
	b.wait("the question again", "document.querySelector('#write-confirm')")
	s.cables["a"].cut()
	s.cables["b"].cut()
	b.wait("the loss", "scada.state().stale")
	b.wait("the button is off", "document.querySelector('#write-confirm').disabled")
	b.script("document.querySelector('#write-confirm').click()")
	if n := s.countWrites(); n != 1 {
		t.Errorf("%d writes reached the server, want 1", n)
	}
	b.check()
}

func (p *plant) countWrites() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, e := range p.journal {
		if e.Kind == "write" {
			n++
		}
	}
	return n
}

// TestOperatorWorksOffAlarms acknowledges, comments and shelves.
func TestOperatorWorksOffAlarms(t *testing.T) {
	needBrowser(t)
	s := newSite(t)
	s.someAlarms()
	b := openTab(t, 1280, 800)
	b.signIn(s.url["a"], "olga")
	b.run(chromedp.KeyEvent("g"), chromedp.KeyEvent("a")) // the keys to the page
	b.wait("the list", "document.querySelectorAll('tr[data-alarm]').length === 4")
	b.click(`tr[data-alarm="intake/pump2/trip.discrete"] button.ack`)
	b.wait("the acknowledgement", `document.querySelector('tr[data-alarm="intake/pump2/trip.discrete"]').dataset.state === 'ACKED'`)
	b.click("#ack-visible")
	b.wait("the question", "document.querySelector('#ask-reason')")
	b.run(chromedp.SendKeys(chromedp.CSS("#ask-reason"), "seen on the round"))
	b.click("#ask-confirm")
	b.wait("nothing unacknowledged", "scada.state().unacked === 0 && !document.querySelector('dialog')")
	b.wait("the comment", "document.querySelector('#alarm-table').innerText.includes('seen on the round')")
	b.click(`tr[data-alarm="treatment/chlorine/value.level"] .rowlink`)
	b.wait("the sheet", "document.querySelector('#alarm-shelve')")
	b.click("#alarm-shelve")
	b.wait("it left the list", `!document.querySelector('tr[data-alarm="treatment/chlorine/value.level"]')`)
	b.check()
}

// TestViewerMayLook: what a viewer may not do is off, with the reason.
func TestViewerMayLook(t *testing.T) {
	needBrowser(t)
	s := newSite(t)
	s.someAlarms()
	b := openTab(t, 1280, 800)
	b.signIn(s.url["b"], "vera") // served by the standby: usable as well
	if role := eval[string](b, "scada.state().role"); role != "standby" {
		t.Errorf("role %s, want standby", role)
	}
	b.goTo("alarms")
	b.wait("buttons off", "document.querySelector('#ack-visible').disabled && [...document.querySelectorAll('button.ack')].every(x => x.disabled)")
	b.goTo("redundancy")
	b.wait("no switching", "document.querySelector('#role-switch').disabled")
	b.check()
}

// TestSwitchOver: an administrator hands the role over; the page stays where it is and shows the record.
func TestSwitchOver(t *testing.T) {
	needBrowser(t)
	s := newSite(t)
	b := openTab(t, 1280, 800)
	b.signIn(s.url["a"], "adam")
	b.goTo("redundancy")
	b.click("#role-switch")
	b.wait("the question", "document.querySelector('#ask-confirm')")
	b.run(chromedp.SendKeys(chromedp.CSS("#ask-reason"), "maintenance of a"))
	b.click("#ask-confirm")
	b.wait("the record", "document.querySelector('#last-switch').innerText.includes('maintenance of a') && scada.state().epoch === 8")
	if server := eval[string](b, "scada.state().server"); server != "a" {
		t.Errorf("linked to %s, want to stay with a", server)
	}
	b.check()
}

// TestAccessible runs axe over every page and both sheets, in both colour schemes and both languages.
func TestAccessible(t *testing.T) {
	needBrowser(t)
	axe, err := os.ReadFile("node_modules/axe-core/axe.min.js")
	if err != nil {
		t.Skipf("axe-core is not installed: %v", err)
	}
	s := newSite(t)
	s.someAlarms()
	s.silentDevice("well1")
	b := openTab(t, 1280, 800)
	check := func(where string) {
		if !eval[bool](b, "Boolean(window.axe)") {
			b.script(string(axe))
		}
		if found := eval[string](b, axeRun); found != "" {
			t.Errorf("%s: %s", where, found)
		}
	}
	b.run(chromedp.Navigate(s.url["a"]), chromedp.WaitVisible(chromedp.CSS("input[name=user]")))
	check("log-in")
	b.signIn(s.url["a"], "adam")
	for _, look := range []struct{ lang, theme string }{{"en", "light"}, {"zh", "dark"}} {
		b.look(look.lang, look.theme)
		for _, page := range pages {
			b.goTo(page)
			time.Sleep(300 * time.Millisecond)
			check(look.lang + " " + look.theme + " " + page)
		}
		b.goTo("mimic")
		b.click(`[data-tag="treatment/chlorine/value"]`)
		check(look.lang + " " + look.theme + " faceplate")
		b.run(chromedp.KeyEvent("\x1b"))
		b.goTo("alarms")
		b.click("tr[data-alarm] .rowlink")
		check(look.lang + " " + look.theme + " alarm")
		b.run(chromedp.KeyEvent("\x1b"))
	}
	b.check()
}
