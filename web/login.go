package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"scada/web/api"
)

// Audit events of sessions.
const (
	AuditLogin    = "log-in"
	AuditRefused  = "log-in refused"
	AuditLocked   = "log-in locked"
	AuditSiege    = "log-in under attack"
	AuditLogout   = "log-out"
	AuditExchange = "ticket exchanged"
)

func (s *Server) postSession(c *call) (any, error) {
	var in api.Login
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if len(in.User) > maxUserName || len(in.Password) > api.MaxPassword {
		return nil, api.NewProblem(api.CodeBadRequest, "the name has at most %d bytes, the password %d", maxUserName, api.MaxPassword)
	}
	who, err := s.Authenticate(c.r.Context(), in.User, in.Password, remote(c.r))
	if err != nil {
		return nil, c.refuse(err)
	}
	return s.begin(c, who), nil
}

// begin starts the session of a browser that has just proved to be somebody.
func (s *Server) begin(c *call, who Actor) api.Session {
	id, sess := s.newSession(who.User, s.accountOf(who))
	s.sessions.used(sess, who.Remote, s.now())
	s.setCookie(c.w, s.cookieName(), id, sess.expires)
	s.backend.Audit(AuditEvent{Event: AuditLogin, Actor: who})
	return s.describe(who, sess.expires)
}

// accountOf is the account of somebody who has just proved to be its owner.
func (s *Server) accountOf(who Actor) account { return s.accounts.Load().users.byName[who.User] }

// Authenticate checks a name and password for any door of the node: attempts are limited, counted together, and a
// refused one is in the journal. The error is an [*api.Problem], perhaps with a time to wait ([RetryAfter]).
func (s *Server) Authenticate(ctx context.Context, user, password, address string) (Actor, error) {
	who := Actor{User: user, Remote: address}
	if ok, wait := s.logins.allow(address, s.now()); !ok {
		return who, RetryAfter{wait, "too many log-ins from " + address}
	}
	if wait := max(s.lockout.locked(user, address, s.now()), s.siege.shut(user, address, s.now())); wait > 0 {
		return who, RetryAfter{wait, "locked after too many wrong passwords"}
	}
	var acc account
	var good bool
	if !s.gate.do(ctx, func() { acc, good = s.accounts.Load().users.check(user, password) }) {
		return who, RetryAfter{passwordQueueTime, "too many log-ins at the same time"}
	}
	if s.lockout.record(user, address, good, s.now()) {
		s.backend.Audit(AuditEvent{Event: AuditLocked, Actor: who, Detail: fmt.Sprintf("for %v after %d wrong passwords", lockTime, lockAfter)})
	}
	if s.siege.record(user, address, good, s.now()) {
		s.backend.Audit(AuditEvent{Event: AuditSiege, Actor: who, Detail: fmt.Sprintf("%d wrong passwords from many addresses: for %v only addresses this user has come from are heard", siegeAfter, siegeTime)})
	}
	if !good {
		s.backend.Audit(AuditEvent{Event: AuditRefused, Actor: who})
		return who, api.NewProblem(api.CodeUnauthorized, "name or password is wrong")
	}
	if acc.locked {
		s.backend.Audit(AuditEvent{Event: AuditRefused, Actor: who, Detail: "the account is locked"})
		return who, api.NewProblem(api.CodeForbidden, "the account is locked: an administrator has to unlock it")
	}
	return acc.actor(user, address), nil
}

// RetryAfter is the refusal of a log-in that may be tried again later.
type RetryAfter struct {
	Wait   time.Duration
	Reason string
}

// Error returns the reason.
func (r RetryAfter) Error() string { return r.Reason }

// refuse turns a refused log-in into the answer of the call.
func (c *call) refuse(err error) error {
	var later RetryAfter
	if errors.As(err, &later) {
		return c.tooMany(later.Wait, "%s", later.Reason)
	}
	return err
}

func (s *Server) getSession(c *call) (any, error) {
	var expires time.Time
	if c.who.session != nil {
		expires = c.who.session.expires
	}
	return s.describe(c.who.Actor, expires), nil
}

func (s *Server) deleteSession(c *call) (any, error) {
	if c.who.session == nil {
		return nil, api.NewProblem(api.CodeBadRequest, "a token of the configuration has no session to end")
	}
	s.sessions.end(c.who.session)
	if c.who.cookie != "" {
		s.setCookie(c.w, c.who.cookie, "", time.Unix(1, 0))
	}
	// The mark in the journal ends the session on the other node too, and after a restart.
	s.backend.Audit(AuditEvent{Event: AuditLogout, Actor: c.who.Actor, Detail: c.who.session.mark})
	if at := s.logoutAt(c); at != "" {
		return api.SignedOut{LogoutURL: at}, nil
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil, nil
}

// postTicket gives a ticket to a session of a user only: the other node looks the user up by name, and a bearer token
// is no user.
func (s *Server) postTicket(c *call) (any, error) {
	if len(s.cfg.PairKey) == 0 {
		return nil, api.NewProblem(api.CodeUnavailable, "the nodes have no common key")
	}
	if c.who.session == nil {
		return nil, api.NewProblem(api.CodeForbidden, "tickets are for sessions, a bearer token works on both nodes as it is")
	}
	text, expires := s.ticketFor(c.who.session)
	return api.Ticket{Ticket: text, ExpiresAt: expires.UTC()}, nil
}

func (s *Server) postExchange(c *call) (any, error) {
	var in api.Ticket
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	address := remote(c.r)
	if ok, wait := s.logins.allow("ticket "+address, s.now()); !ok {
		return nil, c.tooMany(wait, "too many tickets from %s", address)
	}
	who, err := s.admit(in.Ticket, address)
	if err != nil {
		return nil, api.NewProblem(api.CodeUnauthorized, "%v", err)
	}
	id, sess := s.newSession(who.User, who.account)
	s.sessions.used(sess, address, s.now())
	s.backend.Audit(AuditEvent{Event: AuditExchange, Actor: who.Actor})
	out := s.describe(who.Actor, sess.expires)
	out.Token = id
	return out, nil
}

func (s *Server) describe(who Actor, expires time.Time) api.Session {
	return api.Session{User: who.User, Role: who.Role.String(), Areas: who.areaRoles(), Permissions: filled(who.permissions()),
		MustChange: who.MustChange, External: strings.HasPrefix(who.User, federated), ExpiresAt: expires.UTC(), Node: s.cfg.Node}
}

func (s *Server) setCookie(w http.ResponseWriter, name, value string, expires time.Time) {
	c := &http.Cookie{Name: name, Value: value, Path: "/", Expires: expires, HttpOnly: true,
		SameSite: http.SameSiteStrictMode, Secure: s.cfg.TLS != nil}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// tooMany refuses with the time after which to try again.
func (c *call) tooMany(wait time.Duration, format string, args ...any) *api.Problem {
	seconds := int((wait + time.Second - 1) / time.Second)
	c.w.Header().Set("Retry-After", strconv.Itoa(seconds))
	return api.NewProblem(api.CodeTooMany, format+"; again in %d s", append(args, seconds)...)
}
