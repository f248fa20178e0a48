package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"scada/acquisition/app"
)

const (
	// maxStates is the most bytes a file of states may have: every application's, with its name.
	maxStates = 128 << 20
	// maxAppFile is the most bytes the file of an application may have: its generations, each character escaped at worst.
	maxAppFile = 8 * maxKeptSource
)

// storedState is the last state of an application on disk, and the generation that made it. The states of an area are one file:
// each call may change one, and a file for each would be hundreds of writes a second.
type storedState struct {
	Of    string          `json:"of"`
	State json.RawMessage `json:"state"`
}

func (h *apps) path(name string) string { return filepath.Join(h.dir, name+".json") }

// load brings back what was deployed, or takes the file of the deployment folder when nothing ever was. What cannot be
// used does not stop the node: the application is shown as one that does not run.
func (h *apps) load(name string) {
	r := &appRecord{Name: name}
	h.records[name] = r
	b, err := readStored(h.path(name), maxAppFile)
	switch {
	case err == nil:
		err = json.Unmarshal(b, r)
	case errors.Is(err, fs.ErrNotExist):
		err = h.first(r)
	}
	last, there := h.stored[name]
	if there {
		r.State = last.State
	}
	if err == nil && len(r.Generations) > 0 {
		err = h.engine.Load(name, r.Generations[len(r.Generations)-1], r.State)
		if there {
			h.engine.Restore(name, last.State, last.Of)
		}
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

func (h *apps) statesPath() string { return filepath.Join(h.dir, h.area.name+".states") }

// loadStates reads the states, once. Without them an application starts with the one beside its generations, or none.
func (h *apps) loadStates() {
	if h.stored != nil {
		return
	}
	h.stored = map[string]storedState{}
	b, err := readStored(h.statesPath(), maxStates)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err == nil {
		err = json.Unmarshal(b, &h.stored)
	}
	if err != nil {
		h.s.log.Error("The states of the applications cannot be read", "file", h.statesPath(), "error", err)
	}
}

// run writes to disk what has changed, until ctx ends, and then once more.
func (h *apps) run(ctx context.Context) error {
	return keepStored(ctx, h.s.log, "applications of "+h.area.name, h.save)
}

func (h *apps) save() error {
	h.mu.Lock()
	pending := map[string]appRecord{}
	for name := range h.changed {
		if r := h.records[name]; r != nil {
			pending[name] = *r
		}
	}
	clear(h.changed)
	var states map[string]storedState
	if h.moved {
		states = map[string]storedState{}
		for name, r := range h.records {
			if r.State != nil {
				states[name] = storedState{Of: r.hash(), State: r.State}
			}
		}
	}
	h.moved = false
	h.mu.Unlock()
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(pending)) {
		r := pending[name]
		r.State = nil
		if err := writeJSON(h.path(name), r); err != nil {
			errs = append(errs, err)
			h.note(name, func(*appRecord) {})
		}
	}
	if states != nil {
		if err := writeJSON(h.statesPath(), states); err != nil {
			errs = append(errs, err)
			h.mu.Lock()
			h.moved = true
			h.mu.Unlock()
		}
	}
	return errors.Join(errs...)
}

func writeJSON(path string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", filepath.Base(path), err)
	}
	return replaceFile(path, b, storedFileMode)
}
