package tag

import (
	"math"
	"time"
)

// ID is the dense index of a tag in one revision of the configuration: the tags in order of their names, from 0.
// Both nodes with the same configuration digest have the same IDs; a file that outlives a revision uses names.
type ID uint32

// Sample is a value with the instant it was true and the quality it had.
type Sample struct {
	// Time is UTC nanoseconds since 1970. It is the source's own time where the source has one (OPC UA), else the
	// arrival of the answer that carried the value.
	Time    int64
	Value   Value
	Quality Quality
}

// At returns the sample's time.
func (s Sample) At() time.Time { return time.Unix(0, s.Time).UTC() }

// Update is a sample of one tag.
type Update struct {
	Tag ID
	Sample
}

// HistoryMode says which samples of a tag are recorded.
type HistoryMode uint8

// The history modes.
const (
	// HistoryAll records every sample acquired.
	HistoryAll HistoryMode = iota
	// HistoryChange records a sample when its value (beyond the deadband) or quality differs from the last recorded.
	HistoryChange
	// HistoryOff records nothing.
	HistoryOff
)

// Linear maps raw device numbers to engineering units: the interval Raw to the interval EU. The zero value is "no scaling".
type Linear struct {
	RawLow, RawHigh float64
	Low, High       float64
}

// IsZero reports whether there is no scaling.
func (l Linear) IsZero() bool { return l == Linear{} }

// Scale converts a raw number to engineering units.
func (l Linear) Scale(raw float64) float64 {
	if l.IsZero() {
		return raw
	}
	return l.Low + (raw-l.RawLow)*(l.High-l.Low)/(l.RawHigh-l.RawLow)
}

// Unscale converts engineering units to a raw number.
func (l Linear) Unscale(eu float64) float64 {
	if l.IsZero() {
		return eu
	}
	return l.RawLow + (eu-l.Low)*(l.RawHigh-l.RawLow)/(l.High-l.Low)
}

// Range is the normal span of a tag in engineering units; OPC UA calls it EURange. The zero value is "none".
type Range struct{ Low, High float64 }

// IsZero reports whether no range is configured.
func (r Range) IsZero() bool { return r == Range{} }

// Definition is what the configuration says of one tag. It is read-only after loading.
type Definition struct {
	ID          ID
	Name        string // slash-separated path, unique in the plant: line1/pump1/speed
	Area        string
	Device      string
	Address     string // the driver's own notation: hr:100, ns=2;s=Pump1.Speed
	Type        Type   // the type of the value users see; with Scale usually float64
	RawType     Type   // the type on the wire; equal to Type without scaling
	ScanClass   string
	ScanPeriod  time.Duration
	Unit        string // UCUM or plain text: rpm, m3/h, °C
	Description string
	Range       Range
	Scale       Linear
	Root        bool     `json:",omitzero"` // Scale is of the square root: flow from a pressure difference
	Clamp       bool     `json:",omitzero"` // what Scale gives is held between its two ends
	Encoding    Encoding `json:",omitzero"` // of the number on the wire
	Deadband    float64  // engineering units; a smaller change is not a change for clients and HistoryChange
	Writable    bool
	Bits        []string // names of states for discrete tags: [off, on]
	ByteOrder   string   // ABCD, CDAB, BADC, DCBA; empty means the device's
	History     HistoryMode
}

// Encoding is a form of numbers on the wire that is not that of their type.
type Encoding uint8

// The encodings.
const (
	Plain   Encoding = iota
	BCD              // four decimal digits a register, in a uint16, uint32 or uint64
	Float16          // half precision in one register, in a float32
)

// ToUnits converts a raw number to engineering units.
func (d *Definition) ToUnits(raw float64) float64 {
	l := d.Scale
	v := l.Scale(raw)
	if d.Root && !l.IsZero() {
		share := (raw - l.RawLow) / (l.RawHigh - l.RawLow)
		v = l.Low + math.Sqrt(max(share, 0))*(l.High-l.Low) // below the low end there is no flow
	}
	if d.Clamp && !l.IsZero() {
		v = min(max(v, min(l.Low, l.High)), max(l.Low, l.High))
	}
	return v
}

// ToRaw is the inverse of ToUnits, as far as there is one.
func (d *Definition) ToRaw(eu float64) float64 {
	l := d.Scale
	if d.Root && !l.IsZero() {
		share := (eu - l.Low) / (l.High - l.Low)
		return l.RawLow + max(share, 0)*max(share, 0)*(l.RawHigh-l.RawLow)
	}
	return l.Unscale(eu)
}
