package web

import (
	"context"
	"crypto/hmac"
	"net"
	"net/http"
	"strings"

	"scada/web/api"
)

// principal is who sends a request.
type principal struct {
	Actor
	account account  // of who came with a ticket
	session *session // nil for a bearer token of the configuration
	cookie  string   // name of the cookie that proved it
}

// identify finds out who sends the request: a bearer token, else the session cookie. A bearer token that is wrong is
// not made good by a cookie.
func (s *Server) identify(r *http.Request) (principal, bool) {
	if header := r.Header.Get("Authorization"); header != "" {
		scheme, token, _ := strings.Cut(header, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return principal{}, false
		}
		return s.bearer(r.Context(), strings.TrimSpace(token), remote(r))
	}
	for _, c := range s.cookies(r) {
		if sess, ok := s.findSession(r.Context(), c.Value); ok {
			s.sessions.used(sess, remote(r), s.now())
			p := sess.principal(remote(r))
			p.cookie = c.Name
			return p, true
		}
	}
	return principal{}, false
}

// bearer accepts the token of an exchanged session and the tokens of the configuration.
func (s *Server) bearer(ctx context.Context, token, address string) (principal, bool) {
	if sess, ok := s.findSession(ctx, token); ok {
		s.sessions.used(sess, address, s.now())
		return sess.principal(address), true
	}
	if t, ok := s.accounts.Load().tokens[HashToken(token)]; ok {
		if !t.Expires.IsZero() && !s.now().Before(t.Expires) {
			return principal{}, false
		}
		return principal{Actor: Actor{User: t.Name, Role: t.Role, Areas: t.Areas, Remote: address}}, true
	}
	return principal{}, false
}

func (sess *session) principal(address string) principal {
	return principal{Actor: sess.account.actor(sess.user, address), session: sess}
}

// admit checks a ticket of either node against this node's users.
func (s *Server) admit(text, address string) (principal, error) {
	t, err := checkTicket(s.cfg.PairKey, text, s.now())
	if err != nil {
		return principal{}, err
	}
	a, ok := s.lookUp(t.User, t.account())
	if !ok || a.locked || a.mustChange || !hmac.Equal([]byte(t.Bound), []byte(s.boundTicket(t.User))) {
		return principal{}, errTicket
	}
	return principal{Actor: a.actor(t.User, address), account: a}, nil
}

// authorise returns the refusal of a permission, nil when it is granted.
func authorise(who principal, known bool, p Permission) *api.Problem {
	switch {
	case p == Anonymous:
		return nil
	case !known:
		return api.NewProblem(api.CodeUnauthorized, "log in or send a bearer token")
	case who.MustChange && p != Own:
		return api.NewProblem(api.CodePasswordDue, "the password was set by somebody else: change it first")
	case !who.somewhere(p):
		return api.NewProblem(api.CodeForbidden, "%s needs more than the role %s", p, who.Role)
	}
	return nil
}

// cookieName differs between the nodes: cookies do not tell ports apart, and both nodes of a demonstration live on one host.
func (s *Server) cookieName() string {
	return cookiePrefix + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, s.cfg.Node)
}

// remote is the client's address without the port.
func remote(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

func badSocket(r *http.Request) *api.Problem {
	return api.NewProblem(api.CodeBadRequest, "this is a WebSocket of subprotocol %s (got %q)", subprotocol, r.Header.Get("Sec-WebSocket-Protocol"))
}

func authoriseOrigin(r *http.Request) *api.Problem {
	return api.NewProblem(api.CodeForbidden, "pages of %s may not connect", r.Header.Get("Origin"))
}
