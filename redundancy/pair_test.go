package redundancy_test

import (
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"scada/redundancy"
	"scada/redundancy/role"
	"scada/simulators/memnet"
)

func TestJoin(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.startBoth()
		p.mirrored("a", "b")
		for _, name := range []string{"a", "b"} {
			st := p.nodes[name].Status()
			if !st.FailoverReady {
				t.Errorf("%s is not ready: %v", name, st.NotReady)
			}
			for _, path := range st.Paths {
				if !path.Up || path.RTT != 2*time.Millisecond || path.Lost != 0 {
					t.Errorf("path of %s: %+v", name, path)
				}
			}
			if !st.Peer.Reachable || !st.Peer.DigestEqual || st.Peer.Version != "1" {
				t.Errorf("peer of %s: %+v", name, st.Peer)
			}
		}
		if !p.nodes["a"].MayWrite("main") || p.nodes["b"].MayWrite("main") {
			t.Error("the active may write, the standby may not")
		}
	})
}

func TestTakeOverOnSilence(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.startBoth()
		p.net.Power("a", false)
		took := p.within(time.Second, "take-over", p.hosts["b"].isActive)
		if took < 400*time.Millisecond || took > 600*time.Millisecond {
			t.Errorf("took over after %v, want 5 heartbeats", took)
		}
		time.Sleep(50 * time.Millisecond)
		sw := p.nodes["b"].Status().LastSwitch
		if sw == nil || sw.From != "a" || sw.To != "b" || sw.Kind != role.Fault || sw.Detect < 400*time.Millisecond || sw.Detect > 600*time.Millisecond {
			t.Errorf("record: %+v", sw)
		}
		if st := p.area("b"); st.Confirmed || !st.MayWrite || st.Epoch != 2 {
			t.Errorf("%+v", st)
		}
	})
}

func TestTakeOverOnProcessDeathAndHandBack(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.startBoth()
		p.net.Kill("a")
		took := p.within(time.Second, "take-over", p.hosts["b"].isActive)
		if took > 50*time.Millisecond {
			t.Errorf("took over after %v: proof needs no missed heartbeats", took)
		}
		p.stop("a")
		time.Sleep(time.Second)
		if st := p.area("b"); !st.Confirmed || !st.MayWrite || !st.Solo {
			t.Errorf("%+v", st)
		}
		p.start("a")
		time.Sleep(time.Second)
		p.expect("b", role.Active)
		p.expect("a", role.Standby)
		p.mirrored("b", "a")
		p.within(3*time.Second, "hand-back", p.hosts["a"].isActive)
		time.Sleep(500 * time.Millisecond)
		p.expect("b", role.Standby)
		p.mirrored("a", "b")
		for _, name := range []string{"a", "b"} {
			if sw := p.nodes[name].Status().LastSwitch; sw == nil || sw.Kind != role.HandBack || sw.To != "a" {
				t.Errorf("%s: record %+v", name, sw)
			}
		}
	})
}

func TestOnePathLost(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.startBoth()
		p.net.Cut("a", "b", "127.0.0.1")
		p.net.Reset("a", "b")
		time.Sleep(10 * time.Second)
		p.expect("a", role.Active)
		p.expect("b", role.Standby)
		p.mirrored("a", "b")
		st := p.nodes["b"].Status()
		if st.FailoverReady || !slices.Contains(st.NotReady, "path lan is down") {
			t.Errorf("ready %v, %v", st.FailoverReady, st.NotReady)
		}
		p.heal()
		time.Sleep(3 * time.Second)
		if st := p.nodes["b"].Status(); !st.FailoverReady {
			t.Errorf("after healing: %v", st.NotReady)
		}
	})
}

func TestPlannedSwitchWithoutGapOrOverlap(t *testing.T) {
	for _, asked := range []string{"a", "b"} {
		t.Run("asked on "+asked, func(t *testing.T) {
			bubble(t, func(t *testing.T, p *pair) {
				p.startBoth()
				p.hosts["a"].slow = 20 * time.Millisecond
				var overlap, gap time.Duration
				end := everyMillisecond(func() {
					a, b := p.hosts["a"].isActive(), p.hosts["b"].isActive()
					if a && b {
						overlap += time.Millisecond
					}
					if !a && !b {
						gap += time.Millisecond
					}
				})
				defer end()
				if err := p.nodes[asked].Switch(t.Context(), "main", "test"); err != nil {
					t.Fatal(err)
				}
				end()
				time.Sleep(time.Second)
				p.expect("b", role.Active)
				p.expect("a", role.Standby)
				if overlap > 0 || gap > 5*time.Millisecond {
					t.Errorf("overlap %v, gap %v", overlap, gap)
				}
				p.mirrored("b", "a")
				if !p.nodes["b"].MayWrite("main") || !p.area("b").Pinned {
					t.Errorf("%+v", p.area("b"))
				}
				time.Sleep(10 * time.Second)
				p.expect("b", role.Active) // pinned
				if err := p.nodes["a"].Release("main", "done"); err != nil {
					t.Fatal(err)
				}
				time.Sleep(3 * time.Second)
				p.expect("a", role.Active)
			})
		})
	}
}

func TestSwitchRolledBack(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.startBoth()
		p.hosts["b"].fail = errors.New("the card is not there")
		err := p.nodes["a"].Switch(t.Context(), "main", "test")
		if !errors.Is(err, redundancy.ErrRefused) || !strings.Contains(err.Error(), "the card is not there") {
			t.Errorf("switch: %v", err)
		}
		time.Sleep(time.Second)
		p.expect("a", role.Active)
		p.expect("b", role.Standby)
		if a := p.area("a"); a.Epoch != 3 || !a.MayWrite {
			t.Errorf("%+v", a)
		}
		p.mirrored("a", "b")
	})
}

func TestTailAfterReconnection(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.startBoth()
		before := p.hosts["b"].applied
		p.net.Reset("a", "b")
		time.Sleep(time.Second)
		p.mirrored("a", "b")
		if p.hosts["b"].applied != before {
			t.Error("a short interruption needed a snapshot")
		}
		p.expect("a", role.Active)
	})
}

func TestSnapshotWhenTheRingIsTooShort(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.config = func(_ string, c *redundancy.Config) { c.RingAge = 50 * time.Millisecond; c.Policy = role.Safety }
		p.startBoth()
		before := p.hosts["b"].applied
		p.cut()
		time.Sleep(5 * time.Second)
		p.heal()
		time.Sleep(3 * time.Second)
		p.expect("a", role.Active)
		p.mirrored("a", "b")
		if p.hosts["b"].applied != before+1 {
			t.Errorf("%d snapshots, want one more than %d", p.hosts["b"].applied, before)
		}
	})
}

// TestCutsNeverGiveTwoWriters cuts the links in every way and compares the instants at which the hosts were allowed to
// write.
func TestCutsNeverGiveTwoWriters(t *testing.T) {
	cuts := map[string]func(n *memnet.Network, link string){
		"both ways": func(n *memnet.Network, link string) { n.Cut("a", "b", link) },
		"a to b":    func(n *memnet.Network, link string) { n.CutWay("a", "b", link) },
		"b to a":    func(n *memnet.Network, link string) { n.CutWay("b", "a", link) },
	}
	for name, cut := range cuts {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, p *pair) {
				p.startBoth()
				both := 0
				end := everyMillisecond(func() {
					if p.nodes["a"].MayWrite("main") && p.nodes["b"].MayWrite("main") {
						both++
					}
				})
				defer end()
				for _, link := range []string{"127.0.0.1", "127.0.0.2"} {
					cut(p.net, link)
				}
				time.Sleep(5 * time.Second)
				p.heal()
				time.Sleep(10 * time.Second)
				end()
				if both > 0 {
					t.Errorf("both nodes might write for %d ms", both)
				}
				if len(p.hosts["b"].writes) == 0 {
					t.Error("the standby never took over with the right to write")
				}
				p.expect("a", role.Active) // handed back
				p.mirrored("a", "b")
			})
		})
	}
}

func TestOtherDigestIsFlaggedAndBlocksHandBack(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.startBoth()
		p.kill("a")
		p.config = func(name string, c *redundancy.Config) { c.Digest = "d2" }
		p.start("a")
		time.Sleep(20 * time.Second)
		p.expect("b", role.Active)
		p.expect("a", role.Standby)
		st := p.nodes["b"].Status()
		if st.FailoverReady || st.Peer.DigestEqual || !slices.Contains(st.NotReady, "the configurations of the nodes differ") {
			t.Errorf("%v %+v", st.NotReady, st.Peer)
		}
	})
}

func TestOtherProjectIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.config = func(name string, c *redundancy.Config) { c.Project = "works of " + name }
		p.start("a")
		p.start("b")
		time.Sleep(5 * time.Second)
		st := p.nodes["a"].Status()
		if !strings.Contains(st.Peer.Refused, `project "works of b"`) || st.Peer.Reachable {
			t.Errorf("%+v", st.Peer)
		}
	})
}

func TestWaitDurable(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.startBoth()
		a := p.nodes["a"]
		seq := a.Publish("main", redundancy.Record{Kind: 1, Payload: record(0).Payload})
		start := time.Now()
		epoch := p.area("a").Epoch
		d, err := a.WaitDurable(t.Context(), "main", epoch, seq)
		if d != redundancy.Durable || err != nil || time.Since(start) < 5*time.Millisecond {
			t.Errorf("%v, %v after %v", d, err, time.Since(start))
		}
		if d, err := a.WaitDurable(t.Context(), "main", epoch-2, 1); d != redundancy.Solo || !errors.Is(err, redundancy.ErrNotActive) {
			t.Errorf("a position of an earlier term: %v, %v", d, err)
		}
		p.kill("b")
		time.Sleep(100 * time.Millisecond)
		if d, err := a.WaitDurable(t.Context(), "main", epoch, seq+10); d != redundancy.Solo || err != nil {
			t.Errorf("alone: %v, %v", d, err)
		}
		if _, err := p.nodes["a"].WaitDurable(t.Context(), "other", 1, 1); !errors.Is(err, redundancy.ErrUnknownArea) {
			t.Errorf("unknown area: %v", err)
		}
	})
}

func TestForward(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.startBoth()
		for _, name := range []string{"a", "b"} {
			got, err := p.nodes[name].Forward(t.Context(), "main", []byte("open"))
			if string(got) != "a did open" || err != nil {
				t.Errorf("from %s: %q, %v", name, got, err)
			}
			if _, err := p.nodes[name].Forward(t.Context(), "main", []byte("fail")); !errors.Is(err, redundancy.ErrRefused) || !strings.Contains(err.Error(), "the valve is locked") {
				t.Errorf("from %s: %v", name, err)
			}
		}
		errs := make(chan error, 1)
		go func() {
			_, err := p.nodes["b"].Forward(t.Context(), "main", []byte("hang"))
			errs <- err
		}()
		time.Sleep(100 * time.Millisecond)
		p.kill("a")
		if err := <-errs; err == nil {
			t.Error("a command to a dead node succeeded")
		}
		time.Sleep(time.Second)
		if got, err := p.nodes["b"].Forward(t.Context(), "main", []byte("open")); string(got) != "b did open" || err != nil {
			t.Errorf("after the take-over: %q, %v", got, err)
		}
	})
}

func TestOrderlyStop(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.startBoth()
		last := len(p.hosts["a"].values)
		start := time.Now()
		p.stop("a")
		took := p.within(time.Second, "take-over", p.hosts["b"].isActive)
		if total := time.Since(start); total > 100*time.Millisecond {
			t.Errorf("stopped and taken over after %v (%v)", total, took)
		}
		if got := len(p.hosts["b"].values); got < last {
			t.Errorf("b has %d values, a had %d", got, last)
		}
		if !p.area("b").Confirmed {
			t.Error("a goodbye is a confirmation")
		}
	})
}

func TestEpochSurvivesRestart(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.startBoth()
		for range 3 {
			p.kill("b")
			p.kill("a")
			time.Sleep(time.Second)
			p.startBoth()
		}
		if e := p.area("a").Epoch; e != 7 {
			t.Errorf("the fourth term of a has epoch %d, want 7", e)
		}
	})
}

func TestWitness(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		var dead atomic.Bool
		p.says = func(node string) role.Verdict {
			switch {
			case node == "a":
				return role.Unknown
			case dead.Load():
				return role.PeerDead
			}
			return role.PeerAlive
		}
		p.startBoth()
		p.cut()
		time.Sleep(5 * time.Second)
		p.expect("a", role.Active)
		if got := p.area("b"); got.Role != role.Standby || !strings.Contains(got.Reason, "the witness says that a is alive") {
			t.Errorf("b is %s: %s", got.Role, got.Reason)
		}
		p.heal()
		time.Sleep(3 * time.Second)
		p.net.Power("a", false)
		dead.Store(true)
		time.Sleep(2 * time.Second)
		p.expect("b", role.Active)
		if got := p.area("b"); !got.Confirmed || !got.Solo {
			t.Errorf("%+v", got)
		}
	})
}

func TestTooManyCommandsAndTooLong(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.startBoth()
		b := p.nodes["b"]
		results := make(chan error, redundancy.MaxCommands)
		for range redundancy.MaxCommands {
			go func() {
				_, err := b.Forward(t.Context(), "main", []byte("hang"))
				results <- err
			}()
		}
		time.Sleep(time.Second)
		if _, err := b.Forward(t.Context(), "main", []byte("open")); err == nil || !strings.Contains(err.Error(), "more than 64 commands") {
			t.Errorf("one command too many: %v", err)
		}
		if err := b.Switch(t.Context(), "main", "ends them"); err != nil {
			t.Error(err)
		}
		for range redundancy.MaxCommands {
			if err := <-results; err == nil {
				t.Error("a command outlived the role")
			}
		}
		if _, err := b.Forward(t.Context(), "main", make([]byte, redundancy.MaxCommand+1)); !errors.Is(err, redundancy.ErrRefused) {
			t.Errorf("a command too long: %v", err)
		}
		defer func() {
			if recover() == nil {
				t.Error("a record too long was accepted")
			}
		}()
		b.Publish("main", redundancy.Record{Payload: make([]byte, redundancy.MaxRecord+1)})
	})
}

func TestForcedTake(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.startBoth()
		if err := p.nodes["b"].Take("main", "test"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		p.expect("b", role.Active)
		p.expect("a", role.Standby)
		if err := p.nodes["b"].Maintenance("main", true, "test"); !errors.Is(err, redundancy.ErrRefused) {
			t.Errorf("maintenance of the active: %v", err)
		}
		if err := p.nodes["a"].Maintenance("main", true, "test"); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		p.expect("a", role.Maintenance)
	})
}

func TestCrossedAreas(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.config = func(_ string, c *redundancy.Config) {
			c.Areas = append(c.Areas, redundancy.Area{Name: "north", Primary: "b"})
		}
		p.start("a")
		p.start("b")
		time.Sleep(time.Second)
		a, b := p.nodes["a"].Status(), p.nodes["b"].Status()
		if a.Areas[0].Role != role.Active || a.Areas[1].Role != role.Standby || b.Areas[0].Role != role.Standby || b.Areas[1].Role != role.Active {
			t.Fatalf("%+v\n%+v", a.Areas, b.Areas)
		}
		p.kill("a")
		time.Sleep(time.Second)
		for _, st := range p.nodes["b"].Status().Areas {
			if st.Role != role.Active || !st.MayWrite {
				t.Errorf("%+v", st)
			}
		}
	})
}
