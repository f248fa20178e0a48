// Package app runs the engineers' applications of an area: Starlark programs that react to tags or to time, set tags of
// their own and write to devices. Each is an [acquisition.Source] with one device, so the active node alone runs it, and
// its outputs travel and are recorded like what devices say. An [Engine] is what the applications of an area share: who
// is woken by which tag.
//
// Each application has a goroutine and an interpreter of its own. A deployment compiles first and swaps after: the new
// source is tried with a copy of the state, and only when its start has succeeded does it replace the old one, between
// two calls of that application; the others are not touched. A call that fails has no effect; three in a row disable the
// application until it is deployed again or another node takes over. A call that does not end when it is told to (the
// interpreter looks between two operations only) is abandoned: nobody waits for it, and the application does not run
// again before it has ended.
package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"scada/acquisition"
	"scada/acquisition/live"
	"scada/acquisition/script"
	"scada/acquisition/tag"
)

const (
	hangLimit    = time.Second           // how long a call that was told to end is waited for
	callLimit    = 50 * time.Millisecond // of one call; Starlark's own step limit ends most mistakes sooner
	strikes      = 3                     // failed calls in a row that disable an application
	maxBlind     = 10 * time.Second      // how long the first call waits for inputs that have no present value
	blindEvery   = 100 * time.Millisecond
	keptLogs     = 200
	waitingCalls = 64 // device writes that may wait for the one under way, for each application
)

// Reasons a deployment is refused.
var (
	ErrUnknown = errors.New("no such application")
	ErrStopped = errors.New("applications run on the active node only")
	ErrHanging = errors.New("a call of the application does not come to an end: it cannot run again before that, or before the node starts again")
)

// Spec is what the configuration says of an application.
type Spec struct {
	Name       string
	Inputs     []string         // tags it may read
	Outputs    []tag.Definition // its own tags
	Writable   []tag.Definition // tags of devices it may write
	Every      time.Duration    // period of on_timer
	StaleAfter time.Duration    // how long its outputs stay uncertain, rather than bad, when it does not run
}

// Generation is one version of an application's source.
type Generation struct {
	Source  string    `json:"source"`
	By      string    `json:"by"`
	At      time.Time `json:"at"`
	Comment string    `json:"comment,omitempty"`
}

// Hash names the source.
func (g Generation) Hash() string {
	sum := sha256.Sum256([]byte(g.Source))
	return hex.EncodeToString(sum[:6])
}

// Line is one line of an application's log.
type Line struct {
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}

// Event is what the caller should record about an application: it was disabled, or runs again.
type Event struct {
	App    string
	What   string // "disabled", "recovered"
	Reason string
}

// Options is what an engine needs. Its functions are called from the goroutines of the applications.
type Options struct {
	// Read returns the present sample of a tag.
	Read func(name string) tag.Sample
	// Commit takes the effects of one call as one step: the outputs, and the new state if it is not nil.
	Commit func(app string, state []byte, outputs []tag.Update)
	// Write carries out a write to a device, with everything an operator's write goes through.
	Write  func(ctx context.Context, app, to string, v tag.Value) error
	Event  func(Event)  // may be nil
	Logger *slog.Logger // nil: none
}

// Engine is what the applications of one area share.
type Engine struct {
	o    Options
	log  *slog.Logger
	hang time.Duration

	mu      sync.Mutex
	apps    []*Application
	byName  map[string]*Application
	bound   binding
	rebound chan struct{} // bound is another one

	running    sync.Mutex // held to begin and to end
	runs       int        // of the applications
	quit       context.CancelFunc
	dispatched chan struct{} // closed when the dispatcher has ended
}

// binding is where the engine sees tags change: a table, and who reads which tag of it.
type binding struct {
	table   *live.Table
	seq     uint64 // of the table when it was bound
	readers map[tag.ID][]*Application
}

// Application is one of them. The mutex guards what both its goroutine and callers touch.
type Application struct {
	engine *Engine
	spec   Spec
	env    script.Env
	own    map[string]tag.ID

	changed chan struct{} // an input has changed
	orders  chan order    // deployments while running
	writes  chan script.Write

	mu       sync.Mutex
	program  *script.Program // nil: nothing was deployed, or what was deployed is broken
	present  Generation
	state    []byte
	stateOf  string // hash of the generation that made the state
	running  bool
	disabled string          // why it is, "" if it is not
	hanging  <-chan struct{} // closed when the abandoned call has ended; nil: there is none
	lines    []Line
	status   acquisition.DeviceStatus
}

type order struct {
	generation Generation
	program    *script.Program
	answer     chan error
}

// New returns an engine without applications.
func New(o Options) *Engine {
	e := &Engine{o: o, log: o.Logger, hang: hangLimit, byName: map[string]*Application{}, rebound: make(chan struct{}, 1)}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	return e
}

// Make returns an application without any source, which waits for [Engine.Load] or [Engine.Deploy]. It is none of the
// engine's before [Engine.Adopt].
func (e *Engine) Make(spec Spec) *Application {
	a := &Application{
		engine: e, spec: spec, own: map[string]tag.ID{},
		changed: make(chan struct{}, 1), orders: make(chan order), writes: make(chan script.Write, waitingCalls),
		env:    script.Env{Inputs: spec.Inputs, Outputs: map[string]tag.Type{}, Writable: map[string]tag.Type{}},
		status: acquisition.DeviceStatus{Device: spec.Name, Endpoint: "application", Tags: len(spec.Outputs), Since: time.Now()},
	}
	for _, d := range spec.Outputs {
		a.own[d.Name], a.env.Outputs[d.Name] = d.ID, d.Type
	}
	for _, d := range spec.Writable {
		a.env.Writable[d.Name] = d.Type
	}
	return a
}

// Adopt makes these the applications of the engine, and a table the one in which their inputs change. Those that were
// there before go on, and see every change once; those that are left out must have ended.
func (e *Engine) Adopt(apps []*Application, table *live.Table, lookup func(name string) (tag.ID, bool)) {
	b := binding{table: table, seq: table.Seq(), readers: map[tag.ID][]*Application{}}
	byName := map[string]*Application{}
	for _, a := range apps {
		byName[a.spec.Name] = a
		for _, name := range a.spec.Inputs {
			if id, ok := lookup(name); ok {
				b.readers[id] = append(b.readers[id], a)
			}
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.apps, e.byName, e.bound = apps, byName, b
	select {
	case e.rebound <- struct{}{}:
	default:
	}
}

// Named returns the application of that name, nil if there is none.
func (e *Engine) Named(name string) *Application {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.byName[name]
}

func (e *Engine) all() []*Application {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.apps
}

// Check compiles a source without deploying it.
func (e *Engine) Check(name, source string) error {
	a := e.Named(name)
	if a == nil {
		return fmt.Errorf("application %q: %w", name, ErrUnknown)
	}
	_, err := a.compile(source)
	return err
}

func (a *Application) compile(source string) (*script.Program, error) {
	p, err := script.Compile(a.spec.Name+".star", []byte(source))
	if err != nil {
		return nil, err
	}
	if p.OnTimer() && a.spec.Every == 0 {
		return nil, &script.Error{File: a.spec.Name + ".star", Message: "on_timer is defined, and the configuration gives no period (every)"}
	}
	return p, nil
}

// Load sets the source and the state of an application that does not run: at the start of the node, and on the standby
// whatever the active has deployed. With a nil state the one it has is kept.
func (e *Engine) Load(name string, g Generation, state []byte) error {
	a := e.Named(name)
	if a == nil {
		return fmt.Errorf("application %q: %w", name, ErrUnknown)
	}
	p, err := a.compile(g.Source)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.present, a.program, a.disabled = g, p, ""
	if state != nil {
		a.state, a.stateOf = slices.Clone(state), g.Hash()
	}
	if err != nil {
		a.disabled = err.Error()
	}
	return err
}

// Restore sets the state of an application that does not run to what was stored, and by which generation: that of another
// one is migrated when the application starts.
func (e *Engine) Restore(name string, state []byte, of string) {
	if a := e.Named(name); a != nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.state, a.stateOf = slices.Clone(state), of
	}
}

// SetState sets the state of an application that does not run: the standby follows the active.
func (e *Engine) SetState(name string, state []byte) {
	if a := e.Named(name); a != nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.state, a.stateOf = slices.Clone(state), a.present.Hash()
	}
}

// Deploy replaces the source of a running application. It returns when the new generation runs, or with the reason why
// the old one goes on.
func (e *Engine) Deploy(ctx context.Context, name string, g Generation) error {
	a := e.Named(name)
	if a == nil {
		return fmt.Errorf("application %q: %w", name, ErrUnknown)
	}
	p, err := a.compile(g.Source)
	if err != nil {
		return err
	}
	a.mu.Lock()
	running := a.running
	a.mu.Unlock()
	if !running {
		return ErrStopped
	}
	o := order{g, p, make(chan error, 1)}
	select {
	case a.orders <- o:
		return <-o.answer
	case <-ctx.Done():
		return fmt.Errorf("application %s did not come to an end: %w", name, ctx.Err())
	}
}

// Status is one application for people.
type Status struct {
	Name       string
	Generation Generation
	Deployed   bool // there is a source
	Running    bool
	Disabled   string // why it does not run although it should
	State      []byte
	Logs       []Line // oldest first
	Calls      uint64
	Failures   uint64
}

// Apps returns the applications in the order of the configuration.
func (e *Engine) Apps() []Status {
	apps := e.all()
	out := make([]Status, 0, len(apps))
	for _, a := range apps {
		a.mu.Lock()
		out = append(out, Status{
			Name: a.spec.Name, Generation: a.present, Deployed: a.present.Source != "", Running: a.running, Disabled: a.disabled,
			State: slices.Clone(a.state), Logs: slices.Clone(a.lines), Calls: a.status.Counters.Requests, Failures: a.status.Counters.Malformed,
		})
		a.mu.Unlock()
	}
	return out
}

// Names are the names of the applications, in the order of the configuration.
func (e *Engine) Names() []string {
	apps := e.all()
	names := make([]string, len(apps))
	for i, a := range apps {
		names[i] = a.spec.Name
	}
	return names
}

// Devices implements [acquisition.Source].
func (a *Application) Devices() []string { return []string{a.spec.Name} }

// Status implements [acquisition.Source].
func (a *Application) Status() []acquisition.DeviceStatus {
	a.mu.Lock()
	defer a.mu.Unlock()
	return []acquisition.DeviceStatus{a.status}
}

// Write implements [acquisition.Source]: what an application computes cannot be written.
func (a *Application) Write(context.Context, acquisition.Write) acquisition.WriteResult {
	return acquisition.WriteResult{Outcome: acquisition.Refused, Err: errors.New("an output of an application cannot be written")}
}

// Probe implements [acquisition.Source]: there is nothing that could be out of reach.
func (a *Application) Probe(context.Context, string) error { return nil }
