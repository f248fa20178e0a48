package server

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scada/web"
	"scada/web/api"
)

// TestUsersOfThePlantFileAreHot: users and tokens of the plant file are changed while the pair runs, on both nodes at once;
// sessions of those that changed end, others go on; and only an administrator changes them.
func TestUsersOfThePlantFileAreHot(t *testing.T) {
	key := filepath.Join(t.TempDir(), "pair.key")
	if err := os.WriteFile(key, []byte(strings.Repeat("k", web.MinPairKey)), 0o600); err != nil {
		t.Fatal(err)
	}
	hash := func(password string) string {
		h, err := web.HashPassword(password)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	olga, vera := hash("password-o"), hash("password-v")
	base := strings.Replace(bubblePlant, "web: {insecure: true}", fmt.Sprintf("web: {insecure: true, pair_key_file: %q}\nusers:\n  - {name: adam, role: admin, password_hash: %q}\n  - {name: olga, role: operator, password_hash: %q}\n",
		key, hash("password-a"), olga), 1)
	bubbleOf(t, base, func(w *world) {
		w.ready()
		stays, ends := w.logIn("b", "adam", "password-a"), w.logIn("b", "olga", "password-o")
		plant := strings.Replace(base, "  - {name: olga, role: operator", fmt.Sprintf("  - {name: vera, role: viewer, password_hash: %q}\n  - {name: olga, role: viewer", vera), 1)
		plant = strings.Replace(plant, "users:\n", fmt.Sprintf("tokens: [{name: script, role: viewer, hash: %q}]\nusers:\n", web.HashToken("the token")), 1)
		if _, err := w.config("a", api.ConfigDeploy, plant); err == nil || !strings.Contains(err.Error(), "only an administrator") {
			w.t.Errorf("by an engineer: %v", err)
		}
		w.sessions(map[string]int{stays: 200, ends: 200, "the token": 401})
		broken := strings.Replace(plant, olga, "$argon2id$v=19$m=1,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAA", 1)
		if ans, err := w.deployAs(web.Actor{User: "adam", Role: web.Admin}, "a", broken); err != nil || len(ans.Errors) != 1 || ans.Errors[0].Line < 1 ||
			!strings.Contains(ans.Errors[0].Message, "out of bounds") {
			w.t.Errorf("a hash nobody can log in with: %+v %v", ans, err)
		}
		ans, err := w.deployAs(web.Actor{User: "adam", Role: web.Admin}, "b", plant)
		if err != nil || ans.Result != "deployed" || len(ans.Reconnects) != 0 {
			w.t.Errorf("%+v %v", ans, err)
		}
		if told := fmt.Sprint(ans.Changes); !strings.Contains(told, "role operator -> viewer") || strings.Contains(told, "argon2") || strings.Contains(told, web.HashToken("the token")) {
			w.t.Errorf("the changes are told as %s", told)
		}
		w.within(time.Second, "both run it", w.same)
		w.sessions(map[string]int{stays: 200, ends: 401, "the token": 200})
		w.logIn("a", "vera", "password-v")
		again := w.logIn("a", "olga", "password-o")
		w.sessions(map[string]int{again: 200})
		if _, err := w.deployAs(web.Actor{User: "adam", Role: web.Admin}, "a", base); err != nil {
			w.t.Fatal(err)
		}
		w.within(time.Second, "both run it", w.same)
		w.sessions(map[string]int{stays: 200, again: 401, "the token": 401})
		w.restart("a", "b")
		w.ready()
		w.sessions(map[string]int{stays: 200, "the token": 401})
	})
}

func (w *world) deployAs(by web.Actor, node, plant string) (api.ConfigAnswer, error) {
	return w.node[node].conf.Config(w.t.Context(), by, api.ConfigCommand{Command: api.ConfigDeploy, Files: []api.ConfigFile{{Name: "plant.yaml", Text: plant}}})
}

// desk is a client of the web servers.
func (w *world) desk() *http.Transport {
	return &http.Transport{DialContext: w.net.Host("desk").Dial, DisableKeepAlives: true}
}

// logIn returns a session of a user, as a bearer token.
func (w *world) logIn(node, user, password string) string {
	w.t.Helper()
	c, err := api.NewClient([]string{"http://" + w.cfg.Nodes[node].HTTP}, "", w.desk())
	if err != nil {
		w.t.Fatal(err)
	}
	_, token, err := c.Login(w.t.Context(), api.Login{User: user, Password: password})
	if err != nil {
		w.t.Fatalf("%s at %s: %v", user, node, err)
	}
	return token
}

// sessions checks on both nodes which bearer tokens are good.
func (w *world) sessions(want map[string]int) {
	w.t.Helper()
	for _, node := range []string{"a", "b"} {
		for token, status := range want {
			req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "http://"+w.cfg.Nodes[node].HTTP+"/api/v1/session", nil)
			if err != nil {
				w.t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+token)
			resp, err := (&http.Client{Transport: w.desk()}).Do(req)
			if err != nil {
				w.t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != status {
				w.t.Errorf("%.20s… at %s: %d, want %d", token, node, resp.StatusCode, status)
			}
		}
	}
}
