package redundancy

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"scada/redundancy/role"
	"scada/redundancy/wire"
)

// call is a forwarded command whose answer is awaited.
type call struct {
	link *link
	done chan wire.Result // buffered
}

// Forward has the active node execute a command and returns its answer. On the active itself it calls Host.Command.
// When the connection breaks before the answer came the command may have been executed; it is not sent again.
func (n *Node) Forward(ctx context.Context, area string, payload []byte) ([]byte, error) {
	if len(payload) > MaxCommand {
		return nil, fmt.Errorf("%w: a command of %d bytes, the limit is %d", ErrRefused, len(payload), MaxCommand)
	}
	n.mu.Lock()
	a := n.areas[area]
	if a == nil {
		n.mu.Unlock()
		return nil, ErrUnknownArea
	}
	if r, _ := a.machine.Role(); r == role.Active {
		n.mu.Unlock()
		return n.host.Command(ctx, area, payload)
	}
	l := a.mirror.link
	if l == nil {
		n.mu.Unlock()
		return nil, ErrNoPeer
	}
	n.calls++
	id, c := n.calls, &call{link: l, done: make(chan wire.Result, 1)}
	key := fmt.Sprintf("%s-%d-%d", n.cfg.Self, n.identity.incarnation, id)
	n.pending[id] = c
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		delete(n.pending, id)
		n.mu.Unlock()
	}()
	if err := l.send(wire.Command{ID: id, Key: key, Payload: payload}, streamTimeout); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLostAnswer, err)
	}
	select {
	case r := <-c.done:
		return r.Payload, remote(r.Error)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// remote makes an error of one that happened on the other node; those of this package stay recognisable.
func remote(text string) error {
	switch text {
	case "":
		return nil
	case lostAnswer:
		return ErrLostAnswer
	}
	for _, known := range []error{ErrNotActive, ErrRefused, ErrUnknownArea} {
		if rest, ok := strings.CutPrefix(text, known.Error()); ok {
			return fmt.Errorf("%w%s", known, rest)
		}
	}
	return errors.New(text)
}

// resolve gives an answer to whoever waits for it.
func (n *Node) resolve(l *link, r wire.Result) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if c := n.pending[r.ID]; c != nil && c.link == l {
		delete(n.pending, r.ID)
		c.done <- r
	}
}

// command executes what the standby forwarded. Its context ends with the role.
func (a *area) command(live context.Context, s *subscriber, m wire.Command) {
	r := wire.Result{ID: m.ID}
	err := ErrNotActive
	if live.Err() == nil {
		r.Payload, err = a.n.host.Command(live, a.name, m.Payload)
	}
	if err == nil && len(r.Payload) > MaxCommand {
		err = fmt.Errorf("the answer has %d bytes, the limit is %d", len(r.Payload), MaxCommand)
	}
	if err != nil {
		r.Payload, r.Error = nil, err.Error()
	}
	_ = s.link.send(r, streamTimeout) // the standby tells its client that the connection broke
}
