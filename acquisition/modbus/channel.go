package modbus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	goburrow "github.com/goburrow/modbus"

	"scada/acquisition"
	"scada/acquisition/plan"
	"scada/acquisition/schedule"
	"scada/acquisition/tag"
)

// Channel is one physical path to one or more units. It implements [acquisition.Source].
type Channel struct {
	endpoints []endpoint
	devices   []*device
	byName    map[string]*device
	byTag     map[tag.ID]target
	window    int
	auto      auto   // finds the window, if it is not given
	firstID   uint16 // transaction id before the first
	opts      Options
	log       *slog.Logger

	kicked atomic.Bool
	wake   chan struct{} // holds one

	mu      sync.Mutex // guards what follows and the status of the devices
	running bool
	conn    stream // while connected, so that it can be woken
	ops     []*op  // waiting operator writes and single requests
	trial   *trial // waits
	probe   *probing
}

// stream is a connection: TCP or a serial line.
type stream interface {
	io.ReadWriteCloser
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}

// target is where a tag is.
type target struct {
	dev   *device
	point int
}

// device is one unit on the channel. Everything but its status belongs to the goroutine of Run.
type device struct {
	cfg     Device
	timeout time.Duration
	pack    goburrow.Packager
	points  []point
	last    lasts // by point, as published
	plan    *plan.Plan
	polls   []*poll
	unit    *schedule.Unit[*poll]

	noMask   bool    // function 22 is not supported
	shapes   []shape // of reads without an answer yet; RTU only
	lastGood int64   // last answer, in schedule time
	lost     bool    // its tags are marked as not reached
	settled  bool    // reported good since Run began
	reported bool    // reported at all since Run began

	status  acquisition.DeviceStatus // guarded by Channel.mu
	longest plan.Block               // its longest read; guarded by Channel.mu
}

// poll is one block of a device in the schedule.
type poll struct {
	dev     *device
	block   *plan.Block
	job     *schedule.Job[*poll]
	pdu     goburrow.ProtocolDataUnit
	adu     []byte
	seen    bool  // answered since Run began
	lost    int   // times in a row the connection broke under it
	tooLong int   // times in a row its length was refused
	good    int64 // last good answer, in schedule time
	hourly  bool  // its function is not supported
}

func newChannel(endpoints []string, devices []Device, opts Options) (*Channel, error) {
	c := &Channel{byName: map[string]*device{}, byTag: map[tag.ID]target{}, opts: opts, log: opts.Logger, wake: make(chan struct{}, 1)}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.opts.Dial == nil {
		c.opts.Dial = realDial(opts.LocalAddr)
	}
	for _, e := range endpoints {
		parsed, err := parseEndpoint(e)
		if err != nil {
			return nil, err
		}
		c.endpoints = append(c.endpoints, parsed)
	}
	c.window = maxWindow
	for _, cfg := range devices {
		d, err := c.newDevice(cfg)
		if err != nil {
			return nil, fmt.Errorf("device %q: %w", cfg.Name, err)
		}
		c.devices = append(c.devices, d)
		c.byName[cfg.Name] = d
		c.window = min(c.window, max(1, cfg.Window))
	}
	if len(devices) == 1 && devices[0].Window == WindowAuto {
		c.auto = auto{on: true, window: c.window}
	}
	for _, d := range c.devices {
		d.status.Window = c.window
	}
	return c, nil
}

func realDial(local string) func(context.Context, string, string) (net.Conn, error) {
	d := &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: time.Second, Count: 4}}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		dialer := *d
		if local != "" {
			host, _, err := net.SplitHostPort(local)
			if err != nil {
				host = local
			}
			ip := net.ParseIP(host)
			if ip == nil {
				return nil, fmt.Errorf("local address %q is not an IP address", local)
			}
			dialer.LocalAddr = &net.TCPAddr{IP: ip}
		}
		return dialer.DialContext(ctx, network, address)
	}
}

func (c *Channel) newDevice(cfg Device) (*device, error) {
	d := &device{cfg: cfg, timeout: cfg.Timeout}
	if d.timeout == 0 {
		d.timeout = defaultTimeout
	}
	if c.endpoints[0].isRTU() {
		h := goburrow.NewRTUClientHandler("")
		h.SlaveId = cfg.Unit
		d.pack = h
	} else {
		h := goburrow.NewTCPClientHandler("")
		h.SlaveId = cfg.Unit
		d.pack = h
	}
	var items []plan.Item
	for i := range cfg.Tags {
		def := &cfg.Tags[i]
		p, err := newPoint(def, cfg.ByteOrder)
		if err != nil {
			return nil, fmt.Errorf("tag %q: %w", def.Name, err)
		}
		period := def.ScanPeriod
		if period == 0 {
			period = time.Second
		}
		if period < minPeriod {
			return nil, fmt.Errorf("tag %q: a scan period of %v is below %v", def.Name, period, minPeriod)
		}
		if _, twice := c.byTag[def.ID]; twice {
			return nil, fmt.Errorf("tag %q: id %d is in use", def.Name, def.ID)
		}
		c.byTag[def.ID] = target{dev: d, point: len(d.points)}
		items = append(items, plan.Item{Area: p.addr.Area, Address: p.addr.Number, Count: p.count, Period: period, Index: len(d.points)})
		d.points = append(d.points, p)
	}
	d.last = newLasts(len(d.points))
	limits, err := c.limits(cfg)
	if err != nil {
		return nil, err
	}
	d.plan = plan.New(items, limits)
	d.status = acquisition.DeviceStatus{Device: cfg.Name, Endpoint: cfg.Endpoints[0], Tags: len(d.points), Blocks: len(d.plan.Blocks()), Unwanted: d.plan.Unwanted(),
		Counters: acquisition.Counters{Exceptions: map[uint8]uint64{}}}
	return d, nil
}

func (c *Channel) limits(cfg Device) (plan.Limits, error) {
	gap := cfg.MaxGap
	switch {
	case gap < 0:
		gap = 0
	case gap == 0 && c.endpoints[0].isRTU():
		gap = defaultGapRTU
	case gap == 0:
		gap = defaultGapTCP
	}
	never, err := cfg.neverGap()
	return plan.Limits{Registers: cfg.MaxBlock, Bits: cfg.MaxBlock * registerBits, RegisterGap: gap, BitGap: gap * registerBits, NeverGap: never}, err
}

// Devices implements [acquisition.Source].
func (c *Channel) Devices() []string {
	names := make([]string, len(c.devices))
	for i, d := range c.devices {
		names[i] = d.cfg.Name
	}
	return names
}

// errRunning is the reason a second Run is refused.
var errRunning = errors.New("modbus channel is running already")

// Run implements [acquisition.Source].
func (c *Channel) Run(ctx context.Context, sink acquisition.Sink) error {
	if err := c.acquire(); err != nil {
		return err
	}
	defer c.release()
	cancelled := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		c.interrupt()
		close(cancelled)
	})
	s := newSession(c, ctx, sink)
	for ctx.Err() == nil {
		if s.connect() {
			s.serve()
		}
	}
	s.end()
	if !stop() {
		<-cancelled
	}
	return nil
}

// acquire takes the path for Run: it refuses a second Run, interrupts a probe and waits for its end.
func (c *Channel) acquire() error {
	c.mu.Lock()
	if c.running {
		c.mu.Unlock()
		return errRunning
	}
	c.running = true
	p := c.probe
	c.mu.Unlock()
	if p != nil {
		p.cancel()
		<-p.done
	}
	return nil
}

func (c *Channel) release() {
	c.mu.Lock()
	c.running = false
	ops := c.ops
	c.ops = nil
	now := time.Now()
	for _, d := range c.devices {
		d.status.State, d.status.Since = acquisition.Stopped, now
	}
	c.mu.Unlock()
	c.refuseTrial(errStopped)
	for _, o := range ops {
		o.finish(acquisition.WriteResult{Outcome: acquisition.Refused, Err: errStopped})
	}
}

// past is a deadline that makes a blocked read or write return.
var past = time.Unix(1, 0)

// kick makes the goroutine of Run look at the queue of operator writes.
func (c *Channel) kick() {
	c.kicked.Store(true)
	c.mu.Lock()
	if c.conn != nil {
		c.conn.SetReadDeadline(past)
	}
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// interrupt makes the goroutine of Run return from whatever it waits for.
func (c *Channel) interrupt() {
	c.mu.Lock()
	if c.conn != nil {
		c.conn.SetWriteDeadline(past)
	}
	c.mu.Unlock()
	c.kick()
}

// Status implements [acquisition.Source].
func (c *Channel) Status() []acquisition.DeviceStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]acquisition.DeviceStatus, len(c.devices))
	for i, d := range c.devices {
		all[i] = d.status
		exceptions := make(map[uint8]uint64, len(d.status.Counters.Exceptions))
		for code, n := range d.status.Counters.Exceptions {
			exceptions[code] = n
		}
		all[i].Counters.Exceptions = exceptions
	}
	return all
}

var _ acquisition.Source = (*Channel)(nil)
