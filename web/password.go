package web

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"scada/web/api"
)

// HashPassword returns the argon2id hash of a password in the form the configuration takes.
func HashPassword(password string) (string, error) { return api.HashPassword(password) }

// HashToken returns the form in which the configuration keeps a bearer token. A token is random and long, so that one
// round of SHA-256 is enough.
func HashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// gate lets one password check run at a time: each takes 19 MiB and some 30 ms, and who knocks often must not take the
// memory and the time of the plant.
type gate chan struct{}

func newGate() gate { return make(gate, 1) }

// do runs f alone, or returns false when the turn does not come in time.
func (g gate) do(ctx context.Context, f func()) bool {
	ctx, cancel := context.WithTimeout(ctx, passwordQueueTime)
	defer cancel()
	select {
	case g <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	defer func() { <-g }()
	f()
	return true
}

// users are the people of the configuration, their hashes parsed.
type users struct {
	byName map[string]account
	decoy  api.PasswordHash // checked for an unknown name, so that the time does not tell which names exist
}

type account struct {
	role  Role
	areas map[string]Role
	hash  api.PasswordHash

	locked, mustChange bool

	// federated are the rules met by somebody a provider vouches for, until that time; he has no password here.
	federated []int
	until     time.Time
}

func newUsers(list []User) (users, error) {
	u := users{byName: map[string]account{}}
	for _, user := range list {
		h, err := api.ParsePasswordHash(user.Hash)
		if err != nil {
			return u, fmt.Errorf("user %q: %w", user.Name, err)
		}
		if user.Name == "" || len(user.Name) > maxUserName {
			return u, fmt.Errorf("user name %q: want 1 to %d bytes", user.Name, maxUserName)
		}
		if strings.HasPrefix(user.Name, federated) {
			return u, fmt.Errorf("user name %q: %s begins the names of people an OpenID provider knows", user.Name, federated)
		}
		if _, twice := u.byName[user.Name]; twice {
			return u, fmt.Errorf("user %q is configured twice", user.Name)
		}
		if user.Role < Viewer || user.Role > Admin {
			return u, fmt.Errorf("user %q has no role", user.Name)
		}
		u.byName[user.Name] = account{role: user.Role, areas: user.Areas, hash: h, locked: user.Locked, mustChange: user.MustChange}
		u.decoy = h
	}
	return u, nil
}

// check returns the account when name and password fit.
func (u users) check(name, password string) (account, bool) {
	a, known := u.byName[name]
	if !known {
		if u.decoy.Key != nil {
			u.decoy.Matches(password)
		}
		return account{}, false
	}
	return a, a.hash.Matches(password)
}

// tokens are the bearer tokens of the configuration, by hash.
type tokens map[string]Token

func newTokens(list []Token) (tokens, error) {
	t := tokens{}
	for _, tok := range list {
		if b, err := hex.DecodeString(tok.Hash); err != nil || len(b) != sha256.Size {
			return nil, fmt.Errorf("token %q: the hash is not 64 hexadecimal digits", tok.Name)
		}
		if tok.Role < Viewer || tok.Role > Admin {
			return nil, fmt.Errorf("token %q has no role", tok.Name)
		}
		t[strings.ToLower(tok.Hash)] = tok
	}
	return t, nil
}
