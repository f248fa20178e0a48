package web

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"sync"
	"time"
)

// session is one log-in. Its id is known to the client only; the server keeps the hash.
type session struct {
	user    string
	role    Role
	created time.Time
	expires time.Time
	ended   chan struct{} // closed at log-out, expiry by displacement, and stop
}

// sessions are the log-ins of this node. They live in memory: after a restart a client comes back with its ticket.
type sessions struct {
	mu     sync.Mutex
	byHash map[[sha256.Size]byte]*session
}

func newSessions() *sessions { return &sessions{byHash: map[[sha256.Size]byte]*session{}} }

// create starts a session and returns its id. Beyond the limits the oldest session makes way: a forgotten screen must
// not keep its user out.
func (s *sessions) create(user string, role Role, now time.Time) (string, *session) {
	raw := make([]byte, 32)
	rand.Read(raw)
	id := base64.RawURLEncoding.EncodeToString(raw)
	sess := &session{user: user, role: role, created: now, expires: now.Add(sessionLife), ended: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now)
	for s.count(user) >= maxUserSessions {
		s.dropOldest(user)
	}
	for len(s.byHash) >= maxSessions {
		s.dropOldest("")
	}
	s.byHash[sha256.Sum256([]byte(id))] = sess
	return id, sess
}

// find returns the session with the id.
func (s *sessions) find(id string, now time.Time) (*session, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sess, ok := s.byHash[sha256.Sum256([]byte(id))]
	if !ok || !now.Before(sess.expires) {
		return nil, false
	}
	return sess, true
}

// end closes a session.
func (s *sessions) end(target *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, sess := range s.byHash {
		if sess == target {
			s.drop(key)
		}
	}
}

func (s *sessions) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.byHash)
}

func (s *sessions) drop(key [sha256.Size]byte) {
	close(s.byHash[key].ended)
	delete(s.byHash, key)
}

func (s *sessions) expire(now time.Time) {
	for key, sess := range s.byHash {
		if !now.Before(sess.expires) {
			s.drop(key)
		}
	}
}

func (s *sessions) count(user string) int {
	n := 0
	for _, sess := range s.byHash {
		if sess.user == user {
			n++
		}
	}
	return n
}

// dropOldest ends the oldest session of the user, of anybody when user is empty.
func (s *sessions) dropOldest(user string) {
	var oldest [sha256.Size]byte
	var found *session
	for key, sess := range s.byHash {
		if (user == "" || sess.user == user) && (found == nil || sess.created.Before(found.created)) {
			oldest, found = key, sess
		}
	}
	if found != nil {
		s.drop(oldest)
	}
}

// endIf closes the sessions for which gone is true.
func (s *sessions) endIf(gone func(*session) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, sess := range s.byHash {
		if gone(sess) {
			s.drop(key)
		}
	}
}
