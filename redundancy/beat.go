package redundancy

import (
	"fmt"
	"log/slog"
	"time"

	"scada/redundancy/role"
	"scada/redundancy/wire"
)

// peer is what is known of the other node.
type peer struct {
	incarnation uint64
	newest      uint64 // number of its newest answer
	seq         uint64 // of its newest message
	refused     string
	version     string
	digest      string
	beat        wire.Beat
	heardAt     time.Duration
	heardWall   time.Time
	heard       bool
	offset      time.Duration // its wall clock minus ours
	reachable   bool
	mismatch    bool // its digest differs, and that was told
}

// meet takes over what a hello says.
func (p *peer) meet(n *Node, h wire.Hello) {
	if h.Incarnation == n.peer.incarnation {
		p.refused = ""
	}
	p.version = h.Version
	p.setDigest(n, h.Digest)
}

func (p *peer) setDigest(n *Node, digest string) {
	p.digest = digest
	if differs := digest != n.digest; differs != p.mismatch && (!differs || n.now() >= n.changing) {
		p.mismatch = differs
		text := "both nodes have the same configuration"
		if differs {
			text = fmt.Sprintf("%s has another configuration: digest %.12s, here %.12s", n.cfg.Peer, digest, n.digest)
		}
		n.note(slog.LevelWarn, "The configurations were compared", "equal", !differs)
		n.event("", EventPeer, text, 0)
	}
}

// watch notices that the peer appeared or fell silent.
func (p *peer) watch(n *Node) {
	reachable := p.heard && n.now()-p.heardAt < n.cfg.take()
	if reachable == p.reachable {
		return
	}
	p.reachable = reachable
	text := n.cfg.Peer + " is heard"
	if !reachable {
		text = n.cfg.Peer + " is not heard any more"
	}
	n.note(slog.LevelInfo, "The peer's presence changed", "reachable", reachable)
	n.event("", EventPeer, text, 0)
}

// request returns the next request for a path, or nil when this node has said goodbye.
func (n *Node) request(p *path) wire.Message {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.silent {
		return nil
	}
	n.identity.request++
	b := n.beat()
	b.Request = n.identity.request
	for _, a := range n.order {
		b.Areas = append(b.Areas, a.tell(a.machine.View()))
	}
	p.asked[b.Request] = n.now()
	return b
}

// answer returns the answer to a request. From the moment it is numbered the lease may run from it.
func (n *Node) answer(request uint64) wire.Message {
	if n.silent {
		return nil
	}
	now := n.now()
	b := n.beat()
	b.Answer, b.Request, b.Number = true, request, n.identity.sent.Next(now)
	for _, a := range n.order {
		b.Areas = append(b.Areas, a.tell(a.machine.Answering(now)))
	}
	return b
}

// beat returns what requests and answers have in common.
func (n *Node) beat() wire.Beat {
	n.identity.seq++
	b := wire.Beat{
		Seq: n.identity.seq, Echo: n.peer.newest, EchoIncarnation: n.peer.incarnation, Wall: time.Now().UnixNano(),
		Digest: n.digest, Score: int64(n.health.Score), Reasons: n.health.Reasons, NotReady: n.health.NotReady,
	}
	for _, p := range n.health.Progress {
		b.Progress = append(b.Progress, wire.Progress{Name: p.Name, Counter: p.Counter, Age: int64(p.Age)})
	}
	if n.last != nil {
		b.Switch = n.last.wire()
	}
	return b
}

// tell completes a view with what operators want to see of the area.
func (a *area) tell(v role.View) wire.Area {
	left, _ := a.machine.Lease(a.n.now())
	r, reason := a.machine.Role()
	h := a.n.health.Areas[a.name]
	w := wire.Area{Name: a.name, View: v, LeaseLeft: int64(left), Since: a.since.UnixNano(), Reason: reason,
		Devices: uint32(h.Devices), Commands: uint32(h.Commands), Lost: uint32(bounded(int64(h.Lost))), Told: true}
	if r != role.Active {
		w.Epoch, w.Applied, w.Durable = a.mirror.epoch, a.mirror.applied, a.mirror.durable
	}
	return w
}

// understand acts on a message of a heartbeat connection.
func (n *Node) understand(p *path, l *link, m wire.Message) error {
	switch m := m.(type) {
	case wire.Beat:
		reply, err := n.hear(p, l, m)
		if err != nil || reply == nil {
			return err
		}
		return l.send(reply, n.patience())
	case wire.Goodbye:
		return n.heardGoodbye(l, m)
	case wire.Step:
		return n.heardStep(l, m)
	}
	return fmt.Errorf("%w: %T on a heartbeat connection", wire.ErrFormat, m)
}

// hear takes a heartbeat in and returns the answer to a request.
func (n *Node) hear(p *path, l *link, b wire.Beat) (wire.Message, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if l.hello.Incarnation != n.peer.incarnation {
		return nil, errOldProcess
	}
	now := n.now()
	if b.Answer {
		n.answered(p, b, now)
	}
	echo, echoed := time.Duration(0), false
	if b.EchoIncarnation == n.identity.incarnation {
		echo, echoed = n.identity.sent.At(b.Echo)
	}
	n.peer.heard = true
	if b.Seq > n.peer.seq {
		n.peer.seq, n.peer.beat = b.Seq, b
		n.peer.heardAt, n.peer.heardWall = now, time.Now()
		n.peer.setDigest(n, b.Digest)
	}
	for _, w := range b.Areas {
		if a := n.areas[w.Name]; a != nil {
			a.remember(w.View.Epoch)
			a.dispatch(a.machine.Heard(now, role.Heard{Incarnation: l.hello.Incarnation, Seq: b.Seq, Answer: b.Answer,
				Former: b.EchoIncarnation != n.identity.incarnation, View: w.View, Echo: echo, Echoed: echoed, Score: a.peerScore(b, w)}))
		}
	}
	n.rearm()
	if b.Answer {
		return nil, nil
	}
	return n.answer(b.Request), nil
}

// answered notes what an answer says of its path.
func (n *Node) answered(p *path, b wire.Beat, now time.Duration) {
	n.peer.newest = max(n.peer.newest, b.Number)
	p.lastAnswer, p.answered = now, true
	if at, ok := p.asked[b.Request]; ok {
		delete(p.asked, b.Request)
		p.rtt = now - at
		n.peer.offset = time.Duration(b.Wall-time.Now().UnixNano()) + p.rtt/2
	}
}

func (n *Node) heardGoodbye(l *link, m wire.Goodbye) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if l.hello.Incarnation != n.peer.incarnation {
		return errOldProcess
	}
	n.peer.seq = max(n.peer.seq, m.Seq)
	for _, a := range n.order {
		a.dispatch(a.machine.Goodbye(n.now(), l.hello.Incarnation, m.Seq, m.Reason))
	}
	n.rearm()
	return nil
}

func (n *Node) heardStep(l *link, m wire.Step) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if l.hello.Incarnation != n.peer.incarnation {
		return errOldProcess
	}
	a := n.areas[m.Area]
	if a == nil {
		return fmt.Errorf("%w: a step of the unknown area %q", wire.ErrFormat, m.Area)
	}
	a.dispatch(a.machine.Received(n.now(), m.Message))
	n.rearm()
	return nil
}

// sayGoodbye tells the peer on every connection that nothing of this node acts any more.
func (n *Node) sayGoodbye() {
	n.mu.Lock()
	n.silent = true
	n.identity.seq++
	m := wire.Goodbye{Seq: n.identity.seq, Reason: "the node was stopped"}
	var links []*link
	for l := range n.links {
		if l.hello.Purpose == wire.Heartbeat {
			links = append(links, l)
		}
	}
	n.mu.Unlock()
	for _, l := range links {
		_ = l.send(m, n.patience()) // a peer that cannot be told finds out by itself
	}
}
