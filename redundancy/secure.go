package redundancy

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"

	"scada/redundancy/wire"
)

// secure makes the connection a TLS connection whose both ends have proved who they are.
func (l *link) secure(conn *tls.Conn) error {
	if err := conn.SetDeadline(time.Now().Add(l.n.patience())); err != nil {
		return err
	}
	if err := conn.Handshake(); err != nil {
		return err
	}
	if l.n.cfg.Secured != nil {
		l.n.cfg.Secured(conn.ConnectionState())
	}
	l.conn = conn
	return nil
}

// linger reads what the other side has sent already before the connection is closed: closing over unread bytes is a
// reset, which may overtake the alert that says why.
func (l *link) linger() {
	if err := l.raw.SetReadDeadline(time.Now().Add(minPatience)); err != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, l.raw, wire.MaxHello) // the connection is given up anyway
}

// blameCertificate keeps for display that a connection failed because one node does not accept the other's certificate.
// That the other does not accept ours is told only when there is nothing to say of its own: with a stranger both
// come in turns, many times a second.
func (n *Node) blameCertificate(err error) {
	why := certificateProblem(err, n.cfg.Peer)
	if why == "" {
		return
	}
	n.mu.Lock()
	known := n.peer.refused != "" && why == notAccepted(n.cfg.Peer)
	n.mu.Unlock()
	if !known {
		n.refuse(why)
	}
}

func notAccepted(peer string) string {
	return peer + " does not accept the certificate of this node: pair the nodes"
}

// certificateAlerts are what a peer says that does not accept a certificate: bad, unsupported, revoked, expired, unknown
// certificate, unknown authority, certificate required (RFC 8446, 6.2).
var certificateAlerts = [...]tls.AlertError{42, 43, 44, 45, 46, 48, 116}

// certificateProblem says in words for people why a TLS handshake failed, if a certificate was the reason. An error of
// the verification may have a Refusal: a reason without details of the caller, so that strangers cannot fill the journal.
func certificateProblem(err error, peer string) string {
	var own interface{ Refusal() string }
	var chain *tls.CertificateVerificationError
	var op *net.OpError
	switch {
	case errors.As(err, &own):
		return own.Refusal()
	case errors.As(err, &chain):
		return "a certificate that is not trusted here"
	case !errors.As(err, &op) || op.Op != "remote error":
		return ""
	}
	for _, alert := range certificateAlerts {
		if op.Err.Error() == alert.Error() { // the library keeps the type of a received alert to itself
			return notAccepted(peer)
		}
	}
	return ""
}
