package pki

import (
	"crypto/tls"
	"crypto/x509"
	"slices"
	"time"
)

// Refused is the error of a handshake with somebody whose certificate is not pinned.
type Refused struct {
	reason string
	Detail string // what was shown instead, for the log
}

func (r *Refused) Error() string { return r.reason + " (" + r.Detail + ")" }

// Refusal is the reason alone. It is the same whoever calls, so that a stranger cannot fill a journal with it.
func (r *Refused) Refusal() string { return r.reason }

// Server returns the configuration of the side that accepts connections. It follows the files.
func (l *Link) Server() *tls.Config {
	c := l.config()
	c.ClientAuth = tls.RequireAnyClientCert
	c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.refresh()
		now := l.config()
		now.ClientAuth = tls.RequireAnyClientCert
		now.Certificates = []tls.Certificate{l.shown()}
		// Not authorities: the names of the certificates that are accepted. The peer learns from it what has been pinned.
		now.ClientCAs = x509.NewCertPool()
		for _, pin := range l.pins {
			now.ClientCAs.AddCert(pin)
		}
		return now, nil
	}
	return c
}

// Client returns the configuration of the side that dials. It follows the files.
func (l *Link) Client() *tls.Config {
	c := l.config()
	c.InsecureSkipVerify = true // the pin is verified instead of authorities, names and dates
	c.GetClientCertificate = func(request *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.refresh()
		// The server has been authenticated by now: its Finished message came before this call.
		if l.next != nil && slices.ContainsFunc(request.AcceptableCAs, func(name []byte) bool { return string(name) == string(l.next.leaf.RawSubject) }) {
			l.promote()
		}
		shown := l.shown()
		return &shown, nil
	}
	return c
}

// config is what both sides have in common. Every connection proves its keys anew: no resumption.
func (l *Link) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, SessionTicketsDisabled: true, VerifyConnection: l.verify}
}

// shown is what this node sends: its certificate, and behind it the next one for the peer to pin.
func (l *Link) shown() tls.Certificate {
	cert := l.own.cert
	if l.next != nil {
		cert.Certificate = [][]byte{l.own.leaf.Raw, l.next.leaf.Raw}
	}
	return cert
}

// verify accepts pinned certificates alone. The library calls it before the other side has proved to have the key, which
// the rest of the handshake does: nothing may be learnt here.
func (l *Link) verify(state tls.ConnectionState) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refresh()
	if len(l.pins) == 0 {
		return &Refused{"no certificate of " + l.opts.Peer + " is pinned here: pair the nodes", shownBy(state)}
	}
	if len(state.PeerCertificates) > 0 {
		leaf := state.PeerCertificates[0]
		if l.pinned(leaf) >= 0 || samePin(leaf, l.retired) && time.Since(l.retiredAt) < grace {
			return nil
		}
	}
	return &Refused{"a certificate that is not the one pinned for " + l.opts.Peer, shownBy(state)}
}

func shownBy(state tls.ConnectionState) string {
	if len(state.PeerCertificates) == 0 {
		return "none was shown"
	}
	return "shown: " + Fingerprint(state.PeerCertificates[0])
}

// pinned returns the place of a certificate among the pins, or -1.
func (l *Link) pinned(c *x509.Certificate) int {
	return slices.IndexFunc(l.pins, func(pin *x509.Certificate) bool { return samePin(pin, c) })
}

// Secured must be told of every handshake that has succeeded, on either side. It pins the certificate that the peer
// announces behind its own, and forgets an old one when the peer uses the next.
func (l *Link) Secured(state tls.ConnectionState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !state.HandshakeComplete || len(state.PeerCertificates) == 0 {
		return
	}
	release, err := l.exclusive()
	if err != nil {
		l.log.Error("The peer's link certificate cannot be looked at", "error", err)
		return
	}
	defer release()
	at := l.pinned(state.PeerCertificates[0])
	if at < 0 { // replaced meanwhile
		return
	}
	pins := slices.Clone(l.pins)
	if at == len(pins)-1 {
		pins = pins[at:]
	}
	if next := l.announced(state); next != nil {
		pins = append(pins[:1], next)
	}
	if slices.EqualFunc(pins, l.pins, samePin) {
		return
	}
	if err := l.store(peerFile, encodePins(pins)); err != nil {
		l.log.Error("The peer's link certificate cannot be stored", "error", err)
		return
	}
	if !samePin(pins[0], l.pins[0]) {
		l.retired, l.retiredAt = l.pins[0], time.Now()
	}
	old := l.retired
	l.refresh()
	l.retired = old
	l.log.Info("The pinned link certificates of the peer have changed", "pins", len(pins), "newest", Fingerprint(pins[len(pins)-1]))
}

// announced returns a certificate to be pinned, if the peer sent one.
func (l *Link) announced(state tls.ConnectionState) *x509.Certificate {
	if len(state.PeerCertificates) < 2 {
		return nil
	}
	next := state.PeerCertificates[1]
	if l.pinned(next) >= 0 || samePin(next, l.own.leaf) || l.next != nil && samePin(next, l.next.leaf) {
		return nil
	}
	if err := fitToPin(next, l.opts.Peer); err != nil {
		l.log.Error("The next link certificate of the peer was not pinned", "error", err)
		return nil
	}
	return next
}
