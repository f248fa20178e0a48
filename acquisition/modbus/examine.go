package modbus

import (
	"context"
	"errors"
	"fmt"

	goburrow "github.com/goburrow/modbus"

	"scada/acquisition"
	"scada/acquisition/plan"
)

var (
	errNoBlock     = errors.New("no tag of the device can be read")
	errTrialsTwice = errors.New("a device of this channel is being examined already")
)

// Examine implements [acquisition.Examiner].
func (c *Channel) Examine(ctx context.Context, name string) (acquisition.Examination, error) {
	d := c.byName[name]
	if d == nil {
		return acquisition.Examination{}, fmt.Errorf("no device %q on this channel", name)
	}
	e := acquisition.Examination{Device: name}
	block, err := c.longest(d)
	if err != nil {
		return e, err
	}
	if err := c.askIdentity(ctx, name, &e); err != nil {
		return e, err
	}
	if err := c.tryWindows(ctx, d, block, &e); err != nil {
		return e, err
	}
	if len(e.Trials) > 0 && e.Trials[0].Answers > 0 {
		err = c.findLargest(ctx, d, block, &e)
	}
	return e, err
}

// longest returns the longest read among those of the plan.
func (c *Channel) longest(d *device) (plan.Block, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d.longest.Count == 0 {
		return plan.Block{}, errNoBlock
	}
	return d.longest, nil
}

// longestOf returns the longest read, one of those the device has not refused if there is one.
func longestOf(blocks []*plan.Block) (longest plan.Block) {
	for _, b := range blocks {
		if longest.Count == 0 || longest.Refused && !b.Refused || longest.Refused == b.Refused && b.Count > longest.Count {
			longest = plan.Block{Area: b.Area, Address: b.Address, Count: b.Count, Refused: b.Refused}
		}
	}
	return longest
}

// isFatal reports whether an error means that nothing can be asked at all.
func isFatal(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, errStopped) || errors.Is(err, errNotConnected) || errors.Is(err, errQueue)
}

func (c *Channel) askIdentity(ctx context.Context, name string, e *acquisition.Examination) error {
	id, err := c.Identity(ctx, name)
	if isFatal(ctx, err) {
		return err
	}
	if err != nil {
		e.Notes = append(e.Notes, err.Error())
	}
	for _, f := range []acquisition.Fact{
		{Name: "vendor", Text: id.Vendor}, {Name: "product", Text: id.Product}, {Name: "revision", Text: id.Revision}, {Name: "url", Text: id.URL},
		{Name: "name", Text: id.Name}, {Name: "model", Text: id.Model}, {Name: "application", Text: id.App},
	} {
		if f.Text != "" {
			e.Identity = append(e.Identity, f)
		}
	}
	return nil
}

// tryWindows measures with one, two, four… requests in flight, until something goes wrong. Behind a gateway and on a
// serial line there is never more than one.
func (c *Channel) tryWindows(ctx context.Context, d *device, block plan.Block, e *acquisition.Examination) error {
	most := maxWindow
	switch {
	case c.endpoints[0].isRTU():
		most = 1
		e.Notes = append(e.Notes, "RTU frames have no number: one request is in flight at a time")
	case len(c.devices) > 1:
		most = 1
		e.Notes = append(e.Notes, "other units share the connection: one request is in flight at a time")
	}
	for w := 1; w <= most; w *= 2 {
		t, err := c.try(ctx, d, readRequest(block.Area, block.Address, block.Count), w)
		if err != nil {
			return err
		}
		e.Trials = append(e.Trials, t)
		if !t.Good() {
			e.Notes = append(e.Notes, fmt.Sprintf("with %d in flight something went wrong; more was not tried", w))
			break
		}
	}
	e.Best = acquisition.BestWindow(e.Trials)
	return nil
}

// try has the running session make one trial.
func (c *Channel) try(ctx context.Context, d *device, pdu goburrow.ProtocolDataUnit, window int) (acquisition.Trial, error) {
	x := &trial{dev: d, pdu: pdu, window: window, done: make(chan trialEnd, 1)}
	c.mu.Lock()
	switch {
	case !c.running:
		c.mu.Unlock()
		return acquisition.Trial{}, errStopped
	case c.trial != nil:
		c.mu.Unlock()
		return acquisition.Trial{}, errTrialsTwice
	}
	c.trial = x
	c.mu.Unlock()
	c.kick()
	select {
	case end := <-x.done:
		return end.Trial, end.err
	case <-ctx.Done():
		c.mu.Lock()
		if c.trial == x {
			c.trial = nil
		}
		c.mu.Unlock()
		return acquisition.Trial{}, ctx.Err()
	}
}

// findLargest asks for more and more from the beginning of a block that can be read.
func (c *Channel) findLargest(ctx context.Context, d *device, block plan.Block, e *acquisition.Examination) error {
	most := plan.MaxRegisters
	if block.Area.IsBits() {
		most = plan.MaxBits
	}
	good, bad := int(block.Count), min(most, addressSpace-int(block.Address))+1
	var why error
search:
	for try := bad - 1; good < bad-1; try = (good + bad) / 2 {
		_, err := c.answerTo(ctx, d, readRequest(block.Area, block.Address, uint16(try)))
		var exception *Exception
		switch {
		case err == nil:
			good = try
			continue
		case isFatal(ctx, err):
			return err
		}
		bad, why = try, err
		if !errors.As(err, &exception) {
			break search // no answer is no limit
		}
	}
	e.Largest = good
	if why != nil {
		e.Notes = append(e.Notes, fmt.Sprintf("%d from %s:%d on are not read at once: %v", bad, block.Area, block.Address, why))
	}
	return nil
}

var _ acquisition.Examiner = (*Channel)(nil)
