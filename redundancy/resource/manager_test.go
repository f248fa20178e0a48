package resource_test

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

	"scada/redundancy/resource"
)

// book is what happened in a bubble, with the time since its beginning.
type book struct {
	mu    sync.Mutex
	began time.Time
	lines []string
}

func (b *book) note(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, fmt.Sprintf("%s %s", time.Since(b.began), fmt.Sprintf(format, args...)))
}

// take returns the lines since the last call.
func (b *book) take() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	lines := b.lines
	b.lines = nil
	return lines
}

func (b *book) want(t *testing.T, lines ...string) {
	t.Helper()
	if got := b.take(); !slices.Equal(got, lines) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(lines, "\n\t"))
	}
}

// fake is a resource whose steps take as long and fail as often as the test says.
type fake struct {
	name                string
	book                *book
	startTakes          time.Duration
	startErrs, stopErrs []error       // of the next calls
	ill                 atomic.Bool   // the monitor fails
	hang                chan struct{} // start ignores its context until this is closed
	left                bool          // for Clean
}

func (f *fake) Start(ctx context.Context) error {
	f.book.note("start %s", f.name)
	if f.hang != nil {
		<-f.hang
		return errors.New("after all")
	}
	select {
	case <-time.After(f.startTakes):
		return pop(&f.startErrs)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *fake) Stop(ctx context.Context) error {
	f.book.note("stop %s", f.name)
	if ctx.Err() != nil {
		f.book.note("stop %s without time", f.name)
	}
	return pop(&f.stopErrs)
}

func (f *fake) Monitor(context.Context) error {
	if f.ill.Load() {
		return errBroken
	}
	return nil
}

func (f *fake) Clean(context.Context) (bool, error) { return f.left, pop(&f.stopErrs) }

func pop(errs *[]error) error {
	if len(*errs) == 0 {
		return nil
	}
	err := (*errs)[0]
	*errs = (*errs)[1:]
	return err
}

var limits = resource.Limits{Start: 5 * time.Second, Stop: time.Second, Monitor: time.Second}

// rig is a manager that runs in a bubble.
type rig struct {
	*book
	*resource.Manager
	stop func()
}

func run(t *testing.T, items ...resource.Item) *rig {
	t.Helper()
	r := &rig{book: &book{began: time.Now()}}
	for i := range items {
		if f, ok := items[i].Resource.(*fake); ok {
			f.name, f.book = items[i].Name, r.book
		}
		items[i].Limits = limits
		items[i].Interval = time.Second
	}
	r.Manager = resource.New(resource.Options{Items: items, Event: func(e resource.Event) {
		r.note("%s is %s %s", e.Resource, e.Phase, e.Reason)
	}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { r.Run(ctx); close(done) }()
	r.stop = func() { cancel(); <-done }
	return r
}

var errBroken = errors.New("broken")

func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, resource.Item{Name: "mount", Resource: &fake{startTakes: 2 * time.Second}}, resource.Item{Name: "vip", Resource: &fake{}})
		time.Sleep(10 * time.Second)
		r.want(t, "0s start mount", "2s mount is up ", "2s start vip", "2s vip is up ")
		r.stop()
		r.want(t, "10s stop vip", "10s vip is stopped ", "10s stop mount", "10s mount is stopped ")
		for _, s := range r.Status() {
			if s.Phase != resource.Stopped {
				t.Errorf("%+v", s)
			}
		}
	})
}

// TestEndWhileStarting: what is half started is stopped, what was never started is left alone.
func TestEndWhileStarting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, resource.Item{Name: "vip", Resource: &fake{}}, resource.Item{Name: "mount", Critical: true, Resource: &fake{startTakes: 2 * time.Second}},
			resource.Item{Name: "service", Resource: &fake{}})
		time.Sleep(time.Second)
		r.stop()
		r.want(t, "0s start vip", "0s vip is up ", "0s start mount",
			"1s stop mount", "1s mount is stopped ", "1s stop vip", "1s vip is stopped ")
		if f := r.Faults(); f != nil {
			t.Errorf("an end is no fault: %v", f)
		}
	})
}

// TestStartFails: it is undone and tried again, later each time; what follows waits only for what is critical.
func TestStartFails(t *testing.T) {
	for _, critical := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			first := &fake{startErrs: []error{errBroken, errBroken, errBroken, errBroken, errBroken, errors.New("broken otherwise")}}
			r := run(t, resource.Item{Name: "mount", Critical: critical, Resource: first}, resource.Item{Name: "vip", Resource: &fake{}})
			time.Sleep(time.Millisecond)
			if f := r.Faults(); (len(f) == 1 && f[0] == "resource mount failed: broken") != critical {
				t.Errorf("critical %v: faults %q", critical, f)
			}
			time.Sleep(time.Minute)
			vip := []string{"0s start vip", "0s vip is up "}
			want := []string{"0s start mount", "0s mount is failed broken"}
			if !critical {
				want = append(want, vip...)
			}
			want = append(want, "1s stop mount", "1s start mount", "3s stop mount", "3s start mount", "7s stop mount", "7s start mount",
				"15s stop mount", "15s start mount", "25s stop mount", "25s start mount", "25s mount is failed broken otherwise",
				"35s stop mount", "35s start mount", "35s mount is up ")
			if critical {
				want = append(want, "35s start vip", "35s vip is up ")
			}
			r.want(t, want...)
			r.stop()
		})
	}
}

// TestMonitorFails: what has worked is repaired at once, the second time later, and what stands after it stays.
func TestMonitorFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		vip := &fake{}
		r := run(t, resource.Item{Name: "vip", Critical: true, Resource: vip}, resource.Item{Name: "other", Resource: &fake{}})
		time.Sleep(1500 * time.Millisecond)
		r.want(t, "0s start vip", "0s vip is up ", "0s start other", "0s other is up ")
		vip.ill.Store(true)
		time.Sleep(time.Second)
		vip.ill.Store(false)
		r.want(t, "2s vip is failed broken", "2s stop vip", "2s start vip", "2s vip is up ")
		time.Sleep(time.Second)
		vip.ill.Store(true)
		time.Sleep(3 * time.Second)
		r.want(t, "4s vip is failed broken", "6s stop vip", "6s start vip", "6s vip is up ")
		vip.ill.Store(false)
		time.Sleep(2 * time.Minute)
		r.take()
		vip.ill.Store(true)
		time.Sleep(time.Second)
		vip.ill.Store(false)
		if got := r.take(); len(got) < 3 || !strings.HasSuffix(got[1], "stop vip") || strings.Fields(got[0])[0] != strings.Fields(got[1])[0] {
			t.Errorf("after two good minutes it is repaired at once again: %q", got)
		}
		r.stop()
	})
}

func TestStopFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, resource.Item{Name: "mount", Resource: &fake{}}, resource.Item{Name: "vip", Critical: true, Resource: &fake{stopErrs: []error{errBroken}}})
		time.Sleep(time.Second / 2)
		r.take()
		r.stop()
		r.want(t, "500ms stop vip", "500ms vip is stop-failed broken", "500ms stop mount", "500ms mount is stopped ")
		if f := r.Faults(); len(f) != 1 || f[0] != "resource vip stop-failed: broken" {
			t.Errorf("faults %q", f)
		}
	})
}

// TestStartTooLong: the step is cancelled at its limit, undone and tried again.
func TestStartTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, resource.Item{Name: "mount", Resource: &fake{startTakes: time.Minute}})
		time.Sleep(7 * time.Second)
		r.want(t, "0s start mount", "5s mount is failed not done within 5s: context deadline exceeded", "6s stop mount", "6s start mount")
		r.stop()
	})
}

// TestStepHangs: a step that ignores its end is given up; the resource is not touched until it has ended after all, and
// the others are stopped in any case.
func TestStepHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mount := &fake{hang: make(chan struct{})}
		r := run(t, resource.Item{Name: "vip", Resource: &fake{}}, resource.Item{Name: "mount", Resource: mount})
		time.Sleep(6 * time.Second)
		r.want(t, "0s start vip", "0s vip is up ", "0s start mount", "5.5s mount is failed no end 500ms after the limit of 5s: an earlier step still hangs")
		began := time.Now()
		r.stop()
		if took := time.Since(began); took > limits.Stop+resource.Grace {
			t.Errorf("stopping took %s", took)
		}
		r.want(t, "7s mount is stop-failed an earlier step still hangs", "7s stop vip", "7s vip is stopped ")
		close(mount.hang)
		synctest.Wait()
	})
}

// TestRoleComesBack: the second term begins afresh.
func TestRoleComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, resource.Item{Name: "vip", Critical: true, Resource: &fake{startErrs: []error{errBroken}, stopErrs: []error{errBroken}}})
		time.Sleep(time.Millisecond)
		r.stop()
		if len(r.Faults()) != 1 {
			t.Error("a failed stop is a fault")
		}
		r.take()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r.Run(ctx)
		if f := r.Faults(); f != nil {
			t.Errorf("faults %q", f)
		}
		r.want(t, "1ms start vip", "1ms vip is up ", "1.001s stop vip", "1.001s vip is stopped ")
	})
}

func TestClean(t *testing.T) {
	r := resource.New(resource.Options{Items: []resource.Item{
		{Name: "stale", Resource: &fake{left: true}},
		{Name: "failing", Resource: &fake{stopErrs: []error{errBroken}}},
		{Name: "clean", Resource: &fake{}},
		{Name: "other", Resource: &resource.Command{}},
	}})
	found, err := r.Clean(t.Context())
	if !slices.Equal(found, []string{"stale"}) || !errors.Is(err, errBroken) || !strings.Contains(err.Error(), "failing") {
		t.Errorf("%q, %v", found, err)
	}
}

func TestEmpty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t)
		r.stop()
		if len(r.Status()) != 0 || r.Faults() != nil {
			t.Error("there is nothing")
		}
	})
}
