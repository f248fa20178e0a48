package history

import (
	"errors"
	"fmt"
	"time"

	"scada/acquisition/tag"
)

// Reasons for an answer that is not there.
var (
	ErrUnknownTag = errors.New("no such tag in the history")
	ErrInUse      = errors.New("the history is in use by another process")
	ErrClosed     = errors.New("the history is closed")
	ErrTooMuch    = errors.New("the request is too large")
	ErrFormat     = errors.New("malformed history data")
)

// Scope says which tags a gap is about. An empty field means any.
type Scope struct{ Area, Device, ScanClass string }

// Gap is a stretch of time, From included and To not, in which samples of a scope could not be recorded.
type Gap struct {
	Scope    Scope
	From, To int64 // UTC nanoseconds
	Reason   string
}

// Damage is one block that cannot be read. Everything else in its file is unaffected.
type Damage struct {
	File   string // path below the archive's folder
	Tag    string
	Window time.Time
	Layer  Layer
	Err    error
}

// Error describes the damage.
func (d Damage) Error() string {
	return fmt.Sprintf("%s: tag %q, window %s, layer %s: %v", d.File, d.Tag, d.Window.UTC().Format(time.RFC3339), d.Layer, d.Err)
}

// Unwrap returns the reason.
func (d Damage) Unwrap() error { return d.Err }

// Layer says how samples came into the archive. Samples of all layers are read as one set.
type Layer uint8

// The layers.
const (
	LayerOwn      Layer = iota // recorded as they happened
	LayerLate                  // arrived after their window was closed, or written after the clock stepped back
	LayerBackfill              // received from the peer, or from a device that kept them
	LayerManual                // entered or imported by a person
	layerEnd
)

// String returns the layer's name.
func (l Layer) String() string {
	if l < layerEnd {
		return [...]string{"own", "late", "backfill", "manual"}[l]
	}
	return fmt.Sprintf("layer(%d)", uint8(l))
}

// Cursor is a position in the samples of one tag; the zero Cursor is the beginning.
type Cursor struct {
	Time int64 `json:"time"` // samples before Time have been returned
	Skip int   `json:"skip"` // and so many at Time
	Set  bool  `json:"set"`
}

// Page is an answer of [Store.Raw].
type Page struct {
	Samples []tag.Sample // in order of time
	Gaps    []Gap        // of this tag, that touch the range, as far as no samples were brought later
	Damaged []Damage     // blocks in the range that could not be read
	Next    Cursor       // where to go on when More is set
	More    bool
}

// Kind is an aggregate function; the names and meanings are those of OPC UA Part 13.
type Kind int

// The aggregates. Only Good samples count as values; Uncertain and Bad ones are what DurationBad and PercentBad see.
const (
	Interpolative Kind = iota // the value at the start of the interval
	Average                   // mean of the samples
	TimeAverage               // mean weighted by time
	Total                     // integral over seconds
	Minimum
	Maximum
	MinimumTime // the minimum, with the time it happened
	MaximumTime
	Range
	Count
	Start // first and last sample of the interval
	End
	Delta        // End - Start
	DurationGood // seconds
	DurationBad
	PercentGood
	PercentBad
	Transitions // changes of value
	StandardDeviation
	WorstQuality
	kindEnd
)

// Point is one result of an aggregate: Time is the interval's start, or for MinimumTime and MaximumTime, Start and End
// the time it happened. Without data the Quality is BadNoData and the value none.
type Point = tag.Sample

// Digest identifies a set of samples: equal sets have equal digests, whatever order they were recorded in.
type Digest struct {
	Samples uint64
	Hash    [2]uint64
}

// WindowDigest is the digest of one window over all tags.
type WindowDigest struct {
	Window time.Time
	Digest
}

// Stats are counters since Open, and sizes now.
type Stats struct {
	Appended     uint64 // samples accepted
	Duplicates   uint64 // samples dropped because they were in the archive already
	Filtered     uint64 // samples the history mode of their tag leaves out
	Refused      uint64 // samples refused: unknown tag, time out of range, too long
	Lost         uint64 // samples refused because the disk could not keep up or was full
	NotFinite    uint64 // NaN and infinite values, recorded as bad
	ClockSteps   uint64 // steps back of the clock
	Replayed     uint64 // samples found in the journal by Open
	TornBytes    int64  // bytes of journal cut by Open because they were not whole
	Mended       uint64 // records of the journal in which Open put a flipped bit right
	Commits      uint64 // syncs of the journal
	Flushes      uint64 // windows written to day files
	Sealed       uint64 // days sealed
	Durable      uint64 // position on disk
	Pending      int    // bytes of journal not yet on disk
	HeadSamples  int64  // samples in memory
	DiskBytes    int64  // size of the archive
	Days         int
	OldestDay    time.Time // zero without days
	DamagedFound uint64
}
