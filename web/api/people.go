package api

import (
	"context"
	"net/url"
	"time"
)

// User is a person who may log in.
type User struct {
	Name       string            `json:"name"`
	Role       string            `json:"role"`            // in the whole plant
	Areas      map[string]string `json:"areas,omitempty"` // the roles in some areas instead
	Locked     bool              `json:"locked"`
	MustChange bool              `json:"must_change"` // the password was set by somebody else
	Declared   bool              `json:"declared"`    // in the plant file, and changed there
	ChangedAt  *time.Time        `json:"changed_at,omitempty"`
	ChangedBy  string            `json:"changed_by,omitempty"`
}

// Users is the answer of GET /api/v1/users.
type Users struct {
	Users []User `json:"users"`
}

// AccessToken is a machine's access. The token itself is shown once, when it is created.
type AccessToken struct {
	Name      string            `json:"name"`
	Role      string            `json:"role"`
	Areas     map[string]string `json:"areas,omitempty"`
	ExpiresAt *time.Time        `json:"expires_at,omitempty"` // missing: never
	Declared  bool              `json:"declared"`
	ChangedAt *time.Time        `json:"changed_at,omitempty"`
	ChangedBy string            `json:"changed_by,omitempty"`
	Token     string            `json:"token,omitempty"` // in the answer of POST /api/v1/tokens only
}

// AccessTokens is the answer of GET /api/v1/tokens.
type AccessTokens struct {
	Tokens []AccessToken `json:"tokens"`
}

// The verbs of POST /api/v1/users/{name}/{verb}.
const (
	UserPassword = "password"
	UserRole     = "role"
	UserLock     = "lock"
	UserUnlock   = "unlock"
)

// UserCommand is the body of POST /api/v1/users and below. What a verb does not need stays empty.
type UserCommand struct {
	Name     string            `json:"name,omitempty"` // of a new user
	Role     string            `json:"role,omitempty"`
	Areas    map[string]string `json:"areas,omitempty"`
	Password string            `json:"password,omitempty"`
}

// TokenCommand is the body of POST /api/v1/tokens.
type TokenCommand struct {
	Name  string            `json:"name"`
	Role  string            `json:"role"`
	Areas map[string]string `json:"areas,omitempty"`
	ForS  int64             `json:"for_s,omitempty"` // seconds until it expires; 0: never
}

// PasswordChange is the body of POST /api/v1/session/password.
type PasswordChange struct {
	Old string `json:"old"`
	New string `json:"new"`
}

// PeopleResult is the answer to a change of users or tokens.
type PeopleResult struct {
	Name string `json:"name"`
	// Mirrored: the other node has it too. Otherwise it gets it when it is back.
	Mirrored bool `json:"mirrored"`
}

// Users returns the users.
func (c *Client) Users(ctx context.Context) (Users, error) {
	var out Users
	return out, c.get(ctx, "/users", nil, &out)
}

// AddUser adds a user.
func (c *Client) AddUser(ctx context.Context, cmd UserCommand) (PeopleResult, error) {
	var out PeopleResult
	return out, c.post(ctx, "/users", cmd, &out)
}

// ChangeUser carries out one of the verbs on a user.
func (c *Client) ChangeUser(ctx context.Context, name, verb string, cmd UserCommand) (PeopleResult, error) {
	var out PeopleResult
	return out, c.post(ctx, "/users/"+url.PathEscape(name)+"/"+verb, cmd, &out)
}

// RemoveUser removes a user.
func (c *Client) RemoveUser(ctx context.Context, name string) (PeopleResult, error) {
	var out PeopleResult
	return out, c.call(ctx, "DELETE", "/api/v1/users/"+url.PathEscape(name), nil, nil, &out)
}

// Tokens returns the tokens, without what is secret of them.
func (c *Client) Tokens(ctx context.Context) (AccessTokens, error) {
	var out AccessTokens
	return out, c.get(ctx, "/tokens", nil, &out)
}

// CreateToken makes a token and returns it: nobody can read it again.
func (c *Client) CreateToken(ctx context.Context, cmd TokenCommand) (AccessToken, error) {
	var out AccessToken
	return out, c.post(ctx, "/tokens", cmd, &out)
}

// RevokeToken ends a token.
func (c *Client) RevokeToken(ctx context.Context, name string) (PeopleResult, error) {
	var out PeopleResult
	return out, c.call(ctx, "DELETE", "/api/v1/tokens/"+url.PathEscape(name), nil, nil, &out)
}
