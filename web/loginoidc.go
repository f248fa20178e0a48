package web

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"scada/web/api"
	"scada/web/oidc"
)

// Limits of log-ins by a provider.
const (
	maxFederatedRoles = 64
	flowLife          = 10 * time.Minute // from the button to the way back; not longer than used flows are remembered
	maxAtProvider     = 4                // requests to the provider at the same time
	maxIDToken        = 8 << 10          // bytes that are kept for the log-out
)

// The ways a log-in by a provider ends other than well, as the log-in page is told.
const (
	loginExpired     = "oidc_expired"     // not begun in this browser, too long ago, or a second time
	loginDenied      = "oidc_denied"      // the provider, or the user there, did not agree
	loginInvalid     = "oidc_invalid"     // what the provider says does not hold
	loginNoRole      = "oidc_no_role"     // none of the user's roles is worth anything here
	loginUnavailable = "oidc_unavailable" // the provider does not answer
	loginTooMany     = "oidc_too_many"
	loginElsewhere   = "oidc_elsewhere" // this address is not one the provider sends people back to
)

const (
	flowPrefix   = "so1." // kind and version
	flowCookie   = "scada_oidc_"
	providerPath = base + "/session/oidc"
)

func federationRoutes() []route {
	back := []param{{"code", "of the provider"}, {"state", "of the log-in"}, {"error", "why the provider does not agree"}, {"iss", "the provider"}}
	return []route{
		{method: "GET", pattern: providerPath, permission: Anonymous, handle: (*Server).getProvider, answer: typeOf[api.Provider](),
			summary: "The name of the OpenID provider people may log in with, as the log-in page shows it; empty when there is none"},
		{method: "GET", pattern: providerPath + "/start", permission: Anonymous, handle: (*Server).getProviderStart, moves: true,
			summary: "For browsers: begins a log-in with the OpenID provider"},
		{method: "GET", pattern: providerPath + "/callback", permission: Anonymous, handle: (*Server).getProviderCallback, params: back, moves: true, extra: true,
			summary: "For browsers: where the OpenID provider sends them back to; sets the session cookie"},
	}
}

func (s *Server) getProvider(*call) (any, error) {
	if s.federation == nil {
		return api.Provider{}, nil
	}
	return api.Provider{Name: s.federation.Name}, nil
}

// loginFlow is what a browser keeps of a log-in it has begun, signed. The nonce and the verifier are made from the state
// with the key: they never leave the node.
type loginFlow struct {
	State   string `json:"s"`
	Expires int64  `json:"e"` // Unix seconds
}

// flow is the whole of it.
func (f *federation) flow(state string) oidc.Flow {
	of := func(what string) string {
		mac := hmac.New(sha256.New, f.key)
		mac.Write([]byte("oidc " + what + "\x00" + state))
		return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	return oidc.Flow{State: state, Nonce: of("nonce"), Verifier: of("verifier")}
}

// getProviderStart sends the browser to the provider.
func (s *Server) getProviderStart(c *call) (any, error) {
	f := s.federation
	if f == nil {
		return nil, api.NewProblem(api.CodeNotFound, "there is no OpenID provider")
	}
	c.w.Header().Set("Cache-Control", "no-store")
	origin, ok := f.origin(c.r.Host)
	if !ok {
		return c.backToLogin(loginElsewhere)
	}
	if ok, _ := s.logins.allow("oidc "+remote(c.r), s.now()); !ok {
		return c.backToLogin(loginTooMany)
	}
	state, expires := rand.Text()+rand.Text(), s.now().Add(flowLife)
	to, err := f.client.Begin(c.r.Context(), origin+providerPath+"/callback", f.flow(state))
	if err != nil {
		s.log.Warn("A log-in with the OpenID provider cannot begin", "error", err)
		return c.backToLogin(loginUnavailable)
	}
	s.setFlowCookie(c.w, seal(f.key, flowPrefix, loginFlow{State: state, Expires: expires.Unix()}), expires)
	http.Redirect(c.w, c.r, to, http.StatusSeeOther)
	return nil, nil
}

// setFlowCookie keeps what the browser has to come back with. It comes from the provider's page, to which cookies of the
// strict kind are not sent.
func (s *Server) setFlowCookie(w http.ResponseWriter, value string, expires time.Time) {
	c := &http.Cookie{Name: flowCookie + strings.TrimPrefix(s.cookieName(), cookiePrefix), Value: value, Path: providerPath, Expires: expires, HttpOnly: true,
		SameSite: http.SameSiteLaxMode, Secure: s.cfg.TLS != nil}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// backToLogin shows the log-in page with a reason.
func (c *call) backToLogin(reason string) (any, error) {
	http.Redirect(c.w, c.r, "/?login="+reason, http.StatusSeeOther)
	return nil, nil
}

// flowOf returns the log-in the browser has begun and comes back from, once.
func (s *Server) flowOf(r *http.Request) (oidc.Flow, bool) {
	f, state := s.federation, r.URL.Query().Get("state")
	looked := 0
	for _, cookie := range r.Cookies() {
		if !strings.HasPrefix(cookie.Name, flowCookie) {
			continue
		}
		if looked++; looked > maxCookies {
			break
		}
		var kept loginFlow
		if state == "" || !open(f.key, flowPrefix, cookie.Value, &kept) || !hmac.Equal([]byte(kept.State), []byte(state)) || !s.now().Before(time.Unix(kept.Expires, 0)) {
			continue
		}
		return f.flow(state), f.used.use(state, s.now())
	}
	return oidc.Flow{}, false
}

// getProviderCallback begins the session of somebody the provider vouches for.
func (s *Server) getProviderCallback(c *call) (any, error) {
	f := s.federation
	if f == nil {
		return nil, api.NewProblem(api.CodeNotFound, "there is no OpenID provider")
	}
	c.w.Header().Set("Cache-Control", "no-store")
	if ok, _ := s.logins.allow("oidc back "+remote(c.r), s.now()); !ok {
		return c.backToLogin(loginTooMany)
	}
	origin, ok := f.origin(c.r.Host)
	if !ok {
		return c.backToLogin(loginElsewhere)
	}
	flow, ok := s.flowOf(c.r)
	if !ok {
		return c.backToLogin(loginExpired)
	}
	s.setFlowCookie(c.w, "", time.Unix(1, 0))
	id, err := s.ask(c, origin+providerPath+"/callback", flow)
	who := Actor{User: federated + id.User, Remote: remote(c.r)}
	if err != nil {
		return c.backToLogin(s.refuseProvider(who, err))
	}
	detail := fmt.Sprintf("by %s, subject %q", f.Issuer, id.Subject)
	acc, ok := f.account(f.rules(id.Roles), s.now().Add(f.Life))
	if !ok {
		s.backend.Audit(AuditEvent{Event: AuditRefused, Actor: who, Detail: detail + ": none of the roles there is worth anything here"})
		return c.backToLogin(loginNoRole)
	}
	who = acc.actor(who.User, who.Remote)
	session, sess := s.newSession(who.User, acc)
	s.sessions.used(sess, who.Remote, s.now())
	if len(id.IDToken) <= maxIDToken {
		s.sessions.keepToken(sess, id.IDToken)
	}
	s.setCookie(c.w, s.cookieName(), session, sess.expires)
	s.backend.Audit(AuditEvent{Event: AuditLogin, Actor: who, Detail: detail})
	http.Redirect(c.w, c.r, "/", http.StatusSeeOther)
	return nil, nil
}

// errDenied is that the provider does not agree.
var errDenied = errors.New("the provider refuses")

// ask exchanges what the browser brought for who it is.
func (s *Server) ask(c *call, redirect string, flow oidc.Flow) (oidc.Identity, error) {
	f := s.federation
	if reason := c.query("error"); reason != "" {
		return oidc.Identity{}, fmt.Errorf("%w: %.100q", errDenied, reason)
	}
	if iss := c.query("iss"); iss != "" && iss != f.Issuer {
		return oidc.Identity{}, fmt.Errorf("the browser comes from %.100q", iss)
	}
	select {
	case s.atProvider <- struct{}{}:
		defer func() { <-s.atProvider }()
	case <-time.After(passwordQueueTime):
		return oidc.Identity{}, fmt.Errorf("%w: too many log-ins at the same time", oidc.ErrUnavailable)
	case <-c.r.Context().Done():
		return oidc.Identity{}, c.r.Context().Err()
	}
	return f.client.Finish(c.r.Context(), redirect, c.query("code"), flow)
}

// refuseProvider writes down why nobody was let in, and returns what the page may say of it.
func (s *Server) refuseProvider(who Actor, err error) string {
	s.log.Warn("A log-in with the OpenID provider came to nothing", "error", err, "from", who.Remote)
	reason := loginInvalid
	switch {
	case errors.Is(err, oidc.ErrUnavailable):
		return loginUnavailable
	case errors.Is(err, errDenied):
		reason = loginDenied
	}
	s.backend.Audit(AuditEvent{Event: AuditRefused, Actor: who, Detail: fmt.Sprintf("by %s: %v", s.federation.Issuer, err)})
	return reason
}

// logoutAt is where a session that a provider vouched for ends there, too; "" for the others.
func (s *Server) logoutAt(c *call) string {
	f, sess := s.federation, c.who.session
	if f == nil || len(sess.account.federated) == 0 {
		return ""
	}
	origin, ok := f.origin(c.r.Host)
	if !ok {
		return ""
	}
	return f.client.Logout(s.sessions.token(sess), origin+"/")
}
