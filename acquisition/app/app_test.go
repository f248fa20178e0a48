package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"scada/acquisition/live"
	"scada/acquisition/script"
	"scada/acquisition/tag"
)

const (
	in tag.ID = iota
	total
	pump
	tags
)

// rig is a table, an engine and what came out of it.
type rig struct {
	table  *live.Table
	engine *Engine
	app    *Application

	mu     sync.Mutex
	state  string
	events []Event
	writes []string
	slow   time.Duration // how long a write to the device takes
}

func (r *rig) commit(_ string, state []byte, outputs []tag.Update) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if state != nil {
		r.state = string(state)
	}
	r.table.Apply(outputs)
}

func (r *rig) Publish(batch []tag.Update)       { r.table.Apply(batch) }
func (r *rig) Settled(string, time.Time, error) {}

func (r *rig) write(_ context.Context, app, to string, v tag.Value) error {
	time.Sleep(r.slow)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.writes = append(r.writes, fmt.Sprintf("%s %s=%s", app, to, v))
	if v.Truth() {
		return nil
	}
	return errors.New("refused by the device")
}

func (r *rig) put(v float64) {
	r.table.Apply([]tag.Update{{Tag: in, Sample: tag.Sample{Value: tag.Float64(v), Time: time.Now().UnixNano(), Quality: tag.Good}}})
}

func (r *rig) stored() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{table: live.New(int(tags))}
	r.engine = New(Options{
		Read: r.read, Commit: r.commit, Write: r.write, Event: func(ev Event) { r.mu.Lock(); defer r.mu.Unlock(); r.events = append(r.events, ev) },
	})
	r.app = r.engine.Make(Spec{
		Name: "sum", Inputs: []string{"in"}, Outputs: []tag.Definition{{ID: total, Name: "total", Type: tag.TypeFloat64}},
		Writable: []tag.Definition{{ID: pump, Name: "pump", Type: tag.TypeBool}}, Every: time.Second, StaleAfter: 5 * time.Second,
	})
	r.engine.Adopt([]*Application{r.app}, r.table, lookup)
	return r
}

var ids = map[string]tag.ID{"in": in, "total": total, "pump": pump}

func lookup(name string) (tag.ID, bool) { id, ok := ids[name]; return id, ok }

func (r *rig) read(name string) tag.Sample { return r.table.Get(ids[name]) }

func version(body string) Generation {
	return Generation{Source: "def init(state):\n    state.setdefault('n', 0)\ndef on_change(tags, state):\n" + body, By: "test"}
}

var adding = version("    state['n'] += tag('in')\n    output('total', state['n'])\n    log('first %s' % first_scan())\n")

// during runs the engine in a bubble while f goes on.
func (r *rig) during(f func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- r.app.Run(ctx, r) }()
	synctest.Wait()
	f()
	cancel()
	if err := <-done; err != nil {
		panic(err)
	}
}

func settle() { time.Sleep(200 * time.Millisecond); synctest.Wait() }

func TestAnApplicationFollowsItsInputs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		if err := r.engine.Load("sum", adding, []byte(`{"n":10}`)); err != nil {
			t.Fatal(err)
		}
		r.during(func() {
			settle()
			if s := r.table.Get(total); s.Quality != tag.BadWaitingForInitialData {
				t.Errorf("called before its input had a value: %v", s)
			}
			r.put(1)
			settle()
			r.put(2)
			settle()
			if s := r.table.Get(total); s.Value.Number() != 13 || s.Quality != tag.Good {
				t.Errorf("total %v", s)
			}
		})
		if got := r.stored(); got != `{"n":13.0}` {
			t.Errorf("state %s", got)
		}
		st := r.engine.Apps()[0]
		if st.Running || st.Calls != 2 || len(st.Logs) != 2 || st.Logs[0].Text != "first True" || st.Logs[1].Text != "first False" {
			t.Errorf("%+v", st)
		}
		r.during(func() { r.put(3); settle() })
		if s := r.table.Get(total); s.Value.Number() != 13+2+3 { // the first scan sees 2 again
			t.Errorf("after a second activation: %v", s)
		}
	})
}

func TestADeploymentSwapsBetweenTwoCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.put(1)
		if err := r.engine.Load("sum", adding, nil); err != nil {
			t.Fatal(err)
		}
		doubling := version("    state['n'] += 2 * tag('in')\n    output('total', state['n'])\n")
		ctx := t.Context()
		if err := r.engine.Deploy(ctx, "sum", doubling); !errors.Is(err, ErrStopped) {
			t.Errorf("deployed on the standby: %v", err)
		}
		r.during(func() {
			settle()
			for what, broken := range map[string]Generation{
				"want ':'":        {Source: "def on_change(tags, state)\n    pass"},
				"undefined: nope": {Source: "def on_change(tags, state):\n    nope()"},
				"division by":     {Source: "def init(state):\n    1 // 0\ndef on_change(tags, state):\n    pass"},
				"migrate must":    {Source: "def migrate(old):\n    return 1\ndef on_change(tags, state):\n    pass"},
			} {
				if err := r.engine.Deploy(ctx, "sum", broken); err == nil || !strings.Contains(err.Error(), what) {
					t.Errorf("%q deployed: %v", broken.Source, err)
				}
			}
			if got := r.engine.Apps()[0].Generation; got.Hash() != adding.Hash() {
				t.Errorf("after broken deployments generation %s runs", got.Hash())
			}
			before := r.table.Get(total).Value.Number()
			r.put(5)
			settle()
			if got := r.table.Get(total).Value.Number(); got != before+5 {
				t.Errorf("after broken deployments %g becomes %g", before, got)
			}
			if err := r.engine.Deploy(ctx, "sum", doubling); err != nil {
				t.Fatal(err)
			}
			if got := r.table.Get(total).Value.Number(); got != before+15 {
				t.Errorf("the state did not survive: %g", got)
			}
		})
		if err := r.engine.Deploy(ctx, "none", doubling); !errors.Is(err, ErrUnknown) {
			t.Errorf("unknown application: %v", err)
		}
	})
}

// TestThreeStrikes: an application that fails is disabled, its outputs are uncertain at once and bad later; never zero.
func TestThreeStrikes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.put(1)
		if err := r.engine.Load("sum", version("    output('total', 10 / (3 - tag('in')))\n"), nil); err != nil {
			t.Fatal(err)
		}
		r.during(func() {
			settle()
			for range 3 {
				r.put(3)
				settle()
			}
			if s := r.table.Get(total); s.Quality != tag.UncertainLastUsableValue || s.Value.Number() != 5 {
				t.Errorf("disabled: %v", s)
			}
			if st := r.engine.Apps()[0]; !strings.Contains(st.Disabled, "division by zero") || st.Failures != 3 {
				t.Errorf("%+v", st)
			}
			r.put(2)
			settle()
			if s := r.table.Get(total); s.Value.Number() != 5 {
				t.Errorf("called although disabled: %v", s)
			}
			time.Sleep(5 * time.Second)
			settle()
			if s := r.table.Get(total); s.Quality != tag.BadNoData || s.Value.Number() != 5 {
				t.Errorf("after stale_after: %v", s)
			}
			if err := r.engine.Deploy(t.Context(), "sum", version("    output('total', 7)\n")); err != nil {
				t.Fatal(err)
			}
			if s := r.table.Get(total); s.Quality != tag.Good || s.Value.Number() != 7 {
				t.Errorf("deployed again: %v", s)
			}
		})
		var what []string
		for _, ev := range r.events {
			what = append(what, ev.What)
		}
		if !slices.Equal(what, []string{"disabled", "recovered"}) {
			t.Errorf("events %+v", r.events)
		}
	})
}

// TestASlowDeviceDoesNotStopTheProgram: writes wait in a queue that ends.
func TestASlowDeviceDoesNotStopTheProgram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.slow = time.Minute
		r.put(0)
		if err := r.engine.Load("sum", version("    write('pump', tag('in') > 0)\n    output('total', tag('in'))\n"), nil); err != nil {
			t.Fatal(err)
		}
		r.during(func() {
			for i := range waitingCalls + 10 {
				r.put(float64(i))
				settle()
			}
			if s := r.table.Get(total); s.Value.Number() != waitingCalls+9 {
				t.Errorf("the program stands at %v", s)
			}
			time.Sleep(3 * time.Minute)
		})
		lines := r.engine.Apps()[0].Logs
		if !slices.ContainsFunc(lines, func(l Line) bool { return strings.Contains(l.Text, "not done, 64 writes wait") }) {
			t.Errorf("a full queue is not told: %v", lines)
		}
		if !slices.ContainsFunc(lines, func(l Line) bool { return strings.Contains(l.Text, "refused by the device") }) {
			t.Errorf("a refused write is not told: %v", lines)
		}
		if r.writes[0] != "sum pump=false" || r.writes[1] != "sum pump=true" {
			t.Errorf("writes %v", r.writes[:2])
		}
	})
}

// TestAHostileScriptIsEnded: without end, and without memory of who it is.
func TestAHostileScriptIsEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.put(1)
		if err := r.engine.Load("sum", version("    for a in range(1 << 40):\n        pass\n"), nil); err != nil {
			t.Fatal(err)
		}
		r.during(func() {
			for i := range strikes {
				r.put(float64(i))
				settle()
			}
		})
		if st := r.engine.Apps()[0]; !strings.Contains(st.Disabled, "too many steps") {
			t.Errorf("%+v", st)
		}
	})
}

func TestTimerSlotsAreAbsolute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.put(1)
		source := "def on_timer(tags, state):\n    state['at'] = now()\n    output('total', now())\n"
		if err := r.engine.Load("sum", Generation{Source: source}, nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(300 * time.Millisecond)
		r.during(func() { time.Sleep(3 * time.Second); synctest.Wait() })
		if s := r.table.Get(total); s.Value.Number() != float64(int64(s.Value.Number())) || s.Value.IsNone() {
			t.Errorf("called at %v", s)
		}
		if n := r.engine.Apps()[0].Calls; n < 3 || n > 6 {
			t.Errorf("%d calls in 3 s", n)
		}
	})
}

func TestAMissingPeriodIsRefused(t *testing.T) {
	e := New(Options{})
	e.Adopt([]*Application{e.Make(Spec{Name: "x"})}, live.New(1), lookup)
	var located *script.Error
	if err := e.Check("x", "def on_timer(tags, state): pass"); !errors.As(err, &located) || !strings.Contains(err.Error(), "no period") {
		t.Errorf("%v", err)
	}
}

func TestTheLogIsBounded(t *testing.T) {
	a := &Application{}
	for i := range 3 * keptLogs {
		a.note(fmt.Sprint(i))
	}
	if len(a.lines) != keptLogs || a.lines[0].Text != fmt.Sprint(2*keptLogs) {
		t.Errorf("%d lines from %s", len(a.lines), a.lines[0].Text)
	}
}

// TestACallThatCannotBeEndedIsAbandoned: the run ends without it, and the application does not run beside it.
func TestACallThatCannotBeEndedIsAbandoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.put(1)
		endless := make(chan struct{})
		var stuck atomic.Bool
		r.engine.o.Read = func(name string) tag.Sample {
			s := r.table.Get(ids[name])
			if s.Value.Number() == 2 && !stuck.Swap(true) {
				<-endless // in the midst of an operation
			}
			return s
		}
		if err := r.engine.Load("sum", adding, nil); err != nil {
			t.Fatal(err)
		}
		r.during(func() {
			settle()
			r.put(2)
			time.Sleep(callLimit + hangLimit)
			settle()
			if st := r.engine.Apps()[0]; st.Disabled != ErrHanging.Error() || st.Calls != 2 {
				t.Errorf("%+v", st)
			}
			if s := r.table.Get(total); s.Quality != tag.UncertainLastUsableValue || s.Value.Number() != 1 {
				t.Errorf("its output: %v", s)
			}
			if err := r.engine.Deploy(t.Context(), "sum", adding); !errors.Is(err, ErrHanging) {
				t.Errorf("deployed beside a call that goes on: %v", err)
			}
		})
		r.during(settle)
		if st := r.engine.Apps()[0]; st.Disabled != ErrHanging.Error() {
			t.Errorf("after another activation: %+v", st)
		}
		close(endless)
		synctest.Wait()
		r.during(settle)
		if s := r.table.Get(total); s.Quality != tag.Good || s.Value.Number() != 3 {
			t.Errorf("after the end of the call: %v", s)
		}
	})
}

// TestAnApplicationOutlivesATable: its tags get other numbers in another table while it runs. It goes on, and no change is
// lost or told twice.
func TestAnApplicationOutlivesATable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.put(1)
		if err := r.engine.Load("sum", adding, nil); err != nil {
			t.Fatal(err)
		}
		first := r.table
		next := live.New(9)
		var mu sync.Mutex
		r.engine.o.Read = func(name string) tag.Sample {
			mu.Lock()
			defer mu.Unlock()
			if r.table == first {
				return first.Get(ids[name])
			}
			return next.Get(ids[name] + 5)
		}
		r.during(func() {
			settle()
			r.put(2)
			settle()
			mu.Lock()
			next.Apply([]tag.Update{{Tag: in + 5, Sample: first.Get(in)}})
			r.table = next
			mu.Unlock()
			r.engine.Adopt([]*Application{r.app}, next, func(name string) (tag.ID, bool) { return ids[name] + 5, true })
			settle()
			next.Apply([]tag.Update{{Tag: in + 5, Sample: tag.Sample{Value: tag.Float64(10), Time: time.Now().UnixNano(), Quality: tag.Good}}})
			settle()
		})
		if st := r.engine.Apps()[0]; st.Calls != 3 || r.stored() != `{"n":13.0}` {
			t.Errorf("%d calls, state %s", st.Calls, r.stored())
		}
	})
}
