package web

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"scada/web/oidc"
	"scada/web/oidc/oidctest"
)

const callbackPath = "/api/v1/session/oidc/callback"

// vouched is a bubble with a provider of OpenID Connect and two nodes whose people it may vouch for.
func vouched(t *testing.T, test func(p *oidctest.Provider, a, b *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p, err := oidctest.New("http://provider.test", "http://a.test"+callbackPath, "http://b.test"+callbackPath)
		if err != nil {
			t.Fatal(err)
		}
		at := newPipes()
		srv := &http.Server{Handler: p} //nolint:gosec // within the bubble
		done := make(chan error, 1)
		go func() { done <- srv.Serve(at) }()
		defer func() { _ = srv.Close(); <-done }()
		f := newFake("a") // what is in the journal, both nodes have
		a := startRig(t, vouchedConfig("a", at), f)
		defer a.stop()
		b := startRig(t, vouchedConfig("b", at), f)
		defer b.stop()
		test(p, a, b)
	})
}

func vouchedConfig(node string, provider *pipes) Config {
	cfg := testConfig(node)
	cfg.OIDC = &OIDC{
		Name: "The works", Life: time.Hour,
		Config: oidc.Config{Issuer: "http://provider.test", ClientID: oidctest.ClientID, ClientSecret: oidctest.Secret, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			if address != "provider.test:80" {
				return nil, fmt.Errorf("nobody is at %s", address)
			}
			return provider.dial(ctx, network, address)
		}},
		Roles: []OIDCRole{{Value: "watchers", Role: Viewer, Areas: map[string]Role{"north": Operator}}, {Value: "operators", Role: Operator, Areas: map[string]Role{"south": Viewer}}},
	}
	return cfg
}

// browser keeps cookies as a browser does that knows one host.
type browser struct {
	r       *rig
	host    string
	cookies map[string]string
}

func newBrowser(r *rig, host string) *browser {
	return &browser{r: r, host: host, cookies: map[string]string{}}
}

// get asks the node and returns the answer without following it.
func (b *browser) get(path string) answer {
	b.r.t.Helper()
	req, err := http.NewRequest(http.MethodGet, "http://"+b.host+path, nil) //nolint:noctx // in a bubble
	if err != nil {
		b.r.t.Fatal(err)
	}
	for name, value := range b.cookies {
		req.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	resp, err := b.r.http.Transport.RoundTrip(req)
	if err != nil {
		b.r.t.Fatal(err)
	}
	_ = resp.Body.Close()
	for _, c := range resp.Cookies() {
		if b.cookies[c.Name] = c.Value; c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		}
	}
	return answer{resp.StatusCode, resp.Header, ""}
}

// press presses the button and returns the path the provider sends the browser back to.
func (b *browser) press(p *oidctest.Provider) string {
	b.r.t.Helper()
	a := b.get("/api/v1/session/oidc/start")
	to := a.header.Get("Location")
	if a.status != 303 || !strings.HasPrefix(to, p.Issuer+"/authorize?") {
		b.r.t.Fatalf("pressed: %d %s", a.status, to)
	}
	w := newRecorded()
	req, err := http.NewRequest(http.MethodGet, to, nil) //nolint:noctx // served here
	if err != nil {
		b.r.t.Fatal(err)
	}
	p.ServeHTTP(w, req)
	back, err := url.Parse(w.header.Get("Location"))
	if err != nil || w.code != 302 {
		b.r.t.Fatalf("the provider: %d %s", w.code, w.body.String())
	}
	return back.RequestURI()
}

// logIn goes the whole way and returns where it ended.
func (b *browser) logIn(p *oidctest.Provider) string {
	b.r.t.Helper()
	return b.get(b.press(p)).header.Get("Location")
}

func (b *browser) session() string { return b.cookies[b.r.s.cookieName()] }

func (b *browser) as() []string {
	return []string{"Cookie", b.r.s.cookieName() + "=" + b.session()}
}

func TestALogInByAProvider(t *testing.T) {
	vouched(t, func(p *oidctest.Provider, a, b *rig) {
		if got := a.do("GET", "/api/v1/session/oidc", ""); got.body != `{"name":"The works"}`+"\n" {
			t.Error(got.body)
		}
		p.User["groups"] = []string{"others", "operators", "watchers"}
		br := newBrowser(a, "a.test")
		if got := br.logIn(p); got != "/" || br.session() == "" || len(br.cookies) != 1 {
			t.Fatalf("%q %v", got, br.cookies)
		}
		for _, r := range []*rig{a, b} { // the other node takes it up
			got := r.do("GET", "/api/v1/session", "", "Cookie", a.s.cookieName()+"="+br.session())
			if got.status != 200 || !strings.Contains(got.body, `"user":"oidc:alice","role":"operator"`) || !strings.Contains(got.body, `"areas":{"north":"operator","south":"viewer"}`) || !strings.Contains(got.body, `"external":true`) {
				t.Errorf("session: %d %s", got.status, got.body)
			}
		}
		if e := a.f.audits[0]; e.Event != AuditLogin || e.Actor.User != "oidc:alice" || e.Actor.Remote != "10.0.0.7" || e.Detail != `by http://provider.test, subject "0815"` {
			t.Errorf("%+v", e)
		}
		if got := a.do("POST", "/api/v1/session/password", `{"old":"x","new":"long-enough-1"}`, br.as()...); got.status != 403 && got.status != 404 {
			t.Errorf("a password of the provider's: %d", got.status)
		}
		if err := a.s.SetAccounts(nil, nil); err != nil {
			t.Fatal(err)
		}
		if got := a.do("GET", "/api/v1/session", "", br.as()...); got.status != 200 {
			t.Errorf("ended by a change of other users: %d", got.status)
		}
		out := a.do("DELETE", "/api/v1/session", "", br.as()...)
		if out.status != 200 || !strings.Contains(out.body, `"logout_url":"http://provider.test/end?`) || !strings.Contains(out.body, "id_token_hint=") || !strings.Contains(out.body, url.QueryEscape("http://a.test/")) {
			t.Errorf("log-out: %d %s", out.status, out.body)
		}
		for _, r := range []*rig{a, b} {
			r.s.sessions = newSessions() // a restart
			if got := r.do("GET", "/api/v1/session", "", br.as()...); got.status != 401 {
				t.Errorf("after the log-out: %d", got.status)
			}
		}
	})
}

// TestRolesHoldUntilTheSessionEnds: what is derived from a session ends with it, however often a ticket is exchanged.
func TestRolesHoldUntilTheSessionEnds(t *testing.T) {
	vouched(t, func(p *oidctest.Provider, a, b *rig) {
		br := newBrowser(a, "a.test")
		br.logIn(p)
		time.Sleep(30 * time.Minute)
		ticket := part(a.do("POST", "/api/v1/ticket", "", br.as()...).body, `"ticket":"`)
		there := b.do("POST", "/api/v1/session/exchange", fmt.Sprintf(`{"ticket":%q}`, ticket))
		token := part(there.body, `"token":"`)
		if there.status != 200 || !strings.Contains(there.body, `"user":"oidc:alice","role":"operator"`) || token == "" {
			t.Fatalf("on the other node: %d %s", there.status, there.body)
		}
		delete(p.User, "groups")
		p.Info = map[string]any{"sub": "0815"}
		time.Sleep(29 * time.Minute)
		for r, headers := range map[*rig][]string{a: br.as(), b: bearer(token)} {
			if got := r.do("GET", "/api/v1/session", "", headers...); got.status != 200 {
				t.Errorf("before the end: %d", got.status)
			}
		}
		late := part(a.do("POST", "/api/v1/ticket", "", br.as()...).body, `"ticket":"`)
		time.Sleep(time.Minute)
		for r, headers := range map[*rig][]string{a: br.as(), b: bearer(token)} {
			if got := r.do("GET", "/api/v1/session", "", headers...); got.status != 401 {
				t.Errorf("after the end: %d %s", got.status, got.body)
			}
		}
		if got := b.do("POST", "/api/v1/session/exchange", fmt.Sprintf(`{"ticket":%q}`, late)); got.status != 401 {
			t.Errorf("a ticket of a session that has ended: %d", got.status)
		}
		if got := br.logIn(p); got != "/?login=oidc_no_role" {
			t.Errorf("without the role: %s", got)
		}
		if e := a.f.audits[len(a.f.audits)-1]; e.Event != AuditRefused || e.Actor.User != "oidc:alice" {
			t.Errorf("%+v", e)
		}
	})
}

// TestSessionsEndWithTheRulesTheyWereMadeBy: an id says which rules were met; other rules make it worthless.
func TestSessionsEndWithTheRulesTheyWereMadeBy(t *testing.T) {
	vouched(t, func(p *oidctest.Provider, a, b *rig) {
		br := newBrowser(a, "a.test")
		br.logIn(p)
		for name, change := range map[string]func(*Config){
			"other rules": func(c *Config) { c.OIDC.Roles[1].Role = Admin },
			"no provider": func(c *Config) { c.OIDC = nil },
			"another one": func(c *Config) { c.OIDC.Issuer = "http://other.test" },
		} {
			cfg := vouchedConfig("c", nil)
			change(&cfg)
			r := startRig(t, cfg, newFake("c"))
			if got := r.do("GET", "/api/v1/session", "", br.as()...); got.status != 401 {
				t.Errorf("%s: %d %s", name, got.status, got.body)
			}
			r.stop()
		}
		for name, c := range map[string]sessionID{
			"rules there are not":  {User: "oidc:eve", Bound: b.s.bind("oidc:eve"), Rules: []int{2}},
			"no rules":             {User: "oidc:eve", Bound: b.s.bind("oidc:eve")},
			"a rule below nothing": {User: "oidc:eve", Bound: b.s.bind("oidc:eve"), Rules: []int{-1}},
			"rules of a local one": {User: "nobody", Bound: b.s.bind("nobody"), Rules: []int{1}},
		} {
			c.Issued, c.Expires, c.ID = time.Now().Unix(), time.Now().Add(time.Hour).Unix(), "x"
			if got := b.do("GET", "/api/v1/session", "", "Cookie", b.s.cookieName()+"="+seal(testKey, sessionPrefix, c)); got.status != 401 {
				t.Errorf("%s: %d %s", name, got.status, got.body)
			}
		}
	})
}

// TestWaysBackNobodyMayCome: the way back is gone once, in the browser that began, in time, from the provider.
func TestWaysBackNobodyMayCome(t *testing.T) {
	vouched(t, func(p *oidctest.Provider, a, _ *rig) {
		ends := func(what, got, want string) {
			t.Helper()
			if got != "/?login="+want {
				t.Errorf("%s: %q, want %s", what, got, want)
			}
			time.Sleep(time.Minute) // so that the limit of an address is not what refuses
		}
		br := newBrowser(a, "a.test")
		back := br.press(p)
		kept := br.cookies["scada_oidc_a"]
		br.get(back)
		if br.session() == "" {
			t.Fatal("not logged in")
		}
		br.cookies = map[string]string{"scada_oidc_a": kept}
		ends("a second time", br.get(back).header.Get("Location"), loginExpired)
		if br.session() != "" || p.Hits["/token"] != 1 {
			t.Errorf("a replay: %v, %d exchanges", br.cookies, p.Hits["/token"])
		}
		stranger := newBrowser(a, "a.test")
		ends("in another browser", stranger.get(br.press(p)).header.Get("Location"), loginExpired)
		stranger.press(p)
		ends("with a log-in of its own", stranger.get(br.press(p)).header.Get("Location"), loginExpired)
		ends("without a state", br.get(callbackPath+"?code=x").header.Get("Location"), loginExpired)
		back = br.press(p)
		time.Sleep(flowLife)
		ends("too late", br.get(back).header.Get("Location"), loginExpired)
		u, err := url.Parse(br.press(p))
		if err != nil {
			t.Fatal(err)
		}
		ends("denied", br.get(callbackPath+"?error=access_denied&error_description=%3Cscript%3E&state="+u.Query().Get("state")).header.Get("Location"), loginDenied)
		ends("from another provider", br.get(strings.Replace(br.press(p), "iss=http", "iss=https", 1)).header.Get("Location"), loginInvalid)
		ends("with another code", br.get(strings.Replace(br.press(p), "code=", "code=X", 1)).header.Get("Location"), loginInvalid)
		p.Claims = func(m map[string]any) { m["nonce"] = "x" }
		ends("with a token of another log-in", br.logIn(p), loginInvalid)
		if br.session() != "" {
			t.Error("and yet there is a session")
		}
		for _, e := range a.f.audits[1:] {
			if e.Event != AuditRefused || e.Actor.User != "oidc:" {
				t.Errorf("%+v", e)
			}
		}
		p.Claims = nil
		back = br.press(p)
		p.Answer = func(w http.ResponseWriter) bool { w.WriteHeader(503); return true }
		ends("while the provider is down", br.get(back).header.Get("Location"), loginUnavailable)
	})
}

// TestALogInGoesNowhereElse: neither the host nor any parameter decides where the browser is sent.
func TestALogInGoesNowhereElse(t *testing.T) {
	vouched(t, func(p *oidctest.Provider, a, _ *rig) {
		if got := newBrowser(a, "evil.test").get("/api/v1/session/oidc/start"); got.header.Get("Location") != "/?login=oidc_elsewhere" {
			t.Errorf("a foreign host: %v", got.header)
		}
		br := newBrowser(a, "b.test") // an address of the pair: the virtual one, say
		if got := br.get("/api/v1/session/oidc/start").header.Get("Location"); !strings.Contains(got, url.QueryEscape("http://b.test"+callbackPath)) {
			t.Error(got)
		}
		br = newBrowser(a, "a.test")
		for _, name := range []string{"redirect_uri", "next", "to", "return_to"} {
			if got := br.get("/api/v1/session/oidc/start?" + name + "=https://evil.test"); got.status != 400 {
				t.Errorf("%s: %d", name, got.status)
			}
			if got := br.get(br.press(p) + "&" + name + "=https://evil.test").header.Get("Location"); got != "/" {
				t.Errorf("%s: %s", name, got)
			}
			time.Sleep(time.Minute)
		}
		for range loginBurst {
			br.press(p)
		}
		if got := br.get("/api/v1/session/oidc/start").header.Get("Location"); got != "/?login=oidc_too_many" {
			t.Errorf("once too often: %s", got)
		}
	})
}

// TestAProviderThatIsDownHoldsNobodyUp: the node starts, its own users log in, and the page says why the button does not work.
func TestAProviderThatIsDownHoldsNobodyUp(t *testing.T) {
	vouched(t, func(p *oidctest.Provider, a, _ *rig) {
		p.Answer = func(w http.ResponseWriter) bool { w.WriteHeader(500); return true }
		br := newBrowser(a, "a.test")
		if got := br.get("/api/v1/session/oidc/start").header.Get("Location"); got != "/?login=oidc_unavailable" {
			t.Error(got)
		}
		if got, _ := a.login("olga", "password-o"); got.status != 200 {
			t.Errorf("a local user: %d", got.status)
		}
		p.Answer = nil
		time.Sleep(10 * time.Second)
		if got := br.logIn(p); got != "/" {
			t.Errorf("when it is back: %s", got)
		}
	})
}

func TestNobodyOfThePlantIsNamedLikeSomebodyElsewhere(t *testing.T) {
	cfg := testConfig("a")
	cfg.Users[0].Name = "oidc:alice"
	if _, err := New(cfg, newFake("a")); err == nil {
		t.Error("accepted")
	}
	for name, change := range map[string]func(*OIDC){
		"no roles":         func(o *OIDC) { o.Roles = nil },
		"too many roles":   func(o *OIDC) { o.Roles = make([]OIDCRole, maxFederatedRoles+1) },
		"a role of nobody": func(o *OIDC) { o.Roles[0].Role = Nobody },
		"a role for all":   func(o *OIDC) { o.Roles[0].Value = "" },
		"a path":           func(o *OIDC) { o.Origins = []string{"https://a.test/x"} },
	} {
		cfg := vouchedConfig("a", nil)
		change(cfg.OIDC)
		if _, err := New(cfg, newFake("a")); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// part is the text behind a mark, up to the next quotation mark.
func part(text, mark string) string {
	_, rest, _ := strings.Cut(text, mark)
	out, _, _ := strings.Cut(rest, `"`)
	return out
}
