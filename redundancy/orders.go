package redundancy

import (
	"context"
	"fmt"
	"strings"
	"time"

	"scada/redundancy/role"
	"scada/redundancy/wire"
)

// area returns the area with the name, with n.mu held, or an error without it.
func (n *Node) lock(name string) (*area, error) {
	n.mu.Lock()
	if a := n.areas[name]; a != nil {
		return a, nil
	}
	n.mu.Unlock()
	return nil, fmt.Errorf("%w: %q", ErrUnknownArea, name)
}

// Publish appends records to the stream of an active area and returns the position of the last one, or 0 when the area
// is not active here (any more). It never blocks. Positions count from 1 in each term. The payloads belong to the node
// from here on; a record longer than [MaxRecord] is a mistake of the caller and panics.
func (n *Node) Publish(area string, records ...Record) uint64 {
	for _, r := range records {
		if len(r.Payload) > MaxRecord {
			panic(fmt.Sprintf("redundancy: a record of %d bytes, the limit is %d", len(r.Payload), MaxRecord))
		}
	}
	a, err := n.lock(area)
	if err != nil {
		return 0
	}
	r := a.ring
	n.mu.Unlock()
	if r == nil || len(records) == 0 {
		return 0
	}
	return r.add(records, time.Now())
}

// WaitDurable waits until the standby has everything up to seq on disk, and returns with Solo as soon as there is no
// standby to wait for. The error is ctx's, or ErrNotActive when the term ended meanwhile.
// Positions are those of a term: when it is over, nothing is known of them any more ([ErrNotActive]).
func (n *Node) WaitDurable(ctx context.Context, area string, epoch, seq uint64) (Durability, error) {
	for {
		a, err := n.lock(area)
		if err != nil {
			return Solo, err
		}
		s, acks, ready := a.sub, a.acks, a.ring != nil && a.term.Epoch == a.ring.epoch && a.live.Err() == nil
		other := a.term.Epoch != epoch
		solo := s == nil || !s.synced
		durable := !solo && !other && s.durable >= seq
		n.mu.Unlock()
		switch {
		case durable:
			return Durable, nil
		case !ready || other:
			return Solo, ErrNotActive
		case solo:
			return Solo, nil
		}
		select {
		case <-acks:
		case <-ctx.Done():
			return Solo, ctx.Err()
		}
	}
}

// MayWrite reports whether this node may write to a device of the area, or send a notification, at this very moment.
// Ask immediately before each send.
func (n *Node) MayWrite(area string) bool {
	a, err := n.lock(area)
	if err != nil {
		return false
	}
	defer n.mu.Unlock()
	return a.mayWrite(n.now())
}

// Switch moves the area from the active node to the other one, without a gap, whichever node it is called on. It
// returns when the other node is active, or why it is not. After an operator's switch automatic hand-back waits for a
// release.
func (n *Node) Switch(ctx context.Context, area, reason string) error {
	return n.change(ctx, area, role.Planned, reason)
}

// Drill is Switch with the kind drill; automatic hand-back does not wait for a release after it.
func (n *Node) Drill(ctx context.Context, area, reason string) error {
	return n.change(ctx, area, role.Drill, reason)
}

func (n *Node) change(ctx context.Context, area string, kind role.Kind, reason string) error {
	a, err := n.lock(area)
	if err != nil {
		return err
	}
	a.refresh()
	actions, err := a.machine.Switch(n.now(), kind, reason)
	var end chan string
	if err == nil {
		end = make(chan string, 1)
		a.waiters = append(a.waiters, end)
	}
	a.dispatch(actions)
	n.rearm()
	n.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case problem := <-end:
		if problem != "" {
			return fmt.Errorf("%w: %s", ErrRefused, strings.TrimPrefix(problem, ErrRefused.Error()+": ")) // the peer says it, too
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Take makes this node active by force. A peer that is heard loses its lease first, so this may take as long as a
// take-over; on an active node whose peer is silent it confirms that the peer is dead, and device writes are released.
func (n *Node) Take(area, reason string) error {
	return n.tell(area, func(m *role.Machine, now time.Duration) ([]role.Action, error) { return m.Take(now, reason) })
}

// Release gives the choice of the active node back to the automatic after an operator's switch or take.
func (n *Node) Release(area, reason string) error {
	return n.tell(area, func(m *role.Machine, now time.Duration) ([]role.Action, error) { return m.Release(now, reason) })
}

// Maintenance takes the area on this node out of service or back into it. It is refused on an active node: switch first.
func (n *Node) Maintenance(area string, on bool, reason string) error {
	return n.tell(area, func(m *role.Machine, now time.Duration) ([]role.Action, error) {
		return m.Maintenance(now, on, reason)
	})
}

func (n *Node) tell(area string, order func(*role.Machine, time.Duration) ([]role.Action, error)) error {
	a, err := n.lock(area)
	if err != nil {
		return err
	}
	defer n.mu.Unlock()
	a.refresh()
	actions, err := order(a.machine, n.now())
	a.dispatch(actions)
	n.rearm()
	return err
}

// FirstValue tells that the last of an area's devices gave its first good value after an activation.
func (n *Node) FirstValue(area string, at time.Time) {
	a, err := n.lock(area)
	if err != nil {
		return
	}
	defer n.mu.Unlock()
	if a.last != nil && a.last.FirstValue == 0 && a.last.Epoch == a.term.Epoch {
		a.last.FirstValue = max(1, at.Sub(a.decided))
	}
}

// Proof completes the record of the latest switch with what the host's proof tag counted.
func (n *Node) Proof(area string, missedSlots, duplicates int) {
	a, err := n.lock(area)
	if err != nil {
		return
	}
	defer n.mu.Unlock()
	if a.last != nil {
		a.last.MissedSlots, a.last.Duplicates = missedSlots, duplicates
	}
}

func (s *Switch) wire() wire.Switch {
	return wire.Switch{Area: s.Area, From: s.From, To: s.To, Reason: s.Reason, Kind: s.Kind, At: s.At.UnixNano(), Epoch: s.Epoch,
		Detect: int64(s.Detect), Activate: int64(s.Activate), FirstValue: int64(s.FirstValue),
		Missed: uint32(s.MissedSlots), Duplicates: uint32(s.Duplicates)}
}

func switchOf(w wire.Switch) *Switch {
	if w.To == "" {
		return nil
	}
	return &Switch{Area: w.Area, From: w.From, To: w.To, Reason: w.Reason, Kind: w.Kind, At: time.Unix(0, w.At), Epoch: w.Epoch,
		Detect: time.Duration(w.Detect), Activate: time.Duration(w.Activate), FirstValue: time.Duration(w.FirstValue),
		MissedSlots: int(w.Missed), Duplicates: int(w.Duplicates)}
}
