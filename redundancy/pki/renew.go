package pki

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

const (
	// lookEvery is how often a node looks whether a renewal is due or under way.
	lookEvery = 10 * time.Second
	// exchangeTimeout bounds one handshake made for a renewal.
	exchangeTimeout = 5 * time.Second
)

// Renew makes the node's next certificate, unless one waits for the peer already. The node goes on with the present one
// until the peer has pinned the next. It reports whether it made one.
func (l *Link) Renew() (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	release, err := l.exclusive()
	if err != nil {
		return false, err
	}
	defer release()
	if l.next != nil {
		return false, nil
	}
	id, err := newIdentity(l.opts.Node, l.opts.Validity)
	if err != nil {
		return false, err
	}
	if err := l.store(nextFile, id.pem()); err != nil {
		return false, err
	}
	l.refresh()
	l.log.Info("The next link certificate was made", "fingerprint", Fingerprint(id.leaf))
	return true, nil
}

// promote makes the next certificate the present one, on disk first. When that fails the present one stays.
func (l *Link) promote() {
	accepted := l.next.leaf
	release, err := l.exclusive()
	if err != nil {
		l.log.Error("The next link certificate cannot be taken into use", "error", err)
		return
	}
	defer release()
	if l.next == nil || !samePin(l.next.leaf, accepted) {
		return // somebody has begun anew meanwhile
	}
	err = os.Rename(l.path(nextFile), l.path(nodeFile))
	if err == nil {
		err = syncDir(l.opts.Dir)
	}
	if err != nil {
		l.log.Error("The next link certificate cannot be taken into use", "error", err)
		return
	}
	l.own, l.next = l.next, nil
	l.refresh()
	l.log.Info("The next link certificate is in use", "fingerprint", Fingerprint(l.own.leaf))
}

// Dial makes a connection.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// Keep renews the certificate when it is due and carries a renewal to the peer, until ctx ends. Connections of the
// link last for weeks, so it makes handshakes of its own at the peer's addresses while a renewal waits.
func (l *Link) Keep(ctx context.Context, dial Dial, addresses []string) error {
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		l.look(ctx, dial, addresses)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (l *Link) look(ctx context.Context, dial Dial, addresses []string) {
	l.mu.Lock()
	l.refresh()
	due := time.Until(l.own.leaf.NotAfter) < RenewBefore && l.next == nil
	l.mu.Unlock()
	if due {
		if _, err := l.Renew(); err != nil {
			l.log.Error("The link certificate cannot be renewed", "error", err)
		}
	}
	for _, address := range addresses {
		// The first handshake announces, the second learns that it was heard.
		for range 2 {
			if !l.renewing() || ctx.Err() != nil {
				return
			}
			if err := l.exchange(ctx, dial, address); err != nil {
				l.log.Debug("A renewal could not be told to the peer yet", "address", address, "error", err)
				break
			}
		}
	}
}

func (l *Link) renewing() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next != nil && len(l.pins) > 0
}

// exchange makes one handshake and waits until the peer has dealt with it.
func (l *Link) exchange(ctx context.Context, dial Dial, address string) error {
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	raw, err := dial(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer raw.Close()
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	defer stop()
	conn := tls.Client(raw, l.Client())
	if err := conn.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	l.Secured(conn.ConnectionState())
	if err := conn.CloseWrite(); err != nil {
		return err
	}
	_, err = io.CopyN(io.Discard, conn, 1<<10)
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
