package web

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"scada/web/api"
)

func (r *rig) listSessions() []api.SessionInfo {
	r.t.Helper()
	a := r.do("GET", "/api/v1/sessions", "", r.admin()...)
	var out api.Sessions
	if err := json.Unmarshal([]byte(a.body), &out); a.status != 200 || err != nil {
		r.t.Fatal(a.status, a.body)
	}
	return out.Sessions
}

// TestSessionsAreListedAndEnded: an administrator sees who is signed in and from where, and ends one: HTTP and socket end at once, the
// journal says who did it, and the session is not taken up again.
func TestSessionsAreListedAndEnded(t *testing.T) {
	peopled(t, func(r *rig) {
		_, cookie := r.login("olga", "password-o")
		olga := []string{"Cookie", cookie}
		list := r.listSessions()
		var id string
		for _, s := range list {
			if s.User == "olga" {
				id = s.ID
			}
			if s.Own != (s.User == "adam") && s.User != "olga" || s.Node != "a" || s.Address != "10.0.0.7" || !s.ExpiresAt.After(s.CreatedAt) {
				t.Errorf("%+v", s)
			}
		}
		if id == "" {
			t.Fatalf("olga is not in %+v", list)
		}
		time.Sleep(2 * time.Minute)
		r.do("GET", "/api/v1/node", "", olga...)
		for _, s := range r.listSessions() {
			if s.ID == id && s.SeenAt.Sub(s.CreatedAt) < time.Minute {
				t.Errorf("not seen again: %+v", s)
			}
		}
		sock := r.socket(olga...)
		sock.send(`{"t":"hello"}`)
		sock.want("welcome")
		admin := r.admin()
		for name, want := range map[string]int{"no such": 404, id + "0": 404, id: 204} {
			if a := r.do("DELETE", "/api/v1/sessions/"+strings.ReplaceAll(name, " ", "%20"), "", admin...); a.status != want {
				t.Errorf("%q: %d %s", name, a.status, a.body)
			}
		}
		if code := sock.wantClose(); code != closeUnauthorized {
			t.Errorf("the socket was closed with %d", code)
		}
		if a := r.do("GET", "/api/v1/node", "", olga...); a.status != 401 {
			t.Errorf("olga is still signed in: %d", a.status)
		}
		r.f.mu.Lock()
		defer r.f.mu.Unlock()
		last := r.f.audits[len(r.f.audits)-1]
		if last.Event != AuditEnded || last.Actor.User != "adam" || !strings.Contains(last.Detail, id) || !strings.Contains(last.Detail, "olga") {
			t.Errorf("audited as %+v", last)
		}
	})
}

// TestTheJournalEndsSessions: what the other node says has ended, ends here.
func TestTheJournalEndsSessions(t *testing.T) {
	peopled(t, func(r *rig) {
		var ids []string
		for range 3 {
			r.login("olga", "password-o")
			time.Sleep(10 * time.Second)
		}
		for _, s := range r.listSessions() {
			if s.User == "olga" {
				ids = append(ids, s.ID)
			}
		}
		entries := []api.JournalEntry{{Kind: "session", Event: AuditEnded, Message: "session " + ids[0] + " of olga; from 10.0.0.9"},
			{Kind: "session", Event: AuditLogout, Message: "session " + ids[1]}, {Kind: "session", Event: AuditLogin, Message: "session " + ids[2]}, {Kind: "alarm", Event: AuditLogout, Message: "session " + ids[2]},
			{Kind: "session", Event: AuditEnded, Message: "session " + ids[2] + "0"}}
		r.f.journal.Append(entries...)
		synctest.Wait()
		left := 0
		for _, s := range r.listSessions() {
			if s.User == "olga" {
				left++
				if s.ID != ids[2] {
					t.Errorf("%s did not end", s.ID)
				}
			}
		}
		if left != 1 {
			t.Errorf("%d sessions are left", left)
		}
	})
}
