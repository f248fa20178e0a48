package acquisition

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// mute is a source whose devices never settle.
type mute struct{ fake }

func (m *mute) Run(ctx context.Context, _ Sink) error {
	m.running = true
	<-ctx.Done()
	time.Sleep(m.linger)
	m.running = false
	return nil
}

// TestSourcesComeAndGo: a source that leaves has ended when Remove returns, and the others do not notice.
func TestSourcesComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stays, leaves := &fake{names: []string{"a"}}, &mute{fake{names: []string{"b"}, linger: 3 * time.Second}}
		var record FirstGood
		g, err := NewGroup([]Source{stays, leaves}, func(f FirstGood) { record = f })
		if err != nil {
			t.Fatal(err)
		}
		comes := &fake{names: []string{"b", "c"}}
		if err := g.Add(comes); err == nil {
			t.Error("a device on two sources was accepted")
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- g.Run(ctx, Discard{}) }()
		synctest.Wait()
		g.Remove(leaves)
		if leaves.running || !stays.running {
			t.Errorf("after Remove: the one that left runs %v, the other %v", leaves.running, stays.running)
		}
		if len(record.Devices) != 2 || !errors.Is(record.Devices[1].Err, errRemoved) {
			t.Errorf("the record of the activation is %+v", record)
		}
		if err := g.Add(comes); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !comes.running || g.Write(ctx, "c", Write{}).Outcome != Confirmed {
			t.Error("what was added does not run")
		}
		cancel()
		if err := <-done; err != nil || stays.running || comes.running {
			t.Errorf("the end: %v, %v, %v", err, stays.running, comes.running)
		}
		g.Remove(stays)
		if _, err := g.source("a"); err == nil {
			t.Error("a device that left is still there")
		}
		if got := g.Devices(); len(got) != 2 {
			t.Errorf("devices %v", got)
		}
	})
}
