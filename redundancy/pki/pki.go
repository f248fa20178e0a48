// Package pki holds the certificates that secure the link between the two nodes of a pair: each node makes its own, and
// trusts the one certificate of the other that was pinned when they were paired. There is no authority and names prove nothing.
//
// # Files
//
// A [Link] lives in one directory of the node: node.pem (certificate and private key), next.pem (the same of a renewal
// under way) and peer.pem (the pinned certificates of the peer, the newest last). They are written by renaming, readable
// by their owner alone, and read again before a handshake when they have changed: no restart is needed.
//
// # Renewal
//
// The node makes its next certificate and, until the peer has it, sends it behind the present one in every handshake.
// A handshake that succeeded proves that the holder of the pinned key sent it, so the peer pins it too ([Link.Secured])
// and from then on names both in its request for a certificate. Seeing its next one named there, the node uses it from that
// very handshake on. The peer sees it used and forgets the old one. Every step is on disk before the next
// can begin, so a loss of power at any point leaves a pair that understands itself, and at no time is there only one
// certificate one side would send and the other would not accept.
//
// # Expiry
//
// A pinned certificate is accepted after its date too: a refusal would part the pair, and a pair that is parted has two
// active nodes. [Link.Problems] tells of the date long before.
package pki

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Limits and defaults.
const (
	// DefaultValidity is how long a certificate is valid unless configured: ten years.
	DefaultValidity = 3652 * 24 * time.Hour
	// MinValidity leaves a renewal the time it needs.
	MinValidity = 90 * 24 * time.Hour
	// MaxValidity is a century: what is meant to last longer was not meant to expire.
	MaxValidity = 36525 * 24 * time.Hour
	// RenewBefore is when a node renews its certificate by itself.
	RenewBefore = 60 * 24 * time.Hour
	// WarnBefore is when [Link.Problems] begins to tell of the expiry.
	WarnBefore = 30 * 24 * time.Hour
	// MaxPins is how many certificates of the peer are pinned at once: the present one and, during a renewal, the next.
	MaxPins = 2
	// MaxFile is the largest file that is read, in bytes.
	MaxFile = 64 << 10
	// MaxCertificate is the largest certificate that is pinned, in bytes of DER.
	MaxCertificate = 4 << 10
	// grace is how long a pin that has been replaced is still accepted, for handshakes that were under way.
	grace = 10 * time.Second
)

// The files in the directory of a [Link].
const (
	nodeFile = "node.pem"
	nextFile = "next.pem"
	peerFile = "peer.pem"
)

// Options is what a [Link] is made of.
type Options struct {
	Dir      string
	Project  string
	Node     string // this one
	Peer     string // the other
	Validity time.Duration
	Log      *slog.Logger
}

// Link is the certificates of one node. Its methods may be called from any goroutine.
type Link struct {
	opts Options
	log  *slog.Logger

	mu        sync.Mutex
	own       *identity
	next      *identity           // nil when no renewal is under way
	pins      []*x509.Certificate // the newest last
	retired   *x509.Certificate   // accepted until retiredAt+grace
	retiredAt time.Time
	seen      map[string]fs.FileInfo // of the files as last read
	broken    map[string]string      // file -> what is wrong with it
}

// Open reads the certificates in the directory. A node without a certificate gets one.
func Open(opts Options) (*Link, error) {
	if opts.Validity == 0 {
		opts.Validity = DefaultValidity
	}
	if opts.Validity < MinValidity || opts.Validity > MaxValidity {
		return nil, fmt.Errorf("link certificates: a validity of %v is outside %v .. %v", opts.Validity, MinValidity, MaxValidity)
	}
	if opts.Node == "" || opts.Peer == "" || opts.Node == opts.Peer {
		return nil, fmt.Errorf("link certificates: nodes %q and %q are no pair", opts.Node, opts.Peer)
	}
	l := &Link{opts: opts, log: opts.Log, seen: map[string]fs.FileInfo{}, broken: map[string]string{}}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("link certificates: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	release, err := l.exclusive()
	if err != nil {
		return nil, err
	}
	defer release()
	if _, err := os.Lstat(l.path(nodeFile)); errors.Is(err, fs.ErrNotExist) {
		id, err := newIdentity(opts.Node, opts.Validity)
		if err != nil {
			return nil, err
		}
		if err := l.store(nodeFile, id.pem()); err != nil {
			return nil, err
		}
		l.log.Info("A link certificate was made", "fingerprint", Fingerprint(id.leaf))
	}
	l.refresh()
	for _, file := range []string{nodeFile, nextFile, peerFile} {
		if why := l.broken[file]; why != "" {
			return nil, fmt.Errorf("link certificates: %s: %s", l.path(file), why)
		}
	}
	return l, nil
}

func (l *Link) path(file string) string { return filepath.Join(l.opts.Dir, file) }

// Info is one certificate, for people.
type Info struct {
	Fingerprint string
	Node        string
	Expires     time.Time
}

func infoOf(c *x509.Certificate) Info {
	return Info{Fingerprint: Fingerprint(c), Node: c.Subject.CommonName, Expires: c.NotAfter}
}

// Status is what a node holds.
type Status struct {
	Own      Info
	Next     *Info  // of a renewal the peer has not seen yet
	Pins     []Info // of the peer, the newest last; none before the pairing
	Problems []string
}

// Status returns what the node holds now.
func (l *Link) Status() Status {
	problems := l.Problems(time.Now())
	l.mu.Lock()
	defer l.mu.Unlock()
	s := Status{Own: infoOf(l.own.leaf), Problems: problems}
	if l.next != nil {
		next := infoOf(l.next.leaf)
		s.Next = &next
	}
	for _, pin := range l.pins {
		s.Pins = append(s.Pins, infoOf(pin))
	}
	return s
}

// Paired reports whether a certificate of the peer is pinned.
func (l *Link) Paired() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refresh()
	return len(l.pins) > 0
}

// Problems says what somebody should see to: no pairing yet, a certificate about to expire, a file that cannot be read.
func (l *Link) Problems(now time.Time) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refresh()
	var list []string
	for _, file := range []string{nodeFile, nextFile, peerFile} {
		if why := l.broken[file]; why != "" {
			list = append(list, fmt.Sprintf("the link certificates in %s: %s", file, why))
		}
	}
	if len(l.pins) == 0 {
		list = append(list, "no link certificate of "+l.opts.Peer+" is pinned: pair the nodes (scadad link pair)")
	} else if why := expiry(l.pins[len(l.pins)-1], l.opts.Peer, now); why != "" {
		list = append(list, why)
	}
	if why := expiry(l.own.leaf, l.opts.Node, now); why != "" {
		list = append(list, why)
	}
	return list
}

// expiry says when a certificate expires if that is soon.
func expiry(c *x509.Certificate, node string, now time.Time) string {
	left := c.NotAfter.Sub(now)
	if left > WarnBefore {
		return ""
	}
	date := c.NotAfter.UTC().Format(time.DateOnly)
	if left <= 0 {
		return fmt.Sprintf("the link certificate of %s has expired on %s (renew it: scadad link renew)", node, date)
	}
	return fmt.Sprintf("the link certificate of %s expires on %s, in %d days (renew it: scadad link renew)", node, date, int(left/(24*time.Hour)))
}
