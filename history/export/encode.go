package export

import (
	"maps"
	"math"
	"slices"

	"github.com/klauspost/compress/s2"
	"google.golang.org/protobuf/encoding/protowire"

	"scada/acquisition/tag"
)

// series is a tag that is exported.
type series struct {
	name   string
	labels []byte // as they are in each of its messages
}

// point is a sample as it is sent.
type point struct {
	millis int64
	value  float64
}

// The fields of the three messages of remote write 1.0.
const (
	requestSeries  protowire.Number = 1
	seriesLabels   protowire.Number = 1
	seriesSamples  protowire.Number = 2
	labelNameField protowire.Number = 1
	labelValue     protowire.Number = 2
	sampleValue    protowire.Number = 1
	sampleTime     protowire.Number = 2
)

// encodeLabels returns the labels of a tag, in the order of their names' bytes as the protocol asks.
func encodeLabels(project, name string, own map[string]string) []byte {
	all := maps.Clone(own)
	if all == nil {
		all = map[string]string{}
	}
	all[labelName], all[labelProject], all[labelTag] = Metric, project, name
	var out []byte
	for _, k := range slices.Sorted(maps.Keys(all)) {
		var label []byte
		label = protowire.AppendTag(label, labelNameField, protowire.BytesType)
		label = protowire.AppendString(label, k)
		label = protowire.AppendTag(label, labelValue, protowire.BytesType)
		label = protowire.AppendString(label, all[k])
		out = protowire.AppendTag(out, seriesLabels, protowire.BytesType)
		out = protowire.AppendBytes(out, label)
	}
	return out
}

// chunk is samples of one tag in a batch.
type chunk struct {
	series   int
	from, to int // of the batch's points
}

// batch is what one request holds.
type batch struct {
	chunks []chunk
	points []point
	bytes  int // of labels
}

// maxLabelBytes bounds the labels of one request; a batch that has more is sent.
const maxLabelBytes = 4 << 20

func (b *batch) reset() { b.chunks, b.points, b.bytes = b.chunks[:0], b.points[:0], 0 }

// size returns the number of samples.
func (b *batch) size() int {
	n := 0
	for _, c := range b.chunks {
		n += c.to - c.from
	}
	return n
}

// split cuts a batch of two samples or more into two, in order.
func (b *batch) split() (left, right *batch) {
	half := b.size() / 2
	left, right = &batch{points: b.points}, &batch{points: b.points}
	for _, c := range b.chunks {
		switch n := c.to - c.from; {
		case half >= n:
			left.chunks = append(left.chunks, c)
			half -= n
		case half > 0:
			left.chunks = append(left.chunks, chunk{c.series, c.from, c.from + half})
			right.chunks = append(right.chunks, chunk{c.series, c.from + half, c.to})
			half = 0
		default:
			right.chunks = append(right.chunks, c)
		}
	}
	return left, right
}

// encoder makes requests of batches. Its memory is used again.
type encoder struct{ plain, samples, packed []byte }

// encode returns the body of a request; it is valid until the next call.
func (e *encoder) encode(all []series, b *batch) []byte {
	e.plain = e.plain[:0]
	for _, c := range b.chunks {
		e.samples = e.samples[:0]
		for _, p := range b.points[c.from:c.to] {
			e.samples = protowire.AppendTag(e.samples, seriesSamples, protowire.BytesType)
			e.samples = protowire.AppendVarint(e.samples, uint64(2+8+protowire.SizeVarint(uint64(p.millis))))
			e.samples = protowire.AppendTag(e.samples, sampleValue, protowire.Fixed64Type)
			e.samples = protowire.AppendFixed64(e.samples, math.Float64bits(p.value))
			e.samples = protowire.AppendTag(e.samples, sampleTime, protowire.VarintType)
			e.samples = protowire.AppendVarint(e.samples, uint64(p.millis))
		}
		labels := all[c.series].labels
		e.plain = protowire.AppendTag(e.plain, requestSeries, protowire.BytesType)
		e.plain = protowire.AppendVarint(e.plain, uint64(len(labels)+len(e.samples)))
		e.plain = append(append(e.plain, labels...), e.samples...)
	}
	if n := s2.MaxEncodedLen(len(e.plain)); cap(e.packed) < n {
		e.packed = make([]byte, n)
	}
	e.packed = s2.EncodeSnappy(e.packed[:cap(e.packed)], e.plain)
	return e.packed
}

// convert appends those samples that are exported, and returns how many lie beyond [MaxValue]. Of several within one
// millisecond the last is taken: an engine knows no finer time. Samples come in order, and pieces of them are cut at
// whole milliseconds.
func convert(dst []point, begin int, samples []tag.Sample) (_ []point, refused int) {
	for i := range samples {
		x := &samples[i]
		if x.Quality.IsBad() || !x.Value.Type().IsNumeric() || x.Time < 0 {
			continue
		}
		p := point{x.Time / 1e6, x.Value.Number()}
		if !(math.Abs(p.value) <= MaxValue) {
			refused++
			continue
		}
		if n := len(dst); n > begin && dst[n-1].millis == p.millis {
			dst[n-1] = p
			continue
		}
		dst = append(dst, p)
	}
	return dst, refused
}

// sum identifies the points of a tag in a window, in whatever pieces they were added.
type sum struct {
	points uint32
	hash   uint64
}

func (s *sum) add(points []point) {
	s.points += uint32(len(points))
	for _, p := range points {
		h := uint64(p.millis)*0x9e3779b97f4a7c15 ^ math.Float64bits(p.value)
		h = (h ^ h>>32) * 0xd6e8feb86659fd93
		s.hash += h ^ h>>29
	}
}
