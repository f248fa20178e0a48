// Package acquisition is the seam between the plant and the server: a [Source] polls devices and publishes samples
// into a [Sink]; a [Group] runs the sources of one area under one context that lives as long as the node is active.
//
// A Source is one physical path: a TCP endpoint with the units behind it, a serial line, an OPC UA session. It touches
// its devices only between the start and the return of Run, so "Run has returned" is the proof that another node may
// take over. The drivers are in the rooms below this one.
package acquisition

import (
	"context"
	"time"

	"scada/acquisition/tag"
)

// Publisher takes batches of samples.
type Publisher interface {
	// Publish hands over the samples of one answer. It never blocks and does not keep the slice: the caller reuses it.
	// It is called from several goroutines, one per source.
	Publish(batch []tag.Update)
}

// Sink is what a source reports to while it runs.
type Sink interface {
	Publisher
	// Settled is called once for each device after Run began: with a nil error when every block (or subscription) of
	// the device has delivered its first values, with the reason when the device turned out not to answer. A device
	// that answers after all is reported a second time, with nil. It never blocks.
	Settled(device string, at time.Time, err error)
}

// Source is one channel: one TCP endpoint (perhaps a gateway with many units), one serial line, one OPC UA session.
type Source interface {
	// Devices returns the names of the devices on this channel.
	Devices() []string
	// Run polls until ctx ends. At once it reads everything, whatever the scan class, then each block in its slots. It
	// returns only when nothing of it touches a device any more; the error is nil when ctx ended it. It may be called
	// again after it returned, never twice at a time.
	Run(ctx context.Context, sink Sink) error
	// Write does one operator write: the next frame on the wire, read back afterwards, never repeated when it is
	// unknown whether the device has executed it.
	Write(ctx context.Context, w Write) WriteResult
	// Probe is the standby's look at a device while Run is not running, as far as the device's probe setting permits:
	// nothing, a connection, one read. Run interrupts a probe and waits for its end.
	Probe(ctx context.Context, device string) error
	// Status returns the state of each device, in the order of Devices. It may be called at any time.
	Status() []DeviceStatus
}

// Write is one operator write.
type Write struct {
	Tag   tag.ID
	Name  string // of the tag, for a caller that cannot know the number the source gives it
	Value tag.Value
	// Fence is called immediately before each frame that could change the device; an error refuses the write. It keeps
	// a node that has lost its role since the request came in from writing.
	Fence func() error
}

// Outcome says what became of a write.
type Outcome uint8

// The outcomes of a write.
const (
	// Refused: nothing was sent.
	Refused Outcome = iota
	// Confirmed: the value was read back.
	Confirmed
	// Rejected: the device answered with an error.
	Rejected
	// Mismatch: the device accepted the write and returned another value when read.
	Mismatch
	// Unknown: the write may or may not have been executed, and the value could not be verified.
	Unknown
)

var outcomeNames = [...]string{"refused", "confirmed", "rejected", "mismatch", "unknown"}

// String returns the name of the outcome in lower case.
func (o Outcome) String() string {
	if int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return "outcome(?)"
}

// WriteResult is the outcome of a write with its evidence.
type WriteResult struct {
	Outcome  Outcome
	ReadBack tag.Sample // zero if nothing was read back
	Err      error      // why, unless Confirmed
}

// State is the state of a device on its channel.
type State uint8

// The states of a device.
const (
	// Stopped: the source is not running.
	Stopped State = iota
	// Connecting: the path to the device is not up.
	Connecting
	// Waiting: the path is up, the device has not answered yet.
	Waiting
	// Good: the last request was answered.
	Good
	// Suspect: the last request was not answered; it is being repeated.
	Suspect
	// Demoted: the device does not answer and is probed at growing intervals.
	Demoted
)

var stateNames = [...]string{"stopped", "connecting", "waiting", "good", "suspect", "demoted"}

// String returns the name of the state in lower case.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "state(?)"
}

// Counters count since the source was made. They never go back.
type Counters struct {
	Requests   uint64           // frames sent
	Answers    uint64           // good answers
	Timeouts   uint64           // requests without an answer in time
	Exceptions map[uint8]uint64 // answers that were an error of the device, by code
	Late       uint64           // answers after the time-out; never used
	Malformed  uint64           // answers that did not fit the request, bad checksums
	Reconnects uint64           // connections made after the first
	Demotions  uint64           // times the device was demoted
	Overruns   uint64           // slots missed, because the channel was busy or the device silent
	Writes     uint64           // operator writes sent
}

// DeviceStatus describes one device for people and metrics.
type DeviceStatus struct {
	Device      string
	Endpoint    string
	State       State
	Since       time.Time // of the state
	LastError   string
	LastErrorAt time.Time
	LastGood    time.Time // last good answer
	Response    time.Duration
	ResponseMax time.Duration
	Lateness    time.Duration // how late after its slot the last poll was sent
	Tags        int
	Window      int // requests that may be in flight; 0 where that has no meaning
	Blocks      int // requests per full scan
	Unwanted    int // registers and bits in them that no tag is of
	Counters    Counters
}
