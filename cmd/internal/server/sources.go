package server

import (
	"fmt"
	"path/filepath"

	"scada/acquisition"
	"scada/acquisition/calc"
	"scada/acquisition/modbus"
	"scada/acquisition/opcua"
	"scada/acquisition/system"
	"scada/acquisition/tag"
	"scada/cmd/internal/config"
)

// buildFeed makes the driver of a channel. It touches no device before it runs.
func (s *Server) buildFeed(a *area, g *generation, c config.Channel) (*feed, error) {
	f := newFeed(a, c)
	var err error
	switch d := c.Devices[0]; {
	case d.Modbus != nil:
		f.Source, err = s.modbusSource(c, f)
	case d.OPCUA != nil:
		f.Source, err = s.uaSource(a, f, *d.OPCUA)
	case d.App != nil:
		f.Source = a.apps.engine.Make(appSpec(g, d))
	case d.System != nil:
		f.Source, err = system.New(system.Options{Device: d.Name, Tags: d.System, Look: func() system.Facts { return s.facts(a.name) }})
	default:
		f.Source, err = calc.New(calc.Options{Device: d.Name, Tags: d.Calculated, Live: g.live, Lookup: g.cfg.Lookup, Logger: s.log.With("component", "calculated")})
	}
	if err != nil {
		return nil, fmt.Errorf("device %s: %w", c.Devices[0].Name, err)
	}
	return f, nil
}

// modbusSource makes the driver of the devices behind one endpoint.
func (s *Server) modbusSource(c config.Channel, f *feed) (acquisition.Source, error) {
	buses := make([]modbus.Device, len(c.Devices))
	for i, d := range c.Devices {
		buses[i] = *d.Modbus
	}
	last := func(id tag.ID) tag.Sample { return s.now().last(f.names[id]) }
	channels, err := modbus.New(buses, modbus.Options{LocalAddr: s.cfg.Nodes[s.nodeName].Field, Dial: s.opts.Dial, Logger: s.log.With("component", "modbus"), Last: last})
	if err != nil {
		return nil, err
	}
	if len(channels) != 1 {
		return nil, fmt.Errorf("%d channels where the configuration has one", len(channels))
	}
	return channels[0], nil
}

// uaSource makes the driver of one OPC UA device. The client certificate is made when a device asks for security.
func (s *Server) uaSource(a *area, f *feed, d opcua.Device) (acquisition.Source, error) {
	node := s.cfg.Nodes[s.nodeName]
	o := opcua.Options{LocalAddress: node.Field, Dial: s.opts.Dial, Log: s.log.With("component", "opcua", "device", d.Name), Past: &uaPast{s: s, area: a, feed: f, device: d.Name}}
	if d.Security != "" && d.Security != "None" {
		dir := filepath.Join(node.Data, "pki-client")
		identity, err := opcua.LoadOrCreateIdentity(dir, applicationURI(s.cfg.Project, s.nodeName)+":client")
		if err != nil {
			return nil, err
		}
		o.Identity, o.TrustDir = identity, dir
	}
	return opcua.New(d, o)
}
