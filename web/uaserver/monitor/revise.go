package monitor

import (
	"math"
	"slices"
	"time"

	"github.com/gopcua/opcua/ua"

	"scada/acquisition/live"
	"scada/acquisition/tag"
	"scada/web/uaserver/wire"
)

// Rebound says what became of the node an item watches.
type Rebound int

// What became of it.
const (
	Gone    Rebound = iota // it is not there any more
	Kept                   // it is there
	Changed                // it is there, and its values mean something else than before
)

// semanticsChanged marks, in the status of a value, that what describes it has changed (OPC 10000-8, 5.2).
const semanticsChanged tag.Quality = 0x4000

// Revise puts another table in the place of the one followed so far. It asks of every item that is not one for events
// what became of its node; rebind changes of the Spec what changes with it: Tag, Poll, Place, Least.
//
// An item whose node is gone tells its client once, with the status Bad_NodeIdUnknown, and stays until the client deletes
// it. Should a later revision have the node again, it goes on.
func (e *Engine) Revise(table *live.Table, rebind func(*Spec) Rebound) {
	now := time.Now()
	at := int64(now.Sub(e.start))
	e.follow(at) // what the old table still has to tell
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tail.Close()
	e.table, e.tail, e.eager = table, table.Tail(maxTail), map[tag.ID]int{}
	e.byTag, e.polled, e.polling = make([][]*item, table.Len()), nil, 0
	for _, it := range e.held {
		it.held = false // the new table's value comes at once
	}
	e.held, e.heldDue, e.pollDue, e.cursor = nil, math.MaxInt64, at, table.Seq()
	for _, s := range e.subs {
		for _, it := range s.items {
			if it.spec.Event == nil {
				e.rebind(it, rebind(&it.spec), now)
			}
		}
	}
	e.nudge()
}

// rebind puts an item where the changes of its node come, and tells of the new value.
func (e *Engine) rebind(it *item, became Rebound, now time.Time) {
	it.gone = became == Gone
	if it.spec.Poll != nil {
		e.polling++
	}
	switch {
	case it.gone:
	case it.spec.Poll != nil:
		e.polled = append(e.polled, it)
	default:
		e.place(it)
	}
	if it.spec.Mode == ua.MonitoringModeDisabled {
		return
	}
	switch {
	case it.gone:
		it.accept(nodeGone(now))
	case it.spec.Poll != nil:
		it.take(now)
	default:
		e.begin(it)
	}
	if became == Changed && it.seen {
		it.retell(semanticsChanged)
	}
}

// retell marks the newest value in the queue, and queues the present one for that if it has been told already.
func (it *item) retell(mark tag.Quality) {
	if it.queue.n == 0 {
		it.push(it.last)
	}
	it.queue.at(it.queue.n - 1).Quality |= mark
}

// nodeGone is the last value of a node that is not there any more.
func nodeGone(now time.Time) wire.Value {
	return wire.Value{Sample: tag.Sample{Time: now.UnixNano(), Quality: tag.Quality(ua.StatusBadNodeIDUnknown)}}
}

// place lists an item with its tag.
func (e *Engine) place(it *item) {
	if int(it.spec.Tag) < len(e.byTag) {
		e.byTag[it.spec.Tag] = append(e.byTag[it.spec.Tag], it)
		e.want(it, 1)
	}
}

// displace undoes place, or takes an item off the list of those that are asked.
func (e *Engine) displace(it *item) {
	is := func(other *item) bool { return other == it }
	switch {
	case it.spec.Poll != nil:
		e.polling--
		e.polled = slices.DeleteFunc(e.polled, is)
	case !it.gone && int(it.spec.Tag) < len(e.byTag):
		e.byTag[it.spec.Tag] = slices.DeleteFunc(e.byTag[it.spec.Tag], is)
		e.want(it, -1)
	}
}
