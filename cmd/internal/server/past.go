package server

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"

	"scada/acquisition/tag"
	"scada/alarms"
	"scada/history"
	"scada/history/journal"
	"scada/web/api"
)

// Limits of one history request.
const (
	maxSeries   = 100     // tags
	answerRows  = 500_000 // samples of a raw answer over all tags; the rest comes with the cursor
	answerPiece = 10_000  // samples in memory at a time
)

// History implements [web.Backend].
func (b backend) History(ctx context.Context, q api.HistoryQuery, give func(api.Series) error) (string, error) {
	if len(q.Tags) == 0 || len(q.Tags) > maxSeries {
		return "", api.NewProblem(api.CodeBadRequest, "want 1 to %d tags", maxSeries)
	}
	cursors, err := readCursors(q.Cursor)
	if err != nil {
		return "", err
	}
	a := pastAnswer{backend: b, q: q, give: give, from: q.From.UnixNano(), to: q.To.UnixNano(), left: answerRows, reader: b.store.NewReader()}
	next := map[string]history.Cursor{}
	for _, name := range q.Tags {
		at, listed := cursors[name]
		if q.Cursor != "" && !listed {
			continue // this tag was complete on the page before
		}
		more, err := a.series(ctx, name, at)
		if err != nil {
			return "", historyProblem(err, name)
		}
		if more != nil {
			next[name] = *more
		}
	}
	if len(next) == 0 {
		return "", nil
	}
	text, err := json.Marshal(next)
	return base64.RawURLEncoding.EncodeToString(text), err
}

func readCursors(s string) (map[string]history.Cursor, error) {
	if s == "" {
		return nil, nil
	}
	var cursors map[string]history.Cursor
	text, err := base64.RawURLEncoding.DecodeString(s)
	if err == nil {
		err = json.Unmarshal(text, &cursors)
	}
	if err != nil {
		return nil, api.NewProblem(api.CodeBadRequest, "the cursor is not one of this server")
	}
	return cursors, nil
}

func (b backend) aggregate(ctx context.Context, q api.HistoryQuery, name string) ([]history.Point, error) {
	kind, err := history.ParseKind(lower(q.Aggregate))
	if err != nil {
		return nil, api.NewProblem(api.CodeBadRequest, "%s", err)
	}
	if q.Zone != "" {
		return b.aggregateDays(ctx, q, name, kind)
	}
	return b.store.Aggregate(ctx, name, q.From.UnixNano(), q.To.UnixNano(), q.Step, kind)
}

func lower(s string) string {
	out := []byte(s)
	for i, c := range out {
		if c >= 'A' && c <= 'Z' {
			out[i] = c + 'a' - 'A'
		}
	}
	return string(out)
}

func historyProblem(err error, name string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, history.ErrUnknownTag):
		return api.NewProblem(api.CodeNotFound, "tag %q has no history", name)
	case errors.Is(err, history.ErrTooMuch):
		return api.NewProblem(api.CodeTooLarge, "%s", err)
	}
	return err
}

func sampleJSON(s tag.Sample) api.Sample {
	return api.Sample{Time: instant(s.Time), Value: valueJSON(s.Value), Quality: s.Quality.String()}
}

// kpiEntries bounds how much of the journal one report may read.
const kpiEntries = 200_000

// kpiLongest is the longest interval of a report.
const kpiLongest = 92 * 24 * time.Hour

// KPI implements [web.Backend].
func (b backend) KPI(_ context.Context, from, to time.Time) (api.KPI, error) {
	if !from.Before(to) || to.Sub(from) > kpiLongest {
		return api.KPI{}, api.NewProblem(api.CodeBadRequest, "the interval of a report is at most %s", kpiLongest)
	}
	var events []alarms.Event
	q := journal.Query{From: from.UnixNano(), To: to.UnixNano(), Class: journal.ClassAlarm, Limit: journal.MaxPage}
	for more := true; more; more = q.Cursor != "" {
		page, err := b.journal.Query(q)
		if err != nil {
			return api.KPI{}, err
		}
		for _, e := range page.Entries {
			if e.Alarm != nil {
				events = append(events, *e.Alarm)
			}
		}
		if len(events) > kpiEntries {
			return api.KPI{}, api.NewProblem(api.CodeTooLarge, "more than %d alarm events in the interval: choose a shorter one", kpiEntries)
		}
		q.Cursor = page.Next
	}
	return b.kpiJSON(alarms.KPI(events, from.UnixNano(), to.UnixNano())), nil
}

func (b backend) kpiJSON(r alarms.Report) api.KPI {
	k := api.KPI{
		From: time.Unix(0, r.From).UTC(), To: time.Unix(0, r.To).UTC(), Alarms: r.Total, Per10MinAverage: r.AvgPerPeriod,
		Per10MinPeak: r.MaxPerPeriod, FloodCount: len(r.Floods), FloodPercent: r.PctInFlood, Chattering: counted(r.Chattering),
		Fleeting: counted(r.Fleeting), Stale: counted(r.Stale), Top: []api.AlarmCount{}, ByPriority: map[string]int{},
		AckMedianS: r.Ack.Median.Seconds(), AckP95S: r.Ack.P95.Seconds(), Per10MinSeries: []api.RatePoint{}, TopPercent: r.PctTop,
	}
	for _, l := range r.Top {
		k.Top = append(k.Top, api.AlarmCount{ID: l.Condition, Count: l.Count})
	}
	for p, n := range r.ByPriority {
		k.ByPriority[p.String()] = n
	}
	for i, n := range r.Periods {
		k.Per10MinSeries = append(k.Per10MinSeries, api.RatePoint{Time: k.From.Add(time.Duration(i) * alarms.KPIPeriod), Count: n})
	}
	for _, name := range b.areaNames {
		a := b.areas[name]
		a.mu.Lock()
		n := a.engine.Counts()
		a.mu.Unlock()
		k.Unacknowledged += n[alarms.StateUnack] + n[alarms.StateRtnUnack] + n[alarms.StateLatchUnack]
		k.ActiveNow += n[alarms.StateUnack] + n[alarms.StateAcked]
		k.ShelvedNow += n[alarms.StateShelved]
		k.SuppressedNow += n[alarms.StateSuppressed]
		k.OutOfServiceNow += n[alarms.StateOOS]
	}
	return k
}

func counted(ids []string) []api.AlarmCount {
	out := make([]api.AlarmCount, 0, len(ids))
	for _, id := range ids {
		out = append(out, api.AlarmCount{ID: id})
	}
	return out
}
