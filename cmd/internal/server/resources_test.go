package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"scada/cmd/internal/config"
	"scada/history/journal"
	"scada/redundancy/resource"
	"scada/redundancy/role"
)

const withAddress = `areas: [{name: main, primary: a, resources: [{name: vip, type: virtual_ip, address: 10.0.0.9/24, interface: eth0, critical: true}]}]`

// ether knows which nodes have the address, and whether ever both had it.
type ether struct {
	mu      sync.Mutex
	owners  []string
	doubled bool
	moved   []time.Time // when it came to a node
	gone    []time.Time // when it left one
	broken  map[string]bool
	cleaned []string
}

// address is the virtual address at one node.
type address struct {
	*ether
	node string
}

func (a address) Start(context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.broken[a.node] {
		return errors.New("the cable is out")
	}
	a.doubled = a.doubled || len(a.owners) > 0 && !slices.Contains(a.owners, a.node)
	a.owners = append(a.owners, a.node)
	a.moved = append(a.moved, time.Now())
	return nil
}

func (a address) Stop(ctx context.Context) error {
	select {
	case <-time.After(30 * time.Millisecond): // the other node must wait for it
	case <-ctx.Done():
		return ctx.Err()
	}
	a.drop()
	return nil
}

func (a address) drop() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := len(a.owners)
	a.owners = slices.DeleteFunc(a.owners, func(n string) bool { return n == a.node })
	if len(a.owners) < before {
		a.gone = append(a.gone, time.Now())
	}
	return len(a.owners) < before
}

func (a address) Monitor(context.Context) error { return nil }

func (a address) Clean(context.Context) (bool, error) {
	left := a.drop()
	if left {
		a.mu.Lock()
		a.cleaned = append(a.cleaned, a.node)
		a.mu.Unlock()
	}
	return left, nil
}

// at returns a check that exactly this node has the address.
func (e *ether) at(node string) func() error {
	return func() error {
		e.mu.Lock()
		defer e.mu.Unlock()
		if !slices.Equal(e.owners, []string{node}) {
			return fmt.Errorf("the address is at %v", e.owners)
		}
		return nil
	}
}

func addressed(t *testing.T, e *ether, f func(w *world)) {
	synctest.Test(t, func(t *testing.T) {
		plant := strings.Replace(bubblePlant, "areas: [{name: main, primary: a}]", withAddress, 1)
		w := newWorldOf(t, plant, func(node string, _ config.Resource) (resource.Resource, error) { return address{e, node}, nil })
		f(w)
		w.end()
		if len(e.owners) > 0 {
			t.Errorf("after the end the address is at %v", e.owners)
		}
	})
}

// TestAddressFollowsTheRole: in a planned switch and in an orderly stop the address is gone from one node before the
// other one has it, and comes at once.
func TestAddressFollowsTheRole(t *testing.T) {
	e := &ether{}
	addressed(t, e, func(w *world) {
		w.ready()
		w.within(time.Second, "a has the address", e.at("a"))
		if err := w.node["a"].pair.Switch(w.t.Context(), "main", "test"); err != nil {
			w.t.Fatal(err)
		}
		w.within(time.Second, "b has the address", e.at("b"))
		time.Sleep(5 * time.Second) // a mirrors b
		if err := w.node["b"].pair.Switch(w.t.Context(), "main", "test"); err != nil {
			w.t.Fatal(err)
		}
		w.within(time.Second, "a has the address", e.at("a"))
		w.ready()
		stopped := time.Now()
		if err := w.stop["a"](); err != nil {
			w.t.Error(err)
		}
		w.stop["a"] = func() error { return nil }
		w.within(time.Second, "b has the address", e.at("b"))
		if e.doubled {
			w.t.Error("both nodes had the address at once")
		}
		for i, gone := range e.gone {
			w.t.Logf("switch %d: nobody had the address for %s", i, e.moved[i+1].Sub(gone))
			if gap := e.moved[i+1].Sub(gone); gap < 0 || gap > 50*time.Millisecond {
				w.t.Errorf("switch %d: nobody had the address for %s", i, gap)
			}
		}
		if took := e.moved[3].Sub(stopped); took > 500*time.Millisecond {
			w.t.Errorf("after an orderly stop the address came to b after %s", took)
		}
	})
}

// TestAddressLeftBehind: a node that was killed has the address still; it is taken away before the node does anything
// else, and is not there when the other node becomes active.
func TestAddressLeftBehind(t *testing.T) {
	e := &ether{owners: []string{"b"}}
	addressed(t, e, func(w *world) {
		w.ready()
		w.within(time.Second, "a has the address", e.at("a"))
		if e.doubled || !slices.Equal(e.cleaned, []string{"b"}) {
			w.t.Errorf("both had it: %v, cleaned %v", e.doubled, e.cleaned)
		}
	})
}

// TestResourceFails: a critical resource that cannot start makes the node a bad one and stands in both journals.
func TestResourceFails(t *testing.T) {
	e := &ether{broken: map[string]bool{"a": true}}
	addressed(t, e, func(w *world) {
		w.within(30*time.Second, "a is active", w.roleIs("a", role.Active))
		const why = "area main: resource vip failed: the cable is out"
		w.within(5*time.Second, "a says what is wrong", func() error {
			if h := w.node["a"].pair.Status().Health; h.Score < weightResource || !slices.Contains(h.Reasons, why) {
				return fmt.Errorf("health %+v", h)
			}
			return nil
		})
		for _, node := range []string{"a", "b"} {
			w.within(10*time.Second, "the journal has it", w.tells(node, "resource vip is failed: the cable is out"))
		}
		e.mu.Lock()
		e.broken = nil
		e.mu.Unlock()
		w.within(11*time.Second, "the next attempt works, at whichever node", func() error { return w.holder(e) })
		w.within(5*time.Second, "the fault is over", func() error {
			if h := w.node["a"].pair.Status().Health; slices.Contains(h.Reasons, why) {
				return fmt.Errorf("health %+v", h)
			}
			return nil
		})
	})
}

// holder checks that the address is where the role is.
func (w *world) holder(e *ether) error {
	for name := range w.node {
		if w.roleIs(name, role.Active)() == nil {
			return e.at(name)()
		}
	}
	return errors.New("nobody is active")
}

// tells returns a check that the node's journal has an entry with the message.
func (w *world) tells(node, message string) func() error {
	return func() error {
		page, err := w.node[node].journal.Query(journal.Query{Class: journal.ClassSystem, Limit: journal.MaxPage})
		if err != nil {
			return err
		}
		for _, e := range page.Entries {
			if e.Message == message && e.Area == "main" && e.Source == "vip" {
				return nil
			}
		}
		return fmt.Errorf("%d entries, none says %q", len(page.Entries), message)
	}
}
