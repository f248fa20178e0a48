package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scada/web"
	"scada/web/api"
	"scada/web/people"
)

// folk keeps the users of a test in a real book.
type folk struct {
	book *people.Book
	set  func(users []web.User, tokens []web.Token) error
}

func (f *folk) Users() (out []api.User) {
	for _, u := range f.book.Users() {
		out = append(out, api.User{Name: u.Name, Role: u.Role, Areas: u.Areas, Locked: u.Locked, MustChange: u.MustChange, ChangedBy: u.By})
	}
	return out
}

func (f *folk) Tokens() (out []api.AccessToken) {
	for _, k := range f.book.Tokens() {
		out = append(out, api.AccessToken{Name: k.Name, Role: k.Role, Areas: k.Areas})
	}
	return out
}

func (f *folk) Change(_ context.Context, by web.Actor, c web.PeopleChange) (bool, error) {
	change := people.Change{Verb: c.Verb, Name: c.Name, Access: people.Access{Role: c.Role.String(), Areas: map[string]string{}}, Hash: c.Hash, MustChange: c.MustChange, By: by.User}
	for area, r := range c.Areas {
		change.Areas[area] = r.String()
	}
	if _, err := f.book.Apply(time.Now().UnixNano(), change); err != nil {
		return false, api.NewProblem(api.CodeConflict, "%v", err)
	}
	users := []web.User{}
	for _, u := range f.book.Users() {
		r, err := web.ParseRole(u.Role)
		if err != nil {
			return false, err
		}
		users = append(users, web.User{Name: u.Name, Role: r, Hash: u.Hash, Locked: u.Locked, MustChange: u.MustChange})
	}
	return c.Name != "paul", f.set(users, []web.Token{{Name: "admin", Role: web.Admin, Hash: web.HashToken("adm")}})
}

// TestPeople goes the way of a new colleague: added, first log-in, own password, lock, removal.
func TestPeople(t *testing.T) {
	f := &folk{book: people.NewBook(), set: func([]web.User, []web.Token) error { return nil }}
	up, _ := serveUsers(t, f)
	dir := t.TempDir()
	file := filepath.Join(dir, "scadactl", "credentials")
	ctl := func(token, in string, args ...string) (string, int) {
		var out, errs bytes.Buffer
		code := run(t.Context(), args, world{in: strings.NewReader(in), out: &out, err: &errs, getenv: env("SCADACTL_SERVER", up, "SCADACTL_TOKEN", token, "XDG_CONFIG_HOME", dir)})
		if strings.Contains(out.String()+errs.String(), "argon2") {
			t.Errorf("%v shows a hash", args)
		}
		return out.String() + errs.String(), code
	}
	steps := []struct {
		token, in, args string
		code            int
		says            string
	}{
		{"adm", "eva-password\n", "user add eva --role admin", 0, "eva"},
		{"adm", "first-password\n", "user add paul --role viewer --area main=operator", 0, "the other node does not have it yet"},
		{"adm", "short\n", "user add x", exitFailed, "8 to 256 bytes"},
		{"adm", "", "user add x --area main", exitUsage, "want AREA=ROLE"},
		{"adm", "", "user list", 0, "main=operator  must change the password"},
		{"", "wrong-password\n", "login paul", exitRefused, "name or password is wrong"},
		{"", "first-password\n", "login paul", 0, "scadactl user password"},
		{"", "", "tag list", exitRefused, "change it first"},
		{"", "first-password\nsecond-password\n", "user password", 0, "logged in as paul"},
		{"", "", "tag list", 0, "line1"},
		{"", "", "user list", exitRefused, "more than the role"},
		{"adm", "", "user lock paul", 0, "paul"},
		{"", "", "tag list", exitRefused, "log in"},
		{"adm", "", "user unlock paul", 0, "paul"},
		{"adm", "", "user role paul engineer", 0, "paul"},
		{"adm", "third-password\n", "user password paul", 0, "paul"},
		{"adm", "", "user remove paul", 0, "paul"},
		{"adm", "", "user remove paul", exitRefused, "no user is named paul"},
		{"adm", "", "user remove eva", exitRefused, "last administrator"},
		{"adm", "", "user token create collector --role viewer", 0, "scada_"},
		{"adm", "", "user token list", 0, "collector"},
		{"adm", "", "user token revoke collector", 0, "collector"},
	}
	for _, s := range steps {
		text, code := ctl(s.token, s.in, strings.Fields(s.args)...)
		if code != s.code || !strings.Contains(text, s.says) {
			t.Errorf("%s: exit %d, %s", s.args, code, text)
		}
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
}

func serveUsers(t *testing.T, f *folk) (string, func()) {
	t.Helper()
	s, url, stop := serveServer(t, newPlant(), func(c *web.Config) { c.People = f })
	f.set = func(users []web.User, tokens []web.Token) error {
		if err := s.SetAccounts(users, tokens); err != nil {
			return fmt.Errorf("accounts: %w", err)
		}
		return nil
	}
	return url, stop
}
