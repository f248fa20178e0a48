package server

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"scada/acquisition/tag"
	"scada/alarms"
	"scada/history"
	"scada/web/api"
)

// Bounds of a preview.
const (
	previewSamples = 2_000_000
	previewLongest = 92 * 24 * time.Hour
)

// PreviewAlarm implements [web.Backend].
func (b backend) PreviewAlarm(ctx context.Context, r api.PreviewRequest) (api.Preview, error) {
	out := api.Preview{Alarm: r.Alarm, From: r.From.UTC(), To: r.To.UTC()}
	if r.To.Sub(r.From) > previewLongest {
		return out, api.NewProblem(api.CodeBadRequest, "the interval of a preview is at most %s", previewLongest)
	}
	defs := b.lineage(r.Alarm)
	if len(defs) == 0 {
		return out, api.NewProblem(api.CodeNotFound, "no alarm is named %q", r.Alarm)
	}
	changed := slices.Clone(defs)
	if err := alter(&changed[0], r); err != nil {
		return out, err
	}
	if err := (alarms.Config{Alarms: changed}).Validate(); err != nil {
		return out, api.NewProblem(api.CodeBadRequest, "%s", err)
	}
	g := b.now()
	samples, err := b.recorded(ctx, g, append(slices.Clone(defs), changed...), r.From.UnixNano(), r.To.UnixNano())
	if err != nil {
		return out, err
	}
	out.Samples = len(samples)
	if out.Now, err = b.replay(g, defs, samples, r); err == nil {
		out.Changed, err = b.replay(g, changed, samples, r)
	}
	return out, err
}

// lineage returns an alarm and those that suppress it, one by the other.
func (b backend) lineage(id string) []alarms.Definition {
	var list []alarms.Definition
	for id != "" {
		i := slices.IndexFunc(b.now().cfg.Alarms.Alarms, func(d alarms.Definition) bool { return d.ID == id })
		if i < 0 {
			break
		}
		d := b.now().cfg.Alarms.Alarms[i]
		list = append(list, d)
		id = d.SuppressedBy
	}
	if n := len(list); n > 0 {
		list[n-1].SuppressedBy = "" // a condition of a non-exclusive alarm, which is not replayed
	}
	return list
}

// alter makes the changes that are to be tried.
func alter(d *alarms.Definition, r api.PreviewRequest) error {
	if len(r.Limits) > 0 {
		d.Limits = maps.Clone(d.Limits)
	}
	for name, v := range r.Limits {
		var l alarms.Level
		if err := l.UnmarshalText([]byte(name)); err != nil || d.Limits == nil {
			return api.NewProblem(api.CodeBadRequest, "alarm %s has no limit %q", d.ID, name)
		}
		d.Limits[l] = alarms.Limit{Value: v}
	}
	if r.Deadband != nil {
		d.Deadband, d.Deadbands = *r.Deadband, nil
	}
	delay := func(s *float64, general *time.Duration, byLevel *map[alarms.Level]time.Duration) {
		if s != nil {
			*general, *byLevel = time.Duration(min(max(*s, -1), alarms.MaxDelay.Seconds()+1)*float64(time.Second)), nil
		}
	}
	delay(r.OnDelayS, &d.OnDelay, &d.OnDelays)
	delay(r.OffDelayS, &d.OffDelay, &d.OffDelays)
	return nil
}

// recorded returns the samples of all tags the alarms use, in order of time, with a bad one where a gap begins.
func (b backend) recorded(ctx context.Context, g *generation, defs []alarms.Definition, from, to int64) ([]tag.Update, error) {
	var ids []tag.ID
	for _, d := range defs {
		ids = append(ids, g.inputsOf(d)...)
	}
	slices.Sort(ids)
	var all []tag.Update
	for _, id := range slices.Compact(ids) {
		name := g.cfg.Tags[id].Name
		for at := (history.Cursor{}); ; {
			page, err := b.store.Raw(ctx, name, from, to, 0, at)
			if errors.Is(err, history.ErrUnknownTag) {
				break // nothing of it has been recorded
			}
			if err != nil {
				return nil, err
			}
			for _, s := range page.Samples {
				all = append(all, tag.Update{Tag: id, Sample: s})
			}
			for _, g := range page.Gaps {
				if g.From >= from && g.From < to && !at.Set {
					all = append(all, tag.Update{Tag: id, Sample: tag.Sample{Time: g.From, Quality: tag.BadNoData}})
				}
			}
			if len(all) > previewSamples {
				return nil, api.NewProblem(api.CodeTooLarge, "more than %d samples in the interval: choose a shorter one", previewSamples)
			}
			if at = page.Next; !page.More {
				break
			}
		}
	}
	slices.SortStableFunc(all, func(x, y tag.Update) int { return cmp.Compare(x.Time, y.Time) })
	return all, nil
}

// replay judges the samples with an engine of its own, and reports on the first of the alarms.
func (b backend) replay(g *generation, defs []alarms.Definition, samples []tag.Update, r api.PreviewRequest) (api.PreviewSide, error) {
	side := api.PreviewSide{Series: []api.RatePoint{}}
	e, err := alarms.New(alarms.Config{Alarms: defs, FirstScanGrace: -1}, g.cfg.Lookup)
	if err != nil {
		return side, err
	}
	own := map[string]bool{}
	for _, c := range e.Conditions(alarms.Filter{}) {
		own[c.ID] = c.Alarm == defs[0].ID
	}
	var events []alarms.Event
	keep := func(o alarms.Outcome) {
		for _, ev := range o.Events {
			if own[ev.Condition] {
				events = append(events, ev)
			}
		}
	}
	for i := range samples {
		keep(e.Samples(samples[i].Time, samples[i:i+1]))
	}
	to := r.To.UnixNano()
	keep(e.Advance(to - 1))
	k := alarms.KPI(events, r.From.UnixNano(), to)
	side.Alarms, side.Per10MinAverage, side.Per10MinPeak = k.Total, k.AvgPerPeriod, k.MaxPerPeriod
	side.Chattering, side.Fleeting = len(k.Chattering) > 0, len(k.Fleeting) > 0
	for i, n := range k.Periods {
		side.Series = append(side.Series, api.RatePoint{Time: r.From.UTC().Add(time.Duration(i) * alarms.KPIPeriod), Count: n})
	}
	active, longest := activeTime(events, to)
	side.ActivePercent, side.LongestS = 100*active.Seconds()/r.To.Sub(r.From).Seconds(), longest.Seconds()
	return side, nil
}

// activeTime returns how long the alarm was active in all, and the longest single activation.
func activeTime(events []alarms.Event, to int64) (sum, longest time.Duration) {
	since := map[string]int64{}
	end := func(condition string, at int64) {
		if from, ok := since[condition]; ok {
			d := time.Duration(at - from)
			sum, longest = sum+d, max(longest, d)
			delete(since, condition)
		}
	}
	for _, ev := range events {
		switch ev.Kind {
		case alarms.KindRaise:
			since[ev.Condition] = ev.Time
		case alarms.KindClear:
			end(ev.Condition, ev.Time)
		}
	}
	for condition := range since {
		end(condition, to)
	}
	return sum, longest
}
