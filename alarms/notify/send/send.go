// Package send takes notices to receivers: a webhook in the form of Alertmanager (version 4), Alertmanagers themselves
// (API version 2), a mail server, an MQTT broker. It tries once; who calls it tries again.
package send

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"scada/alarms/notify"
)

const (
	// DefaultTimeout is how long one attempt may take.
	DefaultTimeout = 10 * time.Second
	// MaxTimeout bounds what may be configured.
	MaxTimeout = time.Minute
	// maxAnswer is how much of an answer is read, in bytes.
	maxAnswer = 64 << 10
	// maxReason is how much of it is shown.
	maxReason = 200
)

// ErrRefused is the reason of a receiver that understood and will never take it: trying again is of no use.
var ErrRefused = errors.New("the receiver refuses it")

// Sender takes batches to one receiver. Its methods are called one at a time.
type Sender interface {
	// Send returns when the receiver has confirmed that it has the whole batch, or why not.
	Send(ctx context.Context, b notify.Batch) error
	// Close ends what the sender keeps open.
	Close()
}

// Receiver is the configuration of one; exactly one of the kinds is set.
type Receiver struct {
	Name         string
	Timeout      time.Duration
	Webhook      *Webhook
	Alertmanager *Alertmanager
	SMTP         *SMTP
	MQTT         *MQTT
}

// Options is what all senders need.
type Options struct {
	Project     string
	Node        string
	ExternalURL string // of the dashboard, equal on both nodes
	Dial        func(ctx context.Context, network, address string) (net.Conn, error)
	Log         *slog.Logger
}

// New returns the sender of a receiver.
func New(r Receiver, o Options) (Sender, error) {
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
	var s Sender
	var err error
	switch {
	case r.Webhook != nil:
		s = newWebhook(r, o)
	case r.Alertmanager != nil:
		s = newAlertmanager(r, o)
	case r.SMTP != nil:
		s = newMailer(r, o)
	case r.MQTT != nil:
		s = newPublisher(r, o)
	default:
		err = fmt.Errorf("receiver %q is of no kind", r.Name)
	}
	if err != nil {
		return nil, err
	}
	return limited{s, timeoutOf(r)}, nil
}

func timeoutOf(r Receiver) time.Duration {
	if r.Timeout == 0 {
		return DefaultTimeout
	}
	return r.Timeout
}

// limited bounds each attempt.
type limited struct {
	Sender
	timeout time.Duration
}

func (l limited) Send(ctx context.Context, b notify.Batch) error {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	return l.Sender.Send(ctx, b)
}

// batchID names a batch: the same items are the same batch, whoever sends it.
func batchID(b notify.Batch) string {
	h := sha256.New()
	for _, it := range b.Items {
		h.Write([]byte(it.ID))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

func instant(ns int64) time.Time { return time.Unix(0, ns).UTC() }

func short(b []byte) string {
	if len(b) > maxReason {
		b = b[:maxReason]
	}
	return string(b)
}
