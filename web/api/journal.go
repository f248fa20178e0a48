package api

import (
	"strconv"
	"time"
)

// JournalEntry is one record of the journal: an alarm transition, an operator's action, or an event of the system.
type JournalEntry struct {
	ID   string    `json:"id"` // the same on both nodes
	Time time.Time `json:"time"`
	Kind string    `json:"kind"` // alarm, write, session, role, config, system, station
	// Category is alarm, operation, login, workstation or application: who or what is behind it.
	Category string `json:"category,omitempty"`
	Event    string `json:"event"`
	Area     string `json:"area,omitempty"`
	Source   string `json:"source,omitempty"` // the condition, tag, device or user it is about
	User     string `json:"user,omitempty"`
	Node     string `json:"node,omitempty"`
	Epoch    uint64 `json:"epoch,omitempty"`
	State    string `json:"state,omitempty"`
	Level    string `json:"level,omitempty"`
	Old      string `json:"old,omitempty"`
	New      string `json:"new,omitempty"`
	Result   string `json:"result,omitempty"`
	Message  string `json:"message,omitempty"`

	// Of an alarm: which activation, how urgent (1 is the most), whether operators were told, and the engine's note
	// (fork: recorded by the losing side of a split brain; merged, adopted, dup_of…: what came of it).
	Occurrence uint64 `json:"occurrence,omitempty"`
	Priority   int    `json:"priority,omitempty"`
	Annunced   bool   `json:"ann,omitempty"`
	Note       string `json:"note,omitempty"`
}

// JournalColumns are the columns of the journal as a table, in the order of [JournalEntry.Row].
func JournalColumns() []string {
	return []string{"time", "kind", "event", "area", "source", "state", "level", "user", "old", "new", "result", "message", "node", "epoch", "id",
		"occurrence", "priority", "annunciated", "note", "category"}
}

// Row returns the entry as cells.
func (e *JournalEntry) Row() []string {
	return []string{e.Time.UTC().Format(time.RFC3339Nano), e.Kind, e.Event, e.Area, e.Source, e.State, e.Level, e.User, e.Old, e.New, e.Result, e.Message,
		e.Node, strconv.FormatUint(e.Epoch, 10), e.ID, strconv.FormatUint(e.Occurrence, 10), strconv.Itoa(e.Priority), strconv.FormatBool(e.Annunced), e.Note, e.Category}
}

// Journal is one page of GET /api/v1/journal, newest entry first.
type Journal struct {
	Entries []JournalEntry `json:"entries"`
	Next    string         `json:"next,omitempty"`
}

// JournalQuery selects journal entries.
type JournalQuery struct {
	From, To time.Time // zero: unbounded
	Kind     string
	Category string // alarm, operation, login, workstation, application
	Area     string
	Source   string
	User     string
	Text     string
	Limit    int
	Cursor   string
}
