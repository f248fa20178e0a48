// Package witness asks third parties why the peer is silent on every path, and holds the leases they keep.
//
// Two nodes alone cannot tell a dead peer from a cut link. A [Set] asks, in this order, addresses that only a node
// which is not cut off reaches, a lease in a folder both mount, and a lease in a field device; the first that knows
// answers. A lease is more than an answer: it is a fence ([Set.MayWrite]), and what one node was told of the other is
// only as good as that both keep to it. DESIGN.md says what each witness can tell and what not.
package witness

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"scada/redundancy/role"
	"scada/redundancy/witness/lease"
)

// Options is what a [Set] is made of.
type Options struct {
	Config Config
	// Project, Self and Peer name the pair's leases and tell its nodes apart.
	Project, Self, Peer string
	Areas               []string
	// Interval is the least interval of a lease that names none: a pair with slow heartbeats needs no faster lease.
	Interval time.Duration
	// Acting says whether this node is active for the area, and so wants its leases. It must not block.
	Acting func(area string) bool
	// Dial defaults to the real network.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// FieldDial reaches the devices. It defaults to Dial.
	FieldDial func(ctx context.Context, network, address string) (net.Conn, error)
	// Log defaults to silence.
	Log *slog.Logger
}

// asker is one witness. Unknown passes the question on.
type asker interface {
	ask(ctx context.Context) role.Verdict
}

// Set is all witnesses of a node. It implements redundancy.Witness.
type Set struct {
	keepers []*keeper
	askers  map[string][]asker   // area -> in the order in which they are asked
	leases  map[string][]*keeper // area -> the leases a write needs
}

// New returns the witnesses. Leases are kept while [Set.Run] runs.
func New(o Options) (*Set, error) {
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
	if o.FieldDial == nil {
		o.FieldDial = o.Dial
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Set{askers: map[string][]asker{}, leases: map[string][]*keeper{}}
	for _, t := range o.Config.TCP {
		for _, area := range o.Areas {
			s.askers[area] = append(s.askers[area], &targets{TCP: t, dial: o.Dial})
		}
	}
	for _, f := range o.Config.Files {
		for _, area := range o.Areas {
			cells := newFolder(f.Folder, o.Project, area, o.Self, o.Peer)
			if err := s.keep(o, area, "file "+f.Folder, f.Interval, cells); err != nil {
				return nil, err
			}
		}
	}
	for _, m := range o.Config.Modbus {
		if err := s.keep(o, m.Area, "device "+m.Endpoint, m.Interval, newDevice(m, index(o), o.FieldDial)); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// index tells the nodes apart in the same way on both.
func index(o Options) int {
	if o.Self < o.Peer {
		return 0
	}
	return 1
}

// keep adds a lease.
func (s *Set) keep(o Options, area, name string, interval time.Duration, c cells) error {
	var random [4]byte
	if _, err := rand.Read(random[:]); err != nil {
		return fmt.Errorf("witness %s: a random mark: %w", name, err)
	}
	interval = cmp.Or(interval, max(DefaultInterval, min(o.Interval, lease.MaxInterval)))
	core, err := lease.New(lease.Timed(index(o), interval, binary.BigEndian.Uint32(random[:])|1))
	if err != nil {
		return fmt.Errorf("witness %s: %w", name, err)
	}
	k := &keeper{
		cells: c, core: core, timeout: lease.Timed(0, interval, 0).Timeout(), start: time.Now(), news: make(chan struct{}),
		wanted: func() bool { return o.Acting(area) }, log: o.Log.With("area", area, "witness", name),
	}
	s.keepers = append(s.keepers, k)
	s.askers[area] = append(s.askers[area], k)
	s.leases[area] = append(s.leases[area], k)
	return nil
}

// Run keeps the leases until ctx ends. The leases of this node then end by themselves.
func (s *Set) Run(ctx context.Context) error {
	var all sync.WaitGroup
	for _, k := range s.keepers {
		all.Go(func() { k.run(ctx) })
	}
	all.Wait()
	return nil
}

// budget is the part of the time left that is used for asking: an answer after the asker's deadline counts for nothing.
const (
	budgetParts = 5
	budgetUsed  = 4
	noDeadline  = time.Second
)

// Ask returns what the first witness that knows says of the peer. A node that holds every lease of the area needs to
// ask nobody: whatever the others say, the peer cannot write.
func (s *Set) Ask(ctx context.Context, area string) role.Verdict {
	if len(s.leases[area]) > 0 && s.MayWrite(area) {
		return role.PeerDead
	}
	left := noDeadline
	if deadline, ok := ctx.Deadline(); ok {
		left = time.Until(deadline) * budgetUsed / budgetParts
	}
	end := time.Now().Add(left)
	askers := s.askers[area]
	for i, a := range askers {
		share := time.Until(end) / time.Duration(len(askers)-i)
		within, cancel := context.WithTimeout(ctx, share)
		v := a.ask(within)
		cancel()
		if v != role.Unknown {
			return v
		}
	}
	return role.Unknown
}

// MayWrite reports whether this node holds every lease of the area, at this very moment. An area without leases is not
// fenced.
func (s *Set) MayWrite(area string) bool {
	for _, k := range s.leases[area] {
		if !k.holds() {
			return false
		}
	}
	return true
}
