package redundancy

import "time"

// Fence is a [Witness] that keeps what it says: its verdict that the peer does not act holds only while this node may
// write by it, because the peer is told the same once this node may not. A node that writes alone must ask it.
type Fence interface {
	// MayWrite reports whether this node may write to devices of the area now. It must not block.
	MayWrite(area string) bool
}

// mayWrite reports whether this node may write to devices of the area. While the peer echoes answers, that is proof
// enough: it cannot have taken over. Without, a witness that is a fence must agree.
func (a *area) mayWrite(now time.Duration) bool {
	if !a.machine.MayWrite(now) {
		return false
	}
	fence, fenced := a.n.witness.(Fence)
	return !fenced || !a.machine.Alone() || fence.MayWrite(a.name)
}
