// Package resource starts, watches and stops what belongs to the active node of an area beside its polling: a virtual
// address, a mount, a service.
//
// A [Manager] has the resources of one area in the order of the configuration. [Manager.Run] lives as long as the role:
// it starts them in order, watches them, starts again what failed, and stops them in reverse when its context ends. It
// returns only then, so a node that has given its role away holds nothing any more. [Manager.Clean] removes what a
// killed process left behind; a node calls it before it does anything else.
//
// Each step has a time limit. A step that does not even end when it is cancelled (a mount that hangs in the kernel) is
// given up after [Grace]; nothing else is done with that resource until the step has ended after all.
package resource

import (
	"context"
	"errors"
	"time"
)

// Grace is how long a cancelled step has to end before it is given up.
const Grace = 500 * time.Millisecond

// The delays between a failure and the next attempt: doubled from the first to the last.
const (
	firstRetry = time.Second
	lastRetry  = 10 * time.Second
)

// steady is how long a resource has to work before its earlier failures are forgotten.
const steady = time.Minute

var (
	// ErrStuck says that an earlier step of the resource has not ended although its time was over.
	ErrStuck = errors.New("an earlier step still hangs")
	// ErrUnsupported says that this system cannot do what the resource needs.
	ErrUnsupported = errors.New("not supported on this system")
)

// Resource is one thing that only the active node has. Each method ends with its context. Start is not called on a
// resource that is started, but Stop is called on one that is not: it must be harmless then.
type Resource interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	// Monitor returns why the resource does not work, or nil.
	Monitor(ctx context.Context) error
}

// Cleaner is a [Resource] that can remove what an earlier process left behind.
type Cleaner interface {
	// Clean reports whether there was anything to remove.
	Clean(ctx context.Context) (bool, error)
}

// Limits are the longest times of the steps.
type Limits struct{ Start, Stop, Monitor time.Duration }

// Item is one resource of an area.
type Item struct {
	Name string
	// Critical makes a failure a fault of the node, and the items after it wait for it. What follows one that is not
	// critical starts whether it works or not.
	Critical bool
	Interval time.Duration // between two monitor steps
	Limits   Limits
	Resource Resource
}

// Phase is what a resource does now.
type Phase uint8

// The phases.
const (
	Stopped    Phase = iota // as it should be on a standby
	Waiting                 // for those before it, or for its first start to end
	Up                      // started, and no monitor step has failed since
	Failed                  // waits for the next attempt
	StopFailed              // could not be stopped: it may still be here
)

// String returns the phase as shown to operators.
func (p Phase) String() string {
	return [...]string{"stopped", "waiting", "up", "failed", "stop-failed"}[min(p, StopFailed)]
}

// Event is a change an operator may want to read about.
type Event struct {
	Resource string
	Critical bool
	Phase    Phase
	Reason   string // why it failed
}

// Status is one resource as it is now.
type Status struct {
	Name     string
	Critical bool
	Phase    Phase
	Reason   string
	Since    time.Time
}
