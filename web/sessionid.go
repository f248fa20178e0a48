package web

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"scada/web/api"
)

// The id of a session is its own proof, signed with the pair's key: a node that was restarted, and the other node, take
// the session up again without asking for the password. It does not carry the role, which the node looks up, and it is
// bound to the password it was obtained with. A log-out is in the journal of both nodes and is looked up there.
type sessionID struct {
	User    string `json:"u"`
	Issued  int64  `json:"i"` // Unix seconds
	Expires int64  `json:"e"`
	Bound   string `json:"p"`           // to the password: see bind
	ID      string `json:"r"`           // random: no two ids are equal
	Rules   []int  `json:"g,omitempty"` // met by somebody a provider vouches for
}

const sessionPrefix = "ss1." // kind and version

// newSession starts a session of a user who has just proved to be one, and returns its id.
func (s *Server) newSession(user string, acc account) (string, *session) {
	now := s.now()
	expires := now.Add(sessionLife)
	if !acc.until.IsZero() && acc.until.Before(expires) {
		expires = acc.until
	}
	c := sessionID{User: user, Issued: now.Unix(), Expires: expires.Unix(), Rules: acc.federated, Bound: s.bind(user), ID: rand.Text() + rand.Text()}
	id := c.ID
	if len(s.cfg.PairKey) > 0 {
		id = seal(s.cfg.PairKey, sessionPrefix, c)
	}
	return id, s.sessions.add(id, c.session(acc, now), now)
}

func (c sessionID) session(acc account, now time.Time) *session {
	sum := sha256.Sum256([]byte(c.ID))
	return &session{mark: "session " + hex.EncodeToString(sum[:markBytes]), user: c.User, account: acc, created: now,
		expires: time.Unix(c.Expires, 0), bound: c.Bound, ended: make(chan struct{})}
}

// markBytes is how much of the hash of a session stands in the journal.
const markBytes = 8

// bind derives from the user's password hash what an id carries: with another password, older ids are worth nothing. Of
// people a provider vouches for it is what that is worth here instead.
func (s *Server) bind(user string) string {
	mac := hmac.New(sha256.New, s.cfg.PairKey)
	mac.Write([]byte("session of " + user + "\x00"))
	if strings.HasPrefix(user, federated) && s.federation != nil {
		mac.Write(s.federation.digest)
	} else {
		mac.Write(s.accounts.Load().users.byName[user].hash.Key)
	}
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:12])
}

// findSession returns the session with the id: one this node knows, or one it takes up by what the id says.
func (s *Server) findSession(ctx context.Context, id string) (*session, bool) {
	if sess, ok := s.sessions.find(id, s.now()); ok {
		return sess, true
	}
	return s.revive(ctx, id)
}

func (s *Server) revive(ctx context.Context, id string) (*session, bool) {
	var c sessionID
	now := s.now()
	if !open(s.cfg.PairKey, sessionPrefix, id, &c) || s.sessions.wasEnded(id) {
		return nil, false
	}
	issued, expires := time.Unix(c.Issued, 0), time.Unix(c.Expires, 0)
	if !now.Before(expires) || issued.After(now.Add(ticketSkew)) || expires.Sub(issued) > sessionLife {
		return nil, false
	}
	a, known := s.lookUp(c.User, account{federated: c.Rules, until: expires})
	if !known || a.locked || !hmac.Equal([]byte(c.Bound), []byte(s.bind(c.User))) {
		return nil, false
	}
	sess := c.session(a, now)
	if s.loggedOut(ctx, sess, issued) {
		return nil, false
	}
	return s.sessions.add(id, sess, now), true
}

// loggedOut looks for the end of the session in the journal, which both nodes have. When it cannot be read the session
// is not taken up.
func (s *Server) loggedOut(ctx context.Context, sess *session, since time.Time) bool {
	j, err := s.backend.Journal(ctx, api.JournalQuery{From: since.Add(-ticketSkew), Kind: "session", Text: sess.mark, Limit: 1})
	if err != nil {
		s.log.Warn("a session was not taken up: the journal cannot be read", "error", err)
		return true
	}
	return len(j.Entries) > 0
}

// cookies returns the session cookies of a request, this node's first: the pair may share a host, or an address that moves.
func (s *Server) cookies(r *http.Request) []*http.Cookie {
	var list []*http.Cookie
	for _, c := range r.Cookies() {
		switch {
		case c.Name == s.cookieName():
			list = append([]*http.Cookie{c}, list...)
		case strings.HasPrefix(c.Name, cookiePrefix) && len(list) < maxCookies:
			list = append(list, c)
		}
	}
	return list
}

// maxCookies is how many session cookies of a request are looked at.
const maxCookies = 4

const cookiePrefix = "scada_session_"

// seal signs a value: prefix, body, signature.
func seal(key []byte, prefix string, v any) string {
	body, err := json.Marshal(v)
	if err != nil {
		panic("web: strings and numbers cannot be marshalled: " + err.Error())
	}
	text := prefix + base64.RawURLEncoding.EncodeToString(body)
	return text + "." + base64.RawURLEncoding.EncodeToString(sign(key, text))
}

func sign(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// open checks the signature and decodes the value.
func open(key []byte, prefix, s string, v any) bool {
	if len(key) == 0 || len(s) > maxTicket || !strings.HasPrefix(s, prefix) {
		return false
	}
	dot := strings.LastIndexByte(s, '.')
	if dot < len(prefix) {
		return false
	}
	sum, err := base64.RawURLEncoding.DecodeString(s[dot+1:])
	if err != nil || !hmac.Equal(sum, sign(key, s[:dot])) {
		return false
	}
	body, err := base64.RawURLEncoding.DecodeString(s[len(prefix):dot])
	return err == nil && json.Unmarshal(body, v) == nil
}
