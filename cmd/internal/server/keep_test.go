package server

import (
	"testing"

	"scada/acquisition/tag"
)

func TestKeeperRecordsWhatTheModeSays(t *testing.T) {
	defs := []tag.Definition{{History: tag.HistoryAll}, {History: tag.HistoryChange, Deadband: 1}, {History: tag.HistoryOff}}
	k := newKeeper(defs)
	at := func(id tag.ID, n int64, v float64, q tag.Quality) tag.Update {
		return tag.Update{Tag: id, Sample: tag.Sample{Time: n, Value: tag.Float64(v), Quality: q}}
	}
	for _, c := range []struct {
		u    tag.Update
		want bool
	}{
		{at(0, 1, 5, 0), true}, {at(0, 2, 5, 0), true},
		{at(1, 1, 5, 0), true}, {at(1, 2, 6, 0), false}, {at(1, 3, 6.1, 0), true}, {at(1, 4, 6.1, tag.BadDeviceFailure), true}, {at(1, 5, 6.1, tag.BadDeviceFailure), false},
		{at(2, 1, 5, 0), false}, {at(9, 1, 5, 0), false},
	} {
		recorded, shown := k.split([]tag.Update{c.u})
		if (len(recorded) == 1) != c.want || len(recorded)+len(shown) != 1 {
			t.Errorf("tag %d at %d: recorded %v, shown %v", c.u.Tag, c.u.Time, recorded, shown)
		}
	}
}

// TestNodesDecideAlike: a standby that has heard what the active recorded goes on as the active would have.
func TestNodesDecideAlike(t *testing.T) {
	defs := []tag.Definition{{History: tag.HistoryChange}}
	active, standby := newKeeper(defs), newKeeper(defs)
	for i := range int64(20) {
		batch := []tag.Update{{Sample: tag.Sample{Time: i, Value: tag.Bool(i/3%2 == 0)}}}
		recorded, _ := active.split(batch)
		standby.note(recorded)
	}
	if active.last[0] != standby.last[0] {
		t.Errorf("active remembers %v, standby %v", active.last[0], standby.last[0])
	}
}
