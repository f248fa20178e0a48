package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
	"unicode"
	"unicode/utf8"

	"scada/acquisition/app"
	"scada/acquisition/script"
)

// watchEvery is how often the files of the applications are looked at. Looking works on every file system; a
// notification comes from few of those that are mounted from elsewhere.
const watchEvery = time.Second

// look is what a file was like; two equal looks in a row mean that nobody is writing it.
type look struct {
	modified time.Time
	size     int64
}

// watch deploys files of the deployment folder that change while this node is active. The standby only notes that it has
// seen them: what runs is decided on one node.
func (h *apps) watch(ctx context.Context) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	last, settled := map[string]look{}, map[string]look{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		for _, name := range h.engine.Names() {
			info, err := os.Stat(h.file(name))
			if err != nil {
				continue // gone: what was deployed stays
			}
			now := look{info.ModTime(), info.Size()}
			if now == last[name] && now != settled[name] {
				settled[name] = now
				h.changedFile(ctx, name)
			}
			last[name] = now
		}
	}
}

// changedFile looks into a file that is not as it was.
func (h *apps) changedFile(ctx context.Context, name string) {
	g := app.Generation{By: "file", At: time.Now().UTC()}
	var err error
	if g.Source, err = readSource(h.file(name)); err != nil {
		h.s.log.Error("The file of an application cannot be used", "app", name, "error", err)
		h.tell(name, err)
		return
	}
	r := h.record(name)
	switch {
	case r.Seen == g.Hash():
	case r.hash() == g.Hash():
		h.note(name, func(r *appRecord) { r.Seen = g.Hash() })
	case !h.area.isActive():
		h.note(name, func(r *appRecord) { r.Seen = g.Hash() })
		h.s.log.Info("The file of an application has changed here; the active node decides what runs", "app", name, "file", g.Hash())
	default:
		if err := h.deploy(ctx, name, g, g.Hash()); err != nil {
			h.s.log.Warn("The changed file of an application was not deployed: the generation before goes on", "app", name, "error", err)
		}
	}
}

// readSource reads the source of an application.
func readSource(path string) (string, error) {
	b, err := readStored(path, script.MaxSourceBytes)
	if err != nil {
		return "", fmt.Errorf("reading an application: %w", err)
	}
	if err := checkSource(string(b)); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return string(b), nil
}

// checkSource refuses what is no text, or more than the stream carries.
func checkSource(source string) error {
	switch {
	case source == "":
		return errors.New("the source is empty")
	case len(source) > script.MaxSourceBytes:
		return fmt.Errorf("more than %d bytes", script.MaxSourceBytes)
	case !utf8.ValidString(source):
		return errors.New("the source is not UTF-8 text")
	}
	for i, r := range source {
		if unicode.IsControl(r) && r != '\n' && r != '\t' && r != '\r' {
			return fmt.Errorf("byte %d: the control character %U is not allowed", i, r)
		}
	}
	return nil
}
