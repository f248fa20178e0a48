package api

import "time"

// Pair is the state of both nodes as one node sees it: the answer of GET /api/v1/role.
type Pair struct {
	Nodes []Node `json:"nodes"`
	// LastSwitch is the record of the newest change of the active node, null when there was none.
	LastSwitch *Switch `json:"last_switch"`
	// Switches are the newest records of the areas, one for each that ever changed its node.
	Switches []Switch `json:"switches,omitempty"`
}

// Find returns the node with the given name.
func (p Pair) Find(name string) (Node, bool) {
	for _, n := range p.Nodes {
		if n.Node == name {
			return n, true
		}
	}
	return Node{}, false
}

// Epoch returns the highest epoch any node reports for any area: the pair's epoch.
func (p Pair) Epoch() uint64 {
	var e uint64
	for _, n := range p.Nodes {
		for _, a := range n.Areas {
			e = max(e, a.Epoch)
		}
	}
	return e
}

// Node is the state of one node of the pair.
type Node struct {
	Node         string   `json:"node"`
	Designation  string   `json:"designation"` // primary or standby, as configured
	Reachable    bool     `json:"reachable"`
	Version      string   `json:"version"`
	ConfigDigest string   `json:"config_digest"`
	Areas        []Area   `json:"areas"`
	Ready        bool     `json:"failover_ready"`
	NotReady     []string `json:"not_ready"`
	Score        int      `json:"score"`            // sum of the weights of what is wrong; 0 is healthy
	Faults       []string `json:"faults,omitempty"` // what the score is made of
	Paths        []Path   `json:"paths"`
	Mirror       Mirror   `json:"mirror"`
	Backfill     Backfill `json:"backfill"`
}

// Area returns the node's state in one area.
func (n Node) Area(name string) (Area, bool) {
	for _, a := range n.Areas {
		if a.Area == name {
			return a, true
		}
	}
	return Area{}, false
}

// The designations of a node, as configured.
const (
	DesignatedPrimary = "primary"
	DesignatedStandby = "standby"
)

// The roles a node can have in an area. RoleUnknown is the role of a node that does not answer: what it told last is no
// news of what it is now, and two active nodes must not be counted where there is one.
const (
	RoleUnknown     = "unknown"
	RoleActive      = "active"
	RoleStandby     = "standby"
	RoleStarting    = "starting"
	RoleIsolated    = "isolated"
	RoleMaintenance = "maintenance"
)

// Area is what a node does in one area.
type Area struct {
	Area string `json:"area"`
	// Designation is primary or standby for this area: with crossed areas a node is both.
	Designation string `json:"designation,omitempty"`
	Role        string `json:"role"`
	// Was is the role that a node with the role unknown told last.
	Was       string    `json:"was,omitempty"`
	Epoch     uint64    `json:"epoch"`
	Confirmed bool      `json:"confirmed"`
	Since     time.Time `json:"since"`
	Reason    string    `json:"reason"`
}

// Path is one network path between the nodes.
type Path struct {
	Name  string  `json:"name"`
	Up    bool    `json:"up"`
	RTTms float64 `json:"rtt_ms"`
	Lost  uint64  `json:"lost"`
}

// Mirror is how far the standby has followed the stream of the active.
type Mirror struct {
	AppliedSeq uint64 `json:"applied_seq"`
	DurableSeq uint64 `json:"durable_seq"`
	LagMs      int64  `json:"lag_ms"`
}

// Backfill is what a node still has to copy from the history of the other.
type Backfill struct {
	Remaining  int64      `json:"remaining"`
	VerifiedAt *time.Time `json:"verified_at"`
}

// Switch is the record of one change of the active node.
type Switch struct {
	Area         string    `json:"area"`
	From         string    `json:"from"`
	To           string    `json:"to"`
	At           time.Time `json:"at"`
	Kind         string    `json:"kind"` // fault, planned, hand-back, drill or health
	Reason       string    `json:"reason"`
	DetectMs     int64     `json:"detect_ms"`
	ActivateMs   int64     `json:"activate_ms"`
	FirstValueMs int64     `json:"first_value_ms"`
	MissedSlots  int64     `json:"missed_slots"`
	Duplicates   int64     `json:"duplicates"`
	Epoch        uint64    `json:"epoch,omitempty"` // of the term that began
	// Devices is when each device had delivered its first values.
	Devices []SwitchDevice `json:"devices,omitempty"`
}

// SwitchDevice is one device in the record of a switch.
type SwitchDevice struct {
	Device       string `json:"device"`
	FirstValueMs int64  `json:"first_value_ms"`
	Error        string `json:"error,omitempty"` // why there were none: the switch did not wait for it
}

// The verbs of a role command, the last part of POST /api/v1/role/….
const (
	VerbSwitch      = "switch"
	VerbTake        = "take"
	VerbRelease     = "release"
	VerbDrill       = "drill"
	VerbMaintenance = "maintenance"
)

// RoleCommand asks for a change of roles.
type RoleCommand struct {
	Verb   string `json:"verb,omitempty"` // set by the server from the path
	Area   string `json:"area,omitempty"` // empty: every area
	To     string `json:"to,omitempty"`   // switch only: the node that shall be active; areas it has already stay
	Reason string `json:"reason,omitempty"`
	Force  bool   `json:"force,omitempty"` // take only: although the other node may be active
	On     bool   `json:"on,omitempty"`    // maintenance only
}

// RoleResult is what came of a role command.
type RoleResult struct {
	Result string  `json:"result"` // done, or accepted when it goes on after the answer
	Detail string  `json:"detail,omitempty"`
	Switch *Switch `json:"switch,omitempty"`
}

// NodeInfo identifies the node that answers: GET /api/v1/node.
type NodeInfo struct {
	Node         string    `json:"node"`
	Project      string    `json:"project"`
	Version      string    `json:"version"`
	GoVersion    string    `json:"go_version,omitempty"`
	ConfigDigest string    `json:"config_digest"`
	StartedAt    time.Time `json:"started_at"`
	Time         time.Time `json:"time"`
	Tags         int       `json:"tags"`
	Devices      int       `json:"devices"`
}

// ConfigDigest is the answer of GET /api/v1/config/digest.
type ConfigDigest struct {
	Node   string `json:"node"`
	Digest string `json:"config_digest"`
}

// Health is the body of the anonymous health checks; it holds nothing but the status.
type Health struct {
	Status string `json:"status"` // ok or unavailable
}
