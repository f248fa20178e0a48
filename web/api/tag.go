package api

import "time"

// Sample is a value with its time and quality. Value is a JSON number, boolean, string, or null when there is none.
type Sample struct {
	Time    *time.Time `json:"time"` // null before the first value
	Value   any        `json:"value"`
	Quality string     `json:"quality"`
}

// Tag is the definition of a tag and its present sample.
type Tag struct {
	Name        string   `json:"name"`
	Area        string   `json:"area"`
	Device      string   `json:"device"`
	Address     string   `json:"address"`
	Type        string   `json:"type"`
	Unit        string   `json:"unit,omitempty"`
	Description string   `json:"description,omitempty"`
	ScanMs      int64    `json:"scan_ms"`
	Writable    bool     `json:"writable"`
	Low         *float64 `json:"low,omitempty"` // normal range in engineering units
	High        *float64 `json:"high,omitempty"`
	Deadband    float64  `json:"deadband,omitempty"`
	States      []string `json:"states,omitempty"` // names of the states of a discrete tag
	History     string   `json:"history"`          // all, change or off
	Sample
}

// Tags is one page of GET /api/v1/tags.
type Tags struct {
	Tags  []Tag  `json:"tags"`
	Total int    `json:"total"`          // tags that match, on all pages
	Next  string `json:"next,omitempty"` // cursor of the next page
}

// TagFilter selects tags. The zero value is all of them.
type TagFilter struct {
	Glob   string // slash-separated pattern: * within a part, ** over parts
	Area   string
	Device string
	Text   string // part of the name or description, any case
	Limit  int
	Cursor string
}

// Write is the body of POST /api/v1/tags/{name}/value.
type Write struct {
	Value any `json:"value"`
	// Deadline is the server's time after which the value must not be written any more; the server sets one when absent.
	Deadline *time.Time `json:"deadline,omitempty"`
	// Epoch, when not 0, is the epoch of the tag's area as the operator saw it: with another one the write is refused.
	Epoch uint64 `json:"epoch,omitempty"`
	// ExpectRole, when not empty, is the role this node must have in the tag's area.
	ExpectRole string `json:"expect_role,omitempty"`
	// Nonce makes the write unique: a second one with the same nonce is refused.
	Nonce  string `json:"nonce,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// The outcomes of a write that was not refused.
const (
	WriteConfirmed   = "confirmed"   // read back from the device
	WriteUnconfirmed = "unconfirmed" // the device accepted it, the read-back differs or is missing
	WriteUnknown     = "unknown"     // sent, then the connection or the node was lost
)

// WriteResult is what came of a write.
type WriteResult struct {
	Tag      string    `json:"tag"`
	Result   string    `json:"result"`
	Value    any       `json:"value"`
	ReadBack any       `json:"read_back"`
	Quality  string    `json:"quality,omitempty"` // of the read-back
	Time     time.Time `json:"time"`
	Node     string    `json:"node"` // the node that wrote
	Epoch    uint64    `json:"epoch"`
	Detail   string    `json:"detail,omitempty"`
}

// Device is the state of one device.
type Device struct {
	Name        string     `json:"name"`
	Area        string     `json:"area"`
	Driver      string     `json:"driver"`
	Endpoint    string     `json:"endpoint"`
	Node        string     `json:"node"`  // whose view this is
	State       string     `json:"state"` // connected, connecting, disconnected, standby, probing, out_of_service
	Since       *time.Time `json:"since"`
	Tags        int        `json:"tags"`
	LatencyMs   float64    `json:"latency_ms"`
	LatencyMax  float64    `json:"latency_max_ms"`
	StartLateMs float64    `json:"start_late_ms"`    // how long after its slot the last poll was sent
	Blocks      int        `json:"blocks"`           // requests of a full scan
	Window      int        `json:"window,omitempty"` // requests that may be in flight
	Requests    uint64     `json:"requests"`
	Errors      uint64     `json:"errors"`
	Timeouts    uint64     `json:"timeouts"`
	Overruns    uint64     `json:"overruns"` // poll slots missed
	Reconnects  uint64     `json:"reconnects"`
	Late        uint64     `json:"late"`      // answers after the time-out; never used
	Malformed   uint64     `json:"malformed"` // answers that did not fit their request
	Demotions   uint64     `json:"demotions"` // times it was asked less often, because it did not answer
	Writes      uint64     `json:"writes"`
	Exceptions  []uint64   `json:"exceptions,omitempty"` // by code, from 0 to the highest seen
	LastError   string     `json:"last_error,omitempty"`
	LastErrorAt *time.Time `json:"last_error_at,omitempty"`
	Detail      string     `json:"detail,omitempty"`
}

// Devices is the answer of GET /api/v1/devices.
type Devices struct {
	Devices []Device `json:"devices"`
}
