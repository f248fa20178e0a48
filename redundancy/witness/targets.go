package witness

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"

	"scada/redundancy/role"
)

// targets tell whether this node is the one cut off. That a target answers says nothing of the peer: both nodes can
// reach it while the link between them is cut.
type targets struct {
	TCP
	dial func(ctx context.Context, network, address string) (net.Conn, error)
}

func (t *targets) ask(ctx context.Context) role.Verdict {
	timeout := t.Timeout
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel() // ends the attempts still under way when one target has answered
	answers := make(chan bool, len(t.Targets))
	for _, target := range t.Targets {
		go func() { answers <- t.answers(ctx, target) }()
	}
	reached := false
	for range t.Targets {
		if <-answers && !reached {
			reached = true
			cancel()
		}
	}
	if reached {
		return role.Unknown
	}
	return role.CutOff
}

// answers reports whether the target's host lives: a host that refuses does.
func (t *targets) answers(ctx context.Context, target string) bool {
	conn, err := t.dial(ctx, "tcp", target)
	if err != nil {
		return errors.Is(err, syscall.ECONNREFUSED)
	}
	if c, ok := conn.(*net.TCPConn); ok {
		_ = c.SetLinger(0) // leave nothing behind at the target; if it cannot be set, it waits a little
	}
	conn.SetDeadline(time.Now())
	conn.Close()
	return true
}
