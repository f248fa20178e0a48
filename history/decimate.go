package history

import (
	"context"
	"fmt"
	"slices"

	"scada/acquisition/tag"
	"scada/history/block"
)

// Decimate returns the samples that draw the same line as all samples would on a chart buckets pixels wide: of each
// bucket the first, the last, the smallest, the largest, and the first that is not good. Those are samples of the
// archive, at most five per bucket, in order of time.
func (s *Store) Decimate(ctx context.Context, name string, from, to int64, buckets int) (Page, error) {
	r, err := s.series(name)
	if err != nil {
		return Page{}, err
	}
	if buckets < 1 || from < 0 || to <= from {
		return Page{}, fmt.Errorf("decimate from %d to %d into %d: not a range", from, to, buckets)
	}
	if buckets > MaxIntervals/5 {
		return Page{}, fmt.Errorf("%d buckets, the limit is %d: %w", buckets, MaxIntervals/5, ErrTooMuch)
	}
	width := (to - from + int64(buckets) - 1) / int64(buckets)
	var p Page
	var b bucket
	coarse := width >= coarseWidth
	err = s.scanLong(ctx, r, from, to, coarse, func(w *window) (bool, error) {
		if b.texts > maxPageText {
			return false, fmt.Errorf("more than %d bytes of text in one answer: %w", maxPageText, ErrTooMuch)
		}
		sum, ok := w.summary()
		if ok && sum.Good == sum.Count && sum.First.Time >= from && sum.Last.Time < to && (sum.First.Time-from)/width == (sum.Last.Time-from)/width {
			b.enter((sum.First.Time-from)/width, &p)
			b.join(sum)
			return true, nil
		}
		if n, ok := w.numbers(); ok {
			b.addNumbers(n, from, to, width, &p)
			return true, nil
		}
		samples, damaged := w.samples()
		p.addDamage(damaged)
		for _, x := range within(samples, from, to) {
			b.enter((x.Time-from)/width, &p)
			b.add(x)
		}
		return true, nil
	}, func(sum block.Summary) bool {
		b.addPiece(sum, from, to, width, &p)
		return sum.Last.Time < to
	})
	if err != nil {
		return Page{}, err
	}
	b.leave(&p)
	p.Gaps, err = s.openGaps(ctx, r, from, to)
	return p, err
}

// bucket is the pixel column being filled.
type bucket struct {
	number   int64
	values   block.Summary
	notGood  tag.Sample
	someSick bool
	texts    int // bytes of text given out
}

func (b *bucket) enter(number int64, p *Page) {
	if b.values.Count > 0 && number != b.number {
		b.leave(p)
	}
	b.number = number
}

func (b *bucket) add(x tag.Sample) {
	if !b.someSick && !x.Quality.IsGood() {
		b.notGood, b.someSick = x, true
	}
	b.values.AddValue(x)
}

// addNumbers takes samples in by column, bucket by bucket.
func (b *bucket) addNumbers(n block.Numbers, from, to, width int64, p *Page) {
	i, _ := slices.BinarySearch(n.Times, from)
	for i < len(n.Times) && n.Times[i] < to {
		number := (n.Times[i] - from) / width
		end := min(from+(number+1)*width, to)
		j := i + 1
		for j < len(n.Times) && n.Times[j] < end {
			j++
		}
		b.enter(number, p)
		b.join(n.Summary(i, j))
		i = j
	}
}

// coarseWidth is how wide a pixel must be for hourly summaries to be drawn, in nanoseconds: then what is wrong by is
// less than half a pixel.
const coarseWidth = 2 * hourNanos

// addPiece takes the summary of an hour in: the samples it knows.
func (b *bucket) addPiece(sum block.Summary, from, to, width int64, p *Page) {
	points := []tag.Sample{sum.First}
	if sum.Numbers > 0 {
		points = append(points, sum.Min, sum.Max)
		if sum.Max.Time < sum.Min.Time {
			points[1], points[2] = points[2], points[1]
		}
	}
	if sum.Good < sum.Count && sum.First.Quality.IsGood() && sum.Last.Quality.IsGood() {
		points = append(points, tag.Sample{Time: sum.Last.Time, Quality: sum.Worst})
	}
	for _, x := range append(points, sum.Last) {
		if x.Time >= from && x.Time < to {
			b.enter((x.Time-from)/width, p)
			b.add(x)
		}
	}
}

func (b *bucket) join(sum block.Summary) { b.values.Join(sum) }

// leave gives out the bucket's samples and empties it.
func (b *bucket) leave(p *Page) {
	v := &b.values
	if v.Count == 0 {
		return
	}
	points := append(make([]tag.Sample, 0, 5), v.First)
	if v.Numbers > 0 {
		points = append(points, v.Min, v.Max)
	}
	if b.someSick {
		points = append(points, b.notGood)
	}
	points = append(points, v.Last)
	first, last := points[0], points[len(points)-1]
	middle := points[1 : len(points)-1]
	for i := 1; i < len(middle); i++ { // at most three: by insertion, stable
		for j := i; j > 0 && middle[j].Time < middle[j-1].Time; j-- {
			middle[j], middle[j-1] = middle[j-1], middle[j]
		}
	}
	p.Samples = append(p.Samples, first)
	b.texts += len(first.Value.Text())
	for _, x := range append(middle, last) {
		if x != p.Samples[len(p.Samples)-1] {
			p.Samples = append(p.Samples, x)
			b.texts += len(x.Value.Text())
		}
	}
	*b = bucket{texts: b.texts}
}
