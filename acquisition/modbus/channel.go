package modbus

import (
	"context"
	"errors"
	"time"

	"scada/acquisition"
)

// Channel is one physical path to one or more units. It implements [acquisition.Source].
type Channel struct {
	endpoints []endpoint
	names     []string
}

func newChannel(endpoints []string, devices []Device, opts Options) (*Channel, error) {
	c := &Channel{}
	for _, e := range endpoints {
		parsed, err := parseEndpoint(e)
		if err != nil {
			return nil, err
		}
		c.endpoints = append(c.endpoints, parsed)
	}
	for _, d := range devices {
		c.names = append(c.names, d.Name)
		for _, def := range d.Tags {
			if _, err := newPoint(def, d.ByteOrder); err != nil {
				return nil, err
			}
		}
	}
	return c, nil
}

var errNotYet = errors.New("modbus: polling is not in this build")

// Devices implements [acquisition.Source].
func (c *Channel) Devices() []string { return c.names }

// Run implements [acquisition.Source].
func (c *Channel) Run(ctx context.Context, sink acquisition.Sink) error { return errNotYet }

// Write implements [acquisition.Source].
func (c *Channel) Write(ctx context.Context, w acquisition.Write) acquisition.WriteResult {
	return acquisition.WriteResult{Outcome: acquisition.Refused, Err: errNotYet}
}

// Probe implements [acquisition.Source].
func (c *Channel) Probe(ctx context.Context, device string) error { return errNotYet }

// Status implements [acquisition.Source].
func (c *Channel) Status() []acquisition.DeviceStatus {
	return make([]acquisition.DeviceStatus, len(c.names))
}

var _ acquisition.Source = (*Channel)(nil)
var _ = time.Second
