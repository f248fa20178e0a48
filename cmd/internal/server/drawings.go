package server

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"scada/web"
	"scada/web/svg"
)

const (
	// mimicsFolder is where people put their drawings, beside plant.yaml; the node keeps those of the pair in a folder of the
	// same name among its data, with their list.
	mimicsFolder  = "mimics"
	drawingsFile  = "mimics.json"
	drawingSuffix = ".svg"

	drawingsEvery = time.Second      // how often the folder is looked at and the standby compares
	drawingsPause = 10 * time.Second // after a comparison that failed
	maxGone       = 1_000            // removed drawings that are remembered, so that the other node does not bring them back
	maxDrawings   = web.MaxMimics

	// maxDrawingList is the most bytes the list may have: what is known and what was seen, each with its name and its hash.
	maxDrawingList = 2 * (maxDrawings + maxGone) * 1024
)

// drawing is a version of a drawing. Of two versions the later one counts.
type drawing struct {
	Hash string `json:"hash,omitempty"` // of the file; "": removed
	At   int64  `json:"at"`             // when it was made, Unix nanoseconds
}

// after reports whether a version replaces another one. Of two made in the same instant the hashes decide.
func (d drawing) after(other drawing) bool {
	return cmp.Or(cmp.Compare(d.At, other.At), cmp.Compare(d.Hash, other.Hash)) > 0
}

// drawings are the drawings of users on this node. A file that somebody puts into the folder beside plant.yaml, changes or
// takes away there becomes a version, and the nodes exchange what the other one lacks. The files are kept as they came; they
// are cleaned when they are served.
type drawings struct {
	s      *Server
	folder string // of the people
	store  string // of the node
	list   string // the file with what follows

	mu    sync.Mutex
	known map[string]drawing
	seen  map[string]string // hash of each file in the people's folder when it was last looked at
	looks map[string]string // what it looked like from outside
	full  bool
}

// drawingList is the list on disk.
type drawingList struct {
	Known map[string]drawing `json:"known"`
	Seen  map[string]string  `json:"seen"`
}

// openDrawings reads the list and takes over what has changed in the folder while the node did not run.
func (s *Server) openDrawings(data string) error {
	d := &drawings{s: s, folder: filepath.Join(filepath.Dir(s.cfg.Path), mimicsFolder), store: filepath.Join(data, mimicsFolder),
		list: filepath.Join(data, drawingsFile), known: map[string]drawing{}, seen: map[string]string{}, looks: map[string]string{}}
	if err := os.MkdirAll(d.store, 0o750); err != nil {
		return fmt.Errorf("folder of the drawings: %w", err)
	}
	b, err := readStored(d.list, maxDrawingList)
	var stored drawingList
	if err == nil {
		err = json.Unmarshal(b, &stored)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Error("The list of drawings cannot be used: it is made anew", "file", d.list, "error", err)
	} else if err == nil {
		maps.Copy(d.seen, stored.Seen)
		for name, v := range stored.Known {
			if v.Hash == "" || d.has(name, v) {
				d.known[name] = v // a file that is lost or damaged comes from the folder or from the other node again
			} else {
				delete(d.seen, name)
			}
		}
	}
	s.drawings = d
	d.look(time.Now())
	return nil
}

func hashOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func (d *drawings) file(name string) string { return filepath.Join(d.store, name+drawingSuffix) }

// has reports whether the stored file is the version.
func (d *drawings) has(name string, v drawing) bool {
	b, err := readStored(d.file(name), svg.MaxBytes)
	return err == nil && web.MimicName(name) && hashOf(b) == v.Hash
}

// look takes over what people have changed in their folder since the last look.
func (d *drawings) look(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	entries, err := os.ReadDir(d.folder)
	if err != nil {
		return // there is none, or it will be there again: nothing is removed for that
	}
	before := d.digest()
	changed := false
	present := map[string]bool{}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), drawingSuffix)
		if !ok || !web.MimicName(name) {
			continue
		}
		present[name] = true
		path := filepath.Join(d.folder, e.Name())
		if sign := stamp(path); d.looks[name] != sign {
			d.looks[name] = sign
			changed = d.edited(name, path, now) || changed
		}
	}
	for name := range d.seen {
		if !present[name] {
			delete(d.seen, name)
			delete(d.looks, name)
			changed = true
			d.put(name, drawing{At: d.next(name, now)}, nil)
		}
	}
	if changed {
		d.save()
	}
	if before != d.digest() {
		d.s.log.Info("The drawings of users have changed", "drawings", d.count())
	}
}

// edited takes over a file of the people's folder if it has another content than at the last look.
func (d *drawings) edited(name, path string, now time.Time) bool {
	info, err := os.Stat(path)
	var b []byte
	if err == nil {
		b, err = readStored(path, svg.MaxBytes)
	}
	if err != nil {
		d.s.log.Warn("A drawing is not taken over", "file", path, "most", svg.MaxBytes, "error", err)
		return false
	}
	hash := hashOf(b)
	if d.seen[name] == hash {
		return false
	}
	_, known := d.known[name]
	at := min(info.ModTime().UnixNano(), now.UnixNano())
	if known {
		at = max(at, d.known[name].At+1) // made over the version that was there
	}
	if d.known[name].Hash == hash || d.put(name, drawing{Hash: hash, At: at}, b) {
		d.seen[name] = hash
		return true
	}
	delete(d.looks, name)
	return false
}

// next is the instant of a change made now.
func (d *drawings) next(name string, now time.Time) int64 {
	return max(now.UnixNano(), d.known[name].At+1)
}

// put makes a version the present one. The caller holds the mutex and saves the list.
func (d *drawings) put(name string, v drawing, b []byte) bool {
	if v.Hash == "" {
		if err := os.Remove(d.file(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			d.s.log.Warn("A drawing could not be removed", "drawing", name, "error", err)
			return false
		}
		d.known[name] = v
		d.forget()
		return true
	}
	if was := d.known[name]; was.Hash == "" && d.count() >= maxDrawings {
		if !d.full {
			d.s.log.Warn("There are too many drawings: more are not taken over", "most", maxDrawings, "drawing", name)
		}
		d.full = true
		return false
	}
	d.full = false
	if err := replaceFile(d.file(name), b, storedFileMode); err != nil {
		d.s.log.Warn("A drawing could not be stored", "drawing", name, "error", err)
		return false
	}
	d.known[name] = v
	return true
}

// count is how many drawings there are.
func (d *drawings) count() int {
	n := 0
	for _, v := range d.known {
		if v.Hash != "" {
			n++
		}
	}
	return n
}

// forget drops the oldest removed drawings beyond what is remembered.
func (d *drawings) forget() {
	var gone []string
	for name, v := range d.known {
		if v.Hash == "" {
			gone = append(gone, name)
		}
	}
	slices.SortFunc(gone, func(a, b string) int { return cmp.Compare(d.known[a].At, d.known[b].At) })
	for i := 0; i < len(gone)-maxGone; i++ {
		delete(d.known, gone[i])
	}
}

func (d *drawings) save() {
	b, err := json.Marshal(drawingList{Known: d.known, Seen: d.seen})
	if err == nil {
		err = replaceFile(d.list, b, storedFileMode)
	}
	if err != nil {
		d.s.log.Warn("The list of drawings could not be stored", "error", err)
	}
}

// digest names what is known: equal on both nodes when they have the same drawings.
func (d *drawings) digest() string {
	b, _ := json.Marshal(d.known) // strings and numbers, in order of name: it cannot fail
	return hashOf(b)
}

// run looks at the folder, and on the standby compares with the active, until ctx ends.
func (d *drawings) run(ctx context.Context) error {
	tick := time.NewTicker(drawingsEvery)
	defer tick.Stop()
	failing, next := false, time.Time{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			d.look(now)
		}
		if now := time.Now(); now.Before(next) || !d.s.isStandby(d.s.areaNames[0]) {
			continue
		}
		err := d.compare(ctx)
		if err != nil {
			next = time.Now().Add(drawingsPause)
		}
		if failing != (err != nil) && ctx.Err() == nil {
			failing = err != nil
			d.s.log.Info("Comparing the drawings with the other node", "failing", failing, "error", err)
		}
	}
}
