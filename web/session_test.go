package web

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"scada/web/api"
)

func TestLogInAndOut(t *testing.T) {
	bubble(t, newFake("a"), func(r *rig) {
		a, cookie := r.login("olga", "password-o")
		set := a.header.Get("Set-Cookie")
		if a.status != 200 || !strings.Contains(set, "HttpOnly") || !strings.Contains(set, "SameSite=Strict") || strings.Contains(a.body, `"token"`) {
			t.Fatalf("%d %s %s", a.status, set, a.body)
		}
		if a := r.do("GET", "/api/v1/session", "", "Cookie", cookie); a.status != 200 || !strings.Contains(a.body, `"role":"operator","permissions":["view","tag.write","alarm.operate"]`) {
			t.Errorf("session: %d %s", a.status, a.body)
		}
		if a := r.do("DELETE", "/api/v1/session", "", "Cookie", cookie); a.status != 204 {
			t.Errorf("log-out: %d %s", a.status, a.body)
		}
		if a := r.do("GET", "/api/v1/session", "", "Cookie", cookie); a.status != 401 {
			t.Errorf("after log-out: %d", a.status)
		}
		if got := strings.Join(r.f.audited(), ","); got != "log-in olga,log-out olga" {
			t.Errorf("audit: %s", got)
		}
	})
}

func TestASessionEndsAfterItsLife(t *testing.T) {
	bubble(t, newFake("a"), func(r *rig) {
		_, cookie := r.login("olga", "password-o")
		time.Sleep(sessionLife - time.Second)
		if a := r.do("GET", "/api/v1/session", "", "Cookie", cookie); a.status != 200 {
			t.Errorf("just before: %d", a.status)
		}
		time.Sleep(time.Second)
		if a := r.do("GET", "/api/v1/session", "", "Cookie", cookie); a.status != 401 {
			t.Errorf("at its end: %d", a.status)
		}
	})
}

func TestWrongPasswordsLockTheUserFromThatAddress(t *testing.T) {
	bubble(t, newFake("a"), func(r *rig) {
		for i := range lockAfter {
			if a, _ := r.login("olga", "wrong-password"); a.status != 401 {
				t.Fatalf("attempt %d: %d", i, a.status)
			}
		}
		a, _ := r.login("olga", "password-o")
		if a.status != 429 || a.header.Get("Retry-After") != "900" {
			t.Errorf("right password while locked: %d, again in %s s", a.status, a.header.Get("Retry-After"))
		}
		if a, _ := r.login("vera", "password-v"); a.status != 200 {
			t.Errorf("another user: %d", a.status)
		}
		time.Sleep(lockTime)
		if a, _ := r.login("olga", "password-o"); a.status != 200 {
			t.Errorf("after the lock: %d %s", a.status, a.body)
		}
		want := strings.Repeat("log-in refused olga,", lockAfter-1) + "log-in locked olga,log-in refused olga,log-in vera,log-in olga"
		if got := strings.Join(r.f.audited(), ","); got != want {
			t.Errorf("audit %s", got)
		}
	})
}

func TestAnAddressMayTryOnlySoOften(t *testing.T) {
	bubble(t, newFake("a"), func(r *rig) {
		for i := range loginBurst {
			if a, _ := r.login(fmt.Sprintf("nobody%d", i), "whatever-it-is"); a.status != 401 {
				t.Fatalf("attempt %d: %d", i, a.status)
			}
		}
		if a, _ := r.login("vera", "password-v"); a.status != 429 || a.header.Get("Retry-After") != "6" {
			t.Errorf("one too many: %d %s", a.status, a.header.Get("Retry-After"))
		}
		if a, _ := r.login("vera", strings.Repeat("x", api.MaxPassword+1)); a.status != 400 {
			t.Errorf("a password too long: %d", a.status)
		}
		time.Sleep(6 * time.Second)
		if a, _ := r.login("vera", "password-v"); a.status != 200 {
			t.Errorf("later: %d %s", a.status, a.body)
		}
	})
}

func TestOnePasswordCheckAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, running, most := newGate(), 0, 0
		done := make(chan bool)
		for range 5 {
			go func() {
				done <- g.do(t.Context(), func() {
					running++
					most = max(most, running)
					time.Sleep(time.Second)
					running--
				})
			}()
		}
		served := 0
		for range 5 {
			if <-done {
				served++
			}
		}
		if most != 1 || served < 3 || served == 5 {
			t.Errorf("%d at a time, %d of 5 within %v", most, served, passwordQueueTime)
		}
	})
}

func TestSessionsMakeWay(t *testing.T) {
	s, now, n := newSessions(), time.Unix(1e9, 0), 0
	create := func(user string) (string, *session) {
		n++
		id := fmt.Sprint("id", n)
		return id, s.add(id, &session{user: user, account: account{role: Operator}, created: now, expires: now.Add(sessionLife), ended: make(chan struct{})}, now)
	}
	first, firstSession := create("olga")
	for i := range maxUserSessions {
		now = now.Add(time.Second)
		create("olga")
		if _, ok := s.find(first, now); ok != (i < maxUserSessions-1) {
			t.Fatalf("after %d more the first one is there: %v", i+1, ok)
		}
	}
	select {
	case <-firstSession.ended:
	default:
		t.Error("the session that made way was not ended")
	}
	if !s.wasEnded(first) {
		t.Error("the session that made way could come back")
	}
	for i := range maxSessions + maxEnded + 10 {
		create(fmt.Sprint("user", i))
	}
	if s.len() != maxSessions || len(s.ended) != maxEnded {
		t.Errorf("%d sessions, %d ended ones remembered", s.len(), len(s.ended))
	}
}

// TestASessionOutlivesItsNode: nobody has to log in again because a node was restarted or the other one took over.
func TestASessionOutlivesItsNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake("a") // what is in the journal, both nodes have
		restart := func(old *rig, cfg Config) *rig {
			old.stop()
			return startRig(t, cfg, f)
		}
		status := func(r *rig, cookie string) int { return r.do("GET", "/api/v1/session", "", "Cookie", cookie).status }
		a := startRig(t, testConfig("a"), f)
		_, cookie := a.login("olga", "password-o")
		b := startRig(t, testConfig("b"), f)
		defer b.stop()
		if got := status(b, cookie); got != 200 {
			t.Errorf("on the other node: %d", got)
		}
		a = restart(a, testConfig("a"))
		if got := status(a, cookie); got != 200 {
			t.Errorf("after a restart: %d", got)
		}
		f.journalErr = fmt.Errorf("closed")
		a = restart(a, testConfig("a"))
		if got := status(a, cookie); got != 401 {
			t.Errorf("while nobody can tell whether it was ended: %d", got)
		}
		f.journalErr = nil
		if got := status(a, cookie); got != 200 {
			t.Errorf("with the journal again: %d", got)
		}
		changed := testConfig("a")
		changed.Users[1].Hash = cheapHash("another-password")
		if err := a.s.SetAccounts(changed.Users, nil); err != nil {
			t.Fatal(err)
		}
		if got := status(a, cookie); got != 401 {
			t.Errorf("with another password: %d", got)
		}
		a = restart(a, changed)
		if got := status(a, cookie); got != 401 {
			t.Errorf("with another password after a restart: %d", got)
		}
		a = restart(a, testConfig("a"))
		if got := a.do("DELETE", "/api/v1/session", "", "Cookie", cookie).status; got != 204 {
			t.Errorf("log-out: %d", got)
		}
		if got := status(a, cookie); got != 401 {
			t.Errorf("after the log-out: %d", got)
		}
		a = restart(a, testConfig("a"))
		defer a.stop()
		if got := status(a, cookie); got != 401 {
			t.Errorf("after the log-out and a restart: %d", got)
		}
		_, cookie = a.login("olga", "password-o")
		time.Sleep(sessionLife)
		if got := status(b, cookie); got != 401 {
			t.Errorf("at the end of its life on a node that never saw it: %d", got)
		}
	})
}

func TestSessionIDsCannotBeForged(t *testing.T) {
	bubble(t, newFake("a"), func(r *rig) {
		_, cookie := r.login("olga", "password-o")
		name, id, _ := strings.Cut(cookie, "=")
		for i := 0; i < len(id)-1; i += 7 {
			bad := []byte(id)
			bad[i] ^= 1
			if a := r.do("GET", "/api/v1/session", "", "Cookie", name+"="+string(bad)); a.status != 401 {
				t.Errorf("accepted with byte %d changed", i)
			}
		}
		now := r.s.now()
		for what, c := range map[string]sessionID{
			"longer than a session": {User: "olga", Issued: now.Unix(), Expires: now.Add(2 * sessionLife).Unix(), Bound: r.s.bind("olga"), ID: "x"},
			"of the future":         {User: "olga", Issued: now.Add(time.Hour).Unix(), Expires: now.Add(2 * time.Hour).Unix(), Bound: r.s.bind("olga"), ID: "x"},
			"of nobody":             {User: "nobody", Issued: now.Unix(), Expires: now.Add(time.Hour).Unix(), Bound: r.s.bind("nobody"), ID: "x"},
			"unbound":               {User: "olga", Issued: now.Unix(), Expires: now.Add(time.Hour).Unix(), ID: "x"},
		} {
			if a := r.do("GET", "/api/v1/session", "", "Cookie", name+"="+seal(testKey, sessionPrefix, c)); a.status != 401 {
				t.Errorf("accepted: %s", what)
			}
		}
		text, _ := ticket{User: "olga", Node: "a"}.issue(testKey, now)
		if a := r.do("GET", "/api/v1/session", "", "Cookie", name+"="+text); a.status != 401 {
			t.Error("a ticket passes for a session")
		}
	})
}

func TestTicketAdmitsOnTheOtherNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := startRig(t, testConfig("a"), newFake("a")), startRig(t, testConfig("b"), newFake("b"))
		defer a.stop()
		defer b.stop()
		_, cookie := a.login("olga", "password-o")
		ticketOf := func() string {
			got := a.do("POST", "/api/v1/ticket", "", "Cookie", cookie)
			_, rest, _ := strings.Cut(got.body, `"ticket":"`)
			text, _, _ := strings.Cut(rest, `"`)
			return text
		}
		text := ticketOf()
		got := b.do("POST", "/api/v1/session/exchange", fmt.Sprintf(`{"ticket":%q}`, text), "Origin", "http://a.test")
		_, rest, _ := strings.Cut(got.body, `"token":"`)
		token, _, _ := strings.Cut(rest, `"`)
		if got.status != 200 || token == "" || got.header.Get("Set-Cookie") != "" {
			t.Fatalf("exchange: %d %s", got.status, got.body)
		}
		if got := b.do("GET", "/api/v1/session", "", bearer(token)...); !strings.Contains(got.body, `"user":"olga","role":"operator"`) {
			t.Errorf("session on b: %s", got.body)
		}
		time.Sleep(ticketLife)
		if got := b.do("POST", "/api/v1/session/exchange", fmt.Sprintf(`{"ticket":%q}`, text)); got.status != 401 {
			t.Errorf("an old ticket: %d %s", got.status, got.body)
		}
		fresh := ticketOf()
		if err := b.s.SetAccounts(testConfig("b").Users[:1], nil); err != nil {
			t.Fatal(err)
		}
		if got := b.do("POST", "/api/v1/session/exchange", fmt.Sprintf(`{"ticket":%q}`, fresh)); got.status != 401 {
			t.Errorf("a ticket of a user b does not have: %d", got.status)
		}
		if got := b.do("GET", "/api/v1/session", "", bearer(token)...); got.status != 401 {
			t.Errorf("the session of a user removed goes on: %d", got.status)
		}
		if got := a.do("POST", "/api/v1/ticket", "", bearer("tok-operator")...); got.status != 403 {
			t.Errorf("a ticket for a bearer token: %d", got.status)
		}
	})
}

func TestTicketsCannotBeForged(t *testing.T) {
	now := time.Unix(1.7e9, 0)
	good, _ := ticket{User: "olga", Node: "a"}.issue(testKey, now)
	if tk, err := checkTicket(testKey, good, now); err != nil || tk.User != "olga" {
		t.Fatalf("%+v %v", tk, err)
	}
	for i := range good {
		bad := []byte(good)
		bad[i] ^= 1
		if _, err := checkTicket(testKey, string(bad), now); err == nil {
			// The last character of base64 has bits that do not count.
			if i != len(good)-1 {
				t.Errorf("accepted with byte %d changed", i)
			}
		}
	}
	other, _ := ticket{User: "olga", Node: "a"}.issue([]byte(strings.Repeat("k", MinPairKey)), now)
	early, _ := ticket{User: "olga", Node: "a"}.issue(testKey, now.Add(ticketSkew+time.Second))
	for name, text := range map[string]string{"another key": other, "of the future": early, "empty": "", "cut": good[:20], "long": good + strings.Repeat("A", maxTicket)} {
		if _, err := checkTicket(testKey, text, now); err == nil {
			t.Errorf("accepted: %s", name)
		}
	}
	if _, err := checkTicket(nil, good, now); err == nil {
		t.Error("accepted without a key")
	}
}

func FuzzCheckTicket(f *testing.F) {
	now := time.Unix(1.7e9, 0)
	good, _ := ticket{User: "olga", Node: "a"}.issue(testKey, now)
	f.Add(good)
	f.Add("st1..")
	f.Fuzz(func(t *testing.T, text string) {
		if tk, err := checkTicket(testKey, text, now); err == nil && tk.User != "olga" {
			t.Fatalf("%q admits %q", text, tk.User)
		}
	})
}

func TestNewRefusesABadConfiguration(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"short key":    func(c *Config) { c.PairKey = make([]byte, MinPairKey-1) },
		"plain hash":   func(c *Config) { c.Users[0].Hash = "password" },
		"user twice":   func(c *Config) { c.Users[1].Name = c.Users[0].Name },
		"no role":      func(c *Config) { c.Users[0].Role = Nobody },
		"token hash":   func(c *Config) { c.Tokens[0].Hash = "abc" },
		"token role":   func(c *Config) { c.Tokens[0].Role = Admin + 1 },
		"origin":       func(c *Config) { c.Origins = []string{"a.test/x"} },
		"long name":    func(c *Config) { c.Users[0].Name = strings.Repeat("x", maxUserName+1) },
		"nameless one": func(c *Config) { c.Users[0].Name = "" },
	} {
		cfg := testConfig("a")
		change(&cfg)
		if _, err := New(cfg, newFake("a")); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestLimitersForget(t *testing.T) {
	l, now := newLimiter(1, 2), time.Unix(1e9, 0)
	for i := range maxLimited * 3 {
		l.allow(fmt.Sprint(i), now)
	}
	if len(l.byKey) > maxLimited {
		t.Errorf("%d keys", len(l.byKey))
	}
	k := newLockout()
	for i := range maxLimited * 3 {
		k.record(fmt.Sprint(i), "x", false, now)
	}
	if len(k.byKey) > maxLimited {
		t.Errorf("%d failures kept", len(k.byKey))
	}
	n := newNonces()
	for i := range maxNonces {
		if !n.use(fmt.Sprint(i), now) {
			t.Fatalf("nonce %d refused", i)
		}
	}
	if n.use("one more", now) {
		t.Error("a nonce beyond what can be remembered was taken")
	}
	if !n.use("one more", now.Add(nonceLife)) || n.use("one more", now.Add(nonceLife)) {
		t.Error("old nonces do not make room, or the new one is not kept")
	}
}
