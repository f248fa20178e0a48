package redundancy

import (
	"math"
	"testing"

	"scada/redundancy/role"
	"scada/redundancy/wire"
)

func TestScoreOfThePeerIsBounded(t *testing.T) {
	for _, s := range []int64{math.MinInt64, math.MaxInt64, MaxScore + 1, -1} {
		b := wire.Beat{Score: s, Areas: []wire.Area{{Name: "main", Devices: math.MaxUint32, View: role.View{Role: role.Active}}}}
		if got := peerScore(b); got != 0 {
			t.Errorf("%d without all devices is %d", s, got)
		}
		b.Areas = nil
		if got := peerScore(b); got != int(min(max(s, 0), MaxScore)) {
			t.Errorf("%d is %d", s, got)
		}
	}
}
