package server

import (
	"context"
	"fmt"
	"time"
	_ "time/tzdata" // the zones are the same on both nodes, whatever their machines have

	"scada/history"
	"scada/web/api"
)

// aggregateDays computes an aggregate over days of a time zone. They begin at the wall-clock time of the first.
func (b backend) aggregateDays(ctx context.Context, q api.HistoryQuery, name string, kind history.Kind) (out []history.Point, err error) {
	zone, err := time.LoadLocation(q.Zone)
	if err != nil {
		return nil, fmt.Errorf("time zone: %w", err)
	}
	days := int(q.Step / (24 * time.Hour))
	for i, at := 1, q.From; at.Before(q.To); i++ {
		end := q.From.In(zone).AddDate(0, 0, i*days)
		if end.After(q.To) {
			end = q.To
		}
		p, err := b.store.Aggregate(ctx, name, at.UnixNano(), end.UnixNano(), end.Sub(at), kind)
		if err != nil {
			return nil, err
		}
		out = append(out, p...)
		at = end
	}
	return out, nil
}
