package ui_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"scada/web/api"
	"scada/web/ui/uitest"
)

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
	b := uitest.Open(t, 1280, 800)
	b.Shots = dir
	b.Do(chromedp.Navigate(s.url["a"]), chromedp.WaitVisible(chromedp.CSS("input[name=user]")))
	b.Shot("login")
	s.signIn(b, "a", "adam")
	for _, look := range []struct {
		name, lang, theme string
		width             int64
	}{{"en-light", "en", "light", 1280}, {"zh-dark", "zh", "dark", 1280}, {"en-dark-768", "en", "dark", 768}} {
		b.Size(look.width, 800)
		b.Look(look.lang, look.theme)
		for _, page := range uitest.Pages {
			b.GoTo(page)
			time.Sleep(1200 * time.Millisecond)
			b.Shot(look.name + "-" + page)
		}
	}
	b.Size(1280, 800)
	b.Look("zh", "light")
	b.GoTo("mimic")
	b.Click(`[data-tag="treatment/chlorine/value"]`)
	b.Shot("faceplate")
	b.Escape()
	b.GoTo("tags")
	b.Filter("chlorine/setpoint")
	b.Wait("one row", "document.querySelectorAll('tr[data-tag]').length === 1")
	b.Click("tr[data-tag] .rowlink")
	b.Type("dialog input[name=value]", "0.75\r")
	b.Shot("write-confirm")
	b.Escape()
	b.GoTo("alarms")
	b.Click("tr[data-alarm] .rowlink")
	b.Shot("alarm-sheet")
	b.Escape()
	b.GoTo("redundancy")
	b.Click("#role-switch")
	b.Shot("switch-question")
	b.Escape()
	b.Look("en", "light")
	b.GoTo("trends?pens=treatment/chlorine/value,network/pressure/value,intake/river/level,intake/pump1/running")
	s.silentDevice("plc2")
	time.Sleep(6 * time.Second)
	s.cables["a"].cut()
	s.kill("a")
	time.Sleep(4 * time.Second)
	b.Script("[...document.querySelectorAll('.group .btn')].find(x => x.innerText === '1 min').click()")
	time.Sleep(time.Second)
	b.Shot("trends-after-kill")
	b.GoTo("redundancy")
	time.Sleep(time.Second)
	b.Shot("redundancy-after-kill")
	b.GoTo("mimic")
	time.Sleep(500 * time.Millisecond)
	b.Shot("mimic-silent")
	b.GoTo("tags")
	s.cables["b"].cut()
	time.Sleep(2 * time.Second)
	b.Shot("lost")
	b.Check()
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
	b := uitest.Open(t, 1280, 800)
	s.signIn(b, "a", "olga")
	b.Script("window.mark = 'not reloaded'")
	s.cables["a"].cut()
	killed := time.Now()
	b.Wait("b's socket", "scada.state().server === 'b' && scada.state().connected")
	t.Logf("linked to b %v after the kill", time.Since(killed).Round(time.Millisecond))
	s.kill("a")
	b.Wait("epoch 8 and fresh values", "scada.state().epoch === 8 && !scada.state().stale && scada.gaps('intake/river/level').length >= 1 && scada.value('intake/river/level').ageMs < 1000")
	t.Logf("fresh values of the new active %v after the kill; gap %s", time.Since(killed).Round(time.Millisecond), uitest.Eval[string](b, "JSON.stringify(scada.gaps('intake/river/level'))"))
	if uitest.Eval[string](b, "window.mark") != "not reloaded" {
		t.Error("the page was reloaded")
	}
	b.GoTo("journal") // HTTP goes to b too, with a token from the ticket
	b.Wait("the journal from b", "document.querySelector('#journal-table').innerText.includes('heartbeat lost')")
	b.GoTo("trends")
	b.Wait("no error on trends", "!document.querySelector('#main .error')")
	b.Check()
}

// TestLeavesAFrozenServer: a is stopped, not dead: its sockets stay open and say nothing.
func TestLeavesAFrozenServer(t *testing.T) {
	needBrowser(t)
	s := newSite(t)
	b := uitest.Open(t, 1280, 800)
	s.signIn(b, "a", "olga")
	b.GoTo("tags")
	close(s.cables["a"].frozen)
	stopped := time.Now()
	b.Wait("the page says stale or moved on", "scada.state().stale || scada.state().server === 'b'")
	b.Wait("values of b", "scada.state().server === 'b' && !scada.state().stale && scada.value('intake/river/level').ageMs < 1500")
	t.Logf("values of b %v after the freeze", time.Since(stopped).Round(time.Millisecond))
	b.Check()
}

// TestNothingIsSentWhileDisconnected: a write needs a link; with none it is refused at once and never sent later.
func TestNothingIsSentWhileDisconnected(t *testing.T) {
	needBrowser(t)
	s := newSite(t)
	b := uitest.Open(t, 1280, 800)
	s.signIn(b, "a", "olga")
	b.GoTo("tags")
	b.Filter("chlorine/setpoint")
	b.Wait("one row", "document.querySelectorAll('tr[data-tag]').length === 1")
	b.Click("tr[data-tag] .rowlink")
	b.Wait("the faceplate", "document.querySelector('dialog input[name=value]')")
	b.Type("dialog input[name=value]", "0.75\r")
	b.Wait("the question", "document.querySelector('#write-confirm')")
	b.Script("document.querySelector('#write-confirm').click()")
	b.Wait("the value read back", "document.querySelector('#write-result')?.className === 'ok' && document.querySelector('#write-result').innerText.includes('0.75')")
	b.Wait("the written value on the page", "Math.abs(scada.value('treatment/chlorine/setpoint').value - 0.75) < 1e-6")
	b.Script("[...document.querySelectorAll('dialog .write button')].at(-1).click()")
	b.Type("dialog input[name=value]", "0.5\r")
	b.Wait("the question again", "document.querySelector('#write-confirm')")
	s.cables["a"].cut()
	s.cables["b"].cut()
	b.Wait("the loss", "scada.state().stale")
	b.Wait("the button is off", "document.querySelector('#write-confirm').disabled")
	b.Script("document.querySelector('#write-confirm').click()")
	if n := s.countWrites(); n != 1 {
		t.Errorf("%d writes reached the server, want 1", n)
	}
	b.Escape()
	b.Look("zh", "light")
	for page, says := range map[string]string{"kpi": "无法读取", "journal": "服务器无应答", "trends": "无法读取历史数据"} {
		b.GoTo(page) // which has never been shown: it must not look as if something were on its way
		b.Wait(page+" says why it is empty", fmt.Sprintf("document.querySelector('#main').innerText.includes(%q)", says))
	}
	b.Check()
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
	b := uitest.Open(t, 1280, 800)
	s.signIn(b, "a", "olga")
	b.Keys("g", "a") // the keys to the page
	b.Wait("the list", "document.querySelectorAll('tr[data-alarm]').length === 4")
	b.Click(`tr[data-alarm="intake/pump2/trip.discrete"] button.ack`)
	b.Wait("the acknowledgement", `document.querySelector('tr[data-alarm="intake/pump2/trip.discrete"]').dataset.state === 'ACKED'`)
	b.Click("#ack-visible")
	b.Wait("the question", "document.querySelector('#ask-reason')")
	b.Type("#ask-reason", "seen on the round")
	b.Click("#ask-confirm")
	b.Wait("nothing unacknowledged", "scada.state().unacked === 0 && !document.querySelector('dialog')")
	b.Wait("the comment", "document.querySelector('#alarm-table').innerText.includes('seen on the round')")
	b.Click(`tr[data-alarm="treatment/chlorine/value.level"] .rowlink`)
	b.Wait("the sheet", "document.querySelector('#alarm-shelve')")
	b.Click("#alarm-shelve")
	b.Wait("it left the list", `!document.querySelector('tr[data-alarm="treatment/chlorine/value.level"]')`)
	b.Check()
}

// TestViewerMayLook: what a viewer may not do is off, with the reason.
func TestViewerMayLook(t *testing.T) {
	needBrowser(t)
	s := newSite(t)
	s.someAlarms()
	b := uitest.Open(t, 1280, 800)
	s.signIn(b, "b", "vera") // served by the standby: usable as well
	if role := uitest.Eval[string](b, "scada.state().role"); role != "standby" {
		t.Errorf("role %s, want standby", role)
	}
	b.GoTo("alarms")
	b.Wait("buttons off", "document.querySelector('#ack-visible').disabled && [...document.querySelectorAll('button.ack')].every(x => x.disabled)")
	b.GoTo("redundancy")
	b.Wait("no switching", "document.querySelector('#role-switch').disabled")
	b.Check()
}

// TestSwitchOver: an administrator hands the role over; the page stays where it is and shows the record.
func TestSwitchOver(t *testing.T) {
	needBrowser(t)
	s := newSite(t)
	b := uitest.Open(t, 1280, 800)
	s.signIn(b, "a", "adam")
	b.GoTo("redundancy")
	b.Click("#role-switch")
	b.Wait("the question", "document.querySelector('#ask-confirm')")
	b.Type("#ask-reason", "maintenance of a")
	b.Click("#ask-confirm")
	b.Wait("the record", "document.querySelector('#last-switch').innerText.includes('maintenance of a') && scada.state().epoch === 8")
	if server := uitest.Eval[string](b, "scada.state().server"); server != "a" {
		t.Errorf("linked to %s, want to stay with a", server)
	}
	b.Check()
}

// TestAccessible runs axe over every page and both sheets, in both colour schemes and both languages.
func TestAccessible(t *testing.T) {
	needBrowser(t)
	const axe = "node_modules/axe-core/axe.min.js"
	if _, err := os.Stat(axe); err != nil {
		t.Skipf("axe-core is not installed: %v", err)
	}
	s := newSite(t)
	s.someAlarms()
	s.silentDevice("well1")
	b := uitest.Open(t, 1280, 800)
	check := func(where string) {
		if found := b.Axe(axe); found != "" {
			t.Errorf("%s: %s", where, found)
		}
	}
	b.Do(chromedp.Navigate(s.url["a"]), chromedp.WaitVisible(chromedp.CSS("input[name=user]")))
	check("log-in")
	s.signIn(b, "a", "adam")
	for _, look := range []struct{ lang, theme string }{{"en", "light"}, {"zh", "dark"}} {
		b.Look(look.lang, look.theme)
		for _, page := range uitest.Pages {
			b.GoTo(page)
			b.Filled(page)
			check(look.lang + " " + look.theme + " " + page)
		}
		b.GoTo("mimic")
		b.Click(`[data-tag="treatment/chlorine/value"]`)
		check(look.lang + " " + look.theme + " faceplate")
		b.Escape()
		b.GoTo("alarms")
		b.Click("tr[data-alarm] .rowlink")
		check(look.lang + " " + look.theme + " alarm")
		b.Escape()
	}
	b.Check()
}
