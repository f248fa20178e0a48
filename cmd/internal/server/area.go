package server

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"scada/acquisition"
	"scada/acquisition/live"
	"scada/acquisition/tag"
	"scada/alarms"
	"scada/history"
	"scada/history/journal"
	"scada/redundancy"
	"scada/redundancy/resource"
	"scada/redundancy/role"
)

const (
	devicesEvery   = time.Second     // how often the standby is told the state of the devices
	repeatBadEvery = 5 * time.Second // how often bad alarm inputs are shown to the engine again
)

// area is one area on this node: where samples, alarms, history and the stream to the other node meet.
//
// One mutex orders everything: what is applied to the table, evaluated, recorded and streamed happens in the same
// order on both nodes. Nothing under it waits for a disk, a device or the network; what has to wait (journal, the
// standby's confirmation, clients) is handed to the [committer].
type area struct {
	name    string
	node    string
	log     *slog.Logger
	store   *history.Store
	conf    *configurator
	group   *acquisition.Group
	commit  *committer
	image   *image
	publish func(area string, records ...redundancy.Record) uint64
	vigil   *vigil
	tell    func(entries []journal.Entry) // brings entries of a standby to the active
	want    func(from, to int64)          // has a standby exchange a stretch of the past with the active
	unit    func(tagName string) string

	resources *resource.Manager
	apps      *apps
	notify    *notifier
	export    *exporter // nil: not of this area

	mu sync.Mutex
	// The present generation, see [Server.adopt]. Changed with the mutex of every area held.
	*areaPlan
	live   *live.Table
	keep   *keeper
	proof  *proof
	digest string
	from   map[tag.ID]tag.ID // standby: the active's numbers -> ours while the active has another generation; nil: the same

	engine  *alarms.Engine
	active  bool
	epoch   uint64
	seq     uint64 // of the last record published or applied
	devices []acquisition.DeviceStatus
	writes  int // under way
	samples uint64
	lastAt  time.Time // when the newest sample of a device that is polled came

	transitions uint64              // of alarms, while active
	unconfirmed map[alarms.Key]bool // commands whose operators were told that the outcome is open
	changed     uint64              // counts what the stored image of the alarms lacks
	lineage     []ancestor          // the last snapshots this area's alarms come from
	reigns      []reign             // the last terms in which this node acted
	flood       alarms.FloodSuppression
	flooded     bool // the journal says that there is an alarm flood

	lookout *lookout

	end  context.CancelFunc // of the present activation
	work sync.WaitGroup
	wake chan struct{} // the engine's deadline may have changed
}

func now() int64 { return time.Now().UnixNano() }

// activate makes the area act here. The context ends with the role.
func (a *area) activate(ctx context.Context, term role.Term, reason string) error {
	ctx, a.end = context.WithCancel(ctx)
	a.mu.Lock()
	a.reigns = append(a.reigns[max(0, len(a.reigns)-maxReigns+1):], reign{followed: a.epoch, acted: term.Epoch})
	a.active, a.epoch, a.seq = true, term.Epoch, 0
	at := now()
	a.proof.begin(a.live)
	blind := a.live.Requalify(a.ids, lastKnown)
	last := a.store.LastRecorded(a.name)
	if last > 0 && last < at {
		a.gap(history.Gap{Scope: history.Scope{Area: a.name}, From: last + 1, To: at, Reason: "switch-over: " + reason})
	}
	a.flooded = a.engine.FloodSince() != 0
	out := a.engine.TakeOver(at, term.Epoch)
	a.emit(sampleRecords(kindShown, blind), &out)
	a.mu.Unlock()

	a.work.Go(func() { a.resources.Run(ctx) })
	a.work.Go(func() {
		if err := a.group.Run(ctx, a); err != nil {
			a.log.Error("Polling ended by itself", "area", a.name, "error", err)
		}
	})
	a.work.Go(func() { a.keepTime(ctx) })
	a.work.Go(func() { a.notify.run(ctx) })
	if a.export != nil {
		a.work.Go(func() { a.export.run(ctx) })
	}
	return nil
}

// lastKnown is the quality of a value whose source has just changed hands: usable with care until the first new one.
func lastKnown(s tag.Sample) tag.Quality {
	if s.Value.IsNone() || s.Quality.IsBad() {
		return s.Quality
	}
	return tag.UncertainLastUsableValue
}

// deactivate returns when nothing of the area touches a device any more, its resources are stopped (a virtual address
// is gone before the other node hears that it may have it), and its last record is in the stream.
func (a *area) deactivate() {
	var polled []acquisition.DeviceStatus
	if a.end != nil {
		polled = a.group.Status()
		a.end()
	}
	a.work.Wait()
	a.mu.Lock()
	a.active = false
	a.mu.Unlock()
	a.lookout.begin(polled)
}

// Publish takes the samples of one answer of a device: it implements [acquisition.Publisher].
func (a *area) Publish(batch []tag.Update) { a.take(batch, effects{}) }

// effects is what goes with samples into one step of the stream.
type effects struct {
	from    *feed               // nil: the samples have the numbers of the present generation
	exact   bool                // the device itself noted the moments at which its values changed
	records []redundancy.Record // beside those of the samples
	then    func()              // called in the step; nil: nothing
}

// take takes samples and what goes with them. It does nothing unless the area is active.
func (a *area) take(batch []tag.Update, with effects) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.active || !a.vigil.awake() {
		return
	}
	if with.from != nil {
		batch = translate(batch, with.from.ids)
	}
	a.live.Apply(batch)
	a.proof.see(batch)
	evaluate := a.engine.Samples
	if with.exact {
		evaluate = a.engine.Reports
	}
	out := evaluate(now(), batch)
	recorded, shown := a.keep.split(batch)
	a.store.Append(recorded)
	a.samples += uint64(len(batch))
	if len(batch) > 0 && a.areaPlan.beats[batch[0].Tag] { // a batch is one answer of one device
		a.lastAt = time.Now()
	}
	records := append(sampleRecords(kindSamples, recorded), sampleRecords(kindUnrecorded, shown)...)
	a.emit(append(records, with.records...), &out)
	if with.then != nil {
		with.then()
	}
	if out.Mark != nil || len(out.Changed) > 0 {
		a.nudge()
	}
}

// emit streams records and an outcome as one step, and hands what must be durable to the committer. The caller holds
// the mutex.
func (a *area) emit(records []redundancy.Record, out *alarms.Outcome) *commitment {
	if !out.IsZero() {
		a.changed++
		for _, part := range alarms.EncodeOutcome(*out, partBytes) {
			records = append(records, redundancy.Record{Kind: kindOutcome, Payload: part})
		}
	}
	floods := a.floodEntries(out)
	if len(floods) > 0 {
		records = append(records, jsonRecord(kindEntries, floods))
	}
	if len(records) > 0 {
		if seq := a.publish(a.name, records...); seq > 0 {
			a.seq = seq
		}
	}
	if len(out.Events)+len(floods) == 0 {
		return nil
	}
	a.transitions += uint64(len(out.Events))
	c := a.commit.add(commitment{epoch: a.epoch, seq: a.seq, active: true, entries: append(a.entries(out.Events), floods...), changes: a.changes(out.Events)})
	a.notify.take(out.Events, c)
	return c
}

// gap records a stretch of time without samples on both nodes. The caller holds the mutex.
func (a *area) gap(g history.Gap) {
	a.store.MarkGap(g.Scope, g.From, g.To, g.Reason)
	a.publish(a.name, jsonRecord(kindGap, g))
}

// record writes entries that are not alarm transitions on both nodes.
func (a *area) record(entries ...journal.Entry) *commitment {
	a.mu.Lock()
	defer a.mu.Unlock()
	seq := a.seq
	if a.active {
		if n := a.publish(a.name, jsonRecord(kindEntries, entries)); n > 0 {
			seq, a.seq = n, n
		}
	}
	if !a.active {
		a.tell(entries)
	}
	return a.commit.add(commitment{epoch: a.epoch, seq: seq, active: a.active, entries: entries})
}

// keepTime runs the alarm engine's timers and the periodic records while the area is active.
func (a *area) keepTime(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	devices, bad := time.NewTicker(devicesEvery), time.NewTicker(repeatBadEvery)
	defer devices.Stop()
	defer bad.Stop()
	for {
		timer.Reset(a.advance())
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-a.wake:
		case <-devices.C:
			a.tellDevices()
		case <-bad.C:
			a.repeatBad()
		}
	}
}

// advance fires the timers that are due and returns how long to wait for the next.
func (a *area) advance() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.vigil.awake() {
		return a.vigil.doubt
	}
	out := a.engine.Advance(now())
	a.emit(nil, &out)
	if deadline, pending := a.engine.Deadline(); pending {
		return max(time.Until(time.Unix(0, deadline)), 0)
	}
	return time.Hour
}

// nudge has keepTime look at the engine's deadline again.
func (a *area) nudge() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

func (a *area) tellDevices() {
	status := a.group.Status()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.devices = status
	a.publish(a.name, jsonRecord(kindDevices, status))
}

// repeatBad shows the engine the alarm inputs that are still bad. A device reports a lost value once; the engine does
// not believe the first bad sample after a take-over and waits for the next.
func (a *area) repeatBad() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.vigil.awake() {
		return
	}
	var batch []tag.Update
	at := now()
	for _, id := range a.inputs {
		if s := a.live.Get(id); s.Quality.IsBad() {
			s.Time = at
			batch = append(batch, tag.Update{Tag: id, Sample: s})
		}
	}
	out := a.engine.Samples(at, batch)
	a.emit(sampleRecords(kindRepeated, batch), &out)
}

// command executes an operator's alarm command on the active node.
func (a *area) command(cmd alarms.Command) (alarms.Result, *commitment, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.active {
		return "", nil, redundancy.ErrNotActive
	}
	result, out := a.engine.Command(now(), cmd)
	c := a.emit(nil, &out)
	a.nudge()
	return result, c, nil
}

// status returns the state of the devices as the active node sees them.
func (a *area) status() []acquisition.DeviceStatus {
	a.mu.Lock()
	active := a.active
	known := slices.Clone(a.devices)
	a.mu.Unlock()
	if active {
		return a.group.Status()
	}
	return known
}
