package server

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"scada/redundancy"
	"scada/redundancy/role"
)

// TestOneNodePolls: the active has connections to the devices, and the other node has none, also after a switch.
func TestOneNodePolls(t *testing.T) {
	bubble(t, func(w *world) {
		w.ready()
		only := func(node, other string) func() error {
			return func() error {
				if mine, theirs := w.net.Connections(node, "field"), w.net.Connections(other, "field"); mine == 0 || theirs != 0 {
					return fmt.Errorf("%s has %d connections to the field and %s has %d", node, mine, other, theirs)
				}
				return nil
			}
		}
		w.within(time.Second, "a alone polls", only("a", "b"))
		if err := w.node["a"].pair.Switch(w.t.Context(), "main", "test"); err != nil {
			w.t.Fatal(err)
		}
		w.within(time.Second, "b polls", w.counts("b"))
		w.within(time.Second, "b alone polls", only("b", "a"))
	})
}

// TestNoHandBackBeforeTheHistory: a node whose history is still being filled gets the area neither by an operator nor by
// itself.
func TestNoHandBackBeforeTheHistory(t *testing.T) {
	bubble(t, func(w *world) {
		w.ready()
		_ = w.stopDead("a")
		w.within(10*time.Second, "b takes over", w.roleIs("b", role.Active))
		w.net.Power("a", true)
		w.start("a")
		w.within(5*time.Second, "a is a standby", w.roleIs("a", role.Standby))
		left := &w.node["a"].healers["main"].left
		end := time.Now().Add(2 * time.Minute)
		for time.Now().Before(end) {
			left.Store(1)
			time.Sleep(50 * time.Millisecond)
		}
		if err := w.roleIs("b", role.Active)(); err != nil {
			w.t.Fatal("the area went back: ", err)
		}
		if err := w.node["b"].pair.Switch(w.t.Context(), "main", "test"); !errors.Is(err, redundancy.ErrRefused) || !strings.Contains(err.Error(), "a is not ready") {
			w.t.Errorf("switch: %v", err)
		}
		left.Store(0)
		w.within(2*time.Minute, "the area goes back", w.roleIs("a", role.Active))
		w.sameArchives()
	})
}

// position is how far in the stream of its area a node is.
func (w *world) position(node string) (epoch, seq uint64) {
	a := w.node[node].areas["main"]
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.epoch, a.seq
}

// TestWhatAnotherVersionSendsIsRefusedWithBoth: a standby that is too old for its active says so, in every place where
// somebody looks, with both versions and what to do; with equal versions nothing of the kind is said.
func TestWhatAnotherVersionSendsIsRefusedWithBoth(t *testing.T) {
	bubble(t, func(w *world) {
		w.ready()
		newer := []redundancy.Record{{Kind: 250, Payload: []byte("of a later release")}}
		apply := func() error {
			epoch, seq := w.position("b")
			return host{w.node["b"]}.Apply("main", epoch, seq+1, newer)
		}
		if err := apply(); err == nil || strings.Contains(err.Error(), "upgrade") {
			w.t.Errorf("with equal versions: %v", err)
		}
		if err := w.stop["b"](); err != nil {
			w.t.Fatal(err)
		}
		w.version = "v0.9"
		w.start("b")
		w.ready()
		tell := func() error {
			w.t.Helper()
			why := strings.Join((backend{w.node["b"]}).Role().Nodes[1].NotReady, "; ")
			for _, want := range []string{"node a runs version test and this node v0.9", "upgrade the older one"} {
				if !strings.Contains(why, want) {
					return fmt.Errorf("%q does not say %q", why, want)
				}
			}
			return nil
		}
		for what, refuse := range map[string]func() error{
			"records": apply,
			"a snapshot": func() error {
				epoch, seq := w.position("b")
				return host{w.node["b"]}.ApplySnapshot("main", epoch, seq+1, newer)
			},
		} {
			if err := refuse(); err == nil || !strings.Contains(err.Error(), "upgrade the older one") {
				w.t.Errorf("%s: %v", what, err)
			}
			w.within(time.Second, what+" of a newer version are told", tell)
			w.node["b"].mirrorProblem("main", "")
		}
	})
}
