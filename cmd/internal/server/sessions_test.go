package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"scada/web"
	"scada/web/api"
)

// TestSessionBook: a list travels once, and again when either side has lost it.
func TestSessionBook(t *testing.T) {
	var a, b sessionBook
	now := time.Now()
	own := []api.SessionInfo{{ID: "1", User: "olga"}}
	exchange := func() (whole bool) {
		n := a.news(own)
		b.take(n, now)
		a.take(b.news(nil), now)
		return n.Whole
	}
	if !exchange() || len(b.others()) != 1 {
		t.Fatalf("b knows %+v", b.others())
	}
	if exchange() || len(b.others()) != 1 {
		t.Error("the same list was sent again")
	}
	b = sessionBook{} // b was restarted
	if exchange(); !exchange() || len(b.others()) != 1 {
		t.Errorf("after a restart b knows %+v", b.others())
	}
	if own = nil; !exchange() || len(b.others()) != 0 {
		t.Errorf("nobody is signed in, and b knows %+v", b.others())
	}
	b.take(&sessionNews{Digest: "x", Whole: true, List: make([]api.SessionInfo, maxPeerSessions+1)}, now)
	if n := len(b.others()); n != maxPeerSessions {
		t.Errorf("%d sessions are listed", n)
	}
	b.at = now.Add(-sessionsKept - time.Second)
	if len(b.others()) != 0 {
		t.Error("sessions of a node that is gone are shown")
	}
}

const testPassword = "a long password"

// request sends a request to a node as a browser with a cookie does and returns the status and the first cookie of the answer.
func (w *world) request(node, method, path string, cookie *http.Cookie, in, out any) (int, *http.Cookie) {
	w.t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		w.t.Fatal(err)
	}
	address := w.cfg.Nodes[node].HTTP
	req, err := http.NewRequestWithContext(w.t.Context(), method, "http://"+address+path, bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if cookie != nil {
		req.AddCookie(cookie)
	}
	req.Header.Set("Content-Type", "application/json")
	transport := &http.Transport{DialContext: w.net.Host("browser").Dial, DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		w.t.Fatalf("%s %s of %s: %v", method, path, node, err)
	}
	defer resp.Body.Close()
	if out != nil && resp.StatusCode == http.StatusOK {
		if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
			w.t.Fatal(err)
		}
	}
	if c := resp.Cookies(); len(c) > 0 {
		return resp.StatusCode, c[0]
	}
	return resp.StatusCode, nil
}

func (w *world) get(node, method, path string, cookie *http.Cookie, out any) int {
	w.t.Helper()
	status, _ := w.request(node, method, path, cookie, nil, out)
	return status
}

func (w *world) cookieOf(node, user string) *http.Cookie {
	w.t.Helper()
	status, cookie := w.request(node, http.MethodPost, "/api/v1/session", nil, api.Login{User: user, Password: testPassword}, nil)
	if status != http.StatusOK || cookie == nil {
		w.t.Fatalf("the log-in of %s at %s: %d", user, node, status)
	}
	return cookie
}

// TestSessionsOfBothNodes: each node lists the sessions of both, and a session ended through either node ends where it is.
func TestSessionsOfBothNodes(t *testing.T) {
	bubble(t, func(w *world) {
		w.ready()
		hash, err := web.HashPassword(testPassword)
		if err != nil {
			t.Fatal(err)
		}
		w.change("a", web.PeopleChange{Verb: web.PeopleAdd, Name: "olga", Role: web.Operator, Hash: hash})
		w.change("a", web.PeopleChange{Verb: web.PeopleAdd, Name: "root", Role: web.Admin, Hash: hash})
		admins := map[string]*http.Cookie{"a": w.cookieOf("a", "root"), "b": w.cookieOf("b", "root")}
		olgas := map[string]*http.Cookie{"a": w.cookieOf("a", "olga"), "b": w.cookieOf("b", "olga")}
		list := func(node string) []api.SessionInfo {
			var out api.Sessions
			if status := w.get(node, http.MethodGet, "/api/v1/sessions", admins[node], &out); status != http.StatusOK {
				t.Fatalf("%s answers %d", node, status)
			}
			return out.Sessions
		}
		w.within(5*time.Second, "both list four sessions", func() error {
			for _, node := range []string{"a", "b"} {
				if got := list(node); len(got) != 4 {
					return fmt.Errorf("%s lists %+v", node, got)
				}
			}
			return nil
		})
		for _, through := range []string{"a", "b"} { // the active ends one of the standby, the standby one of the active
			at := map[string]string{"a": "b", "b": "a"}[through]
			all := list(through)
			i := slices.IndexFunc(all, func(s api.SessionInfo) bool { return s.User == "olga" && s.Node == at })
			if i < 0 {
				t.Fatalf("olga at %s is not in %+v", at, all)
			}
			if status := w.get(through, http.MethodDelete, "/api/v1/sessions/"+all[i].ID, admins[through], nil); status != http.StatusNoContent {
				t.Errorf("%s answers %d", through, status)
			}
			w.within(3*time.Second, "olga is signed out at "+at, func() error {
				if status := w.get(at, http.MethodGet, "/api/v1/node", olgas[at], nil); status != http.StatusUnauthorized {
					return fmt.Errorf("%s answers her with %d", at, status)
				}
				return nil
			})
		}
		w.restart("b")
		w.ready()
		if status := w.get("b", http.MethodGet, "/api/v1/node", olgas["b"], nil); status != http.StatusUnauthorized {
			t.Errorf("after a restart b answers olga with %d", status)
		}
	})
}
