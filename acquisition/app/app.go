// Package app runs the engineers' applications of an area: Starlark programs that react to tags or to time, set tags of
// their own and write to devices. It is an [acquisition.Source] with one device for each application, so the active node
// alone runs them, and their outputs travel and are recorded like what devices say.
//
// Each application has a goroutine and an interpreter of its own. A deployment compiles first and swaps after: the new
// source is tried with a copy of the state, and only when its start has succeeded does it replace the old one, between
// two calls of that application; the others are not touched. A call that fails has no effect; three in a row disable the
// application until it is deployed again or another node takes over.
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
	Specs  []Spec
	Live   *live.Table
	Lookup func(name string) (tag.ID, bool)
	// Commit takes the effects of one call as one step: the outputs, and the new state if it is not nil.
	Commit func(app string, state []byte, outputs []tag.Update)
	// Write carries out a write to a device, with everything an operator's write goes through.
	Write  func(ctx context.Context, app string, to tag.ID, v tag.Value) error
	Event  func(Event)  // may be nil
	Logger *slog.Logger // nil: none
}

// Engine runs the applications of one area.
type Engine struct {
	o       Options
	log     *slog.Logger
	apps    []*application
	byName  map[string]*application
	readers map[tag.ID][]*application
}

// application is one of them. The mutex guards what both its goroutine and callers touch.
type application struct {
	spec   Spec
	env    script.Env
	inputs map[string]tag.ID
	own    map[string]tag.ID
	device map[string]tag.ID // of the tags it may write

	changed chan struct{} // an input has changed
	orders  chan order    // deployments while running
	writes  chan script.Write

	mu       sync.Mutex
	program  *script.Program // nil: nothing was deployed, or what was deployed is broken
	present  Generation
	state    []byte
	stateOf  string // hash of the generation that made the state
	running  bool
	disabled string // why it is, "" if it is not
	lines    []Line
	status   acquisition.DeviceStatus
}

type order struct {
	generation Generation
	program    *script.Program
	answer     chan error
}

// New returns an engine without any source: the applications wait for [Engine.Load] or [Engine.Deploy].
func New(o Options) (*Engine, error) {
	e := &Engine{o: o, log: o.Logger, byName: map[string]*application{}, readers: map[tag.ID][]*application{}}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	for _, spec := range o.Specs {
		a, err := newApplication(spec, o.Lookup)
		if err != nil {
			return nil, fmt.Errorf("application %s: %w", spec.Name, err)
		}
		for _, id := range a.inputs {
			e.readers[id] = append(e.readers[id], a)
		}
		e.apps = append(e.apps, a)
		e.byName[spec.Name] = a
	}
	return e, nil
}

func newApplication(spec Spec, lookup func(string) (tag.ID, bool)) (*application, error) {
	a := &application{
		spec: spec, inputs: map[string]tag.ID{}, own: map[string]tag.ID{}, device: map[string]tag.ID{},
		changed: make(chan struct{}, 1), orders: make(chan order), writes: make(chan script.Write, waitingCalls),
		env:    script.Env{Inputs: spec.Inputs, Outputs: map[string]tag.Type{}, Writable: map[string]tag.Type{}},
		status: acquisition.DeviceStatus{Device: spec.Name, Endpoint: "application", Tags: len(spec.Outputs), Since: time.Now()},
	}
	for _, name := range spec.Inputs {
		id, ok := lookup(name)
		if !ok {
			return nil, fmt.Errorf("no tag is named %q", name)
		}
		a.inputs[name] = id
	}
	for _, d := range spec.Outputs {
		a.own[d.Name], a.env.Outputs[d.Name] = d.ID, d.Type
	}
	for _, d := range spec.Writable {
		a.device[d.Name], a.env.Writable[d.Name] = d.ID, d.Type
	}
	return a, nil
}

// Check compiles a source without deploying it.
func (e *Engine) Check(name, source string) error {
	a := e.byName[name]
	if a == nil {
		return fmt.Errorf("application %q: %w", name, ErrUnknown)
	}
	_, err := a.compile(source)
	return err
}

func (a *application) compile(source string) (*script.Program, error) {
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
	a := e.byName[name]
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

// SetState sets the state of an application that does not run: the standby follows the active.
func (e *Engine) SetState(name string, state []byte) {
	if a := e.byName[name]; a != nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.state, a.stateOf = slices.Clone(state), a.present.Hash()
	}
}

// Deploy replaces the source of a running application. It returns when the new generation runs, or with the reason why
// the old one goes on.
func (e *Engine) Deploy(ctx context.Context, name string, g Generation) error {
	a := e.byName[name]
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
	out := make([]Status, 0, len(e.apps))
	for _, a := range e.apps {
		a.mu.Lock()
		out = append(out, Status{
			Name: a.spec.Name, Generation: a.present, Deployed: a.present.Source != "", Running: a.running, Disabled: a.disabled,
			State: slices.Clone(a.state), Logs: slices.Clone(a.lines), Calls: a.status.Counters.Requests, Failures: a.status.Counters.Malformed,
		})
		a.mu.Unlock()
	}
	return out
}

// Devices implements [acquisition.Source].
func (e *Engine) Devices() []string {
	names := make([]string, len(e.apps))
	for i, a := range e.apps {
		names[i] = a.spec.Name
	}
	return names
}

// Status implements [acquisition.Source].
func (e *Engine) Status() []acquisition.DeviceStatus {
	out := make([]acquisition.DeviceStatus, len(e.apps))
	for i, a := range e.apps {
		a.mu.Lock()
		out[i] = a.status
		a.mu.Unlock()
	}
	return out
}

// Write implements [acquisition.Source]: what an application computes cannot be written.
func (e *Engine) Write(context.Context, acquisition.Write) acquisition.WriteResult {
	return acquisition.WriteResult{Outcome: acquisition.Refused, Err: errors.New("an output of an application cannot be written")}
}

// Probe implements [acquisition.Source]: there is nothing that could be out of reach.
func (e *Engine) Probe(context.Context, string) error { return nil }
