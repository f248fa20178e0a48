package web

import (
	"crypto/sha256"
	"sync"
	"time"
)

// session is one log-in. Its id is known to the client only; the server keeps the hash.
type session struct {
	mark    string // names the session in the journal
	user    string
	account account // as it was when the session began
	created time.Time
	expires time.Time
	bound   string        // to the password
	idToken string        // of the provider that vouches for the user; guarded by the mutex
	address string        // it was last used from, under the mutex of the sessions like seen
	seen    time.Time     // zero: only made
	ended   chan struct{} // closed at log-out, expiry by displacement, and stop
}

// sessions are the log-ins this node knows. They live in memory; the id itself proves the log-in to a node that does not
// know it (sessionid.go), unless it was ended here.
type sessions struct {
	mu     sync.Mutex
	byHash map[[sha256.Size]byte]*session
	ended  map[[sha256.Size]byte]time.Time // until when an ended session would have lasted
}

func newSessions() *sessions {
	return &sessions{byHash: map[[sha256.Size]byte]*session{}, ended: map[[sha256.Size]byte]time.Time{}}
}

// add keeps a session under its id. Beyond the limits the oldest session makes way: a forgotten screen must not keep its
// user out. It returns the session that is kept: another request may have been first.
func (s *sessions) add(id string, sess *session, now time.Time) *session {
	key := sha256.Sum256([]byte(id))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now)
	if known, ok := s.byHash[key]; ok {
		return known
	}
	for s.count(sess.user) >= maxUserSessions {
		s.dropOldest(sess.user)
	}
	for len(s.byHash) >= maxSessions {
		s.dropOldest("")
	}
	s.byHash[key] = sess
	return sess
}

// wasEnded reports whether the session with the id was ended on this node.
func (s *sessions) wasEnded(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.ended[sha256.Sum256([]byte(id))]
	return ok
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

// keepToken keeps what the provider wants to see at the log-out.
func (s *sessions) keepToken(sess *session, idToken string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sess.idToken = idToken
}

func (s *sessions) token(sess *session) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return sess.idToken
}

func (s *sessions) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.byHash)
}

func (s *sessions) drop(key [sha256.Size]byte) {
	sess := s.byHash[key]
	close(sess.ended)
	delete(s.byHash, key)
	for old := range s.ended { // any: so many ended sessions at a time are an attack, and each was journalled
		if len(s.ended) < maxEnded {
			break
		}
		delete(s.ended, old)
	}
	s.ended[key] = sess.expires
}

func (s *sessions) expire(now time.Time) {
	for key, until := range s.ended {
		if !now.Before(until) {
			delete(s.ended, key)
		}
	}
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
