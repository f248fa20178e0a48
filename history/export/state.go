package export

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
)

// Limits of a state.
const (
	MaxParked  = 100     // entries of samples that were left out
	maxReason  = 300     // bytes of an engine's reason
	maxWindows = 1 << 20 // twenty years
	// MaxState is the largest stored state in bytes.
	MaxState = 16 << 20
)

const windowNanos = int64(Window)

// State is what an engine has: for both nodes of a pair the same.
type State struct {
	Time   int64 // everything before it was sent, of the windows that are not over for a while
	First  int64 // the number of the window the first digest is of
	Done   []uint64
	Totals Totals
	Parked []Parked // the last ones
}

// Totals count samples over the life of a target.
type Totals struct {
	Sent    uint64 `json:"sent"`    // taken by the engine, those sent twice included
	Refused uint64 `json:"refused"` // beyond [MaxValue], not sent
	Parked  uint64 `json:"parked"`  // the engine called them wrong
	Missed  uint64 `json:"missed"`  // removed from the archive before they were sent, of all tags
}

func (t *Totals) add(u Totals) {
	t.Sent += u.Sent
	t.Refused += u.Refused
	t.Parked += u.Parked
	t.Missed += u.Missed
}

// Parked is some samples an engine called wrong.
type Parked struct {
	At      int64  `json:"at"` // when that was
	Tag     string `json:"tag"`
	Tags    int    `json:"tags"` // how many tags, the named one included
	From    int64  `json:"from"` // of the first and the last sample
	To      int64  `json:"to"`
	Samples int    `json:"samples"`
	Status  int    `json:"status"`
	Reason  string `json:"reason"`
}

// Mark says that a window was sent, and what it held then.
type Mark struct {
	Window int64  `json:"w"`
	Digest uint64 `json:"d"`
}

// Step is progress.
type Step struct {
	Time   int64    `json:"time,omitempty"`
	Trim   int64    `json:"trim,omitempty"` // windows before it are no longer in the archive
	Done   []Mark   `json:"done,omitempty"`
	Totals Totals   `json:"totals"`
	Parked []Parked `json:"parked,omitempty"`
}

func (s *Step) add(t Step) {
	s.Time, s.Trim = max(s.Time, t.Time), max(s.Trim, t.Trim)
	s.Done = append(s.Done, t.Done...)
	s.Totals.add(t.Totals)
	s.Parked = lastOf(append(s.Parked, t.Parked...))
}

func lastOf(list []Parked) []Parked { return list[max(0, len(list)-MaxParked):] }

// Clone returns a state that shares nothing with this one.
func (s State) Clone() State {
	s.Done, s.Parked = slices.Clone(s.Done), slices.Clone(s.Parked)
	return s
}

// Apply takes progress over.
func (s *State) Apply(p Step) {
	s.Time = max(s.Time, p.Time)
	for _, m := range p.Done {
		s.mark(m)
	}
	if n := p.Trim - s.First; n > 0 {
		s.Done = slices.Clone(s.Done[min(n, int64(len(s.Done))):])
		s.First = p.Trim
	}
	s.Totals.add(p.Totals)
	s.Parked = lastOf(append(s.Parked, p.Parked...))
}

// mark notes what a window held. One that lies absurdly far from the others is not noted, and sent again some day.
func (s *State) mark(m Mark) {
	if len(s.Done) == 0 {
		s.First = m.Window
	}
	if n := s.First - m.Window; n > 0 {
		if n+int64(len(s.Done)) > maxWindows {
			return
		}
		s.Done = append(make([]uint64, n), s.Done...)
		s.First = m.Window
	}
	n := m.Window - s.First
	if n >= maxWindows {
		return
	}
	for int64(len(s.Done)) <= n {
		s.Done = append(s.Done, 0)
	}
	s.Done[n] = m.Digest
}

// done returns what a window held when it was sent, 0 when it was not.
func (s *State) done(window int64) uint64 {
	if n := window - s.First; n >= 0 && n < int64(len(s.Done)) {
		return s.Done[n]
	}
	return 0
}

// stateJSON is a state as it is stored: the digests are 8 bytes each, little-endian, in base64.
type stateJSON struct {
	Version int      `json:"version"`
	Time    int64    `json:"time"`
	First   int64    `json:"first"`
	Done    string   `json:"done"`
	Totals  Totals   `json:"totals"`
	Parked  []Parked `json:"parked,omitempty"`
}

const stateVersion = 1

// Encode returns the state as bytes for [ReadState].
func (s State) Encode() []byte {
	raw := make([]byte, 0, 8*len(s.Done))
	for _, d := range s.Done {
		raw = binary.LittleEndian.AppendUint64(raw, d)
	}
	// Plain structs of numbers and texts: it can't fail.
	b, _ := json.Marshal(stateJSON{Version: stateVersion, Time: s.Time, First: s.First, Done: base64.StdEncoding.EncodeToString(raw), Totals: s.Totals, Parked: s.Parked})
	return b
}

// ReadState reads what Encode wrote.
func ReadState(b []byte) (State, error) {
	if len(b) > MaxState {
		return State{}, fmt.Errorf("the state of an export has %d bytes, the limit is %d", len(b), MaxState)
	}
	var f stateJSON
	if err := json.Unmarshal(b, &f); err != nil {
		return State{}, fmt.Errorf("the state of an export: %w", err)
	}
	raw, err := base64.StdEncoding.DecodeString(f.Done)
	switch {
	case err != nil:
		return State{}, fmt.Errorf("the digests of an export: %w", err)
	case f.Version != stateVersion:
		return State{}, fmt.Errorf("the state of an export has version %d, not %d", f.Version, stateVersion)
	case len(raw)%8 != 0 || len(raw)/8 > maxWindows || f.First < 0 || f.First > 1<<40 || f.Time < 0:
		return State{}, fmt.Errorf("the state of an export has %d bytes of digests from window %d, time %d", len(raw), f.First, f.Time)
	}
	s := State{Time: f.Time, First: f.First, Totals: f.Totals, Parked: lastOf(f.Parked)}
	for i := 0; i < len(raw); i += 8 {
		s.Done = append(s.Done, binary.LittleEndian.Uint64(raw[i:]))
	}
	return s, nil
}

// CheckStep bounds progress that came from the other node.
func CheckStep(p Step) error {
	if len(p.Done) > maxWindows || len(p.Parked) > MaxParked || p.Time < 0 || p.Trim < 0 {
		return fmt.Errorf("progress of an export with %d windows, %d parked entries, time %d", len(p.Done), len(p.Parked), p.Time)
	}
	for _, m := range p.Done {
		if m.Window < 0 || m.Window > 1<<40 {
			return fmt.Errorf("progress of an export with window %d", m.Window)
		}
	}
	return nil
}
