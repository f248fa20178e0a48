// Package lease decides, by nothing but cells that both nodes of a pair can read, which of the two may write.
//
// Each node owns one block of cells that it alone writes, and reads both. The holder renews its block at an interval; the
// other claims when the holder's block has stood still for longer than the holder may go on without an answer. A [Core] is
// pure: it is told the time (monotonic, as a duration since the node started) and what was answered, and says what to
// write next. It never looks at a clock.
//
// # What is promised
//
// At most one node holds, whatever is lost, delayed or cut between the nodes and the cells, and whenever the cells are
// wiped, if Take exceeds Hold by more than the clocks' rates differ, if one request is carried out at most once, and if a
// node's clock does not stand still. Three rules carry it, and the tests break each:
//
//   - An answer counts from when its request was *sent*, and only while the lease it prolongs still runs. A lease that has
//     ended is never revived, only claimed again: meanwhile the other may have claimed.
//   - No two writes are alike: every one has a new counter, also those that are repeated. So a block that looks as
//     before was not written meanwhile.
//   - Beside its block each node has a nonce in a cell that no renewal touches. A picture without it comes from cells that
//     were wiped: whatever was known of them before is void.
package lease

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Limits of a [Config].
const (
	MinInterval = 20 * time.Millisecond
	MaxInterval = 10 * time.Second
	// MinMargin is how much longer Take must be than Hold, in percent: far more than two clocks' rates ever differ.
	MinMargin = 5
)

// The multiples of the interval that [Timed] uses: one lost renewal does not end the lease, and half of it is margin.
const (
	holdIntervals = 4
	takeIntervals = 6
	// waitIntervals is how long an answer is waited for.
	waitIntervals = 2
	// biasIntervals is how much longer the second node waits, so that two that want the lease do not always claim at
	// once.
	biasIntervals = 2
)

// Config is what a [Core] is made with.
type Config struct {
	// Index tells the two nodes apart, 0 or 1.
	Index int
	// Interval is how often the cells are read, and by the holder renewed.
	Interval time.Duration
	// Hold is how long, from the sending of an answered renewal, its sender may write.
	Hold time.Duration
	// Take is how long the other's block must have stood still before it is overruled. Hold counts on one clock and Take
	// on the other.
	Take time.Duration
	// Nonce starts the numbers that this node marks the cells with: one that it, and its earlier processes, never used.
	// A random one will do.
	Nonce uint32
}

// Timed returns a configuration with the usual proportions.
func Timed(index int, interval time.Duration, nonce uint32) Config {
	return Config{Index: index, Interval: interval, Hold: holdIntervals * interval, Take: takeIntervals * interval, Nonce: nonce}
}

// Validate says what is wrong with the configuration, or nil.
func (c Config) Validate() error {
	switch {
	case c.Index != 0 && c.Index != 1:
		return fmt.Errorf("index %d is neither 0 nor 1", c.Index)
	case c.Interval < MinInterval || c.Interval > MaxInterval:
		return fmt.Errorf("interval %v is outside %v to %v", c.Interval, MinInterval, MaxInterval)
	case c.Hold < 2*c.Interval:
		return fmt.Errorf("hold %v is less than two intervals of %v", c.Hold, c.Interval)
	case c.Take < c.Hold+c.Hold*MinMargin/100:
		return fmt.Errorf("take %v is not %d %% longer than hold %v: two nodes could hold", c.Take, MinMargin, c.Hold)
	}
	return nil
}

// Timeout is how long to wait for an answer before [Core.Failed].
func (c Config) Timeout() time.Duration { return waitIntervals * c.Interval }

// Do says what a [Request] asks for.
type Do uint8

// What a request asks for. Every request reads all cells after it has written.
const (
	// Read writes nothing.
	Read Do = iota
	// Mark writes Nonce into this node's nonce cell.
	Mark
	// Put writes Block into this node's block.
	Put
)

// Request is one exchange with the cells.
type Request struct {
	Do    Do
	Block Block
	Nonce uint32
	claim bool
}

// Picture is what the cells hold, read at one moment after the request's own write.
type Picture struct {
	Own, Peer Block
	// OwnTorn and PeerTorn say that a block is not one that was written as a whole: half written, or garbage.
	OwnTorn, PeerTorn bool
	// Nonce is this node's mark.
	Nonce uint32
}

// State is what the cells tell of the other node.
type State uint8

// The states of the other node.
const (
	// Unknown: the cells could not be read lately, or not yet for long enough.
	Unknown State = iota
	// Working: its block has been written lately.
	Working
	// Idle: it does not hold the lease and cannot without this node's seeing it.
	Idle
)

// Core is one node's view of one lease. It is not safe for concurrent use.
type Core struct {
	cfg     Config
	next    time.Duration
	pending bool
	sent    time.Duration
	request Request

	marked  bool // this node's nonce was in the cells
	nonce   uint32
	counter uint32
	highest uint32 // epoch seen or used
	epoch   uint32 // of the lease held

	holding   bool
	confirmed time.Duration // when the newest answered renewal was sent
	wanted    bool

	answered   bool
	answeredAt time.Duration
	seen       Block         // the other's block
	observed   bool          // seen is set
	since      time.Duration // receipt of the first picture with seen
	writes     uint64        // changes of the other's block
}

// New returns a core that holds nothing.
func New(cfg Config) (*Core, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("lease: %w", err)
	}
	if cfg.Nonce == 0 {
		return nil, errors.New("lease: the nonce must not be 0, which is what wiped cells hold")
	}
	return newCore(cfg), nil
}

func newCore(cfg Config) *Core {
	// The counter starts with the nonce, so that the writes of two processes of a node are not alike either.
	return &Core{cfg: cfg, nonce: cfg.Nonce, counter: cfg.Nonce}
}

// Deadline returns when [Core.Next] has something to ask for, while no request is under way.
func (c *Core) Deadline() time.Duration { return c.next }

// Next returns the request that is due at now, if any. wanted says whether this node is to hold the lease: a node that
// no longer wants it lets it go at once. One request is under way at a time: call [Core.Answered] or [Core.Failed] first.
func (c *Core) Next(now time.Duration, wanted bool) (Request, bool) {
	c.wanted = wanted
	if c.holding && (!wanted || !c.Holds(now)) {
		c.holding = false
	}
	if c.pending || now < c.next {
		return Request{}, false
	}
	c.pending, c.sent, c.next = true, now, now+c.cfg.Interval
	c.request = c.choose(now)
	return c.request, true
}

func (c *Core) choose(now time.Duration) Request {
	switch {
	case !c.marked:
		// A mark that was lost may still arrive, much later: each try has its own.
		c.nonce = after(c.nonce)
		return Request{Do: Mark, Nonce: c.nonce}
	case c.holding:
		return c.put(false)
	case c.mayClaim(now):
		c.highest = c.nextEpoch()
		return c.put(true)
	}
	return Request{Do: Read}
}

// after counts on and leaves zero out.
func after(n uint32) uint32 {
	if n == math.MaxUint32 {
		return 1
	}
	return n + 1
}

func (c *Core) put(claim bool) Request {
	c.counter = after(c.counter)
	epoch := c.epoch
	if claim {
		epoch = c.highest
	}
	return Request{Do: Put, Block: Block{Epoch: epoch, Counter: c.counter, Node: uint16(c.cfg.Index) + 1}, claim: claim}
}

func (c *Core) mayClaim(now time.Duration) bool {
	patience := c.cfg.Take + time.Duration(c.cfg.Index)*biasIntervals*c.cfg.Interval
	// A claim after a gap would not succeed, but its epoch would depose a holder that renewed meanwhile.
	fresh := c.answered && now-c.answeredAt <= c.cfg.Timeout()
	return c.wanted && c.observed && fresh && now-c.since >= patience && c.highest < math.MaxUint32-2
}

// nextEpoch returns an epoch above all known, odd for one node and even for the other.
func (c *Core) nextEpoch() uint32 {
	e := c.highest + 1
	if odd := c.cfg.Index == 0; odd != (e%2 == 1) {
		e++
	}
	return e
}

// Failed tells that the request was not answered, or in a way that says nothing.
func (c *Core) Failed(now time.Duration) {
	c.pending = false
	c.next = max(c.next, now)
}

// Answered tells what the cells held after the request.
func (c *Core) Answered(now time.Duration, p Picture) {
	if !c.pending {
		return
	}
	c.pending = false
	c.next = max(c.next, now)
	c.learn(p)
	if p.Nonce != c.nonce {
		c.forget()
		return
	}
	if !c.marked {
		c.marked, c.observed = true, false
	}
	if p.PeerTorn {
		return // says nothing: neither that it stood still nor that it changed
	}
	c.answered, c.answeredAt = true, now
	still := c.observed && p.Peer == c.seen
	if !still {
		if c.observed {
			c.writes++
		}
		c.seen, c.observed, c.since = p.Peer, true, now
	}
	c.conclude(now, p, still)
}

// learn keeps the highest epoch there is.
func (c *Core) learn(p Picture) {
	if !p.OwnTorn {
		c.highest = max(c.highest, p.Own.Epoch)
	}
	if !p.PeerTorn {
		c.highest = max(c.highest, p.Peer.Epoch)
	}
}

// forget begins anew with cells that were wiped. Whoever held the lease before may still do so for a while, and cannot
// be seen: so nobody claims before Take has passed.
func (c *Core) forget() {
	c.marked, c.holding, c.observed = false, false, false
}

// conclude draws the consequences for this node's own lease.
func (c *Core) conclude(now time.Duration, p Picture, still bool) {
	if c.holding && p.Peer.Epoch > c.epoch {
		c.holding = false
		return
	}
	r := c.request
	if r.Do != Put || p.OwnTorn || p.Own != r.Block || p.Peer.Epoch > r.Block.Epoch || !c.wanted {
		return
	}
	switch {
	case r.claim && still && now-c.sent < c.cfg.Hold:
		c.holding, c.epoch, c.confirmed = true, r.Block.Epoch, c.sent
	case !r.claim && c.Holds(now):
		c.confirmed = c.sent
	}
}

// Holds reports whether this node holds the lease at now.
func (c *Core) Holds(now time.Duration) bool {
	return c.holding && now-c.confirmed < c.cfg.Hold
}

// Left returns how long the lease still runs.
func (c *Core) Left(now time.Duration) time.Duration {
	if !c.Holds(now) {
		return 0
	}
	return c.confirmed + c.cfg.Hold - now
}

// Epoch returns the epoch of the lease held, or the highest known.
func (c *Core) Epoch() uint32 {
	if c.holding {
		return c.epoch
	}
	return c.highest
}

// Peer returns what the cells tell of the other node at now.
func (c *Core) Peer(now time.Duration) State {
	switch {
	case c.Holds(now):
		return Idle
	case !c.answered || now-c.answeredAt >= c.cfg.Hold || !c.observed:
		return Unknown
	case now-c.since >= c.cfg.Take:
		return Idle
	case c.writes > 0:
		return Working
	}
	return Unknown
}

// Writes counts the changes of the other node's block that were seen.
func (c *Core) Writes() uint64 { return c.writes }
