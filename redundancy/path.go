package redundancy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"syscall"
	"time"

	"scada/redundancy/wire"
)

// confirmDelay is the pause before a refused connection is tried once more to confirm that the peer's process is gone.
const confirmDelay = 5 * time.Millisecond

// path is one network path, with the connection this node dialled on it.
type path struct {
	Path
	n     *Node
	index int

	// Guarded by n.mu.
	link       *link
	out        chan wire.Message // to be sent between the heartbeats
	lastAnswer time.Duration
	answered   bool
	up         bool
	told       bool // the first state was told
	rtt        time.Duration
	lost       uint64
	asked      map[uint64]time.Duration // requests without an answer yet
	refusals   int                      // attempts refused in a row
	refusedAt  time.Duration            // when the latest of these began
	problem    string
}

// keep keeps the path connected until ctx ends.
func (p *path) keep(ctx context.Context) {
	for ctx.Err() == nil {
		began := p.n.now()
		l, err := p.n.connect(ctx, p, wire.Heartbeat)
		wait := min(max(p.n.cfg.Heartbeat, 50*time.Millisecond), time.Second)
		if err == nil {
			err = p.converse(ctx, l)
			wait = confirmDelay
		} else if p.failed(began, err) == 1 {
			wait = confirmDelay
		}
		p.note(err)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// failed notes a failed attempt and returns how many were refused in a row. When every path refuses, twice, the peer's
// process is gone: a process that lives listens on all of them.
func (p *path) failed(began time.Duration, err error) int {
	n := p.n
	n.mu.Lock()
	defer n.mu.Unlock()
	if !errors.Is(err, syscall.ECONNREFUSED) {
		p.refusals = 0
		return 0
	}
	p.refusals++
	p.refusedAt = began
	since := began
	for _, q := range n.paths {
		if q.refusals < 2 || q.link != nil {
			return p.refusals
		}
		since = min(since, q.refusedAt)
	}
	for _, a := range n.order {
		a.dispatch(a.machine.Gone(n.now(), since))
	}
	n.rearm()
	return p.refusals
}

// note keeps why the path is down.
func (p *path) note(err error) {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	p.problem = plain(err)
	if why := certificateProblem(err, p.n.cfg.Peer); why != "" {
		p.problem = why
	}
}

// plain makes a short text of a network error.
func plain(err error) string {
	var op *net.OpError
	switch {
	case err == nil:
		return ""
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the connection was closed"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection is refused"
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer to the connection attempt"
	case errors.As(err, &op):
		return op.Err.Error()
	}
	return err.Error()
}

// converse sends requests on the connection and reads the answers, until it breaks or has been without answers.
func (p *path) converse(ctx context.Context, l *link) error {
	n := p.n
	defer n.drop(l)
	n.mu.Lock()
	p.link, p.refusals, p.out = l, 0, make(chan wire.Message, 16)
	p.asked = map[uint64]time.Duration{}
	p.lastAnswer, p.problem = n.now(), ""
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		p.link = nil
		n.mu.Unlock()
	}()
	ended := make(chan error, 1)
	n.spawn(func() { ended <- p.listen(l) })
	ticker := time.NewTicker(n.cfg.Heartbeat)
	defer ticker.Stop()
	for {
		if err := p.say(l, n.request(p)); err != nil {
			return first(err, <-ended)
		}
		for waiting := true; waiting; {
			select {
			case <-ticker.C:
				waiting = false
			case m := <-p.out:
				if err := p.say(l, m); err != nil {
					return first(err, <-ended)
				}
			case err := <-ended:
				return err
			case <-ctx.Done():
				_ = l.raw.Close()
				return <-ended
			}
		}
		if n.overdue(p) {
			_ = l.raw.Close()
			return fmt.Errorf("no answer for %v (%w)", n.patience(), <-ended)
		}
	}
}

// say sends a message if there is one; when that fails the connection is closed.
func (p *path) say(l *link, m wire.Message) error {
	if m == nil {
		return nil
	}
	return l.send(m, p.n.patience())
}

// first returns the reader's error, which says why a write failed.
func first(write, read error) error {
	if read != nil {
		return read
	}
	return write
}

// listen reads what comes back on a connection this node dialled.
func (p *path) listen(l *link) error {
	for {
		m, err := l.receive(wire.MaxFrame, 2*maxPatience+2*p.n.cfg.take())
		if err != nil {
			_ = l.raw.Close()
			return err
		}
		if err := p.n.understand(p, l, m); err != nil {
			_ = l.raw.Close()
			return err
		}
	}
}

// serveBeats answers the peer's requests on a connection it dialled.
func (n *Node) serveBeats(p *path, l *link) {
	for {
		m, err := l.receive(wire.MaxFrame, 2*maxPatience+2*n.cfg.take())
		if err == nil {
			err = n.understand(p, l, m)
		}
		if err != nil {
			n.note(slog.LevelDebug, "A heartbeat connection ended", "path", p.Name, "error", err)
			return
		}
	}
}

// overdue reports whether the connection has been without answers for so long that a new one is worth trying: after a
// cut a new connection works at once, an old one when its retransmission comes round.
func (n *Node) overdue(p *path) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.now()-p.lastAnswer >= n.patience()
}

// watch notices that the path came up or was lost.
func (p *path) watch(now time.Duration) {
	for number, at := range p.asked {
		if now-at >= p.n.cfg.take() {
			delete(p.asked, number)
			p.lost++
		}
	}
	up := p.answered && now-p.lastAnswer < p.n.cfg.take()
	if up == p.up && (p.told || now < p.n.cfg.take()) {
		return
	}
	p.up, p.told = up, true
	if up {
		p.n.note(slog.LevelInfo, "A path is up", "path", p.Name)
		p.n.event("", EventPath, fmt.Sprintf("path %s is up", p.Name), 0)
		return
	}
	p.n.note(slog.LevelWarn, "A path is down", "path", p.Name, "problem", p.problem)
	p.n.event("", EventPath, fmt.Sprintf("path %s is down", p.Name), 0)
}
