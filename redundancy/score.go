package redundancy

import (
	"scada/redundancy/role"
	"scada/redundancy/wire"
)

// MaxScore bounds a health score; more is not told apart.
const MaxScore = 1_000_000

// score is how ill this node is for the area: its own faults, and the devices with a probe that do not answer it.
func (a *area) score() int {
	return bounded(int64(a.n.health.Score) + int64(bounded(int64(a.n.health.Areas[a.name].Lost))))
}

// peerScore is the same of the peer. One that does not say which devices it reaches is taken to reach what this node
// reaches: nothing moves because of something nobody knows.
func (a *area) peerScore(b wire.Beat, w wire.Area) int {
	lost := int64(w.Lost)
	if !w.Told {
		lost = int64(a.n.health.Areas[a.name].Lost)
	}
	return bounded(int64(bounded(b.Score)) + int64(bounded(lost))) // what comes from outside must not wrap around
}

func bounded(s int64) int { return int(min(max(s, 0), MaxScore)) }

// healthText is what the faults are, for the reason of a switch.
func (a *area) healthText() string {
	text := ""
	for _, why := range append(a.n.health.Reasons, a.n.health.Areas[a.name].Reasons...) {
		if text != "" {
			text += "; "
		}
		text += why
	}
	return text[:min(len(text), role.MaxFaults)]
}
