package plc

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// Limits of a server.
const (
	DefaultMaxConnections = 32
	maxInFlight           = 64 // requests of one connection answered at a time, when in parallel
	relistenEvery         = 100 * time.Millisecond
)

// LinePrefix begins an address that is a serial line: a path, which is made, to a pseudo terminal. Its framing is RTU.
const LinePrefix = "pty:"

// Unit is one unit id behind a server.
type Unit struct {
	Device   string // the name in the journal
	Bank     Bank
	Identity Identity
}

// Options describe a server.
type Options struct {
	Name           string
	Address        string // host:port; port 0 takes a free one; or [LinePrefix] and a path
	Framing        Framing
	Units          map[uint8]Unit
	MaxConnections int           // further ones are closed at once; 0 means [DefaultMaxConnections]
	Latency        time.Duration // from request to answer
	Parallel       bool          // answer requests at the same time, not one after another
	Journal        *Journal      // nil means none
	Listen         func(network, address string) (net.Listener, error)
	Log            *slog.Logger
}

// Server is one Modbus address: a controller, or a gateway with several units behind it.
type Server struct {
	o    Options
	line chan struct{} // held while answering, when one after another

	mu       sync.Mutex
	listener net.Listener
	addr     net.Addr
	conns    map[net.Conn]struct{}
	faults   []*Fault
	refusing bool
	stopped  bool
	changed  chan struct{}
}

// New returns a server; [Server.Run] serves.
func New(o Options) *Server {
	if o.Listen == nil {
		o.Listen = net.Listen
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Journal == nil {
		o.Journal = NewJournal(1)
	}
	o.MaxConnections = cmp.Or(o.MaxConnections, DefaultMaxConnections)
	return &Server{o: o, line: make(chan struct{}, 1), conns: map[net.Conn]struct{}{}, changed: make(chan struct{}, 1)}
}

// Listen opens the address, so that [Server.Addr] is known before Run.
func (s *Server) Listen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil || s.refusing {
		return nil
	}
	address := s.o.Address
	if s.addr != nil {
		address = s.addr.String()
	}
	var l net.Listener
	var err error
	if link, ok := strings.CutPrefix(s.o.Address, LinePrefix); ok {
		l, err = listenLine(link)
	} else {
		l, err = s.o.Listen("tcp", address)
	}
	if err != nil {
		return fmt.Errorf("simulated device %s: %w", s.o.Name, err)
	}
	s.listener, s.addr = l, l.Addr()
	return nil
}

// Addr returns where the server listens, nil before [Server.Listen].
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}

// Run serves until ctx is done. It returns an error only if the address cannot be opened at all.
func (s *Server) Run(ctx context.Context) error {
	if err := s.Listen(); err != nil {
		return err
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer context.AfterFunc(ctx, s.stop)()
	for ctx.Err() == nil {
		s.mu.Lock()
		l := s.listener
		s.mu.Unlock()
		if l != nil {
			s.accept(ctx, l, &wg)
			continue
		}
		if !s.pause(ctx) {
			break
		}
		if err := s.Listen(); err != nil {
			s.o.Log.Warn("simulated device cannot listen again", "device", s.o.Name, "err", err)
		}
	}
	s.stop()
	return nil
}

// pause waits for the end of a refusal, or a moment after an address could not be opened.
func (s *Server) pause(ctx context.Context) bool {
	t := time.NewTimer(relistenEvery)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-s.changed:
	case <-t.C:
	}
	return true
}

func (s *Server) accept(ctx context.Context, l net.Listener, wg *sync.WaitGroup) {
	for {
		c, err := l.Accept()
		if err != nil {
			s.mu.Lock()
			if s.listener == l {
				s.listener = nil
			}
			s.mu.Unlock()
			_ = l.Close() // it failed or was closed by us: either way it is done
			return
		}
		if !s.admit(c) {
			_ = c.Close() // the client sees why: it was closed
			continue
		}
		wg.Go(func() {
			defer s.dismiss(c)
			s.serve(ctx, c)
		})
	}
}

func (s *Server) admit(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped || s.refusing || len(s.conns) >= s.o.MaxConnections {
		return false
	}
	s.conns[c] = struct{}{}
	s.o.Journal.connected(s.o.Name, host(c), time.Now())
	return true
}

func (s *Server) dismiss(c net.Conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	_ = c.Close() // nothing is owed to a client that is gone
}

// Connections returns the remote addresses connected now.
func (s *Server) Connections() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	for c := range s.conns {
		list = append(list, c.RemoteAddr().String())
	}
	slices.Sort(list)
	return list
}

func (s *Server) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	s.hangUp(false)
}

// hangUp closes the listener and every connection. The caller holds the lock.
func (s *Server) hangUp(rst bool) {
	if s.listener != nil {
		_ = s.listener.Close() // ends accept
		s.listener = nil
	}
	for c := range s.conns {
		if rst {
			reset(c)
		}
		_ = c.Close() // ends serve
	}
}

// Inject makes the server misbehave from now on, in addition to what it already does.
func (s *Server) Inject(f Fault) error {
	if err := f.Check(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
	s.apply()
	return nil
}

// Clear ends every fault of the unit; 0 ends them all.
func (s *Server) Clear(unit uint8) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = slices.DeleteFunc(s.faults, func(f *Fault) bool { return unit == 0 || f.Unit == unit })
	s.apply()
}

// Faults returns the faults in force.
func (s *Server) Faults() []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Fault
	for _, f := range s.faults {
		list = append(list, *f)
	}
	return list
}

// apply brings what is not per request in line with the faults. The caller holds the lock.
func (s *Server) apply() {
	frozen := map[uint8]bool{}
	refuse := false
	for _, f := range s.faults {
		refuse = refuse || f.Kind == Refuse
		for u := range s.o.Units {
			frozen[u] = frozen[u] || f.Kind == Freeze && f.matches(u, 0)
		}
	}
	for u, unit := range s.o.Units {
		if z, ok := unit.Bank.(Freezer); ok {
			z.Freeze(frozen[u])
		}
	}
	s.refusing = refuse
	if refuse {
		s.hangUp(true)
	}
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// pick returns the fault that happens to this request, if any.
func (s *Server) pick(unit, function uint8) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.faults {
		if !f.perRequest() || !f.matches(unit, function) {
			continue
		}
		if f.After > 0 {
			f.After--
			continue
		}
		if f.Count == 1 {
			s.faults = slices.Delete(s.faults, i, i+1)
		} else if f.Count > 1 {
			f.Count--
		}
		return *f, true
	}
	return Fault{}, false
}

func (s *Server) serve(ctx context.Context, c net.Conn) {
	x := &exchange{server: s, conn: c, remote: c.RemoteAddr().String(), slots: make(chan struct{}, maxInFlight)}
	defer x.wg.Wait()
	r := bufio.NewReaderSize(c, 512)
	for ctx.Err() == nil {
		f, err := readFrame(r, s.o.Framing)
		if err != nil {
			if errors.Is(err, errFrame) {
				s.o.Log.Info("request refused", "device", s.o.Name, "remote", x.remote, "err", err)
			}
			return
		}
		if !x.request(ctx, f) {
			return
		}
	}
}

func host(c net.Conn) string { return hostOf(c.RemoteAddr().String()) }

// hostOf returns the address without its port.
func hostOf(remote string) string {
	h, _, err := net.SplitHostPort(remote)
	if err != nil {
		return remote
	}
	return h
}

// reset makes the close that follows a TCP reset where the connection knows what that is.
func reset(c net.Conn) {
	if t, ok := c.(interface{ SetLinger(int) error }); ok {
		_ = t.SetLinger(0) // at worst it becomes an ordinary close
	}
}
