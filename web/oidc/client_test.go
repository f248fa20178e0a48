package oidc

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"scada/web/oidc/oidctest"
)

const back = "https://node.test/callback"

var flow = Flow{State: "state-of-this", Nonce: "nonce-of-this", Verifier: "verifier-of-this-log-in-with-43-bytes-or-more"}

// provided is an honest provider on loopback, and a client of it.
func provided(t *testing.T) (*oidctest.Provider, *Client) {
	t.Helper()
	p, err := oidctest.New("", back)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(p)
	t.Cleanup(srv.Close)
	p.Issuer = srv.URL
	return p, New(Config{Issuer: srv.URL, ClientID: oidctest.ClientID, ClientSecret: oidctest.Secret, Scopes: []string{"profile"}})
}

// browse is a browser that the client sends to the provider: it returns what it comes back with.
func browse(t *testing.T, c *Client, f Flow) url.Values {
	t.Helper()
	to, err := c.Begin(t.Context(), back, f)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := browser.Get(to) //nolint:noctx // on loopback
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	u, err := resp.Location()
	if err != nil {
		t.Fatalf("%s: %s", resp.Status, text)
	}
	return u.Query()
}

func TestALogIn(t *testing.T) {
	p, c := provided(t)
	got := browse(t, c, flow)
	if got.Get("state") != flow.State {
		t.Errorf("came back with %v", got)
	}
	id, err := c.Finish(t.Context(), back, got.Get("code"), flow)
	id.IDToken = ""
	if want := (Identity{Issuer: p.Issuer, Subject: "0815", User: "alice", Roles: []string{"operators"}}); err != nil || !reflect.DeepEqual(id, want) {
		t.Errorf("%+v %v", id, err)
	}
	if _, err := c.Finish(t.Context(), back, got.Get("code"), flow); err == nil || errors.Is(err, ErrUnavailable) {
		t.Errorf("the code a second time: %v", err)
	}
	u, err := url.Parse(c.Logout("a token", "https://node.test/"))
	if err != nil || u.Path != "/end" || u.Query().Get("id_token_hint") != "a token" || u.Query().Get("client_id") != "scada" || u.Query().Get("post_logout_redirect_uri") != "https://node.test/" {
		t.Errorf("log-out: %v %v", u, err)
	}
	if u, _ := url.Parse(c.Logout(strings.Repeat("x", maxHint+1), "")); u.Query().Has("id_token_hint") {
		t.Error("a hint no address has room for")
	}
}

// TestLies has the provider, or somebody between, say what must not be believed.
func TestLies(t *testing.T) {
	claim := func(name string, v any) func(*oidctest.Provider) {
		return func(p *oidctest.Provider) { p.Claims = func(m map[string]any) { m[name] = v } }
	}
	without := func(name string) func(*oidctest.Provider) {
		return func(p *oidctest.Provider) { p.Claims = func(m map[string]any) { delete(m, name) } }
	}
	head := func(name string, v any) func(*oidctest.Provider) {
		return func(p *oidctest.Provider) { p.Header = func(m map[string]any) { m[name] = v } }
	}
	in := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	p, client := provided(t)
	honest := maps.Clone(p.User)
	for name, c := range map[string]struct {
		lie  func(*oidctest.Provider)
		says string
	}{
		"another issuer":       {claim("iss", "https://evil.test"), "issued by a different provider"},
		"no issuer":            {without("iss"), "issued by a different provider"},
		"another audience":     {claim("aud", "somebody-else"), "audience"},
		"no audience":          {without("aud"), "audience"},
		"two audiences":        {claim("aud", []string{"scada", "evil"}), "another party"},
		"another party":        {claim("azp", "evil"), "another party"},
		"another nonce":        {claim("nonce", "of another log-in"), "nonce"},
		"no nonce":             {without("nonce"), "nonce"},
		"expired":              {claim("exp", in(-skew-time.Second)), "expired"},
		"no end":               {without("exp"), "expired"},
		"not valid yet":        {claim("nbf", in(time.Hour)), "before"},
		"issued in the future": {claim("iat", in(skew+time.Minute)), "after now"},
		"issued long ago":      {claim("iat", in(-maxTokenAge-time.Second)), "too long ago"},
		"no subject":           {without("sub"), "subject"},
		"a long subject":       {claim("sub", strings.Repeat("x", maxSubject+1)), "subject"},
		"another access token": {claim("at_hash", "AAAAAAAAAAAAAAAAAAAAAA"), "access token"},
		"a name with a colon":  {claim("preferred_username", "oidc:eve"), "the name"},
		"a name turned around": {claim("preferred_username", "a\u202eb"), "the name"},
		"a long name":          {claim("preferred_username", strings.Repeat("x", MaxUser+1)), "the name"},
		"a name of numbers":    {claim("preferred_username", 7), "no text"},
		"a key of nobody":      {head("kid", "unknown"), "signature"},
		"no algorithm":         {head("alg", "none"), "ID token"},
		"a broken signature":   {func(p *oidctest.Provider) { p.Token = func(s string) string { return s[:len(s)-8] + "AAAAAAAA" } }, "signature"},
		"no signature":         {func(p *oidctest.Provider) { p.Token = unsigned }, "ID token"},
		"the public key as a secret": {func(p *oidctest.Provider) {
			pub := x509.MarshalPKCS1PublicKey(&p.Key().PublicKey)
			p.Token = func(s string) string { return signedWith(pub, s) }
		}, "ID token"},
		"a change after signing": {func(p *oidctest.Provider) { p.Token = promoted }, "signature"},
		"no token":               {func(p *oidctest.Provider) { p.Token = func(string) string { return "" } }, "ID token"},
		"an endless token": {func(p *oidctest.Provider) {
			p.Token = func(s string) string { return s + strings.Repeat("A", maxToken) }
		}, "ID token"},
		"tells of another user": {func(p *oidctest.Provider) {
			delete(p.User, "groups")
			p.Info = map[string]any{"sub": "4711", "groups": []string{"admins"}}
		}, "another one"},
	} {
		t.Run(name, func(t *testing.T) {
			p.Claims, p.Header, p.Token, p.Info = nil, nil, nil, nil
			p.User = maps.Clone(honest)
			c.lie(p)
			code := browse(t, client, flow).Get("code")
			id, err := client.Finish(t.Context(), back, code, flow)
			if err == nil || errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%+v, %v; want %q", id, err, c.says)
			}
		})
	}
}

func unsigned(s string) string {
	_, rest, _ := strings.Cut(s, ".")
	claims, _, _ := strings.Cut(rest, ".")
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + claims + "."
}

// signedWith makes the signature with what everybody knows, as if it were a shared secret.
func signedWith(public []byte, s string) string {
	_, rest, _ := strings.Cut(s, ".")
	claims, _, _ := strings.Cut(rest, ".")
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256"}`)) + "." + claims
	mac := hmac.New(sha256.New, public)
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// promoted adds a role to a signed token.
func promoted(s string) string {
	parts := strings.Split(s, ".")
	text, _ := base64.RawURLEncoding.DecodeString(parts[1])
	parts[1] = base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(text), "operators", "admins", 1)))
	return strings.Join(parts, ".")
}

// TestClocksMayDiffer: a token is good within the skew, on both sides.
func TestClocksMayDiffer(t *testing.T) {
	for _, by := range []time.Duration{-skew + 5*time.Second, skew - 5*time.Second} {
		p, c := provided(t)
		p.Now = func() time.Time { return time.Now().Add(by) }
		p.Claims = func(m map[string]any) { m["exp"] = p.Now().Add(time.Second).Unix() }
		if _, err := c.Finish(t.Context(), back, browse(t, c, flow).Get("code"), flow); err != nil {
			t.Errorf("by %v: %v", by, err)
		}
	}
}

// TestAVerifierOfAnotherLogIn: who steals a code in the browser cannot use it.
func TestAVerifierOfAnotherLogIn(t *testing.T) {
	_, c := provided(t)
	code := browse(t, c, flow).Get("code")
	other := flow
	other.Verifier = strings.Replace(flow.Verifier, "v", "w", 1)
	if _, err := c.Finish(t.Context(), back, code, other); err == nil || !strings.Contains(err.Error(), "invalid_grant") {
		t.Error(err)
	}
	code = browse(t, c, flow).Get("code")
	if _, err := c.Finish(t.Context(), "https://evil.test/callback", code, flow); err == nil {
		t.Error("a code for another address was taken")
	}
	for _, code := range []string{"", strings.Repeat("x", maxCode+1)} {
		if _, err := c.Finish(t.Context(), back, code, flow); err == nil {
			t.Errorf("a code of %d bytes", len(code))
		}
	}
}

func TestKeysAreRotated(t *testing.T) {
	p, c := provided(t)
	for range 3 {
		if _, err := c.Finish(t.Context(), back, browse(t, c, flow).Get("code"), flow); err != nil {
			t.Fatal(err)
		}
		if err := p.Rotate(); err != nil {
			t.Fatal(err)
		}
	}
	if p.Hits["/keys"] != 3 || p.Hits["/.well-known/openid-configuration"] != 1 {
		t.Error(p.Hits)
	}
}

// TestAProviderThatIsDown is looked for again, not more often than that, and its old description serves on.
func TestAProviderThatIsDown(t *testing.T) {
	p, c := provided(t)
	now := time.Now()
	c.cfg.Now = func() time.Time { return now }
	down := func(w http.ResponseWriter) bool { w.WriteHeader(http.StatusBadGateway); return true }
	p.Answer = down
	for range 3 {
		if _, err := c.Begin(t.Context(), back, flow); !errors.Is(err, ErrUnavailable) {
			t.Fatal(err)
		}
	}
	if n := p.Hits["/.well-known/openid-configuration"]; n != 1 {
		t.Errorf("asked %d times", n)
	}
	p.Answer = nil
	now = now.Add(retryAfter)
	if _, err := c.Begin(t.Context(), back, flow); err != nil {
		t.Fatal(err)
	}
	p.Answer = down
	now = now.Add(knownFor)
	if _, err := c.Begin(t.Context(), back, flow); err != nil {
		t.Errorf("with an old description: %v", err)
	}
	if _, err := c.Finish(t.Context(), back, "x", flow); !errors.Is(err, ErrUnavailable) {
		t.Errorf("nobody to exchange the code: %v", err)
	}
}

func TestDescriptionsNobodyShouldFollow(t *testing.T) {
	for name, doc := range map[string]map[string]any{
		"another issuer":      {"issuer": "https://evil.test"},
		"a script":            {"authorization_endpoint": "javascript:alert(1)"},
		"a file":              {"token_endpoint": "file:///etc/passwd"},
		"an endless answer":   {"x": strings.Repeat("x", maxAnswer)},
		"endpoints of nobody": {"authorization_endpoint": ""},
	} {
		p, c := provided(t)
		whole := map[string]any{"issuer": p.Issuer, "authorization_endpoint": p.Issuer + "/a", "token_endpoint": p.Issuer + "/t", "jwks_uri": p.Issuer + "/keys"}
		for k, v := range doc {
			whole[k] = v
		}
		p.Answer = func(w http.ResponseWriter) bool { _ = json.NewEncoder(w).Encode(whole); return true }
		if to, err := c.Begin(t.Context(), back, flow); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: %q %v", name, to, err)
		}
	}
	p, c := provided(t)
	p.Answer = func(w http.ResponseWriter) bool {
		w.Header().Set("Location", "http://169.254.169.254/")
		w.WriteHeader(http.StatusFound)
		return true
	}
	if _, err := c.Begin(t.Context(), back, flow); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "sent on to") {
		t.Errorf("sent elsewhere: %v", err)
	}
	if got := c.Logout("", ""); got != "" {
		t.Errorf("log-out at a provider nobody knows: %s", got)
	}
}

func TestRolesAreFoundWhereProvidersPutThem(t *testing.T) {
	p, client := provided(t)
	for name, c := range map[string]struct {
		claim string
		user  map[string]any
		info  map[string]any
		want  []string
	}{
		"a list":             {"groups", map[string]any{"groups": []string{"x", "y", "x"}}, nil, []string{"x", "y"}},
		"a text":             {"role", map[string]any{"role": "x"}, nil, []string{"x"}},
		"nested":             {"realm.roles", map[string]any{"realm": map[string]any{"roles": []any{"x", 7, nil}}}, nil, []string{"x"}},
		"a name with dots":   {"https://x.test/roles", map[string]any{"https://x.test/roles": "x"}, nil, []string{"x"}},
		"told when asked":    {"groups", nil, map[string]any{"sub": "0815", "groups": []string{"x"}}, []string{"x"}},
		"nested, when asked": {"realm.roles", nil, map[string]any{"sub": "0815", "realm": map[string]any{"roles": []string{"x"}}}, []string{"x"}},
		"a number":           {"groups", map[string]any{"groups": 7}, nil, nil},
		"nobody's":           {"groups", nil, map[string]any{"sub": "0815"}, nil},
	} {
		client.cfg.RoleClaim = c.claim
		p.User = map[string]any{"sub": "0815", "preferred_username": "alice"}
		for k, v := range c.user {
			p.User[k] = v
		}
		p.Info = c.info
		id, err := client.Finish(t.Context(), back, browse(t, client, flow).Get("code"), flow)
		if err != nil || !reflect.DeepEqual(id.Roles, c.want) {
			t.Errorf("%s: %v %v", name, id.Roles, err)
		}
	}
}

// FuzzClaims: whatever a provider says, a name is one that may stand in a journal, and the roles are bounded.
func FuzzClaims(f *testing.F) {
	f.Add([]byte(`{"preferred_username":"alice","groups":["a"]}`), "groups")
	f.Add([]byte(`{"a":{"b":{"c":"x"}}}`), "a.b.c")
	f.Fuzz(func(t *testing.T, text []byte, claim string) {
		claims := map[string]any{}
		if json.Unmarshal(text, &claims) != nil {
			return
		}
		if name, err := userOf(claims, claim); err == nil && (name == "" || len(name) > MaxUser || strings.ContainsAny(name, ":/<>\" \n\x00")) {
			t.Fatalf("the name %q", name)
		}
		if v := valuesOf(claims, claim); len(v) > maxValues {
			t.Fatalf("%d values", len(v))
		}
	})
}

// FuzzProvider has the provider answer anything, everywhere.
func FuzzProvider(f *testing.F) {
	f.Add([]byte(`{"issuer":"http://provider.test","authorization_endpoint":"http://provider.test/a","token_endpoint":"http://provider.test/t","jwks_uri":"http://provider.test/k"}`))
	f.Add([]byte(`{"id_token":"a.b.c","access_token":"x"}`))
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AQ","e":"AQAB"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c := New(Config{Issuer: "http://provider.test", ClientID: "scada"})
		c.http.Transport = bounded{answers(text)}
		_, _ = c.Begin(t.Context(), back, flow)
		if id, err := c.Finish(t.Context(), back, "code", flow); err == nil {
			t.Fatalf("%q is believed: %+v", text, id)
		}
		_ = c.Logout("", back)
	})
}

type answers []byte

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := context.Cause(r.Context()); err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(string(a))), Request: r}, nil
}
