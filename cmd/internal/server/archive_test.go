package server

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"scada/acquisition/tag"
	"scada/history"
	"scada/web"
	"scada/web/api"
)

// rows are n samples of the level, a minute apart.
func rows(from time.Time, n int) (out []api.TagChange) {
	for i := range n {
		at := from.Add(time.Duration(i) * time.Minute)
		out = append(out, api.TagChange{Name: "level", Sample: api.Sample{Time: &at, Value: json.Number(fmt.Sprint(i)), Quality: "Good"}})
	}
	return out
}

// TestImportReachesBothNodes imports on the active and on the standby: the other node has it too, at once and not after
// the next comparison.
func TestImportReachesBothNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldOf(t, bubblePlant, nil)
		defer w.end()
		w.ready()
		from := time.Now().Add(-50 * time.Hour).Truncate(time.Hour)
		by := web.Actor{User: "emil"}
		for i, name := range []string{"a", "b"} {
			part := rows(from.Add(time.Duration(i)*20*time.Hour), 90)
			for k, added := range []int{0, 90, 0} {
				res, err := archive{w.node[name]}.Import(t.Context(), by, api.ImportRequest{Check: k == 0, Samples: part})
				if err != nil || res.Added != added || len(res.Wrong) > 0 {
					t.Fatalf("on %s: %+v, %v", name, res, err)
				}
			}
		}
		w.within(10*time.Second, "both nodes have what was imported on either", func() error {
			for _, name := range []string{"a", "b"} {
				d, err := w.node[name].store.Digest(t.Context(), []string{"level"}, 0, from.Add(30*time.Hour).UnixNano())
				if err != nil || d.Samples != 180 {
					return fmt.Errorf("%s has %d, %w", name, d.Samples, err)
				}
			}
			return nil
		})
		w.within(10*time.Second, "the journal of both says who did it", func() error {
			for _, name := range []string{"a", "b"} {
				j, err := backend{w.node[name]}.Journal(t.Context(), api.JournalQuery{Kind: "config", From: from, To: time.Now(), Limit: 10})
				if err != nil || len(j.Entries) != 2 || j.Entries[0].User != "emil" {
					return fmt.Errorf("%s: %+v, %w", name, j.Entries, err)
				}
			}
			return nil
		})
	})
}

func TestImportSaysWhatIsWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldOf(t, bubblePlant, nil)
		defer w.end()
		past, future, ancient := time.Now().Add(-time.Hour), time.Now().Add(time.Minute), time.Unix(-5, 0)
		row := func(name string, at *time.Time, value any, quality string) api.TagChange {
			return api.TagChange{Name: name, Sample: api.Sample{Time: at, Value: value, Quality: quality}}
		}
		wrong := []struct {
			row  api.TagChange
			want string
		}{
			{row("nobody", &past, json.Number("1"), "Good"), `no tag "nobody"`},
			{row("level", nil, json.Number("1"), "Good"), "no time"},
			{row("level", &future, json.Number("1"), "Good"), "future"},
			{row("level", &ancient, json.Number("1"), "Good"), "1970"},
			{row("level", &past, json.Number("70000"), "Good"), "range"},
			{row("level", &past, "full", "Good"), "full"},
			{row("level", &past, true, "Good"), "uint16"},
			{row("level", &past, []any{}, "Good"), "no number"},
			{row("level", &past, nil, "Good"), "not Bad"},
			{row("level", &past, json.Number("1"), "Fine"), `"Fine"`},
			{row("level", &past, json.Number("1"), "Good_0x80000001"), "quality"},
		}
		req := api.ImportRequest{Samples: rows(past, 1)}
		for _, x := range wrong {
			req.Samples = append(req.Samples, x.row)
		}
		res, err := archive{w.node["a"]}.Import(t.Context(), web.Actor{}, req)
		if err != nil || len(res.Wrong) != len(wrong) || res.Added != 0 {
			t.Fatalf("%+v, %v", res, err)
		}
		for i, x := range res.Wrong {
			if x.Sample != i+1 || !strings.Contains(x.Reason, wrong[i].want) {
				t.Errorf("sample %d: %q, want %q in it", x.Sample, x.Reason, wrong[i].want)
			}
		}
		if d, err := w.node["a"].store.Digest(t.Context(), []string{"level"}, 0, past.Add(time.Second).UnixNano()); err != nil || d.Samples != 0 {
			t.Errorf("%d samples are in the history, %v", d.Samples, err)
		}
		good := []api.TagChange{row("level", &past, nil, "Bad_CommunicationError"), row("trip", &past, true, ""), row("trip", &past, "0", "Uncertain_0x40123400")}
		if res, err := (archive{w.node["a"]}).Import(t.Context(), web.Actor{}, api.ImportRequest{Samples: good}); err != nil || res.Added != 3 {
			t.Errorf("%+v, %v", res, err)
		}
	})
}

// TestVerifyAndRepairThroughTheNodes lets the standby lack samples the active has, and repairs it from either side.
func TestVerifyAndRepairThroughTheNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldOf(t, bubblePlant, nil)
		defer w.end()
		w.ready()
		from := time.Now().Add(-50 * time.Hour).Truncate(time.Hour)
		verify := func(name string) (out []api.VerifiedWindow) {
			err := archive{w.node[name]}.Verify(t.Context(), from, from.Add(40*time.Hour), func(d api.VerifiedDay) error {
				if len(d.Wrong)+len(d.Damaged) > 0 {
					t.Errorf("%s: %+v", name, d)
				}
				out = append(out, d.Windows...)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		for i, ask := range []string{"a", "b"} {
			at := from.Add(time.Duration(i) * 20 * time.Hour)
			what := []history.Entered{{Tag: "level", Samples: []tag.Sample{{Time: at.UnixNano(), Value: tag.Uint(tag.TypeUint16, 7)}}}}
			if n, err := w.node["a"].store.Enter(t.Context(), what); n != 1 || err != nil {
				t.Fatal(n, err)
			}
			if slices.Equal(verify("a"), verify("b")) {
				t.Fatal("only one has the sample, and they verify as equal")
			}
			if _, err := (archive{w.node[ask]}).Repair(t.Context(), web.Actor{}, api.RepairRequest{From: at, To: at.Add(time.Hour)}); err != nil {
				t.Fatal(err)
			}
			w.within(10*time.Second, "both are equal", func() error {
				if a, b := verify("a"), verify("b"); !slices.Equal(a, b) || len(a) != i+1 {
					return fmt.Errorf("a %v, b %v", a, b)
				}
				return nil
			})
		}
	})
}
