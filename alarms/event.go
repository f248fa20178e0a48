package alarms

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"

	"scada/acquisition/tag"
)

// Key identifies an event on both nodes: a hash of condition, term, occurrence, kind, level and time. It serves as the
// journal key and as OPC UA EventId.
type Key [16]byte

// String returns the key in hexadecimal.
func (k Key) String() string { return hex.EncodeToString(k[:]) }

// MarshalText writes the key in hexadecimal.
func (k Key) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, k[:]), nil }

// UnmarshalText reads a key in hexadecimal.
func (k *Key) UnmarshalText(b []byte) error {
	if len(b) != hex.EncodedLen(len(k)) {
		return fmt.Errorf("event key of %d characters, want %d", len(b), hex.EncodedLen(len(k)))
	}
	_, err := hex.Decode(k[:], b)
	return err
}

// The notes the engine writes.
const (
	NoteBad       = "bad"       // QUALITY: an input became bad
	NoteUncertain = "uncertain" // QUALITY: an input became uncertain and the alarm holds on uncertain
	NoteGood      = "good"      // QUALITY: all inputs are usable again
	NoteRemoved   = "removed"   // CLEAR: the alarm left the configuration
	NoteFlood     = "flood"     // SUPPRESS, UNSUPPRESS: of an alarm flood
	NoteFork      = "fork"      // any kind: recorded by the losing side of a split brain
	NoteMerged    = "merged"    // a command of the losing side was taken over
	NoteAdopted   = "adopted"   // MERGE: an unacknowledged alarm only the losing side saw
)

// System is the user of what the engine does by itself.
const System = "system"

// Event is one record of the alarm journal. Times are UTC nanoseconds, zero means none.
type Event struct {
	Key  Key   `json:"key"`
	Time int64 `json:"time"`
	// Order counts the events of one instant as the active recorded them, so that cause stays before effect.
	Order      uint16   `json:"order,omitempty"`
	Condition  string   `json:"condition"`
	Kind       Kind     `json:"kind"`
	State      State    `json:"state"`
	Level      Level    `json:"level,omitempty"` // active level; of a CLEAR the level that ended
	Priority   Priority `json:"priority"`
	Occurrence uint64   `json:"occurrence"`
	Term       uint64   `json:"term"` // epoch of the active node that recorded it
	// Annunciate tells list, horn and notifications to announce the event.
	Annunciate bool `json:"annunciate,omitempty"`
	// Onset is when the condition became true, if that was before Time (on-delay).
	Onset int64 `json:"onset,omitempty"`
	// NotBefore is set when the true instant is uncertain: it lies in [NotBefore, Time].
	NotBefore int64    `json:"not_before,omitempty"`
	Grouped   bool     `json:"grouped,omitempty"`   // the condition belongs to a first-out group
	FirstOut  bool     `json:"first_out,omitempty"` // and this activation was the first of the group
	Also      []uint64 `json:"also,omitempty"`      // ACK: earlier occurrences acknowledged with this one
	By        string   `json:"by,omitempty"`
	Comment   string   `json:"comment,omitempty"`
	Note      string   `json:"note,omitempty"`
	Until     int64    `json:"until,omitempty"` // SHELVE: when it ends
	// OneShot marks a SHELVE that ends with the activation.
	OneShot bool        `json:"one_shot,omitempty"`
	Value   tag.Value   `json:"-"`
	Quality tag.Quality `json:"-"`
	Limit   float64     `json:"limit,omitempty"`
}

// KeyOf computes the key of an event from its identity.
func KeyOf(e *Event) Key {
	b := make([]byte, 0, 96)
	b = binary.AppendUvarint(b, uint64(len(e.Condition)))
	b = append(b, e.Condition...)
	b = binary.AppendUvarint(b, e.Term)
	b = binary.AppendUvarint(b, e.Occurrence)
	b = append(b, byte(e.Kind), byte(e.Level))
	b = binary.LittleEndian.AppendUint64(b, uint64(e.Time))
	sum := sha256.Sum256(b)
	return Key(sum[:16])
}

// NotificationKey names the event towards receivers of notifications, who see deliveries of both nodes:
// condition#occurrence/kind.
func (e *Event) NotificationKey() string {
	return e.Condition + "#" + strconv.FormatUint(e.Occurrence, 10) + "/" + e.Kind.String()
}
