package acquisition

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"scada/acquisition/tag"
)

// fake is a source whose devices settle after fixed delays.
type fake struct {
	names   []string
	delay   time.Duration
	settle  error
	fail    error
	linger  time.Duration
	running bool
}

func (f *fake) Devices() []string { return f.names }
func (f *fake) Run(ctx context.Context, sink Sink) error {
	f.running = true
	defer func() { f.running = false }()
	time.Sleep(f.delay)
	for _, n := range f.names {
		sink.Settled(n, time.Now(), f.settle)
	}
	sink.Publish([]tag.Update{{Tag: 1}})
	if f.fail != nil {
		return f.fail
	}
	<-ctx.Done()
	time.Sleep(f.linger)
	return nil
}
func (f *fake) Write(context.Context, Write) WriteResult {
	return WriteResult{Outcome: Confirmed}
}
func (f *fake) Probe(context.Context, string) error { return nil }
func (f *fake) Status() []DeviceStatus              { return make([]DeviceStatus, len(f.names)) }

func TestGroupWaitsForEverySource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		quick, slow := &fake{names: []string{"a"}}, &fake{names: []string{"b"}, linger: 3 * time.Second}
		g, err := NewGroup([]Source{quick, slow}, nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if err := g.Run(ctx, Discard{}); err != nil {
			t.Fatal(err)
		}
		if slow.running || quick.running {
			t.Error("Run returned while a source was running")
		}
		if d := time.Since(start); d != 4*time.Second {
			t.Errorf("Run took %v, want 4s", d)
		}
	})
}

func TestGroupStopsAllWhenOneFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		boom := errors.New("boom")
		good := &fake{names: []string{"a"}}
		g, _ := NewGroup([]Source{good, &fake{names: []string{"b"}, fail: boom, delay: time.Second}}, nil)
		if err := g.Run(t.Context(), Discard{}); !errors.Is(err, boom) {
			t.Errorf("Run: %v, want boom", err)
		}
		if good.running {
			t.Error("a source is still running")
		}
	})
}

func TestGroupFirstGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := errors.New("no answer")
		var got []FirstGood
		g, _ := NewGroup([]Source{
			&fake{names: []string{"a", "b"}, delay: 20 * time.Millisecond},
			&fake{names: []string{"c"}, delay: time.Second, settle: gone},
		}, func(f FirstGood) { got = append(got, f) })
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			if err := g.Run(ctx, Discard{}); err != nil {
				t.Fatal(err)
			}
			cancel()
		}
		if len(got) != 2 {
			t.Fatalf("%d records for two runs", len(got))
		}
		for _, r := range got {
			if d := r.Done.Sub(r.Started); d != time.Second || len(r.Devices) != 3 {
				t.Errorf("done after %v with %d devices, want 1s and 3", d, len(r.Devices))
			}
			if d := r.Devices[1].At.Sub(r.Started); d != 20*time.Millisecond || r.Devices[1].Err != nil {
				t.Errorf("b: %v %v", d, r.Devices[1].Err)
			}
			if !errors.Is(r.Devices[2].Err, gone) {
				t.Errorf("c: %v, want %v", r.Devices[2].Err, gone)
			}
		}
	})
}

func TestActivationRecovery(t *testing.T) {
	calls := 0
	a := newActivation(Discard{}, []string{"a"}, func(FirstGood) { calls++ })
	now := time.Now()
	a.Settled("a", now, errors.New("silent"))
	a.Settled("a", now.Add(time.Second), nil)
	a.Settled("a", now.Add(2*time.Second), errors.New("ignored: it was good once"))
	a.Settled("z", now, nil)
	r, ok := a.snapshot()
	if !ok || calls != 1 || r.Devices[0].Err != nil || !r.Devices[0].At.Equal(now.Add(time.Second)) {
		t.Errorf("record %+v, complete %v, %d calls", r, ok, calls)
	}
}

func TestGroupRefuses(t *testing.T) {
	if _, err := NewGroup([]Source{&fake{names: []string{"a"}}, &fake{names: []string{"a"}}}, nil); err == nil {
		t.Error("a device on two sources was accepted")
	}
	g, _ := NewGroup([]Source{&fake{names: []string{"a"}}}, nil)
	if r := g.Write(t.Context(), "b", Write{}); r.Outcome != Refused || !errors.Is(r.Err, ErrNoDevice) {
		t.Errorf("write to an unknown device: %+v", r)
	}
	if r := g.Write(t.Context(), "a", Write{}); r.Outcome != Confirmed {
		t.Errorf("write: %+v", r)
	}
	if err := g.Probe(t.Context(), "b"); !errors.Is(err, ErrNoDevice) {
		t.Errorf("probe of an unknown device: %v", err)
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		go g.Run(ctx, Discard{})
		synctest.Wait()
		if err := g.Run(ctx, Discard{}); !errors.Is(err, ErrRunning) {
			t.Errorf("second Run: %v", err)
		}
		cancel()
	})
}

func TestGroupWithoutDevices(t *testing.T) {
	called := false
	g, _ := NewGroup(nil, func(FirstGood) { called = true })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.Run(ctx, Discard{}); err != nil || !called {
		t.Errorf("err %v, first good reported %v", err, called)
	}
}
