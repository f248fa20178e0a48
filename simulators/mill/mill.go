// Package mill makes what a plant sends, for measurements: the same samples for every program that is compared, from a
// seed alone, so that what comes back can be checked bit for bit.
//
// Devices of a hundred tags share the time of a scan, to the millisecond; half of them are exactly on the tick, half
// come a few milliseconds beside it. The tags of a device are, over and over, the kinds in [Kinds].
package mill

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"scada/acquisition/tag"
)

// Kinds names what the tags are, by their number modulo 10.
var Kinds = [10]string{
	"temperature, 16-bit counts, noise 0.7", "level, counts, noise 2", "pressure, counts, noise 5", "flow, counts, noise 20",
	"float32 of a controller, no scaling known", "analogue input that idles two thirds of the time", "setpoint, changed now and then",
	"pump running", "valve open", "counter of pulses",
}

// DeviceTags is how many tags share a time.
const DeviceTags = 100

// Sample is one value of one tick.
type Sample struct {
	Tag    int
	Millis int64
	Value  float64
	Bad    bool // the device does not answer: the value is the one before
}

// Mill makes the samples of so many tags, tick by tick.
type Mill struct {
	Defs []tag.Definition

	r      *rand.Rand
	start  int64 // ms
	tick   int64
	walk   []float64
	count  []uint64
	held   []float64
	silent []int64 // per device: until which tick it does not answer
	buf    []Sample
}

// New returns a mill whose first tick is at start.
func New(tags int, start time.Time) *Mill {
	m := &Mill{
		r: rand.New(rand.NewPCG(2026, 11)), start: start.UnixMilli(),
		walk: make([]float64, tags), count: make([]uint64, tags), held: make([]float64, tags), silent: make([]int64, tags/DeviceTags+1),
	}
	counts := tag.Linear{RawHigh: 65535, Low: -50, High: 150}
	for i := range tags {
		d := tag.Definition{
			ID: tag.ID(i), Name: fmt.Sprintf("plant/device%03d/tag%02d", i/DeviceTags, i%DeviceTags), Area: "main", Device: fmt.Sprintf("device%03d", i/DeviceTags),
			ScanClass: "normal", Type: tag.TypeFloat64,
		}
		switch i % 10 {
		case 0, 1, 2, 3, 5:
			d.Scale = counts
		case 4:
			d.Type = tag.TypeFloat32
		case 7, 8:
			d.Type = tag.TypeBool
		case 9:
			d.Type = tag.TypeUint32
		}
		m.Defs = append(m.Defs, d)
		m.walk[i] = 20000 + float64(i%1000)*20
		m.held[i] = float64(40 + i%7)
	}
	return m
}

// Tick returns the samples of the next second of the first so many tags, in order of tag. They are valid until the next
// call.
func (m *Mill) Tick(tags int) []Sample {
	m.buf = m.buf[:0]
	tick := m.start + m.tick*1000
	at := tick
	for i := range m.Defs[:tags] {
		device := i / DeviceTags
		if i%DeviceTags == 0 {
			if at = tick; device%2 == 1 {
				at += min(400, max(-400, int64(math.Round(m.r.NormFloat64()*2))))
			}
			if m.silent[device] < m.tick && m.r.IntN(20_000) == 0 {
				m.silent[device] = m.tick + 10 + m.r.Int64N(60)
			}
		}
		bad := m.silent[device] > m.tick
		if !bad {
			m.held[i] = m.value(i)
		}
		m.buf = append(m.buf, Sample{Tag: i, Millis: at, Value: m.held[i], Bad: bad})
	}
	m.tick++
	return m.buf
}

var noise = [4]float64{0.7, 2, 5, 20}

func (m *Mill) value(i int) float64 {
	d := &m.Defs[i]
	switch kind := i % 10; kind {
	case 0, 1, 2, 3:
		m.walk[i] += m.r.NormFloat64() * 0.3
		return d.Scale.Scale(math.Round(m.walk[i] + noise[kind]*m.r.NormFloat64()))
	case 4:
		m.walk[i] += m.r.NormFloat64() * 0.3
		return float64(float32((m.walk[i] + 8*m.r.NormFloat64()) / 100))
	case 5:
		if (m.tick/200+int64(i))%3 > 0 {
			return d.Scale.Scale(0)
		}
		m.walk[i] += m.r.NormFloat64()
		return d.Scale.Scale(math.Round(m.walk[i]))
	case 6:
		if m.r.IntN(5000) == 0 {
			return float64(m.r.IntN(1000)) / 10
		}
	case 7, 8:
		if m.r.IntN(100) == 0 {
			return 1 - float64(min(1, int(m.held[i])))
		}
		return float64(min(1, int(m.held[i])))
	case 9:
		m.count[i] += uint64(m.r.IntN(2 + i%7))
		return float64(m.count[i] & math.MaxUint32)
	}
	return m.held[i]
}

// Update returns a sample as the archive takes it.
func (m *Mill) Update(x Sample) tag.Update {
	u := tag.Update{Tag: m.Defs[x.Tag].ID, Sample: tag.Sample{Time: x.Millis * 1e6}}
	if x.Bad {
		u.Quality = tag.BadCommunicationError
	}
	switch m.Defs[x.Tag].Type {
	case tag.TypeFloat32:
		u.Value = tag.Float32(float32(x.Value))
	case tag.TypeBool:
		u.Value = tag.Bool(x.Value != 0)
	case tag.TypeUint32:
		u.Value = tag.Uint(tag.TypeUint32, uint64(x.Value))
	default:
		u.Value = tag.Float64(x.Value)
	}
	return u
}

// Updates appends all samples of a tick as the archive takes them.
func (m *Mill) Updates(dst []tag.Update, tick []Sample) []tag.Update {
	for _, x := range tick {
		dst = append(dst, m.Update(x))
	}
	return dst
}
