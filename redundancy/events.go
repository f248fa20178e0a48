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
	queue   []happening
	dropped uint64 // since the last was told
	total   uint64
	more    chan struct{}
}

// happening is an event, or a line of the log.
type happening struct {
	event Event
	log   func()
}

func newEvents(receive func(Event)) *events {
	if receive == nil {
		receive = func(Event) {}
	}
	return &events{receive: receive, more: make(chan struct{}, 1)}
}

func (e *events) add(ev Event) { e.put(happening{event: ev}) }

func (e *events) put(h happening) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.queue) >= MaxEvents {
		e.queue = e.queue[1:]
		e.dropped++
		e.total++
	}
	e.queue = append(e.queue, h)
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

func (e *events) take() []happening {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := e.queue
	e.queue = nil
	if e.dropped > 0 {
		told := Event{Time: time.Now(), What: EventDropped, Reason: fmt.Sprintf("%d events were dropped", e.dropped)}
		list = append([]happening{{event: told}}, list...)
		e.dropped = 0
	}
	return list
}

func (e *events) tell(h happening) {
	if h.log != nil {
		h.log()
		return
	}
	e.receive(h.event)
}

// run hands events over until ctx ends, and then those that wait.
func (e *events) run(ctx context.Context) {
	for ending := false; ; {
		list := e.take()
		for _, h := range list {
			e.tell(h)
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
