package monitor

import (
	"bytes"
	"math"

	"github.com/gopcua/opcua/ua"

	"scada/acquisition/tag"
	"scada/web/uaserver/wire"
)

// Spec says what a monitored item watches and how.
type Spec struct {
	Tag  tag.ID
	Poll func() wire.Value // not nil: the item is not a tag's value, and this is asked at its sampling interval
	// Event, if not nil, makes the item one for events: it returns the encoded fields of an event that passes the
	// item's filter, and nil for others. Given [Overflow] it returns the fields of an overflow of the queue.
	Event func(event any) []byte
	Place any // which node it is, for the owner of the item

	Mode         ua.MonitoringMode
	ClientHandle uint32
	Sampling     float64 // ms; 0 is every change, negative the publishing interval
	Queue        uint32
	KeepNewest   bool // discard the oldest when the queue is full
	Trigger      ua.DataChangeTrigger
	Deadband     float64 // absolute
	Least        float64 // the tag's own deadband, below which a change is none to anybody
}

// ItemResult is the server's answer for one item.
type ItemResult struct {
	Status   ua.StatusCode
	ID       uint32
	Sampling float64 // ms
	Queue    uint32
}

// overflow marks, in the status of a value, that values before or after it were lost (OPC 10000-4, 7.39).
const overflow tag.Quality = 0x480

// item is a monitored item. All fields are guarded by the engine's lock.
type item struct {
	id       uint32
	sub      *subscription
	spec     Spec
	stamps   ua.TimestampsToReturn
	size     int    // of the queue
	sampling int64  // ns, 0 is every change
	next     int64  // earliest time of the next sample
	from     uint64 // number of the change it began with, if it wants every change
	last     wire.Value
	seen     bool // last is set
	queue    ring
	listed   bool // in sub.ready
	dead     bool
	gone     bool // what it watches is not there any more

	held    bool // in the engine's list of held items
	release int64
	pending tag.Sample

	links []*item // items triggered by this one

	bytes int  // event items: of the queued events
	lost  bool // event items: the queue holds the event that says that others were lost
}

// differs reports whether v is a change to the client.
func (it *item) differs(v *wire.Value) bool {
	switch {
	case !it.seen || v.Quality != it.last.Quality:
		return true
	case it.spec.Trigger == ua.DataChangeTriggerStatus:
		return false
	case it.spec.Trigger == ua.DataChangeTriggerStatusValueTimestamp && v.Time != it.last.Time:
		return true
	case v.Raw != nil || it.last.Raw != nil:
		return !bytes.Equal(v.Raw, it.last.Raw)
	case v.Value == it.last.Value:
		return false
	case it.deadband() == 0 || v.Value.Type() == tag.TypeString:
		return true
	}
	d := math.Abs(v.Value.Number() - it.last.Value.Number())
	return !(d <= it.deadband()) // not a number, too, is a change
}

func (it *item) deadband() float64 { return max(it.spec.Deadband, it.spec.Least) }

// accept puts a sample into the queue if it is a change to the client.
func (it *item) accept(v wire.Value) {
	if !it.differs(&v) {
		return
	}
	it.last, it.seen = v, true
	it.push(v)
}

// push queues a value and lists the item, and those it triggers, for the next message.
func (it *item) push(v wire.Value) {
	switch {
	case it.queue.n < it.size:
		it.queue.put(v, it.size)
	case it.size == 1:
		*it.queue.at(0) = v // a queue of one holds the newest and has no overflow
	case it.spec.KeepNewest:
		it.sub.tally.queueOverflows++
		it.queue.pop()
		it.queue.at(0).Quality |= overflow
		it.queue.put(v, it.size)
	default:
		it.sub.tally.queueOverflows++
		v.Quality |= overflow
		*it.queue.at(it.queue.n - 1) = v
	}
	if it.spec.Mode != ua.MonitoringModeReporting {
		return
	}
	it.list()
	for _, linked := range it.links {
		if !linked.dead && linked.spec.Mode == ua.MonitoringModeSampling && linked.queue.n > 0 {
			linked.list()
		}
	}
}

func (it *item) list() {
	if !it.listed {
		it.listed = true
		it.sub.ready = append(it.sub.ready, it)
	}
}

// resize changes the length of the queue; the newest values stay.
func (it *item) resize(size int) {
	for it.queue.n > size {
		it.queue.pop()
	}
	values := make([]wire.Value, 0, it.queue.n)
	for it.queue.n > 0 {
		values = append(values, *it.queue.at(0))
		it.queue.pop()
	}
	it.size, it.queue = size, ring{}
	for _, v := range values {
		it.queue.put(v, size)
	}
}

// ring is a queue that grows to its limit and no further.
type ring struct {
	buf     []wire.Value
	head, n int
}

func (r *ring) at(i int) *wire.Value { return &r.buf[(r.head+i)%len(r.buf)] }

// put appends a value; r holds less than limit.
func (r *ring) put(v wire.Value, limit int) {
	if r.n == len(r.buf) {
		grown := make([]wire.Value, min(limit, max(1, 2*len(r.buf))))
		for i := range r.n {
			grown[i] = *r.at(i)
		}
		r.buf, r.head = grown, 0
	}
	r.n++
	*r.at(r.n - 1) = v
}

func (r *ring) pop() {
	*r.at(0) = wire.Value{}
	r.head = (r.head + 1) % len(r.buf)
	r.n--
}
