package redundancy_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"scada/redundancy"
	"scada/redundancy/role"
)

// TestALoneNodeRepeatsNoEpoch: nobody tells it which it used before it died.
func TestALoneNodeRepeatsNoEpoch(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		used := uint64(0)
		for range 3 {
			p.start("a")
			time.Sleep(2 * time.Second)
			p.expect("a", role.Active)
			if e := p.area("a").Epoch; e <= used {
				t.Fatalf("epoch %d after %d", e, used)
			}
			used = p.area("a").Epoch
			p.kill("a")
		}
	})
}

// TestNoTermWithoutItsEpoch: a node whose disk does not take the epoch does not act.
func TestNoTermWithoutItsEpoch(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.start("a")
		synctest.Wait() // it has stored its incarnation
		broken := filepath.Join(p.dirs["a"], "redundancy.json.new")
		if err := os.Mkdir(broken, 0o700); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if r := p.area("a"); r.Role == role.Active || p.hosts["a"].isActive() {
			t.Fatalf("it acts: %+v", r)
		}
		if err := os.Remove(broken); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		p.expect("a", role.Active)
	})
}

// TestThePeersEpochsAreStored: a node that was a standby begins above the terms it saw, also when the peer is gone by then.
func TestThePeersEpochsAreStored(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.config = func(_ string, c *redundancy.Config) { c.Failback = role.FailbackNever }
		for range 3 {
			p.start("b")
			time.Sleep(2 * time.Second)
			p.kill("b")
		}
		p.start("b")
		time.Sleep(2 * time.Second)
		p.start("a")
		time.Sleep(2 * time.Second)
		p.expect("b", role.Active)
		seen := p.area("b").Epoch
		p.kill("a")
		p.kill("b")
		p.start("a")
		time.Sleep(2 * time.Second)
		p.expect("a", role.Active)
		if e := p.area("a").Epoch; e <= seen {
			t.Errorf("epoch %d, and it has seen %d", e, seen)
		}
	})
}

// TestNotReadyWithoutTheMirror: a standby that lacks the state of the area does not get it by a planned switch.
func TestNotReadyWithoutTheMirror(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.start("a")
		p.start("b")
		b := p.hosts["b"]
		joining := func(f func() error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.joining = f
		}
		joining(func() error { return errors.New("the disk is slow") })
		time.Sleep(2 * time.Second)
		p.expect("a", role.Active)
		err := p.nodes["a"].Switch(t.Context(), "main", "test")
		if !errors.Is(err, redundancy.ErrRefused) || !strings.Contains(err.Error(), "b is not ready") {
			t.Errorf("switch: %v", err)
		}
		joining(nil)
		time.Sleep(2 * time.Second)
		if err := p.nodes["a"].Switch(t.Context(), "main", "test"); err != nil {
			t.Errorf("with the mirror: %v", err)
		}
	})
}

// TestOneStream: the commit of a planned switch does not overtake what the old active published last, however long the
// new one needs for that.
func TestOneStream(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.startBoth()
		a, b := p.hosts["a"], p.hosts["b"]
		published := 0
		a.leaving = func() {
			b.mu.Lock()
			b.following = func() { time.Sleep(100 * time.Millisecond) }
			b.mu.Unlock()
			for range 10 {
				a.mu.Lock()
				v := uint64(len(a.values)) + 1
				if p.nodes["a"].Publish("main", record(v)) > 0 {
					a.values = append(a.values, v)
				}
				published = len(a.values)
				a.mu.Unlock()
				time.Sleep(5 * time.Millisecond) // each is on its way before the next comes
			}
		}
		if err := p.nodes["a"].Switch(t.Context(), "main", "test"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		p.expect("b", role.Active)
		if b.had != published {
			t.Errorf("b began with %d values of the %d that a had published", b.had, published)
		}
	})
}
