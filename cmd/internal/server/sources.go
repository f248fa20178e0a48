package server

import (
	"fmt"
	"path/filepath"

	"scada/acquisition"
	"scada/acquisition/calc"
	"scada/acquisition/modbus"
	"scada/acquisition/opcua"
	"scada/acquisition/system"
	"scada/cmd/internal/config"
)

// sources makes the drivers of an area's devices.
func (s *Server) sources(area string, opts Options, node config.Node) ([]acquisition.Source, error) {
	var buses []modbus.Device
	var sources []acquisition.Source
	for _, d := range s.cfg.Devices {
		if d.Area != area {
			continue
		}
		s.drivers[d.Name] = d.Driver
		if d.Modbus != nil {
			buses = append(buses, *d.Modbus)
			continue
		}
		if d.App != nil {
			continue // they are one source together, see buildApps
		}
		if d.System != nil {
			src, err := system.New(system.Options{Device: d.Name, Tags: d.System, Look: func() system.Facts { return s.facts(area) }})
			if err != nil {
				return nil, fmt.Errorf("device %s: %w", d.Name, err)
			}
			sources = append(sources, src)
			continue
		}
		if d.OPCUA == nil {
			src, err := calc.New(calc.Options{Device: d.Name, Tags: d.Calculated, Live: s.live, Lookup: s.cfg.Lookup, Logger: s.log.With("component", "calculated")})
			if err != nil {
				return nil, fmt.Errorf("calculated tags of area %s: %w", area, err)
			}
			sources = append(sources, src)
			continue
		}
		src, err := s.uaSource(*d.OPCUA, opts, node)
		if err != nil {
			return nil, fmt.Errorf("device %s: %w", d.Name, err)
		}
		sources = append(sources, src)
	}
	channels, err := modbus.New(buses, modbus.Options{LocalAddr: node.Field, Dial: opts.Dial, Logger: s.log.With("component", "modbus"), Last: s.live.Get})
	if err != nil {
		return nil, err
	}
	return append(sources, channels...), nil
}

// uaSource makes the driver of one OPC UA device. The client certificate is made when a device asks for security.
func (s *Server) uaSource(d opcua.Device, opts Options, node config.Node) (acquisition.Source, error) {
	o := opcua.Options{LocalAddress: node.Field, Dial: opts.Dial, Log: s.log.With("component", "opcua", "device", d.Name)}
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
