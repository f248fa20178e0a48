package server

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"scada/alarms"
	"scada/cmd/internal/config"
	"scada/redundancy"
)

const (
	tryWithin    = 10 * time.Second // how long the standby may take to check a revision
	followWithin = 5 * time.Second  // how long it is waited for when it has been told
	followEvery  = 20 * time.Millisecond
	stageLength  = 4 // bytes in front of a staged revision
)

// order is a wish to change the configuration.
type order struct {
	by, comment string
	offline     bool // although the other node cannot be asked
	people      bool // may change users and tokens
}

// errPeer is why a change is refused that the standby cannot check.
var errPeer = errors.New("the other node cannot check the configuration now")

// deploy checks a bundle, has the standby check it, and takes it over on both nodes. This node is active for the first area.
func (c *configurator) deploy(ctx context.Context, b config.Bundle, o order) (config.Diff, error) {
	if !c.changing.TryLock() {
		return config.Diff{}, errBusy
	}
	defer c.changing.Unlock()
	cfg, err := b.Load(c.path)
	if err != nil {
		return config.Diff{}, err
	}
	if err := c.mayChange(cfg, o); err != nil {
		return config.Compare(c.s.now().cfg, cfg), err
	}
	rev, err := newRevision(c.present(), b, cfg.Digest)
	if err != nil {
		return config.Diff{}, err
	}
	rev.By, rev.Comment, rev.Node, rev.Epoch = o.by, o.comment, c.s.nodeName, c.s.epoch()
	rev.sign()
	return c.bring(ctx, rev, cfg, o.offline)
}

// bring makes both nodes run a revision. The caller holds changing.
func (c *configurator) bring(ctx context.Context, rev *revision, cfg *config.Config, offline bool) (config.Diff, error) {
	ch, err := c.s.prepare(cfg)
	if err != nil {
		return config.Compare(c.s.now().cfg, cfg), err
	}
	if ch.diff.Empty() {
		return ch.diff, nil
	}
	alone := c.alone()
	if alone != "" && !offline {
		return ch.diff, fmt.Errorf("%w: %s", errPeer, alone)
	}
	if err := c.step("checked"); err != nil {
		return ch.diff, err
	}
	if alone == "" {
		if err := c.askPeer(ctx, rev); err != nil {
			return ch.diff, err
		}
	}
	if err := c.step("staged"); err != nil {
		return ch.diff, err
	}
	if !c.leader() {
		return ch.diff, redundancy.ErrNotActive
	}
	if err := c.take(rev, ch, ""); err != nil {
		return ch.diff, err
	}
	if err := c.step("adopted"); err != nil {
		return ch.diff, err
	}
	if alone == "" {
		c.awaitPeer(ctx)
	}
	return ch.diff, nil
}

// alone says why the other node cannot be asked, or "".
func (c *configurator) alone() string {
	st := c.s.pair.Status()
	switch {
	case !st.Peer.Reachable:
		return st.Peer.Node + " is not heard"
	case !st.Peer.DigestEqual:
		return st.Peer.Node + " has another configuration"
	}
	for _, a := range st.Areas {
		if a.Area == c.s.areaNames[0] && !a.Mirror.Connected {
			return "its mirror is not complete"
		}
	}
	return ""
}

// frame is a revision in the stream.
func (r *revision) frame() []byte {
	b, _ := json.Marshal(r) // strings and numbers: it cannot fail
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
}

// askPeer has the standby check a revision.
func (c *configurator) askPeer(ctx context.Context, rev *revision) error {
	answer := make(chan string, 1)
	c.mu.Lock()
	c.answers[rev.ID] = answer
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.answers, rev.ID)
		c.mu.Unlock()
	}()
	a := c.s.areas[c.s.areaNames[0]]
	a.mu.Lock()
	if a.active {
		a.emit(parts(kindStage, rev.frame()), &alarms.Outcome{})
	}
	a.mu.Unlock()
	wait := time.NewTimer(tryWithin)
	defer wait.Stop()
	select {
	case why := <-answer:
		if why != "" {
			return fmt.Errorf("%s refuses it: %s", c.s.pair.Status().Peer.Node, why)
		}
		return nil
	case <-wait.C:
		return fmt.Errorf("%w: no answer within %s", errPeer, tryWithin)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// awaitPeer waits a moment for the standby to follow; if it does not, the pair says that it is not ready.
func (c *configurator) awaitPeer(ctx context.Context) {
	limit := time.Now().Add(followWithin)
	for !c.s.pair.Status().Peer.DigestEqual && time.Now().Before(limit) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(followEvery):
		}
	}
}

// snapshot is the present revision for a node that begins to mirror.
func (c *configurator) snapshot() []redundancy.Record { return parts(kindStage, c.present().frame()) }

// readRevision is the inverse of frame.
func readRevision(b []byte) (*revision, error) {
	if len(b) < stageLength || int(binary.BigEndian.Uint32(b)) != len(b)-stageLength {
		return nil, fmt.Errorf("a revision of the configuration has %d bytes", len(b))
	}
	var rev revision
	if err := json.Unmarshal(b[stageLength:], &rev); err != nil {
		return nil, fmt.Errorf("a revision of the configuration: %w", err)
	}
	return &rev, nil
}

// stage collects, on the standby, the parts of a revision it is to try. It is called in the stream and does not wait.
func (c *configurator) stage(part []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.incoming = append(c.incoming, part...)
	if len(c.incoming) < stageLength {
		return
	}
	switch total := stageLength + int(binary.BigEndian.Uint32(c.incoming)); {
	case total > maxRevision, len(c.incoming) > total:
		c.incoming = nil // it will not be answered
	case len(c.incoming) == total:
		rev, err := readRevision(c.incoming)
		c.incoming = nil
		if err != nil {
			c.s.log.Error("A revision of the configuration cannot be read", "error", err)
			return
		}
		select {
		case <-c.trials: // one that nobody waits for any more
		default:
		}
		c.trials <- rev
	}
}

// try checks a staged revision on the standby and tells the active.
func (c *configurator) try(ctx context.Context, rev *revision) {
	cfg, err := rev.load(c.path)
	if err == nil {
		_, err = c.s.prepare(cfg)
	}
	if err == nil {
		err = c.step("tried")
	}
	why := ""
	c.mu.Lock()
	if c.pending = rev; err != nil {
		why, c.pending = err.Error(), nil
	}
	c.mu.Unlock()
	if _, err := c.tell(ctx, configRequest{Tried: rev.ID, Why: why}, nil); err != nil {
		c.s.log.Warn("The active could not be told about a revision of the configuration", "revision", rev.ID, "error", err)
	}
}

// tried takes the standby's answer.
func (c *configurator) tried(id, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ch := c.answers[id]; ch != nil {
		select {
		case ch <- why:
		default:
		}
	}
}

// follow takes over, on the standby, what the stream of an area says that the active runs from here on.
func (c *configurator) follow(a *area, r redundancy.Record) error {
	h, err := readJSON[header](r)
	if err != nil {
		return err
	}
	c.changing.Lock()
	defer c.changing.Unlock()
	if h.Digest == c.s.now().cfg.Digest { // another area was told already
		a.mu.Lock()
		a.from = nil
		a.mu.Unlock()
		return nil
	}
	c.mu.Lock()
	rev := c.pending
	c.mu.Unlock()
	if rev == nil || rev.Digest != h.Digest {
		return fmt.Errorf("area %s: configuration %s of the active was not tried here", a.name, h.Digest)
	}
	return c.adopt(rev, a.name)
}

// adopt takes a revision of the active over. The caller holds changing.
func (c *configurator) adopt(rev *revision, told string) error {
	cfg, err := rev.load(c.path)
	if err != nil {
		return err
	}
	ch, err := c.s.prepare(cfg)
	if err != nil {
		return err
	}
	return c.take(rev, ch, told)
}

// meet looks at the revision in a snapshot of the first area, and takes it over when this node runs another one.
func (c *configurator) meet(area string, records []redundancy.Record) error {
	if area != c.s.areaNames[0] {
		return nil
	}
	var frame []byte
	for _, r := range records {
		if r.Kind == kindStage {
			frame = append(frame, r.Payload...)
		}
	}
	if frame == nil {
		return nil // an older version
	}
	rev, err := readRevision(frame)
	if err != nil {
		return err
	}
	c.changing.Lock()
	defer c.changing.Unlock()
	mine := c.present()
	switch {
	case rev.ID == mine.ID:
		return nil
	case rev.Digest == c.s.now().cfg.Digest:
		if mine.descends(rev.ID) {
			return nil // another text that says the same
		}
		return c.keep(rev)
	case !rev.descends(mine.ID):
		if err := c.setAside(); err != nil {
			return err
		}
		c.s.log.Warn("This node has a configuration of its own: it runs that of the active", "own", mine.ID, "active", rev.ID)
	}
	return c.adopt(rev, area)
}

// offer brings the revision only this node has to the active, when it was made from what the pair runs.
func (c *configurator) offer(ctx context.Context) {
	c.mu.Lock()
	own, current, refused := c.own, c.current, c.refused
	c.mu.Unlock()
	if own == nil || refused != "" || !own.descends(current.ID) || c.alone() != "" || !c.s.isStandby(c.s.areaNames[0]) {
		return
	}
	head := *own
	head.Packed = nil
	_, err := c.tell(ctx, configRequest{Offer: &head}, own.Packed)
	if err == nil || errors.Is(err, redundancy.ErrNoPeer) || errors.Is(err, redundancy.ErrNotActive) || errors.Is(err, redundancy.ErrLostAnswer) || ctx.Err() != nil {
		return
	}
	c.mu.Lock()
	c.refused = err.Error()
	c.mu.Unlock()
	c.s.log.Warn("The active does not take over the configuration of this node", "revision", own.ID, "error", err)
}

// offered takes over a revision of the standby that was made from the present one.
func (c *configurator) offered(ctx context.Context, rev *revision, packed []byte) error {
	if !c.changing.TryLock() {
		return fmt.Errorf("%w: %w", redundancy.ErrNotActive, errBusy) // it is offered again
	}
	defer c.changing.Unlock()
	now := c.present()
	if !rev.descends(now.ID) {
		return fmt.Errorf("revision %s was not made from %s, which runs", rev.ID, now.ID)
	}
	rev.Packed = packed
	cfg, err := rev.load(c.path)
	if err != nil {
		return err
	}
	_, err = c.bring(ctx, rev, cfg, false)
	c.journal(rev.By, "configuration of "+rev.Node+" taken over", rev.Comment, now.Digest, rev.Digest, err)
	return err
}
