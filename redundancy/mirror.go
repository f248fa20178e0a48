package redundancy

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"scada/redundancy/role"
	"scada/redundancy/wire"
)

// MaxSnapshot is the largest snapshot a standby accepts, in bytes of payload.
const MaxSnapshot = 1 << 30

// mirror is the standby's end of an area's stream. Its fields are guarded by n.mu.
type mirror struct {
	link    *link
	path    *path // of link
	synced  bool  // connected, and the snapshot or the tail has arrived
	epoch   uint64
	applied uint64
	durable uint64
	lag     time.Duration // of the latest records when they were applied
	more    chan struct{} // tells the acknowledging goroutine
}

// startMirror starts the goroutine that follows the peer's stream. Only the executor calls it.
func (a *area) startMirror() {
	if a.stopMirror != nil {
		a.stopMirror()
	}
	ctx, cancel := context.WithCancel(a.n.work)
	done := make(chan struct{})
	a.stopMirror = func() {
		cancel()
		<-done
	}
	a.n.spawn(func() {
		defer close(done)
		a.follow(ctx)
	})
}

// follow keeps the mirror connected while the peer is active. When it ends the position is forgotten: what this node
// does next with the area is not in the peer's stream.
func (a *area) follow(ctx context.Context) {
	retry := min(max(a.n.cfg.Heartbeat/2, 10*time.Millisecond), 500*time.Millisecond)
	told := ""
	for ctx.Err() == nil {
		if p := a.streamPath(); p != nil {
			err := a.followOnce(ctx, p)
			if text := plain(err); text != told && ctx.Err() == nil {
				told = text
				a.n.note(slog.LevelInfo, "The stream from the active ended", "area", a.name, "path", p.Name, "reason", text)
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(retry):
		}
	}
	a.n.mu.Lock()
	defer a.n.mu.Unlock()
	a.mirror.epoch, a.mirror.applied, a.mirror.durable, a.mirror.lag = 0, 0, 0, 0
}

// streamPath returns the path to dial for the stream, or nil when there is nobody to follow: the one that is up and
// answers fastest.
func (a *area) streamPath() *path {
	a.n.mu.Lock()
	defer a.n.mu.Unlock()
	if a.peerView().Role != role.Active || !a.machine.Contact(a.n.now()) {
		return nil
	}
	var best *path
	for _, p := range a.n.paths {
		if p.up && (best == nil || p.rtt < best.rtt/2) {
			best = p
		}
	}
	return best
}

// peerView returns what the peer last told of the area.
func (a *area) peerView() role.View {
	for _, w := range a.n.peer.beat.Areas {
		if w.Name == a.name {
			return w.View
		}
	}
	return role.View{}
}

// followOnce follows the stream on one connection.
func (a *area) followOnce(ctx context.Context, p *path) error {
	n := a.n
	l, err := n.connect(ctx, p, wire.Stream)
	if err != nil {
		return err
	}
	defer n.drop(l)
	stop := context.AfterFunc(ctx, func() { _ = l.raw.Close() })
	defer stop()
	n.mu.Lock()
	a.mirror.link, a.mirror.path = l, p
	open := wire.Open{Area: a.name, Epoch: a.mirror.epoch, Seq: a.mirror.applied}
	n.mu.Unlock()
	defer a.mirrorLost(l)
	if err := l.send(open, n.patience()); err != nil {
		return err
	}
	ended := make(chan struct{})
	acknowledged := make(chan struct{})
	n.spawn(func() {
		defer close(acknowledged)
		a.acknowledge(l, ended)
	})
	defer func() {
		close(ended)
		<-acknowledged
	}()
	for {
		m, err := l.receive(wire.MaxFrame, streamTimeout)
		if err != nil {
			return err
		}
		if err := a.take(ctx, l, m); err != nil {
			return err
		}
	}
}

func (a *area) mirrorLost(l *link) {
	_ = l.raw.Close()
	n := a.n
	n.mu.Lock()
	a.mirror.link, a.mirror.path = nil, nil
	was := a.mirror.synced
	a.mirror.synced = false
	for id, c := range n.pending {
		if c.link == l {
			delete(n.pending, id)
			c.done <- wire.Result{Error: lostAnswer}
		}
	}
	if was {
		n.event(a.name, EventMirror, "the stream from "+n.cfg.Peer+" ended", a.mirror.epoch)
	}
	n.mu.Unlock()
	a.streamLost()
}

// take acts on one message of the stream.
func (a *area) take(ctx context.Context, l *link, m wire.Message) error {
	switch m := m.(type) {
	case wire.SnapshotBegin:
		return a.takeSnapshot(ctx, l, m)
	case wire.Records:
		return a.takeRecords(m)
	case wire.Step:
		a.input(func(now time.Duration) []role.Action { return a.machine.Received(now, m.Message) })
		return nil
	case wire.Result:
		a.n.resolve(l, m)
		return nil
	case wire.Reject:
		return refusal{m.Reason}
	}
	return fmt.Errorf("%w: %T in a stream", wire.ErrFormat, m)
}

// takeSnapshot reads a whole snapshot and applies it.
func (a *area) takeSnapshot(ctx context.Context, l *link, begin wire.SnapshotBegin) error {
	var records []Record
	for size := 0; ; {
		m, err := l.receive(wire.MaxFrame, streamTimeout)
		if err != nil {
			return err
		}
		switch m := m.(type) {
		case wire.SnapshotPart:
			for _, r := range m.Records {
				records = append(records, Record(r))
				size += len(r.Payload) + entryCost
			}
			if size > MaxSnapshot {
				return fmt.Errorf("a snapshot of more than %d bytes", MaxSnapshot)
			}
		case wire.Result:
			a.n.resolve(l, m)
		case wire.SnapshotEnd:
			if m.Count != uint64(len(records)) {
				return fmt.Errorf("%w: a snapshot of %d records ended after %d", wire.ErrFormat, m.Count, len(records))
			}
			return a.applySnapshot(ctx, begin, records)
		default:
			return fmt.Errorf("%w: %T in a snapshot", wire.ErrFormat, m)
		}
	}
}

func (a *area) applySnapshot(ctx context.Context, begin wire.SnapshotBegin, records []Record) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	a.at(0, 0)
	if err := a.n.host.ApplySnapshot(a.name, begin.Epoch, begin.Seq, records); err != nil {
		return fmt.Errorf("applying the snapshot: %w", err)
	}
	a.at(begin.Epoch, begin.Seq)
	a.follows(fmt.Sprintf("a snapshot of %d records was applied", len(records)))
	return nil
}

// takeRecords applies a piece of the stream, which must follow what is there.
func (a *area) takeRecords(m wire.Records) error {
	a.n.mu.Lock()
	epoch, applied := a.mirror.epoch, a.mirror.applied
	a.n.mu.Unlock()
	if m.Epoch != epoch || m.First != applied+1 {
		a.at(0, 0)
		return fmt.Errorf("records %d of epoch %d after %d of epoch %d", m.First, m.Epoch, applied, epoch)
	}
	if len(m.Records) > 0 {
		records := make([]Record, len(m.Records))
		for i, r := range m.Records {
			records[i] = Record(r)
		}
		if err := a.n.host.Apply(a.name, m.Epoch, m.First, records); err != nil {
			a.at(0, 0)
			return fmt.Errorf("applying records: %w", err)
		}
		a.at(m.Epoch, m.First+uint64(len(records))-1)
	}
	a.n.mu.Lock()
	a.mirror.lag = 0
	if m.Wall != 0 {
		a.mirror.lag = max(0, time.Duration(time.Now().UnixNano()-m.Wall)+a.n.peer.offset)
	}
	a.n.mu.Unlock()
	a.follows("the stream goes on where it ended")
	return nil
}

// at sets the position; 0 asks for a snapshot on the next connection.
func (a *area) at(epoch, seq uint64) {
	a.n.mu.Lock()
	defer a.n.mu.Unlock()
	m := &a.mirror
	if epoch != m.epoch || seq < m.applied {
		m.durable = 0
	}
	m.epoch, m.applied = epoch, seq
	select {
	case m.more <- struct{}{}:
	default:
	}
}

// follows notes that the mirror is complete.
func (a *area) follows(how string) {
	a.n.mu.Lock()
	defer a.n.mu.Unlock()
	if a.mirror.synced {
		return
	}
	a.mirror.synced = true
	a.refresh()
	a.n.note(slog.LevelInfo, "The mirror is complete", "area", a.name, "epoch", a.mirror.epoch, "how", how)
	a.n.event(a.name, EventMirror, "the mirror is complete: "+how, a.mirror.epoch)
}

// acknowledge reports the position whenever it has changed.
func (a *area) acknowledge(l *link, ended <-chan struct{}) {
	beat := time.NewTicker(streamBeat)
	defer beat.Stop()
	for {
		a.n.mu.Lock()
		m := wire.Applied{Epoch: a.mirror.epoch, Applied: a.mirror.applied, Durable: a.mirror.durable}
		a.n.mu.Unlock()
		if err := l.send(m, streamTimeout); err != nil {
			return
		}
		select {
		case <-a.mirror.more:
		case <-beat.C:
		case <-ended:
			return
		}
	}
}

// Durable is called by the host of a standby when everything up to seq of the epoch is on its disk.
func (n *Node) Durable(area string, epoch, seq uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	a := n.areas[area]
	if a == nil || epoch != a.mirror.epoch || seq <= a.mirror.durable || seq > a.mirror.applied {
		return
	}
	a.mirror.durable = seq
	select {
	case a.mirror.more <- struct{}{}:
	default:
	}
}

// lostAnswer is ErrLostAnswer as a [wire.Result].
const lostAnswer = "\x00lost"
