package server

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"scada/acquisition/tag"
	"scada/cmd/internal/config"
	"scada/history"
	"scada/web/api"
)

// TestTenYearsOfTenThousandTags asks for everything a plant has recorded by change in ten years. No answer is large, none
// looks through more than a year after the first sample of a tag it finds, and going on from one to the next brings every
// sample once.
func TestTenYearsOfTenThousandTags(t *testing.T) {
	const tags, limit = 10_000, 2
	from := time.Date(2016, 1, 1, 0, 0, 0, 0, time.UTC)
	to := from.AddDate(10, 0, 0)
	moments := []time.Time{from, from.AddDate(0, 0, 1), from.AddDate(1, 6, 0), from.AddDate(6, 0, 0), to.Add(-time.Second)}
	defs, names, entered := make([]tag.Definition, tags), make([]string, tags), make([]history.Entered, tags)
	for i := range defs {
		names[i] = fmt.Sprintf("plant/tag%05d", i)
		defs[i] = tag.Definition{ID: tag.ID(i), Name: names[i], Type: tag.TypeFloat64, History: tag.HistoryChange}
		entered[i].Tag = names[i]
		for k, at := range moments {
			entered[i].Samples = append(entered[i].Samples, tag.Sample{Time: at.UnixNano(), Value: tag.Float64(float64(i*10 + k))})
		}
	}
	store, err := history.Open(t.TempDir(), history.Options{Tags: defs, Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return to }, SealAfter: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if n, err := store.Enter(t.Context(), entered); err != nil || n != tags*len(moments) {
		t.Fatalf("%d samples entered, %v", n, err)
	}
	s := &Server{store: store}
	s.gen.Store(&generation{cfg: &config.Config{}}) // no tag has a unit
	b := backend{s}
	var problem *api.Problem
	if _, err := askHistory(t, b, api.HistoryQuery{Tags: names, From: from, To: to, Limit: limit}); !errors.As(err, &problem) || problem.Code != api.CodeBadRequest {
		t.Errorf("all tags in one request: %v", err)
	}
	got, answers := map[string]int{}, 0
	for i := 0; i < tags; i += 5 * maxSeries { // a fifth of them will do
		q := api.HistoryQuery{Tags: names[i : i+maxSeries], From: from, To: to, Limit: limit}
		for more := true; more; more = q.Cursor != "" {
			h, err := askHistory(t, b, q)
			if err != nil {
				t.Fatal(err)
			}
			if answers++; answers > tags/maxSeries*20 {
				t.Fatal("it does not come to an end")
			}
			for _, series := range h.Series {
				if len(series.Samples) > limit {
					t.Fatalf("%d samples of %s in one answer, the limit is %d", len(series.Samples), series.Tag, limit)
				}
				for _, x := range series.Samples {
					k := got[series.Tag]
					if got[series.Tag]++; k >= len(moments) || !x.Time.Equal(moments[k]) {
						t.Fatalf("sample %d of %s is of %s", k, series.Tag, x.Time)
					}
				}
				if n := len(series.Samples); n > 1 && series.Samples[n-1].Time.Sub(*series.Samples[0].Time) > history.MaxSpan {
					t.Fatalf("one answer reaches from %s to %s", series.Samples[0].Time, series.Samples[n-1].Time)
				}
			}
			q.Cursor = h.Next
		}
	}
	for i, name := range names {
		if want := len(moments); i/maxSeries%5 == 0 && got[name] != want {
			t.Fatalf("%d samples of %s, want %d", got[name], name, want)
		}
	}
	t.Logf("%d answers", answers)
}

// askHistory collects a whole answer.
func askHistory(t *testing.T, b backend, q api.HistoryQuery) (api.History, error) {
	h := api.History{}
	if q.Limit == 0 {
		q.Limit = answerRows
	}
	next, err := b.History(t.Context(), q, func(s api.Series) error {
		if len(s.Samples) > answerPiece {
			t.Errorf("a piece of %d samples", len(s.Samples))
		}
		s.Samples = slices.Clone(s.Samples)
		if n := len(h.Series); n > 0 && h.Series[n-1].Tag == s.Tag {
			h.Series[n-1].Samples = append(h.Series[n-1].Samples, s.Samples...)
			return nil
		}
		h.Series = append(h.Series, s)
		return nil
	})
	h.Next = next
	return h, err
}
