package server

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"scada/cmd/internal/config"
)

// fileWatch notices that plant.yaml or one of the files beside it has changed and nobody is writing them any more. It looks:
// that works on every file system, a notification comes from few of those that are mounted from elsewhere.
type fileWatch struct {
	begun         bool
	last, settled string
}

// changed reports that the files look different from when they were last looked into, and like the moment before.
func (w *fileWatch) changed(path string) bool {
	sign := signature(path)
	was := w.last
	w.last = sign
	if !w.begun {
		w.begun, w.settled = true, sign
		return true // what has changed since the start
	}
	if sign != was || sign == w.settled {
		return false
	}
	w.settled = sign
	return true
}

// signature is what the files look like: of plant.yaml and of everything in the folders beside it that ends in .csv.
func signature(path string) string {
	text := stamp(path)
	names, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*.csv")) // the patterns are constant
	deeper, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*", "*.csv"))
	for _, name := range append(names, deeper...) {
		text += name + " " + stamp(name)
	}
	return text
}

func stamp(name string) string {
	info, err := os.Stat(name)
	if err != nil {
		return "gone\n"
	}
	return fmt.Sprintf("%d %d\n", info.ModTime().UnixNano(), info.Size())
}

// Reload looks into the files now, and deploys them even when they have been looked into before (SIGHUP).
func (s *Server) Reload() {
	select {
	case s.conf.look <- struct{}{}:
	default:
	}
}

// files looks into the files. The node that decides deploys what is new in them; the other one notes that it has seen it.
// It is not done when the other node cannot check them at the moment: then it is to be called again.
func (c *configurator) files(ctx context.Context, asked bool) (done bool) {
	b, err := config.Read(c.path)
	if err != nil {
		c.s.log.Error("The configuration cannot be read", "error", err)
		return true
	}
	c.mu.Lock()
	seen := c.store.Seen == b.Hash()
	c.mu.Unlock()
	if seen && !asked {
		return true
	}
	if !c.leader() {
		c.saw(b.Hash())
		c.s.log.Info("The files of the configuration have changed here; the node that is active for the first area decides what runs", "area", c.s.areaNames[0])
		return true
	}
	began := time.Now()
	ans := c.deployHere(ctx, b, order{by: fileAuthor, people: true})
	if ans.later {
		return false
	}
	c.saw(b.Hash())
	switch {
	case ans.Problem != nil:
		c.s.log.Error("The changed files were not deployed: the configuration before goes on", "error", ans.Problem)
	case len(ans.Answer.Errors) > 0:
		for _, e := range ans.Answer.Errors[:min(len(ans.Answer.Errors), maxTold)] {
			at := config.Error{Position: config.Position{File: e.File, Line: e.Line, Col: e.Col}, Path: e.Path, Message: e.Message}
			c.s.log.Error("The changed files were not deployed: the configuration before goes on", "error", at)
		}
	default:
		c.s.log.Info("The files of the configuration were looked into", "result", ans.Answer.Result, "took", time.Since(began))
	}
	return true
}

// fileAuthor is who a revision is by that came from the files.
const fileAuthor = "file"

// maxTold is how many mistakes of a file are written into the log.
const maxTold = 10

// saw remembers that the files were looked into.
func (c *configurator) saw(hash string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.store.Seen = hash
	if err := c.store.save(); err != nil {
		c.s.log.Error("The state of the configuration cannot be stored", "error", err)
	}
}
