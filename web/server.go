package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"scada/web/api"
)

// Server serves one node. Make it with [New], then [Server.Run] it once.
type Server struct {
	cfg     Config
	backend Backend
	log     *slog.Logger

	accounts atomic.Pointer[accounts]
	sessions *sessions
	// federation is the provider that vouches for people; nil: nobody does.
	federation *federation
	atProvider chan struct{}
	gate       gate
	lockout    *lockout
	siege      *siege
	proving    sync.Mutex // held while the journal is verified
	logins     *limiter   // by address
	writes     *limiter   // by user
	nonces     *nonces
	backup     sync.Mutex    // held while one is being taken
	verify     sync.Mutex    // held while the history is read
	exports    chan struct{} // holds a token for each export of samples
	answers    *allowance    // of memory, for answers from the history
	looking    sync.Mutex    // held while the node looks at its machine

	registry *prometheus.Registry
	metrics  *metrics
	static   http.Handler
	handler  http.Handler
	mux      *http.ServeMux
	hub      *hub
	running  tracker

	mu       sync.Mutex
	listener net.Listener
}

// accounts are the users and tokens of one configuration.
type accounts struct {
	users  users
	tokens tokens
}

// New checks the configuration and returns a server that is not listening yet.
func New(cfg Config, backend Backend) (*Server, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Listen == nil {
		cfg.Listen = net.Listen
	}
	if n := len(cfg.PairKey); n > 0 && n < MinPairKey {
		return nil, fmt.Errorf("web: the pair key has %d bytes, it needs %d", n, MinPairKey)
	}
	s := &Server{
		cfg: cfg, backend: backend, log: cfg.Log, sessions: newSessions(), gate: newGate(), lockout: newLockout(), siege: newSiege(),
		logins: newLimiter(loginsPerMinute/60.0, loginBurst), writes: newLimiter(writesPerSecond, writeBurst),
		nonces: newNonces(), registry: prometheus.NewRegistry(), atProvider: make(chan struct{}, maxAtProvider),
		exports: make(chan struct{}, maxExports), answers: newAllowance(maxAnswers),
	}
	var err error
	if s.federation, err = newFederation(cfg); err != nil {
		return nil, err
	}
	if err := s.SetAccounts(cfg.Users, cfg.Tokens); err != nil {
		return nil, err
	}
	s.metrics = newMetrics(s.registry, s)
	if s.static, err = newStatic(cfg.UI); err != nil {
		return nil, fmt.Errorf("web: dashboard: %w", err)
	}
	s.hub = newHub(s)
	if s.handler, err = s.buildHandler(); err != nil {
		return nil, err
	}
	return s, nil
}

// CheckAccounts reports why users and tokens could not be used.
func CheckAccounts(list []User, toks []Token) error {
	_, err := newUsers(list)
	if err != nil {
		return err
	}
	_, err = newTokens(toks)
	return err
}

// SetAccounts replaces the users and tokens, as after a reload of the configuration. Sessions of users that are gone or
// have another role or password end.
func (s *Server) SetAccounts(list []User, toks []Token) error {
	u, err := newUsers(list)
	if err != nil {
		return fmt.Errorf("web: %w", err)
	}
	t, err := newTokens(toks)
	if err != nil {
		return fmt.Errorf("web: %w", err)
	}
	s.accounts.Store(&accounts{users: u, tokens: t})
	s.sessions.endIf(func(sess *session) bool {
		a, ok := s.lookUp(sess.user, sess.account)
		return !ok || !a.same(sess.account) || s.bind(sess.user) != sess.bound
	})
	return nil
}

// Registry is where the other parts of the node register what /metrics shows.
func (s *Server) Registry() *prometheus.Registry { return s.registry }

// Start binds the address, so that [Server.Addr] is known before [Server.Run].
func (s *Server) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		return nil
	}
	l, err := s.cfg.Listen("tcp", s.cfg.Address)
	if err != nil {
		return fmt.Errorf("web: listen on %s: %w", s.cfg.Address, err)
	}
	s.listener = l
	return nil
}

// Addr is the address the server listens on, nil before [Server.Start].
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return nil
	}
	return s.listener.Addr()
}

// Run serves until ctx ends, then closes every connection. When it returns nothing of the server runs any more.
func (s *Server) Run(ctx context.Context) error {
	if err := s.Start(); err != nil {
		return err
	}
	srv := &http.Server{
		Handler: s.handler, TLSConfig: s.cfg.TLS, Protocols: onlyHTTP1(), MaxHeaderBytes: maxHeader,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		ErrorLog:    slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return context.WithValue(ctx, baseKey{}, ctx) },
	}
	watching, stopWatching := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() { defer close(watched); s.watchEnds(watching) }()
	hubDone := make(chan struct{})
	go func() { defer close(hubDone); s.hub.run(ctx) }()
	served := make(chan error, 1)
	go func() { served <- s.serve(srv) }()

	s.log.Info("web interface up", "address", s.Addr().String(), "tls", s.cfg.TLS != nil)
	var err error
	select {
	case <-ctx.Done():
	case err = <-served:
		served <- err
	}
	// The request of a socket ends when its connection does: the hub goes first.
	s.hub.stop()
	<-hubDone
	stopWatching()
	<-watched
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if srv.Shutdown(stopCtx) != nil {
		srv.Close()
	}
	s.running.close()
	if e := <-served; err == nil && !errors.Is(e, http.ErrServerClosed) {
		err = e
	}
	return err
}

// onlyHTTP1 leaves HTTP/2 out: its streams have limits of their own, and the socket needs HTTP/1.1 anyway.
func onlyHTTP1() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	return p
}

func (s *Server) serve(srv *http.Server) error {
	if s.cfg.TLS != nil {
		return srv.ServeTLS(s.listener, "", "")
	}
	return srv.Serve(s.listener)
}

// myArea is this node's state in the area.
func (s *Server) myArea(area string) (api.Area, bool) {
	n, _ := s.backend.Role().Find(s.cfg.Node)
	return n.Area(area)
}

func (s *Server) now() time.Time { return time.Now() }
