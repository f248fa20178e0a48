package monitor

import (
	"bytes"
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gopcua/opcua/ua"

	"scada/acquisition/live"
	"scada/acquisition/tag"
	"scada/web/uaserver/wire"
)

const (
	changesPerLock  = 4096                   // changes handed out before services get a turn
	restTime        = 10 * time.Millisecond  // between two looks at the table when no item wants every change
	longestSleep    = time.Second            // between two looks at the clock
	slackShare      = 10                     // a sample may come this share of its interval early, a publish be waited for
	minPolling      = 100 * time.Millisecond // shortest sampling interval of what is not a tag's value
	maxSampling     = 24 * time.Hour
	maxPublishing   = time.Hour
	maxKeepAlive    = 10_000  // publishing intervals
	maxLifetime     = 100_000 // publishing intervals
	lifetimeRatio   = 3       // the lifetime is at least this many keep-alives (OPC 10000-4, 5.13.2)
	maxPerMessage   = 20_000  // values in one message
	maxMessageBytes = 4 << 20 // of values in one message
	maxSentBytes    = 4 << 20 // of messages a subscription keeps for Republish
	maxLinks        = 1000    // items one item triggers
	maxEventItems   = 200     // items for events, of all sessions
	maxEventBytes   = 1 << 18 // of events waiting in one item
	maxTail         = 1 << 16 // changes between two looks at the table, of tags with an item that wants each of them
)

// Limits bounds what clients may take.
type Limits struct {
	SubscriptionsPerServer, Subscriptions int
	Items, ItemsPerSubscription           int
	Queue, Publish, Retransmission        int
	MinPublishing, MinSampling            time.Duration
}

// Engine holds all subscriptions of a server.
type Engine struct {
	table  *live.Table
	limits Limits
	start  time.Time // all due times are counted from here, so that a corrected clock does not matter
	wake   chan struct{}

	mu      sync.Mutex
	cursor  uint64
	changes []live.Change
	byTag   [][]*item
	polled  []*item
	polling int // those of polled, and those of the same kind whose node is gone
	held    []*item
	heldDue int64
	pollDue int64
	events  []*item
	eager   map[tag.ID]int // items that want every change
	tail    *live.Tail     // of the tags of these
	items   int
	subs    map[uint32]*subscription
	nextSub uint32
	paces   map[int64]int // subscriptions by publishing interval

	// Read without the lock: a polled value may be one of these.
	subscriptions, cumulated, intervals atomic.Int64
}

// New returns an engine over a table.
func New(table *live.Table, limits Limits) *Engine {
	return &Engine{
		table: table, limits: limits, start: time.Now(), wake: make(chan struct{}, 1),
		byTag: make([][]*item, table.Len()), eager: map[tag.ID]int{}, tail: table.Tail(maxTail), subs: map[uint32]*subscription{}, paces: map[int64]int{}, heldDue: math.MaxInt64, pollDue: math.MaxInt64,
	}
}

// Subscriptions returns how many subscriptions there are, and were in all.
func (e *Engine) Subscriptions() (present, cumulated int64) {
	return e.subscriptions.Load(), e.cumulated.Load()
}

// Run serves the subscriptions until ctx ends.
func (e *Engine) Run(ctx context.Context) {
	defer func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.tail.Close()
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		e.watch(ctx, e.present(), timer)
	}
}

func (e *Engine) present() *live.Table {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.table
}

// watch serves the subscriptions until ctx ends or there is another table.
func (e *Engine) watch(ctx context.Context, table *live.Table, timer *time.Timer) {
	w := table.Watch()
	defer w.Close()
	for ctx.Err() == nil && e.present() == table {
		looked := time.Now()
		sleep, every := e.Advance(looked)
		timer.Reset(sleep)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-e.wake:
		case <-w.C():
			if !every {
				e.rest(ctx, timer, looked, sleep)
			}
		}
	}
}

// rest lets changes gather for a moment: nobody wants each of them at once.
func (e *Engine) rest(ctx context.Context, timer *time.Timer, looked time.Time, sleep time.Duration) {
	timer.Reset(min(restTime, sleep) - time.Since(looked))
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-e.wake:
	}
}

// nudge makes Run look again: something with an earlier due time came.
func (e *Engine) nudge() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// Advance does what is due at now. It returns how long it need not be called again, and whether it should be called
// at every change of the table before that.
func (e *Engine) Advance(now time.Time) (sleep time.Duration, every bool) {
	at := int64(now.Sub(e.start))
	e.follow(at)
	e.mu.Lock()
	defer e.mu.Unlock()
	if at >= e.heldDue {
		e.releaseHeld(at)
	}
	if at >= e.pollDue {
		e.poll(at, now)
	}
	next := at + int64(longestSleep)
	for _, s := range e.subs {
		if at >= s.due {
			e.cycle(s, at, now)
		}
		next = min(next, s.due)
	}
	next = min(next, e.heldDue, e.pollDue)
	return time.Duration(max(next-at, 0)), len(e.eager) > 0
}

// followAll hands every change to the items that want all of them.
func (e *Engine) followAll(at int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var lost bool
	e.changes, lost = e.tail.Take(e.changes[:0])
	for i := range e.changes {
		c := &e.changes[i]
		for _, it := range e.byTag[c.Tag] {
			if eager(it) > 0 && c.Seq > it.from {
				e.offer(it, &c.Sample, at)
			}
		}
	}
	if !lost {
		return
	}
	for id := range e.eager {
		c := e.table.Latest(id)
		for _, it := range e.byTag[id] {
			if eager(it) == 0 || it.spec.Mode == ua.MonitoringModeDisabled {
				continue
			}
			it.from = c.Seq
			it.accept(wire.Value{Sample: c.Sample})
			if it.queue.n > 0 && it.size > 1 {
				it.queue.at(it.queue.n - 1).Quality |= overflow
			}
		}
	}
}

// follow hands the changes of the table to the items.
func (e *Engine) follow(at int64) {
	e.followAll(at)
	for more := true; more; {
		e.mu.Lock()
		if e.items == e.polling+len(e.events) {
			e.cursor, more = e.table.Seq(), false
		} else {
			e.changes, e.cursor = e.table.Since(e.changes[:0], e.cursor, changesPerLock)
			more = len(e.changes) == changesPerLock
			for i := range e.changes {
				c := &e.changes[i]
				for _, it := range e.byTag[c.Tag] {
					if eager(it) == 0 {
						e.offer(it, &c.Sample, at)
					}
				}
			}
		}
		e.mu.Unlock()
	}
}

// offer gives an item a new sample of its tag. An item that had one less than its sampling interval ago gets it later,
// as does one whose queue is full just before it is published: then two samples of a slightly uneven source fall into
// one publishing interval, and none into the next.
func (e *Engine) offer(it *item, s *tag.Sample, at int64) {
	switch {
	case it.spec.Mode == ua.MonitoringModeDisabled:
		return
	case it.held:
		it.pending = *s
		return
	case it.sampling == 0:
		it.accept(wire.Value{Sample: *s})
		return
	}
	release := int64(0)
	if at+it.sampling/slackShare < it.next {
		release = it.next
	} else if it.queue.n >= it.size && it.sub.publishes() && it.sub.due-at < it.sub.interval/slackShare {
		release = it.sub.due + 1
	}
	if release > 0 {
		it.held, it.pending, it.release = true, *s, release
		e.held = append(e.held, it)
		e.heldDue = min(e.heldDue, release)
		return
	}
	it.next = at + it.sampling
	it.accept(wire.Value{Sample: *s})
}

// releaseHeld gives the held items whose time has come the newest sample of their tag.
func (e *Engine) releaseHeld(at int64) {
	e.heldDue = math.MaxInt64
	e.held = slices.DeleteFunc(e.held, func(it *item) bool {
		if !it.dead && at < it.release {
			e.heldDue = min(e.heldDue, it.release)
			return false
		}
		it.held = false
		if !it.dead && it.spec.Mode != ua.MonitoringModeDisabled {
			it.next = at + it.sampling
			it.accept(wire.Value{Sample: it.pending})
		}
		return true
	})
}

// poll asks for the values that are not tags.
func (e *Engine) poll(at int64, now time.Time) {
	e.pollDue = math.MaxInt64
	for _, it := range e.polled {
		if it.spec.Mode == ua.MonitoringModeDisabled {
			continue
		}
		if at >= it.next {
			it.next = at + it.sampling
			it.take(now)
		}
		e.pollDue = min(e.pollDue, it.next)
	}
}

// take asks for a value that is not a tag's. Its time is that of the last change.
func (it *item) take(now time.Time) {
	v := it.spec.Poll()
	if it.seen && v.Quality == it.last.Quality && bytes.Equal(v.Raw, it.last.Raw) {
		return
	}
	v.Time = now.UnixNano()
	it.accept(v)
}
