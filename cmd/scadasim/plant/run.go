package plant

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"scada/simulators/plc"
	"scada/simulators/process"
)

// Options are what a simulation needs beside its file.
type Options struct {
	Log    *slog.Logger
	Listen func(network, address string) (net.Listener, error)
}

// Plant is a running simulation.
type Plant struct {
	config  *Config
	log     *slog.Logger
	model   *process.Plant
	journal *plc.Journal
	started time.Time
	servers []server
	places  map[string]place // by device, and by name of a server for all its units
	control net.Listener
	listen  func(network, address string) (net.Listener, error)
}

// server is a simulated device as far as running and disturbing it goes.
type server interface {
	Listen() error
	Run(ctx context.Context) error
	Addr() net.Addr
	Connections() []string
	Inject(f plc.Fault) error
	Clear(unit uint8)
	Faults() []plc.Fault
}

// place is where a device is found.
type place struct {
	server server
	unit   uint8 // 0 means the whole server
}

// New builds the simulation; nothing listens yet.
func New(c *Config, o Options) (*Plant, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Listen == nil {
		o.Listen = net.Listen
	}
	p := &Plant{
		config: c, log: o.Log, listen: o.Listen, model: process.New(c.Seed), journal: plc.NewJournal(c.Journal), started: time.Now(),
		places: map[string]place{},
	}
	for i := range c.Modbus {
		if err := p.addModbus(&c.Modbus[i]); err != nil {
			return nil, err
		}
	}
	for i := range c.OPCUA {
		if err := p.addOPCUA(&c.OPCUA[i]); err != nil {
			return nil, err
		}
	}
	if err := p.addMany(&c.Many); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Plant) addModbus(m *ModbusFile) error {
	o := plc.Options{
		Name: m.Name, Address: m.Listen, Units: map[uint8]plc.Unit{}, MaxConnections: m.MaxConnections, Latency: m.Latency,
		Parallel: m.Answering == "parallel", Journal: p.journal, Listen: p.listen, Log: p.log,
	}
	if m.Framing == "rtu" {
		o.Framing = plc.RTU
	}
	if link, ok := strings.CutPrefix(m.Listen, plc.LinePrefix); ok {
		if !filepath.IsAbs(link) {
			link = filepath.Join(p.config.dir, link)
		}
		link, err := filepath.Abs(link)
		if err != nil {
			return fmt.Errorf("line of %s: %w", m.Name, err)
		}
		o.Address = plc.LinePrefix + link
	}
	units := map[string]uint8{}
	for id, u := range m.Units {
		bank, err := plc.NewPlantBank(p.model, u.Device, u.ByteOrder, p.sync)
		if err != nil {
			return err
		}
		var holes []plc.Hole
		for _, text := range u.Holes {
			h, err := parseHole(text)
			if err != nil {
				return err
			}
			holes = append(holes, h)
		}
		n, err := strconv.ParseUint(id, 10, 8)
		if err != nil {
			return fmt.Errorf("unit id %q: %w", id, err)
		}
		o.Units[uint8(n)] = plc.Unit{
			Device: u.Device, Bank: plc.WithHoles(bank, holes...),
			Identity: plc.Identity{Vendor: "scada", Product: "simulated " + u.Device, Revision: "1.0"},
		}
		units[u.Device] = uint8(n)
	}
	s := plc.New(o)
	p.servers = append(p.servers, s)
	p.places[m.Name] = place{server: s}
	for device, unit := range units {
		at := place{server: s, unit: unit}
		if len(units) == 1 {
			at.unit = 0
		}
		p.places[device] = at
	}
	return nil
}

// sync brings the model to the present.
func (p *Plant) sync() { p.model.Advance(time.Since(p.started)) }

// Listen opens every address, so that what [Plant.Run] then serves is known to be there.
func (p *Plant) Listen() error {
	for _, s := range p.servers {
		if err := s.Listen(); err != nil {
			return err
		}
	}
	if p.config.Control == "" {
		return nil
	}
	l, err := p.listen("tcp", p.config.Control)
	if err != nil {
		return fmt.Errorf("control port: %w", err)
	}
	p.control = l
	return nil
}

// ControlAddr returns where the control port listens, nil if there is none.
func (p *Plant) ControlAddr() net.Addr {
	if p.control == nil {
		return nil
	}
	return p.control.Addr()
}

// Addr returns where a device or server listens, nil if there is none of that name.
func (p *Plant) Addr(name string) net.Addr {
	if at, ok := p.places[name]; ok {
		return at.server.Addr()
	}
	return nil
}

// Run serves until ctx is done, after [Plant.Listen].
func (p *Plant) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	errs := make([]error, len(p.servers)+1)
	for i, s := range p.servers {
		wg.Go(func() {
			defer cancel()
			errs[i] = s.Run(ctx)
		})
	}
	if p.control != nil {
		wg.Go(func() {
			defer cancel()
			errs[len(p.servers)] = p.serveControl(ctx)
		})
	}
	wg.Go(func() { p.play(ctx) })
	p.tick(ctx)
	wg.Wait()
	return errors.Join(errs...)
}

// tick advances the model while nobody asks, so that its journal of changes is never behind.
func (p *Plant) tick(ctx context.Context) {
	t := time.NewTicker(process.Step)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			p.sync()
		}
	}
}
