package server

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"scada/acquisition/app"
	"scada/acquisition/tag"
	"scada/history/journal"
	"scada/redundancy"
	"scada/web/api"
)

const (
	keptGenerations = 10
	maxKeptSource   = 256 << 10 // bytes of all generations of an application
	deployWithin    = 5 * time.Second
	appWriteWithin  = 5 * time.Second
)

// appRecord is an application as it travels in the stream and lies on disk: its generations, newest last, and its state.
type appRecord struct {
	Name        string           `json:"name"`
	Generations []app.Generation `json:"generations"`
	State       json.RawMessage  `json:"state,omitempty"`
	// Seen is the hash of the file in the deployment folder when it was last looked at: only a change deploys it.
	Seen string `json:"seen,omitempty"`
}

// appState is a new state in the stream; it stands in the same step as the outputs of the call that made it.
type appState struct {
	Name  string          `json:"name"`
	State json.RawMessage `json:"state"`
}

// apps are the applications of an area on this node: what is deployed, where it is stored, who runs it.
type apps struct {
	s      *Server
	area   *area
	dir    string
	engine atomic.Pointer[app.Engine] // of the present generation

	deploying sync.Mutex // one deployment at a time

	mu      sync.Mutex
	files   map[string]string // application -> file in the deployment folder
	records map[string]*appRecord
	changed map[string]bool   // not on disk yet
	broken  map[string]string // standby: what this node cannot run although the active does
}

// buildApps makes what holds an area's applications.
func (s *Server) buildApps(a *area, g *generation) (*apps, error) {
	h := &apps{s: s, area: a, dir: filepath.Join(s.cfg.Nodes[s.nodeName].Data, "apps"), records: map[string]*appRecord{}, changed: map[string]bool{}, broken: map[string]string{}}
	e, err := s.appEngine(h, g)
	if err != nil {
		return nil, err
	}
	return h, h.adoptEngine(e, g)
}

// appEngine makes the engine of the applications of a generation. Nothing is loaded yet.
func (s *Server) appEngine(h *apps, g *generation) (*app.Engine, error) {
	var specs []app.Spec
	for _, d := range g.cfg.Devices {
		if d.Area != h.area.name || d.App == nil {
			continue
		}
		spec := app.Spec{Name: d.Name, Inputs: d.App.Inputs, Outputs: d.App.Outputs, Every: d.App.Every, StaleAfter: d.App.StaleAfter}
		for _, name := range d.App.Writes {
			def, _ := g.definition(name)
			spec.Writable = append(spec.Writable, def)
		}
		specs = append(specs, spec)
	}
	return app.New(app.Options{
		Specs: specs, Live: g.live, Lookup: g.cfg.Lookup, Commit: h.commit, Write: h.write, Event: h.event, Logger: s.log.With("component", "applications"),
	})
}

// adoptEngine replaces an engine that does not run any more: the new one goes on with what was deployed and with its state.
// Applications that were not there before are looked for on disk.
func (h *apps) adoptEngine(e *app.Engine, g *generation) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.engine.Store(e)
	h.files = map[string]string{}
	for _, d := range g.cfg.Devices {
		if d.Area == h.area.name && d.App != nil {
			h.files[d.Name] = d.App.File
		}
	}
	if len(h.files) > 0 {
		if err := os.MkdirAll(h.dir, 0o750); err != nil {
			return fmt.Errorf("creating the folder of the applications: %w", err)
		}
	}
	for name := range h.records {
		if h.files[name] == "" {
			delete(h.records, name)
			delete(h.broken, name)
		}
	}
	for _, name := range e.Devices() {
		r := h.records[name]
		if r == nil {
			h.load(name)
		} else if len(r.Generations) > 0 {
			if err := e.Load(name, r.Generations[len(r.Generations)-1], r.State); err != nil {
				h.s.log.Error("An application cannot run", "app", name, "error", err)
			}
		}
	}
	return nil
}

// file is the source of an application in the deployment folder.
func (h *apps) file(name string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.files[name]
}

func (h *apps) path(name string) string { return filepath.Join(h.dir, name+".json") }

// load brings back what was deployed, or takes the file of the deployment folder when nothing ever was. What cannot be
// used does not stop the node: the application is shown as one that does not run.
func (h *apps) load(name string) {
	r := &appRecord{Name: name}
	h.records[name] = r
	b, err := os.ReadFile(h.path(name))
	switch {
	case err == nil:
		err = json.Unmarshal(b, r)
	case errors.Is(err, fs.ErrNotExist):
		err = h.first(r)
	}
	if err == nil && len(r.Generations) > 0 {
		err = h.engine.Load().Load(name, r.Generations[len(r.Generations)-1], r.State)
	}
	if err != nil {
		h.s.log.Error("An application cannot run", "app", name, "error", err)
	}
}

// first takes the file of the deployment folder.
func (h *apps) first(r *appRecord) error {
	source, err := readSource(h.files[r.Name])
	if err != nil {
		return err
	}
	g := app.Generation{Source: source, By: "file", At: time.Now().UTC()}
	r.Generations, r.Seen = []app.Generation{g}, g.Hash()
	h.changed[r.Name] = true
	return nil
}

// commit takes the effects of a call as one step of the area: outputs and state are never from different calls.
func (h *apps) commit(name string, state []byte, outputs []tag.Update) {
	var extra []redundancy.Record
	if state != nil {
		extra = append(extra, jsonRecord(kindAppState, appState{name, state}))
	}
	h.area.take(outputs, effects{records: extra, then: func() {
		if state != nil {
			h.setState(name, state)
		}
	}})
}

func (h *apps) setState(name string, state []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r := h.records[name]; r != nil {
		r.State, h.changed[name] = state, true
	}
}

// write carries out a write of an application as if an operator had asked for it.
func (h *apps) write(ctx context.Context, name string, to tag.ID, v tag.Value) error {
	g := h.s.now()
	if int(to) >= len(g.cfg.Tags) {
		return errors.New("the configuration has changed")
	}
	def := g.cfg.Tags[to]
	if !def.Range.IsZero() && (v.Number() < def.Range.Low || v.Number() > def.Range.High) {
		return fmt.Errorf("outside the range %g .. %g of the tag", def.Range.Low, def.Range.High)
	}
	deadline := time.Now().Add(appWriteWithin)
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	req := writeRequest{Tag: def.Name, Value: tag.AppendUpdate(nil, tag.Update{Tag: to, Sample: tag.Sample{Value: v}}), By: "app:" + name, Deadline: deadline}
	ans := h.s.writeHere(ctx, h.area, req)
	switch {
	case ans.Problem != nil:
		return errors.New(ans.Problem.Detail)
	case ans.Result.Result != api.WriteConfirmed:
		return fmt.Errorf("%s %s", ans.Result.Result, ans.Result.Detail)
	}
	return nil
}

func (h *apps) event(ev app.Event) {
	e := h.s.newEntry(journal.ClassSystem, "application "+ev.What, h.area.name, ev.App, "app:"+ev.App, ev.Reason)
	h.area.record(e)
}

// deploy replaces the source of an application on the active node, and tells the standby.
func (h *apps) deploy(ctx context.Context, name string, g app.Generation, seen string) error {
	h.deploying.Lock()
	defer h.deploying.Unlock()
	ctx, cancel := context.WithTimeout(ctx, deployWithin)
	defer cancel()
	before := h.record(name)
	err := h.engine.Load().Deploy(ctx, name, g)
	e := h.s.newEntry(journal.ClassConfig, "application deployed", h.area.name, name, g.By, g.Comment)
	e.Old, e.New, e.Result = before.hash(), g.Hash(), "ok"
	if err != nil {
		e.Result, e.Message = "refused", joinText(g.Comment, err.Error())
	}
	h.area.record(e)
	if err != nil {
		h.note(name, func(r *appRecord) { r.Seen = cmp.Or(seen, r.Seen) })
		return err
	}
	r := h.note(name, func(r *appRecord) {
		r.Generations = append(slices.Clone(r.Generations), g)
		r.trim()
		r.Seen = cmp.Or(seen, r.Seen)
	})
	h.area.take(nil, effects{records: []redundancy.Record{jsonRecord(kindApp, r)}})
	return nil
}

// trim forgets the oldest generations when there are too many, or too much of them for one record of the stream.
func (r *appRecord) trim() {
	total := 0
	for i := len(r.Generations) - 1; i >= 0; i-- {
		total += len(r.Generations[i].Source)
		if len(r.Generations)-i > keptGenerations || total > maxKeptSource && i < len(r.Generations)-1 {
			r.Generations = slices.Clone(r.Generations[i+1:])
			return
		}
	}
}

func (r appRecord) hash() string {
	if len(r.Generations) == 0 {
		return ""
	}
	return r.Generations[len(r.Generations)-1].Hash()
}

// note changes a record and returns a copy of it as it is then.
func (h *apps) note(name string, change func(r *appRecord)) appRecord {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.records[name]
	change(r)
	h.changed[name] = true
	return *r
}

func (h *apps) record(name string) appRecord {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r := h.records[name]; r != nil {
		return *r
	}
	return appRecord{Name: name}
}

// adopt takes over, on the standby, what the active has deployed.
func (h *apps) adopt(deployed ...appRecord) {
	if h == nil {
		return
	}
	for _, r := range deployed {
		if len(r.Generations) > 0 {
			h.adoptOne(r)
		}
	}
}

func (h *apps) adoptOne(r appRecord) {
	err := h.engine.Load().Load(r.Name, r.Generations[len(r.Generations)-1], r.State)
	h.mu.Lock()
	defer h.mu.Unlock()
	old := h.records[r.Name]
	if old == nil {
		return // of another configuration, which the digest keeps from mirroring
	}
	r.Seen = old.Seen
	h.records[r.Name], h.changed[r.Name] = &r, true
	delete(h.broken, r.Name)
	if err != nil {
		h.broken[r.Name] = err.Error()
	}
}

func (h *apps) adoptState(st appState) {
	if h == nil {
		return
	}
	h.engine.Load().SetState(st.Name, st.State)
	h.setState(st.Name, st.State)
}

// snapshot is every application with its generations and state.
func (h *apps) snapshot() []redundancy.Record {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []redundancy.Record
	for _, name := range h.engine.Load().Devices() {
		out = append(out, jsonRecord(kindApp, h.records[name]))
	}
	return out
}

// problems says which applications this node could not go on with.
func (h *apps) problems() []string {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []string
	for _, name := range h.engine.Load().Devices() {
		if why := h.broken[name]; why != "" {
			out = append(out, fmt.Sprintf("application %s of the active does not run here: %s", name, why))
		}
	}
	return out
}

// run writes to disk what has changed, until ctx ends, and then once more.
func (h *apps) run(ctx context.Context) error {
	return keepStored(ctx, h.s.log, "applications of "+h.area.name, h.save)
}

func (h *apps) save() error {
	h.mu.Lock()
	pending := map[string][]byte{}
	for name := range h.changed {
		if b, err := json.Marshal(h.records[name]); err == nil {
			pending[name] = b
		}
	}
	clear(h.changed)
	h.mu.Unlock()
	var errs []error
	for name, b := range pending {
		if err := replaceFile(h.path(name), b, storedFileMode); err != nil {
			errs = append(errs, err)
			h.note(name, func(*appRecord) {})
		}
	}
	return errors.Join(errs...)
}
