// Package notify decides who is told of an alarm, when, and what is still owed: the outbox of an area.
//
// Both nodes hold the same outbox. It follows from what is the same on both: the alarm events, in order, and the marks
// of what a receiver has taken. Only the active node sends. After a take-over the new one sends what has no mark, so
// everything arrives at least once, and under an id that is equal on both nodes: a receiver that keeps ids gets it
// exactly once.
//
// The package reads no clock and sends nothing; package send does.
package notify

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"scada/alarms"
)

// Limits of an outbox.
const (
	// MaxItems is how many items one outbox holds; beyond it the oldest are given up and counted.
	MaxItems = 20_000
	// MaxBatch is how many items go to a receiver in one message.
	MaxBatch = 500
	// MaxReceivers and MaxRoutes bound the configuration.
	MaxReceivers = 100
	MaxRoutes    = 1000
	// MaxWait is the longest delay, grouping, escalation or repetition time.
	MaxWait = 7 * 24 * time.Hour
	// MinRepeat is the shortest time after which somebody is told again.
	MinRepeat = 10 * time.Second
)

// Route says who is told of which alarms. An empty list matches everything.
type Route struct {
	Name        string
	Areas       []string
	Classes     []string
	Conditions  []string // ids; * at the end stands for the rest
	MinPriority alarms.Priority
	To          []string // receivers

	// Delay tells only of what nobody has acknowledged, and what has not gone, for so long.
	Delay time.Duration
	// Group collects what comes within this time of the first into one message.
	Group time.Duration
	// Repeat tells again until it is acknowledged or gone.
	Repeat time.Duration
	// After so long without acknowledgement, EscalateTo is told too.
	Escalate   time.Duration
	EscalateTo []string
	// Resolved also tells that an alarm has gone.
	Resolved bool
}

// Config is the routing of all areas.
type Config struct {
	Receivers []string // names
	Routes    []Route
}

// RouteError is one thing wrong with a route.
type RouteError struct {
	Index int
	Field string // configuration name
	Text  string
}

// Error returns the text.
func (e *RouteError) Error() string { return e.Text }

// Validate returns everything wrong with the routes.
func (c Config) Validate() []*RouteError {
	var errs []*RouteError
	fail := func(i int, field, format string, args ...any) {
		errs = append(errs, &RouteError{Index: i, Field: field, Text: fmt.Sprintf(format, args...)})
	}
	if len(c.Routes) > MaxRoutes {
		fail(0, "name", "%d routes, the limit is %d", len(c.Routes), MaxRoutes)
		return errs
	}
	seen := map[string]bool{}
	for i, r := range c.Routes {
		if r.Name == "" || seen[r.Name] {
			fail(i, "name", "route name %q is empty or there twice", r.Name)
		}
		seen[r.Name] = true
		if len(r.To) == 0 {
			fail(i, "to", "a route needs a receiver")
		}
		for field, names := range map[string][]string{"to": r.To, "escalate_to": r.EscalateTo} {
			for _, name := range names {
				if !slices.Contains(c.Receivers, name) {
					fail(i, field, "no receiver is named %q", name)
				}
			}
		}
		for field, d := range map[string]time.Duration{"delay": r.Delay, "group": r.Group, "repeat": r.Repeat, "escalate": r.Escalate} {
			if d < 0 || d > MaxWait {
				fail(i, field, "%s is outside 0 .. %s", d, MaxWait)
			}
		}
		if r.Repeat > 0 && r.Repeat < MinRepeat {
			fail(i, "repeat", "repeat must be 0 or at least %s", MinRepeat)
		}
		if (r.Escalate > 0) != (len(r.EscalateTo) > 0) {
			fail(i, "escalate", "escalate and escalate_to belong together")
		}
	}
	return errs
}

// matches reports whether the route is for the notice.
func (r *Route) matches(n *Notice) bool {
	return n.Priority >= r.MinPriority && listed(r.Areas, n.Area) && listed(r.Classes, n.Class) && named(r.Conditions, n.Condition)
}

func listed(list []string, s string) bool { return len(list) == 0 || slices.Contains(list, s) }

func named(patterns []string, id string) bool {
	for _, p := range patterns {
		if rest, ok := strings.CutSuffix(p, "*"); p == id || ok && strings.HasPrefix(id, rest) {
			return true
		}
	}
	return len(patterns) == 0
}

// Notice is what is told of an alarm.
type Notice struct {
	Kind       alarms.Kind     `json:"kind"` // RAISE, LEVEL, REALARM…, or CLEAR when it has gone
	Condition  string          `json:"condition"`
	Occurrence uint64          `json:"occurrence"`
	Area       string          `json:"area"`
	Class      string          `json:"class,omitempty"`
	Tag        string          `json:"tag,omitempty"`
	Level      alarms.Level    `json:"level,omitempty"`
	State      alarms.State    `json:"state"`
	Priority   alarms.Priority `json:"priority"`
	Message    string          `json:"message,omitempty"`
	Guidance   string          `json:"guidance,omitempty"`
	Value      string          `json:"value,omitempty"`
	Unit       string          `json:"unit,omitempty"`
	Time       int64           `json:"time"`            // of the event, UTC nanoseconds
	Ended      int64           `json:"ended,omitempty"` // of a CLEAR: when it went; Time is then when it came
}

// Resolved reports whether the notice says that the alarm has gone.
func (n *Notice) Resolved() bool { return n.Kind == alarms.KindClear }

// Item is one notice for one receiver.
type Item struct {
	// ID is equal on both nodes and in every attempt: condition#occurrence/kind@receiver, with a number when it is
	// said again.
	ID        string        `json:"id"`
	Receiver  string        `json:"receiver"`
	Route     string        `json:"route"`
	Notice    Notice        `json:"notice"`
	Due       int64         `json:"due"`             // not before
	Group     time.Duration `json:"group,omitempty"` // and wait so long for others
	Waiting   bool          `json:"waiting"`         // is to be sent; else it only waits for the end of the alarm
	Escalated bool          `json:"escalated,omitempty"`
	Repeat    time.Duration `json:"repeat,omitempty"`
	Resolved  bool          `json:"resolved,omitempty"` // the end is told too
	Rounds    int           `json:"rounds,omitempty"`   // how often a receiver has taken it
	SentAt    int64         `json:"sent_at,omitempty"`
}
