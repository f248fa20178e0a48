package web

import (
	"crypto/rand"
	"errors"
	"strings"
	"time"
)

// errTicket covers every reason a ticket is refused for; the client learns no more.
var errTicket = errors.New("the ticket is not valid")

// ticket says that a node of the pair has checked who the user is. The role is not in it: the node that admits looks
// it up in its own configuration.
type ticket struct {
	User    string `json:"u"`
	Node    string `json:"n"` // that issued it
	Issued  int64  `json:"i"` // Unix seconds
	Expires int64  `json:"e"`
	ID      string `json:"r"` // random: no two tickets are equal

	// Of somebody a provider vouches for: the rules that are met, what they are bound to, and how long the session lasts.
	Rules []int  `json:"g,omitempty"`
	Bound string `json:"p,omitempty"`
	Until int64  `json:"s,omitempty"` // Unix seconds
}

// account is what the ticket says itself of who may do what.
func (t ticket) account() account {
	if len(t.Rules) == 0 {
		return account{}
	}
	return account{federated: t.Rules, until: time.Unix(t.Until, 0)}
}

// boundTicket is what a ticket of the user is bound to: nothing but the user's record here, which is looked up, or the
// rules for those a provider vouches for.
func (s *Server) boundTicket(user string) string {
	if !strings.HasPrefix(user, federated) {
		return ""
	}
	return s.bind(user)
}

// ticketFor returns a ticket for who has a session.
func (s *Server) ticketFor(sess *session) (string, time.Time) {
	t := ticket{User: sess.user, Node: s.cfg.Node, Rules: sess.account.federated, Bound: s.boundTicket(sess.user)}
	if len(t.Rules) > 0 {
		t.Until = sess.expires.Unix()
	}
	return t.issue(s.cfg.PairKey, s.now())
}

const ticketPrefix = "st1." // kind and version

// issue signs the ticket.
func (t ticket) issue(key []byte, now time.Time) (string, time.Time) {
	expires := now.Add(ticketLife)
	t.Issued, t.Expires, t.ID = now.Unix(), expires.Unix(), rand.Text()
	return seal(key, ticketPrefix, t), expires
}

// checkTicket returns the content of a ticket signed with the key and in time.
func checkTicket(key []byte, s string, now time.Time) (ticket, error) {
	var t ticket
	if !open(key, ticketPrefix, s, &t) {
		return ticket{}, errTicket
	}
	issued, expires := time.Unix(t.Issued, 0), time.Unix(t.Expires, 0)
	if !now.Before(expires) || issued.After(now.Add(ticketSkew)) || expires.Sub(issued) > ticketLife {
		return ticket{}, errTicket
	}
	return t, nil
}
