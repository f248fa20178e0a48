package people

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// Limits.
const (
	// MaxUsers and MaxTokens bound the records of a book, with the marks of those removed.
	MaxUsers  = 500
	MaxTokens = 500
	// MaxAreas is how many areas one record may name.
	MaxAreas = 64
	// MaxName is the length of a name in bytes.
	MaxName = 64
	// maxHash is the length of a hash in bytes.
	maxHash = 256
	// forgetAfter is how long the mark of a removed record is kept: a node that was away for longer would bring it back.
	forgetAfter = 400 * 24 * time.Hour
	// maxAhead is how far the time of a record may be ahead of the clock of who is told of it.
	maxAhead = 24 * time.Hour
)

// Roles in ascending order; each includes those before it.
const (
	Viewer   = "viewer"
	Operator = "operator"
	Engineer = "engineer"
	Admin    = "admin"
)

var roles = []string{Viewer, Operator, Engineer, Admin}

// Access is what somebody may do: a role in the whole plant, and other roles in some areas.
type Access struct {
	Role  string            `json:"role"`
	Areas map[string]string `json:"areas,omitempty"` // area -> the role there instead
}

// Equal reports whether both grant the same.
func (a Access) Equal(b Access) bool { return a.Role == b.Role && maps.Equal(a.Areas, b.Areas) }

// String names the role and the areas: operator (north=engineer).
func (a Access) String() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(a.Areas)) {
		parts = append(parts, name+"="+a.Areas[name])
	}
	if len(parts) == 0 {
		return a.Role
	}
	return a.Role + " (" + strings.Join(parts, ", ") + ")"
}

// User is the record of a person.
type User struct {
	Name string `json:"name"`
	Access
	Hash       string `json:"hash,omitempty"`        // argon2id of the password; empty of a declared user
	MustChange bool   `json:"must_change,omitempty"` // the password was set by somebody else
	Locked     bool   `json:"locked,omitempty"`
	Removed    bool   `json:"removed,omitempty"`
	Changed    int64  `json:"changed"` // UTC nanoseconds
	By         string `json:"by,omitempty"`

	Declared bool `json:"-"` // in the plant file: only its lock is here
}

// Token is the record of a machine's access.
type Token struct {
	Name string `json:"name"`
	Access
	Hash    string `json:"hash,omitempty"`    // SHA-256 of the token in hexadecimal
	Expires int64  `json:"expires,omitempty"` // UTC nanoseconds; 0: never
	Removed bool   `json:"removed,omitempty"`
	Changed int64  `json:"changed"`
	By      string `json:"by,omitempty"`

	Declared bool `json:"-"`
}

// later reports whether the record counts against another of the same name. Records of the same moment are told apart
// by their hash, so that both nodes choose alike.
func (u User) later(v User) bool { return cmp.Or(cmp.Compare(u.Changed, v.Changed), u.order(v)) > 0 }

func (u User) order(v User) int {
	return cmp.Or(truth(u.Removed)-truth(v.Removed), truth(u.Locked)-truth(v.Locked), strings.Compare(u.Hash, v.Hash), strings.Compare(u.String(), v.String()),
		truth(u.MustChange)-truth(v.MustChange), strings.Compare(u.By, v.By))
}

func (t Token) later(v Token) bool {
	return cmp.Or(cmp.Compare(t.Changed, v.Changed), truth(t.Removed)-truth(v.Removed), strings.Compare(t.Hash, v.Hash), cmp.Compare(v.Expires, t.Expires),
		strings.Compare(t.String(), v.String()), strings.Compare(t.By, v.By)) > 0
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

// State is records as they are stored and exchanged, in order of name.
type State struct {
	Users  []User  `json:"users,omitempty"`
	Tokens []Token `json:"tokens,omitempty"`
}
