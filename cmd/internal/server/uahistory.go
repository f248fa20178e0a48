package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gopcua/opcua/ua"

	"scada/acquisition/tag"
	"scada/history"
	"scada/web/uaserver"
)

// uaLookback is how far back the last sample before an instant is looked for.
const uaLookback = 366 * 24 * time.Hour

// uaHistory is the archive as OPC UA clients read it.
type uaHistory struct {
	store *history.Store
}

var _ uaserver.Historian = uaHistory{}

// uaKinds gives the archive's aggregate for each the OPC UA server offers.
var uaKinds = map[uaserver.Aggregate]history.Kind{
	uaserver.AggregateInterpolative: history.Interpolative, uaserver.AggregateAverage: history.Average,
	uaserver.AggregateTimeAverage: history.TimeAverage, uaserver.AggregateTotal: history.Total,
	uaserver.AggregateMinimum: history.Minimum, uaserver.AggregateMaximum: history.Maximum,
	uaserver.AggregateMinimumTime: history.MinimumTime, uaserver.AggregateMaximumTime: history.MaximumTime,
	uaserver.AggregateRange: history.Range, uaserver.AggregateCount: history.Count,
	uaserver.AggregateStart: history.Start, uaserver.AggregateEnd: history.End, uaserver.AggregateDelta: history.Delta,
	uaserver.AggregateDurationGood: history.DurationGood, uaserver.AggregateDurationBad: history.DurationBad,
	uaserver.AggregatePercentGood: history.PercentGood, uaserver.AggregatePercentBad: history.PercentBad,
	uaserver.AggregateTransitions: history.Transitions, uaserver.AggregateStandardDeviation: history.StandardDeviation,
	uaserver.AggregateWorstQuality: history.WorstQuality,
}

// Raw implements [uaserver.Historian].
func (h uaHistory) Raw(ctx context.Context, name string, from, to int64, limit int, at uaserver.Position) (uaserver.RawPage, error) {
	page, err := h.store.Raw(ctx, name, from, to, limit, history.Cursor(at))
	return uaserver.RawPage{Samples: page.Samples, Next: uaserver.Position(page.Next), More: page.More}, uaHistoryError(err)
}

// Aggregate implements [uaserver.Historian].
func (h uaHistory) Aggregate(ctx context.Context, name string, from, to int64, step time.Duration, kind uaserver.Aggregate) ([]tag.Sample, error) {
	k, ok := uaKinds[kind]
	if !ok {
		return nil, uaserver.WithStatus(tag.Quality(ua.StatusBadAggregateNotSupported), fmt.Errorf("the archive has no aggregate %d", kind))
	}
	points, err := h.store.Aggregate(ctx, name, from, to, step, k)
	return points, uaHistoryError(err)
}

// Before implements [uaserver.Historian].
func (h uaHistory) Before(ctx context.Context, name string, t int64) (tag.Sample, bool, error) {
	x, ok, err := h.store.Before(ctx, name, t, uaLookback)
	return x, ok, uaHistoryError(err)
}

func uaHistoryError(err error) error {
	switch {
	case errors.Is(err, history.ErrTooMuch):
		return uaserver.WithStatus(tag.Quality(ua.StatusBadTooManyOperations), err)
	case errors.Is(err, history.ErrUnknownTag):
		return uaserver.WithStatus(tag.Quality(ua.StatusBadHistoryOperationUnsupported), err)
	}
	return err
}
