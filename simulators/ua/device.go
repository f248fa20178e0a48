package ua

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"scada/acquisition/live"
	"scada/acquisition/tag"
	"scada/web/uaserver"
)

// defaultPeriod is how often a device looks at its process.
const defaultPeriod = 50 * time.Millisecond

// Process is what the device shows.
type Process interface {
	// Points returns the points; the id of each is its index, its name the identifier of its node.
	Points() []tag.Definition
	// Values appends the present value of each point, in the order of the points.
	Values(dst []tag.Value) []tag.Value
	// Write stores a client's value, already of the point's type.
	Write(id tag.ID, v tag.Value) error
}

// Options are what a device needs beside its process.
type Options struct {
	Name    string            // of the device, and of the folder of its points
	Address string            // to listen on
	PKI     string            // directory of its certificates; empty: no security
	Users   map[string]string // passwords; empty: anybody may write anonymously
	Period  time.Duration     // how often values are taken from the process; default 50 ms
	Limits  uaserver.Limits   // zero: those of the server
	Listen  func(network, address string) (net.Listener, error)
	Log     *slog.Logger
}

// Device is a simulated OPC UA device.
type Device struct {
	o       Options
	process Process
	table   *live.Table
	points  []tag.Definition
	server  *uaserver.Server
	gate    *gate
}

// New builds a device; nothing listens yet.
func New(o Options, p Process) (*Device, error) {
	if o.Listen == nil {
		o.Listen = net.Listen
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Period <= 0 {
		o.Period = defaultPeriod
	}
	points := p.Points()
	d := &Device{o: o, process: p, points: points, table: live.New(len(points)), gate: newGate()}
	cfg := uaserver.Config{
		Project: o.Name, NamespaceURI: "urn:scada:simulated", ApplicationURI: "urn:scada:simulated:" + o.Name,
		AllowNone: true, AllowAnonymous: true, AnonymousMayWrite: len(o.Users) == 0, Limits: o.Limits, Logger: o.Log,
	}
	if o.PKI != "" {
		host, _ := os.Hostname() // without a name clients find it by address
		var err error
		if cfg.Identity, err = uaserver.LoadOrCreateCertificate(o.PKI, cfg.ApplicationURI, []string{host, "localhost", "127.0.0.1"}); err != nil {
			return nil, fmt.Errorf("device %s: %w", o.Name, err)
		}
		if cfg.Trust, err = uaserver.OpenTrustList(o.PKI, true); err != nil {
			return nil, fmt.Errorf("device %s: %w", o.Name, err)
		}
	}
	server, err := uaserver.New(cfg, backend{d})
	if err != nil {
		return nil, fmt.Errorf("device %s: %w", o.Name, err)
	}
	d.server = server
	d.show()
	return d, nil
}

// Listen opens the address, so that what [Device.Run] then serves is known to be there.
func (d *Device) Listen() error {
	l, err := d.o.Listen("tcp", d.o.Address)
	if err != nil {
		return fmt.Errorf("device %s: %w", d.o.Name, err)
	}
	d.gate.listener(l)
	return nil
}

// Addr returns where the device listens, nil before [Device.Listen].
func (d *Device) Addr() net.Addr { return d.gate.addr() }

// Connections returns the remote addresses of the clients.
func (d *Device) Connections() []string { return d.gate.remotes() }

// Run serves until ctx ends, after [Device.Listen].
func (d *Device) Run(ctx context.Context) error {
	if d.Addr() == nil {
		return errors.New("the device does not listen")
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.tick(ctx)
	}()
	err := d.server.Serve(ctx, d.gate)
	cancel()
	<-done
	return err
}

func (d *Device) tick(ctx context.Context) {
	t := time.NewTicker(d.o.Period)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			d.show()
		}
	}
}

// show takes the values from the process, unless the device is frozen.
func (d *Device) show() {
	if d.gate.isFrozen() {
		return
	}
	now := time.Now().UnixNano()
	values := d.process.Values(make([]tag.Value, 0, len(d.points)))
	batch := make([]tag.Update, 0, len(values))
	for i, v := range values {
		s := tag.Sample{Time: now, Value: v}
		if v.IsNone() {
			s.Quality = tag.BadSensorFailure
		}
		if old := d.table.Get(tag.ID(i)); old.Value != v || old.Quality != s.Quality {
			batch = append(batch, tag.Update{Tag: tag.ID(i), Sample: s})
		}
	}
	d.table.Apply(batch)
}

// backend is the device as its server sees it.
type backend struct{ d *Device }

func (b backend) Tags() []tag.Definition         { return b.d.points }
func (b backend) Live() *live.Table              { return b.d.table }
func (b backend) ServiceLevel() byte             { return 255 }
func (b backend) Servers() []uaserver.ServerInfo { return nil }

func (b backend) Authenticate(_ context.Context, user, password string) (uaserver.User, error) {
	if want, ok := b.d.o.Users[user]; !ok || want != password {
		return uaserver.User{}, uaserver.ErrUserAccessDenied
	}
	return uaserver.User{Name: user, MayWrite: true}, nil
}

func (b backend) Write(_ context.Context, _ uaserver.User, def tag.Definition, v tag.Value) error {
	if err := b.d.process.Write(def.ID, v); err != nil {
		return fmt.Errorf("%w: %w", uaserver.ErrOutOfRange, err)
	}
	b.d.show() // the client that wrote reads it back
	return nil
}
