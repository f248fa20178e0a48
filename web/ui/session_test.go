package ui_test

import (
	"context"
	"testing"
	"time"

	"scada/web"
	"scada/web/ui/uitest"
)

// role gives a user another role, as an administrator elsewhere does: it ends the user's sessions.
func (s *site) role(t *testing.T, user string, role web.Role) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := s.people.Change(ctx, web.Actor{User: "adam"}, web.PeopleChange{Verb: web.PeopleRole, Name: user, Role: role}); err != nil {
		t.Fatal(err)
	}
}

// beginWrite opens the faceplate of the set-point of the chlorine and goes as far as the question.
func beginWrite(b *uitest.Tab, value string) {
	b.GoTo("tags")
	b.Filter("chlorine/setpoint")
	b.Wait("one row", "document.querySelectorAll('tr[data-tag]').length === 1")
	b.Click("tr[data-tag] .rowlink")
	b.Type("dialog input[name=value]", value+"\r")
	b.Wait("the question", "document.querySelector('#write-confirm')")
}

const signInAgain = "dialog.again[open] input[name=password]"

// again signs in on the sheet over the page.
func again(b *uitest.Tab, word string) {
	b.Wait("the sheet over the page", "document.querySelector('"+signInAgain+"') && document.querySelector('#tag-scroll')")
	b.Type(signInAgain, word+"\r")
}

// TestASessionThatEndsKeepsThePlace: the session of somebody who has begun a write ends, because of an administrator. Nothing
// can be confirmed until somebody has signed in again; then the faceplate is where it was, with the rights of the new session.
func TestASessionThatEndsKeepsThePlace(t *testing.T) {
	needBrowser(t)
	s := newSite(t)
	b := uitest.Open(t, 1280, 800)
	s.signIn(b, "a", "olga")
	b.Script("window.mark = 'not reloaded'")
	beginWrite(b, "0.75")
	s.role(t, "olga", web.Engineer)
	b.Wait("the name is there, the button is off", "document.querySelector('dialog.again input[name=user]')?.value === 'olga' && document.querySelector('#write-confirm').disabled")
	b.Script("document.querySelector('#write-confirm').click()")
	if found := b.Axe("node_modules/axe-core/axe.min.js"); found != "" {
		t.Error(found)
	}
	b.Keys("\x1b", "\x1b")
	again(b, "not it")
	b.Wait("the refusal", "document.querySelector('dialog.again .error')?.innerText !== ''")
	b.Script("document.querySelector('" + signInAgain + "').value = ''")
	again(b, password)
	b.Live(200)
	b.Wait("the question, where it was", "!document.querySelector('dialog.again') && document.querySelector('#write-confirm')?.disabled === false")
	if n := s.countWrites(); n != 0 {
		t.Errorf("%d writes before anybody confirmed", n)
	}
	b.Script("document.querySelector('#write-confirm').click()")
	b.Wait("the read-back", "document.querySelector('#write-result.ok')")
	b.Escape()

	// The role is lowered in the middle of the next one.
	beginWrite(b, "0.8")
	s.role(t, "olga", web.Viewer)
	again(b, password)
	b.Live(200)
	b.Wait("no write for a viewer", "document.querySelector('dialog .note') && !document.querySelector('#write-confirm')")
	b.Escape()

	// Another person takes the seat: what olga has open is closed.
	b.Click("tr[data-tag] .rowlink")
	s.role(t, "olga", web.Operator)
	b.Wait("the sheet", "document.querySelector('"+signInAgain+"')")
	b.Script("const u = document.querySelector('dialog.again input[name=user]'); u.value = 'vera'")
	again(b, password)
	b.Live(200)
	b.Wait("a page without olga's faceplate", "!document.querySelector('dialog') && scada.state().user === 'vera'")
	if n := s.countWrites(); n != 1 {
		t.Errorf("%d writes, want 1", n)
	}
	if !b.Is("window.mark === 'not reloaded'") {
		t.Error("the page was reloaded")
	}

	// Who does not want to go on leaves, and nothing of the plant stays on the screen.
	s.role(t, "vera", web.Operator)
	b.Click("#sign-in-leave")
	b.Wait("the log-in page", "document.querySelector('main.signin') && !document.querySelector('nav')")
	b.Check()
}

// TestASessionThatEndsWhileAWriteRuns: whether the value reached the device is not known, and that is said.
func TestASessionThatEndsWhileAWriteRuns(t *testing.T) {
	needBrowser(t)
	s := newSite(t)
	s.hold = make(chan struct{})
	b := uitest.Open(t, 1280, 800)
	s.signIn(b, "a", "olga")
	beginWrite(b, "0.75")
	b.Script("document.querySelector('#write-confirm').click()")
	b.Wait("it is on its way", "document.querySelector('dialog .write[role=status]')")
	s.role(t, "olga", web.Engineer)
	b.Wait("it is not known", "document.querySelector('#write-result.error')")
	close(s.hold)
	again(b, password)
	b.Live(200)
	b.Wait("the value tells", "Math.abs(scada.value('treatment/chlorine/setpoint').value - 0.75) < 1e-6")
	if n := s.countWrites(); n != 1 {
		t.Errorf("%d writes, want 1: nothing is sent again", n)
	}
	b.Check()
}
