// Package journal keeps what happened: alarm transitions, operator actions, log-ins, switch-overs, device losses. It is
// append-only, ordered by time, and the same on both nodes: an entry has a key that both compute alike, and writing it
// twice is writing it once.
package journal

import (
	"time"

	"scada/alarms"
)

// Class is one of the event classes of a control room's journal.
type Class string

// The classes.
const (
	ClassAlarm   Class = "alarm"   // a transition of an alarm condition
	ClassWrite   Class = "write"   // an operator or an application wrote a value
	ClassSession Class = "session" // log-in, log-out, refused log-in
	ClassRole    Class = "role"    // the pair: roles, links, switch-overs
	ClassConfig  Class = "config"  // configuration and application deployments
	ClassSystem  Class = "system"  // devices, disks, clocks
	ClassStation Class = "station" // a node starts or stops, a client comes or goes
)

// Category is how control rooms sort what is not an alarm by itself: what people did, who came and went, which stations
// ran, and what the applications and the system did.
type Category string

// The categories.
const (
	CategoryAlarm       Category = "alarm"       // the process, without anybody's doing
	CategoryOperation   Category = "operation"   // writes, acknowledgements, shelvings, orders of people
	CategoryLogin       Category = "login"       // log-in, log-out, refused log-in
	CategoryWorkstation Category = "workstation" // nodes that start and stop, clients that come and go
	CategoryApplication Category = "application" // applications, roles and devices by themselves
)

// Categories are all of them.
var Categories = []Category{CategoryAlarm, CategoryOperation, CategoryLogin, CategoryWorkstation, CategoryApplication}

// Category returns the category of the entry.
func (e *Entry) Category() Category {
	person := e.User != "" && e.User != alarms.System
	switch {
	case e.Class == ClassSession:
		return CategoryLogin
	case e.Class == ClassStation:
		return CategoryWorkstation
	case e.Class == ClassWrite || person:
		return CategoryOperation
	case e.Class == ClassAlarm:
		return CategoryAlarm
	}
	return CategoryApplication
}

// Entry is one record. Strings are at most [alarms.MaxText] bytes.
type Entry struct {
	// Key is equal on both nodes for the same happening. Of an alarm it is the event's own key.
	Key     alarms.Key    `json:"key"`
	Time    int64         `json:"time"` // UTC nanoseconds
	Class   Class         `json:"class"`
	Kind    string        `json:"kind"` // RAISE, ACK, …; write; log-in; switch; lost; …
	Area    string        `json:"area,omitempty"`
	Source  string        `json:"source,omitempty"` // condition, tag, device, user or node it is about
	Tag     string        `json:"tag,omitempty"`
	User    string        `json:"user,omitempty"`
	Node    string        `json:"node,omitempty"`
	Epoch   uint64        `json:"epoch,omitempty"`
	Message string        `json:"message,omitempty"`
	Old     string        `json:"old,omitempty"`
	New     string        `json:"new,omitempty"`
	Result  string        `json:"result,omitempty"`
	Value   string        `json:"value,omitempty"`
	Quality string        `json:"quality,omitempty"`
	Alarm   *alarms.Event `json:"alarm,omitempty"` // of an alarm: the whole event
}

// At returns the time of the entry.
func (e Entry) At() time.Time { return time.Unix(0, e.Time).UTC() }

// Query selects entries. Zero fields select everything.
type Query struct {
	From, To   int64 // From <= time < To; UTC nanoseconds, To 0 is no end
	Class      Class
	Category   Category
	Kind       string
	Area       string
	Source     string // condition, tag, device, user or node
	Tag        string
	User       string
	Text       string // part of the message or source, any case
	Descending bool   // newest first
	Limit      int    // at most [MaxPage]; 0 is [DefaultPage]
	Cursor     string // of the previous page
}

// Limits of a query.
const (
	DefaultPage = 200
	MaxPage     = 10_000
)

// Page is an answer; Next is empty on the last one.
type Page struct {
	Entries []Entry
	Next    string
}
