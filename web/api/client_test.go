package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// node is a server that counts requests and answers with status and body, or hangs up when status is 0.
func node(t *testing.T, status int, body string) (string, *atomic.Int32) {
	t.Helper()
	var asked atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/health/live" {
			return
		}
		asked.Add(1)
		if status == 0 {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(s.Close)
	return s.URL, &asked
}

func client(t *testing.T, servers ...string) *Client {
	t.Helper()
	c, err := NewClient(servers, "token", &http.Transport{DisableKeepAlives: true})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAQuestionGoesToTheNextServer(t *testing.T) {
	dying, askedFirst := node(t, 0, "")
	living, askedSecond := node(t, 200, `{"node":"b"}`)
	c := client(t, dying, living)
	for i := range 2 {
		n, err := c.Node(t.Context())
		if err != nil || n.Node != "b" {
			t.Fatalf("%d: %+v %v", i, n, err)
		}
	}
	if askedFirst.Load() != 1 || askedSecond.Load() != 2 {
		t.Errorf("asked %d and %d times: the server that answered was not preferred", askedFirst.Load(), askedSecond.Load())
	}
	if s := c.Servers(); s[0] != living || s[1] != dying {
		t.Errorf("servers %v", s)
	}
}

func TestACommandIsNeverSentTwice(t *testing.T) {
	dying, _ := node(t, 0, "")
	living, asked := node(t, 200, `{}`)
	_, err := client(t, dying, living).RoleCommand(t.Context(), RoleCommand{Verb: VerbSwitch})
	if !errors.Is(err, ErrUnknownOutcome) || asked.Load() != 0 {
		t.Errorf("%v; the other server was asked %d times", err, asked.Load())
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	if _, err := client(t, gone.URL, living).RoleCommand(t.Context(), RoleCommand{Verb: VerbSwitch}); err != nil || asked.Load() != 1 {
		t.Errorf("a server that refuses the connection: %v, the other was asked %d times", err, asked.Load())
	}
}

func TestErrorsTellTheirKind(t *testing.T) {
	refusing, _ := node(t, 409, `{"status":409,"code":"not_active","detail":"nobody is"}`)
	strange, _ := node(t, 502, "<html>")
	garbled, _ := node(t, 200, "{")
	gone := httptest.NewServer(nil)
	gone.Close()
	var p *Problem
	_, err := client(t, refusing).Role(t.Context())
	if !errors.As(err, &p) || !p.Refused() || p.Error() != "not_active: nobody is" {
		t.Errorf("refused: %v", err)
	}
	for _, s := range []string{strange, garbled} {
		if _, err = client(t, s).Role(t.Context()); !errors.As(err, &p) || p.Refused() {
			t.Errorf("%s: %v", s, err)
		}
	}
	var far *Unreachable
	if _, err = client(t, gone.URL, gone.URL).Role(t.Context()); !errors.As(err, &far) || len(far.Errs) != 2 {
		t.Errorf("gone: %v", err)
	}
}

func TestNewClientChecksServers(t *testing.T) {
	for text, ok := range map[string]bool{"127.0.0.1:8081": true, " https://a/ ": true, "": false, "ftp://a": false, "http://": false, "http://%zz": false} {
		if _, err := NewClient([]string{text}, "", nil); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestPairFields(t *testing.T) {
	p := Pair{Nodes: []Node{{Node: "a", Areas: []Area{{Area: "x", Epoch: 3}}}, {Node: "b", Areas: []Area{{Area: "x", Epoch: 5}}}}}
	n, ok := p.Find("b")
	if a, okArea := n.Area("x"); !ok || !okArea || a.Epoch != 5 || p.Epoch() != 5 {
		t.Errorf("%+v", n)
	}
	b, err := json.Marshal(Pair{Nodes: []Node{{}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"node", "designation", "reachable", "version", "config_digest", "areas", "failover_ready", "not_ready", "score", "paths", "mirror",
		"applied_seq", "durable_seq", "lag_ms", "backfill", "remaining", "verified_at", "last_switch"} {
		if !strings.Contains(string(b), `"`+name+`":`) {
			t.Errorf("%s is missing in %s", name, b)
		}
	}
}

// FuzzAnswer decodes what a server, or whatever answers at its address, may send.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"t":"data","frame":3,"values":[[0,0.1,"Good","2000-01-01T00:00:00Z"],[1,null,"Bad",null]]}`), 200)
	f.Add([]byte(`{"status":403,"code":"forbidden"}`), 403)
	f.Fuzz(func(t *testing.T, data []byte, status int) {
		if p := problemOf(&http.Response{StatusCode: status}, data); p == nil || p.Error() == "" {
			t.Fatalf("%q gives no problem", data)
		}
		var m streamMessage
		if json.Unmarshal(data, &m) != nil {
			return
		}
		for _, row := range m.Values {
			var s Sample
			_ = decodeRow(row, &s) // an error is an answer, a panic is not
		}
	})
}
