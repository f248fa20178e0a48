package redundancy

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// events hands events to a receiver that may be slow, in order, from a goroutine of its own.
type events struct {
	receive func(Event)

	mu      sync.Mutex
	queue   []Event
	dropped uint64 // since the last was told
	total   uint64
	more    chan struct{}
}

func newEvents(receive func(Event)) *events {
	if receive == nil {
		receive = func(Event) {}
	}
	return &events{receive: receive, more: make(chan struct{}, 1)}
}

func (e *events) add(ev Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.queue) >= MaxEvents {
		e.queue = e.queue[1:]
		e.dropped++
		e.total++
	}
	e.queue = append(e.queue, ev)
	select {
	case e.more <- struct{}{}:
	default:
	}
}

func (e *events) lost() uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.total
}

func (e *events) take() []Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := e.queue
	e.queue = nil
	if e.dropped > 0 {
		list = append([]Event{{Time: time.Now(), What: EventDropped, Reason: fmt.Sprintf("%d events were dropped", e.dropped)}}, list...)
		e.dropped = 0
	}
	return list
}

// run hands events over until ctx ends, and then those that wait.
func (e *events) run(ctx context.Context) {
	for ending := false; ; {
		list := e.take()
		for _, ev := range list {
			e.receive(ev)
		}
		if len(list) > 0 {
			continue
		}
		if ending {
			return
		}
		select {
		case <-e.more:
		case <-ctx.Done():
			ending = true
		}
	}
}
