package server

import (
	"context"
	"fmt"
	"net"

	"scada/cmd/internal/config"
	"scada/redundancy"
	"scada/redundancy/witness"
)

// buildWitness makes those who are asked why the peer is silent, and keeps their leases from now until after the pair
// has stopped. It returns nil when there is nobody to ask.
func (s *Server) buildWitness(opts Options, node config.Node) (redundancy.Witness, error) {
	if s.cfg.Redundancy.Witnesses.Empty() {
		return nil, nil
	}
	set, err := witness.New(witness.Options{
		Config: s.cfg.Redundancy.Witnesses, Project: s.cfg.Project, Self: s.nodeName, Peer: s.cfg.Peer(s.nodeName), Areas: s.areaNames,
		Interval: s.cfg.Redundancy.Heartbeat, Acting: func(area string) bool { return s.areas[area].isActive() },
		Dial: opts.Dial, FieldDial: fieldDial(opts, node), Log: s.log.With("component", "witness"),
	})
	if err != nil {
		return nil, fmt.Errorf("the witnesses: %w", err)
	}
	s.spawn("witnesses", set.Run)
	return set, nil
}

// fieldDial connects to devices from this node's address in their network, if it has one.
func fieldDial(opts Options, node config.Node) func(ctx context.Context, network, address string) (net.Conn, error) {
	if opts.Dial != nil || node.Field == "" {
		return opts.Dial
	}
	return (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(node.Field)}}).DialContext
}
