// Package modbus polls Modbus devices over TCP, RTU framing in a TCP connection, and serial lines.
//
// A channel is one physical path and implements [acquisition.Source]; the devices on it are its unit ids. One goroutine
// owns the connection: it connects, sends, receives, times out and reconnects, and hands nothing to another. goburrow's
// packagers encode, verify and decode; the transport below them is ours, because theirs keeps using a connection whose
// answers are out of step.
package modbus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"scada/acquisition"
	"scada/acquisition/plan"
	"scada/acquisition/tag"
)

// Device is one unit as configured.
type Device struct {
	Name      string
	Endpoints []string // tcp://host:port, rtuovertcp://host:port, rtu:///dev/ttyS0?baud=19200; the first that connects is used
	Unit      uint8
	Timeout   time.Duration // of one request; 0 means 1 s
	Retries   int           // how often a read is repeated before the device is demoted; 0 to 5
	MaxGap    int           // unwanted registers read rather than asking twice; -1 none, 0 default (16 on TCP, 6 on RTU)
	NeverGap  []string      // stretches as hr:500-519 of which nothing is read that no tag is of
	MaxBlock  int           // most registers in a request; 0 means 125
	ByteOrder string        // ABCD, CDAB, BADC, DCBA; empty means ABCD
	Window    int           // requests in flight on a TCP connection, 1 to 16, or WindowAuto; 0 means 1. Of several devices the smallest counts.
	Probe     string        // none, tcp, read: what the standby may do; empty means none
	// WriteMultiple writes single registers with function 16 where a device lacks function 6.
	WriteMultiple bool
	Tags          []tag.Definition
}

// Options are what the devices have in common.
type Options struct {
	// LocalAddr, if set, is the source address for connections: "192.0.2.7" or "192.0.2.7:0".
	LocalAddr string
	// Dial opens a connection; nil means the real network.
	Dial   func(ctx context.Context, network, address string) (net.Conn, error)
	Logger *slog.Logger
	// Last, if set, is asked at the start of each Run for the last known sample of a tag, so that a node that takes over
	// goes on from the values it was mirrored instead of from none.
	Last func(tag.ID) tag.Sample
}

// The bounds of a device's settings.
const (
	defaultTimeout   = time.Second
	minTimeout       = 10 * time.Millisecond
	maxTimeout       = time.Minute
	maxRetries       = 5
	maxWindow        = 16
	defaultGapTCP    = 16 // registers
	defaultGapRTU    = 6  // registers
	minPeriod        = 10 * time.Millisecond
	maxChannelUnits  = 256
	maxRegisterBlock = 125
	maxNeverGap      = 256 // stretches
)

// New returns one channel, a [*Channel], per distinct endpoint of the devices.
func New(devices []Device, opts Options) ([]acquisition.Source, error) {
	type group struct {
		endpoints []string
		devices   []Device
	}
	var groups []*group
	for _, d := range devices {
		if err := d.check(); err != nil {
			return nil, fmt.Errorf("device %q: %w", d.Name, err)
		}
		i := slices.IndexFunc(groups, func(g *group) bool { return g.endpoints[0] == d.Endpoints[0] })
		if i < 0 {
			groups = append(groups, &group{endpoints: d.Endpoints, devices: []Device{d}})
			continue
		}
		g := groups[i]
		if !slices.Equal(g.endpoints, d.Endpoints) {
			return nil, fmt.Errorf("device %q: shares %s with %q, whose other endpoints differ", d.Name, d.Endpoints[0], g.devices[0].Name)
		}
		for _, other := range g.devices {
			if other.Unit == d.Unit {
				return nil, fmt.Errorf("device %q: unit %d on %s is %q already", d.Name, d.Unit, d.Endpoints[0], other.Name)
			}
		}
		g.devices = append(g.devices, d)
	}
	sources := make([]acquisition.Source, 0, len(groups))
	for _, g := range groups {
		c, err := newChannel(g.endpoints, g.devices, opts)
		if err != nil {
			return nil, err
		}
		sources = append(sources, c)
	}
	return sources, nil
}

// Validate reports what is wrong with the settings of a device; its tags are checked by [ValidateTag].
func (d *Device) Validate() error { return d.check() }

func (d *Device) check() error {
	if len(d.Endpoints) == 0 {
		return fmt.Errorf("no endpoint")
	}
	kind := ""
	for _, e := range d.Endpoints {
		parsed, err := parseEndpoint(e)
		if err != nil {
			return err
		}
		if kind != "" && kind != parsed.kind {
			return fmt.Errorf("endpoints of different kinds: %s", strings.Join(d.Endpoints, ", "))
		}
		kind = parsed.kind
	}
	switch {
	case d.Timeout != 0 && (d.Timeout < minTimeout || d.Timeout > maxTimeout):
		return fmt.Errorf("timeout %v is not between %v and %v", d.Timeout, minTimeout, maxTimeout)
	case d.Retries < 0 || d.Retries > maxRetries:
		return fmt.Errorf("retries %d is not between 0 and %d", d.Retries, maxRetries)
	case d.Window < WindowAuto || d.Window > maxWindow:
		return fmt.Errorf("window %d is not between 1 and %d", d.Window, maxWindow)
	case (d.Window > 1 || d.Window == WindowAuto) && kind != kindTCP:
		return errors.New("window: only Modbus TCP can have more than one request in flight")
	case d.MaxGap < -1 || d.MaxGap > maxRegisterBlock:
		return fmt.Errorf("max_gap %d is not between -1 and %d", d.MaxGap, maxRegisterBlock)
	case d.MaxBlock < 0 || d.MaxBlock > maxRegisterBlock:
		return fmt.Errorf("max_block %d is not between 1 and %d", d.MaxBlock, maxRegisterBlock)
	case len(d.NeverGap) > maxNeverGap:
		return fmt.Errorf("never_gap: %d stretches, the limit is %d", len(d.NeverGap), maxNeverGap)
	case d.Probe != "" && d.Probe != "none" && d.Probe != "tcp" && d.Probe != "read":
		return fmt.Errorf("probe %q is not one of none, tcp, read", d.Probe)
	case kind != kindTCP && (d.Unit == 0 || d.Unit > 247):
		return fmt.Errorf("unit %d: on a serial line units are 1 to 247", d.Unit)
	}
	if _, err := d.neverGap(); err != nil {
		return err
	}
	_, err := parseOrder(d.ByteOrder)
	return err
}

// neverGap returns the stretches of which nothing is read that no tag is of.
func (d *Device) neverGap() ([]plan.Span, error) {
	var spans []plan.Span
	for _, text := range d.NeverGap {
		s, err := parseSpan(text)
		if err != nil {
			return nil, fmt.Errorf("never_gap: %w", err)
		}
		spans = append(spans, s)
	}
	return spans, nil
}
