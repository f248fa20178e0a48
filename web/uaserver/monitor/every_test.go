package monitor

import (
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"

	"scada/acquisition/tag"
)

// several applies changes of tag 0 in one batch, as a slow device or a busy machine delivers them.
func (b *bench) several(values ...float64) {
	var batch []tag.Update
	for i, v := range values {
		batch = append(batch, tag.Update{Sample: tag.Sample{Time: time.Now().UnixNano() + int64(i), Value: tag.Float64(v)}})
	}
	b.table.Apply(batch)
}

// TestEveryChangeOfABatchIsQueued: the table knows only the last of them.
func TestEveryChangeOfABatchIsQueued(t *testing.T) {
	b := newBench(t, 1)
	b.set(0, 1)
	s := b.sub(Params{KeepAlive: 3, Lifetime: 9})
	every := b.item(s, Spec{Queue: 10})
	b.item(s, Spec{Queue: 10, Sampling: 50})
	b.publish(3)
	b.several(2, 3, 4)
	b.now(100 * ms)
	b.want("p1 sub1 seq1 0=1 0=2 0=3 0=4 0=1 0=4")
	// What came before the item wanted every change is not told a second time; what came after is, to the last.
	b.several(5, 6)
	if st := b.c.SetMode(s, every.ID, ua.MonitoringModeDisabled); st != ua.StatusOK {
		t.Fatal(st)
	}
	if st := b.c.SetMode(s, every.ID, ua.MonitoringModeReporting); st != ua.StatusOK {
		t.Fatal(st)
	}
	b.several(7, 8)
	b.now(200 * ms)
	b.want("p2 sub1 seq2 0=6 0=7 0=8 0=8")
	// Without the last such item nothing is kept.
	if st := b.c.DeleteItem(s, every.ID); st != ua.StatusOK {
		t.Fatal(st)
	}
	b.several(9, 10)
	if kept, lost := b.e.tail.Take(nil); len(kept) > 0 || lost || len(b.e.eager) > 0 {
		t.Errorf("kept %v, lost %v, wanted %v", kept, lost, b.e.eager)
	}
}

// TestTooManyChangesAreMarked: an item whose changes could not all be kept says so.
func TestTooManyChangesAreMarked(t *testing.T) {
	b := newBench(t, 1)
	b.set(0, 1)
	s := b.sub(Params{KeepAlive: 3, Lifetime: 9})
	b.item(s, Spec{Queue: 10})
	b.publish(2)
	b.now(100 * ms)
	values := make([]float64, maxTail+1)
	for i := range values {
		values[i] = float64(i)
	}
	b.several(values...)
	b.now(200 * ms)
	b.want("p1 sub1 seq1 0=1", "p2 sub1 seq2 0=65536!")
}
