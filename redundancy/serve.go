package redundancy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"scada/redundancy/role"
	"scada/redundancy/wire"
)

// flushLimit is how long a node that leaves waits for the standby to have everything.
const flushLimit = time.Second

// subscriber is the standby as the active node of an area serves it.
type subscriber struct {
	link  *link
	epoch uint64
	more  chan struct{}

	// Guarded by n.mu.
	synced  bool // it has reported a position of this term
	applied uint64
	durable uint64
	steps   []pendingStep
	closed  bool
}

// pendingStep waits until the records up to after have been sent.
type pendingStep struct {
	message wire.Step
	after   uint64
}

func (s *subscriber) wake() {
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// serveStream sends an area's stream to the standby that has dialled.
func (n *Node) serveStream(l *link) {
	m, err := l.receive(wire.MaxHello, n.patience())
	if err != nil {
		return
	}
	open, ok := m.(wire.Open)
	if !ok {
		return
	}
	a := n.areas[open.Area]
	if a == nil {
		_ = l.send(wire.Reject{Reason: fmt.Sprintf("unknown area %q", open.Area)}, n.patience())
		return
	}
	s, r, live := a.subscribe(l)
	if s == nil {
		_ = l.send(wire.Reject{Reason: "the area is not active here"}, n.patience())
		return
	}
	done := make(chan error, 1)
	n.spawn(func() { done <- a.readSubscriber(live, s) })
	next := uint64(0) // a snapshot first
	if open.Epoch == r.epoch && r.has(open.Seq+1) {
		next = open.Seq + 1
	}
	err = a.feed(s, r, next)
	_ = l.raw.Close()
	err = errors.Join(err, <-done)
	a.unsubscribe(s, err)
}

// subscribe makes the connection the area's one standby.
func (a *area) subscribe(l *link) (*subscriber, *ring, context.Context) {
	a.n.mu.Lock()
	defer a.n.mu.Unlock()
	if r, _ := a.machine.Role(); r != role.Active || !a.ready {
		return nil, nil, nil
	}
	a.closeSubscriber()
	a.sub = &subscriber{link: l, epoch: a.term.Epoch, more: make(chan struct{}, 1)}
	return a.sub, a.ring, a.live
}

// closeSubscriber ends the present standby's stream.
func (a *area) closeSubscriber() {
	if a.sub == nil {
		return
	}
	a.sub.closed = true
	_ = a.sub.link.raw.Close()
	a.sub = nil
	a.wakeAcks()
	a.enqueue(a.streamLost)
}

func (a *area) unsubscribe(s *subscriber, why error) {
	a.n.mu.Lock()
	defer a.n.mu.Unlock()
	if a.sub == s {
		a.closeSubscriber()
	}
	a.n.note(slog.LevelInfo, "The standby's stream ended", "area", a.name, "reason", plain(why))
	a.n.event(a.name, EventMirror, "the stream to "+a.n.cfg.Peer+" ended", s.epoch)
}

func (a *area) wakeAcks() {
	close(a.acks)
	a.acks = make(chan struct{})
}

// feed sends records and steps until the connection breaks or is closed.
func (a *area) feed(s *subscriber, r *ring, next uint64) error {
	beat := time.NewTicker(streamBeat)
	defer beat.Stop()
	for {
		if next == 0 {
			seq, err := a.sendSnapshot(s)
			if err != nil {
				return err
			}
			next = seq + 1
		}
		list, at, changed, ok := r.get(next)
		if !ok {
			next = 0
			continue
		}
		if len(list) > 0 {
			if err := s.link.send(wire.Records{Epoch: r.epoch, First: next, Wall: at.UnixNano(), Records: list}, streamTimeout); err != nil {
				return err
			}
			next += uint64(len(list))
			continue
		}
		step, closed := a.nextStep(s, next)
		switch {
		case closed:
			return errors.New("closed")
		case step != nil:
			if err := s.link.send(*step, streamTimeout); err != nil {
				return err
			}
			continue
		}
		select {
		case <-changed:
		case <-s.more:
		case <-beat.C:
			if err := s.link.send(wire.Records{Epoch: r.epoch, First: next}, streamTimeout); err != nil {
				return err
			}
		}
	}
}

func (a *area) nextStep(s *subscriber, next uint64) (*wire.Step, bool) {
	a.n.mu.Lock()
	defer a.n.mu.Unlock()
	if s.closed || len(s.steps) == 0 || s.steps[0].after >= next {
		return nil, s.closed
	}
	step := s.steps[0].message
	s.steps = s.steps[1:]
	return &step, false
}

// sendSnapshot sends the whole state of the area and returns its position.
func (a *area) sendSnapshot(s *subscriber) (uint64, error) {
	seq, records := a.n.host.Snapshot(a.name)
	a.n.mu.Lock()
	over := a.term.Epoch != s.epoch || !a.ready
	a.n.mu.Unlock()
	if over {
		return 0, ErrNotActive
	}
	if err := s.link.send(wire.SnapshotBegin{Epoch: s.epoch, Seq: seq}, streamTimeout); err != nil {
		return 0, err
	}
	for rest := records; len(rest) > 0; {
		var part []wire.Record
		for size := 0; len(rest) > 0 && len(part) < wire.MaxRecords; {
			size += len(rest[0].Payload)
			if len(part) > 0 && size > wire.BatchBytes {
				break
			}
			part, rest = append(part, wire.Record(rest[0])), rest[1:]
		}
		if err := s.link.send(wire.SnapshotPart{Records: part}, streamTimeout); err != nil {
			return 0, err
		}
	}
	return seq, s.link.send(wire.SnapshotEnd{Count: uint64(len(records))}, streamTimeout)
}

// readSubscriber reads what the standby says on its stream connection.
func (a *area) readSubscriber(live context.Context, s *subscriber) error {
	running := make(chan struct{}, MaxCommands)
	for {
		m, err := s.link.receive(wire.MaxFrame, streamTimeout)
		if err != nil {
			s.wake()
			a.n.mu.Lock()
			s.closed = true
			a.n.mu.Unlock()
			return err
		}
		switch m := m.(type) {
		case wire.Applied:
			a.applied(s, m)
		case wire.Command:
			select {
			case running <- struct{}{}:
				a.n.spawn(func() {
					defer func() { <-running }()
					a.command(live, s, m)
				})
			default:
				err = s.link.send(wire.Result{ID: m.ID, Error: fmt.Sprintf("more than %d commands at once", MaxCommands)}, streamTimeout)
			}
		default:
			err = fmt.Errorf("%w: %T from a standby", wire.ErrFormat, m)
		}
		if err != nil {
			_ = s.link.raw.Close()
			return err
		}
	}
}

func (a *area) applied(s *subscriber, m wire.Applied) {
	a.n.mu.Lock()
	defer a.n.mu.Unlock()
	if m.Epoch != s.epoch {
		return
	}
	if !s.synced {
		s.synced = true
		a.n.note(slog.LevelInfo, "The standby follows the stream", "area", a.name, "epoch", s.epoch, "applied", m.Applied)
		a.n.event(a.name, EventMirror, a.n.cfg.Peer+" follows the stream", s.epoch)
	}
	s.applied, s.durable = max(s.applied, m.Applied), max(s.durable, m.Durable)
	a.wakeAcks()
}

// flush waits until the standby has applied everything, for a moment.
func (a *area) flush() {
	limit := time.NewTimer(flushLimit)
	defer limit.Stop()
	for {
		a.n.mu.Lock()
		s, acks := a.sub, a.acks
		behind := s != nil && a.ring != nil && s.applied < a.ring.position()
		a.n.mu.Unlock()
		if !behind {
			return
		}
		select {
		case <-acks:
		case <-limit.C:
			return
		}
	}
}
