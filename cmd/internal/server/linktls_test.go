package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"scada/cmd/internal/config"
	"scada/redundancy/pki"
	"scada/simulators/memnet"
)

// newSecuredWorld is a pair whose links leave the machine. Its controller does not answer.
func newSecuredWorld(t *testing.T) *world {
	t.Helper()
	text := strings.NewReplacer("127.0.1.", "10.0.1.", "127.0.2.", "10.0.2.", "redundancy: {", "redundancy: {tls: {dir: keys}, ").Replace(bubblePlant)
	path := filepath.Join(t.TempDir(), "plant.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return &world{t: t, net: memnet.New(), cfg: cfg, node: map[string]*Server{}, stop: map[string]func() error{"field": func() error { return nil }}}
}

// keys opens a node's certificates as the command line does, beside the running node.
func (w *world) keys(name string) *pki.Link {
	w.t.Helper()
	l, err := pki.Open(pki.Options{Dir: w.cfg.LinkDir(name), Project: w.cfg.Project, Node: name, Peer: w.cfg.Peer(name)})
	if err != nil {
		w.t.Fatal(err)
	}
	return l
}

// pairNodes pairs them, the first with a new key if asked for.
func (w *world) pairNodes(newKey bool) {
	w.t.Helper()
	b, err := w.keys("b").Pair(false)
	if err != nil {
		w.t.Fatal(err)
	}
	v, err := b.Invite()
	if err != nil {
		w.t.Fatal(err)
	}
	l, err := w.net.Host("b").Listen("tcp", "10.0.1.2:7499")
	if err != nil {
		w.t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() {
		_, err := v.Serve(w.t.Context(), l)
		served <- err
	}()
	a, err := w.keys("a").Pair(newKey)
	if err != nil {
		w.t.Fatal(err)
	}
	conn, err := w.net.Host("a").Dial(w.t.Context(), "tcp", "10.0.1.2:7499")
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := a.Join(w.t.Context(), conn, v.Code); err != nil {
		w.t.Fatal(err)
	}
	if err := <-served; err != nil {
		w.t.Fatal(err)
	}
}

// notReady is what scadactl role says is missing, as seen by a node.
func (w *world) notReady(name string) string {
	var list []string
	for _, n := range (backend{w.node[name]}).Role().Nodes {
		list = append(list, n.NotReady...)
	}
	return strings.Join(list, "; ")
}

func (w *world) together() bool {
	return w.node["a"].pair.Status().Peer.Reachable && w.node["b"].pair.Status().Peer.Reachable
}

// TestSecuredLink: two running nodes that do not know each other are paired, renew and are told apart from a stranger.
func TestSecuredLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSecuredWorld(t)
		w.start("a")
		w.start("b")
		defer w.end()
		time.Sleep(3 * time.Second)
		if w.together() {
			t.Fatal("nodes that were never paired talk to each other")
		}
		for name, peer := range map[string]string{"a": "b", "b": "a"} {
			if got := w.notReady(name); !strings.Contains(got, "no certificate of "+peer+" is pinned here: pair the nodes") && !strings.Contains(got, "does not accept the certificate") {
				t.Errorf("node %s: %s", name, got)
			}
			if got := w.node[name].assess().Reasons; len(got) == 0 || !strings.Contains(got[0], "scadad link pair") {
				t.Errorf("health of %s: %q", name, got)
			}
		}
		w.pairNodes(false)
		time.Sleep(2 * time.Minute)
		if !w.together() {
			t.Fatalf("after the pairing: a says %s, b says %s", w.notReady("a"), w.notReady("b"))
		}
		if got := w.node["a"].linkProblems(); len(got) > 0 {
			t.Errorf("still: %q", got)
		}

		old := w.keys("a").Status().Own
		if _, err := w.keys("a").Renew(); err != nil {
			t.Fatal(err)
		}
		for range 60 {
			time.Sleep(2 * time.Second)
			if !w.together() {
				t.Fatal("the renewal parted the nodes")
			}
		}
		if got := w.keys("a").Status(); got.Own.Fingerprint == old.Fingerprint || got.Next != nil {
			t.Errorf("two minutes after the renewal: %+v", got)
		}
		if got, want := w.keys("b").Status().Pins, w.keys("a").Status().Own.Fingerprint; len(got) != 1 || got[0].Fingerprint != want {
			t.Errorf("b has pinned %+v, a uses %s", got, want)
		}
		w.net.Reset("a", "b")
		time.Sleep(time.Second)
		if !w.together() {
			t.Error("new connections do not find together after the renewal")
		}

		// Another machine takes the place of a, with a certificate of its own.
		if err := w.stop["a"](); err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(w.cfg.LinkDir("a")); err != nil {
			t.Fatal(err)
		}
		w.keys("a")
		w.start("a")
		time.Sleep(4 * time.Second)
		if got := w.notReady("b"); w.together() || !strings.Contains(got, "a certificate that is not the one pinned for a") {
			t.Errorf("b says: %s", got)
		}
		w.pairNodes(true) // the remedy
		time.Sleep(4 * time.Second)
		if !w.together() {
			t.Errorf("after pairing again: a says %s, b says %s", w.notReady("a"), w.notReady("b"))
		}
	})
}
