package history

import (
	"math"
	"sync/atomic"

	"scada/acquisition/tag"
	"scada/history/block"
)

// series is one tag of the archive, over all revisions of the configuration. The fields below the line change with
// SetTags and Append and are guarded by Store.mu.
type series struct {
	id   uint32 // in files
	name string
	seed uint64 // of the digest

	scope   Scope
	typ     tag.Type
	scaling atomic.Pointer[tag.Linear] // read without mu too
	stepped bool                       // values hold until the next sample
	mode    tag.HistoryMode
	band    float64

	area  *area
	head  *headWindow   // samples went to last
	open  *block.Buffer // of it
	last  tag.Sample    // recorded last, with HistoryChange
	some  bool          // last is set
	coder coder
}

// area is what is known of one area of the plant.
type area struct{ last int64 }

// define takes over a definition of the present configuration.
func (r *series) define(d tag.Definition) {
	r.scope = Scope{Area: d.Area, Device: d.Device, ScanClass: d.ScanClass}
	if d.History != tag.HistoryChange {
		r.some = false // last does not move meanwhile
	}
	r.typ, r.mode, r.band = d.Type, d.History, d.Deadband
	r.scaling.Store(&d.Scale)
	r.stepped = !d.Type.IsFloat() || d.History == tag.HistoryChange
}

// scale returns the scaling the tag's values come through.
func (r *series) scale() tag.Linear {
	if l := r.scaling.Load(); l != nil {
		return *l
	}
	return tag.Linear{}
}

// wants reports whether the history mode keeps a sample.
func (r *series) wants(x tag.Sample) bool {
	switch {
	case r.mode == tag.HistoryOff:
		return false
	case r.mode == tag.HistoryAll || !r.some || x.Quality != r.last.Quality || x.Value.Type() != r.last.Value.Type():
		return true
	case r.band > 0 && x.Value.Type().IsNumeric() && x.Value.Type() != tag.TypeBool:
		return math.Abs(x.Value.Number()-r.last.Value.Number()) > r.band
	}
	return x.Value != r.last.Value
}

// touches reports whether a gap of scope g concerns a tag of scope t.
func (g Scope) touches(t Scope) bool {
	return (g.Area == "" || g.Area == t.Area) && (g.Device == "" || g.Device == t.Device) && (g.ScanClass == "" || g.ScanClass == t.ScanClass)
}

// finite replaces a NaN or infinite value by none with a bad quality: nobody downstream must ever compute with it.
func finite(x tag.Sample) (tag.Sample, bool) {
	if !x.Value.Type().IsFloat() {
		return x, true
	}
	if v := x.Value.Number(); !math.IsNaN(v) && !math.IsInf(v, 0) {
		return x, true
	}
	x.Value = tag.Value{}
	if !x.Quality.IsBad() {
		x.Quality = tag.BadOutOfRange
	}
	return x, false
}

const (
	windowNanos = int64(Window)
	maxWindow   = 1<<62/windowNanos - 1 // the last one whose times a block can hold, in the year 2116
	dayWindows  = int64(24 * 3600 / 600)
)

// windowOf returns the number of the window a time falls into.
func windowOf(t int64) int64 {
	w := t / windowNanos
	if t%windowNanos < 0 {
		w--
	}
	return w
}
