package calc

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"scada/acquisition"
	"scada/acquisition/live"
	"scada/acquisition/tag"
)

// rig is a table, a source and what came out of it.
type rig struct {
	names  []string
	table  *live.Table
	source *Source

	mu      sync.Mutex
	got     []tag.Update
	settled int
}

func (r *rig) results() []tag.Update {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

func (r *rig) Publish(batch []tag.Update) {
	r.mu.Lock()
	r.got = append(r.got, batch...)
	r.mu.Unlock()
	r.table.Apply(batch)
}

func (r *rig) Settled(string, time.Time, error) { r.settled++ }

func (r *rig) lookup(name string) (tag.ID, bool) {
	for i, n := range r.names {
		if n == name {
			return tag.ID(i), true
		}
	}
	return 0, false
}

// put is a device reporting a value.
func (r *rig) put(name string, at time.Time, v float64) {
	id, _ := r.lookup(name)
	r.table.Apply([]tag.Update{{Tag: id, Sample: tag.Sample{Value: tag.Float64(v), Time: at.UnixNano(), Quality: tag.Good}}})
}

func (r *rig) get(name string) tag.Sample {
	id, _ := r.lookup(name)
	return r.table.Get(id)
}

// newRig has two inputs, in1 and in2, and calculated tags given as name, period, expression.
func newRig(t *testing.T, calculated ...string) *rig {
	t.Helper()
	r := &rig{names: []string{"in1", "in2"}}
	var defs []tag.Definition
	for i := 0; i < len(calculated); i += 3 {
		period, err := time.ParseDuration(calculated[i+1])
		if err != nil {
			t.Fatal(err)
		}
		defs = append(defs, tag.Definition{ID: tag.ID(len(r.names)), Name: calculated[i], Type: tag.TypeFloat64, ScanPeriod: period, Address: calculated[i+2]})
		r.names = append(r.names, calculated[i])
	}
	r.table = live.New(len(r.names))
	var err error
	if r.source, err = New(Options{Device: "calculated", Tags: defs, Live: r.table, Lookup: r.lookup}); err != nil {
		t.Fatal(err)
	}
	return r
}

// during runs the source in a bubble while f goes on; it begins on a whole second.
func (r *rig) during(t *testing.T, f func()) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.source.Run(ctx, r) }()
		synctest.Wait()
		f()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestResultsFollowTheirInputsInOrder(t *testing.T) {
	r := newRig(t, "twice", "1s", "tag('sum') * 2", "sum", "1s", "tag('in1') + tag('in2')", "slow", "10s", "tag('sum')")
	r.during(t, func() {
		if q := r.get("twice").Quality; q != tag.BadWaitingForInitialData || r.settled != 1 {
			t.Errorf("before there is anything: %s, settled %d times", q, r.settled)
		}
		at := time.Now()
		r.put("in1", at, 1)
		r.put("in2", at.Add(300*time.Millisecond), 2)
		time.Sleep(999 * time.Millisecond)
		synctest.Wait()
		if s := r.get("sum"); !s.Value.IsNone() {
			t.Errorf("before the slot: %v", s)
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		sum, twice := r.get("sum"), r.get("twice")
		if sum.Value.Number() != 3 || twice.Value.Number() != 6 {
			t.Errorf("sum %v, twice %v in one slot", sum, twice)
		}
		if want := at.Add(300 * time.Millisecond).UnixNano(); sum.Time != want || twice.Time != want {
			t.Errorf("times %d and %d, want that of the newest input %d", sum.Time, twice.Time, want)
		}
		if s := r.get("slow"); !s.Value.IsNone() {
			t.Errorf("a tag of another scan class: %v", s)
		}
		before := len(r.results())
		time.Sleep(8 * time.Second)
		synctest.Wait()
		if len(r.results()) != before {
			t.Errorf("%d results although nothing has changed: %v", len(r.results())-before, r.results()[before:])
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if s := r.get("slow"); s.Value.Number() != 3 {
			t.Errorf("in its slot: %v", s)
		}
	})
	if n := r.source.Status()[0].Counters; n.Overruns != 0 || n.Malformed != 0 {
		t.Errorf("counters %+v", n)
	}
}

// TestTimeNeverGoesBack: the newest input may leave the expression.
func TestTimeNeverGoesBack(t *testing.T) {
	r := newRig(t, "pick", "1s", "tag('in1') if tag('in1') > 0 else tag('in2')")
	r.during(t, func() {
		at := time.Now()
		r.put("in1", at.Add(500*time.Millisecond), -1)
		r.put("in2", at.Add(900*time.Millisecond), 7)
		time.Sleep(time.Second)
		synctest.Wait()
		r.put("in1", at.Add(600*time.Millisecond), 8)
		time.Sleep(time.Second)
		synctest.Wait()
	})
	last := int64(0)
	for _, u := range r.results() {
		if u.Time <= last {
			t.Errorf("time %d after %d", u.Time, last)
		}
		last = u.Time
	}
	if got := r.get("pick").Value.Number(); got != 8 {
		t.Errorf("value %g", got)
	}
}

// TestTakingOverGoesOn: the new active continues behind what the other node has computed.
func TestTakingOverGoesOn(t *testing.T) {
	r := newRig(t, "sum", "1s", "tag('in1') + tag('in2')", "five", "1s", "2 + 3")
	r.during(t, func() {
		at := time.Now()
		r.put("in1", at, 1)
		r.put("in2", at, 2)
		time.Sleep(time.Second)
		synctest.Wait()
	})
	n := len(r.results())
	r.during(t, func() { time.Sleep(3 * time.Second) })
	if len(r.results()) != n {
		t.Errorf("said again after a take-over: %v", r.results()[n:])
	}
	if r.get("sum").Value.Number() != 3 || r.get("five").Value.Number() != 5 {
		t.Errorf("sum %v, five %v", r.get("sum"), r.get("five"))
	}
}

func TestABadInputMakesTheResultBad(t *testing.T) {
	r := newRig(t, "sum", "1s", "tag('in1') + tag('in2')")
	r.during(t, func() {
		at := time.Now()
		r.put("in1", at, 1)
		r.put("in2", at, 2)
		time.Sleep(time.Second)
		r.table.Apply([]tag.Update{{Tag: 0, Sample: tag.Sample{Time: time.Now().UnixNano(), Quality: tag.BadNoCommunication}}})
		time.Sleep(time.Second)
		synctest.Wait()
		if s := r.get("sum"); s.Quality != tag.BadNoCommunication || !s.Value.IsNone() {
			t.Errorf("sum of a bad input: %v", s)
		}
	})
}

func TestWhatCannotBeComputedIsRefused(t *testing.T) {
	ids := map[string]tag.ID{"a": 0, "b": 1, "c": 2, "in": 3}
	lookup := func(name string) (tag.ID, bool) { id, ok := ids[name]; return id, ok }
	for _, c := range []struct{ a, b, c, want string }{
		{"tag('b')", "tag('c')", "tag('a')", "tag a: it depends on itself: a reads b reads c reads a"},
		{"tag('b')", "tag('b') + 1", "1", "tag b: it depends on itself: b reads b"},
		{"tag('in')", "tag('nothing')", "1", `tag b: no tag is named "nothing"`},
		{"tag('in')", "1", "1 +", "tag c: c:1:4: got end of file"},
		{"tag('b')", "tag('c')", "tag('in')", ""},
	} {
		var defs []tag.Definition
		for i, expr := range []string{c.a, c.b, c.c} {
			defs = append(defs, tag.Definition{ID: tag.ID(i), Name: string(rune('a' + i)), Type: tag.TypeFloat64, ScanPeriod: time.Second, Address: expr})
		}
		_, err := New(Options{Tags: defs, Live: live.New(4), Lookup: lookup})
		if (err == nil) != (c.want == "") || err != nil && !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%+v: error %v", c, err)
		}
	}
}

func TestACalculatedTagIsNotWritten(t *testing.T) {
	r := newRig(t, "sum", "1s", "tag('in1')")
	if res := r.source.Write(t.Context(), acquisition.Write{Tag: 2, Value: tag.Float64(1)}); res.Outcome != acquisition.Refused || res.Err == nil {
		t.Errorf("written: %+v", res)
	}
}

// BenchmarkPass evaluates ten thousand expressions of three inputs each, all of them changed.
func BenchmarkPass(b *testing.B) {
	const n = 10_000
	table := live.New(2 * n)
	ids := map[string]tag.ID{}
	var defs []tag.Definition
	for i := range n {
		ids[fmt.Sprintf("in%d", i)] = tag.ID(i)
		defs = append(defs, tag.Definition{
			ID: tag.ID(n + i), Name: fmt.Sprintf("calc%d", i), Type: tag.TypeFloat64, ScanPeriod: time.Second,
			Address: fmt.Sprintf("(tag('in%d') + tag('in%d')) / 2 - tag('in%d') * 1.8", i, (i+1)%n, (i+2)%n),
		})
	}
	s, err := New(Options{Tags: defs, Live: table, Lookup: func(name string) (tag.ID, bool) { id, ok := ids[name]; return id, ok }})
	if err != nil {
		b.Fatal(err)
	}
	batch := make([]tag.Update, n)
	sink := &rig{table: table}
	at := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		at = at.Add(time.Second)
		for i := range batch {
			batch[i] = tag.Update{Tag: tag.ID(i), Sample: tag.Sample{Value: tag.Float64(float64(i) + float64(at.Unix())), Time: at.UnixNano(), Quality: tag.Good}}
		}
		table.Apply(batch)
		for _, x := range s.items {
			x.dirty = true
		}
		sink.got = sink.got[:0]
		b.StartTimer()
		s.pass(at, func(time.Duration) bool { return true }, sink)
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/pass")
}
