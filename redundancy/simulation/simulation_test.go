package simulation

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"scada/redundancy/role"
)

var (
	seeds   = flag.Int("seeds", 200, "how many seeds to run")
	first   = flag.Uint64("first", 1, "the first seed")
	verbose = flag.Bool("tell", false, "print what the machines report")
)

// recovery is how long after the last fault one node must be active, may write, and the other must be its standby: a
// planned switch caught by the faults takes two step limits to give up, then the join time passes.
const recovery = 30 * time.Second

// TestSeeds lets faults loose on the pair, a different choice of kinds for each seed, and checks that never two nodes
// may write and that the pair recovers when the faults end.
func TestSeeds(t *testing.T) {
	var sum Stats
	start := time.Now()
	for seed := *first; seed < *first+uint64(*seeds); seed++ {
		w, err := runSeed(seed, *verbose, 0)
		if err != nil {
			t.Fatalf("seed %d: %v\nrepeat it with: go test ./redundancy/simulation -run TestSeeds -seeds 1 -first %d -tell", seed, err, seed)
		}
		sum.Events += w.Stats.Events
		sum.TakeOvers += w.Stats.TakeOvers
		sum.TwoActing += w.Stats.TwoActing
		sum.NoneActing += w.Stats.NoneActing
		sum.LongestGap = max(sum.LongestGap, w.Stats.LongestGap)
		sum.checked += w.Now()
	}
	t.Logf("%d seeds, %v simulated in %v, %d events, %d take-overs, both reading %.2f %%, nobody reading %.2f %%", *seeds,
		sum.checked, time.Since(start).Round(time.Millisecond), sum.Events, sum.TakeOvers,
		100*sum.TwoActing.Seconds()/sum.checked.Seconds(), 100*sum.NoneActing.Seconds()/sum.checked.Seconds())
}

// TestRepeats checks that a seed gives the same run again.
func TestRepeats(t *testing.T) {
	a, _ := runSeed(7, false, 0)
	b, _ := runSeed(7, false, 0)
	if a.Stats != b.Stats {
		t.Errorf("two runs of one seed differ: %+v and %+v", a.Stats, b.Stats)
	}
}

// TestCatches proves that the simulator would see the faults it is there for: with a clock that is faster than the
// lease's margin allows, the standby takes over before the lease has ended.
func TestCatches(t *testing.T) {
	for seed := uint64(1); seed <= 300; seed++ {
		if w, _ := runSeed(seed, false, 1.3); strings.Contains(w.Broken(), "two nodes may write") {
			return
		}
	}
	t.Error("a standby whose clock runs 30 % fast never wrote beside the active")
}

// kinds of faults; each seed draws which of them exist.
type kinds struct {
	kill, power, stop, cut, oneWay, path, stall, operator, devices bool
}

func runSeed(seed uint64, trace bool, fast float64) (*World, error) {
	r := rand.New(rand.NewPCG(seed, 1))
	yes := func() bool { return r.IntN(2) == 0 }
	k := kinds{kill: yes(), power: yes(), stop: yes(), cut: yes(), oneWay: yes(), path: yes(), stall: yes(), operator: yes(), devices: yes()}
	if fast > 1 {
		k = kinds{cut: true}
	}
	set := Settings{
		Role: role.Config{
			Heartbeat: []time.Duration{20, 100, 500}[r.IntN(3)] * time.Millisecond, Misses: 2 + r.IntN(6),
			HoldOff: time.Duration(1+r.IntN(5)) * time.Second, StepLimit: 2 * time.Second,
			Failback: role.Failback(r.IntN(3)),
		},
		Paths: 1 + r.IntN(2), Delay: time.Duration(100+r.IntN(2000)) * time.Microsecond,
		Persist: time.Duration(r.IntN(40_000)) * time.Microsecond, Activate: time.Duration(r.IntN(40_000)) * time.Microsecond,
		Deactivate: time.Duration(r.IntN(60_000)) * time.Microsecond,
		Seed:       seed, Fast: 1 + (r.Float64()-0.5)/500,
	}
	if fast > 1 {
		set.Fast = fast
	}
	if yes() {
		set.Jitter = time.Duration(1 + r.Int64N(int64(set.Role.Heartbeat/4)))
	}
	if yes() {
		set.Loss = r.Float64() * 0.05
	}
	if trace {
		set.Trace = func(at time.Duration, node, line string) { fmt.Printf("%10.6fs %s %s\n", at.Seconds(), node, line) }
	}
	w := New(set)
	w.Start("a")
	w.Run(time.Duration(r.Int64N(int64(2 * time.Second))))
	w.Start("b")
	for i := 0; i < 40 && w.Broken() == ""; i++ {
		w.Run(time.Duration(1 + r.Int64N(int64(3*time.Second))))
		fault(w, r, k)
	}
	return w, settle(w, set)
}

// fault does one thing to the pair.
func fault(w *World, r *rand.Rand, k kinds) {
	name := [...]string{"a", "b"}[r.IntN(2)]
	span := time.Duration(1 + r.Int64N(int64(3*time.Second)))
	switch f := r.IntN(11); {
	case f == 0 && k.kill:
		w.Kill(name)
	case f == 1 && k.power:
		w.Power(name, false)
	case f == 2 && k.stop:
		w.Stop(name, "stopped")
	case f == 3 && k.cut:
		w.Cut(-1, "a", true)
		w.Cut(-1, "b", true)
	case f == 4 && k.oneWay:
		w.Cut(-1, name, true)
	case f == 5 && k.path:
		w.Cut(r.IntN(len(w.paths)), name, true)
	case f == 6 && k.stall:
		w.Stall(name, span)
	case f == 7 && k.operator:
		order := [...]string{"switch", "drill", "release", "maintenance on", "maintenance off"}[r.IntN(5)]
		_ = w.Order(name, order, "test") // a refusal is fine
	case f == 8 && k.devices:
		w.Self(name, role.Self{Ready: r.IntN(4) > 0, Reachable: uint32(r.IntN(4))})
	default:
		w.Heal()
		w.Power("a", true)
		w.Power("b", true)
		w.Start("a")
		w.Start("b")
	}
}

// settle ends all faults and checks that the pair recovers.
func settle(w *World, set Settings) error {
	w.Heal()
	for _, name := range []string{"a", "b"} {
		w.Power(name, true)
		w.Start(name)
		w.Self(name, role.Self{Ready: true})
	}
	w.Run(5 * time.Second) // a stall may still last, and a stop behind it
	for _, name := range []string{"a", "b"} {
		w.Start(name)
		_ = w.Order(name, "maintenance off", "test")
	}
	w.set.Loss = 0
	w.Run(recovery)
	if w.Broken() != "" {
		return fmt.Errorf("%s", w.Broken())
	}
	for range 50 { // a hand-back may be under way at this very moment
		if w.Settled() == nil {
			return nil
		}
		w.Run(set.Role.Heartbeat / 3)
	}
	return fmt.Errorf("not settled %v after the last fault: %w\n%s\n%s", recovery, w.Settled(), w.State("a"), w.State("b"))
}
