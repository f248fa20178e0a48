package simulation

import (
	"fmt"
	"time"

	"scada/redundancy/role"
)

// Kind is a kind of fault.
type Kind string

// The kinds of faults. A scenario draws which of them exist. The last five are properties of the world from its beginning.
const (
	Kill       Kind = "kill"       // a process dies without a word
	DoubleKill Kind = "doublekill" // both do, the second a moment after the first
	Power      Kind = "power"      // a host loses its power
	Stop       Kind = "stop"       // a process ends in order
	CutAll     Kind = "cut"        // every path, both ways
	OneWay     Kind = "oneway"     // every path, one way
	OnePath    Kind = "path"       // one path, one way
	Stall      Kind = "stall"      // a process stands still, its clock runs
	Freeze     Kind = "freeze"     // a machine stands still with its clock
	Disk       Kind = "disk"       // storing takes long, or fails
	Stream     Kind = "stream"     // the stream's connection is reset
	Operator   Kind = "operator"   // an order
	Devices    Kind = "devices"    // other devices answer, or the node is not ready, or busy
	Health     Kind = "health"     // a node's score changes
	Device     Kind = "activation" // activations fail
	Witness    Kind = "witness"    // the witness stops answering, or answers again
	Repair     Kind = "repair"     // everything works again
	Loss       Kind = "loss"
	Jitter     Kind = "jitter"
	Tail       Kind = "tail"
	Rate       Kind = "rate"
)

// swarm are the kinds a scenario draws from; Repair is always there.
var swarm = [...]Kind{Kill, DoubleKill, Power, Stop, CutAll, OneWay, OnePath, Stall, Freeze, Disk, Stream, Operator, Devices, Health, Device, Witness}

// Fault is one thing that happens to the pair.
type Fault struct {
	Number int // in its scenario
	At     time.Duration
	Kind   Kind
	Node   string
	Area   int // of an order
	Path   int
	For    time.Duration
	Order  string
	Self   role.Self
	On     bool
	Share  float64
}

// String describes the fault in one line.
func (f Fault) String() string {
	s := fmt.Sprintf("%3d %12.6fs %s", f.Number, f.At.Seconds(), f.Kind)
	switch f.Kind {
	case Kill, Power, Stop, OneWay:
		s += " " + f.Node
	case OnePath:
		s += fmt.Sprintf(" %d from %s", f.Path, f.Node)
	case Stall, Freeze, DoubleKill:
		s += fmt.Sprintf(" %s for %v", f.Node, f.For)
	case Disk:
		s += fmt.Sprintf(" of %s: %v longer, fails %v", f.Node, f.For, f.On)
	case Operator:
		s += fmt.Sprintf(" on %s: %s for area %d", f.Node, f.Order, f.Area+1)
	case Devices, Health:
		s += fmt.Sprintf(" of %s: ready %v, busy %v, devices %d, score %d", f.Node, f.Self.Ready, f.Self.Busy, f.Self.Reachable, f.Self.Score)
	case Device:
		s += fmt.Sprintf(" of %s fails %v", f.Node, f.On)
	case Witness:
		s += fmt.Sprintf(" of %s answers %v", f.Node, f.On)
	case Loss, Rate:
		s += fmt.Sprintf(" %.3f %%", 100*f.Share)
	case Jitter:
		s += fmt.Sprintf(" up to %v", f.For)
	case Tail:
		s += fmt.Sprintf(" up to %v for %.2f %%", f.For, 100*f.Share)
	case CutAll, Stream, Repair:
	}
	return s
}

// shape changes the settings of the world the scenario is played in.
func (f Fault) shape(set *Settings) {
	switch f.Kind {
	case Loss:
		set.Loss = f.Share
	case Jitter:
		set.Jitter = f.For
	case Tail:
		set.Tail, set.TailShare = f.For, f.Share
	case Rate:
		set.Fast = 1 + f.Share
	}
}

// strike makes the fault happen.
func (f Fault) strike(w *World) {
	switch f.Kind {
	case Kill:
		w.Kill(f.Node)
	case DoubleKill:
		w.Kill(f.Node)
		w.Run(f.For)
		w.Kill(w.node(f.Node).peer.name)
	case Power:
		w.Power(f.Node, false)
	case Stop:
		w.Stop(f.Node, "stopped")
	case CutAll:
		w.Cut(-1, "a", true)
		w.Cut(-1, "b", true)
	case OneWay:
		w.Cut(-1, f.Node, true)
	case OnePath:
		w.Cut(f.Path, f.Node, true)
	case Stall:
		w.Stall(f.Node, f.For)
	case Freeze:
		w.Freeze(f.Node, f.For)
	case Disk:
		w.Disk(f.Node, f.For, f.On)
	case Stream:
		w.BreakStream(f.For, f.For/2)
	case Operator:
		f.order(w)
	case Devices, Health:
		w.Self(f.Node, f.Self)
	case Device:
		w.FailActivation(f.Node, f.On)
	case Witness:
		w.TrueWitness(f.Node, f.On)
	case Repair:
		w.repair()
	}
}

// order gives an operator's order. A refusal is fine. An operator who takes by force has looked: the peer is heard here,
// or has no process.
func (f Fault) order(w *World) {
	n := w.node(f.Node).nodes[f.Area]
	if n.m == nil || n.standsUntil() > w.now {
		return
	}
	if f.Order == "take" && n.peer.m != nil && !n.m.Contact(n.clock()) {
		return
	}
	_ = w.command(n, f.Order, "test")
}

// repair ends what does not end by itself.
func (w *World) repair() {
	w.Heal()
	for _, n := range w.nodes {
		w.Power(n.name, true)
		w.Disk(n.name, 0, false)
		w.FailActivation(n.name, false)
		w.Start(n.name)
	}
}
