//go:build e2e

package e2e

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"scada/web/ui/uitest"
)

// TestCrossedAreasOnThePage looks at a pair of which each node acts for another area: the page says so everywhere, shows fresh values
// of both areas, writes to the one its own node does not act for, moves an area, and lives through the death of the other node.
func TestCrossedAreasOnThePage(t *testing.T) {
	uitest.Need(t)
	r := newRig(t, crossedAreas(t))
	r.startPlant()
	r.startNode("a")
	r.startNode("b")
	r.acting("a", "b")
	b := r.open("a", "admin", r.who.Admin)
	// The duty of a node for an area, as the table of the page says it.
	cell := func(area string, node int, want string) string {
		return fmt.Sprintf("document.querySelector('#area-table tr[data-area=%s]')?.cells[%d].innerText.trim() === %q", area, node, want)
	}
	crossed := cell("main", 1, "active") + " && " + cell("main", 2, "standby") + " && " + cell("wells", 1, "standby") + " && " + cell("wells", 2, "active")
	both := good("intake/header/flow", 3*time.Second) + " && " + good("wells/well1/flow", 5*time.Second)

	b.Wait("both nodes act in part", "document.querySelector('#role-pill')?.innerText.split('active in part').length === 3 && !document.querySelector('#role-pill.abnormal')")
	b.Wait("values of both areas", both)
	b.Shot("areas-overview")
	b.GoTo("redundancy")
	b.Wait("each area where it acts", crossed)
	b.Shot("areas-redundancy")
	if found := b.Axe(axePath); found != "" {
		t.Error(found)
	}

	b.GoTo("tags")
	b.Filter("wells/well1/pump/start")
	b.Wait("the tag", "document.querySelectorAll('tr[data-tag]').length === 1")
	b.Click("tr[data-tag] .rowlink")
	b.Wait("its faceplate", "document.querySelector('dialog select[name=value]')")
	b.Script("const s = document.querySelector('dialog select[name=value]'); s.value = '1'; s.form.requestSubmit()")
	b.Click("#write-confirm")
	b.Wait("the read-back of the other node", "document.querySelector('#write-result.ok')?.innerText.includes('node b')")
	b.Escape()

	b.GoTo("redundancy")
	b.Wait("the area can be moved", "document.querySelector('#area-table tr[data-area=wells] button')?.disabled === false")
	b.Click("#area-table tr[data-area=wells] button")
	b.Wait("the question", "document.querySelector('#ask-confirm')")
	b.Type("#ask-reason", "service of b")
	b.Click("#ask-confirm")
	b.Wait("both areas on a", "!document.querySelector('dialog') && "+cell("wells", 1, "active")+" && "+cell("main", 1, "active"))
	b.Wait("values of both areas, still", both)
	r.mustCtl("role", "release", "--area", "wells")
	r.acting("a", "b")
	b.Wait("each area where it belongs", crossed)

	r.signal("b", syscall.SIGKILL)
	b.Wait("the wells on a", cell("wells", 1, "active"))
	b.Wait("fresh values of the wells", both)
	if !b.Is("scada.state().server === 'a' && window.neverReloaded === true") {
		t.Error("the page left its node, which was alive")
	}
	b.Shot("areas-taken-over")
	b.Check()
}
