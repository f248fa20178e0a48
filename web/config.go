package web

import (
	"context"
	"crypto/tls"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"time"

	"scada/web/api"
)

// Config is what the server needs to know. The zero value of an optional field is its default.
type Config struct {
	Node    string // name of this node, as in the configuration
	Address string // host:port to listen on
	// Origins are the web addresses of both nodes as a browser writes them (https://host:port), this node's first. Pages from
	// them, and no others, may open sockets and send commands. Empty: only pages of the host asked.
	Origins []string
	// PairKey signs the tickets a user of one node is admitted with on the other: at least [MinPairKey] bytes, equal
	// on both nodes. Empty: no tickets.
	PairKey []byte
	Users   []User
	Tokens  []Token
	// OIDC lets people log in whom an OpenID provider vouches for; nil: only users of the plant.
	OIDC *OIDC

	// Mimics holds the drawings of users, NAME.svg at the top; nil: none.
	Mimics fs.FS
	// Backup writes a backup of the node; nil: there is none.
	Backup func(ctx context.Context, w io.Writer) error
	// Clients is told who comes and goes, by many goroutines at once, and must not block; nil: nobody is.
	Clients func(Presence)
	// HistoryTargets tells of the engines the history is sent to; nil: there are none.
	HistoryTargets func() api.HistoryTargets
	// VerifyJournal proves that the journal is as it was written; nil: nobody can.
	VerifyJournal func(ctx context.Context) (api.JournalProof, error)
	// People changes users and tokens; nil: nobody can while the server runs.
	People People
	// PeerSessions are the sessions the other node knows; nil: nobody can tell.
	PeerSessions func() []api.SessionInfo
	// Archive changes and verifies the history; nil: nobody can.
	Archive Archive
	// Configuration looks at the configuration and changes it; nil: nobody can.
	Configuration Configuration
	// Diagnosis looks at the node's machine; nil: nobody does.
	Diagnosis Diagnosis

	TLS    *tls.Config // nil: plain HTTP
	UI     fs.FS       // files of the dashboard with index.html at the top; nil: a page that says how to build it
	Log    *slog.Logger
	Listen func(network, address string) (net.Listener, error)
}

// MinPairKey is the least length of the pair's key in bytes.
const MinPairKey = 32

// User is a person who may log in.
type User struct {
	Name  string
	Role  Role            // in the whole plant
	Hash  string          // argon2id, as made by [HashPassword]
	Areas map[string]Role // the roles in some areas instead

	Locked     bool // may not log in
	MustChange bool // may only change the password
}

// Token is a bearer token of a script.
type Token struct {
	Name string // shown in the journal
	Role Role
	Hash string // as made by [HashToken]

	Areas   map[string]Role
	Expires time.Time // zero: never
}
