package web

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"scada/web/api"
)

// People keeps the users and tokens on both nodes. Its errors are like those of [Backend].
type People interface {
	Users() []api.User
	Tokens() []api.AccessToken
	// Change carries a change out and reports whether the other node has it, too. When it returns, the accounts of this
	// server are as they are afterwards.
	Change(ctx context.Context, by Actor, c PeopleChange) (mirrored bool, err error)
}

// The verbs of a [PeopleChange].
const (
	PeopleAdd         = "add"
	PeopleRemove      = "remove"
	PeoplePassword    = "password"
	PeopleRole        = "role"
	PeopleLock        = "lock"
	PeopleUnlock      = "unlock"
	PeopleCreateToken = "token create"
	PeopleRevokeToken = "token revoke"
)

// PeopleChange is a change of a user or token. Passwords and tokens are hashed already.
type PeopleChange struct {
	Verb       string
	Name       string
	Role       Role
	Areas      map[string]Role
	Hash       string
	MustChange bool      // of a password somebody else chose
	Expires    time.Time // of a token; zero: never
}

// Limits of changes.
const (
	peopleTimeout = 10 * time.Second
	maxAreaRoles  = 64
	maxTokenLife  = 10 * 365 * 24 * 3600 // seconds
	// tokenPrefix lets those who look for leaked secrets find ours.
	tokenPrefix = "scada_"
)

func peopleRoutes() []route {
	user, result := typeOf[api.UserCommand](), typeOf[api.PeopleResult]()
	return []route{
		{method: "POST", pattern: base + "/session/password", permission: Own, handle: (*Server).postOwnPassword, body: typeOf[api.PasswordChange](),
			answer: typeOf[api.Session](), summary: "Change one's own password; every session of the user ends, and a new one begins here"},
		{method: "GET", pattern: base + "/users", permission: PeopleAdmin, handle: (*Server).getUsers, answer: typeOf[api.Users](), summary: "All users"},
		{method: "POST", pattern: base + "/users", permission: PeopleAdmin, handle: (*Server).postUser, body: user, answer: result,
			summary: "Add a user, who has to change the password at the first log-in"},
		{method: "POST", pattern: base + "/users/{name}/{verb}", permission: PeopleAdmin, handle: (*Server).postUserVerb, body: user, answer: result,
			summary: "Change a user: password, role, lock or unlock; the sessions of the user end"},
		{method: "DELETE", pattern: base + "/users/{name}", permission: PeopleAdmin, handle: (*Server).deleteUser, answer: result, summary: "Remove a user"},
		{method: "GET", pattern: base + "/tokens", permission: PeopleAdmin, handle: (*Server).getTokens, answer: typeOf[api.AccessTokens](),
			summary: "All tokens, without what is secret of them"},
		{method: "POST", pattern: base + "/tokens", permission: PeopleAdmin, handle: (*Server).postToken, body: typeOf[api.TokenCommand](),
			answer: typeOf[api.AccessToken](), summary: "Make a token; it is shown in this answer only"},
		{method: "DELETE", pattern: base + "/tokens/{name}", permission: PeopleAdmin, handle: (*Server).deleteToken, answer: result, summary: "Revoke a token"},
	}
}

func (s *Server) getUsers(c *call) (any, error) {
	if err := s.peopleOf(c); err != nil {
		return nil, err
	}
	return api.Users{Users: filled(s.cfg.People.Users())}, nil
}

func (s *Server) getTokens(c *call) (any, error) {
	if err := s.peopleOf(c); err != nil {
		return nil, err
	}
	return api.AccessTokens{Tokens: filled(s.cfg.People.Tokens())}, nil
}

// peopleOf refuses what needs the role in the whole plant to who has it in an area, and everything where nobody keeps
// users.
func (s *Server) peopleOf(c *call) error {
	if s.cfg.People == nil {
		return api.NewProblem(api.CodeNotFound, "this server has the users of its configuration only")
	}
	return c.who.Refuse(PeopleAdmin, "")
}

func (s *Server) postUser(c *call) (any, error) {
	var in api.UserCommand
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	change := PeopleChange{Verb: PeopleAdd, Name: in.Name, MustChange: true}
	var err error
	if change.Role, change.Areas, err = s.access(in.Role, in.Areas); err != nil {
		return nil, err
	}
	if change.Hash, err = s.hash(c.r.Context(), in.Password); err != nil {
		return nil, err
	}
	return s.changePeople(c, change)
}

func (s *Server) postUserVerb(c *call) (any, error) {
	var in api.UserCommand
	if err := c.decodeOptional(&in); err != nil {
		return nil, err
	}
	change := PeopleChange{Verb: c.r.PathValue("verb"), Name: c.r.PathValue("name")}
	var err error
	switch change.Verb {
	case PeoplePassword:
		change.MustChange = change.Name != c.who.User
		change.Hash, err = s.hash(c.r.Context(), in.Password)
	case PeopleRole:
		change.Role, change.Areas, err = s.access(in.Role, in.Areas)
	case PeopleLock, PeopleUnlock:
	default:
		err = api.NewProblem(api.CodeNotFound, "%q is none of password, role, lock, unlock", change.Verb)
	}
	if err == nil && in.Name != "" {
		err = api.NewProblem(api.CodeBadRequest, "the name stands in the path")
	}
	if err != nil {
		return nil, err
	}
	return s.changePeople(c, change)
}

func (s *Server) deleteUser(c *call) (any, error) {
	return s.changePeople(c, PeopleChange{Verb: PeopleRemove, Name: c.r.PathValue("name")})
}

func (s *Server) deleteToken(c *call) (any, error) {
	return s.changePeople(c, PeopleChange{Verb: PeopleRevokeToken, Name: c.r.PathValue("name")})
}

func (s *Server) postToken(c *call) (any, error) {
	var in api.TokenCommand
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	role, areas, err := s.access(in.Role, in.Areas)
	if err != nil {
		return nil, err
	}
	if in.ForS < 0 || in.ForS > maxTokenLife {
		return nil, api.NewProblem(api.CodeBadRequest, "for_s: want 1 to %d seconds, or 0 for a token without an end", maxTokenLife)
	}
	token := tokenPrefix + rand.Text() + rand.Text()
	change := PeopleChange{Verb: PeopleCreateToken, Name: in.Name, Role: role, Areas: areas, Hash: HashToken(token)}
	out := api.AccessToken{Name: in.Name, Role: in.Role, Areas: in.Areas, Token: token}
	if in.ForS > 0 {
		change.Expires = s.now().Add(time.Duration(in.ForS) * time.Second).UTC()
		out.ExpiresAt = &change.Expires
	}
	if _, err := s.changePeople(c, change); err != nil {
		return nil, err
	}
	return out, nil
}

// changePeople carries a change out that an administrator of the whole plant asks for.
func (s *Server) changePeople(c *call, change PeopleChange) (any, error) {
	if err := s.peopleOf(c); err != nil {
		return nil, err
	}
	ctx, cancel := commandContext(c.r.Context(), peopleTimeout)
	defer cancel()
	mirrored, err := s.cfg.People.Change(ctx, c.who.Actor, change)
	if err != nil {
		return nil, err
	}
	return api.PeopleResult{Name: change.Name, Mirrored: mirrored}, nil
}

// access reads the roles of a request. That the areas exist is for those to say who know the plant.
func (s *Server) access(role string, areas map[string]string) (Role, map[string]Role, error) {
	r, err := ParseRole(role)
	if err != nil {
		return r, nil, api.NewProblem(api.CodeBadRequest, "role: %v", err)
	}
	if len(areas) > maxAreaRoles {
		return r, nil, api.NewProblem(api.CodeBadRequest, "areas: at most %d", maxAreaRoles)
	}
	var own map[string]Role
	for area, name := range areas {
		in, err := ParseRole(name)
		if err != nil {
			return r, nil, api.NewProblem(api.CodeBadRequest, "areas.%s: %v", area, err)
		}
		if !s.knowsArea(area) {
			return r, nil, api.NewProblem(api.CodeBadRequest, "areas: no area %q", area)
		}
		if own == nil {
			own = map[string]Role{}
		}
		own[area] = in
	}
	return r, own, nil
}

// hash hashes a new password, one at a time like the checks.
func (s *Server) hash(ctx context.Context, password string) (hash string, err error) {
	if !s.gate.do(ctx, func() { hash, err = HashPassword(password) }) {
		return "", api.NewProblem(api.CodeTooMany, "too many log-ins at the same time")
	}
	if err != nil {
		return "", api.NewProblem(api.CodeBadRequest, "%v", err)
	}
	return hash, nil
}

// postOwnPassword changes the password of the user who asks. The old one is asked for again: a browser left open must
// not be enough to keep its owner out.
func (s *Server) postOwnPassword(c *call) (any, error) {
	var in api.PasswordChange
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	switch {
	case s.cfg.People == nil:
		return nil, s.peopleOf(c)
	case c.who.session == nil:
		return nil, api.NewProblem(api.CodeForbidden, "a token has no password")
	case len(c.who.session.account.federated) > 0:
		return nil, api.NewProblem(api.CodeForbidden, "the password is kept by the OpenID provider")
	case len(in.Old) > api.MaxPassword:
		return nil, api.NewProblem(api.CodeBadRequest, "a password has at most %d bytes", api.MaxPassword)
	case in.Old == in.New:
		return nil, api.NewProblem(api.CodeBadRequest, "the new password is the old one")
	}
	who, err := s.Authenticate(c.r.Context(), c.who.User, in.Old, remote(c.r))
	if err != nil {
		return nil, c.refuse(err)
	}
	hash, err := s.hash(c.r.Context(), in.New)
	if err != nil {
		return nil, err
	}
	ctx, cancel := commandContext(c.r.Context(), peopleTimeout)
	defer cancel()
	if _, err := s.cfg.People.Change(ctx, who, PeopleChange{Verb: PeoplePassword, Name: who.User, Hash: hash}); err != nil {
		return nil, err
	}
	now, ok := s.ActorOf(who.User, who.Remote)
	if !ok {
		return nil, fmt.Errorf("user %s is gone after a change of the password", who.User)
	}
	return s.begin(c, now), nil
}
