package web

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"scada/acquisition/tag"
	"scada/web/api"
	"scada/web/people"
)

// bookPeople keeps the users of a rig in a real book.
type bookPeople struct {
	mu   sync.Mutex
	book *people.Book
	s    *Server
}

func (p *bookPeople) Users() []api.User {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []api.User
	for _, u := range p.book.Users() {
		out = append(out, api.User{Name: u.Name, Role: u.Role, Locked: u.Locked, MustChange: u.MustChange})
	}
	return out
}

func (p *bookPeople) Tokens() []api.AccessToken {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []api.AccessToken
	for _, t := range p.book.Tokens() {
		out = append(out, api.AccessToken{Name: t.Name, Role: t.Role})
	}
	return out
}

func (p *bookPeople) Change(_ context.Context, by Actor, c PeopleChange) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change := people.Change{Verb: c.Verb, Name: c.Name, Access: people.Access{Role: c.Role.String()}, Hash: c.Hash, MustChange: c.MustChange, By: by.User}
	for area, r := range c.Areas {
		change.Areas = map[string]string{area: r.String()}
	}
	if !c.Expires.IsZero() {
		change.Expires = c.Expires.UnixNano()
	}
	if _, err := p.book.Apply(time.Now().UnixNano(), change); err != nil {
		return false, api.NewProblem(api.CodeBadRequest, "%v", err)
	}
	return true, p.tell()
}

func (p *bookPeople) tell() error {
	role := func(a people.Access) (Role, map[string]Role) {
		r, _ := ParseRole(a.Role)
		areas := map[string]Role{}
		for area, name := range a.Areas {
			areas[area], _ = ParseRole(name)
		}
		return r, areas
	}
	var users []User
	for _, u := range p.book.Users() {
		r, areas := role(u.Access)
		users = append(users, User{Name: u.Name, Role: r, Areas: areas, Hash: u.Hash, Locked: u.Locked, MustChange: u.MustChange})
	}
	var tokens []Token
	for _, t := range p.book.Tokens() {
		r, areas := role(t.Access)
		tok := Token{Name: t.Name, Role: r, Areas: areas, Hash: t.Hash}
		if t.Expires != 0 {
			tok.Expires = time.Unix(0, t.Expires)
		}
		tokens = append(tokens, tok)
	}
	return p.s.SetAccounts(users, tokens)
}

// peopled is a bubble with users that can be changed.
func peopled(t *testing.T, test func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig("a")
		p := &bookPeople{book: people.NewBook()}
		var users []people.User
		for _, u := range cfg.Users {
			users = append(users, people.User{Name: u.Name, Access: people.Access{Role: u.Role.String()}, Hash: u.Hash, Changed: 1})
		}
		if _, err := p.book.Merge(time.Now().UnixNano(), people.State{Users: users}); err != nil {
			t.Fatal(err)
		}
		cfg.People = p
		r := startRig(t, cfg, newFake("a", float("a/x"), inArea("b/y", "north")))
		p.s = r.s
		r.f.pair.Nodes[0].Areas = append(r.f.pair.Nodes[0].Areas, api.Area{Area: "north", Role: api.RoleActive, Epoch: 7})
		defer r.stop()
		if err := p.tell(); err != nil {
			t.Fatal(err)
		}
		test(r)
	})
}

func TestAUserFromTheFirstLogInToTheLast(t *testing.T) {
	peopled(t, func(r *rig) {
		_, admin := r.login("adam", "password-a")
		as := func(cookie string) []string { return []string{"Cookie", cookie} }
		if a := r.do("POST", "/api/v1/users", `{"name":"paul","role":"operator","password":"first-password"}`, as(admin)...); a.status != 200 {
			t.Fatal(a.status, a.body)
		}
		a, paul := r.login("paul", "first-password")
		if a.status != 200 || !strings.Contains(a.body, `"must_change":true`) || !strings.Contains(a.body, `"permissions":[]`) {
			t.Fatal(a.status, a.body)
		}
		for _, path := range []string{"/api/v1/tags", "/metrics", "/api/v1/role", "/api/v1/journal"} {
			if a := r.do("GET", path, "", as(paul)...); a.status != 403 || a.code() != api.CodePasswordDue {
				t.Errorf("%s before the password was changed: %d %s", path, a.status, a.body)
			}
		}
		if a := r.do("POST", "/api/v1/ticket", "", as(paul)...); a.status != 403 {
			t.Errorf("ticket: %d", a.status)
		}
		for body, status := range map[string]int{
			`{"old":"first-password","new":"short"}`: 400, `{"old":"first-password","new":"first-password"}`: 400, `{"old":"wrong-password","new":"second-password"}`: 401,
		} {
			if a := r.do("POST", "/api/v1/session/password", body, as(paul)...); a.status != status {
				t.Errorf("%s: %d %s", body, a.status, a.body)
			}
		}
		a = r.do("POST", "/api/v1/session/password", `{"old":"first-password","new":"second-password"}`, as(paul)...)
		if a.status != 200 || strings.Contains(a.body, "must_change") {
			t.Fatal(a.status, a.body)
		}
		renewed, _, _ := strings.Cut(a.header.Get("Set-Cookie"), ";")
		if a := r.do("GET", "/api/v1/session", "", as(paul)...); a.status != 401 {
			t.Errorf("the session of the old password: %d", a.status)
		}
		if a := r.do("GET", "/api/v1/tags", "", as(renewed)...); a.status != 200 {
			t.Errorf("the new session: %d %s", a.status, a.body)
		}
		for _, verb := range []string{"role", "lock"} {
			if a := r.do("POST", "/api/v1/users/paul/"+verb, `{"role":"viewer"}`, as(admin)...); verb == "role" && a.status != 200 {
				t.Fatal(a.status, a.body)
			}
			if a := r.do("GET", "/api/v1/session", "", as(renewed)...); a.status != 401 {
				t.Errorf("after %s the session goes on: %d", verb, a.status)
			}
		}
		if a := r.do("POST", "/api/v1/users/paul/lock", "", as(admin)...); a.status != 200 {
			t.Fatal(a.status, a.body)
		}
		if a, _ := r.login("paul", "second-password"); a.status != 403 || !strings.Contains(a.body, "locked") {
			t.Errorf("a locked user: %d %s", a.status, a.body)
		}
		if a := r.do("DELETE", "/api/v1/users/paul", "", as(admin)...); a.status != 200 {
			t.Fatal(a.status, a.body)
		}
		if a, _ := r.login("paul", "second-password"); a.status != 401 {
			t.Errorf("a removed user: %d %s", a.status, a.body)
		}
		if a := r.do("GET", "/api/v1/users", "", as(admin)...); strings.Contains(a.body, "argon2") || strings.Contains(a.body, "paul") {
			t.Error(a.body)
		}
	})
}

func TestTokensAreShownOnceAndEnd(t *testing.T) {
	peopled(t, func(r *rig) {
		_, cookie := r.login("adam", "password-a")
		a := r.do("POST", "/api/v1/tokens", `{"name":"collector","role":"viewer","for_s":60}`, "Cookie", cookie)
		var made api.AccessToken
		if err := json.Unmarshal([]byte(a.body), &made); err != nil || a.status != 200 || !strings.HasPrefix(made.Token, tokenPrefix) || len(made.Token) < 50 {
			t.Fatal(a.status, a.body, err)
		}
		if a := r.do("GET", "/api/v1/tokens", "", "Cookie", cookie); strings.Contains(a.body, made.Token) || strings.Contains(a.body, HashToken(made.Token)) || !strings.Contains(a.body, "collector") {
			t.Error(a.body)
		}
		if a := r.do("GET", "/api/v1/tags", "", bearer(made.Token)...); a.status != 200 {
			t.Errorf("%d %s", a.status, a.body)
		}
		s, _ := r.hello(made.Token, "")
		if code := s.wantClose(); code != closeUnauthorized { // which comes when the minute is over
			t.Errorf("the socket of an expired token: %d", code)
		}
		if a := r.do("GET", "/api/v1/tags", "", bearer(made.Token)...); a.status != 401 {
			t.Errorf("an expired token: %d", a.status)
		}
		if a := r.do("POST", "/api/v1/tokens", `{"name":"eternal","role":"operator"}`, "Cookie", cookie); a.status != 200 {
			t.Error(a.body)
		}
		if a := r.do("DELETE", "/api/v1/tokens/eternal", "", "Cookie", cookie); a.status != 200 {
			t.Error(a.body)
		}
	})
}

func TestRolesPerArea(t *testing.T) {
	peopled(t, func(r *rig) {
		_, admin := r.login("adam", "password-a")
		if a := r.do("POST", "/api/v1/users/olga/role", `{"role":"viewer","areas":{"north":"operator"}}`, "Cookie", admin); a.status != 200 {
			t.Fatal(a.body)
		}
		_, olga := r.login("olga", "password-o")
		write := func(name string) answer {
			return r.do("POST", "/api/v1/tags/"+name+"/value", `{"value":5}`, "Cookie", olga)
		}
		if a := write("b/y"); a.status != 200 {
			t.Errorf("in her area: %d %s", a.status, a.body)
		}
		if a := write("a/x"); a.status != 403 || !strings.Contains(a.body, "area main") {
			t.Errorf("in another: %d %s", a.status, a.body)
		}
		for body, says := range map[string]string{
			`{"role":"viewer","areas":{"south":"operator"}}`: "no area", `{"role":"viewer","areas":{"north":"king"}}`: "unknown role", `{"role":""}`: "unknown role",
		} {
			if a := r.do("POST", "/api/v1/users/olga/role", body, "Cookie", admin); a.status != 400 || !strings.Contains(a.body, says) {
				t.Errorf("%s: %d %s", body, a.status, a.body)
			}
		}
		// An administrator of one area is not one of the plant.
		if a := r.do("POST", "/api/v1/users/olga/role", `{"role":"viewer","areas":{"north":"admin"}}`, "Cookie", admin); a.status != 200 {
			t.Fatal(a.body)
		}
		_, olga = r.login("olga", "password-o")
		if a := r.do("POST", "/api/v1/users", `{"name":"x","role":"admin","password":"password-x"}`, "Cookie", olga); a.status != 403 {
			t.Errorf("users: %d %s", a.status, a.body)
		}
		if a := r.do("POST", "/api/v1/role/switch", `{}`, "Cookie", olga); a.status != 403 {
			t.Errorf("a switch of all areas: %d %s", a.status, a.body)
		}
		if a := r.do("POST", "/api/v1/role/switch", `{"area":"north"}`, "Cookie", olga); a.status != 200 {
			t.Errorf("a switch of her area: %d %s", a.status, a.body)
		}
	})
}

// TestGuessingFromManyAddresses: the lock of one address does not stop who has many; the operator at his desk works on.
func TestGuessingFromManyAddresses(t *testing.T) {
	bubble(t, newFake("a"), func(r *rig) {
		ctx := context.Background() // one of the bubble
		if _, err := r.s.Authenticate(ctx, "olga", "password-o", "10.0.0.20"); err != nil {
			t.Fatal(err)
		}
		tried := 0
		for i := range 40 {
			for range lockAfter - 1 {
				if _, err := r.s.Authenticate(ctx, "olga", "guess", fmt.Sprint("192.0.2.", i)); err != nil && strings.Contains(err.Error(), "wrong") && !strings.Contains(err.Error(), "locked") {
					tried++
				}
			}
		}
		if tried != siegeAfter {
			t.Errorf("%d guesses were heard", tried)
		}
		if _, err := r.s.Authenticate(ctx, "olga", "password-o", "192.0.2.200"); err == nil {
			t.Error("a new address was heard during the attack")
		}
		if _, err := r.s.Authenticate(ctx, "olga", "password-o", "10.0.0.20"); err != nil {
			t.Errorf("her own desk: %v", err)
		}
		if _, err := r.s.Authenticate(ctx, "vera", "password-v", "192.0.2.200"); err != nil {
			t.Errorf("another user: %v", err)
		}
		time.Sleep(siegeTime + time.Second)
		if _, err := r.s.Authenticate(ctx, "olga", "password-o", "192.0.2.200"); err != nil {
			t.Errorf("afterwards: %v", err)
		}
		if got := strings.Count(strings.Join(r.f.audited(), ","), AuditSiege); got != 1 {
			t.Errorf("told %d times", got)
		}
	})
}

func TestSiegeIsBounded(t *testing.T) {
	g := newSiege()
	now := time.Unix(1000, 0)
	for i := range maxLimited + 10 {
		g.record(fmt.Sprint("guess", i), "x", false, now)
	}
	if len(g.byUser) > maxLimited {
		t.Errorf("%d names", len(g.byUser))
	}
	for i := range knownAddresses + 1 {
		g.record("olga", fmt.Sprint(i), true, now.Add(time.Duration(i)))
	}
	if p := g.byUser["olga"]; len(p.known) != knownAddresses || !p.known["0"].IsZero() {
		t.Errorf("%d addresses", len(p.known))
	}
}

func inArea(name, area string) tag.Definition {
	d := float(name)
	d.Area = area
	return d
}
