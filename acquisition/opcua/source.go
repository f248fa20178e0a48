package opcua

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gopcua/opcua/ua"

	"scada/acquisition"
	"scada/acquisition/tag"
)

// Times of the supervisor.
const (
	watchEvery   = 500 * time.Millisecond
	watchLimit   = 1250 * time.Millisecond // an answer to the watchdog later than this is none
	watchMisses  = 3                       // in a row that other answers make up for
	firstBackoff = 100 * time.Millisecond
	lastBackoff  = 250 * time.Millisecond // a device that is back is found soon; where nothing listens an attempt costs little
)

// ErrNotConnected is the reason nothing could be asked of the device.
var ErrNotConnected = errors.New("not connected to the device")

// Options are what a source needs beside the device's settings.
type Options struct {
	LocalAddress string    // IP address to connect from; empty lets the system choose
	Identity     *Identity // our application certificate; required for a secure channel
	TrustDir     string    // folder with trusted/ and rejected/ certificates of devices; required for a secure channel
	Dial         func(ctx context.Context, network, address string) (net.Conn, error)
	Log          *slog.Logger
	Past         Past // required for a device whose history heals
}

// Source is one OPC UA device. It implements [acquisition.Source].
type Source struct {
	device Device
	o      Options
	log    *slog.Logger
	items  []item
	byTag  map[tag.ID]int

	lifetime time.Duration // of the keys of a secure channel
	pace     pace          // of healing
	limit    atomic.Int32  // nodes the device takes in one request; 0 is not known

	writing sync.Mutex // one write at a time
	probing sync.Mutex // held by a probe or by Run
	cancel  func()     // of the probe; guarded by mu

	pub    sync.Mutex // orders what is published; guards sink and last of items
	sink   acquisition.Sink
	kept   *kept     // of Run alone, as are the next three
	blind  time.Time // since when the device is not read; zero while it is
	gaps   []gap     // still to be filled, the newest last
	mute   bool      // it gives no history
	mu     sync.Mutex
	live   *channel
	state  acquisition.DeviceStatus
	before bool // there was a session before

	settled bool // guarded by pub
}

// item is one tag.
type item struct {
	def  tag.Definition
	node *ua.NodeID
	bad  error      // the address cannot be used
	last tag.Sample // published last in this run
	as   ua.TypeID  // type of the server's node, once seen

	// Of the last reading of this session, see weigh.
	reported bool      // it was reported, not read
	asked    time.Time // when it was read
	source   time.Time // the server's own time of it
	got      time.Time
	heard    bool // a subscription speaks for it
	doubt    bool // a report was put aside: it has to be read

	past bool // the server keeps no record of it; of heal alone
}

var _ acquisition.Source = (*Source)(nil)

// New returns the source of a device.
func New(d Device, o Options) (*Source, error) {
	d = d.withDefaults()
	if wrong := d.Check(); len(wrong) > 0 {
		for setting, err := range wrong {
			return nil, fmt.Errorf("device %s: %s: %w", d.Name, setting, err)
		}
	}
	if len(d.Tags) > maxTags {
		return nil, fmt.Errorf("device %s: %d tags, the limit is %d", d.Name, len(d.Tags), maxTags)
	}
	if d.Security != "None" && (o.Identity == nil || o.TrustDir == "") {
		return nil, fmt.Errorf("device %s: security %s needs an application certificate and a trust folder", d.Name, d.Security)
	}
	if d.History == Heal && o.Past == nil {
		return nil, fmt.Errorf("device %s: history %s needs a record", d.Name, d.History)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Source{device: d, o: o, log: o.Log.With("device", d.Name), byTag: map[tag.ID]int{}, lifetime: channelLifetime, pace: pace{healSettle, healEvery, healRetry}}
	s.state = acquisition.DeviceStatus{Device: d.Name, Endpoint: d.Endpoint, Tags: len(d.Tags), Since: time.Now(), Blocks: (len(d.Tags) + readBatch - 1) / readBatch}
	for i, def := range d.Tags {
		x := item{def: def}
		x.node, x.bad = parseNode(def.Address)
		if def.RawType == tag.TypeNone {
			x.def.RawType = def.Type
		}
		s.items = append(s.items, x)
		s.byTag[def.ID] = i
	}
	return s, nil
}

// Devices implements [acquisition.Source].
func (s *Source) Devices() []string { return []string{s.device.Name} }

// Status implements [acquisition.Source].
func (s *Source) Status() []acquisition.DeviceStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return []acquisition.DeviceStatus{s.state}
}

// Run implements [acquisition.Source].
func (s *Source) Run(ctx context.Context, sink acquisition.Sink) error {
	s.interruptProbe()
	s.probing.Lock()
	defer s.probing.Unlock()
	s.pub.Lock()
	s.sink, s.settled, s.kept = sink, false, nil
	for i := range s.items {
		s.items[i].last, s.items[i].past = tag.Sample{}, false
	}
	s.pub.Unlock()
	s.mute = false
	s.blindSince()
	defer s.setState(acquisition.Stopped, nil)

	backoff := time.Duration(0)
	told := false
	for ctx.Err() == nil {
		s.setState(acquisition.Connecting, nil)
		served, err := s.session(ctx)
		if ctx.Err() != nil {
			break
		}
		if served {
			backoff, told = 0, true
		}
		s.lost(err)
		if !told {
			told = true
			sink.Settled(s.device.Name, time.Now(), err)
		}
		if !pause(ctx, backoff) {
			break
		}
		backoff = min(max(2*backoff, firstBackoff), lastBackoff)
	}
	return nil
}

// session connects and serves until something fails or ctx ends; served says that values came.
func (s *Source) session(ctx context.Context) (served bool, err error) {
	outer := ctx
	c, err := s.join(ctx)
	if err != nil {
		return false, err
	}
	defer func() { s.leave(c, err, outer.Err() == nil) }()
	defer func() {
		if s.blind.IsZero() && outer.Err() == nil {
			s.blind = s.lastGood()
		}
	}()
	s.setState(acquisition.Waiting, nil)
	s.begin()
	if err := s.readItems(ctx, c, s.all()); err != nil {
		return false, fmt.Errorf("reading the first values: %w", err)
	}
	s.attach(c)
	defer s.attach(nil)
	s.settle()
	s.log.Info("device connected", "endpoint", s.device.Endpoint, "security", s.device.Security)

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	defer wg.Wait()
	keep := func(f func(context.Context, *channel) error) {
		wg.Go(func() { cancel(f(ctx, c)) })
	}
	keep(s.watch)
	if s.device.History == Heal {
		keep(s.heal)
	}
	if s.device.Acquire == Poll {
		for _, g := range s.groups() {
			keep(func(ctx context.Context, c *channel) error { return s.poll(ctx, c, g) })
		}
	} else {
		keep(s.subscribe)
		keep(s.bridge)
	}
	<-ctx.Done()
	return true, context.Cause(ctx)
}

// watch asks the server for its time again and again: the only sign of life that means it works. A server that is busy
// with our other questions, and answers them meanwhile, is asked again a few times.
func (s *Source) watch(ctx context.Context, c *channel) error {
	t := time.NewTicker(watchEvery)
	defer t.Stop()
	now := &ua.ReadRequest{NodesToRead: []*ua.ReadValueID{readValue(ua.NewNumericNodeID(0, 2258))}, TimestampsToReturn: ua.TimestampsToReturnNeither}
	for limit, missed := watchLimit, 0; ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.relay.ended:
			return fmt.Errorf("connection lost: %w", cmp.Or(c.failed(), ErrNotConnected))
		case <-t.C:
		}
		if err := c.failed(); err != nil {
			return fmt.Errorf("connection failed: %w", err)
		}
		asked := time.Now()
		_, err := callWithin[*ua.ReadResponse](ctx, c, now, min(limit, s.device.Timeout))
		switch {
		case err == nil:
			limit, missed = watchLimit, 0
		case errors.Is(err, ua.StatusBadTimeout) && missed < watchMisses && c.answered.Load() > asked.UnixNano():
			limit, missed = watchLimit/2, missed+1
		default:
			return fmt.Errorf("no sign of life: %w", err)
		}
	}
}

func (s *Source) attach(c *channel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c != nil && s.before {
		s.state.Counters.Reconnects++
	}
	s.before = s.before || c != nil
	s.live = c
}

func (s *Source) settle() {
	s.setState(acquisition.Good, nil)
	s.pub.Lock()
	defer s.pub.Unlock()
	if !s.settled {
		s.settled = true
		s.sink.Settled(s.device.Name, time.Now(), nil)
	}
}

func (s *Source) lastGood() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.LastGood
}

// lost gives every tag the quality of a device that cannot be reached.
func (s *Source) lost(err error) {
	now := time.Now().UnixNano()
	batch := make([]reading, 0, len(s.items))
	s.pub.Lock()
	for i := range s.items {
		x := reading{index: i, local: true, sample: tag.Sample{Time: now, Quality: tag.BadNoCommunication}}
		if last := s.items[i].last; !last.Value.IsNone() {
			x.sample.Value, x.sample.Quality = last.Value, tag.UncertainNoCommunicationLastUsable
		}
		if s.items[i].bad != nil {
			x.sample = tag.Sample{Time: now, Quality: tag.BadConfigurationError}
		}
		batch = append(batch, x)
	}
	s.pub.Unlock()
	// The reason first: whoever sees a value go bad can ask at once why.
	if s.setState(acquisition.Connecting, err) {
		s.log.Warn("device cannot be reached", "endpoint", s.device.Endpoint, "err", err)
	}
	s.publish(batch)
}

// reading is a sample on its way out.
type reading struct {
	index    int
	sample   tag.Sample
	stale    bool      // the time is ours: the server's own was not usable
	local    bool      // it is ours: the server had no part in it
	reported bool      // by a subscription; else it was read
	asked    time.Time // when it was read
	source   time.Time // the server's own time of the value
}

// publish hands over what is new. A time that is not after the tag's last one is replaced: the value is what the
// device has now, however long ago it changed, and everything behind expects time to go forward.
func (s *Source) publish(batch []reading) {
	s.pub.Lock()
	defer s.pub.Unlock()
	updates := make([]tag.Update, 0, len(batch))
	now := time.Now()
	for _, r := range batch {
		x := &s.items[r.index]
		if !x.weigh(&r, now) {
			continue
		}
		same := r.sample.Value == x.last.Value && r.sample.Quality == x.last.Quality && x.last.Time != 0
		late := r.sample.Time <= x.last.Time
		if same && (late || r.stale && s.device.Acquire == Subscribe || !r.sample.Quality.IsGood()) {
			continue
		}
		if late {
			r.sample.Time = max(now.UnixNano(), x.last.Time+1)
		}
		x.last = r.sample
		updates = append(updates, tag.Update{Tag: x.def.ID, Sample: r.sample})
	}
	if len(updates) > 0 && s.sink != nil {
		s.sink.Publish(updates)
	}
}

// setState changes the state; it reports whether the error is another than before.
func (s *Source) setState(state acquisition.State, err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.state.State != state {
		s.state.State, s.state.Since = state, now
	}
	if err == nil {
		return false
	}
	news := gist(s.state.LastError) != gist(err.Error()) || s.state.LastErrorAt.Before(s.state.LastGood)
	s.state.LastError, s.state.LastErrorAt = err.Error(), now
	return news
}

// gist is an error without its numbers: the ports of a connection are others each time.
func gist(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, text)
}

// note counts a call.
func (s *Source) note(took time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := &s.state.Counters
	n.Requests++
	var status ua.StatusCode
	switch {
	case err == nil:
		n.Answers++
		s.state.LastGood, s.state.Response = time.Now(), took
		s.state.ResponseMax = max(s.state.ResponseMax, took)
	case errors.Is(err, ua.StatusBadTimeout):
		n.Timeouts++
	case errors.Is(err, errHostile):
		n.Malformed++
	case errors.As(err, &status):
		n.Answers++ // an error is an answer
	}
}

func (s *Source) count(f func(*acquisition.Counters)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.state.Counters)
}

func (s *Source) all() []int {
	list := make([]int, 0, len(s.items))
	for i := range s.items {
		list = append(list, i)
	}
	return list
}

// group is the tags of one scan period.
type group struct {
	period time.Duration
	items  []int
}

// groups returns the readable tags by scan period, the shortest first.
func (s *Source) groups() []group {
	by := map[time.Duration][]int{}
	for i := range s.items {
		if s.items[i].bad == nil {
			period := cmp.Or(s.items[i].def.ScanPeriod, time.Second)
			by[period] = append(by[period], i)
		}
	}
	var list []group
	for period, items := range by {
		list = append(list, group{period, items})
	}
	slices.SortFunc(list, func(a, b group) int { return cmp.Compare(a.period, b.period) })
	return list
}

// pause waits and reports whether ctx still lives.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
