package alarms

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"scada/acquisition/tag"
)

// Limits on the binary forms, which come from the link and from files.
const (
	// MaxEvents is the number of events in one outcome.
	MaxEvents = 1 << 20
	// maxConditions is the number of condition or tag images in one outcome or snapshot: non-exclusive alarms have four.
	maxConditions = 4 * MaxDefinitions
	maxLimits     = 8
	// formatVersion is what is written. Version 1 had neither the flood nor the last event of a condition.
	formatVersion = 2
	formatFlood   = 2
)

// ErrCodec is the reason given for bytes that are not an outcome or a snapshot.
var ErrCodec = errors.New("malformed alarm data")

// AppendOutcome appends the binary form of the outcome: little-endian, counts and text lengths as uvarints, a version
// first. Equal outcomes give equal bytes.
func AppendOutcome(dst []byte, o Outcome) []byte {
	dst = append(dst, formatVersion)
	dst = appendBool(dst, o.Mark != nil)
	if o.Mark != nil {
		dst = binary.AppendUvarint(dst, o.Mark.Term)
		dst = appendTime(dst, o.Mark.Time)
	}
	dst = binary.AppendUvarint(dst, uint64(len(o.Events)))
	for i := range o.Events {
		dst = appendEvent(dst, &o.Events[i])
	}
	dst = binary.AppendUvarint(dst, uint64(len(o.Changed)))
	for i := range o.Changed {
		dst = appendCondition(dst, &o.Changed[i])
	}
	dst = binary.AppendUvarint(dst, uint64(len(o.Tags)))
	for i := range o.Tags {
		dst = appendTag(dst, &o.Tags[i])
	}
	if dst = appendBool(dst, o.Flood != nil); o.Flood != nil {
		dst = appendFlood(dst, o.Flood)
	}
	return dst
}

func appendFlood(dst []byte, f *FloodImage) []byte {
	dst = binary.AppendUvarint(appendTime(dst, f.Since), uint64(len(f.Raised)))
	for _, t := range f.Raised {
		dst = appendTime(dst, t)
	}
	return dst
}

func readFlood(r *reader) FloodImage {
	f := FloodImage{Since: r.time()}
	for range r.count("activations", MaxFloodEnter+1) {
		f.Raised = append(f.Raised, r.time())
	}
	return f
}

// ReadOutcome decodes one outcome from the front of b and returns the rest. It never panics and allocates in proportion
// to the input.
func ReadOutcome(b []byte) (Outcome, []byte, error) {
	r := newReader(b)
	r.version()
	var o Outcome
	if r.bool() {
		o.Mark = &Mark{Term: r.Uvarint(), Time: r.time()}
	}
	for range r.count("events", MaxEvents) {
		o.Events = append(o.Events, readEvent(r))
		if r.Err() != nil {
			return Outcome{}, b, r.Err()
		}
	}
	for range r.count("conditions", maxConditions) {
		o.Changed = append(o.Changed, readCondition(r))
		if r.Err() != nil {
			return Outcome{}, b, r.Err()
		}
	}
	for range r.count("tags", maxConditions) {
		o.Tags = append(o.Tags, readTag(r))
		if r.Err() != nil {
			return Outcome{}, b, r.Err()
		}
	}
	if r.v >= formatFlood && r.bool() {
		f := readFlood(r)
		o.Flood = &f
	}
	if r.Err() != nil {
		return Outcome{}, b, r.Err()
	}
	return o, r.Left(), nil
}

func appendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, 1)
	}
	return append(dst, 0)
}

func appendTime(dst []byte, t int64) []byte { return binary.LittleEndian.AppendUint64(dst, uint64(t)) }

func appendFloat(dst []byte, f float64) []byte {
	return binary.LittleEndian.AppendUint64(dst, math.Float64bits(f))
}

func appendText(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

func appendValue(dst []byte, v tag.Value, q tag.Quality) []byte {
	return tag.AppendUpdate(dst, tag.Update{Sample: tag.Sample{Value: v, Quality: q}})
}

func appendEvent(dst []byte, ev *Event) []byte {
	dst = append(dst, ev.Key[:]...)
	dst = appendTime(dst, ev.Time)
	dst = binary.LittleEndian.AppendUint16(dst, ev.Order)
	dst = appendText(dst, ev.Condition)
	dst = append(dst, byte(ev.Kind), byte(ev.State), byte(ev.Level), byte(ev.Priority))
	dst = binary.AppendUvarint(dst, ev.Occurrence)
	dst = binary.AppendUvarint(dst, ev.Term)
	for _, v := range [...]bool{ev.Annunciate, ev.Grouped, ev.FirstOut, ev.OneShot} {
		dst = appendBool(dst, v)
	}
	for _, t := range [...]int64{ev.Onset, ev.NotBefore, ev.Until} {
		dst = appendTime(dst, t)
	}
	dst = binary.AppendUvarint(dst, uint64(len(ev.Also)))
	for _, n := range ev.Also {
		dst = binary.AppendUvarint(dst, n)
	}
	for _, s := range [...]string{ev.By, ev.Comment, ev.Note} {
		dst = appendText(dst, s)
	}
	dst = appendValue(dst, ev.Value, ev.Quality)
	return appendFloat(dst, ev.Limit)
}

func readEvent(r *reader) Event {
	var ev Event
	ev.Key = r.key()
	ev.Time, ev.Order, ev.Condition = r.time(), r.Uint16(), r.Text(MaxID)
	ev.Kind, ev.State = Kind(r.enum(uint8(kindEnd))), State(r.enum(uint8(stateEnd)))
	ev.Level, ev.Priority = Level(r.enum(uint8(levelEnd))), Priority(r.enum(uint8(priorityEnd)))
	ev.Occurrence, ev.Term = r.Uvarint(), r.Uvarint()
	ev.Annunciate, ev.Grouped, ev.FirstOut, ev.OneShot = r.bool(), r.bool(), r.bool(), r.bool()
	ev.Onset, ev.NotBefore, ev.Until = r.time(), r.time(), r.time()
	for range r.count("occurrences", MaxEarlier) {
		ev.Also = append(ev.Also, r.Uvarint())
	}
	ev.By, ev.Comment, ev.Note = r.Text(MaxText), r.Text(MaxText), r.Text(MaxText)
	ev.Value, ev.Quality = r.value()
	ev.Limit = r.Float64()
	return ev
}

func appendCondition(dst []byte, c *ConditionImage) []byte {
	dst = appendText(dst, c.ID)
	dst = append(dst, byte(c.Level), byte(c.Priority), byte(c.Shelving), byte(c.Suppressed))
	dst = binary.AppendUvarint(dst, c.Occurrence)
	dst = binary.AppendUvarint(dst, c.OccurrenceTerm)
	for _, v := range [...]bool{c.Unacked, c.Latched, c.Held, c.BadReported, c.Idle, c.FirstOut, c.OOS, c.HasTarget} {
		dst = appendBool(dst, v)
	}
	for _, t := range [...]int64{c.GapFrom, c.RaisedAt, c.ClearedAt, c.ChangedAt, c.AckedAt, c.RealarmAt, c.Onset, c.NotBefore, c.ShelvedUntil} {
		dst = appendTime(dst, t)
	}
	for _, s := range [...]string{c.AckedBy, c.ShelvedBy, c.OOSBy, c.Comment} {
		dst = appendText(dst, s)
	}
	dst = appendFloat(dst, c.Target)
	dst = appendFloat(dst, c.LimitValue)
	dst = appendValue(dst, c.Value, c.Quality)
	dst = binary.AppendUvarint(dst, uint64(len(c.Earlier)))
	for _, o := range c.Earlier {
		dst = binary.AppendUvarint(binary.AppendUvarint(dst, o.Term), o.Number)
	}
	dst = binary.AppendUvarint(dst, uint64(len(c.Limits)))
	for _, l := range c.Limits {
		dst = appendBool(append(dst, byte(l.Level)), l.Active)
		dst = appendTime(appendTime(dst, l.Onset), l.Offset)
	}
	dst = append(dst, c.Last.Key[:]...)
	return appendText(binary.AppendUvarint(dst, c.Last.Occurrence), c.Last.By)
}

func readCondition(r *reader) ConditionImage {
	var c ConditionImage
	c.ID = r.Text(MaxID)
	c.Level, c.Priority = Level(r.enum(uint8(levelEnd))), Priority(r.enum(uint8(priorityEnd)))
	c.Shelving = Shelving(r.enum(uint8(ShelvedOneShot) + 1))
	c.Suppressed = Suppression(r.enum(uint8(suppressionEnd)))
	c.Occurrence, c.OccurrenceTerm = r.Uvarint(), r.Uvarint()
	for _, v := range [...]*bool{&c.Unacked, &c.Latched, &c.Held, &c.BadReported, &c.Idle, &c.FirstOut, &c.OOS, &c.HasTarget} {
		*v = r.bool()
	}
	for _, t := range [...]*int64{&c.GapFrom, &c.RaisedAt, &c.ClearedAt, &c.ChangedAt, &c.AckedAt, &c.RealarmAt, &c.Onset, &c.NotBefore, &c.ShelvedUntil} {
		*t = r.time()
	}
	for _, s := range [...]*string{&c.AckedBy, &c.ShelvedBy, &c.OOSBy, &c.Comment} {
		*s = r.Text(MaxText)
	}
	c.Target, c.LimitValue = r.Float64(), r.Float64()
	c.Value, c.Quality = r.value()
	for range r.count("occurrences", MaxEarlier) {
		c.Earlier = append(c.Earlier, Occurrence{Term: r.Uvarint(), Number: r.Uvarint()})
	}
	for range r.count("limits", maxLimits) {
		c.Limits = append(c.Limits, LimitImage{Level: Level(r.enum(uint8(levelEnd))), Active: r.bool(), Onset: r.time(), Offset: r.time()})
	}
	if r.v >= formatFlood {
		c.Last = LastEvent{Key: r.key(), Occurrence: r.Uvarint(), By: r.Text(MaxText)}
	}
	return c
}

func appendTag(dst []byte, f *TagImage) []byte {
	dst = appendText(dst, f.Name)
	for _, t := range [...]int64{f.Time, f.GoodAt, f.RefAt} {
		dst = appendTime(dst, t)
	}
	dst = appendFloat(dst, f.RefV)
	dst = appendValue(dst, f.Value, f.Quality)
	return appendBool(appendBool(dst, f.Bad), f.Blind)
}

func readTag(r *reader) TagImage {
	f := TagImage{Name: r.Text(MaxID), Time: r.time(), GoodAt: r.time(), RefAt: r.time(), RefV: r.Float64()}
	f.Value, f.Quality = r.value()
	f.Bad, f.Blind = r.bool(), r.bool()
	return f
}

// reader takes the fields of an outcome or a snapshot of version v off the front of bytes.
type reader struct {
	tag.Reader
	v uint8
}

func newReader(b []byte) *reader { return &reader{Reader: tag.NewReader(b, ErrCodec)} }

func (r *reader) version() {
	if r.v = r.Byte(); r.Err() == nil && (r.v == 0 || r.v > formatVersion) {
		r.Fail(fmt.Sprintf("format version %d, this program reads 1 to %d", r.v, formatVersion))
	}
}

// count reads a number of elements, each of which takes at least one byte.
func (r *reader) count(what string, limit int) int {
	v := r.Uvarint()
	if v > uint64(limit) || v > uint64(len(r.Left())) {
		r.Fail("number of " + what)
		return 0
	}
	return int(v)
}

func (r *reader) key() (k Key) {
	copy(k[:], r.Take(len(k)))
	return k
}

func (r *reader) bool() bool { return r.enum(2) == 1 }

func (r *reader) enum(end uint8) uint8 {
	v := r.Byte()
	if v >= end {
		r.Fail("value out of range")
		return 0
	}
	return v
}

// time reads an instant; none of ours lies before 1970, and 0 is none.
func (r *reader) time() int64 {
	t := int64(r.Uint64())
	if t < 0 {
		r.Fail("time before 1970")
		return 0
	}
	return t
}

func (r *reader) value() (tag.Value, tag.Quality) {
	u := r.Update()
	return u.Value, u.Quality
}
