package people

import (
	"errors"
	"fmt"
	"time"
)

// The verbs of a [Change].
const (
	AddUser     = "add"
	RemoveUser  = "remove"
	SetPassword = "password"
	SetRole     = "role"
	Lock        = "lock"
	Unlock      = "unlock"
	CreateToken = "token create"
	RevokeToken = "token revoke"
)

// Reasons a change is refused for; the error wraps one of them.
var (
	ErrUnknown  = errors.New("not found")
	ErrRefused  = errors.New("refused")
	ErrBadInput = errors.New("wrong input")
)

// Change is one change of a user or token.
type Change struct {
	Verb string `json:"verb"`
	Name string `json:"name"`
	Access
	Hash       string `json:"hash,omitempty"` // of the new password or token
	MustChange bool   `json:"must_change,omitempty"`
	Expires    int64  `json:"expires,omitempty"` // of a token, UTC nanoseconds
	By         string `json:"by"`
}

// Done is what a change came to: the record as it is now, and what to write about it. No text has a hash in it.
type Done struct {
	State    State  // the one record
	Old, New string // what somebody may do, before and after
}

// Apply carries a change out.
func (b *Book) Apply(now int64, c Change) (Done, error) {
	b.forget(now)
	if !isName(c.Name) {
		return Done{}, fmt.Errorf("%w: the name %q: 1 to %d of letters, digits, - _ . @", ErrBadInput, c.Name, MaxName)
	}
	switch c.Verb {
	case CreateToken, RevokeToken:
		return b.applyToken(now, c)
	case AddUser:
		return b.add(now, c)
	case RemoveUser, SetPassword, SetRole, Lock, Unlock:
		return b.change(now, c)
	}
	return Done{}, fmt.Errorf("%w: there is no %q", ErrBadInput, c.Verb)
}

func (b *Book) add(now int64, c Change) (Done, error) {
	if _, known := b.User(c.Name); known {
		return Done{}, fmt.Errorf("%w: there is a user %s already", ErrRefused, c.Name)
	}
	if err := c.check(); err != nil {
		return Done{}, fmt.Errorf("%w: %w", ErrBadInput, err)
	}
	if c.Hash == "" {
		return Done{}, fmt.Errorf("%w: a password is required", ErrBadInput)
	}
	if _, marked := b.users[c.Name]; !marked && len(b.users) >= MaxUsers {
		return Done{}, fmt.Errorf("%w: there are %d users, with those removed lately; that is the limit", ErrRefused, MaxUsers)
	}
	u := User{Name: c.Name, Access: c.Access, Hash: c.Hash, MustChange: c.MustChange}
	return b.put(now, c.By, u, "", u.String())
}

// change changes a user who is there.
func (b *Book) change(now int64, c Change) (Done, error) {
	u, known := b.User(c.Name)
	if !known {
		return Done{}, fmt.Errorf("%w: no user is named %s", ErrUnknown, c.Name)
	}
	if u.Declared && c.Verb != Lock && c.Verb != Unlock {
		return Done{}, fmt.Errorf("%w: user %s is declared in the plant file: change it there", ErrRefused, c.Name)
	}
	old, state := u.String(), ""
	switch c.Verb {
	case RemoveUser:
		u, state = User{Name: u.Name, Removed: true}, "removed"
	case SetPassword:
		if c.Hash == "" {
			return Done{}, fmt.Errorf("%w: a password is required", ErrBadInput)
		}
		u.Hash, u.MustChange, old, state = c.Hash, c.MustChange, "", "password set"
	case SetRole:
		if err := c.check(); err != nil {
			return Done{}, fmt.Errorf("%w: %w", ErrBadInput, err)
		}
		u.Access = c.Access
		state = u.String()
	case Lock:
		u.Locked, old, state = true, "", "locked"
	case Unlock:
		u.Locked, old, state = false, "", "unlocked"
	}
	if b.admins(u.Name) == 0 && b.HasAdmin() && (u.Removed || u.Locked || u.Role != Admin) {
		return Done{}, fmt.Errorf("%w: %s is the last administrator: make another one first", ErrRefused, c.Name)
	}
	if u.Declared { // the record of a declared user is its lock alone
		u = User{Name: u.Name, Locked: u.Locked}
	}
	return b.put(now, c.By, u, old, state)
}

// put stores a record as the latest of its name, also when the clock was set back.
func (b *Book) put(now int64, by string, u User, old, state string) (Done, error) {
	u.Changed, u.By = max(now, b.users[u.Name].Changed+1), by
	b.users[u.Name] = u
	return Done{State: State{Users: []User{u}}, Old: old, New: state}, nil
}

func (b *Book) applyToken(now int64, c Change) (Done, error) {
	have, known := b.tokens[c.Name]
	_, declared := b.declaredTokens[c.Name]
	valid := known && !have.Removed
	t := Token{Name: c.Name, Removed: true}
	old, state := have.String(), "revoked"
	switch {
	case declared:
		return Done{}, fmt.Errorf("%w: token %s is declared in the plant file: change it there", ErrRefused, c.Name)
	case c.Verb == RevokeToken && !valid:
		return Done{}, fmt.Errorf("%w: no token is named %s", ErrUnknown, c.Name)
	case c.Verb == CreateToken && valid:
		return Done{}, fmt.Errorf("%w: there is a token %s already: revoke it first", ErrRefused, c.Name)
	case c.Verb == CreateToken && !known && len(b.tokens) >= MaxTokens:
		return Done{}, fmt.Errorf("%w: there are %d tokens, with those revoked lately; that is the limit", ErrRefused, MaxTokens)
	case c.Verb == CreateToken && c.Expires != 0 && c.Expires <= now:
		return Done{}, fmt.Errorf("%w: the token would have expired already", ErrBadInput)
	case c.Verb == CreateToken:
		t = Token{Name: c.Name, Access: c.Access, Hash: c.Hash, Expires: c.Expires}
		old, state = "", t.describe()
	}
	t.Changed, t.By = max(now, have.Changed+1), c.By
	if err := t.check(max(now, t.Changed)); err != nil {
		return Done{}, fmt.Errorf("%w: %w", ErrBadInput, err)
	}
	b.tokens[c.Name] = t
	return Done{State: State{Tokens: []Token{t}}, Old: old, New: state}, nil
}

func (t Token) describe() string {
	if t.Expires == 0 {
		return t.String() + ", without an end"
	}
	return t.String() + " until " + time.Unix(0, t.Expires).UTC().Format(time.RFC3339)
}

// firstChanged is the time in the record of the first administrator: any other record of the name is later.
const firstChanged = 1

// FirstAdmin adds an administrator with a password that must be changed, when the plant has none who can log in. It
// returns his name.
func (b *Book) FirstAdmin(hash string) (name string, added bool) {
	if b.HasAdmin() {
		return "", false
	}
	name = Admin
	for n := 2; b.taken(name); n++ {
		name = fmt.Sprintf("%s%d", Admin, n)
	}
	b.users[name] = User{Name: name, Access: Access{Role: Admin}, Hash: hash, MustChange: true, Changed: max(firstChanged, b.users[name].Changed+1), By: "first start"}
	return name, true
}

func (b *Book) taken(name string) bool {
	_, known := b.User(name)
	return known
}
