// Package oidctest is a provider of OpenID Connect for tests: honest until it is told to lie. It has one user, who is
// always logged in, and signs with real keys.
package oidctest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// The one client the provider knows.
const (
	ClientID = "scada"
	Secret   = "a secret of the client"
)

const keyBits = 2048

// Provider answers as an http.Handler. Its fields may be changed between requests.
type Provider struct {
	Mu        sync.Mutex
	Issuer    string
	Redirects []string       // where it sends browsers back to
	User      map[string]any // claims of the user in the ID token
	Info      map[string]any // what it says of the user when it is asked; nil: nothing
	Now       func() time.Time

	Claims func(map[string]any)           // changes the claims before they are signed
	Header func(map[string]any)           // changes the header before it is signed
	Token  func(string) string            // changes the token after it is signed
	Answer func(http.ResponseWriter) bool // answers instead of every address; false: it does not
	Hits   map[string]int                 // requests by path

	key   *rsa.PrivateKey
	kid   string
	codes map[string]url.Values // the request that was granted
}

// New returns a provider at an address.
func New(issuer string, redirects ...string) (*Provider, error) {
	p := &Provider{Issuer: issuer, Redirects: redirects, Now: time.Now, codes: map[string]url.Values{}, Hits: map[string]int{},
		User: map[string]any{"sub": "0815", "preferred_username": "alice", "groups": []string{"operators"}}}
	return p, p.Rotate()
}

// Rotate replaces the key.
func (p *Provider) Rotate() (err error) {
	p.Mu.Lock()
	defer p.Mu.Unlock()
	p.kid = rand.Text()
	p.key, err = rsa.GenerateKey(rand.Reader, keyBits)
	return err
}

// Key is the present key.
func (p *Provider) Key() *rsa.PrivateKey { return p.key }

// ServeHTTP implements [http.Handler].
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.Mu.Lock()
	defer p.Mu.Unlock()
	p.Hits[r.URL.Path]++
	if p.Answer != nil && p.Answer(w) {
		return
	}
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		send(w, map[string]any{"issuer": p.Issuer, "authorization_endpoint": p.Issuer + "/authorize", "token_endpoint": p.Issuer + "/token",
			"jwks_uri": p.Issuer + "/keys", "userinfo_endpoint": p.Issuer + "/user", "end_session_endpoint": p.Issuer + "/end",
			"id_token_signing_alg_values_supported": []string{"RS256", "none", "HS256"}})
	case "/authorize":
		p.authorize(w, r)
	case "/token":
		p.token(w, r)
	case "/keys":
		b := base64.RawURLEncoding
		send(w, map[string]any{"keys": []any{map[string]any{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": p.kid,
			"n": b.EncodeToString(p.key.N.Bytes()), "e": b.EncodeToString(big.NewInt(int64(p.key.E)).Bytes())}}})
	case "/user":
		if p.Info == nil || r.Header.Get("Authorization") != "Bearer an access token" {
			http.Error(w, "who?", http.StatusUnauthorized)
			return
		}
		send(w, p.Info)
	default:
		http.NotFound(w, r)
	}
}

func send(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client left
}

// authorize sends the browser back with a code, as for a user who is logged in already.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	back := q.Get("redirect_uri")
	if q.Get("client_id") != ClientID || !slices.Contains(p.Redirects, back) || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" ||
		q.Get("code_challenge") == "" || q.Get("state") == "" || q.Get("nonce") == "" || !slices.Contains(strings.Fields(q.Get("scope")), "openid") {
		http.Error(w, "not a request this provider knows: "+r.URL.RawQuery, http.StatusBadRequest)
		return
	}
	code := rand.Text()
	p.codes[code] = q
	http.Redirect(w, r, back+"?"+url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {p.Issuer}, "session_state": {"x"}}.Encode(), http.StatusFound)
}

func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	refuse := func(why string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": why})
	}
	id, secret, _ := r.BasicAuth()
	secret, err := url.QueryUnescape(secret)
	if err != nil || id != ClientID || secret != Secret {
		refuse("invalid_client")
		return
	}
	code := r.FormValue("code")
	asked, known := p.codes[code]
	delete(p.codes, code)
	sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	if !known || r.FormValue("redirect_uri") != asked.Get("redirect_uri") || base64.RawURLEncoding.EncodeToString(sum[:]) != asked.Get("code_challenge") {
		refuse("invalid_grant")
		return
	}
	send(w, map[string]any{"access_token": "an access token", "token_type": "Bearer", "expires_in": 3600, "id_token": p.sign(asked.Get("nonce"))})
}

// sign makes the ID token.
func (p *Provider) sign(nonce string) string {
	now := p.Now()
	claims := map[string]any{"iss": p.Issuer, "aud": ClientID, "nonce": nonce, "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()}
	maps.Copy(claims, p.User)
	header := map[string]any{"alg": "RS256", "kid": p.kid, "typ": "JWT"}
	if p.Claims != nil {
		p.Claims(claims)
	}
	if p.Header != nil {
		p.Header(header)
	}
	text := part(header) + "." + part(claims)
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(rand.Reader, p.key, crypto.SHA256, sum[:])
	if err != nil {
		panic("oidctest: " + err.Error())
	}
	token := text + "." + base64.RawURLEncoding.EncodeToString(sig)
	if p.Token != nil {
		token = p.Token(token)
	}
	return token
}

func part(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("oidctest: " + err.Error())
	}
	return base64.RawURLEncoding.EncodeToString(b)
}
