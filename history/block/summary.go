package block

import (
	"math"

	"scada/acquisition/tag"
)

// Summary is what is known of a stretch of samples without decoding them. Two summaries of neighbouring stretches can
// be joined, see [Summary.Join]. The value figures are over the Numbers.
type Summary struct {
	Count     int
	Good      int
	Uncertain int
	Numbers   int        // Good samples whose value is a number
	First     tag.Sample // without the text of a text value
	Last      tag.Sample
	Min, Max  tag.Sample // the first of the smallest and of the largest; meaningful when Numbers > 0
	Sum       float64
	// Deviations is the sum of the squared distances from the mean.
	Deviations float64
	// Stepped and Sloped are integrals over seconds from First to Last, a value held until the next sample, or joined to
	// it by a straight line when both are Good. Time after a sample that is not Good counts nothing.
	Stepped, Sloped float64
	// GoodTime and UncertainTime are how much of First to Last had that quality, in nanoseconds.
	GoodTime, UncertainTime int64
	Transitions             int // changes of value between neighbouring Good samples
	Worst                   tag.Quality
}

const second = 1e9

// Summarize computes the summary of samples in order of time.
func Summarize(samples []tag.Sample) Summary {
	var s Summary
	for _, x := range samples {
		s.Add(x)
	}
	return s
}

// Add takes the next sample in.
func (s *Summary) Add(x tag.Sample) {
	if s.Count > 0 {
		s.between(s.Last, x)
	}
	s.AddValue(x)
}

// AddValue takes the next sample in without accounting for the time since the one before: integrals, times and
// transitions stay as they are.
func (s *Summary) AddValue(x tag.Sample) {
	if s.Count == 0 {
		s.First, s.Worst = x, x.Quality
	}
	s.Count++
	s.Last = x
	s.Worst = worse(s.Worst, x.Quality)
	if x.Quality.IsUncertain() {
		s.Uncertain++
	}
	if !x.Quality.IsGood() {
		return
	}
	s.Good++
	v := x.Value.Number()
	if math.IsNaN(v) {
		return
	}
	s.Numbers++
	if s.Numbers == 1 {
		s.Min, s.Max, s.Sum, s.Deviations = x, x, v, 0
		return
	}
	if v < s.Min.Value.Number() {
		s.Min = x
	}
	if v > s.Max.Value.Number() {
		s.Max = x
	}
	n := float64(s.Numbers)
	mean := s.Sum / (n - 1)
	s.Deviations += (v - mean) * (v - mean) * ((n - 1) / n)
	s.Sum += v
}

// between counts the time from a to its neighbour b.
func (s *Summary) between(a, b tag.Sample) {
	st, sl := Integrals(a, b)
	s.Stepped += st
	s.Sloped += sl
	switch {
	case a.Quality.IsGood():
		s.GoodTime += b.Time - a.Time
	case a.Quality.IsUncertain():
		s.UncertainTime += b.Time - a.Time
	}
	if a.Quality.IsGood() && b.Quality.IsGood() && a.Value != b.Value {
		s.Transitions++
	}
}

// Integrals returns the integral of the value over the seconds from a to its neighbour b, stepped and sloped.
func Integrals(a, b tag.Sample) (stepped, sloped float64) {
	va := a.Value.Number()
	if !a.Quality.IsGood() || math.IsNaN(va) {
		return 0, 0
	}
	seconds := float64(b.Time-a.Time) / second
	stepped = va * seconds
	sloped = stepped
	if vb := b.Value.Number(); b.Quality.IsGood() && !math.IsNaN(vb) {
		sloped = (va + vb) / 2 * seconds
	}
	return stepped, sloped
}

// Join takes a later stretch in, as if its samples had been added.
func (s *Summary) Join(o Summary) {
	if o.Count == 0 {
		return
	}
	if s.Count == 0 {
		*s = o
		return
	}
	s.between(s.Last, o.First)
	s.Stepped += o.Stepped
	s.Sloped += o.Sloped
	s.GoodTime += o.GoodTime
	s.UncertainTime += o.UncertainTime
	s.Transitions += o.Transitions
	s.Uncertain += o.Uncertain
	s.Count += o.Count
	s.Last = o.Last
	s.Worst = worse(s.Worst, o.Worst)
	s.Good += o.Good
	s.joinValues(o)
	s.Numbers += o.Numbers
}

func (s *Summary) joinValues(o Summary) {
	switch {
	case o.Numbers == 0:
		return
	case s.Numbers == 0:
		s.Min, s.Max, s.Sum, s.Deviations = o.Min, o.Max, o.Sum, o.Deviations
		return
	}
	if o.Min.Value.Number() < s.Min.Value.Number() {
		s.Min = o.Min
	}
	if o.Max.Value.Number() > s.Max.Value.Number() {
		s.Max = o.Max
	}
	n, m := float64(s.Numbers), float64(o.Numbers)
	d := o.Sum/m - s.Sum/n
	s.Deviations += o.Deviations + d*d*(n*m/(n+m))
	s.Sum += o.Sum
}

// worse returns the quality of the higher severity; of equal severities the first.
func worse(a, b tag.Quality) tag.Quality {
	if b>>30 > a>>30 {
		return b
	}
	return a
}
