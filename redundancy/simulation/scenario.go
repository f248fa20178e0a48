package simulation

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"scada/redundancy/role"
)

// Scenario is a world and what happens to it.
type Scenario struct {
	Seed     uint64
	Settings Settings
	Second   time.Duration // when node b's process is started; node a's starts at once
	Faults   []Fault
}

// Faults in a scenario, and how long the pair must keep still after it has recovered.
const (
	faultsEach = 40
	quiet      = 20 * time.Second
)

// Draw makes the scenario of a seed: which kinds of faults exist, and when which of them happens.
func Draw(seed uint64) Scenario {
	r := rand.New(rand.NewPCG(seed, 1))
	s := Scenario{Seed: seed, Settings: drawSettings(r, seed), Second: time.Duration(r.Int64N(int64(2 * time.Second)))}
	var kinds []Kind
	for _, k := range swarm {
		if r.IntN(2) == 0 && (k != Witness || s.Settings.Role.Witness) {
			kinds = append(kinds, k)
		}
	}
	s.drawWorld(r)
	at := s.Second
	for range faultsEach {
		at += s.drawGap(r)
		s.add(s.drawFault(r, kinds, at))
	}
	return s
}

func (s *Scenario) add(f Fault) {
	f.Number = len(s.Faults) + 1
	s.Faults = append(s.Faults, f)
}

func drawSettings(r *rand.Rand, seed uint64) Settings {
	set := Settings{
		Role: role.Config{
			Heartbeat: []time.Duration{20, 100, 100, 250, 500, 1000}[r.IntN(6)] * time.Millisecond, Misses: 2 + r.IntN(6),
			HoldOff: time.Duration(1+r.IntN(5)) * time.Second, StepLimit: 2 * time.Second,
			Failback: role.Failback(r.IntN(3)), Witness: r.IntN(3) == 0,
		},
		Paths: 1 + r.IntN(2), Delay: time.Duration(100+r.IntN(2000)) * time.Microsecond,
		Persist: time.Duration(r.IntN(40_000)) * time.Microsecond, Activate: time.Duration(r.IntN(40_000)) * time.Microsecond,
		Deactivate: time.Duration(r.IntN(60_000)) * time.Microsecond,
		Seed:       seed,
	}
	if r.IntN(4) == 0 {
		set.Role.Policy = role.Safety
	}
	set.Areas = 1 + r.IntN(3)/2
	return set
}

// drawWorld draws what is the matter with the world from its beginning.
func (s *Scenario) drawWorld(r *rand.Rand) {
	hb := int64(s.Settings.Role.Heartbeat)
	s.add(Fault{Kind: Rate, Share: (r.Float64() - 0.5) / 50})
	if r.IntN(2) == 0 {
		s.add(Fault{Kind: Jitter, For: time.Duration(1 + r.Int64N(hb/4))})
	}
	if r.IntN(2) == 0 {
		s.add(Fault{Kind: Loss, Share: r.Float64() * 0.05})
	}
	if r.IntN(2) == 0 {
		s.add(Fault{Kind: Tail, For: time.Duration(1 + r.Int64N(8*hb)), Share: r.Float64() * 0.02})
	}
}

// drawGap draws the time to the next fault: often moments, so that faults meet, sometimes long enough to recover.
func (s *Scenario) drawGap(r *rand.Rand) time.Duration {
	take := int64(s.Settings.Role.Take())
	switch r.IntN(4) {
	case 0:
		return time.Duration(1 + r.Int64N(4*take))
	case 1:
		return time.Duration(1 + r.Int64N(int64(s.Settings.Role.Heartbeat)))
	}
	return time.Duration(1 + r.Int64N(int64(3*time.Second)))
}

func (s *Scenario) drawFault(r *rand.Rand, kinds []Kind, at time.Duration) Fault {
	span := time.Duration(1 + r.Int64N(int64(3*time.Second)))
	f := Fault{At: at, Kind: Repair, Node: [...]string{"a", "b"}[r.IntN(2)], Path: r.IntN(s.Settings.Paths), For: span, On: r.IntN(2) == 0}
	if len(kinds) == 0 || r.IntN(3) == 0 {
		return f
	}
	f.Kind = kinds[r.IntN(len(kinds))]
	switch f.Kind {
	case DoubleKill:
		f.For = time.Duration(r.Int64N(int64(2 * s.Settings.Role.Heartbeat)))
	case Disk, Stream:
		f.For = span / 3
	case Operator:
		f.Area = r.IntN(s.Settings.Areas)
		f.Order = [...]string{"switch", "drill", "release", "take", "maintenance on", "maintenance off"}[r.IntN(6)]
	case Devices:
		f.Self = role.Self{Ready: r.IntN(4) > 0, Reachable: uint32(r.IntN(4)), Busy: r.IntN(6) == 0}
	case Health:
		f.Self = role.Self{Ready: true, Score: 10 * r.IntN(8)}
	}
	return f
}

// Play runs the scenario and returns its world and what was violated.
func (s Scenario) Play(trace func(at time.Duration, node, line string)) (*World, error) {
	set := s.Settings
	set.Trace, set.Steps = trace, true
	for _, f := range s.Faults {
		f.shape(&set)
	}
	w := New(set)
	w.TrueWitness("a", true)
	w.TrueWitness("b", true)
	w.Start("a")
	w.Run(s.Second)
	w.Start("b")
	for _, f := range s.Faults {
		if f.At > w.Now() {
			w.Run(f.At - w.Now())
		}
		if w.Broken() != "" {
			break
		}
		if trace != nil && f.At > 0 {
			trace(w.Now(), "-", f.String())
		}
		f.strike(w)
	}
	return w, settle(w)
}

// recovery is how long after the last fault one node must be active, may write, and the other must be its standby: a
// planned switch caught by the faults takes two step limits to give up, and twice the join time passes.
func recovery(c role.Config) time.Duration { return 20*time.Second + 6*c.Take() }

// settle ends all faults and checks that the pair recovers and then keeps still.
func settle(w *World) error {
	w.repair()
	for _, n := range w.nodes {
		w.Self(n.name, role.Self{Ready: true})
		w.TrueWitness(n.name, true)
	}
	w.Run(7 * time.Second) // a stall may still last, and a stop behind it
	for _, n := range w.nodes {
		w.Start(n.name)
		for _, x := range n.nodes {
			_ = w.command(x, "maintenance off", "test")
		}
	}
	w.set.Loss, w.set.Tail = 0, 0
	w.Run(recovery(w.set.Role))
	if err := w.calm(); err != nil {
		return err
	}
	before := w.Stats.Activations
	w.Run(quiet)
	if err := w.calm(); err != nil {
		return err
	}
	changes := 0
	for kind, n := range w.Stats.Activations {
		changes += n - before[kind]
	}
	if changes > len(w.areas) { // one is the hand-back
		return fmt.Errorf("the active node changed %d times in %v without a fault", changes, quiet)
	}
	return nil
}

// calm says what is violated, or not settled even after the moments a hand-back may take that is under way.
func (w *World) calm() error {
	for range 50 {
		if w.Broken() != "" {
			return errors.New(w.Broken())
		}
		if w.Settled() == nil {
			return nil
		}
		w.Run(w.set.Role.Heartbeat / 3)
	}
	return fmt.Errorf("not settled %v after the last fault: %w\n%s\n%s", recovery(w.set.Role), w.Settled(), w.State("a"), w.State("b"))
}

// Only returns the scenario with the faults of the given numbers alone.
func (s Scenario) Only(numbers []int) Scenario {
	s.Faults = slices.DeleteFunc(slices.Clone(s.Faults), func(f Fault) bool { return !slices.Contains(numbers, f.Number) })
	return s
}

// Numbers returns the numbers of the scenario's faults.
func (s Scenario) Numbers() []int {
	list := make([]int, len(s.Faults))
	for i, f := range s.Faults {
		list[i] = f.Number
	}
	return list
}

// Shrink drops faults, many at a time and then one by one, as long as the scenario still fails, and returns what is needed.
func (s Scenario) Shrink() Scenario {
	for size := len(s.Faults) / 2; size > 0; {
		dropped := false
		for end := len(s.Faults); end >= size; end = min(end-1, len(s.Faults)) {
			less := s
			less.Faults = slices.Delete(slices.Clone(s.Faults), end-size, end)
			if _, err := less.Play(nil); err != nil {
				s, dropped = less, true
			}
		}
		if !dropped || size > 1 {
			size /= 2
		}
	}
	return s
}
