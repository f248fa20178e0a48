//go:build e2e

package e2e

import (
	"fmt"
	"testing"
	"time"

	"scada/web/ui/uitest"
)

// TestAvalancheOnTheDashboard watches the page of alarms while ten thousand come at once: it shows them all, and goes on
// answering. How long it stood still at most is told, and bounded only by what nobody would take for alive.
func TestAvalancheOnTheDashboard(t *testing.T) {
	uitest.Need(t)
	const standsStill = 5 * time.Second
	b := newBankRig(t)
	page := b.open("a", "operator", b.who.Operator)
	page.GoTo("alarms")
	before := uitest.Eval[int](page, "scada.state().unacked")
	page.Script(`window.frames_ = {longest: 0, last: performance.now()};
		(function frame() {
			const now = performance.now(), f = window.frames_;
			f.longest = Math.max(f.longest, now - f.last); f.last = now;
			requestAnimationFrame(frame);
		})()`)
	b.set(0, bankAlarms, 1)
	took := page.WaitFor("all of them on the page", fmt.Sprintf("scada.state().unacked >= %d", before+bankAlarms), time.Minute)
	rows := uitest.Eval[int](page, "document.querySelectorAll('#main tbody tr').length")
	longest := time.Duration(uitest.Eval[float64](page, "window.frames_.longest") * 1e6)
	t.Logf("all on the page after %s, %d rows of them drawn; it stood still for %s at most", took.Round(time.Millisecond), rows, longest.Round(time.Millisecond))
	if longest > standsStill || rows == 0 {
		t.Errorf("the page stood still for %s, with %d rows", longest, rows)
	}
	page.GoTo("overview") // it still follows the reader
	page.Check()
}
