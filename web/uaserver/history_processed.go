package uaserver

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/gopcua/opcua/ua"

	"scada/acquisition/tag"
)

// minInterval is the shortest interval of an aggregate.
const minInterval = int64(time.Millisecond)

// startProcessed checks a read of aggregates (OPC 10000-11, 6.5.4).
func (v *revision) startProcessed(d *ua.ReadProcessedDetails, function *ua.NodeID, start, end int64, name string) (*historyPoint, ua.StatusCode) {
	ref, ok := v.space.Resolve(function)
	kind, known := aggregateOf(v.space.Numeric(ref))
	step := int64(math.Min(d.ProcessingInterval, lastInstant/1e6) * 1e6)
	switch {
	case !ok || !known:
		return nil, ua.StatusBadAggregateNotSupported
	case !standardAggregation(d.AggregateConfiguration):
		return nil, ua.StatusBadAggregateConfigurationRejected
	case !(d.ProcessingInterval >= 0), start == 0, end == 0, start == end:
		return nil, ua.StatusBadInvalidArgument
	case start > end:
		return nil, ua.StatusBadHistoryOperationUnsupported // intervals run forwards
	case step == 0:
		step = end - start // one interval
	case step < minInterval:
		return nil, ua.StatusBadInvalidArgument
	}
	return &historyPoint{
		tag: name, lo: start, hi: end, processed: true, kind: kind, step: min(step, lastInstant/4), status: kind == AggregateWorstQuality,
	}, ua.StatusOK
}

// standardAggregation reports whether a client wants values handled as they are: see [Aggregate].
func standardAggregation(c *ua.AggregateConfiguration) bool {
	return c.UseServerCapabilitiesDefaults ||
		(c.TreatUncertainAsBad && c.PercentDataBad == 100 && c.PercentDataGood == 100 && !c.UseSlopedExtrapolation)
}

// intervals computes the next aggregates.
func (p *historyPoint) intervals(ctx context.Context, h Historian, limit int) ([]tag.Sample, bool, error) {
	end := p.hi
	if p.lo >= end {
		return nil, false, nil
	}
	if (end-p.lo)/p.step >= int64(limit) {
		end = min(p.lo+int64(limit)*p.step, p.hi)
	}
	points, err := h.Aggregate(ctx, p.tag, p.lo, end, time.Duration(p.step), p.kind)
	if err != nil {
		return nil, false, err
	}
	now := time.Now().UnixNano()
	for i := range points {
		start := p.lo + int64(i)*p.step
		partial := start+p.step > p.hi || min(start+p.step, p.hi) > now
		points[i] = p.kind.finish(points[i], partial)
	}
	return points, end < p.hi, nil
}

// finish gives a result its type and says in its status how it came about.
func (a Aggregate) finish(x tag.Sample, partial bool) tag.Sample {
	switch a {
	case AggregateDurationGood, AggregateDurationBad:
		if !x.Value.IsNone() {
			x.Value = tag.Float64(x.Value.Number() * 1000) // a Duration is in milliseconds
		}
	case AggregateCount, AggregateTransitions:
		if !x.Value.IsNone() {
			x.Value = tag.Int(tag.TypeInt32, min(x.Value.Int(), math.MaxInt32))
		}
	}
	if x.Quality.IsBad() {
		return x
	}
	switch a {
	case AggregateInterpolative:
		x.Quality |= infoInterpolated
	case AggregateStart, AggregateEnd, AggregateMinimumTime, AggregateMaximumTime: // samples as they were
	default:
		x.Quality |= infoCalculated
	}
	if partial && a != AggregateInterpolative {
		x.Quality |= infoPartial
	}
	return x
}

// atTimes returns the values of a tag at instants: samples where there are some, else between their neighbours.
func (s *Server) atTimes(ctx context.Context, name string, times []int64) ([]tag.Sample, ua.StatusCode) {
	out := make([]tag.Sample, 0, len(times))
	for _, at := range times {
		x, err := s.atTime(ctx, name, at)
		if err != nil {
			if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
				s.log.Warn("the history cannot be read", "error", err)
			}
			return nil, statusOf(err)
		}
		out = append(out, x)
	}
	return out, ua.StatusOK
}

func (s *Server) atTime(ctx context.Context, name string, at int64) (tag.Sample, error) {
	none := tag.Sample{Time: at, Quality: tag.BadNoData}
	if at >= lastInstant || at > time.Now().UnixNano() {
		return none, nil
	}
	before, ok, err := s.cfg.History.Before(ctx, name, at)
	if err != nil || !ok {
		return none, err
	}
	if before.Time == at {
		return before, nil
	}
	points, err := s.cfg.History.Aggregate(ctx, name, at, at+1, 1, AggregateInterpolative)
	if err != nil || len(points) != 1 || points[0].Value.IsNone() {
		return none, err
	}
	return AggregateInterpolative.finish(points[0], false), nil
}
