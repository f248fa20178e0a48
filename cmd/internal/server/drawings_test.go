package server

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scada/web"
	"scada/web/svg"
)

const picture = `<svg xmlns="http://www.w3.org/2000/svg"><rect id="%s"/></svg>`

// ownFolders gives each node a folder of its own for the drawings of people.
func (w *world) ownFolders() map[string]string {
	w.t.Helper()
	folders := map[string]string{}
	for _, name := range []string{"a", "b"} {
		folders[name] = w.t.TempDir()
		d := w.node[name].drawings
		d.mu.Lock()
		d.folder = folders[name]
		d.mu.Unlock()
	}
	return folders
}

// draw puts a drawing into a folder; without a text it is taken away.
func (w *world) draw(folder, name, text string) {
	w.t.Helper()
	path := filepath.Join(folder, name+drawingSuffix)
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err == nil && text != "" {
		err = os.WriteFile(path, []byte(text), 0o600)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// shown checks what both nodes show under a name; "" for nothing.
func (w *world) shown(name, want string) {
	w.t.Helper()
	w.within(5*time.Second, fmt.Sprintf("both nodes show %q as %s", want, name), func() error {
		for _, node := range []string{"a", "b"} {
			b, err := os.ReadFile(w.node[node].drawings.file(name))
			if err != nil && !errors.Is(err, fs.ErrNotExist) || string(b) != want {
				return fmt.Errorf("%s shows %q, reading it: %w", node, b, err)
			}
		}
		return nil
	})
}

// TestDrawingsAreOnBothNodes: a drawing put into the folder of either node, changed or taken away there, is so on both; the later
// change wins; a node that was away catches up and brings nothing back.
func TestDrawingsAreOnBothNodes(t *testing.T) {
	bubble(t, func(w *world) {
		w.ready()
		folder := w.ownFolders()
		first, second, third := fmt.Sprintf(picture, "first"), fmt.Sprintf(picture, "second"), fmt.Sprintf(picture, "third")
		w.draw(folder["a"], "pumps", first)
		w.shown("pumps", first)
		w.draw(folder["b"], "wells", first) // the standby's
		w.shown("wells", first)
		w.draw(folder["b"], "pumps", second) // over the active's
		w.shown("pumps", second)
		w.draw(folder["a"], "pumps", third)
		w.shown("pumps", third)
		w.draw(folder["a"], "not a name", first)
		w.draw(folder["a"], "large", strings.Repeat("x", svg.MaxBytes+1))

		// b is away: what changed meanwhile is later than what it has.
		if err := w.stop["b"](); err != nil {
			t.Fatal(err)
		}
		w.draw(folder["a"], "pumps", second)
		w.draw(folder["a"], "valves", first)
		time.Sleep(5 * time.Second)
		w.start("b")
		w.ready()
		w.shown("pumps", second)
		w.shown("valves", first)

		// What is taken away stays away, also for a node that starts.
		d := w.node["b"].drawings
		d.mu.Lock()
		d.folder = folder["b"]
		d.mu.Unlock()
		time.Sleep(3 * time.Second)
		w.draw(folder["a"], "valves", "")
		w.shown("valves", "")
		w.draw(folder["b"], "wells", "")
		w.shown("wells", "")
		w.restart("a", "b")
		w.ready()
		time.Sleep(5 * time.Second)
		w.shown("valves", "")
		w.shown("wells", "")
		w.shown("large", "")
	})
}

// TestDrawingsFromOutside: what the other node sends is bounded and checked.
func TestDrawingsFromOutside(t *testing.T) {
	bubble(t, func(w *world) {
		d := w.node["a"].drawings
		pack := func(text string) []byte {
			var out bytes.Buffer
			z := gzip.NewWriter(&out)
			_, _ = z.Write([]byte(text))
			_ = z.Close()
			return out.Bytes()
		}
		now := time.Now().UnixNano()
		text, large := fmt.Sprintf(picture, "x"), strings.Repeat(" ", svg.MaxBytes+1)
		for name, c := range map[string]struct {
			of   string
			v    drawing
			body []byte
		}{
			"a path":        {"../keys", drawing{hashOf([]byte(text)), now}, pack(text)},
			"the future":    {"x", drawing{hashOf([]byte(text)), now + int64(maxAhead) + 1}, pack(text)},
			"another text":  {"x", drawing{hashOf([]byte("y")), now}, pack(text)},
			"not packed":    {"x", drawing{hashOf([]byte(text)), now}, []byte(text)},
			"a packed bomb": {"x", drawing{hashOf([]byte(large)), now}, pack(large)},
		} {
			if _, err := d.here(mimicsRequest{Put: c.of, Have: &c.v}, c.body); err == nil {
				t.Errorf("%s was taken over", name)
			}
		}
		if _, err := d.here(mimicsRequest{Get: "../plant"}, nil); err == nil {
			t.Error("a file out of the folder was read")
		}
		for i := range web.MaxMimics + 1 {
			v := drawing{hashOf([]byte(text)), now}
			_, err := d.here(mimicsRequest{Put: fmt.Sprint("n", i), Have: &v}, pack(text))
			if (err != nil) != (i == web.MaxMimics) {
				t.Fatalf("drawing %d: %v", i, err)
			}
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		for i := range maxGone + 1 { // removed ones are remembered, but not without end
			d.put(fmt.Sprint("gone", i), drawing{At: now}, nil)
		}
		if n := len(d.known); n != web.MaxMimics+maxGone {
			t.Errorf("%d versions are remembered", n)
		}
	})
}
