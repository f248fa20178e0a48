package simulation

import (
	"fmt"
	"time"

	"scada/redundancy/role"
)

// beat sends a request on every path and does so again after a heartbeat.
func (n *node) beat() {
	var v [maxAreas]role.View
	for i, x := range n.nodes {
		x.m.SetSelf(x.self)
		v[i] = x.m.View()
	}
	for p := range n.w.paths {
		n.send(p, false, &v, 0)
	}
	n.probe()
	n.w.push(event{at: n.w.now + n.wait(n.w.set.Role.Heartbeat), to: n, inc: n.incarnation, kind: beat})
}

// send puts one heartbeat message on a path. number is the answer's, 0 in a request.
func (n *node) send(p int, answer bool, v *[maxAreas]role.View, number uint64) {
	n.seq++
	d, arrives := n.w.delay(n, p)
	if !arrives || !n.w.open(p, n) {
		return
	}
	m := n.w.message()
	*m = message{from: n, to: n.peer.listener(), path: p, number: number, echo: n.newest, echoInc: n.newestInc, views: *v,
		heard: role.Heard{Incarnation: n.incarnation, Seq: n.seq, Answer: answer, Score: n.self.Score}}
	n.w.push(event{at: n.w.now + d, to: n.peer, kind: arrival, msg: m})
}

// listener is the process that is connected now, 0 if there is none: what is dialled meanwhile reaches the next.
func (n *node) listener() uint64 {
	if n.m == nil {
		return 0
	}
	return n.incarnation
}

// isTo reports whether what was sent to a process reaches this one: a connection ends with the process at its other end.
func (n *node) isTo(process uint64) bool { return process == 0 || process == n.incarnation }

// message returns one that is not used any more.
func (w *World) message() *message {
	if last := len(w.free) - 1; last >= 0 {
		m := w.free[last]
		w.free = w.free[:last]
		return m
	}
	return &message{}
}

func (n *node) arrive(m *message) {
	if n.m != nil && n.isTo(m.to) && n.w.open(m.path, m.from) {
		n.receive(m)
	}
	n.w.free = append(n.w.free, m)
}

func (n *node) receive(m *message) {
	h := m.heard
	h.Former = m.echoInc != n.incarnation
	if !h.Former {
		h.Echo, h.Echoed = n.sent.At(m.echo)
	}
	if h.Incarnation > n.newestInc {
		n.newest, n.newestInc = 0, h.Incarnation
	}
	if h.Incarnation == n.newestInc {
		n.newest = max(n.newest, m.number)
	}
	for i, x := range n.nodes {
		h.View = m.views[i]
		x.act(x.m.Heard(x.clock(), h))
		if x.m == nil {
			return // it had been waiting for this to leave
		}
	}
	if h.Answer {
		return
	}
	var v [maxAreas]role.View
	for i, x := range n.nodes {
		v[i] = x.m.Answering(x.clock())
	}
	n.send(m.path, true, &v, n.sent.Next(n.clock()))
}

// probe is a reconnection attempt after a connection was reset: refused by a live host without a process.
func (n *node) probe() {
	if n.m == nil || n.peer.m != nil || !n.w.allOpen() || n.w.now < n.peer.frozenUntil {
		return
	}
	since := n.clock()
	n.process(4*n.w.set.Delay+time.Millisecond, func() {
		if n.peer.m != nil || !n.w.allOpen() || n.w.now < n.peer.frozenUntil {
			return
		}
		for _, x := range n.nodes {
			x.act(x.m.Gone(x.clock(), since))
		}
	})
}

// step carries a step of a planned switch on the stream, in order. A stream that cannot carry it breaks for both.
func (n *node) step(msg role.Message) {
	if n.w.set.Steps {
		n.trace(fmt.Sprintf("sends %s %d", msg.Step, msg.ID))
	}
	inc, stream := n.peer.incarnation, n.area.stream
	d := n.w.set.Delay
	if n.w.set.Tail > 0 {
		d, _ = n.w.delay(n, 0)
	}
	n.streamAt = max(n.streamAt, n.w.now+d)
	n.w.push(event{at: n.streamAt, to: n.peer, kind: call, fn: func() {
		if n.area.stream != stream {
			return // lost with its connection
		}
		if n.peer.m != nil && n.peer.incarnation == inc && n.w.anyOpen() {
			n.peer.act(n.peer.m.Received(n.peer.clock(), msg))
			return
		}
		take := n.w.set.Role.Take()
		for _, x := range n.area.nodes {
			x.streamLost(take)
		}
	}})
}

// streamLost tells the process after d that the connection of the stream is gone.
func (n *node) streamLost(d time.Duration) {
	if n.m != nil {
		n.process(d, func() { n.act(n.m.StreamLost(n.clock())) })
	}
}

// goodbye tells the peer that nothing of this process acts any more, when that is so of every area.
func (n *node) goodbye(reason string) {
	n.bye = true
	for _, x := range n.nodes {
		if !x.bye {
			return
		}
	}
	inc, seq, to := n.incarnation, n.seq+1, n.peer.listener()
	for p := range n.w.paths {
		d, arrives := n.w.delay(n, p)
		if !arrives || !n.w.open(p, n) {
			continue
		}
		n.w.after(d, n.peer, func() {
			if n.peer.m == nil || !n.peer.isTo(to) || !n.w.open(p, n) {
				return
			}
			for _, x := range n.peer.nodes {
				x.act(x.m.Goodbye(x.clock(), inc, seq, reason))
			}
		})
	}
	n.end("process ended in order")
}
