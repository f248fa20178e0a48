package server

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"scada/cmd/internal/config"
)

const (
	keptRevisions = 10
	maxAncestors  = 200
	maxRevision   = 2 * config.MaxPacked // bytes of a stored revision
)

// revision is one state of the configuration: the text of its files, and where it comes from.
type revision struct {
	ID        string    `json:"id"`
	Ancestors []string  `json:"ancestors,omitempty"` // the revision it was made from first
	Epoch     uint64    `json:"epoch"`
	Counter   uint64    `json:"counter"`
	Digest    string    `json:"digest"` // of what it says
	Text      string    `json:"text"`   // hash of how it says it
	By        string    `json:"by"`
	Node      string    `json:"node"`
	At        time.Time `json:"at"`
	Comment   string    `json:"comment,omitempty"`
	Packed    []byte    `json:"packed"`
}

// newRevision makes the revision that follows another one; nil means the first.
func newRevision(parent *revision, b config.Bundle, digest string) (*revision, error) {
	packed, err := b.Pack()
	if err != nil {
		return nil, err
	}
	r := &revision{Counter: 1, Digest: digest, Text: b.Hash(), At: time.Now().UTC(), Packed: packed}
	if parent != nil {
		r.Counter = parent.Counter + 1
		r.Ancestors = append([]string{parent.ID}, parent.Ancestors...)
		r.Ancestors = r.Ancestors[:min(len(r.Ancestors), maxAncestors)]
	}
	return r, nil
}

// sign gives the revision its identity, when everything else of it is known.
func (r *revision) sign() {
	r.ID = ""
	b, _ := json.Marshal(r) // strings and numbers: it cannot fail
	sum := sha256.Sum256(b)
	r.ID = hex.EncodeToString(sum[:6])
}

// descends reports whether the revision was made from the other one, directly or not.
func (r *revision) descends(from string) bool { return slices.Contains(r.Ancestors, from) }

// load checks the configuration of the revision as if it lay where this node's does.
func (r *revision) load(path string) (*config.Config, error) {
	b, err := config.Unpack(r.Packed)
	if err != nil {
		return nil, err
	}
	cfg, err := b.Load(path)
	if err != nil {
		return nil, err
	}
	if cfg.Digest != r.Digest {
		return nil, fmt.Errorf("revision %s has digest %s here, %s where it was made: the nodes run different versions, or a key differs", r.ID, cfg.Digest, r.Digest)
	}
	return cfg, nil
}

// known is what a node remembers of the configuration beside the revisions.
type known struct {
	Current string   `json:"current"`       // revision the node runs
	Own     string   `json:"own,omitempty"` // revision of this node that the pair does not run: see [configurator]
	Seen    string   `json:"seen"`          // hash of the files when they were last looked at: only a change deploys them
	Order   []string `json:"order"`         // all revisions, newest last
}

// revisions are the last revisions on disk, one file each, and which of them is the present one.
type revisions struct {
	dir string
	known
}

func openRevisions(dir string) (*revisions, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("creating the folder of the configuration: %w", err)
	}
	r := &revisions{dir: dir}
	b, err := readStored(filepath.Join(dir, "known.json"), smallFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return r, nil
	case err == nil:
		err = json.Unmarshal(b, &r.known)
	}
	if err != nil {
		return nil, fmt.Errorf("reading what is known of the configuration: %w", err)
	}
	return r, nil
}

func (r *revisions) path(id string) string {
	return filepath.Join(r.dir, "revision-"+filepath.Base(id)+".json")
}

// get returns a stored revision.
func (r *revisions) get(id string) (*revision, error) {
	b, err := readStored(r.path(id), maxRevision)
	var rev revision
	if err == nil {
		err = json.Unmarshal(b, &rev)
	}
	if err != nil {
		return nil, fmt.Errorf("revision %s: %w", id, err)
	}
	return &rev, nil
}

// put stores a revision without making it the present one.
func (r *revisions) put(rev *revision) error {
	b, err := json.Marshal(rev)
	if err == nil {
		err = replaceFile(r.path(rev.ID), b, storedFileMode)
	}
	if err != nil {
		return fmt.Errorf("storing revision %s: %w", rev.ID, err)
	}
	r.Order = append(slices.DeleteFunc(r.Order, func(id string) bool { return id == rev.ID }), rev.ID)
	return nil
}

// save stores which revision is which, and forgets the oldest.
func (r *revisions) save() error {
	var old []string
	for i := 0; i < len(r.Order) && len(r.Order)-len(old) > keptRevisions; i++ {
		if id := r.Order[i]; id != r.Current && id != r.Own {
			old = append(old, id)
		}
	}
	r.Order = slices.DeleteFunc(r.Order, func(id string) bool { return slices.Contains(old, id) })
	b, err := json.Marshal(r.known)
	if err == nil {
		err = replaceFile(filepath.Join(r.dir, "known.json"), b, storedFileMode)
	}
	if err != nil {
		return fmt.Errorf("storing which revision of the configuration runs: %w", err)
	}
	for _, id := range old {
		_ = os.Remove(r.path(id)) // it is tried no second time: a file more does no harm
	}
	return nil
}
