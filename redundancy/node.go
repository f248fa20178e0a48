package redundancy

import (
	"context"
	"errors"
	"time"
)

// Errors of the node's methods.
var (
	// ErrNotActive: the area is not active on this node, or no longer in the same term.
	ErrNotActive = errors.New("this node is not active for the area")
	// ErrNoPeer: the peer that should do it cannot be reached.
	ErrNoPeer = errors.New("the peer cannot be reached")
	// ErrRefused: the state of the pair does not allow what was asked.
	ErrRefused = errors.New("refused")
	// ErrUnknownArea: no area has that name.
	ErrUnknownArea = errors.New("unknown area")
)

// Node is one node of a pair. Create it with [New], then call [Node.Run].
type Node struct {
	opts Options
}

// New checks the options and returns a node that does nothing yet.
func New(opts Options) (*Node, error) { return &Node{opts: opts}, nil }

// Run runs the node until ctx ends: then the areas are deactivated, the standby is given what it lacks, the peer is
// told goodbye, and every goroutine has ended when Run returns.
func (n *Node) Run(ctx context.Context) error { <-ctx.Done(); return nil }

// Publish appends records to the stream of an active area and returns the position of the last one, or 0 when the area
// is not active here (any more). It never blocks. Positions count from 1 in each term. The payloads belong to the node
// from here on.
func (n *Node) Publish(area string, records ...Record) uint64 { return 0 }

// Durable is called by the host of a standby when everything up to seq of the epoch is on its disk.
func (n *Node) Durable(area string, epoch, seq uint64) {}

// WaitDurable waits until the standby has everything up to seq on disk, and returns at once with Solo when there is no
// standby to wait for. The error is ctx's, or ErrNotActive when the term ended meanwhile.
func (n *Node) WaitDurable(ctx context.Context, area string, seq uint64) (Durability, error) {
	return Solo, ErrNotActive
}

// MayWrite reports whether this node may write to a device of the area, or send a notification, at this very moment.
// Ask immediately before each send.
func (n *Node) MayWrite(area string) bool { return false }

// Forward has the active node execute a command and returns its answer. On the active itself it calls Host.Command.
func (n *Node) Forward(ctx context.Context, area string, payload []byte) ([]byte, error) {
	return nil, ErrNoPeer
}

// Switch moves the area from the active node to the other one, without a gap, whichever node it is called on. It
// returns when the other node is active, or why it is not. After an operator's switch automatic hand-back waits for a
// release.
func (n *Node) Switch(ctx context.Context, area, reason string) error { return ErrRefused }

// Drill is Switch with the kind drill.
func (n *Node) Drill(ctx context.Context, area, reason string) error { return ErrRefused }

// Take makes this node active by force. A peer that is heard loses its lease first, so this may take as long as a
// take-over; on an active node whose peer is silent it confirms that the peer is dead, and device writes are released.
func (n *Node) Take(area, reason string) error { return ErrRefused }

// Release gives the choice of the active node back to the automatic after an operator's switch or take.
func (n *Node) Release(area, reason string) error { return ErrRefused }

// Maintenance takes the area on this node out of service or back into it. It is refused on an active node: switch first.
func (n *Node) Maintenance(area string, on bool, reason string) error { return ErrRefused }

// FirstValue tells that the last of an area's devices gave its first good value after an activation.
func (n *Node) FirstValue(area string, at time.Time) {}

// Proof completes the record of the latest switch with what the host's proof tag counted.
func (n *Node) Proof(area string, missedSlots, duplicates int) {}

// Status returns everything the pair shows of itself.
func (n *Node) Status() Status { return Status{} }
