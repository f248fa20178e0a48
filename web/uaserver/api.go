package uaserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/gopcua/opcua/ua"

	"scada/acquisition/live"
	"scada/acquisition/tag"
)

// Config is what the plant's configuration says of the server. The zero value of a field that is not required is
// replaced by its default in [New].
type Config struct {
	// Project names the folder under Objects that holds the tags. Required.
	Project string
	// NamespaceURI names the namespace of the tags; it must be the same on both nodes of a pair. Default
	// urn:scada:<project>.
	NamespaceURI string
	// ApplicationURI names this server; it must differ between the nodes of a pair and, with a certificate, equal the
	// URI in it. Required.
	ApplicationURI string
	// ApplicationName is the name shown to people choosing a server. Default: Project.
	ApplicationName string
	// SoftwareVersion is reported in BuildInfo.
	SoftwareVersion string
	// EndpointURL is the opc.tcp:// address told to clients that do not say which one they used. Default: the
	// listener's address.
	EndpointURL string
	// Identity is the application certificate with its key. Without one only the policy None can be offered.
	Identity *Identity
	// Trust decides on client certificates. Required with Identity.
	Trust *TrustList
	// UserTrust decides on the certificates of users, if the backend knows some by these ([CertificateUsers]).
	UserTrust *TrustList
	// AllowNone offers the security policy None: messages anybody on the network can read and change.
	AllowNone bool
	// AllowAnonymous offers sessions without a user. They read, and do not write.
	AllowAnonymous bool
	// AnonymousMayWrite lets sessions without a user write, too: for a simulated device, never for a plant.
	AnonymousMayWrite bool
	// Hot tells clients of a pair to keep their items on the standby sampling, as it has the values of the active node
	// within milliseconds; else they are told that it is warm: they activate their items when they move to it.
	Hot bool
	// History is the archive of the tags whose definition has one. Without it clients read present values only.
	History Historian
	// Alarms is the alarm engine; with it, [Server.Notify] tells clients of events. Without it there are none.
	Alarms Alarms
	// Clients is told who comes and goes, by many goroutines at once, and must not block; nil: nobody is.
	Clients func(Presence)
	// Limits bounds what clients may take. Zero fields take the values of [DefaultLimits].
	Limits Limits
	// Logger receives connects, disconnects, log-ins and refusals. Default: discard.
	Logger *slog.Logger
}

// Limits bounds what all clients together, and each of them, may take of the server.
type Limits struct {
	Connections            int // open TCP connections
	PerAddress             int // connections from one address on which nobody has logged in, and as many sessions
	Sessions               int // sessions, activated or not
	SubscriptionsPerServer int // subscriptions of all sessions
	Subscriptions          int // subscriptions of one session
	MonitoredItems         int // monitored items of all sessions
	ItemsPerSubscription   int // monitored items of one subscription
	QueueSize              int // samples held for one monitored item
	PublishRequests        int // Publish requests one session may have waiting
	Retransmission         int // messages one subscription keeps for Republish
	OperationsPerCall      int // nodes, items or values in one request
	ContinuationPoints     int // unfinished Browse results of one session
	// HistoryContinuationPoints bounds the unfinished HistoryRead results of one session.
	HistoryContinuationPoints int
	MessageBytes              int           // one request, all chunks together
	SessionTimeout            time.Duration // longest a silent session is kept
	TokenLifetime             time.Duration // longest life of the keys of a secure channel
	MinPublishing             time.Duration // shortest publishing interval
	MinSampling               time.Duration // shortest sampling interval other than 0 (every change)
}

// DefaultLimits returns the limits of a server on the recommended hardware.
func DefaultLimits() Limits {
	return Limits{
		Connections: 200, PerAddress: 50, Sessions: 100, SubscriptionsPerServer: 1000, Subscriptions: 100,
		MonitoredItems: 500_000, ItemsPerSubscription: 100_000, QueueSize: 1000, PublishRequests: 100,
		Retransmission: 20, OperationsPerCall: 10_000, ContinuationPoints: 10, HistoryContinuationPoints: 100, MessageBytes: 8 << 20,
		SessionTimeout: time.Hour, TokenLifetime: time.Hour,
		MinPublishing: 50 * time.Millisecond, MinSampling: 10 * time.Millisecond,
	}
}

// Backend is the node behind the server. Its methods are called from many goroutines at once.
type Backend interface {
	// Tags returns the definitions, each at the index of its ID. They are read in [New] and in [Server.Revise].
	Tags() []tag.Definition
	// Live returns the table of present values of the same revision. It is asked for after Tags.
	Live() *live.Table
	// ServiceLevel returns how well this node serves clients, 0 (maintenance) to 255. It is asked about ten times a
	// second and must not block.
	ServiceLevel() byte
	// Servers returns all servers of the redundant set, this one included, in the same order on each of them. One
	// server, or none, means no redundancy. It must not block.
	Servers() []ServerInfo
	// Authenticate checks a log-in. An error wrapping [ErrUserAccessDenied] is a refusal.
	Authenticate(ctx context.Context, user, password string) (User, error)
	// Write sends a value, already of the type of the tag with that definition, which the present revision may have under
	// another id or not at all, to the device (through the active node if this one is not). It
	// returns when the outcome is known. Use the errors of this package, or [WithStatus], to say why it failed.
	Write(ctx context.Context, user User, def tag.Definition, value tag.Value) error
}

// User is who a session acts for.
type User struct {
	Name     string
	Address  string // of the client without the port, when a session acts for the user
	MayWrite bool   // writable tags show as writable to this user; the Backend still decides on each write
	// MayOperateAlarms lets the user acknowledge, comment and shelve.
	MayOperateAlarms bool
	// MayDiagnose lets the user see what other sessions do: for administrators.
	MayDiagnose bool
}

// ServerInfo describes one server of the redundant set.
type ServerInfo struct {
	ApplicationURI string
	Name           string
	EndpointURLs   []string
}

// StatusError is an error that has an OPC UA status code.
type StatusError struct {
	Status uint32
	Err    error
}

// Error returns the text of the cause.
func (e *StatusError) Error() string {
	if e.Err == nil {
		return ua.StatusCode(e.Status).Error()
	}
	return e.Err.Error()
}

// Unwrap returns the cause.
func (e *StatusError) Unwrap() error { return e.Err }

// WithStatus gives err the OPC UA status code the client will see.
func WithStatus(status tag.Quality, err error) error {
	return &StatusError{Status: uint32(status), Err: err}
}

// The refusals a [Backend] can return, alone or wrapped.
var (
	ErrUserAccessDenied error = &StatusError{uint32(ua.StatusBadUserAccessDenied), errors.New("the user may not do this")}
	ErrNotWritable      error = &StatusError{uint32(ua.StatusBadNotWritable), errors.New("the tag cannot be written")}
	ErrOutOfRange       error = &StatusError{uint32(ua.StatusBadOutOfRange), errors.New("the value is outside the tag's range")}
	ErrInvalidState     error = &StatusError{uint32(ua.StatusBadInvalidState), errors.New("the node cannot do this in its present state")}
	ErrNoCommunication  error = &StatusError{uint32(ua.StatusBadNoCommunication), errors.New("the device or the other node cannot be reached")}
	ErrTimeout          error = &StatusError{uint32(ua.StatusBadTimeout), errors.New("no answer in time")}
)

// statusOf returns the status code a client sees for err.
func statusOf(err error) ua.StatusCode {
	var withStatus *StatusError
	var code ua.StatusCode
	switch {
	case err == nil:
		return ua.StatusOK
	case errors.As(err, &withStatus):
		return ua.StatusCode(withStatus.Status)
	case errors.As(err, &code):
		return code
	case errors.Is(err, context.DeadlineExceeded):
		return ua.StatusBadTimeout
	}
	return ua.StatusBadInternalError
}

// complete checks cfg and fills in the defaults.
func (cfg Config) complete() (Config, error) {
	switch {
	case cfg.Project == "":
		return cfg, errors.New("opc ua server: no project name")
	case cfg.ApplicationURI == "":
		return cfg, errors.New("opc ua server: no application uri")
	case cfg.Identity == nil && !cfg.AllowNone:
		return cfg, errors.New("opc ua server: without a certificate and without policy None nobody could connect")
	case cfg.Identity != nil && cfg.Trust == nil:
		return cfg, errors.New("opc ua server: a certificate needs a trust list")
	case cfg.Identity != nil && cfg.Identity.ApplicationURI != cfg.ApplicationURI:
		return cfg, fmt.Errorf("opc ua server: the certificate is for %q, the server is %q", cfg.Identity.ApplicationURI, cfg.ApplicationURI)
	}
	if cfg.NamespaceURI == "" {
		cfg.NamespaceURI = "urn:scada:" + cfg.Project
	}
	if cfg.ApplicationName == "" {
		cfg.ApplicationName = cfg.Project
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	cfg.Limits = cfg.Limits.complete()
	return cfg, nil
}

func (l Limits) complete() Limits {
	d := DefaultLimits()
	for _, f := range []struct{ have, def *int }{
		{&l.Connections, &d.Connections}, {&l.PerAddress, &d.PerAddress}, {&l.Sessions, &d.Sessions}, {&l.SubscriptionsPerServer, &d.SubscriptionsPerServer},
		{&l.Subscriptions, &d.Subscriptions}, {&l.MonitoredItems, &d.MonitoredItems},
		{&l.ItemsPerSubscription, &d.ItemsPerSubscription}, {&l.QueueSize, &d.QueueSize}, {&l.PublishRequests, &d.PublishRequests},
		{&l.Retransmission, &d.Retransmission}, {&l.OperationsPerCall, &d.OperationsPerCall},
		{&l.ContinuationPoints, &d.ContinuationPoints}, {&l.HistoryContinuationPoints, &d.HistoryContinuationPoints}, {&l.MessageBytes, &d.MessageBytes},
	} {
		if *f.have <= 0 {
			*f.have = *f.def
		}
	}
	for _, f := range []struct{ have, def *time.Duration }{
		{&l.SessionTimeout, &d.SessionTimeout}, {&l.TokenLifetime, &d.TokenLifetime},
		{&l.MinPublishing, &d.MinPublishing}, {&l.MinSampling, &d.MinSampling},
	} {
		if *f.have <= 0 {
			*f.have = *f.def
		}
	}
	return l
}
