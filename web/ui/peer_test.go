package ui_test

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"scada/web/ui/uitest"
)

var peerDir = flag.String("peer", "", "folder into which FUXA was installed by npm; empty skips TestPeer")

// peerPort is where FUXA listens unless told otherwise.
const peerPort = 1881

// startPatience is how long FUXA may take to start. It is a matter of a busy machine.
const startPatience = 5 * time.Minute

// TestPeer measures what a browser gets from FUXA and from the dashboard, one after the other on the same machine. It asserts nothing
// about speed: make bench-web runs it.
func TestPeer(t *testing.T) {
	if *peerDir == "" {
		t.Skip("a measurement: go test ./web/ui -run TestPeer -peer DIR")
	}
	needBrowser(t)
	startPeer(t)
	s := newSite(t)
	peer := fmt.Sprintf("http://127.0.0.1:%d", peerPort)
	theirs := look(t, "FUXA", func(b *uitest.Tab) {
		b.Do(chromedp.Navigate(peer + "/home"))
		time.Sleep(8 * time.Second) // it has no sign of being ready
	})
	ours := look(t, "dashboard", func(b *uitest.Tab) { s.signIn(b, "a", "olga") })
	t.Logf("transferred: FUXA %.0f bytes, dashboard %.0f: %.0f times less", theirs.bytes, ours.bytes, theirs.bytes/ours.bytes)
	t.Logf("first contentful paint: FUXA %.0f ms, dashboard %.0f ms", theirs.paint, ours.paint)
	for name, url := range map[string]string{"FUXA": peer + "/api/project", "dashboard": s.url["a"] + "/api/v1/role/switch"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		t.Logf("%s: an order of nobody (POST %s): %s", name, strings.TrimPrefix(url, peer), resp.Status)
	}
}

type impression struct{ bytes, paint float64 }

// look opens a page in a fresh browser and says what it weighs, when it first painted, and what axe finds.
func look(t *testing.T, name string, open func(*uitest.Tab)) impression {
	t.Helper()
	b := uitest.Open(t, 1280, 800)
	open(b)
	i := impression{
		paint: uitest.Eval[float64](b, "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? -1"),
		bytes: uitest.Eval[float64](b, "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')].filter(e => !e.name.includes('/api/') && !e.name.includes('socket.io')).reduce((s, e) => s + e.transferSize, 0)"),
	}
	t.Logf("%s: axe finds %q", name, b.Axe("node_modules/axe-core/axe.min.js"))
	return i
}

// startPeer starts FUXA in a folder of its own and waits until it answers.
func startPeer(t *testing.T) {
	t.Helper()
	dir, err := filepath.Abs(*peerDir)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", filepath.Join(dir, "node_modules/@frangoteam/fuxa/main.js"), "--userDir", t.TempDir())
	cmd.Env = append(os.Environ(), fmt.Sprint("PORT=", peerPort))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	ctx, cancel := context.WithTimeout(t.Context(), startPatience)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/", peerPort), nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
			return
		}
		if ctx.Err() != nil {
			t.Fatal("FUXA does not answer")
		}
		time.Sleep(200 * time.Millisecond)
	}
}
