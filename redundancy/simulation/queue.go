package simulation

import (
	"time"

	"scada/redundancy/role"
)

// event is something that happens at a time.
type event struct {
	at    time.Duration
	order uint64
	to    *node  // deferred while it stands still; nil concerns the world
	inc   uint64 // the process it concerns, 0 for any
	due   time.Duration
	kind  eventKind
	msg   *message
	fn    func()
}

// eventKind tells the frequent events apart without a closure for each.
type eventKind uint8

const (
	call    eventKind = iota // fn
	beat                     // the next heartbeat of to
	tick                     // the deadline of to
	arrival                  // msg
)

// message is a heartbeat message under way.
type message struct {
	from          *node
	to            uint64 // the process it was sent to, 0 if there was none
	path          int
	heard         role.Heard // but for the views
	views         [maxAreas]role.View
	number        uint64 // of an answer
	echo, echoInc uint64
}

// queue is a heap of events, the earliest first and those of one time in the order they were made.
type queue []event

func (q queue) before(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].order < q[j].order
}

func (q *queue) push(e event) {
	*q = append(*q, e)
	h := *q
	for i := len(h) - 1; i > 0; {
		parent := (i - 1) / 2
		if !h.before(i, parent) {
			return
		}
		h[i], h[parent] = h[parent], h[i]
		i = parent
	}
}

func (q *queue) pop() event {
	h := *q
	top, last := h[0], len(h)-1
	h[0] = h[last]
	h[last] = event{}
	h = h[:last]
	*q = h
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < last; child++ {
			if h.before(child, least) {
				least = child
			}
		}
		if least == i {
			return top
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}
