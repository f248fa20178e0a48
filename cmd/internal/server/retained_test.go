package server

import (
	"bytes"
	"errors"
	"io"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"scada/acquisition/tag"
	"scada/history"
	"scada/web"
	"scada/web/api"
	"scada/web/parquet"
)

const typesPlant = bubblePlant + `history: {when_full: stop}

`

// exportedRows reads a tag as an export does and gives the rows of the Parquet file it makes.
func exportedRows(t *testing.T, s *Server, name string, from, to time.Time) (rows []api.TagChange) {
	t.Helper()
	var file bytes.Buffer
	out := parquet.NewWriter(&file)
	q := api.HistoryQuery{Tags: []string{name}, From: from, To: to, Limit: 7}
	for more := true; more; more = q.Cursor != "" {
		h, err := askHistory(t, backend{s}, q)
		if err != nil {
			t.Fatal(err)
		}
		if err := out.Write(h.Series[0]); err != nil {
			t.Fatal(err)
		}
		q.Cursor = h.Next
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	in, err := parquet.Open(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		t.Fatal(err)
	}
	for {
		row, _, err := in.Next()
		if errors.Is(err, io.EOF) {
			return rows
		}
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
}

// TestEveryValueSurvivesAnExport: what an export holds of a value is read by an import as the very same value, for every type.
func TestEveryValueSurvivesAnExport(t *testing.T) {
	for typ, values := range map[tag.Type][]tag.Value{
		tag.TypeBool:    {tag.Bool(true), tag.Bool(false)},
		tag.TypeInt8:    {tag.Int(tag.TypeInt8, -128)},
		tag.TypeUint16:  {tag.Uint(tag.TypeUint16, 65535)},
		tag.TypeInt32:   {tag.Int(tag.TypeInt32, math.MinInt32)},
		tag.TypeInt64:   {tag.Int(tag.TypeInt64, math.MinInt64), tag.Int(tag.TypeInt64, math.MaxInt64), tag.Int(tag.TypeInt64, 1<<53+1), tag.Int(tag.TypeInt64, -7)},
		tag.TypeUint64:  {tag.Uint(tag.TypeUint64, math.MaxUint64), tag.Uint(tag.TypeUint64, 1e19)},
		tag.TypeFloat32: {tag.Float32(0.1), tag.Float32(math.MaxFloat32), tag.Float32(math.SmallestNonzeroFloat32), tag.Float32(-1e6)},
		tag.TypeFloat64: {tag.Float64(0.1), tag.Float64(math.MaxFloat64), tag.Float64(math.SmallestNonzeroFloat64), tag.Float64(math.Copysign(0, -1)), tag.Float64(1e21)},
		tag.TypeString:  {tag.String(""), tag.String("=1+1,\"a\"\r\n"), tag.String("水泵"), tag.String("17")},
	} {
		for _, v := range values {
			x := tag.Sample{Time: 1795348800123456789, Value: v}
			var file bytes.Buffer
			out := parquet.NewWriter(&file)
			if err := errors.Join(out.Write(api.Series{Tag: "x", Samples: []api.Sample{sampleJSON(x)}}), out.Close()); err != nil {
				t.Fatal(err)
			}
			in, err := parquet.Open(bytes.NewReader(file.Bytes()), int64(file.Len()))
			if err != nil {
				t.Fatal(err)
			}
			row, _, err := in.Next()
			if err != nil {
				t.Fatal(err)
			}
			if got, err := readValue(typ, row.Value); err != nil || got != v || row.Time.UnixNano() != x.Time {
				t.Errorf("%s %v came back as %v at %v, %v", typ, v, got, row.Time, err)
			}
		}
	}
}

// TestGapsAreExportedAndNotImported: a take-over is a row without a value in every form of answer, and an export that is imported
// again, on either node, adds nothing - also where the gap is, and however often.
func TestGapsAreExportedAndNotImported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldOf(t, typesPlant, nil)
		defer w.end()
		w.ready()
		from := time.Now()
		time.Sleep(5 * time.Second)
		if err := w.stopDead("a"); err != nil {
			t.Log(err)
		}
		w.within(10*time.Second, "b acts", w.counts("b"))
		time.Sleep(3 * time.Second)
		to := time.Now()
		b := w.node["b"]
		gaps := b.store.Gaps(history.Scope{Area: "main"}, from.UnixNano(), to.UnixNano())
		if len(gaps) != 1 || gaps[0].To-gaps[0].From < int64(100*time.Millisecond) {
			t.Fatalf("gaps of the take-over: %+v", gaps)
		}
		for _, points := range []int{0, 200} {
			h, err := askHistory(t, backend{b}, api.HistoryQuery{Tags: []string{"counter"}, From: from, To: to, Points: points})
			if err != nil || marks(h.Series[0].Samples, gaps[0].From) != 1 {
				t.Errorf("points %d: %d marks of the gap, %v", points, marks(h.Series[0].Samples, gaps[0].From), err)
			}
		}
		rows := exportedRows(t, b, "counter", from, to)
		var samples []api.Sample
		for _, r := range rows {
			samples = append(samples, r.Sample)
		}
		if marks(samples, gaps[0].From) != 1 || len(rows) < 50 {
			t.Fatalf("%d marks in %d rows of the Parquet file", marks(samples, gaps[0].From), len(rows))
		}
		for range 2 {
			res, err := archive{b}.Import(t.Context(), web.Actor{User: "emil"}, api.ImportRequest{Samples: rows})
			if err != nil || res.Added != 0 || len(res.Wrong) > 0 || res.Samples != len(rows) {
				t.Errorf("%+v, %v", res, err)
			}
		}
		if again := exportedRows(t, b, "counter", from, to); len(again) != len(rows) {
			t.Errorf("%d rows, before the imports %d", len(again), len(rows))
		}
		// Where nothing is known of the gap the row says what is to be said: nothing is known from here on.
		at := from.Add(-time.Hour)
		none := api.ImportRequest{Samples: []api.TagChange{{Name: "level", Sample: api.Sample{Time: &at, Quality: "Bad_NoData"}}}}
		if res, err := (archive{b}).Import(t.Context(), web.Actor{}, none); err != nil || res.Added != 1 {
			t.Errorf("a mark of another archive: %+v, %v", res, err)
		}
	})
}

// marks counts the samples without a value of quality Bad_NoData at an instant.
func marks(samples []api.Sample, at int64) (n int) {
	for _, x := range samples {
		if x.Value == nil && x.Quality == "Bad_NoData" && x.Time.UnixNano() == at {
			n++
		}
	}
	return n
}

func TestThePolicyOfAFullDiskIsConfigured(t *testing.T) {
	for plant, want := range map[string]history.FullPolicy{bubblePlant: history.DropOldest, typesPlant: history.StopRecording} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorldOf(t, plant, nil)
			defer w.end()
			if got := w.node["a"].whenFull(); got != want {
				t.Errorf("policy %d, want %d", got, want)
			}
		})
	}
}
