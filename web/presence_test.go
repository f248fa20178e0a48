package web

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"scada/web/api"
)

// guests remembers who came and went.
type guests struct {
	mu   sync.Mutex
	told []string
}

func (g *guests) tell(p Presence) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.told = append(g.told, fmt.Sprintf("%s %s %s page=%t %s", p.What, p.User, p.Address, p.Page, p.Detail))
}

// since returns what was told since the last call.
func (g *guests) since() string {
	synctest.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	all := strings.Join(g.told, "; ")
	g.told = nil
	return all
}

func TestWhoComesAndGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &guests{}
		cfg := testConfig("a")
		cfg.Clients = g.tell
		r := startRig(t, cfg, newFake("a", float("a/x")))
		want := func(what, want string) {
			t.Helper()
			if got := g.since(); got != want {
				t.Errorf("%s: told %q, want %q", what, got, want)
			}
		}
		enter := func(headers ...string) *sock {
			s := r.socket(headers...)
			s.send(`{"t":"hello","token":"tok-operator"}`)
			s.want("welcome")
			return s
		}
		s := r.socket()
		s.send(`{"t":"hello","token":"wrong"}`)
		s.wantClose()
		want("a stranger", "")

		s = enter("Origin", "http://a.test")
		want("a dashboard comes", "client-connected script-op 10.0.0.7 page=true ")
		if err := s.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseGoingAway, ""), time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		s.wantClose()
		want("it leaves", "client-left script-op 10.0.0.7 page=true ")

		s = enter()
		s.conn.NetConn().Close()
		want("a program is lost", "client-connected script-op 10.0.0.7 page=false ; client-lost script-op 10.0.0.7 page=false connection ended")

		enter()
		time.Sleep(silence + time.Second)
		want("one that neither reads nor answers", "client-connected script-op 10.0.0.7 page=false ; client-lost script-op 10.0.0.7 page=false did not read")

		s = enter()
		if err := r.s.SetAccounts(nil, nil); err != nil {
			t.Fatal(err)
		}
		s.wantClose()
		if got := g.since(); !strings.Contains(got, "; client-closed script-op") {
			t.Errorf("one that is sent away: told %q", got)
		}
		r.stop()
		want("the server stops", "")
	})
}

func TestJournalExport(t *testing.T) {
	f := newFake("a", float("a/x"))
	f.pages = []api.Journal{
		{Next: "c1", Entries: []api.JournalEntry{{ID: "k2", Time: time.Unix(2, 5), Kind: "alarm", Event: "ACK", Source: "T.HI", User: "李", Message: "seen, \"noted\"\n好", Occurrence: 3, Priority: 2, Category: "operation"}}},
		{Entries: []api.JournalEntry{{ID: "k1", Time: time.Unix(1, 0), Kind: "alarm", Event: "RAISE", Source: "T.HI", Annunced: true, Priority: 2, Occurrence: 3}}},
	}
	bubble(t, f, func(r *rig) {
		var whole string
		for path := "/api/v1/journal/export?from=-1h"; path != ""; {
			a := r.do("GET", path, "", bearer("tok-viewer")...)
			if a.status != 200 || a.header.Get("Content-Type") != "text/csv; charset=utf-8" {
				t.Fatalf("%d %v", a.status, a.header)
			}
			whole += a.body
			if path = ""; a.header.Get("Next-Cursor") != "" {
				path = "/api/v1/journal/export?from=-1h&cursor=" + a.header.Get("Next-Cursor")
			}
		}
		want := strings.Join(api.JournalColumns(), ",") + `
1970-01-01T00:00:02.000000005Z,alarm,ACK,,T.HI,,,李,,,,"seen, ""noted""
好",,0,k2,3,2,false,,operation
1970-01-01T00:00:01Z,alarm,RAISE,,T.HI,,,,,,,,,0,k1,3,2,true,,
`
		if whole != want {
			t.Errorf("%s\nwant\n%s", whole, want)
		}
		a := r.do("GET", "/api/v1/journal/export?format=jsonl", "", bearer("tok-viewer")...)
		if a.status != 200 || strings.Count(a.body, "\n") != 1 || !strings.HasPrefix(a.body, `{"id":"k2","time":"1970-01-01T`) || a.header.Get("Next-Cursor") != "c1" {
			t.Errorf("%d %s %v", a.status, a.body, a.header)
		}
		for _, bad := range []string{"format=xml", "limit=10001", "from=yesterday"} {
			if a := r.do("GET", "/api/v1/journal/export?"+bad, "", bearer("tok-viewer")...); a.status != 400 {
				t.Errorf("%s: %d", bad, a.status)
			}
		}
	})
}
