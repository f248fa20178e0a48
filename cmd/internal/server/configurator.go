package server

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"scada/cmd/internal/config"
	"scada/history/journal"
)

// configurator changes the configuration while the pair runs.
//
// The node that is active for the first area decides. It checks a new revision, has the standby check it too (kindStage in
// the stream of that area, the answer is a command), stores it, takes it over, and says so in the stream of each area it is
// active for (kindRevision): what comes after has the tag numbers of the new revision. The standby follows at that very
// place. A snapshot carries the active's revision, so that a node that was away has it before it mirrors anything.
//
// A node that comes back with a revision the active does not know (it was stored and not told, or edited while the nodes were
// apart) runs the active's and keeps its own aside. If its own was made from the active's it is offered and deployed like any
// other; else a person decides.
type configurator struct {
	s    *Server
	path string                  // of plant.yaml
	step func(step string) error // tests stop a change here

	changing sync.Mutex // held from the check of a revision until it is taken over; never acquired under another mutex

	mu       sync.Mutex // a leaf: guards what follows
	store    *revisions
	current  *revision
	own      *revision // of store.Own
	refused  string    // why the active did not take it
	incoming []byte    // of a staged revision
	pending  *revision // staged, and found good
	answers  map[string]chan string

	trials chan *revision
	look   chan struct{} // SIGHUP
}

const confEvery = time.Second // how often the files are looked at and an own revision is offered

// openConfiguration chooses what the node runs: the revision it ran last, unless the files have changed meanwhile.
func (s *Server) openConfiguration(node config.Node) error {
	c := &configurator{s: s, path: s.cfg.Path, step: func(string) error { return nil }, answers: map[string]chan string{}, trials: make(chan *revision, 1), look: make(chan struct{}, 1)}
	s.conf = c
	bundle, err := config.Read(c.path)
	if err != nil {
		return err
	}
	if c.store, err = openRevisions(filepath.Join(node.Data, "config")); err != nil {
		return err
	}
	if c.store.Own != "" {
		if c.own, err = c.store.get(c.store.Own); err != nil {
			s.log.Error("A revision of the configuration is lost", "error", err)
			c.store.Own = ""
		}
	}
	if c.store.Current != "" {
		if c.current, err = c.store.get(c.store.Current); err != nil {
			s.log.Error("The revision of the configuration that ran last cannot be read: the files are used", "error", err)
			c.store.Seen = ""
		}
	}
	if c.current != nil && c.store.Seen == bundle.Hash() {
		cfg, err := c.current.load(c.path)
		if err == nil {
			return s.begin(cfg)
		}
		s.log.Error("The revision of the configuration that ran last cannot be used: the files are", "error", err)
	}
	return c.begin(bundle)
}

// begin starts with the files.
func (c *configurator) begin(b config.Bundle) error {
	c.store.Seen = b.Hash()
	if c.current == nil || c.current.Digest != c.s.cfg.Digest {
		rev, err := newRevision(c.current, b, c.s.cfg.Digest)
		if err != nil {
			return err
		}
		rev.By, rev.Node = fileAuthor, c.s.nodeName
		rev.sign()
		if err := c.store.put(rev); err != nil {
			return err
		}
		c.current, c.store.Current = rev, rev.ID
	}
	return c.store.save()
}

// begin makes the first generation that of a stored revision.
func (s *Server) begin(cfg *config.Config) error {
	if diff := config.Compare(s.cfg, cfg); diff.Empty() {
		return nil
	}
	g, err := newGeneration(cfg, nil)
	if err != nil {
		return err
	}
	s.cfg = cfg
	s.gen.Store(g)
	return nil
}

// tries checks what the active has staged, until ctx ends.
func (c *configurator) tries(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case rev := <-c.trials:
			c.try(ctx, rev)
		}
	}
}

// run offers what this node has alone and looks at the files, until ctx ends.
func (c *configurator) run(ctx context.Context) error {
	tick := time.NewTicker(confEvery)
	defer tick.Stop()
	w, again := &fileWatch{}, false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			c.offer(ctx)
			if w.changed(c.path) || again {
				again = !c.files(ctx, false)
			}
		case <-c.look:
			again = !c.files(ctx, true)
		}
	}
}

// leader reports whether this node decides: it is active for the first area.
func (c *configurator) leader() bool { return c.s.areas[c.s.areaNames[0]].isActive() }

// present is the revision the node runs.
func (c *configurator) present() *revision {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current
}

// take stores a revision and takes it over. The caller holds changing.
func (c *configurator) take(rev *revision, ch *change, told string) error {
	before := c.present()
	if err := c.keep(rev); err != nil {
		return err
	}
	if err := c.step("stored"); err != nil {
		return err
	}
	if err := c.s.adopt(ch, told); err != nil {
		return errors.Join(err, c.keep(before))
	}
	c.s.log.Info("The configuration has changed", "revision", rev.ID, "digest", rev.Digest, "by", rev.By, "restarted", ch.diff.Reconnects)
	return nil
}

// keep makes a revision the present one, on disk.
func (c *configurator) keep(rev *revision) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.store.put(rev); err != nil {
		return err
	}
	before, own := c.store.Current, c.store.Own
	c.store.Current = rev.ID
	if c.own != nil && (rev.ID == own || rev.Digest == c.own.Digest || rev.descends(own)) {
		c.store.Own = ""
	}
	if err := c.store.save(); err != nil {
		c.store.Current, c.store.Own = before, own
		return err
	}
	c.current = rev
	if c.store.Own == "" {
		c.own, c.refused = nil, ""
	}
	return nil
}

// setAside keeps the present revision beside the pair's, which is about to replace it.
func (c *configurator) setAside() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.own != nil {
		return nil // the present one came from the active; the older is still to be decided on
	}
	c.store.Own = c.current.ID
	if err := c.store.save(); err != nil {
		c.store.Own = ""
		return err
	}
	c.own = c.current
	return nil
}

// problems says what a person has to decide.
func (c *configurator) problems() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.own == nil:
		return nil
	case c.refused != "":
		return []string{fmt.Sprintf("revision %s of the configuration, made on this node by %s, was refused by the active: %s", c.own.ID, c.own.By, c.refused)}
	case c.own.descends(c.current.ID):
		return nil // it is being offered
	}
	return []string{fmt.Sprintf("both nodes have changed the configuration: revision %s of this node is not in the pair's (scadactl config conflict)", c.own.ID)}
}

// journal records a change, or that it was refused.
func (c *configurator) journal(by, what, comment, old, new string, err error) {
	a := c.s.areas[c.s.areaNames[0]]
	e := c.s.newEntry(journal.ClassConfig, what, a.name, "configuration", by, comment)
	e.Old, e.New, e.Result = old, new, "ok"
	if err != nil {
		e.Result, e.Message = "refused", joinText(comment, err.Error())
	}
	a.record(e)
}

// stored returns the revisions on disk, newest first.
func (c *configurator) stored() []*revision {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []*revision
	for _, id := range slices.Backward(c.store.Order) {
		if rev, err := c.store.get(id); err == nil {
			list = append(list, rev)
		}
	}
	return list
}

var errBusy = errors.New("the configuration is being changed by somebody else")
