package web

import (
	"crypto/rand"
	"errors"
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
}

const ticketPrefix = "st1." // kind and version

// issueTicket returns a signed ticket.
func issueTicket(key []byte, user, node string, now time.Time) (string, time.Time) {
	expires := now.Add(ticketLife)
	return seal(key, ticketPrefix, ticket{User: user, Node: node, Issued: now.Unix(), Expires: expires.Unix(), ID: rand.Text()}), expires
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
