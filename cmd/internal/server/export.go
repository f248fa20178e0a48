package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"time"

	"scada/acquisition/tag"
	"scada/alarms"
	"scada/cmd/internal/config"
	"scada/history"
	"scada/history/export"
	"scada/history/journal"
	"scada/redundancy"
)

const (
	exportStoreEvery = 10 * time.Second // what a crash loses of it is sent again
	exportTellEvery  = time.Minute      // how often the journal is told of one target
	maxExportMarks   = 2000             // windows in one record of the stream
	exportPatience   = time.Minute      // how long a target may fail before the health says so
	exportMemory     = 24 * time.Hour   // how long the health tells of samples that were left out
)

// The windows of the archive are what an export goes by.
var _ = [1]struct{}{}[history.Window-export.Window]

// exporter sends the history to other engines from the node that is active for the first area, and knows on both what they
// have. The area's mutex guards what they have: progress travels in the stream, and the whole in a snapshot.
type exporter struct {
	s    *Server
	area *area
	log  *slog.Logger
	dir  string

	states  map[string]export.State // under the area's mutex
	version uint64

	changed chan struct{}

	mu      sync.Mutex // a leaf
	targets map[string]*export.Target
	told    map[string]time.Time
}

// exported is the record of the stream that says what an engine has.
type exported struct {
	Target string      `json:"target"`
	Step   export.Step `json:"step"`
}

// buildExporter makes the exporter of the first area; the others have none.
func (s *Server) buildExporter(a *area, node config.Node) *exporter {
	if a.name != s.cfg.Areas[0].Name {
		return nil
	}
	x := &exporter{
		s: s, area: a, log: s.log.With("component", "export"), dir: node.Data, changed: make(chan struct{}, 1),
		states: map[string]export.State{}, targets: map[string]*export.Target{}, told: map[string]time.Time{},
	}
	for _, c := range s.now().cfg.History.Export {
		x.states[c.Name] = x.load(c.Name)
	}
	return x
}

func (x *exporter) path(target string) string {
	return filepath.Join(x.dir, "export-"+target+".json")
}

// load restores what an engine had when the node ended. A standby is told anew.
func (x *exporter) load(target string) export.State {
	b, err := readStored(x.path(target), export.MaxState)
	if errors.Is(err, fs.ErrNotExist) {
		return export.State{}
	}
	var st export.State
	if err == nil {
		st, err = export.ReadState(b)
	}
	if err != nil {
		x.log.Error("What an engine has is not known any more: everything is sent to it again", "target", target, "error", err)
	}
	return st
}

// keep stores what the engines have until ctx ends.
func (x *exporter) keep(ctx context.Context) error {
	stored, last := uint64(0), time.Time{}
	return keepStored(ctx, x.log, "exports", func() error {
		x.area.mu.Lock()
		version := x.version
		if version == stored || time.Since(last) < exportStoreEvery && ctx.Err() == nil {
			x.area.mu.Unlock()
			return nil
		}
		files := map[string][]byte{}
		for name, st := range x.states {
			files[name] = st.Encode()
		}
		x.area.mu.Unlock()
		for name, b := range files {
			if err := replaceFile(x.path(name), b, storedFileMode); err != nil {
				return err
			}
		}
		stored, last = version, time.Now()
		return nil
	})
}

// follow takes the targets of a new configuration over. A target that is gone is forgotten: named again, it is a new one.
func (x *exporter) follow(cfg *config.Config) {
	if x == nil {
		return
	}
	x.area.mu.Lock()
	next := map[string]export.State{}
	for _, c := range cfg.History.Export {
		next[c.Name] = x.states[c.Name]
	}
	for name := range x.states {
		if _, stays := next[name]; !stays {
			if err := os.Remove(x.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				x.log.Warn("A file cannot be removed", "error", err)
			}
		}
	}
	x.states = next
	x.version++
	x.area.mu.Unlock()
	select {
	case x.changed <- struct{}{}:
	default:
	}
}

// running is a target at work.
type running struct {
	c    export.Config
	tags []tag.Definition
	stop func()
}

// run sends until ctx ends, and returns when nothing is under way any more.
func (x *exporter) run(ctx context.Context) {
	at := map[string]running{}
	defer func() {
		for _, r := range at {
			r.stop()
		}
		x.mu.Lock()
		x.targets = map[string]*export.Target{}
		x.mu.Unlock()
	}()
	for {
		cfg := x.s.now().cfg
		wanted := map[string]export.Config{}
		for _, c := range cfg.History.Export {
			wanted[c.Name] = c
		}
		for name, r := range at {
			if c, stays := wanted[name]; !stays || !reflect.DeepEqual(c, r.c) || !reflect.DeepEqual(cfg.Tags, r.tags) {
				r.stop()
				delete(at, name)
			}
		}
		for name, c := range wanted {
			if _, runs := at[name]; !runs {
				at[name] = x.begin(ctx, c, cfg.Tags)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-x.changed:
		}
	}
}

// begin starts a target.
func (x *exporter) begin(ctx context.Context, c export.Config, tags []tag.Definition) running {
	r := running{c: c, tags: tags, stop: func() {}}
	target, err := export.New(export.Options{
		Config: c, Project: x.s.cfg.Project, Version: x.s.version, Tags: tags, Archive: &exportedArchive{store: x.s.store, reader: x.s.store.NewReader()},
		Load: func() export.State { return x.state(c.Name) }, Commit: func(p export.Step) { x.commit(c.Name, p) }, Tell: func(e export.Event) { x.tell(c.Name, e) },
		Dial: x.s.dial, Log: x.log,
	})
	if err != nil {
		x.log.Error("The history cannot be exported", "error", err)
		return r
	}
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	work.Go(func() {
		if err := target.Run(ctx); err != nil {
			x.log.Error("An export ended by itself", "target", c.Name, "error", err)
		}
	})
	x.mu.Lock()
	x.targets[c.Name] = target
	x.mu.Unlock()
	r.stop = func() {
		cancel()
		work.Wait()
		x.mu.Lock()
		delete(x.targets, c.Name)
		x.mu.Unlock()
	}
	return r
}

func (x *exporter) state(target string) export.State {
	x.area.mu.Lock()
	defer x.area.mu.Unlock()
	return x.states[target].Clone()
}

// glance returns a state without its windows.
func (x *exporter) glance(target string) export.State {
	x.area.mu.Lock()
	defer x.area.mu.Unlock()
	st := x.states[target]
	st.Done = nil
	return st
}

// commit notes what an engine has, here and on the standby.
func (x *exporter) commit(target string, p export.Step) {
	x.area.mu.Lock()
	defer x.area.mu.Unlock()
	if !x.apply(target, p) || !x.area.active {
		return
	}
	var records []redundancy.Record
	for len(p.Done) > maxExportMarks {
		records = append(records, jsonRecord(kindExported, exported{target, export.Step{Done: p.Done[:maxExportMarks]}}))
		p.Done = p.Done[maxExportMarks:]
	}
	records = append(records, jsonRecord(kindExported, exported{target, p}))
	if seq := x.area.publish(x.area.name, records...); seq > 0 {
		x.area.seq = seq
	}
}

// apply takes progress over. The caller holds the area's mutex.
func (x *exporter) apply(target string, p export.Step) (known bool) {
	st, known := x.states[target]
	if known {
		st.Apply(p)
		x.states[target] = st
		x.version++
	}
	return known
}

// done takes over what the active says an engine has. The caller holds the area's mutex.
func (x *exporter) done(r redundancy.Record) error {
	e, err := readJSON[exported](r)
	if err == nil {
		err = export.CheckStep(e.Step)
	}
	if err == nil && x != nil {
		x.apply(e.Target, e.Step)
	}
	return err
}

// snapshot returns what the engines have as records. The caller holds the area's mutex.
func (x *exporter) snapshot() []redundancy.Record {
	if x == nil || len(x.states) == 0 {
		return nil
	}
	all := map[string]json.RawMessage{}
	for name, st := range x.states {
		all[name] = st.Encode()
	}
	b, err := json.Marshal(all)
	if err != nil { // texts of ours
		x.log.Error("What the engines have cannot be mirrored", "error", err)
		return nil
	}
	return parts(kindExports, b)
}

// readExports reads a snapshot.
func readExports(b []byte) (map[string]export.State, error) {
	if len(b) == 0 {
		return nil, nil
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, fmt.Errorf("what the engines have: %w", err)
	}
	out := map[string]export.State{}
	for name, text := range all {
		st, err := export.ReadState(text)
		if err != nil {
			return nil, fmt.Errorf("target %s: %w", name, err)
		}
		out[name] = st
	}
	return out, nil
}

// restore replaces what the engines have. The caller holds the area's mutex.
func (x *exporter) restore(all map[string]export.State) {
	if x == nil || all == nil {
		return
	}
	for name := range x.states {
		x.states[name] = all[name]
	}
	x.version++
}

// tell writes into the journal what people should know, of one kind once a minute.
func (x *exporter) tell(target string, e export.Event) {
	x.mu.Lock()
	key := target + " " + e.What
	soon := time.Since(x.told[key]) < exportTellEvery
	if !soon {
		x.told[key] = time.Now()
	}
	x.mu.Unlock()
	if !soon {
		x.area.record(x.s.newEntry(journal.ClassSystem, e.What, x.area.name, target, alarms.System, e.Text))
	}
}

// exportedArchive is the history as an export reads it, by one goroutine.
type exportedArchive struct {
	store  *history.Store
	reader *history.Reader
}

// Windows implements [export.Archive].
func (a *exportedArchive) Windows(ctx context.Context, from, to int64) ([]export.WindowState, error) {
	list, err := a.store.Windows(ctx, from, to)
	out := make([]export.WindowState, 0, len(list))
	for _, w := range list {
		out = append(out, export.WindowState{Start: w.Window.UnixNano(), Samples: w.Samples, Digest: (w.Hash[0] ^ w.Samples<<48) | 1})
	}
	return out, err
}

// Each implements [export.Archive]. Of a tag that was never recorded there is nothing.
func (a *exportedArchive) Each(ctx context.Context, name string, from, to int64, visit func([]tag.Sample) (bool, error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	_, err := a.reader.Each(ctx, name, from, to, visit)
	if errors.Is(err, history.ErrUnknownTag) {
		return nil
	}
	return err
}

// Latest implements [export.Archive].
func (a *exportedArchive) Latest(ctx context.Context, name string, from, to int64, visit func([]tag.Sample) (bool, error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	_, err := a.reader.Latest(ctx, name, from, to, visit)
	if errors.Is(err, history.ErrUnknownTag) {
		return nil
	}
	return err
}

// Oldest implements [export.Archive].
func (a *exportedArchive) Oldest() (int64, bool) {
	t, some := a.store.Oldest()
	return t.UnixNano(), some
}
