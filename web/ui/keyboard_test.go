package ui_test

import (
	"fmt"
	"strings"
	"testing"

	"scada/web/ui/uitest"
)

// mostTabs is how often Tab is pressed on a page at most.
const mostTabs = 150

// interactive marks everything on the page that can be operated and is not off, and keeps count of what gets the focus.
const interactive = `window.seen = new Set();
	document.addEventListener('focusin', e => window.seen.add(e.target));
	window.wanted = [...document.querySelectorAll('a[href], button, input, select, textarea, ix-button, [role=button]')]
		.filter(e => !e.disabled && e.getClientRects().length > 0 && !e.closest('.hidden'));
	document.body.tabIndex = -1; document.body.focus()`

const missed = `window.wanted.filter(e => e.isConnected && !e.disabled && !window.seen.has(e)).map(e => e.outerHTML.slice(0, 120)).join("; ")`

// TestEverythingIsReachedByKeyboard walks each page with Tab and misses nothing that can be operated.
func TestEverythingIsReachedByKeyboard(t *testing.T) {
	needBrowser(t)
	s := newSite(t)
	s.someAlarms()
	b := uitest.Open(t, 1280, 800)
	s.signIn(b, "a", "adam")
	for _, page := range uitest.Pages {
		b.GoTo(page)
		if page == "tags" {
			b.Filter("chlorine") // rows that come and go while one tabs through thousands prove nothing
		}
		b.Wait("the page is drawn", "document.querySelector('#main .page-head')")
		b.Script(interactive)
		for range mostTabs {
			b.Keys("\t")
			if uitest.Eval[string](b, missed) == "" {
				break
			}
		}
		if left := uitest.Eval[string](b, missed); left != "" {
			t.Errorf("%s: Tab never comes to %s", page, left)
		}
	}
	b.Check()
}

// TestAWriteByKeyboardAlone logs in, finds a tag, writes it and reads the answer without a mouse.
func TestAWriteByKeyboardAlone(t *testing.T) {
	needBrowser(t)
	s := newSite(t)
	b := uitest.Open(t, 1280, 800)
	s.signIn(b, "a", "olga")
	focused := func(what, selector string) {
		t.Helper()
		b.Wait(what, fmt.Sprintf("document.activeElement?.matches(%q)", selector))
	}
	b.Keys("g", "t")
	b.Wait("the tags", "document.querySelector('#tag-scroll')")
	b.Keys("/")
	focused("the search field", "input.search")
	b.Keys(strings.Split("chlorine/setpoint", "")...)
	b.Wait("one row", "document.querySelectorAll('tr[data-tag]').length === 1")
	for range 10 {
		b.Keys("\t")
		if b.Is("document.activeElement?.matches('tr[data-tag] .rowlink')") {
			break
		}
	}
	focused("the tag", "tr[data-tag] .rowlink")
	b.Keys("\r")
	b.Wait("the faceplate", "document.querySelector('dialog input[name=value]')")
	for range 10 {
		if b.Is("document.activeElement?.matches('input[name=value]')") {
			break
		}
		b.Keys("\t")
	}
	focused("the value", "input[name=value]")
	b.Keys("0", ".", "7", "0", "0", "0", "4", "\r")
	b.Wait("the question, with every digit of what will be written", "document.querySelector('.write.confirm').innerText.includes('0.70004')")
	focused("the button of the question", "#write-confirm")
	b.Keys("\r")
	b.Wait("the read-back", "document.querySelector('#write-result')?.className === 'ok'")
	b.Escape()
	focused("back at the tag", "tr[data-tag] .rowlink")
	b.Check()
}
