package server

import (
	"context"
	"slices"

	"scada/acquisition/tag"
	"scada/history"
	"scada/web/api"
)

// pastAnswer gives the answer of one history request out piece by piece, so that its memory does not grow with what is asked.
type pastAnswer struct {
	backend
	q        api.HistoryQuery
	give     func(api.Series) error
	from, to int64
	left     int // samples of a raw answer that may still be given
	reader   *history.Reader

	part  api.Series // of the present tag; its memory is used again and again
	begun bool       // a part of the tag was given
	marks []int64    // the beginnings of its gaps that are still to be told
}

// series gives out one tag. It returns where to go on when that was not all.
func (a *pastAnswer) series(ctx context.Context, name string, at history.Cursor) (*history.Cursor, error) {
	a.part = api.Series{Tag: name, Unit: a.unit(name), Samples: a.part.Samples[:0]}
	a.begun, a.marks = false, nil
	switch {
	case a.q.Aggregate != "":
		points, err := a.aggregate(ctx, a.q, name)
		if err != nil {
			return nil, err
		}
		if err := a.send(points, a.to); err != nil {
			return nil, err
		}
	case a.q.Points > 0:
		page, err := a.store.Decimate(ctx, name, a.from, a.to, a.q.Points)
		if err != nil {
			return nil, err
		}
		a.mark(page.Gaps, a.from)
		if err := a.send(page.Samples, a.to); err != nil {
			return nil, err
		}
	case a.left <= 0:
		return &at, nil
	default:
		return a.raw(ctx, name, at)
	}
	return nil, a.flush(true)
}

// raw gives the samples themselves out.
func (a *pastAnswer) raw(ctx context.Context, name string, at history.Cursor) (*history.Cursor, error) {
	gaps, err := a.store.OpenGaps(ctx, name, a.from, a.to)
	if err != nil {
		return nil, err
	}
	first := a.from
	if at.Set {
		first = at.Time // the pages before have told of the earlier gaps
	}
	a.mark(gaps, first)
	for room := min(a.q.Limit, a.left); ; {
		limit := min(room, answerPiece)
		page, err := a.reader.Page(ctx, name, a.from, a.to, limit, at)
		if err != nil {
			return nil, err
		}
		until := a.to
		if page.More {
			until = page.Next.Time
		}
		if err := a.send(page.Samples, until); err != nil {
			return nil, err
		}
		room -= len(page.Samples)
		a.left -= len(page.Samples)
		switch {
		case !page.More:
			return nil, a.flush(true)
		case room <= 0 || len(page.Samples) < limit: // a short page has looked through as much time as one request may
			return &page.Next, a.flush(true)
		}
		at = page.Next
	}
}

// mark notes where the gaps begin that are to be told from first on.
func (a *pastAnswer) mark(gaps []history.Gap, first int64) {
	for _, g := range gaps {
		if at := max(g.From, a.from); at >= first && at < a.to && g.To > at {
			a.marks = append(a.marks, at)
		}
	}
	slices.Sort(a.marks)
}

// send gives samples out, and before until a sample without a value at the beginning of every gap, so that nobody draws a
// line across it.
func (a *pastAnswer) send(samples []tag.Sample, until int64) error {
	for _, s := range samples {
		if err := a.tell(s.Time); err != nil {
			return err
		}
		if err := a.add(s); err != nil {
			return err
		}
	}
	return a.tell(until)
}

// tell gives the beginnings of gaps out that lie before a time.
func (a *pastAnswer) tell(before int64) error {
	for len(a.marks) > 0 && a.marks[0] < before {
		if err := a.add(tag.Sample{Time: a.marks[0], Quality: tag.BadNoData}); err != nil {
			return err
		}
		a.marks = a.marks[1:]
	}
	return nil
}

func (a *pastAnswer) add(s tag.Sample) error {
	a.part.Samples = append(a.part.Samples, sampleJSON(s))
	if len(a.part.Samples) < answerPiece {
		return nil
	}
	return a.flush(false)
}

// flush gives out what is collected; at the end of a tag also nothing, if that is all there is.
func (a *pastAnswer) flush(end bool) error {
	if len(a.part.Samples) == 0 && (a.begun || !end) {
		return nil
	}
	a.begun = true
	err := a.give(a.part)
	a.part.Samples = a.part.Samples[:0]
	return err
}
