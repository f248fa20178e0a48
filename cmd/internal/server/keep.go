package server

import (
	"math"
	"slices"

	"scada/acquisition/tag"
)

// keeper decides which samples are recorded. Only the active decides, and its decision travels in the stream: left to
// each node, "record changes only" would depend on what the node happens to have seen, and the archives would differ.
type keeper struct {
	defs []tag.Definition
	last []tag.Sample // the last recorded sample of tags that record changes only
}

func newKeeper(defs []tag.Definition) *keeper {
	return &keeper{defs: defs, last: make([]tag.Sample, len(defs))}
}

// recordAll returns the definitions for a store that records whatever it is given.
func recordAll(defs []tag.Definition) []tag.Definition {
	out := slices.Clone(defs)
	for i := range out {
		out[i].History = tag.HistoryAll
	}
	return out
}

// split divides a batch into what is recorded and what is only shown. In the common case nothing is copied.
func (k *keeper) split(batch []tag.Update) (recorded, shown []tag.Update) {
	n := 0
	for n < len(batch) && k.records(batch[n]) {
		n++
	}
	if n == len(batch) {
		return batch, nil
	}
	recorded, shown = slices.Clone(batch[:n]), append(shown, batch[n])
	for _, u := range batch[n+1:] {
		if k.records(u) {
			recorded = append(recorded, u)
		} else {
			shown = append(shown, u)
		}
	}
	return recorded, shown
}

func (k *keeper) records(u tag.Update) bool {
	if int(u.Tag) >= len(k.defs) {
		return false
	}
	def, last := &k.defs[u.Tag], &k.last[u.Tag]
	switch def.History {
	case tag.HistoryOff:
		return false
	case tag.HistoryChange:
		if last.Time != 0 && last.Quality == u.Quality && near(last.Value, u.Value, def.Deadband) {
			return false
		}
		*last = u.Sample
	case tag.HistoryAll:
	}
	return true
}

// near reports whether two values differ by no more than the deadband.
func near(a, b tag.Value, deadband float64) bool {
	return a == b || deadband > 0 && math.Abs(a.Number()-b.Number()) <= deadband
}

// note remembers, on the standby, what the active has recorded.
func (k *keeper) note(batch []tag.Update) {
	for _, u := range batch {
		if int(u.Tag) < len(k.defs) && k.defs[u.Tag].History == tag.HistoryChange {
			k.last[u.Tag] = u.Sample
		}
	}
}
