package api

import "time"

// DeviceTestCommand is a request to examine a device.
type DeviceTestCommand struct {
	// Here asks the node that answers, not the active one. A standby does no more than the device's probe setting permits.
	Here bool `json:"here,omitempty"`
}

// DeviceTest is what was found out about a device.
type DeviceTest struct {
	Name     string       `json:"name"`
	Area     string       `json:"area"`
	Driver   string       `json:"driver"`
	Node     string       `json:"node"` // that asked the device
	Role     string       `json:"role"` // of that node in the area
	Time     time.Time    `json:"time"`
	Identity []DeviceFact `json:"identity"`
	// Reached says of a standby's look, in which nothing else is measured, whether the device answered, and after how long.
	Reached     *bool         `json:"reached,omitempty"`
	ReachedMs   float64       `json:"reached_ms,omitempty"`
	Trials      []DeviceTrial `json:"trials"`
	BestWindow  int           `json:"best_window,omitempty"`  // requests in flight from which more bring nothing
	LargestRead int           `json:"largest_read,omitempty"` // values in one request: registers or bits, nodes of an OPC UA device
	Notes       []string      `json:"notes"`
}

// DeviceFact is one thing a device says of itself.
type DeviceFact struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// DeviceTrial is one measurement of a device.
type DeviceTrial struct {
	Window     int     `json:"window"` // requests in flight
	PerSecond  float64 `json:"per_s"`
	Answers    int     `json:"answers"`
	P50Ms      float64 `json:"p50_ms"`
	P99Ms      float64 `json:"p99_ms"`
	MaxMs      float64 `json:"max_ms"`
	Timeouts   int     `json:"timeouts"`
	Malformed  int     `json:"malformed"` // frames that did not fit their request, or came too late
	Exceptions int     `json:"exceptions"`
	Lost       bool    `json:"lost"` // the connection broke
}

// DeviceBrowse asks what a device has.
type DeviceBrowse struct {
	Node   string // where to begin; empty is everything
	Cursor string
	Limit  int
}

// DeviceNodes is a page of what a device has.
type DeviceNodes struct {
	Nodes []DeviceNode `json:"nodes"`
	Total int          `json:"total"`
	Next  string       `json:"next,omitempty"`
}

// DeviceNode is a variable of a device.
type DeviceNode struct {
	Address  string `json:"address"` // as of a tag
	Path     string `json:"path"`
	Type     string `json:"type,omitempty"` // as of a tag; empty when no tag can hold it
	Writable bool   `json:"writable"`
}
