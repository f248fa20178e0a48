package server

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"scada/history/journal"
	"scada/redundancy/role"
	"scada/web"
	"scada/web/api"
)

// secretPaper is where one-time passwords are written.
type secretPaper struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *secretPaper) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *secretPaper) passwords() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, m := range regexp.MustCompile(`password  (\S+)`).FindAllStringSubmatch(p.text.String(), -1) {
		out = append(out, m[1])
	}
	return out
}

func (w *world) restart(names ...string) {
	w.t.Helper()
	for _, name := range names {
		if err := w.stop[name](); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, name := range names {
		w.start(name)
	}
}

// TestFirstAdministrator: a plant without users makes one administrator, says his password once, and he has to change it.
func TestFirstAdministrator(t *testing.T) {
	bubble(t, func(w *world) {
		p := &secretPaper{}
		w.notice = p
		w.restart("a", "b")
		w.ready()
		w.within(10*time.Second, "a password is told and both nodes know its user", func() error {
			for _, name := range []string{"a", "b"} {
				if users := w.node[name].people.Users(); len(users) != 1 || users[0].Name != "admin" || !users[0].MustChange {
					return fmt.Errorf("%s has %+v", name, users)
				}
			}
			return nil
		})
		if len(p.passwords()) != 1 {
			t.Fatalf("told %d passwords", len(p.passwords()))
		}
		for _, name := range []string{"a", "b"} {
			if who, err := w.node[name].web.Authenticate(w.t.Context(), "admin", p.passwords()[0], "10.0.0.9"); err != nil || !who.MustChange || who.Role != web.Admin {
				t.Errorf("%s: %+v %v", name, who, err)
			}
			if _, err := (uaBackend{w.node[name]}).Authenticate(w.t.Context(), "admin", p.passwords()[0]); err == nil {
				t.Errorf("%s: the one-time password opens OPC UA", name)
			}
		}
		w.restart("a", "b")
		w.ready()
		time.Sleep(10 * time.Second)
		if len(p.passwords()) != 1 {
			t.Errorf("told again: %d passwords", len(p.passwords()))
		}
		for _, e := range w.journalOf("a") {
			if strings.Contains(fmt.Sprintf("%+v", e), p.passwords()[0]) {
				t.Errorf("the password is in the journal: %+v", e)
			}
		}
		w.sameJournals()
	})
}

func (w *world) people(name string) string {
	var out []string
	for _, u := range w.node[name].people.Users() {
		out = append(out, fmt.Sprint(u.Name, " ", u.Role, " ", u.Areas, " ", u.Locked))
	}
	for _, u := range w.node[name].people.Tokens() {
		out = append(out, "token "+u.Name)
	}
	return strings.Join(out, "; ")
}

var adam = web.Actor{User: "adam", Role: web.Admin, Remote: "10.0.0.9"}

// change changes users through a node.
func (w *world) change(node string, c web.PeopleChange) bool {
	w.t.Helper()
	mirrored, err := w.node[node].people.Change(w.t.Context(), adam, c)
	if err != nil {
		w.t.Fatalf("%s %s: %v", c.Verb, c.Name, err)
	}
	return mirrored
}

// TestUsersAreOnBothNodes changes users through the standby and while a node is away: nothing comes back that was removed.
func TestUsersAreOnBothNodes(t *testing.T) {
	bubble(t, func(w *world) {
		w.ready()
		hash, err := web.HashPassword("password-of-vera")
		if err != nil {
			t.Fatal(err)
		}
		if !w.change("b", web.PeopleChange{Verb: web.PeopleAdd, Name: "vera", Role: web.Viewer, Areas: map[string]web.Role{"main": web.Operator}, Hash: hash}) {
			t.Error("the change is not on both nodes")
		}
		w.change("a", web.PeopleChange{Verb: web.PeopleAdd, Name: "gone", Role: web.Admin, Hash: hash})
		w.change("a", web.PeopleChange{Verb: web.PeopleCreateToken, Name: "collector", Role: web.Viewer, Hash: web.HashToken("x")})
		both := "gone admin map[] false; vera viewer map[main:operator] false; token collector"
		for _, name := range []string{"a", "b"} {
			if got := w.people(name); got != both {
				t.Errorf("%s has %s", name, got)
			}
			who, err := w.node[name].web.Authenticate(w.t.Context(), "vera", "password-of-vera", "10.0.0.9")
			if err != nil || !who.May(web.TagWrite, "main") || who.May(web.TagWrite, "") {
				t.Errorf("%s: %+v %v", name, who, err)
			}
		}
		if _, err := w.node["b"].people.Change(w.t.Context(), adam, web.PeopleChange{Verb: web.PeopleRemove, Name: "gone"}); err == nil || !strings.Contains(err.Error(), "last administrator") {
			t.Errorf("the last administrator: %v", err)
		}
		if err := w.stop["a"](); err != nil {
			t.Fatal(err)
		}
		w.within(10*time.Second, "b acts", w.roleIs("b", role.Active))
		if w.change("b", web.PeopleChange{Verb: web.PeopleAdd, Name: "eva", Role: web.Admin, Hash: hash}) {
			t.Error("a node that is away has it")
		}
		w.change("b", web.PeopleChange{Verb: web.PeopleRemove, Name: "gone"})
		w.change("b", web.PeopleChange{Verb: web.PeopleLock, Name: "vera"})
		w.start("a")
		w.within(30*time.Second, "a has learned what happened", func() error {
			if got := w.people("a"); got != "eva admin map[] false; vera viewer map[main:operator] true; token collector" || got != w.people("b") {
				return fmt.Errorf("a has %s, b %s", got, w.people("b"))
			}
			return nil
		})
		if _, err := w.node["a"].web.Authenticate(w.t.Context(), "vera", "password-of-vera", "10.0.0.9"); err == nil {
			t.Error("a locked user was let in")
		}
		w.ready()
		w.toldOfUsers()
		w.sameJournals()
	})
}

// toldOfUsers checks what the journal says of the changes, and that no secret is in it.
func (w *world) toldOfUsers() {
	w.t.Helper()
	var got []string
	for _, e := range w.journalOf("a") {
		if e.Class == journal.ClassConfig {
			got = append(got, fmt.Sprintf("%s %s by %s: %q -> %q %s %s", e.Kind, e.Source, e.User, e.Old, e.New, e.Message, e.Category()))
		}
		if strings.Contains(fmt.Sprintf("%+v", e), "argon2") {
			w.t.Errorf("a hash is in the journal: %+v", e)
		}
	}
	slices.Sort(got)
	want := []string{
		`token created collector by adam: "" -> "viewer, without an end" from 10.0.0.9 operation`,
		`user added eva by adam: "" -> "admin" from 10.0.0.9 operation`,
		`user added gone by adam: "" -> "admin" from 10.0.0.9 operation`,
		`user added vera by adam: "" -> "viewer (main=operator)" from 10.0.0.9 operation`,
		`user locked vera by adam: "" -> "locked" from 10.0.0.9 operation`,
		`user removed gone by adam: "admin" -> "removed" from 10.0.0.9 operation`,
	}
	if !slices.Equal(got, want) {
		w.t.Errorf("the journal says\n%s", strings.Join(got, "\n"))
	}
}

// TestDamagedUsersFile: a node starts without it and gets the users from the other.
func TestDamagedUsersFile(t *testing.T) {
	bubble(t, func(w *world) {
		w.ready()
		w.change("a", web.PeopleChange{Verb: web.PeopleAdd, Name: "eva", Role: web.Admin, Hash: "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$" + strings.Repeat("A", 43)})
		if err := w.stop["b"](); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(w.cfg.Nodes["b"].Data, peopleFile)
		if err := os.WriteFile(path, []byte(`{"users":[{"name":"eva","role":"ki`), 0o600); err != nil {
			t.Fatal(err)
		}
		w.start("b")
		w.within(30*time.Second, "b has the users again", func() error {
			if w.people("b") != w.people("a") {
				return fmt.Errorf("b has %q", w.people("b"))
			}
			return nil
		})
		if _, err := os.Stat(path + ".bad"); err != nil {
			t.Error(err)
		}
	})
}

// TestCommandsNeedTheRoleInTheirArea: the routes let through who has a role somewhere.
func TestCommandsNeedTheRoleInTheirArea(t *testing.T) {
	bubble(t, func(w *world) {
		w.ready()
		who := web.Actor{User: "olga", Role: web.Viewer, Areas: map[string]web.Role{"elsewhere": web.Admin}, Remote: "10.0.0.9"}
		_, err := backend{w.node["a"]}.AlarmCommand(w.t.Context(), who, api.AlarmCommand{Command: api.AlarmAck, Alarms: []api.AlarmRef{{ID: "high"}}})
		if err == nil || !strings.Contains(err.Error(), "area main") {
			t.Errorf("an alarm: %v", err)
		}
	})
}

// TestNoSecretInTheLog: nothing of a password, token, hash or one-time password is in the log, whatever its level.
func TestNoSecretInTheLog(t *testing.T) {
	bubble(t, func(w *world) {
		log, notice := &secretPaper{}, &secretPaper{}
		w.logTo, w.notice = log, notice
		w.restart("a", "b")
		w.ready()
		w.within(10*time.Second, "a password is told", func() error {
			if len(notice.passwords()) == 0 {
				return fmt.Errorf("nothing yet")
			}
			return nil
		})
		hash, err := web.HashPassword("password-of-vera")
		if err != nil {
			t.Fatal(err)
		}
		token := "scada_0123456789abcdef"
		w.change("b", web.PeopleChange{Verb: web.PeopleAdd, Name: "vera", Role: web.Viewer, Hash: hash})
		w.change("a", web.PeopleChange{Verb: web.PeopleCreateToken, Name: "collector", Role: web.Viewer, Hash: web.HashToken(token)})
		for _, try := range []string{"password-of-vera", "a-wrong-password", notice.passwords()[0]} {
			_, _ = w.node["a"].web.Authenticate(w.t.Context(), "vera", try, "10.0.0.9")
			_, _ = uaBackend{w.node["b"]}.Authenticate(w.t.Context(), "vera", try)
		}
		log.mu.Lock()
		defer log.mu.Unlock()
		text := log.text.String()
		if len(text) < 1000 {
			t.Fatalf("only %d bytes of log", len(text))
		}
		for _, secret := range []string{"password-of-vera", "a-wrong-password", notice.passwords()[0], "argon2id", hash, token, web.HashToken(token)} {
			if strings.Contains(text, secret) {
				t.Errorf("the log has %q", secret)
			}
		}
	})
}
