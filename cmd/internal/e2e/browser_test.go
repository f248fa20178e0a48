//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"scada/web/api"
	"scada/web/ui/uitest"
)

// What the dashboard promises: values of the other node after the death of its own, and after its freezing.
const (
	pageKillBound  = time.Second
	pageStopBound  = 3500 * time.Millisecond
	pageStaleBound = 3 * time.Second // from the silence of a device to the mark on its values
)

const (
	shotsDir = "shots"
	axePath  = "../../../web/ui/node_modules/axe-core/axe.min.js"
	demoTags = 150 // the demo has more
)

// open starts a browser and logs in at a node.
func (r *rig) open(node, user, password string) *uitest.Tab {
	r.t.Helper()
	b := uitest.Open(r.t, 1280, 800)
	b.Shots = shotsDir
	b.SignIn(r.url(node), user, password, demoTags)
	b.Script("window.neverReloaded = true")
	return b
}

// good is an expression that is true while the tag is good and at most so old on the page.
func good(tag string, age time.Duration) string {
	return fmt.Sprintf("scada.state().connected && !scada.state().stale && scada.value(%q)?.quality === 'Good' && scada.value(%q).ageMs < %d", tag, tag, age.Milliseconds())
}

// gap is a span the page had no good value in, in Unix milliseconds of the source.
type gap struct{ FromMs, ToMs float64 }

// hole asks the page for its own record of gaps of a tag: from the first of them that ends after an instant of the page's clock
// to the end of the last.
func hole(b *uitest.Tab, tag string, since float64) time.Duration {
	var from, to float64
	for _, g := range uitest.Eval[[]gap](b, fmt.Sprintf("scada.gaps(%q)", tag)) {
		if g.ToMs < since {
			continue
		}
		if from == 0 {
			from = g.FromMs
		}
		to = g.ToMs
	}
	return time.Duration((to - from) * 1e6)
}

// TestDashboardSurvivesItsServer watches a 10 Hz tag on the active's dashboard while that node is killed, comes back, and
// is frozen. The page is never reloaded, and its own record of gaps is held against the promise.
func TestDashboardSurvivesItsServer(t *testing.T) {
	uitest.Need(t)
	r := newRig(t, replace(t, "hold_off: 10s", "hold_off: 3s"))
	r.start()
	fast := r.fastTag()
	b := r.open("a", "operator", r.who.Operator)
	b.Wait("the tag is good on the page", good(fast, time.Second))
	b.Shot("takeover-1-before")

	at := uitest.Eval[float64](b, "Date.now()")
	r.signal("a", syscall.SIGKILL)
	took := b.Wait("values of b after the death of a", "scada.state().server === 'b' && scada.state().connected && !scada.state().stale")
	b.Shot("takeover-2-during")
	b.Wait("fresh values of b", "scada.state().role === 'active' && "+good(fast, time.Second))
	b.Wait("the record of the gap", fmt.Sprintf("scada.gaps(%q).some(g => g.toMs >= %f)", fast, at))
	lost := hole(b, fast, at)
	t.Logf("server killed: page on the other node after %s; gap in the values on the page %s", took, lost)
	if most := pageKillBound + killBound; lost == 0 || lost > most {
		t.Errorf("the page records a gap of %s, promised at most %s", lost, most)
	}

	r.startNode("a")
	r.waitReady()
	b.Wait("the page follows the hand-back", "scada.state().connected && !scada.state().stale && scada.state().epoch >= 3")
	b.Shot("takeover-3-after")
	b.Script("location.reload()")
	b.Wait("the reloaded page is signed in at the restarted node", "window.scada && !window.neverReloaded && scada.state().connected && scada.state().server === 'a'")
	b.Script("window.neverReloaded = true")
	b.Wait("live values of a", good(fast, time.Second))

	at = uitest.Eval[float64](b, "Date.now()")
	r.signal("a", syscall.SIGSTOP)
	took = b.Wait("values of b after a froze", "scada.state().server === 'b' && "+good(fast, time.Second))
	b.Wait("the record of the gap", fmt.Sprintf("scada.gaps(%q).some(g => g.toMs >= %f)", fast, at))
	lost = hole(b, fast, at)
	t.Logf("server frozen: live values of the other node after %s; gap in the values on the page %s", took, lost)
	if lost == 0 || lost > pageStopBound {
		t.Errorf("the page records a gap of %s, promised at most %s", lost, pageStopBound)
	}
	r.signal("a", syscall.SIGCONT)
	r.waitReady()
	if !b.Is("window.neverReloaded === true") {
		t.Error("the page was reloaded")
	}
	b.Check()
}

// TestOperatorsDay goes through what operators do: find a tag and write it, work off an alarm, look at a trend, see a
// device fall silent, drill; and it takes the pictures of every page.
func TestOperatorsDay(t *testing.T) {
	uitest.Need(t)
	r := newRig(t, nil)
	r.start()
	b := r.open("a", "admin", r.who.Admin)
	for _, step := range []struct {
		name string
		do   func(*testing.T, *rig, *uitest.Tab)
	}{
		{"write", writeATag}, {"alarm", workOffAnAlarm}, {"trend", zoomATrend}, {"silent device", seeADeviceFallSilent},
		{"drill", drillThePair}, {"drawing", showADrawing}, {"language and colours", switchLanguageAndColours}, {"pictures", takePictures}, {"disconnected", refuseWhileDisconnected},
	} {
		if !t.Run(step.name, func(t *testing.T) { step.do(t, r, b) }) {
			b.Shot("failed")
			t.FailNow()
		}
	}
	b.Check()
}

const setpoint = "treatment/chlorine/setpoint"

// openFaceplate finds a tag with the keyboard alone and opens it.
func openFaceplate(b *uitest.Tab, tag string) {
	b.Escape()
	b.Script("document.activeElement.blur()")
	b.Keys("g", "t")
	b.Wait("the page of tags", "document.querySelector('#tag-scroll') && document.activeElement?.id === 'main'")
	b.Keys("/")
	b.Wait("the search field has the focus", "document.activeElement.matches('input.search')")
	b.Script("document.querySelector('input.search').select()")
	b.Type("input.search", tag)
	b.Wait("the tag alone", fmt.Sprintf(`document.querySelectorAll('tr[data-tag]').length === 1 && document.querySelector('tr[data-tag="%s"]')`, tag))
	b.Click("tr[data-tag] .rowlink")
	b.Wait("the faceplate", "document.querySelector('dialog input[name=value]')")
}

func writeATag(t *testing.T, r *rig, b *uitest.Tab) {
	openFaceplate(b, setpoint)
	b.Type("dialog input[name=value]", "0.7")
	b.Type("dialog input[name=reason]", "more sun\r")
	b.Wait("the question", "document.querySelector('#write-confirm')")
	b.Shot("write-confirm")
	b.Click("#write-confirm")
	b.Wait("the read-back", "document.querySelector('#write-result.ok')?.innerText.includes('0.7')")
	b.Wait("the value on the page", fmt.Sprintf("Math.abs(scada.value(%q).value - 0.7) < 1e-5", setpoint))
	b.Shot("write-done")
	b.Escape()
	var j api.Journal
	r.eventually(5*time.Second, "the write in the journal", func() error {
		if err := r.call("a", http.MethodGet, "/api/v1/journal?kind=write", nil, &j); err != nil {
			return err
		}
		if len(j.Entries) != 1 || j.Entries[0].User != "admin" || !strings.Contains(j.Entries[0].Message, "more sun") {
			return fmt.Errorf("%+v", j.Entries)
		}
		return nil
	})
}

// force makes a point of the simulated plant show a value.
func (r *rig) force(point string, value any) {
	r.t.Helper()
	if err := r.sim(http.MethodPost, "/points", map[string]any{"name": point, "value": value}, nil); err != nil {
		r.t.Fatal(err)
	}
}

func workOffAnAlarm(t *testing.T, r *rig, b *uitest.Tab) {
	r.force("treatment/chlorine/leak", true)
	r.force("wells/well2/door", true)
	b.Script("location.hash = '#/alarms'")
	const leak, door = `tr[data-alarm="chlorine-leak"]`, `tr[data-alarm="well2-door"]`
	state := func(row, want string) string {
		return fmt.Sprintf("document.querySelector('%s')?.dataset.state === '%s'", row, want)
	}
	b.Wait("both alarms", state(leak, "UNACK")+" && "+state(door, "UNACK"))
	b.Wait("the banner", "document.querySelectorAll('.banner a.slot').length >= 2")
	b.Shot("alarms")
	b.Click(leak + " .rowlink")
	b.Type("#alarm-comment", "gas squad is on its way")
	b.Shot("alarm-sheet")
	b.Click("#alarm-ack")
	b.Wait("the acknowledgement with its comment", state(leak, "ACKED")+" && document.querySelector('#alarm-table').innerText.includes('gas squad')")
	b.Click(door + " .rowlink")
	b.Click("#alarm-shelve")
	b.Wait("the shelved one leaves the list", fmt.Sprintf("!document.querySelector('%s')", door))
	b.Script("[...document.querySelectorAll('.group .btn')][2].click()")
	b.Wait("it is among the shelved", state(door, "SHELVED"))
	b.Script("[...document.querySelectorAll('.group .btn')][0].click()")
}

func zoomATrend(t *testing.T, r *rig, b *uitest.Tab) {
	fast := r.fastTag()
	b.GoTo("trends?pens=" + fast + ",treatment/chlorine/value,intake/river/level")
	b.Script("[...document.querySelectorAll('.group .btn')][0].click()") // the last minute
	b.Wait("history and live values", "[...document.querySelectorAll('[data-pen]')].length === 3 && [...document.querySelectorAll('[data-pen]')].every(p => Number(p.dataset.samples) > 0)")
	// A drag over the middle of the plot zooms into it.
	b.Script(`const o = document.querySelector('.u-over'), box = o.getBoundingClientRect(), y = box.y + box.height / 2;
		const at = (type, x, to) => to.dispatchEvent(new MouseEvent(type, {bubbles: true, clientX: x, clientY: y, movementX: 9, button: 0, buttons: 1}));
		at('mousemove', box.x + 100, o); at('mousedown', box.x + box.width * 0.5, o); at('mousemove', box.x + box.width * 0.75, o); at('mouseup', box.x + box.width * 0.75, o)`)
	b.Wait("the picture stands still", "document.querySelector('#trend-live').getAttribute('aria-pressed') === 'false'")
	b.Shot("trend-zoomed")
	b.Click("#trend-in")
	b.Script(`window.saved = ''; const make = URL.createObjectURL.bind(URL); URL.createObjectURL = blob => { blob.text().then(x => window.saved = x); return make(blob) }`)
	b.Click("#trend-live")
	b.Wait("the present again", fmt.Sprintf("Number(document.querySelector('[data-pen=%q]').dataset.samples) > 15", fast))
	b.Click("#trend-csv")
	b.Wait("the file", "window.saved.length > 0")
	lines := strings.Split(strings.TrimSpace(uitest.Eval[string](b, "window.saved")), "\n")
	if len(lines) < 10 || !strings.HasPrefix(strings.TrimPrefix(lines[0], "\ufeff"), "time,tag,value,unit,quality") || !strings.Contains(lines[len(lines)-1], "good") {
		t.Errorf("CSV of %d lines: %q … %q", len(lines), lines[0], lines[len(lines)-1])
	}
}

func seeADeviceFallSilent(t *testing.T, r *rig, b *uitest.Tab) {
	fast := r.fastTagOf("plc1")
	b.GoTo("trends?pens=" + fast)
	b.Wait("the pen", fmt.Sprintf("Number(document.querySelector('[data-pen=%q]')?.dataset.samples) > 3 && %s", fast, good(fast, time.Second)))
	if err := r.sim(http.MethodPost, "/fault", map[string]string{"device": "plc1", "kind": "silent"}, nil); err != nil {
		t.Fatal(err)
	}
	took := b.Wait("the stale mark", fmt.Sprintf("document.querySelector('[data-pen=%q] .val.doubt') && scada.value(%q).quality !== 'Good'", fast, fast))
	t.Logf("device silent: its values are marked on the page after %s", took)
	if took > pageStaleBound {
		t.Errorf("the mark came after %s, promised %s", took, pageStaleBound)
	}
	b.Wait("a strip of doubt in the trend", fmt.Sprintf("Number(document.querySelector('[data-pen=%q]').dataset.doubts) > 0", fast))
	if found := b.Axe(axePath); found != "" {
		t.Errorf("a trend of a silent device: %s", found)
	}
	b.Shot("device-silent-trend")
	b.GoTo("mimic")
	b.Wait("hatched values", "document.querySelectorAll('.m-reading.doubt').length > 0")
	b.Shot("device-silent-mimic")
	b.GoTo("devices")
	b.Wait("the device is marked", `document.querySelector('tr[data-device="plc1"] .q-bad')`)
	b.Click(`tr[data-device="plc1"] .rowlink`)
	b.Wait("its diagnosis", "document.querySelector('#device-facts')")
	b.Shot("device-silent-sheet")
	b.Escape()
	if err := r.sim(http.MethodDelete, "/fault?device=plc1", nil, nil); err != nil {
		t.Fatal(err)
	}
	b.Wait("good again", good(fast, time.Second))
	b.Wait("the gap in the page's record", fmt.Sprintf("scada.gaps(%q).length > 0", fast))
}

func drillThePair(t *testing.T, r *rig, b *uitest.Tab) {
	r.waitReady()
	b.GoTo("redundancy")
	b.Click("#role-drill")
	b.Type("#ask-reason", "monthly drill")
	b.Shot("drill-question")
	b.Click("#ask-confirm")
	b.Wait("the drill is over", "!document.querySelector('dialog') && document.querySelector('#last-switch').innerText.includes('drill')")
	b.Wait("a has the plant again", "scada.state().connected && !scada.state().stale && document.querySelector('[data-node=a] header strong').innerText === 'active'")
	b.Shot("drill-record")
	r.waitReady()
}

// showADrawing shows the drawing of a user that comes with the demo.
func showADrawing(t *testing.T, r *rig, b *uitest.Tab) {
	b.GoTo("mimic?picture=intake")
	b.Wait("its values", `/\d/.test(document.querySelector('#drawn text[data-tag="intake/header/flow"]')?.textContent)`)
	b.Wait("a pump that runs", "document.querySelector('#drawn circle.on')")
	b.Shot("mimic-drawn")
	if found := b.Axe(axePath); found != "" {
		t.Errorf("a user's drawing: %s", found)
	}
	const label = `[...document.querySelectorAll("#drawn text")].some(e => e.textContent === %q)`
	b.Look("zh", "light")
	b.Wait("its texts in Chinese", fmt.Sprintf(label, "原水流量"))
	b.Look("en", "light")
	b.Wait("its texts as they were drawn", fmt.Sprintf(label, "Raw water flow"))
	b.Click(`#drawn [data-tag="intake/pump1/running"]`)
	b.Wait("its faceplate", "document.querySelector('dialog')?.innerText.includes('intake/pump1/running')")
	b.Escape()
}

// switchLanguageAndColours reads the page in Chinese and in the dark, as the next visit does too: headings, states, and what the plant
// file says of its alarms and tags.
func switchLanguageAndColours(t *testing.T, r *rig, b *uitest.Tab) {
	b.GoTo("alarms")
	b.Look("zh", "dark")
	chinese := "document.documentElement.lang === 'zh-CN' && document.documentElement.getAttribute('data-ix-color-schema') === 'dark' && document.querySelector('#main h1')?.innerText === '报警'"
	b.Wait("Chinese and dark", chinese)
	b.Wait("the text of the alarm", `document.querySelector('tr[data-alarm="chlorine-leak"]')?.innerText.includes('氯气泄漏检测')`)
	b.Script("window.old = true; location.reload()")
	b.Wait("another page", "!window.old && window.scada && document.body") // the old one stays for a moment
	b.Live(demoTags)
	b.Wait("Chinese and dark after a reload", chinese)
	b.GoTo("tags")
	const found = `document.querySelectorAll('tr[data-tag]').length === 1 && document.querySelector('tr[data-tag="treatment/coagulant/setpoint"]')`
	b.Filter("混凝剂 设定")
	b.Wait("a tag by its Chinese description", found)
	b.Look("en", "light")
	b.Wait("English and light", "document.documentElement.lang === 'en' && document.documentElement.getAttribute('data-ix-color-schema') === 'light' && document.querySelector('#main h1').innerText === 'Tags'")
	b.Wait("no tag is called so in English", "document.querySelectorAll('tr[data-tag]').length === 0")
	b.Look("zh", "light") // its texts come after the page was drawn
	b.Wait("the tag, without another key", found)
	b.Look("en", "light")
	b.Filter("Coagulant dose set-point")
	b.Wait("the description in English", found+`?.innerText.includes('Coagulant dose set-point')`)
}

// takePictures shows every page in both colour schemes and both languages, and on a tablet, and has axe look at half of them.
func takePictures(t *testing.T, r *rig, b *uitest.Tab) {
	looks := []struct {
		lang, theme string
		width       int64
	}{{"en", "light", 1280}, {"en", "dark", 1280}, {"zh", "light", 1280}, {"zh", "dark", 1280}, {"en", "light", 768}, {"zh", "dark", 768}}
	for _, l := range looks {
		b.Size(l.width, map[int64]int64{1280: 800, 768: 1024}[l.width])
		b.Look(l.lang, l.theme)
		for _, page := range uitest.Pages {
			b.GoTo(page)
			b.Filled(page)
			b.Shot(fmt.Sprintf("%s-%s-%s-%d", page, l.lang, l.theme, l.width))
			if l.width == 1280 && (l.lang == "en") == (l.theme == "dark") { // the tests of web/ui have the other two
				if found := b.Axe(axePath); found != "" {
					t.Errorf("%s %s %s: %s", l.lang, l.theme, page, found)
				}
			}
		}
	}
	b.Size(1280, 800)
	b.Look("en", "light")
}

// refuseWhileDisconnected: with a value confirmed on the screen both servers stop. Nothing is sent, then or later.
func refuseWhileDisconnected(t *testing.T, r *rig, b *uitest.Tab) {
	openFaceplate(b, setpoint)
	b.Type("dialog input[name=value]", "0.3\r")
	b.Wait("the question", "document.querySelector('#write-confirm')")
	r.signal("a", syscall.SIGSTOP)
	r.signal("b", syscall.SIGSTOP)
	b.Wait("the loss", "scada.state().stale && document.querySelector('.notice')")
	b.Wait("the button is off", "document.querySelector('#write-confirm').disabled")
	b.Script("document.querySelector('#write-confirm').click()")
	b.Shot("disconnected")
	if found := b.Axe(axePath); found != "" {
		t.Errorf("a question while disconnected: %s", found)
	}
	r.signal("b", syscall.SIGCONT)
	r.signal("a", syscall.SIGCONT)
	b.Wait("a server again", "scada.state().connected && !scada.state().stale")
	b.Wait("fresh values", good(setpoint, time.Minute))
	var j api.Journal
	r.eventually(20*time.Second, "the journal answers", func() error {
		return r.call("a", http.MethodGet, "/api/v1/journal?kind=write", nil, &j)
	})
	if len(j.Entries) != 1 {
		t.Errorf("%d writes are in the journal, want the one of the morning: %+v", len(j.Entries), j.Entries)
	}
	if v := uitest.Eval[float64](b, fmt.Sprintf("scada.value(%q).value", setpoint)); v < 0.69 || v > 0.71 {
		t.Errorf("the set-point is %v, want 0.7 untouched", v)
	}
	b.Escape()
}

// fastTag returns a tag polled ten times a second.
func (r *rig) fastTag() string { return r.fastTagOf("") }

// fastTagOf returns a tag polled ten times a second of a device, or of any.
func (r *rig) fastTagOf(device string) string {
	r.t.Helper()
	var tags api.Tags
	if err := r.call("a", http.MethodGet, "/api/v1/tags?limit=1000", nil, &tags); err != nil {
		r.t.Fatal(err)
	}
	for _, tag := range tags.Tags {
		if tag.ScanMs == 100 && (device == "" || tag.Device == device) && tag.Type != "bool" {
			return tag.Name
		}
	}
	r.t.Fatal("the demo has no tag of 100 ms")
	return ""
}
