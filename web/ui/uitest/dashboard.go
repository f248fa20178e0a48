package uitest

import (
	"fmt"
	"os"
	"strings"

	"github.com/chromedp/chromedp"
)

// Pages are the pages of the dashboard, by the names in their addresses.
var Pages = []string{"overview", "mimic", "tags", "alarms", "kpi", "trends", "devices", "redundancy", "journal", "settings"}

// filled is what a page has when its data have come.
var filled = map[string]string{
	"overview": ".events tr", "mimic": ".m-reading", "tags": "tr[data-tag]", "alarms": "tr[data-alarm]", "kpi": ".kpi .n", "trends": `[data-pen]:not([data-samples="0"])`,
	"devices": "tr[data-device]", "redundancy": "#role-events tr", "journal": "#journal-table tbody tr", "settings": "tr[data-user]",
}

// Filled waits until the page shown has its data and is drawn.
func (b *Tab) Filled(page string) {
	b.t.Helper()
	b.Wait(page+" has its data", fmt.Sprintf("!document.querySelector('#main .error') && document.querySelector(%q)", filled[page]))
	b.Settle()
}

// SignIn opens a node's page, logs in as a person does, and waits for live values of at least so many tags.
func (b *Tab) SignIn(url, user, password string, tags int) {
	b.t.Helper()
	b.Do(chromedp.Navigate(url), chromedp.WaitVisible(chromedp.CSS("input[name=user]")))
	b.Type("input[name=user]", user)
	b.Type("input[name=password]", password+"\r")
	b.Live(tags)
}

// Live waits until the page shows live values of at least so many tags.
func (b *Tab) Live(tags int) {
	b.t.Helper()
	b.Wait("live values", fmt.Sprintf("window.scada && scada.state().connected && !scada.state().stale && scada.state().tags >= %d", tags))
}

// GoTo shows a page of the dashboard.
func (b *Tab) GoTo(page string) {
	b.t.Helper()
	b.Script(fmt.Sprintf("location.hash = '#/%s'", page))
	name, _, _ := strings.Cut(page, "?")
	b.Wait("page "+page, fmt.Sprintf("document.querySelector('#main scada-%s h1')", name))
}

// Look chooses language (en, zh) and colours (light, dark) as a reader does.
func (b *Tab) Look(lang, theme string) {
	b.t.Helper()
	b.Script(fmt.Sprintf(`const s = document.querySelector('#language'); s.value = %q; s.dispatchEvent(new Event('change'));
		if (document.documentElement.getAttribute('data-ix-color-schema') !== %q) document.querySelector('#theme').click()`, lang, theme))
}

// Filter types into the search field of the page shown.
func (b *Tab) Filter(text string) {
	b.t.Helper()
	b.Script(fmt.Sprintf(`const i = document.querySelector('input.search'); i.value = %q; i.dispatchEvent(new Event('input'))`, text))
}

// Axe returns the violations of WCAG 2.2 A and AA on the page, as text; empty for none. path is the script of axe-core.
func (b *Tab) Axe(path string) string {
	b.t.Helper()
	if !b.Is("window.axe") {
		script, err := os.ReadFile(path)
		if err != nil {
			b.t.Fatalf("axe-core: %v", err)
		}
		b.Script(string(script))
	}
	return Eval[string](b, axeRun)
}

const axeRun = `axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}).then(r =>
	r.violations.map(v => v.id + " (" + v.nodes.length + "): " + v.nodes[0].html.slice(0, 160) + " " + v.nodes[0].failureSummary).join("; "))`
