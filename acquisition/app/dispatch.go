package app

import (
	"context"

	"scada/acquisition/live"
	"scada/acquisition/tag"
)

// enter begins an application's run. While any runs there is one dispatcher, which sees every change from here on.
func (e *Engine) enter() {
	e.running.Lock()
	defer e.running.Unlock()
	e.runs++
	if e.runs > 1 {
		return
	}
	var ctx context.Context
	ctx, e.quit = context.WithCancel(context.Background())
	done := make(chan struct{})
	e.dispatched = done
	d := &dispatcher{bound: e.binding()}
	d.watch = d.bound.table.Watch()
	d.seq = d.bound.table.Seq()
	go func() {
		defer close(done)
		d.run(ctx, e)
	}()
}

// leave ends it, and with the last one the dispatcher.
func (e *Engine) leave() {
	e.running.Lock()
	defer e.running.Unlock()
	if e.runs--; e.runs == 0 {
		e.quit()
		<-e.dispatched
	}
}

func (e *Engine) binding() binding {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.bound
}

// dispatcher wakes the applications whose inputs change: one reader of the table for all of them.
type dispatcher struct {
	bound   binding
	watch   *live.Watch
	seq     uint64
	changes []live.Change
}

func (d *dispatcher) run(ctx context.Context, e *Engine) {
	defer func() { d.watch.Close() }()
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.rebound:
			d.tell() // what the table before still has: nothing is added to it any more
			next := e.binding()
			if next.table != d.bound.table {
				d.watch.Close()
				d.watch, d.seq = next.table.Watch(), next.seq
			}
			d.bound = next
			d.tell()
		case <-d.watch.C():
			d.tell()
		}
	}
}

// tell wakes who reads what has changed.
func (d *dispatcher) tell() {
	d.changes, d.seq = d.bound.table.Since(d.changes[:0], d.seq, 0)
	for _, c := range d.changes {
		d.wake(c.Tag)
	}
}

func (d *dispatcher) wake(id tag.ID) {
	for _, a := range d.bound.readers[id] {
		a.wake()
	}
}
