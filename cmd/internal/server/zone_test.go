package server

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"scada/web"
	"scada/web/api"
)

// TestDaysOfAZone counts a sample every half hour over both changes of the clock.
func TestDaysOfAZone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		zone, err := time.LoadLocation("Europe/Berlin")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Until(time.Date(2000, 11, 2, 0, 0, 0, 0, time.UTC))) // a bubble begins with the year 2000
		w := newWorldOf(t, bubblePlant+"history: {raw: 400d}\n", nil)
		defer w.end()
		for _, x := range []struct {
			day   time.Time
			count []string
		}{
			{time.Date(2000, 3, 25, 0, 0, 0, 0, zone), []string{"48", "46", "48"}},
			{time.Date(2000, 10, 28, 0, 0, 0, 0, zone), []string{"48", "50", "48"}},
		} {
			var rows []api.TagChange
			end := x.day.AddDate(0, 0, 3)
			for at := x.day; at.Before(end); at = at.Add(30 * time.Minute) {
				rows = append(rows, api.TagChange{Name: "level", Sample: api.Sample{Time: &at, Value: "1"}})
			}
			if res, err := (archive{w.node["a"]}).Import(t.Context(), web.Actor{}, api.ImportRequest{Samples: rows}); err != nil || len(res.Wrong) > 0 {
				t.Fatal(res, err)
			}
			h, err := askHistory(t, backend{w.node["a"]}, api.HistoryQuery{Tags: []string{"level"}, From: x.day, To: end, Aggregate: "Count", Step: 24 * time.Hour, Zone: "Europe/Berlin"})
			if err != nil || len(h.Series[0].Samples) != 3 {
				t.Fatalf("%+v, %v", h, err)
			}
			for i, s := range h.Series[0].Samples {
				if want := x.day.AddDate(0, 0, i); !s.Time.Equal(want) || fmt.Sprint(s.Value) != x.count[i] {
					t.Errorf("day %d: %v at %v, want %s at %v", i, s.Value, s.Time, x.count[i], want)
				}
			}
		}
	})
}
