package pki

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Invitation waits for the other node.
type Invitation struct {
	Code    string
	Expires time.Time

	p     *Pairing
	plain string

	mu    sync.Mutex
	tries int
	spent bool // a right proof or too many wrong ones came
	end   func()
	info  Info
	err   error // why it ended without a pairing, once it is spent
}

// Invite makes a one-time code.
func (p *Pairing) Invite() (*Invitation, error) {
	code, err := newCode()
	if err != nil {
		return nil, err
	}
	plain, err := plainCode(code)
	if err != nil {
		return nil, err
	}
	return &Invitation{Code: code, Expires: time.Now().Add(CodeLife), p: p, plain: plain}, nil
}

// Serve waits on the listener until the other node is paired, the code has expired, too many wrong codes came, or ctx
// ends. It closes the listener. Strangers who say nothing useful do not end it.
func (v *Invitation) Serve(ctx context.Context, listener net.Listener) (Info, error) {
	ctx, cancel := context.WithDeadlineCause(ctx, v.Expires, ErrExpired)
	defer cancel()
	v.end = cancel
	stop := context.AfterFunc(ctx, func() { listener.Close() })
	defer stop()
	var guests sync.WaitGroup
	room := make(chan struct{}, maxGuests)
	var failed error
	for {
		raw, err := listener.Accept()
		if err != nil {
			failed = err
			break
		}
		select {
		case room <- struct{}{}:
			guests.Go(func() {
				v.converse(ctx, raw)
				<-room
			})
		default:
			raw.Close()
		}
	}
	listener.Close()
	if ctx.Err() != nil {
		failed = context.Cause(ctx)
	}
	guests.Wait()
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.spent {
		return v.info, v.err
	}
	return Info{}, failed
}

// errTries ends an invitation.
var errTries = fmt.Errorf("%d wrong codes: this code is void", MaxTries)

var errBroken = errors.New("the conversation broke off after the right code, which is void now")

// converse is one conversation. The first with the right code, or the last try, ends the invitation.
func (v *Invitation) converse(ctx context.Context, raw net.Conn) {
	defer raw.Close()
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), conversationLimit)
	defer cancel()
	defer context.AfterFunc(limited, func() { raw.Close() })()
	// The end of the invitation ends the conversation too, until a proof has come: that one gets its answer.
	over := context.AfterFunc(ctx, func() { raw.Close() })
	defer over()
	t, err := v.p.meet(ctx, tls.Server(raw, v.p.config()), true)
	if err != nil {
		return
	}
	theirs, err := hear[proof](t)
	if err != nil || !over() {
		return
	}
	show, last, err := v.judge(t, theirs)
	if err != nil {
		t.refuse(err.Error())
		if last {
			v.end()
		}
		return
	}
	info, err := v.conclude(t, show)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.info, v.err = info, err
	v.end()
}

// judge compares a proof, one at a time. It returns the answer to a right one, or why there is none and whether the
// invitation ends with that.
func (v *Invitation) judge(t *talk, theirs proof) (show [sha256.Size]byte, last bool, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.spent:
		return show, false, errors.New("this code has been used")
	case !time.Now().Before(v.Expires):
		return show, false, ErrExpired
	}
	show, want, err := t.proofs(v.plain)
	if err != nil {
		return show, false, err
	}
	if hmac.Equal(theirs.sum[:], want[:]) {
		v.spent, v.err = true, errBroken
		return show, true, nil
	}
	if v.tries++; v.tries >= MaxTries {
		v.spent, v.err = true, errTries
		return show, true, errTries
	}
	return show, false, fmt.Errorf("%w; tries left: %d", ErrCode, MaxTries-v.tries)
}

// conclude answers a right proof and pins who gave it, once it has pinned this node.
func (v *Invitation) conclude(t *talk, show [sha256.Size]byte) (Info, error) {
	if err := send(t.conn, proof{show}); err != nil {
		return Info{}, fmt.Errorf("%w: %w", errBroken, err)
	}
	if _, err := hear[done](t); err != nil {
		return Info{}, fmt.Errorf("%w: %w", errBroken, err)
	}
	if err := v.p.adopt(t.cert); err != nil {
		t.refuse("the pin could not be stored")
		return Info{}, err
	}
	// The pin is stored here and there: whether the last word arrives changes nothing of that.
	if send(t.conn, done{}) == nil {
		_ = t.conn.CloseWrite()
	}
	return infoOf(t.cert), nil
}
