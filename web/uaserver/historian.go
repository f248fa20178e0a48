package uaserver

import (
	"context"
	"time"

	"github.com/gopcua/opcua/id"

	"scada/acquisition/tag"
)

// Historian is the archive behind the HistoryRead service. Its methods are called from many goroutines at once, and
// must return when ctx ends. Times are UTC nanoseconds since 1970.
type Historian interface {
	// Raw returns the samples of a tag with from <= time < to, oldest first, at most limit. When there are more, it is
	// called again with the page's Next; a page may be empty and still not the last.
	Raw(ctx context.Context, tag string, from, to int64, limit int, at Position) (RawPage, error)
	// Aggregate computes one value per step between from and to; the last interval may be shorter. The time of a point
	// is the start of its interval, or the instant of the sample for the aggregates that are one. Where there is no
	// data, the point has the quality BadNoData.
	Aggregate(ctx context.Context, tag string, from, to int64, step time.Duration, kind Aggregate) ([]tag.Sample, error)
	// Before returns the last sample at or before t, if there is one.
	Before(ctx context.Context, tag string, t int64) (tag.Sample, bool, error)
}

// Position is a place in the samples of one tag: those before Time, and Skip of those at Time, have been returned.
type Position struct {
	Time int64
	Skip int
	Set  bool
}

// RawPage is an answer of [Historian.Raw].
type RawPage struct {
	Samples []tag.Sample
	Next    Position // where to go on when More is set
	More    bool
}

// Aggregate is a function of OPC 10000-13 that the server offers.
type Aggregate int

// The aggregates. Only Good samples count as values (TreatUncertainAsBad), and a result is Good if the tag was all
// through its interval, Bad if it never was, else Uncertain (PercentDataGood = PercentDataBad = 100).
const (
	AggregateInterpolative Aggregate = iota
	AggregateAverage
	AggregateTimeAverage
	AggregateTotal // seconds are the unit of time
	AggregateMinimum
	AggregateMaximum
	AggregateMinimumTime // MinimumActualTime
	AggregateMaximumTime
	AggregateRange
	AggregateCount
	AggregateStart
	AggregateEnd
	AggregateDelta
	AggregateDurationGood // the Historian answers in seconds, clients get milliseconds
	AggregateDurationBad
	AggregatePercentGood
	AggregatePercentBad
	AggregateTransitions
	AggregateStandardDeviation // of a sample: n-1
	AggregateWorstQuality      // the Historian answers with the status code as a number
	aggregateEnd
)

// aggregateIDs are the nodes that name the aggregates.
var aggregateIDs = [aggregateEnd]uint32{
	AggregateInterpolative: id.AggregateFunction_Interpolative, AggregateAverage: id.AggregateFunction_Average,
	AggregateTimeAverage: id.AggregateFunction_TimeAverage, AggregateTotal: id.AggregateFunction_Total,
	AggregateMinimum: id.AggregateFunction_Minimum, AggregateMaximum: id.AggregateFunction_Maximum,
	AggregateMinimumTime: id.AggregateFunction_MinimumActualTime, AggregateMaximumTime: id.AggregateFunction_MaximumActualTime,
	AggregateRange: id.AggregateFunction_Range, AggregateCount: id.AggregateFunction_Count,
	AggregateStart: id.AggregateFunction_Start, AggregateEnd: id.AggregateFunction_End, AggregateDelta: id.AggregateFunction_Delta,
	AggregateDurationGood: id.AggregateFunction_DurationGood, AggregateDurationBad: id.AggregateFunction_DurationBad,
	AggregatePercentGood: id.AggregateFunction_PercentGood, AggregatePercentBad: id.AggregateFunction_PercentBad,
	AggregateTransitions:       id.AggregateFunction_NumberOfTransitions,
	AggregateStandardDeviation: id.AggregateFunction_StandardDeviationSample, AggregateWorstQuality: id.AggregateFunction_WorstQuality,
}

// aggregateOf returns the aggregate a node names.
func aggregateOf(numeric uint32) (Aggregate, bool) {
	for a, n := range aggregateIDs {
		if n == numeric {
			return Aggregate(a), true
		}
	}
	return 0, false
}
