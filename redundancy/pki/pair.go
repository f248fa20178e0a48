package pki

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

const (
	// conversationLimit bounds one conversation; both people are there, both programs answer at once.
	conversationLimit = 20 * time.Second
	// maxGuests is how many conversations an invitation has at once.
	maxGuests = 8
	// lingerLimit is how long the reason of a refusal may take to be read.
	lingerLimit = 500 * time.Millisecond
)

// ErrCode is wrapped by the error of a pairing whose sides do not have the same code, or that somebody is in the middle of.
var ErrCode = errors.New("the one-time code is wrong, or somebody sits between the nodes")

// ErrExpired is the error of a pairing that nobody came to in time.
var ErrExpired = errors.New("the one-time code has expired")

// Pairing is this node's part in being paired. The conversation is TLS 1.3 between the certificates that are to be
// pinned, which nobody can trust yet; then each side proves that it knows the one-time code, over this very connection
// and these very certificates. Who sits in the middle has two connections with different keys, and a proof for one is
// worth nothing on the other.
//
// Why no PAKE is needed: the dialler proves first, so a false listener gets something to try codes against offline. The
// code has 60 random bits, each guess costs an Argon2id of 64 MiB that cannot begin before the connection exists, and the
// code is worthless after five minutes: a billion guesses a second, some 50 million computers, would find it in that time
// with a probability of 1 in 3.8 million. Online an invitation ends after [MaxTries] wrong proofs.
type Pairing struct {
	link *Link
	id   *identity
	new  bool
}

// Pair prepares a pairing. With newKey the node gets a new key and certificate, stored when the pairing has succeeded:
// the remedy when the key may be in other hands.
func (l *Link) Pair(newKey bool) (*Pairing, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refresh()
	p := &Pairing{link: l, id: l.own, new: newKey}
	if newKey {
		var err error
		if p.id, err = newIdentity(l.opts.Node, l.opts.Validity); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// config accepts any certificate: the code decides.
func (p *Pairing) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, SessionTicketsDisabled: true, ClientAuth: tls.RequireAnyClientCert, InsecureSkipVerify: true,
		Certificates: []tls.Certificate{p.id.cert},
	}
}

func (p *Pairing) offer() offer {
	return offer{version: pairingVersion, project: p.link.opts.Project, node: p.link.opts.Node}
}

// fits says why this node does not pair with who made the offer and showed the certificate.
func (p *Pairing) fits(theirs offer, cert *x509.Certificate) error {
	switch o := p.link.opts; {
	case theirs.version != pairingVersion:
		return fmt.Errorf("version %d of the pairing, node %s speaks %d", theirs.version, o.Node, pairingVersion)
	case theirs.project != o.Project:
		return fmt.Errorf("project %q, node %s runs %q", theirs.project, o.Node, o.Project)
	case theirs.node != o.Peer:
		return fmt.Errorf("node %q, the peer of node %s is %q", theirs.node, o.Node, o.Peer)
	case samePin(cert, p.id.leaf):
		return errors.New("both nodes have the same key: one of them is a copy of the other")
	}
	return fitToPin(cert, p.link.opts.Peer)
}

// talk is one conversation after the handshake.
type talk struct {
	p         *Pairing
	conn      *tls.Conn
	cert      *x509.Certificate
	mine      side
	theirs    side
	listening bool
}

// meet makes the handshake and exchanges offers.
func (p *Pairing) meet(ctx context.Context, conn *tls.Conn, listening bool) (*talk, error) {
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("handshake: %w", err)
	}
	t := &talk{p: p, conn: conn, cert: conn.ConnectionState().PeerCertificates[0], listening: listening}
	t.mine = side{pin: pinOf(p.id.leaf), offer: p.offer()}
	if err := send(conn, t.mine.offer); err != nil {
		return nil, err
	}
	m, err := receive(conn)
	if err != nil {
		return nil, err
	}
	theirs, err := expect[offer](m)
	if err != nil {
		return nil, err
	}
	t.theirs = side{pin: pinOf(t.cert), offer: theirs}
	if err := p.fits(theirs, t.cert); err != nil {
		t.refuse(err.Error())
		return nil, err
	}
	return t, nil
}

// refuse says why the conversation ends. It reads what the other side has sent already: closing over unread bytes is a
// reset, which may overtake the reason.
func (t *talk) refuse(reason string) {
	if send(t.conn, refusal{reason}) == nil && t.conn.CloseWrite() == nil && t.conn.SetReadDeadline(time.Now().Add(lingerLimit)) == nil {
		_, _ = io.CopyN(io.Discard, t.conn, maxMessage) // the connection is given up anyway
	}
}

func expect[M message](m message) (M, error) {
	var want M
	switch m := m.(type) {
	case M:
		return m, nil
	case refusal:
		return want, fmt.Errorf("the other node refuses: %s", m.reason)
	}
	return want, fmt.Errorf("%w: %T where %T is expected", errMessage, m, want)
}

func hear[M message](t *talk) (M, error) {
	m, err := receive(t.conn)
	if err != nil {
		var none M
		return none, fmt.Errorf("waiting for the other node: %w", err)
	}
	return expect[M](m)
}

// proofs returns what this side shows and what it must be shown.
func (t *talk) proofs(code string) (show, want [sha256.Size]byte, err error) {
	dialler, listener := t.mine, t.theirs
	if t.listening {
		dialler, listener = t.theirs, t.mine
	}
	s, err := prove(code, t.conn.ConnectionState(), dialler, listener)
	if t.listening {
		return s.listener, s.dialler, err
	}
	return s.dialler, s.listener, err
}

// Join pairs with the node that listens at the other end of the connection, and closes it.
func (p *Pairing) Join(ctx context.Context, raw net.Conn, code string) (Info, error) {
	defer raw.Close()
	code, err := plainCode(code)
	if err != nil {
		return Info{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, conversationLimit)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	defer stop()
	info, err := p.join(ctx, raw, code)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = fmt.Errorf("no answer within %v: %w", conversationLimit, err)
	}
	return info, err
}

func (p *Pairing) join(ctx context.Context, raw net.Conn, code string) (Info, error) {
	t, err := p.meet(ctx, tls.Client(raw, p.config()), false)
	if err != nil {
		return Info{}, fmt.Errorf("pairing: %w", err)
	}
	show, want, err := t.proofs(code)
	if err != nil {
		return Info{}, err
	}
	if err := send(t.conn, proof{show}); err != nil {
		return Info{}, fmt.Errorf("pairing: %w", err)
	}
	theirs, err := hear[proof](t)
	if err != nil {
		return Info{}, fmt.Errorf("pairing: %w", err)
	}
	if !hmac.Equal(theirs.sum[:], want[:]) {
		return Info{}, fmt.Errorf("pairing: %w", ErrCode)
	}
	if err := p.adopt(t.cert); err != nil {
		return Info{}, err
	}
	if err = send(t.conn, done{}); err == nil {
		_, err = hear[done](t)
	}
	if err != nil {
		return infoOf(t.cert), fmt.Errorf("pairing: this node has pinned %s, but %s did not say that it has pinned this one; pair again: %w", p.link.opts.Peer, p.link.opts.Peer, err)
	}
	return infoOf(t.cert), nil
}

// adopt stores the pin, and the new key if there is one.
func (p *Pairing) adopt(peer *x509.Certificate) error {
	l := p.link
	l.mu.Lock()
	defer l.mu.Unlock()
	release, err := l.exclusive()
	if err != nil {
		return err
	}
	defer release()
	if !p.new && !samePin(p.id.leaf, l.own.leaf) {
		return errors.New("the certificate of this node was renewed meanwhile: pair again")
	}
	if p.new {
		if err := l.store(nodeFile, p.id.pem()); err != nil {
			return err
		}
		if err := l.remove(nextFile); err != nil { // it was announced, if at all, by a key that nobody believes any more
			return err
		}
	}
	err = l.store(peerFile, encodePins([]*x509.Certificate{peer}))
	l.refresh()
	return err
}
