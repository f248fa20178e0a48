package uaserver

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gopcua/opcua/ua"

	"scada/web/uaserver/channel"
	"scada/web/uaserver/monitor"
	"scada/web/uaserver/space"
)

const (
	houseTime        = time.Second            // between two looks for what has expired
	sessionlessTime  = time.Minute            // a connection without a session is kept this long
	acceptPause      = 100 * time.Millisecond // after an error to accept: out of descriptors, most likely
	serviceLevelTime = 100 * time.Millisecond // a ServiceLevel read is at most this old
)

// Server is an OPC UA server for one [Backend].
type Server struct {
	cfg     Config
	backend Backend
	log     *slog.Logger
	rev     atomic.Pointer[revision]
	engine  *monitor.Engine
	alarms  *alarmDesk
	channel channel.Config
	started time.Time
	level   levelCache
	reads   chan struct{} // holds one element for each request the archive works on
	stopped <-chan struct{}

	observatory observatory

	// revising is held while items are made, so that they are of the present revision.
	revising sync.RWMutex

	mu       sync.Mutex
	url      string // of the listener, told to clients that do not say which they used
	conns    map[*conn]struct{}
	sessions map[string]*session // by authentication token
	nextConn uint32
	counts   counts
}

// counts are the cumulated numbers of ServerDiagnosticsSummary.
type counts struct {
	sessions, rejectedSecurity, rejected, timedOut, aborted, rejectedRequests, refusedRequests atomic.Uint32
}

// New returns a server; it serves nothing before [Server.Serve].
func New(cfg Config, backend Backend) (*Server, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, backend: backend, log: cfg.Logger, started: time.Now(), alarms: newAlarmDesk(),
		conns: map[*conn]struct{}{}, sessions: map[string]*session{}, url: cfg.EndpointURL,
		reads: make(chan struct{}, maxHistoryReads),
	}
	tags, table := backend.Tags(), backend.Live()
	if len(tags) != table.Len() {
		return nil, fmt.Errorf("opc ua server: %d tags, but a table for %d", len(tags), table.Len())
	}
	l := cfg.Limits
	s.engine = monitor.New(table, monitor.Limits{
		SubscriptionsPerServer: l.SubscriptionsPerServer, Subscriptions: l.Subscriptions,
		Items: l.MonitoredItems, ItemsPerSubscription: l.ItemsPerSubscription,
		Queue: l.QueueSize, Publish: l.PublishRequests, Retransmission: l.Retransmission,
		MinPublishing: l.MinPublishing, MinSampling: l.MinSampling,
	})
	callable := methods()
	if cfg.Alarms != nil {
		callable = append(callable, alarmMethods()...)
	}
	conditions := s.conditions()
	nodes, err := space.New(space.Options{
		Project: cfg.Project, Tags: tags, Values: s.values(), Methods: callable, Conditions: spaceConditions(conditions), Redundant: len(backend.Servers()) > 1,
		History: cfg.History != nil, EventHistory: cfg.alarmJournal() != nil, Aggregates: aggregateIDs[:],
	})
	if err != nil {
		return nil, fmt.Errorf("opc ua server: %w", err)
	}
	s.rev.Store(&revision{s: s, space: nodes, table: table})
	s.alarms.revise(conditions)
	s.channel = channel.Config{MaxMessage: l.MessageBytes, TokenLifetime: l.TokenLifetime}
	if cfg.Identity != nil {
		s.channel.Certificate, s.channel.Key, s.channel.Verify = cfg.Identity.Certificate, cfg.Identity.Key, s.verify
	}
	return s, nil
}

// verify asks the trust list, and gives its refusals the form in which the channel tells the client.
func (s *Server) verify(der []byte) (*x509.Certificate, error) {
	cert, err := s.cfg.Trust.Verify(der)
	if err != nil {
		s.log.Warn("OPC UA client certificate refused", "error", err)
		return nil, fmt.Errorf("%w: %w", statusOf(err), err)
	}
	return cert, nil
}

// Serve accepts clients on l until ctx ends or the listener fails. It closes l and every connection, and when it
// returns nothing of it is left running. It can be called once.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	if s.cfg.EndpointURL == "" {
		s.mu.Lock()
		s.url = "opc.tcp://" + l.Addr().String()
		s.mu.Unlock()
	}
	ctx, cancel := context.WithCancel(ctx)
	s.stopped = ctx.Done()
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	all.Go(func() { s.engine.Run(ctx) })
	all.Go(func() { s.keepHouse(ctx) })
	all.Go(func() { s.tellEvents(ctx) })
	stop := context.AfterFunc(ctx, func() { _ = l.Close() }) // wakes Accept; an error changes nothing
	defer stop()
	defer func() { _ = l.Close() }()
	for {
		nc, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = nc.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept opc ua client: %w", err)
		case err != nil:
			// One client's reset, or no descriptor for now, must not end the server.
			s.log.Warn("cannot accept an OPC UA client", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(acceptPause):
			}
			continue
		}
		if c := s.admit(nc); c != nil {
			all.Go(func() { c.serve(ctx) })
		}
	}
}

// keepHouse ends what has expired.
func (s *Server) keepHouse(ctx context.Context) {
	tick := time.NewTicker(houseTime)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if s.observatory.wanted.Swap(false) {
				s.takeSnapshot()
			}
			for _, x := range s.expired(now) {
				s.counts.timedOut.Add(1)
				s.log.Info("OPC UA session timed out", "session", x.name, "user", x.user.Name)
				x.client.Close(false, ua.StatusBadSessionClosed)
				s.mu.Lock()
				left, changed := x.present(ClientLost, "silent")
				s.mu.Unlock()
				s.tell(left, changed)
			}
		}
	}
}

// expired removes the sessions that were silent too long, and kills connections that never got one.
func (s *Server) expired(now time.Time) []*session {
	s.mu.Lock()
	defer s.mu.Unlock()
	var gone []*session
	for token, x := range s.sessions {
		if now.Sub(time.Unix(0, x.seen.Load())) > x.timeout {
			s.unbind(x)
			delete(s.sessions, token)
			gone = append(gone, x)
		}
	}
	for c := range s.conns {
		if c.sessions.Load() == 0 && now.Sub(c.since) > sessionlessTime {
			c.kill()
		}
	}
	return gone
}

// levelCache saves the backend from being asked for each of many readers.
type levelCache struct {
	mu sync.Mutex
	at time.Time
	v  byte
}

func (s *Server) serviceLevel() byte {
	s.level.mu.Lock()
	defer s.level.mu.Unlock()
	if now := time.Now(); now.Sub(s.level.at) >= serviceLevelTime/2 {
		s.level.at, s.level.v = now, s.backend.ServiceLevel()
	}
	return s.level.v
}
