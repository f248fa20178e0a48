package server

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"scada/history"
	"scada/history/journal"
	"scada/web"
	"scada/web/api"
)

// TestDroppedDaysAreTold: days that go because there is no room are in the journal, each once, and in the health.
func TestDroppedDaysAreTold(t *testing.T) {
	bubble(t, func(w *world) {
		w.ready()
		a := w.node["a"]
		from := time.Now().Add(-72 * time.Hour).Truncate(24 * time.Hour)
		for day := range 2 {
			if _, err := (archive{a}).Import(w.t.Context(), web.Actor{User: "emil"}, api.ImportRequest{Samples: rows(from.AddDate(0, 0, day), 60)}); err != nil {
				w.t.Fatal(err)
			}
		}
		a.store.SetLimits(history.Limits{MaxDisk: 1})
		w.within(3*time.Minute, "the journal tells of both days", func() error {
			page, err := a.journal.Query(journal.Query{Class: journal.ClassSystem, Limit: journal.MaxPage})
			told := map[string]int{}
			for _, e := range page.Entries {
				if e.Kind == "history dropped" {
					day, _, _ := strings.Cut(strings.TrimPrefix(e.Message, "the day "), " ")
					told[day]++
				}
			}
			if told[from.Format(time.DateOnly)] != 1 || told[from.AddDate(0, 0, 1).Format(time.DateOnly)] != 1 || len(told) != 2 {
				return errors.Join(err, fmt.Errorf("told %v", told))
			}
			return err
		})
		w.within(time.Second, "the health tells of it", func() error {
			why := strings.Join(a.assess().Reasons, "; ")
			if !strings.Contains(why, "the history had to give way: 2 days were removed before their time") {
				return errors.New(why)
			}
			return nil
		})
	})
}
