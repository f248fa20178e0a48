package history

import (
	"math"

	"scada/acquisition/tag"
	"scada/history/block"
)

// point computes one aggregate of an interval.
func (c *cell) point(kind Kind, from, to int64, stepped bool) Point {
	whole := float64(to - from)
	none := Point{Time: from, Quality: tag.BadNoData}
	v := &c.values
	if c.vague && (kind == Start || kind == End || kind == WorstQuality) {
		return none
	}
	switch kind {
	case Interpolative:
		if !c.started {
			return none
		}
		return Point{Time: from, Value: c.start.Value, Quality: c.start.Quality}
	case Start, End:
		if v.Count == 0 {
			return none
		}
		if kind == Start {
			return v.First
		}
		return v.Last
	case DurationGood:
		return number(from, float64(c.good)/1e9)
	case DurationBad:
		return number(from, (whole-float64(c.good+c.uncertain))/1e9)
	case PercentGood:
		return number(from, 100*float64(c.good)/whole)
	case PercentBad:
		return number(from, 100*(whole-float64(c.good+c.uncertain))/whole)
	case Count:
		if v.Good == 0 && c.good == 0 {
			return none
		}
		return Point{Time: from, Value: tag.Int(tag.TypeInt64, int64(v.Good)), Quality: c.quality(to - from)}
	case Transitions:
		if v.Good == 0 && c.good == 0 {
			return none
		}
		return Point{Time: from, Value: tag.Int(tag.TypeInt64, int64(c.transitions)), Quality: c.quality(to - from)}
	case WorstQuality:
		if v.Count == 0 {
			return none
		}
		return Point{Time: from, Value: tag.Uint(tag.TypeUint32, uint64(v.Worst))}
	case TimeAverage, Total:
		if c.good == 0 {
			return none
		}
		return c.weighted(kind, from, to, stepped)
	}
	if v.Numbers == 0 {
		return none
	}
	p := c.ofValues(kind, from)
	if p.Quality = c.quality(to - from); math.IsInf(p.Value.Number(), 0) || math.IsNaN(p.Value.Number()) && p.Value.Type().IsFloat() {
		return Point{Time: from, Quality: tag.BadOutOfRange} // the numbers are too large to add up
	}
	return p
}

// quality is Good when the tag was good all the time.
func (c *cell) quality(whole int64) tag.Quality {
	if c.good == whole {
		return tag.Good
	}
	return uncertainSubNormal
}

func (c *cell) weighted(kind Kind, from, to int64, stepped bool) Point {
	integral := c.sloped
	if stepped {
		integral = c.stepped
	}
	if kind == TimeAverage {
		integral /= float64(c.good) / 1e9
	}
	if math.IsNaN(integral) || math.IsInf(integral, 0) {
		return Point{Time: from, Quality: tag.BadNoData}
	}
	return Point{Time: from, Value: tag.Float64(integral), Quality: c.quality(to - from)}
}

// ofValues computes the aggregates of the numbers in the interval; there is at least one.
func (c *cell) ofValues(kind Kind, from int64) Point {
	v := &c.values
	switch kind {
	case Average:
		return number(from, v.Sum/float64(v.Numbers))
	case Minimum:
		return Point{Time: from, Value: v.Min.Value}
	case Maximum:
		return Point{Time: from, Value: v.Max.Value}
	case MinimumTime:
		return Point{Time: v.Min.Time, Value: v.Min.Value}
	case MaximumTime:
		return Point{Time: v.Max.Time, Value: v.Max.Value}
	case Range:
		return number(from, v.Max.Value.Number()-v.Min.Value.Number())
	case Delta:
		return number(from, difference(v))
	case StandardDeviation:
		if v.Numbers < 2 {
			return number(from, 0)
		}
		return number(from, math.Sqrt(v.Deviations/float64(v.Numbers-1)))
	}
	return Point{Time: from}
}

// difference is the last Good value less the first; where an end is not Good, the extremes can't stand in, so it is
// not a number.
func difference(v *block.Summary) float64 {
	if !v.First.Quality.IsGood() || !v.Last.Quality.IsGood() {
		return math.NaN()
	}
	return v.Last.Value.Number() - v.First.Value.Number()
}

func number(t int64, v float64) Point { return Point{Time: t, Value: tag.Float64(v)} }
