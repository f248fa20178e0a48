package monitor

import (
	"testing"

	"github.com/gopcua/opcua/ua"

	"scada/acquisition/live"
	"scada/acquisition/tag"
	"scada/web/uaserver/wire"
)

// rebinder moves items as its map says; a tag that is not in it is gone, and found again under its old number plus 100.
type rebinder map[tag.ID]tag.ID

func (r rebinder) rebind(spec *Spec) Rebound {
	if spec.Poll != nil {
		return Kept
	}
	if lost, ok := spec.Place.(tag.ID); ok {
		if to, ok := r[lost+100]; ok {
			spec.Tag, spec.Place = to, nil
			return Kept
		}
		return Gone
	}
	to, ok := r[spec.Tag]
	if !ok {
		spec.Place, spec.Tag = spec.Tag, 0
		return Gone
	}
	spec.Tag = to
	return Kept
}

func (b *bench) revise(tags int, values map[tag.ID]float64, moved rebinder) {
	b.table = live.New(tags)
	for t, v := range values {
		b.table.Apply([]tag.Update{{Tag: t, Sample: tag.Sample{Time: 1, Value: tag.Float64(v)}}})
	}
	b.e.Revise(b.table, moved.rebind)
}

func TestItemsMoveToAnotherTable(t *testing.T) {
	for name, sampling := range map[string]float64{"every change": 0, "sampled": 10} {
		b := newBench(t, 3)
		for i := range 3 {
			b.set(tag.ID(i), float64(10+i))
		}
		s := b.sub(Params{KeepAlive: 30, Lifetime: 90})
		for i := range 3 {
			b.item(s, Spec{Tag: tag.ID(i), Queue: 10, Sampling: sampling})
		}
		b.publish(1)
		b.now(100 * ms)
		b.want("p1 sub1 seq1 0=10 1=11 2=12")
		// The old tag 0 is gone, 1 is now 3 and has the same value, 2 is now 1 and has another.
		b.revise(4, map[tag.ID]float64{3: 11, 1: 20}, rebinder{1: 3, 2: 1})
		b.publish(2)
		b.now(200 * ms)
		b.now(300 * ms)
		if len(b.log) != 1 || (b.log[0] != "p2 sub1 seq2 0=<nil> 2=20" && b.log[0] != "p2 sub1 seq2 2=20 0=<nil>") {
			t.Errorf("%s: %q", name, b.log)
		}
		b.log = nil
		b.set(3, 30)
		b.set(1, 40)
		b.now(400 * ms)
		b.want("p3 sub1 seq3 1=30 2=40")
		b.publish(1)
		b.revise(1, nil, nil) // everything is gone, and what was gone is not told again
		b.now(500 * ms)
		if len(b.log) != 1 || (b.log[0] != "p4 sub1 seq4 1=<nil> 2=<nil>" && b.log[0] != "p4 sub1 seq4 2=<nil> 1=<nil>") {
			t.Errorf("%s: %q", name, b.log)
		}
		b.log = nil
		b.revise(1, map[tag.ID]float64{0: 50}, rebinder{100: 0}) // what was tag 0 comes back
		b.publish(2)
		b.now(600 * ms)
		b.set(0, 51)
		b.now(700 * ms)
		b.want("p5 sub1 seq5 0=50", "p6 sub1 seq6 0=51")
		b.e.mu.Lock()
		items := b.e.items
		b.e.mu.Unlock()
		if items != 3 || b.c.Delete(s) != ua.StatusOK || b.e.items != 0 || len(b.e.eager) != 0 || b.e.polling != 0 {
			t.Errorf("%s: %d items, and after the subscription ended %d, %d, %d", name, items, b.e.items, len(b.e.eager), b.e.polling)
		}
	}
}

func TestLostItemsCanBeChangedAndDeleted(t *testing.T) {
	b := newBench(t, 2)
	b.set(0, 1)
	b.set(1, 1)
	s := b.sub(Params{KeepAlive: 30, Lifetime: 90})
	lost := b.item(s, Spec{Tag: 0, Queue: 2}).ID
	polls := 0
	polled := b.item(s, Spec{Queue: 1, Poll: func() wire.Value { polls++; return wire.Value{Raw: []byte{1, 1}} }}).ID
	b.revise(1, map[tag.ID]float64{0: 5}, rebinder{1: 0})
	if _, _, status := b.c.ItemTag(s, lost); status != ua.StatusBadNodeIDUnknown {
		t.Errorf("the tag of a lost item: %v", status)
	}
	if got := b.c.SetMode(s, lost, ua.MonitoringModeDisabled); got != ua.StatusOK {
		t.Errorf("disable: %v", got)
	}
	if got := b.c.SetMode(s, lost, ua.MonitoringModeReporting); got != ua.StatusOK || b.e.subs[s].items[lost].last.Quality != tag.Quality(ua.StatusBadNodeIDUnknown) {
		t.Errorf("enable again: %v, then %+v", got, b.e.subs[s].items[lost].last)
	}
	if r := b.c.ModifyItem(s, lost, Spec{Queue: 5}, ua.TimestampsToReturnNeither); r.Status != ua.StatusOK || r.Queue != 5 {
		t.Errorf("modify: %+v", r)
	}
	before := polls
	b.now(200 * ms)
	if polls == before {
		t.Error("what is no tag's value is not asked any more")
	}
	for _, n := range []uint32{lost, polled} {
		if got := b.c.DeleteItem(s, n); got != ua.StatusOK {
			t.Errorf("delete: %v", got)
		}
	}
	if b.e.items != 0 || b.e.polling != 0 || len(b.e.polled) != 0 || len(b.e.eager) != 0 {
		t.Errorf("%d items, %d and %d asked, %d eager", b.e.items, b.e.polling, len(b.e.polled), len(b.e.eager))
	}
}
