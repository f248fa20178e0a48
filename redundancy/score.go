package redundancy

import (
	"scada/redundancy/role"
	"scada/redundancy/wire"
)

// MaxScore bounds a health score; more is not told apart.
const MaxScore = 1_000_000

// score is this node's health as it is compared with the peer's: without the devices that do not answer. A field network
// that is dead for both nodes must not send the area back and forth.
func (n *Node) score() int {
	s := int64(n.health.Score)
	for _, a := range n.order {
		if r, _ := a.machine.Role(); r == role.Active {
			h := n.health.Areas[a.name]
			s -= int64(max(0, h.Devices-h.Reachable))
		}
	}
	return bounded(s)
}

// peerScore is the same of the peer.
func peerScore(b wire.Beat) int {
	s := int64(bounded(b.Score)) // what comes from outside must not wrap around
	for _, w := range b.Areas {
		if w.View.Role == role.Active {
			s -= max(0, int64(w.Devices)-int64(w.View.Reachable))
		}
	}
	return bounded(s)
}

func bounded(s int64) int { return int(min(max(s, 0), MaxScore)) }
