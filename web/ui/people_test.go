package ui_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"scada/web"
	"scada/web/api"
	"scada/web/people"
	"scada/web/ui/uitest"
)

// registry keeps the users of both web servers in one real book.
type registry struct {
	mu      sync.Mutex
	book    *people.Book
	servers []*web.Server
}

func newRegistry(users []web.User) (*registry, error) {
	r := &registry{book: people.NewBook()}
	var list []people.User
	for _, u := range users {
		list = append(list, people.User{Name: u.Name, Access: people.Access{Role: u.Role.String()}, Hash: u.Hash, Changed: 1})
	}
	_, err := r.book.Merge(time.Now().UnixNano(), people.State{Users: list})
	return r, err
}

func (r *registry) Users() (out []api.User) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, u := range r.book.Users() {
		at := time.Unix(0, u.Changed).UTC()
		out = append(out, api.User{Name: u.Name, Role: u.Role, Locked: u.Locked, MustChange: u.MustChange, ChangedAt: &at, ChangedBy: u.By})
	}
	return out
}

func (r *registry) Tokens() (out []api.AccessToken) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.book.Tokens() {
		out = append(out, api.AccessToken{Name: t.Name, Role: t.Role})
	}
	return out
}

func (r *registry) Change(_ context.Context, by web.Actor, c web.PeopleChange) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change := people.Change{Verb: c.Verb, Name: c.Name, Access: people.Access{Role: c.Role.String()}, Hash: c.Hash, MustChange: c.MustChange, By: by.User}
	if _, err := r.book.Apply(time.Now().UnixNano(), change); err != nil {
		return false, api.NewProblem(api.CodeBadRequest, "%v", err)
	}
	var users []web.User
	for _, u := range r.book.Users() {
		role, err := web.ParseRole(u.Role)
		if err != nil {
			return false, err
		}
		users = append(users, web.User{Name: u.Name, Role: role, Hash: u.Hash, Locked: u.Locked, MustChange: u.MustChange})
	}
	for _, s := range r.servers {
		if err := s.SetAccounts(users, nil); err != nil {
			return false, err
		}
	}
	return true, nil
}

// TestAUserFromAddingToLocking: an administrator adds a user, who may do nothing before the password is changed, changes
// it, and is locked out again, each on the page.
func TestAUserFromAddingToLocking(t *testing.T) {
	needBrowser(t)
	s := newSite(t)
	b := uitest.Open(t, 1280, 800)
	s.signIn(b, "a", "adam")
	b.Keys("g", "s")
	b.Wait("the users", "document.querySelectorAll('#user-table tr[data-user]').length === 3")
	b.Click("#add-user")
	b.Type("#user-add input[name=name]", "paul")
	b.Type("#user-add input[name=password]", "first password\r")
	b.Wait("paul in the list", `document.querySelector('tr[data-user=paul]') && document.querySelector('#people-said')`)

	other := uitest.Open(t, 1024, 768)
	other.Do(chromedp.Navigate(s.url["a"]), chromedp.WaitVisible(chromedp.CSS("input[name=user]")))
	other.Type("input[name=user]", "paul")
	other.Type("input[name=password]", "first password\r")
	other.Wait("the change of the password, and nothing else", "document.querySelector('input[name=fresh]') && !document.querySelector('nav') && !scada.state().connected")
	other.Type("input[name=fresh]", "paul's own")
	other.Type("input[name=again]", "paul's own\r")
	other.Live(200)

	b.Click("tr[data-user=paul] .rowlink")
	b.Click("#user-lock")
	b.Wait("paul locked", "document.querySelector('tr[data-user=paul]').innerText.includes('locked')")
	other.Wait("the log-in page", "document.querySelector('scada-sign-in')")

	b.Click("#add-token")
	b.Type("#token-form input[name=name]", "historian\r")
	b.Wait("the token, once", "document.querySelector('#token-text')?.value.startsWith('scada_')")
	b.Escape()
	b.Wait("the token in the list", "document.querySelector('tr[data-token=historian]')")
	b.Click("tr[data-token=historian] button")
	b.Click("#ask-confirm")
	b.Wait("no token", "!document.querySelector('tr[data-token]')")
	b.Check()
	other.Check()
}

// TestOnesOwnPassword: a wrong present password changes nothing and costs one attempt; the right one keeps this screen
// signed in and live and signs the user's other screens out, after a fail-over as well.
func TestOnesOwnPassword(t *testing.T) {
	needBrowser(t)
	s := newSite(t)
	b := uitest.Open(t, 1280, 800)
	s.signIn(b, "a", "olga")
	elsewhere := uitest.Open(t, 1024, 768)
	s.signIn(elsewhere, "b", "olga")
	change := func(old, fresh string) {
		b.GoTo("settings")
		b.Click("#change-password")
		b.Type("#password-form input[name=old]", old)
		b.Type("#password-form input[name=new]", fresh)
		b.Type("#password-form input[name=again]", fresh+"\r")
	}
	change("not it", "olga's second")
	b.Wait("the refusal", "document.querySelector('#password-form .error')")
	b.Escape()
	if !b.Is("scada.state().user === 'olga' && !scada.state().stale") {
		t.Error("a wrong password ended the session")
	}
	change(password, "olga's second")
	b.Wait("done", "document.querySelector('#password-done')")
	b.Escape()
	b.Live(200)
	elsewhere.Wait("the log-in page", "document.querySelector('scada-sign-in')")

	s.cables["a"].cut()
	s.kill("a")
	b.Wait("b", "scada.state().server === 'b' && !scada.state().stale")
	change("olga's second", "olga's third")
	b.Wait("done at b", "document.querySelector('#password-done')")
	b.Escape()
	b.Live(200)
	b.GoTo("journal") // HTTP with a new token
	b.Wait("the journal of b", "document.querySelector('#journal-table').innerText.includes('heartbeat lost')")
	b.Check()
}

// TestAClockThatIsWrong: the page goes by the server's clock and says that this computer's is an hour off.
func TestAClockThatIsWrong(t *testing.T) {
	needBrowser(t)
	s := newSite(t)
	b := uitest.Open(t, 1280, 800)
	s.signIn(b, "a", "vera")
	b.GoTo("settings")
	b.Wait("in agreement", "document.querySelector('#own-clock').innerText.includes('agrees')")
	b.Script("const now = Date.now; Date.now = () => now() + 3600_000")
	b.Wait("an hour ahead", "document.querySelector('#own-clock').innerText.includes('60 min ahead')")
	b.Wait("ages go by the server", "Math.abs(scada.value('intake/river/level').ageMs) < 5000")
	b.Wait("no users for a viewer", "document.querySelector('scada-people') && !document.querySelector('#user-table')")
	b.Check()
}

// TestWhoIsSignedIn: an administrator sees who is signed in and signs one out; that screen keeps its place and asks for the password.
func TestWhoIsSignedIn(t *testing.T) {
	needBrowser(t)
	s := newSite(t)
	b := uitest.Open(t, 1280, 800)
	s.signIn(b, "a", "adam")
	other := uitest.Open(t, 1024, 768)
	s.signIn(other, "a", "olga")
	other.GoTo("trends")
	b.GoTo("settings")
	b.Wait("both, the own one without a button", "document.querySelector('tr[data-session][data-user=olga] button.end') && document.querySelector('tr[data-session][data-user=adam]') && !document.querySelector('tr[data-session][data-user=adam] button')")
	b.Click("tr[data-session][data-user=olga] button.end")
	b.Wait("the question", "document.querySelector('#ask-confirm')")
	b.Click("#ask-confirm")
	b.Wait("olga is gone", "!document.querySelector('dialog') && !document.querySelector('tr[data-session][data-user=olga]')")
	other.Wait("the sheet over the page", "document.querySelector('dialog.again[open]') && document.querySelector('scada-trends')")
	b.Check()
	other.Check()
}

// TestFiveHundredUsers: the page of users works with as many: one is found, opened and changed.
func TestFiveHundredUsers(t *testing.T) {
	needBrowser(t)
	s := newSite(t)
	s.people.mu.Lock()
	var list []people.User
	for i := range 500 {
		list = append(list, people.User{Name: fmt.Sprintf("user-%03d", i), Access: people.Access{Role: "viewer"}, Hash: s.people.book.Users()[0].Hash, Changed: 1})
	}
	_, err := s.people.book.Merge(time.Now().UnixNano(), people.State{Users: list})
	s.people.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	b := uitest.Open(t, 1280, 800)
	s.signIn(b, "a", "adam")
	b.GoTo("settings")
	b.Wait("all of them", "document.querySelectorAll('#user-table tr[data-user]').length === 503")
	b.Keys("/")
	b.Wait("the filter has the focus", "document.activeElement?.matches('#user-filter')")
	b.Script("document.activeElement.select()") // the driver types the sign of the key, too
	b.Keys(strings.Split("user-417", "")...)
	b.Wait("the one", "document.querySelectorAll('#user-table tr[data-user]').length === 1")
	b.Click("tr[data-user=user-417] .rowlink")
	b.Click("#user-lock")
	b.Wait("it is locked", "!document.querySelector('dialog') && document.querySelector('tr[data-user=user-417]').innerText.includes('locked')")
	b.Check()
}
