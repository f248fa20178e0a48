package acquisition

import (
	"context"
	"errors"
	"fmt"
	"time"

	"scada/acquisition/tag"
)

// Examination is what a source found out about a device by asking it many things.
type Examination struct {
	Device    string
	Connected time.Duration // a standby's look: how long connecting took; 0 where the connection was there
	Identity  []Fact        // what the device says of itself
	Trials    []Trial
	Best      int // requests in flight from which more bring nothing
	Largest   int // values in the longest read that was answered; 0 where that has no meaning
	Notes     []string
}

// Fact is one thing a device says of itself.
type Fact struct{ Name, Text string }

// Trial is one measurement: as many requests as are answered in a while, with so many in flight.
type Trial struct {
	Window     int
	Took       time.Duration
	Answers    int
	Timeouts   int
	Malformed  int // frames that did not fit, or came too late
	Exceptions int
	Lost       bool // the connection broke
	P50        time.Duration
	P99        time.Duration
	Max        time.Duration
}

// Good reports whether nothing went wrong.
func (t Trial) Good() bool {
	return t.Answers > 0 && t.Timeouts+t.Malformed+t.Exceptions == 0 && !t.Lost
}

// Rate is good answers a second.
func (t Trial) Rate() float64 {
	if t.Took <= 0 {
		return 0
	}
	return float64(t.Answers) / t.Took.Seconds()
}

// enough is the share of the best rate from which a smaller window is the better choice.
const enough = 0.9

// BestWindow returns the smallest window that brings nearly the best rate, of the trials in which nothing went wrong.
func BestWindow(trials []Trial) int {
	best := 0.0
	for _, t := range trials {
		if t.Good() {
			best = max(best, t.Rate())
		}
	}
	for _, t := range trials {
		if t.Good() && t.Rate() >= enough*best {
			return t.Window
		}
	}
	return 0
}

// Examiner is a source that can be asked to examine one of its devices while it runs. It travels on the connection the
// polls use and lets them go first.
type Examiner interface {
	Examine(ctx context.Context, device string) (Examination, error)
}

// ErrNotExaminable is the reason a device cannot be examined: nothing outside is behind it.
var ErrNotExaminable = errors.New("there is nothing to examine: the values are computed here")

// Examine asks the source that has the device.
func (g *Group) Examine(ctx context.Context, device string) (Examination, error) {
	s, err := g.source(device)
	if err != nil {
		return Examination{}, err
	}
	e, ok := s.(Examiner)
	if !ok {
		return Examination{}, fmt.Errorf("device %q: %w", device, ErrNotExaminable)
	}
	return e.Examine(ctx, device)
}

// Node is a variable in a device's address space.
type Node struct {
	ID       string   // as the address of a tag
	Path     string   // its name behind those it is found below, with slashes between
	Type     tag.Type // of a tag for it; TypeNone when it is no single value
	Writable bool
}

// MaxBrowse is the most variables a device is searched for.
const MaxBrowse = 100_000

// Browser is a source whose device can tell what it has.
type Browser interface {
	// Browse returns the variables below a node (all of them: an empty node) in order of their paths, leaving out the first
	// skip, at most most. total is how many there are.
	Browse(ctx context.Context, node string, skip, most int) (nodes []Node, total int, err error)
}

// ErrNotBrowsable is the reason a device cannot be browsed: its protocol has no way to ask.
var ErrNotBrowsable = errors.New("its protocol has no list of what it holds")

// Browse asks the source that has the device what the device has.
func (g *Group) Browse(ctx context.Context, device, node string, skip, most int) ([]Node, int, error) {
	s, err := g.source(device)
	if err != nil {
		return nil, 0, err
	}
	b, ok := s.(Browser)
	if !ok {
		return nil, 0, fmt.Errorf("device %q: %w", device, ErrNotBrowsable)
	}
	return b.Browse(ctx, node, skip, most)
}
