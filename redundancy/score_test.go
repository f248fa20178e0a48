package redundancy

import (
	"math"
	"testing"

	"scada/redundancy/wire"
)

func TestScoreOfThePeerIsBounded(t *testing.T) {
	a := &area{n: &Node{health: Health{Areas: map[string]AreaHealth{"main": {Lost: 30}}}}, name: "main"}
	for _, s := range []int64{math.MinInt64, math.MaxInt64, MaxScore + 1, -1} {
		own := int(min(max(s, 0), MaxScore))
		if got := a.peerScore(wire.Beat{Score: s}, wire.Area{Told: true}); got != own {
			t.Errorf("%d is %d", s, got)
		}
		if got := a.peerScore(wire.Beat{Score: s}, wire.Area{Told: true, Lost: math.MaxUint32}); got != MaxScore {
			t.Errorf("%d with everything lost is %d", s, got)
		}
		if got, want := a.peerScore(wire.Beat{Score: s}, wire.Area{}), min(own+30, MaxScore); got != want {
			t.Errorf("%d of a peer that says nothing of its devices is %d, want %d", s, got, want)
		}
	}
}
