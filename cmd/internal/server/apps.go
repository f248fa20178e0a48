package server

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"scada/acquisition"
	"scada/acquisition/app"
	"scada/acquisition/tag"
	"scada/cmd/internal/config"
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
	engine *app.Engine

	deploying sync.Mutex // one deployment at a time

	mu      sync.Mutex
	files   map[string]string // application -> file in the deployment folder
	feeds   map[string]*feed  // application -> what publishes its outputs
	records map[string]*appRecord
	changed map[string]bool        // not on disk yet
	moved   bool                   // a state is not
	stored  map[string]storedState // what was on disk when the node started
	broken  map[string]string      // standby: what this node cannot run although the active does
	refused map[string]bool        // the last source somebody gave it here does not run
}

// newApps makes what holds an area's applications. There are none yet.
func (s *Server) newApps(a *area) *apps {
	h := &apps{
		s: s, area: a, dir: filepath.Join(s.cfg.Nodes[s.nodeName].Data, "apps"), files: map[string]string{}, feeds: map[string]*feed{},
		records: map[string]*appRecord{}, changed: map[string]bool{}, broken: map[string]string{}, refused: map[string]bool{},
	}
	h.engine = app.New(app.Options{
		Read: func(name string) tag.Sample { return s.now().last(name) }, Commit: h.commit, Write: h.write, Event: h.event,
		Logger: s.log.With("component", "applications"),
	})
	return h
}

// appSpec is what the configuration says of an application.
func appSpec(g *generation, d config.Device) app.Spec {
	spec := app.Spec{Name: d.Name, Inputs: d.App.Inputs, Outputs: d.App.Outputs, Every: d.App.Every, StaleAfter: d.App.StaleAfter}
	for _, name := range d.App.Writes {
		def, _ := g.definition(name)
		spec.Writable = append(spec.Writable, def)
	}
	return spec
}

// adoptFeeds takes over the applications among the sources of a generation. Those that are there already go on; those that
// are there anew, or differently, go on with what was deployed and with its state; those that were not there before are
// looked for on disk.
func (h *apps) adoptFeeds(sources []acquisition.Source, g *generation) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	fresh := map[string]bool{}
	feeds := map[string]*feed{}
	for _, src := range sources {
		if f, ok := src.(*feed); ok {
			if a, is := f.Source.(*app.Application); is {
				name := a.Devices()[0]
				feeds[name], fresh[name] = f, h.feeds[name] != f
			}
		}
	}
	h.files, h.feeds = map[string]string{}, feeds
	var list []*app.Application
	for _, d := range g.cfg.Devices {
		if f := feeds[d.Name]; f != nil && d.App != nil {
			list = append(list, f.Source.(*app.Application))
			h.files[d.Name] = d.App.File
		}
	}
	h.engine.Adopt(list, g.live, g.cfg.Lookup)
	for name := range h.records {
		if feeds[name] == nil {
			h.moved = true
			delete(h.records, name)
			delete(h.broken, name)
		}
	}
	if len(list) == 0 {
		return nil
	}
	if err := os.MkdirAll(h.dir, 0o750); err != nil {
		return fmt.Errorf("creating the folder of the applications: %w", err)
	}
	h.loadStates()
	for _, name := range h.engine.Names() {
		if fresh[name] {
			h.bring(name)
		}
	}
	return nil
}

// bring gives an application that was made anew what was deployed. The caller holds the mutex.
func (h *apps) bring(name string) {
	r := h.records[name]
	switch {
	case r == nil:
		h.load(name)
	case len(r.Generations) > 0:
		if err := h.engine.Load(name, r.Generations[len(r.Generations)-1], r.State); err != nil {
			h.s.log.Error("An application cannot run", "app", name, "error", err)
		}
	}
}

// file is the source of an application in the deployment folder.
func (h *apps) file(name string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.files[name]
}

// commit takes the effects of a call as one step of the area: outputs and state are never from different calls.
func (h *apps) commit(name string, state []byte, outputs []tag.Update) {
	var extra []redundancy.Record
	if state != nil {
		extra = append(extra, jsonRecord(kindAppState, appState{name, state}))
	}
	h.mu.Lock()
	from := h.feeds[name]
	h.mu.Unlock()
	h.area.take(outputs, effects{from: from, records: extra, then: func() {
		if state != nil {
			h.setState(name, state)
		}
	}})
}

func (h *apps) setState(name string, state []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r := h.records[name]; r != nil {
		r.State, h.moved = state, true
	}
}

// write carries out a write of an application as if an operator had asked for it.
func (h *apps) write(ctx context.Context, name, to string, v tag.Value) error {
	def, ok := h.s.now().definition(to)
	if !ok {
		return errors.New("the configuration has changed")
	}
	if !def.Range.IsZero() && (v.Number() < def.Range.Low || v.Number() > def.Range.High) {
		return fmt.Errorf("outside the range %g .. %g of the tag", def.Range.Low, def.Range.High)
	}
	deadline := time.Now().Add(appWriteWithin)
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	req := writeRequest{Tag: def.Name, Value: tag.AppendUpdate(nil, tag.Update{Tag: def.ID, Sample: tag.Sample{Value: v}}), By: "app:" + name, Deadline: deadline}
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
	err := h.engine.Deploy(ctx, name, g)
	e := h.s.newEntry(journal.ClassConfig, "application deployed", h.area.name, name, g.By, g.Comment)
	e.Old, e.New, e.Result = before.hash(), g.Hash(), "ok"
	if err != nil {
		e.Result, e.Message = "refused", joinText(g.Comment, err.Error())
	}
	h.area.record(e)
	h.tell(name, err)
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

// tell keeps whether the last deployment was refused, for tags of the system.
func (h *apps) tell(name string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refused[name] = err != nil
}

func (h *apps) refusedLast(name string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.refused[name]
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
	err := h.engine.Load(r.Name, r.Generations[len(r.Generations)-1], r.State)
	h.mu.Lock()
	defer h.mu.Unlock()
	old := h.records[r.Name]
	if old == nil {
		return // of another configuration, which the digest keeps from mirroring
	}
	r.Seen = old.Seen
	h.records[r.Name], h.changed[r.Name], h.moved = &r, true, true
	delete(h.broken, r.Name)
	if err != nil {
		h.broken[r.Name] = err.Error()
	}
}

func (h *apps) adoptState(st appState) {
	if h == nil {
		return
	}
	h.engine.SetState(st.Name, st.State)
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
	for _, name := range h.engine.Names() {
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
	for _, name := range h.engine.Names() {
		if why := h.broken[name]; why != "" {
			out = append(out, fmt.Sprintf("application %s of the active does not run here: %s", name, why))
		}
	}
	return out
}
