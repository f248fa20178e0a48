// Package redundancy joins two nodes to a pair: heartbeats on every network path, one ordered stream of records from
// the active node of an area to its standby, take-over, hand-back and planned switch.
//
// A [Node] decides with one [role.Machine] per area and drives a [Host], which is the rest of the server. What the
// records of the stream mean is the host's business alone.
//
// # Who calls what
//
// Each area has one executor goroutine; it alone calls Host.Activate, Host.Deactivate and, through the mirror it owns,
// Host.ApplySnapshot and Host.Apply. These four never overlap for one area: the mirror has ended before Activate
// begins, and begins after Deactivate has returned. They may block; a blocked Apply holds back the sender, and a
// blocked Apply or Deactivate delays a take-over by just that long. Heartbeats go on meanwhile.
//
// Host.Snapshot is called by the goroutine that serves the area's stream on the active node, while the area is active
// and publishing. It may block as long as collecting the state takes.
//
// Host.Command runs in a goroutine of its own for each forwarded command, at most [MaxCommands] at once. It may block
// until its context ends.
//
// Host.Health is called by the node's main goroutine once per heartbeat and must not block: return a stored value.
//
// Options.Event and Options.Log are used by one goroutine in order of the events; while it blocks, further ones queue, and
// beyond [MaxEvents] the oldest are dropped and counted.
//
// The methods of Node may be called from any goroutine at any time, also from inside a host call. None blocks but
// WaitDurable, Forward and Switch, which end with their context.
package redundancy

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"time"

	"scada/redundancy/role"
)

// Limits of the link.
const (
	// MaxRecord is the longest payload of one record, in bytes.
	MaxRecord = 1 << 20
	// MaxCommand is the longest payload of a forwarded command or its answer, in bytes.
	MaxCommand = 1 << 20
	// MaxCommands is how many forwarded commands run at once; more are refused.
	MaxCommands = 64
	// MaxEvents is how many events wait for a slow Options.Event.
	MaxEvents = 4096
	// MaxPaths is how many network paths a pair may have.
	MaxPaths = 8
	// MaxAreas is how many areas a pair may have.
	MaxAreas = 64
)

// Record is one item of an area's stream. Kind and Payload are the host's; both nodes must agree on them.
type Record struct {
	Kind    uint8
	Payload []byte
}

// Term is one stretch of one node being active for an area; see [role.Term].
type Term = role.Term

// Host is what a [Node] drives: the rest of the server. The package comment says who calls what and what may block.
type Host interface {
	// Activate makes the area act here: poll devices, evaluate alarms, publish records. It returns once the area acts,
	// or with the reason why it cannot. ctx ends with the role, just before Deactivate is called.
	// The epoch is stored before the call.
	Activate(ctx context.Context, area string, term Term, reason string) error
	// Deactivate ends what Activate began. It returns only when nothing of the area touches a device any more and the
	// last record has been published: the peer is told after that. It is also called after an Activate that failed.
	Deactivate(area string, reason string)
	// Snapshot returns the whole state of an active area as records and the position it belongs to: what the latest
	// Publish contained in it returned (0 before the first of the term).
	Snapshot(area string) (seq uint64, records []Record)
	// ApplySnapshot replaces the state of a standby area, all or nothing.
	ApplySnapshot(area string, epoch, seq uint64, records []Record) error
	// Apply adds records firstSeq, firstSeq+1, … to a standby area. When it returns they are applied; when they are
	// also on disk the host calls [Node.Durable]. An error makes the node ask for a snapshot.
	Apply(area string, epoch, firstSeq uint64, records []Record) error
	// Command executes on the active node what a client asked for on the standby ([Node.Forward]).
	Command(ctx context.Context, area string, payload []byte) ([]byte, error)
	// Health returns how well this node works.
	Health() Health
}

// Health is what a node tells its peer and its operators of itself.
type Health struct {
	// Score is 0 for a healthy node; each fault of the node adds its weight. Devices are counted in Areas.
	Score int
	// Reasons are the faults behind the score, one short text each.
	Reasons []string
	// NotReady says why this node could not take an area over well; empty means it could.
	NotReady []string
	// Progress are counters of the engines with their ages: a heartbeat proves work, not life.
	Progress []Progress
	// Areas are the devices and commands of each area.
	Areas map[string]AreaHealth
}

// Progress is one engine's counter of work done, and how long ago it last moved.
type Progress struct {
	Name    string
	Counter uint64
	Age     time.Duration
}

// AreaHealth is what a node knows of one area's devices.
type AreaHealth struct {
	// Devices is how many devices the area has, Reachable how many answer this node (by polling, or by its probes).
	Devices, Reachable int
	// Commands is how many device writes are under way; a hand-back waits for none.
	Commands int
	// Lost is the weight of the devices that this node does not reach, of those alone at which a standby looks as well:
	// where only one of the nodes can tell, nothing may follow from it. It is added to the score where scores are compared.
	Lost int
	// Reasons say which devices are lost.
	Reasons []string
}

// Area is one area of the pair.
type Area struct {
	Name    string
	Primary string // the node designated to act for it
}

// Path is one network path between the nodes.
type Path struct {
	Name   string
	Listen string // this node's address on the path
	Peer   string // the peer's address on the path
}

// Config is what a pair is configured with.
type Config struct {
	Project string // a peer of another project is refused
	Version string // shown to operators
	Digest  string // of the configuration; a peer with another digest is flagged and gets no hand-back
	Self    string
	Peer    string
	Areas   []Area
	Paths   []Path
	// DataDir holds the stored epochs, in one small file.
	DataDir string

	Heartbeat time.Duration
	Misses    int
	JoinWait  time.Duration // default 2 x Misses heartbeats
	Failback  role.Failback
	HoldOff   time.Duration // default 10 s
	Policy    role.Policy
	StepLimit time.Duration // of a planned switch, default 5 s
	// HealthMargin is how much better the peer's score must be for ten seconds until an area moves there;
	// [role.NoHealthSwitch] for never. Default 20.
	HealthMargin int

	// RingAge and RingBytes bound what is kept for a standby that reconnects; beyond them it gets a snapshot.
	// Defaults 60 s and 64 MiB, for each area.
	RingAge   time.Duration
	RingBytes int

	// ServerTLS and ClientTLS secure the link; both must authenticate the peer (ClientAuth: RequireAndVerifyClientCert).
	// Without them every address must be a loopback address.
	ServerTLS *tls.Config
	ClientTLS *tls.Config
	// Secured is told of every TLS handshake that succeeded, on either side. Optional; it may block for a write to disk.
	Secured func(tls.ConnectionState)
}

// Witness tells, when the peer is silent on every path, what a third party knows of it. Ask may block until ctx ends.
type Witness interface {
	Ask(ctx context.Context, area string) role.Verdict
}

// Options is what a [Node] is made of.
type Options struct {
	Config Config
	Host   Host
	// Witness is optional.
	Witness Witness
	// Event is told every change worth a journal entry. Optional.
	Event func(Event)
	// Log defaults to silence.
	Log *slog.Logger
	// Dial and Listen default to the real network.
	Dial   func(ctx context.Context, network, address string) (net.Conn, error)
	Listen func(network, address string) (net.Listener, error)
}

// Event is a change an operator may want to read about, for the journal and the log.
type Event struct {
	Time   time.Time
	Area   string // empty when it concerns the whole link
	What   string // a constant, see the Event constants
	Reason string // the sentence for people
	Epoch  uint64
}

// What happened, in [Event].
const (
	EventRole      = "role"       // the role of an area changed
	EventSwitch    = "switch"     // a step of a planned switch, or its roll-back
	EventPath      = "path"       // a network path came up or was lost
	EventPeer      = "peer"       // the peer appeared, restarted, left, was refused or has another configuration
	EventLease     = "lease"      // device writes are held, or released again
	EventMirror    = "mirror"     // the stream was established or lost
	EventStall     = "stall"      // this node stood still for longer than a heartbeat
	EventActivate  = "activate"   // an activation failed
	EventWitness   = "witness"    // what a witness said
	EventOperator  = "operator"   // what an operator ordered
	EventDropped   = "dropped"    // events were dropped because the receiver was slow
	EventDoubleAct = "two-active" // both nodes were active; who gave way and why
)

// Durability is what [Node.WaitDurable] found.
type Durability uint8

// The durabilities.
const (
	// Solo means that no standby is connected: the record is on this node alone.
	Solo Durability = iota
	// Durable means that the standby has it on disk.
	Durable
)

// Status is everything the pair shows of itself.
type Status struct {
	Node    string
	Version string
	Digest  string
	Areas   []AreaStatus
	// FailoverReady says that the loss of either node would be survived; NotReady says why not.
	FailoverReady bool
	NotReady      []string
	Health        Health
	Paths         []PathStatus
	Peer          PeerStatus
	LastSwitch    *Switch // the newest this node knows of, nil before the first
	EventsDropped uint64
}

// AreaStatus is one area as this node sees it.
type AreaStatus struct {
	Area        string
	Designation string // primary or standby
	Role        role.Role
	Epoch       uint64
	Confirmed   bool
	Since       time.Time
	Reason      string
	// MayWrite is the fence now; Solo says that it stands without a lease, LeaseLeft how long the lease still runs.
	MayWrite  bool
	Solo      bool
	LeaseLeft time.Duration
	// Pinned says that an operator chose this node and automatic hand-back waits for a release.
	Pinned bool
	// Switching names the step of a planned switch under way.
	Switching string
	Mirror    MirrorStatus
	// Switch is the record of how this node last became active, nil when it has not been since it started.
	Switch *Switch
}

// MirrorStatus is how far the stream of an area has come. On a standby it is its own position; on an active that of
// the connected standby.
type MirrorStatus struct {
	Connected  bool
	Epoch      uint64
	Published  uint64 // on the active
	AppliedSeq uint64
	DurableSeq uint64
	Lag        time.Duration // age of the oldest record not applied yet
}

// PathStatus is one network path.
type PathStatus struct {
	Name string
	Up   bool
	RTT  time.Duration
	Lost uint64 // requests without an answer
	// Problem says why the path is down or who was refused on it.
	Problem string
}

// PeerStatus is the peer as it last told of itself.
type PeerStatus struct {
	Node        string
	Reachable   bool
	Version     string
	Digest      string
	DigestEqual bool
	LastHeard   time.Time
	ClockOffset time.Duration // its wall clock minus ours, less half a round trip
	Areas       []PeerArea
	Health      Health
	// Refused says why a peer was turned away (other project, other protocol, a certificate that is not accepted), by
	// either node; empty if none was.
	Refused string
}

// PeerArea is one area as the peer last told of it.
type PeerArea struct {
	Area      string
	Role      role.Role
	Epoch     uint64
	Confirmed bool
	Since     time.Time
	Reason    string
	Mirror    MirrorStatus
}

// Switch is the record of one switch-over.
type Switch struct {
	Area     string
	From, To string
	Kind     role.Kind
	Reason   string
	At       time.Time
	Epoch    uint64
	Detect   time.Duration // last proof of the peer's life to the decision
	Activate time.Duration // decision to the return of Host.Activate
	// FirstValue is from the decision to the last device's first good value; the host fills it with [Node.FirstValue].
	FirstValue time.Duration
	// MissedSlots and Duplicates are the host's, by [Node.Proof].
	MissedSlots int
	Duplicates  int
}
