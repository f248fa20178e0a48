package modbus

import "scada/acquisition/tag"

// lasts is what is known last of each point of a device, in a third of the bytes of samples: each answer touches that of
// all its points, and a thousand devices have more of it than the cache holds.
type lasts struct {
	known []known
	texts map[int]string // of points that are texts
}

type known struct {
	bits    uint64
	quality tag.Quality
	typ     tag.Type
}

func newLasts(points int) lasts {
	l := lasts{known: make([]known, points)}
	for i := range l.known {
		l.known[i].quality = tag.BadWaitingForInitialData
	}
	return l
}

// text is the last value of a point that is a text.
func (l *lasts) text(i int) string {
	if l.texts == nil { // most devices have none, and a look into a map costs more than the decoding of a register
		return ""
	}
	return l.texts[i]
}

func (l *lasts) value(i int) tag.Value {
	if k := &l.known[i]; k.typ != tag.TypeString {
		return tag.FromBits(k.typ, k.bits, "")
	}
	return tag.String(l.texts[i])
}

// learn keeps a value and its quality, and returns the value to publish: without one the last stays.
func (l *lasts) learn(i int, v tag.Value, q tag.Quality) tag.Value {
	k := &l.known[i]
	k.quality = q
	if v.IsNone() {
		return l.value(i)
	}
	k.bits, k.typ = v.Bits(), v.Type()
	if k.typ == tag.TypeString {
		l.keepText(i, v.Text())
	}
	return v
}

func (l *lasts) keepText(i int, text string) {
	if l.texts == nil {
		l.texts = map[int]string{}
	}
	l.texts[i] = text
}
