package config

import (
	"crypto/sha256"
	"encoding/hex"
)

// secret is compared and never shown: what differs is told by a mark.
type secret string

// String is a mark of the secret from which nothing of it can be learned.
func (s secret) String() string {
	sum := sha256.Sum256([]byte(s))
	return "#" + hex.EncodeToString(sum[:3])
}

// access is a user or token as it is compared and told.
type access struct {
	Role   string
	Areas  map[string]string
	Secret secret
}

// people compares the users and tokens.
func (d *Diff) people(from, to *Config) {
	users := func(c *Config) map[string]any { return named(c.Users, func(u User) string { return u.Name }) }
	tokens := func(c *Config) map[string]any { return named(c.Tokens, func(t Token) string { return t.Name }) }
	d.section("users", users(from), users(to), func(v any) any { u := v.(User); return access{u.Role, u.Areas, secret(u.PasswordHash)} })
	d.section("tokens", tokens(from), tokens(to), func(v any) any { t := v.(Token); return access{t.Role, t.Areas, secret(t.Hash)} })
}

// People reports whether users or tokens differ: only an administrator may change them.
func (d Diff) People() bool {
	for _, c := range d.Changes {
		if c.Section == "users" || c.Section == "tokens" {
			return true
		}
	}
	return false
}
