package server

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"scada/alarms"
	"scada/alarms/notify"
	"scada/alarms/notify/send"
	"scada/cmd/internal/config"
	"scada/history/journal"
	"scada/redundancy"
	"scada/web/api"
)

// How a receiver that does not take its messages is tried again.
const (
	retryFirst = time.Second
	retryMost  = time.Minute
)

// notifier is the outbox of an area, and on the active node what empties it. The area's mutex guards the outbox: what
// goes in follows from the alarm outcomes, what is taken out travels in the stream beside them.
type notifier struct {
	area    *area
	log     *slog.Logger
	make    func(send.Receiver) (send.Sender, error)
	allowed func(area string) bool     // to send, at this very moment
	refused func(receiver, why string) // a batch was given up: for the journal

	path   string // where the outbox is stored
	box    *notify.Box
	latest *commitment // of the last alarm outcome: what it says is told when it is durable
	wake   chan struct{}

	mu        sync.Mutex
	receivers map[string]send.Receiver // by name
	send      map[string]send.Sender
	states    map[string]*receiverState
}

// receiverState is what this node knows of a receiver.
type receiverState struct {
	busy   bool
	failed int // in a row
	retry  time.Time
	sentAt time.Time
	sent   uint64
	err    string
	errAt  time.Time
}

// notified is the record of the stream that says what a receiver has taken.
type notified struct {
	IDs []string `json:"ids"`
	At  int64    `json:"at"`
}

// buildNotifier returns the notifier of an area. Where nobody is to be told it has nothing to do.
func (s *Server) buildNotifier(a *area, opts Options, node config.Node) (*notifier, error) {
	cfg := s.now().cfg.Notify
	n := &notifier{
		area: a, log: s.log.With("component", "notify", "area", a.name), send: map[string]send.Sender{},
		allowed: func(area string) bool { return s.pair.MayWrite(area) }, box: notify.New(cfg.Routing()), wake: make(chan struct{}, 1),
		states: map[string]*receiverState{}, path: filepath.Join(node.Data, "outbox-"+a.name+".json"),
	}
	n.refused = func(receiver, why string) {
		a.record(s.newEntry(journal.ClassSystem, "notification-refused", a.name, receiver, alarms.System, joinText("", why)))
	}
	n.make = func(r send.Receiver) (send.Sender, error) {
		return send.New(r, send.Options{Project: s.cfg.Project, Node: s.nodeName, ExternalURL: s.externalURL(), Dial: opts.Dial, Log: n.log})
	}
	senders, err := n.prepare(cfg)
	if err != nil {
		return nil, err
	}
	n.adopt(cfg, senders)
	n.load()
	return n, nil
}

// load restores what was owed when the node ended. It counts only when the other node is not active; otherwise that one's
// outbox replaces it.
func (n *notifier) load() {
	b, err := os.ReadFile(n.path)
	if err == nil {
		err = n.box.Restore(b)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		n.log.Error("The stored outbox cannot be used: what was owed is lost", "file", n.path, "error", err)
	}
}

// keep stores the outbox after changes until ctx ends, and then once more.
func (n *notifier) keep(ctx context.Context) error {
	stored := uint64(0)
	return keepStored(ctx, n.log, "outbox", func() error {
		n.area.mu.Lock()
		version := n.box.Version()
		var b []byte
		var err error
		if version != stored {
			b, err = n.box.Snapshot()
		}
		n.area.mu.Unlock()
		if version == stored || err != nil {
			return err
		}
		if err := replaceFile(n.path, b, storedFileMode); err != nil {
			return err
		}
		stored = version
		return nil
	})
}

func kindOfReceiver(r send.Receiver) string {
	switch {
	case r.Webhook != nil:
		return "webhook"
	case r.Alertmanager != nil:
		return "alertmanager"
	case r.SMTP != nil:
		return "smtp"
	}
	return "mqtt"
}

// externalURL is where receivers are sent for more: the same from both nodes.
func (s *Server) externalURL() string {
	if len(s.cfg.Web.Origins) > 0 {
		return s.cfg.Web.Origins[0]
	}
	return "http://" + s.cfg.Nodes[s.nodeNames[0]].HTTP
}

// take puts alarm events into the outbox, on both nodes alike. The caller holds the area's mutex.
func (n *notifier) take(events []alarms.Event, c *commitment) {
	if len(events) == 0 {
		return
	}
	for i := range events {
		n.box.Event(&events[i], n.notice(&events[i]))
	}
	if c != nil {
		n.latest = c
	}
	n.nudge()
}

// notice describes an event from what is in the event and in the configuration: both nodes say the same.
func (n *notifier) notice(ev *alarms.Event) notify.Notice {
	out := notify.Notice{
		Kind: ev.Kind, Condition: ev.Condition, Occurrence: ev.Occurrence, Area: n.area.name, Level: ev.Level, State: ev.State, Priority: ev.Priority, Time: ev.Time,
	}
	if !ev.Value.IsNone() {
		out.Value = ev.Value.String()
	}
	if d, ok := n.area.engine.Definition(ev.Condition); ok {
		out.Class, out.Tag, out.Unit, out.Guidance, out.Message = d.Class, d.MainTag(), d.Unit, d.Guidance, d.Message(ev)
	}
	return out
}

// done marks what a receiver has taken, on the standby. The caller holds the area's mutex.
func (n *notifier) done(d notified) {
	n.box.Done(d.IDs, d.At)
}

// snapshot returns the outbox as records. The caller holds the area's mutex.
func (n *notifier) snapshot() []redundancy.Record {
	b, err := n.box.Snapshot()
	if err != nil { // plain structs of ours
		n.log.Error("The outbox cannot be mirrored", "error", err)
		return nil
	}
	return parts(kindOutbox, b)
}

// restore replaces the outbox. The caller holds the area's mutex.
func (n *notifier) restore(b []byte) error {
	return n.box.Restore(b)
}

func (n *notifier) nudge() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// run sends what is due until ctx ends, and returns when nothing is under way any more.
func (n *notifier) run(ctx context.Context) {
	var work sync.WaitGroup
	defer func() {
		work.Wait()
		n.closeAll()
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		batches, latest, wait := n.due()
		for _, b := range batches {
			n.state(b.Receiver, func(st *receiverState) { st.busy = true })
			work.Go(func() { n.deliver(ctx, b, latest) })
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-n.wake:
		case <-timer.C:
		}
	}
}

// due returns what is to be sent now, what has to be durable before, and how long to wait for more.
func (n *notifier) due() ([]notify.Batch, *commitment, time.Duration) {
	at := time.Now()
	wait := time.Hour
	n.mu.Lock()
	held := map[string]bool{}
	for name, st := range n.states {
		held[name] = st.busy || at.Before(st.retry)
		if !st.busy && held[name] {
			wait = min(wait, st.retry.Sub(at))
		}
	}
	n.mu.Unlock()
	n.area.mu.Lock()
	defer n.area.mu.Unlock()
	batches, next := n.box.Due(at.UnixNano(), func(receiver string) bool { return held[receiver] })
	if next != 0 {
		wait = min(wait, max(time.Unix(0, next).Sub(at), 0))
	}
	return batches, n.latest, wait
}

func (n *notifier) state(receiver string, f func(*receiverState)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if st := n.states[receiver]; st != nil {
		f(st)
	}
}

// deliver sends one batch and marks it. What the pair does not have durably yet is not told: a standby that took over
// without it would contradict.
func (n *notifier) deliver(ctx context.Context, b notify.Batch, latest *commitment) {
	defer n.nudge()
	sender := n.sender(b.Receiver)
	if sender == nil {
		return // its receiver is gone
	}
	_, err := latest.wait(ctx)
	switch {
	case err != nil:
	case !n.allowed(n.area.name):
		err = redundancy.ErrNotActive
	default:
		err = sender.Send(ctx, b)
	}
	if errors.Is(err, send.ErrRefused) {
		n.log.Error("A receiver refuses a notification: it is given up", "receiver", b.Receiver, "items", len(b.Items), "error", err)
		n.refused(b.Receiver, err.Error())
	}
	if err == nil || errors.Is(err, send.ErrRefused) {
		n.mark(notified{IDs: b.IDs(), At: now()})
	}
	n.note(ctx, b, err)
	if n.sender(b.Receiver) != sender { // another one has taken its place
		sender.Close()
	}
}

// mark takes a batch out of the outbox, here and on the standby.
func (n *notifier) mark(d notified) {
	n.area.mu.Lock()
	defer n.area.mu.Unlock()
	n.box.Done(d.IDs, d.At)
	if n.area.active {
		if seq := n.area.publish(n.area.name, jsonRecord(kindNotified, d)); seq > 0 {
			n.area.seq = seq
		}
	}
}

// note remembers how it went; the log tells of changes only.
func (n *notifier) note(ctx context.Context, b notify.Batch, err error) {
	if ctx.Err() != nil && err != nil {
		err = nil // the role has ended, the receiver has done nothing wrong
		n.state(b.Receiver, func(st *receiverState) { st.busy = false })
		return
	}
	n.state(b.Receiver, func(st *receiverState) {
		st.busy = false
		if err != nil {
			if st.failed == 0 {
				n.log.Warn("A receiver does not take its notifications", "receiver", b.Receiver, "error", err)
			}
			st.retry = time.Now().Add(min(retryFirst<<min(st.failed, 10), retryMost))
			st.failed, st.err, st.errAt = st.failed+1, err.Error(), time.Now()
			return
		}
		if st.failed > 0 {
			n.log.Info("A receiver takes its notifications again", "receiver", b.Receiver)
		}
		st.failed, st.retry, st.err = 0, time.Time{}, ""
		st.sent, st.sentAt = st.sent+uint64(len(b.Items)), time.Now()
	})
}

// Notifications implements [web.Backend]: the receivers, as this node knows them.
func (b backend) Notifications() api.Notifications {
	out := api.Notifications{Node: b.nodeName, Receivers: []api.Receiver{}}
	for _, name := range b.areaNames {
		n := b.areas[name].notify
		n.area.mu.Lock()
		pending, lost := n.box.Pending(), n.box.Lost()
		n.area.mu.Unlock()
		n.mu.Lock()
		for _, r := range slices.Sorted(maps.Keys(n.states)) {
			st, p := n.states[r], pending[r]
			out.Receivers = append(out.Receivers, api.Receiver{
				Name: r, Area: name, Kind: kindOfReceiver(n.receivers[r]), Pending: p.Count, OldestDue: instant(p.Oldest), Sent: st.sent, SentAt: moment(st.sentAt), Failed: st.failed,
				Error: st.err, ErrorAt: moment(st.errAt), GivenUp: lost,
			})
		}
		n.mu.Unlock()
	}
	return out
}
