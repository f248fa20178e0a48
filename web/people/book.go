package people

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Book is all users and tokens. It is not safe for concurrent use.
type Book struct {
	users          map[string]User
	tokens         map[string]Token
	declared       map[string]User
	declaredTokens map[string]Token
}

// NewBook returns an empty book.
func NewBook() *Book {
	return &Book{users: map[string]User{}, tokens: map[string]Token{}, declared: map[string]User{}, declaredTokens: map[string]Token{}}
}

// Declare replaces what the plant file says.
func (b *Book) Declare(users []User, tokens []Token) {
	clear(b.declared)
	clear(b.declaredTokens)
	for _, u := range users {
		u.Declared = true
		b.declared[u.Name] = u
	}
	for _, t := range tokens {
		t.Declared = true
		b.declaredTokens[t.Name] = t
	}
}

// Users returns those who are not removed, in order of name. A user the plant file declares counts as declared there,
// whatever record has the name; only a lock is taken from the record.
func (b *Book) Users() []User {
	all := map[string]User{}
	for name, u := range b.users {
		if !u.Removed && u.Hash != "" {
			all[name] = u
		}
	}
	for name, u := range b.declared {
		u.Locked = b.users[name].Locked && !b.users[name].Removed
		all[name] = u
	}
	return sorted(all)
}

// Tokens returns those that are not revoked, expired ones too, in order of name.
func (b *Book) Tokens() []Token {
	all := map[string]Token{}
	for name, t := range b.tokens {
		if !t.Removed {
			all[name] = t
		}
	}
	maps.Copy(all, b.declaredTokens)
	return sorted(all)
}

func sorted[T any](m map[string]T) []T {
	out := make([]T, 0, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		out = append(out, m[name])
	}
	return out
}

// User returns a user by name.
func (b *Book) User(name string) (User, bool) {
	for _, u := range b.Users() {
		if u.Name == name {
			return u, true
		}
	}
	return User{}, false
}

// HasAdmin reports whether somebody can log in who may change users.
func (b *Book) HasAdmin() bool { return b.admins("") > 0 }

// admins counts the users who may change users, without one of them.
func (b *Book) admins(without string) (n int) {
	for _, u := range b.Users() {
		if u.Role == Admin && !u.Locked && u.Name != without {
			n++
		}
	}
	return n
}

// State returns all records, with the marks of those removed.
func (b *Book) State() State { return State{Users: sorted(b.users), Tokens: sorted(b.tokens)} }

// Digest is equal for books with equal records.
func (b *Book) Digest() string {
	text, err := json.Marshal(b.State())
	if err != nil {
		panic("people: plain structs cannot be encoded: " + err.Error())
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// Merge takes over the records of another book that are later than those here, and reports whether there were any. It
// takes none of them when one is not in order.
func (b *Book) Merge(now int64, in State) (changed bool, err error) {
	for _, u := range in.Users {
		if err := u.check(now); err != nil {
			return false, err
		}
	}
	for _, t := range in.Tokens {
		if err := t.check(now); err != nil {
			return false, err
		}
	}
	for _, u := range in.Users {
		if have, known := b.users[u.Name]; !known && !forgotten(now, u.Removed, u.Changed) || known && u.later(have) {
			b.users[u.Name], changed = u, true
		}
	}
	for _, t := range in.Tokens {
		if have, known := b.tokens[t.Name]; !known && !forgotten(now, t.Removed, t.Changed) || known && t.later(have) {
			b.tokens[t.Name], changed = t, true
		}
	}
	b.forget(now)
	return changed, nil
}

func forgotten(now int64, removed bool, changed int64) bool {
	return removed && now-changed > int64(forgetAfter)
}

// forget drops marks nobody needs any more, and the oldest ones when there are too many.
func (b *Book) forget(now int64) {
	maps.DeleteFunc(b.users, func(_ string, u User) bool { return forgotten(now, u.Removed, u.Changed) })
	maps.DeleteFunc(b.tokens, func(_ string, t Token) bool { return forgotten(now, t.Removed, t.Changed) })
}

func (u User) check(now int64) error {
	switch {
	case !isName(u.Name):
		return fmt.Errorf("a user has the name %q", u.Name)
	case u.Changed <= 0 || u.Changed > now+int64(maxAhead):
		return fmt.Errorf("user %s: changed at a time that is not before now", u.Name)
	case len(u.Hash) > maxHash || len(u.By) > MaxName:
		return fmt.Errorf("user %s: a text is too long", u.Name)
	}
	if u.Removed || u.Hash == "" {
		return nil
	}
	return u.Access.check()
}

func (t Token) check(now int64) error {
	switch {
	case !isName(t.Name):
		return fmt.Errorf("a token has the name %q", t.Name)
	case t.Changed <= 0 || t.Changed > now+int64(maxAhead):
		return fmt.Errorf("token %s: changed at a time that is not before now", t.Name)
	case len(t.Hash) > maxHash || len(t.By) > MaxName || !t.Removed && len(t.Hash) != hex.EncodedLen(sha256.Size):
		return fmt.Errorf("token %s: the hash is not that of a token", t.Name)
	}
	if t.Removed {
		return nil
	}
	return t.Access.check()
}

// check refuses roles that do not exist. That the areas do is for those to say who know them.
func (a Access) check() error {
	if !slices.Contains(roles, a.Role) {
		return fmt.Errorf("role %q: want one of %s", a.Role, strings.Join(roles, ", "))
	}
	if len(a.Areas) > MaxAreas {
		return fmt.Errorf("%d areas, the limit is %d", len(a.Areas), MaxAreas)
	}
	for area, role := range a.Areas {
		if !isName(area) || !slices.Contains(roles, role) {
			return fmt.Errorf("area %q has the role %q: want one of %s", area, role, strings.Join(roles, ", "))
		}
	}
	return nil
}

// isName allows what is safe in a file, a log and a path.
func isName(s string) bool {
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.' && r != '@' {
			return false
		}
	}
	return s != "" && len(s) <= MaxName && s[0] != '.'
}
