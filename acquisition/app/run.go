package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"scada/acquisition"
	"scada/acquisition/script"
	"scada/acquisition/tag"
)

// Run implements [acquisition.Source].
func (a *Application) Run(ctx context.Context, sink acquisition.Sink) error {
	a.engine.enter()
	defer a.engine.leave()
	var wg sync.WaitGroup
	sink.Settled(a.spec.Name, time.Now(), nil) // an application waits for its inputs, nobody waits for it
	wg.Go(func() { a.carryOut(ctx) })
	(&runner{engine: a.engine, app: a}).run(ctx)
	wg.Wait()
	return nil
}

func (a *Application) wake() {
	select {
	case a.changed <- struct{}{}:
	default:
	}
}

// calm forgets what has changed so far: the call that follows sees it.
func (a *Application) calm() {
	select {
	case <-a.changed:
	default:
	}
}

// carryOut does the device writes of an application, one after the other: a slow device must not stop the program.
func (a *Application) carryOut(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case w := <-a.writes:
			if err := a.engine.o.Write(ctx, a.spec.Name, w.Tag, w.Value); err != nil && ctx.Err() == nil {
				a.note(fmt.Sprintf("write %s = %s: %s", w.Tag, w.Value, err))
			}
		}
	}
}

// runner is an application at work on the active node. It belongs to one goroutine.
type runner struct {
	engine   *Engine
	app      *Application
	instance *script.Instance
	first    bool
	failed   int // calls in a row
	last     map[tag.ID]tag.Sample
	stale    *time.Timer // the outputs become bad
}

func (r *runner) run(ctx context.Context) {
	a := r.app
	r.last = map[tag.ID]tag.Sample{}
	for name, id := range a.own {
		r.last[id] = r.engine.o.Read(name)
	}
	r.stale = time.NewTimer(time.Hour)
	r.stale.Stop()
	defer r.stale.Stop()
	a.set(func() { a.running, a.status.State, a.status.Since = true, acquisition.Waiting, time.Now() })
	defer a.set(func() { a.running, a.status.State, a.status.Since = false, acquisition.Stopped, time.Now() })
	r.resume()
	blind := r.waitSeeing(ctx)
	timer := time.NewTimer(r.untilSlot())
	defer timer.Stop()
	if blind == nil {
		r.call(script.Change)
	}
	for {
		select {
		case <-ctx.Done():
			r.call(script.Close)
			return
		case o := <-a.orders:
			o.answer <- r.replace(o)
		case <-a.changed:
			r.call(script.Change)
		case <-timer.C:
			a.set(func() { a.status.Lateness = r.late() })
			r.call(script.Timer)
			timer.Reset(r.untilSlot())
		case <-r.stale.C:
			r.requalify(tag.BadNoData)
		}
	}
}

// untilSlot is the time to the next absolute slot of on_timer.
func (r *runner) untilSlot() time.Duration {
	p := r.app.spec.Every
	if p == 0 {
		return 24 * time.Hour
	}
	now := time.Now()
	return now.Truncate(p).Add(p).Sub(now)
}

// late is how long ago the slot of on_timer was.
func (r *runner) late() time.Duration {
	now := time.Now()
	return now.Sub(now.Truncate(max(r.app.spec.Every, 1)))
}

// waitSeeing waits until the inputs have present values again after a take-over, but not for ever.
func (r *runner) waitSeeing(ctx context.Context) error {
	give := time.Now().Add(maxBlind)
	for time.Now().Before(give) && r.blind() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case o := <-r.app.orders:
			o.answer <- r.replace(o)
		case <-time.After(blindEvery):
		}
	}
	return ctx.Err()
}

func (r *runner) blind() bool {
	for _, name := range r.app.spec.Inputs {
		switch r.engine.o.Read(name).Quality {
		case tag.BadWaitingForInitialData, tag.UncertainLastUsableValue:
			return true
		}
	}
	return false
}

// resume starts the generation that is loaded, with the state there is.
func (r *runner) resume() {
	a := r.app
	a.mu.Lock()
	program, g, state, of := a.program, a.present, a.state, a.stateOf
	a.mu.Unlock()
	if program == nil {
		r.stop("nothing that runs has been deployed")
		return
	}
	if err := r.start(program, g, state, of != g.Hash()); err != nil {
		r.stop(err.Error())
	}
}

// start makes the generation the one that runs. Nothing is changed when it fails.
func (r *runner) start(program *script.Program, g Generation, state []byte, migrate bool) error {
	a := r.app
	if a.hangs() {
		return ErrHanging
	}
	i, err := r.load(program, state, migrate)
	if err != nil {
		return err
	}
	out, err := r.do(i, script.Call{Kind: script.Init, At: time.Now().UnixNano()})
	a.logAll(out.Logs)
	if err != nil {
		return err
	}
	a.set(func() {
		a.program, a.present, a.disabled = program, g, ""
		a.state, a.stateOf = i.State(), g.Hash()
		a.status.State, a.status.Since = acquisition.Good, time.Now()
	})
	r.instance, r.first, r.failed = i, true, 0
	r.stale.Stop()
	r.engine.o.Commit(a.spec.Name, i.State(), nil)
	return nil
}

// replace carries out a deployment between two calls.
func (r *runner) replace(o order) error {
	a := r.app
	a.mu.Lock()
	before, was := a.state, a.disabled
	a.mu.Unlock()
	old := r.instance
	if old != nil {
		r.call(script.Close)
		a.mu.Lock()
		before = a.state
		a.mu.Unlock()
	}
	if err := r.start(o.program, o.generation, before, true); err != nil {
		a.note("the generation " + o.generation.Hash() + " was not started: " + err.Error())
		return err
	}
	if was != "" {
		r.tell("recovered", "deployed again")
	}
	r.call(script.Change)
	return nil
}

// call runs one function of the application and hands over what it did.
func (r *runner) call(kind script.Kind) {
	if r.instance == nil || !r.instance.Takes(kind) {
		return
	}
	a, at := r.app, time.Now()
	if kind == script.Change {
		a.calm()
	}
	out, err := r.do(r.instance, script.Call{Kind: kind, At: at.UnixNano(), First: r.first, Read: r.engine.o.Read})
	took := time.Since(at)
	if kind != script.Init && kind != script.Close {
		r.first = false
	}
	a.logAll(out.Logs)
	a.set(func() {
		n := &a.status.Counters
		n.Requests++
		a.status.Response, a.status.ResponseMax = took, max(a.status.ResponseMax, took)
		if err != nil {
			n.Malformed++
			a.status.LastError, a.status.LastErrorAt = err.Error(), at
			return
		}
		n.Answers++
		a.status.LastGood = at
		if out.State != nil {
			a.state = out.State
		}
	})
	if err != nil {
		r.strike(err)
		return
	}
	r.failed = 0
	r.hand(out, at.UnixNano())
}

// hand gives the effects to the server: state and outputs as one step, the writes to the one who carries them out.
func (r *runner) hand(out script.Effects, at int64) {
	var batch []tag.Update
	for _, o := range out.Outputs {
		id := r.app.own[o.Tag]
		s := tag.Sample{Value: o.Value, Quality: o.Quality, Time: max(at, r.last[id].Time+1)}
		r.last[id] = s
		batch = append(batch, tag.Update{Tag: id, Sample: s})
	}
	if out.State != nil || len(batch) > 0 {
		r.engine.o.Commit(r.app.spec.Name, out.State, batch)
	}
	for _, w := range out.Writes {
		select {
		case r.app.writes <- w:
		default:
			r.app.note(fmt.Sprintf("write %s = %s: not done, %d writes wait already", w.Tag, w.Value, waitingCalls))
		}
	}
}

// strike counts a failed call.
func (r *runner) strike(err error) {
	r.failed++
	r.app.note("failed: " + err.Error())
	if errors.Is(err, ErrHanging) {
		r.stop(err.Error())
		return
	}
	if r.failed < strikes {
		return
	}
	r.stop(fmt.Sprintf("%d calls failed in a row: %s", strikes, err))
}

// stop ends the work of the application until it is deployed again. Its outputs keep their values, but nobody stands
// behind them any more.
func (r *runner) stop(why string) {
	r.instance = nil
	a := r.app
	a.set(func() {
		a.disabled, a.status.State, a.status.Since = why, acquisition.Demoted, time.Now()
		a.status.LastError, a.status.LastErrorAt = why, time.Now()
	})
	r.tell("disabled", why)
	r.requalify(tag.UncertainLastUsableValue)
	if d := a.spec.StaleAfter; d > 0 {
		r.stale.Reset(d)
	}
}

func (r *runner) requalify(q tag.Quality) {
	var batch []tag.Update
	for id, s := range r.last {
		if s.Quality == q || s.Quality.IsBad() {
			continue
		}
		s.Quality, s.Time = q, max(time.Now().UnixNano(), s.Time+1)
		if s.Value.IsNone() {
			s.Quality = tag.BadNoData
		}
		r.last[id] = s
		batch = append(batch, tag.Update{Tag: id, Sample: s})
	}
	if len(batch) > 0 {
		r.engine.o.Commit(r.app.spec.Name, nil, batch)
	}
}

func (r *runner) tell(what, why string) {
	r.engine.log.Warn("application changed state", "app", r.app.spec.Name, "state", what, "reason", why)
	if r.engine.o.Event != nil {
		r.engine.o.Event(Event{r.app.spec.Name, what, why})
	}
}

func (a *Application) set(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}

func (a *Application) note(text string) { a.logAll([]string{text}) }

func (a *Application) logAll(lines []string) {
	if len(lines) == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, l := range lines {
		a.lines = append(a.lines, Line{time.Now().UTC(), l})
	}
	if n := len(a.lines) - keptLogs; n > 0 {
		a.lines = append(a.lines[:0:0], a.lines[n:]...)
	}
}
