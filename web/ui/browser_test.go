package ui_test

import (
	"fmt"
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
		b.script(fmt.Sprintf(`const s = document.querySelector('#language'); s.value = %q; s.dispatchEvent(new Event('change'));
			if (document.documentElement.getAttribute('data-ix-color-schema') !== %q) document.querySelector('#theme').click()`, look.lang, look.theme))
		for _, page := range pages {
			b.goTo(page)
			time.Sleep(1200 * time.Millisecond)
			shot(look.name + "-" + page)
		}
	}
	b.run(chromedp.EmulateViewport(1280, 800))
	b.goTo("mimic")
	b.click(`[data-tag="intake/pump1/running"]`)
	time.Sleep(500 * time.Millisecond)
	shot("faceplate")
	b.run(chromedp.KeyEvent("\x1b"))
	s.silentDevice("plc2")
	time.Sleep(time.Second)
	shot("mimic-silent")
	b.goTo("devices")
	time.Sleep(time.Second)
	shot("devices-silent")
	b.goTo("tags")
	s.cables["a"].cut()
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
