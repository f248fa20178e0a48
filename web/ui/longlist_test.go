package ui_test

import (
	"fmt"
	"testing"

	"scada/web/api"
	"scada/web/ui/uitest"
)

// TestManyAlarms: of more alarms than one looks through every one can be reached, while only those in sight exist.
func TestManyAlarms(t *testing.T) {
	needBrowser(t)
	const alarms, drawn = 300, 80
	s := newSite(t)
	for i := range alarms {
		s.raise(api.Alarm{ID: fmt.Sprintf("alarm%03d", i), Tag: s.defs[i%len(s.defs)].Name, Type: "level", Level: "Hi", State: "UNACK", Active: true, Priority: 1 + i*4/alarms,
			Message: "The pressure before the filter of the third line is higher than it should be while the pumps behind it run"}, "RAISE", "")
	}
	b := uitest.Open(t, 1280, 800)
	s.signIn(b, "a", "olga")
	b.GoTo("alarms")
	b.Wait("all of them", fmt.Sprintf("document.querySelector('#alarm-table').ariaRowCount === '%d'", alarms+1))
	rows := func() int { return uitest.Eval[int](b, "document.querySelectorAll('tr[data-alarm]').length") }
	if n := rows(); n == 0 || n > drawn {
		t.Errorf("%d rows are drawn", n)
	}
	b.Wait("rows of one height", "[...document.querySelectorAll('tr[data-alarm]')].every(r => r.offsetHeight === 30)")
	b.Script("document.querySelector('#alarm-scroll').scrollTop = 1e9")
	b.Wait("the last of them", fmt.Sprintf("document.querySelector('tr[aria-rowindex=\"%d\"]')", alarms+1))
	if n := rows(); n > drawn {
		t.Errorf("%d rows are drawn at the end", n)
	}
	b.Click(fmt.Sprintf("tr[aria-rowindex=\"%d\"] button.ack", alarms+1))
	b.Wait("the acknowledgement", fmt.Sprintf("scada.state().unacked === %d", alarms-1))
	b.Filter("alarm007")
	b.Wait("the one, whole", "document.querySelectorAll('tr[data-alarm]').length === 1 && document.querySelector('tr[data-alarm=alarm007] .message').scrollWidth <= document.querySelector('tr[data-alarm=alarm007] .message').clientWidth")
	b.Check()
}
