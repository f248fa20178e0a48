package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"scada/web/api"
	"scada/web/parquet"
)

// shelf is a backend with two pages of samples for each tag.
type shelf struct {
	*fake
	fault      error // of the second page
	begun, let chan struct{}
}

func (f *shelf) History(_ context.Context, q api.HistoryQuery, give func(api.Series) error) (string, error) {
	if f.begun != nil {
		f.begun <- struct{}{}
		<-f.let
	}
	at := [3]time.Time{q.From, q.From.Add(time.Second), q.From.Add(2 * time.Second)}
	if q.Cursor == "" {
		return "2", give(api.Series{Tag: q.Tags[0], Unit: "bar", Samples: []api.Sample{
			{Time: &at[0], Value: float32(0.1), Quality: "Good"}, {Time: &at[1], Quality: "Bad_NoData"}}})
	}
	return "", errors.Join(give(api.Series{Tag: q.Tags[0], Unit: "bar", Samples: []api.Sample{{Time: &at[2], Value: `a "text"`, Quality: "Good"}}}), f.fault)
}

func shelfRig(t *testing.T, f *shelf, run func(*rig)) {
	bubble(t, f.fake, func(r *rig) {
		synctest.Wait() // what reads the backend at its start has done so
		r.s.backend = f
		run(r)
	})
}

func TestSamplesAreExported(t *testing.T) {
	const path = "/api/v1/history/export?tag=a/x&tag=a/y&from=2026-11-22T12:00:00Z&to=2026-11-22T13:00:00Z"
	f := &shelf{fake: newFake("a", float("a/x"), float("a/y"))}
	shelfRig(t, f, func(r *rig) {
		rows := ""
		for _, name := range []string{"a/x", "a/y"} {
			rows += fmt.Sprintf("%[1]s,2026-11-22T12:00:00Z,0.1,Good\n%[1]s,2026-11-22T12:00:01Z,,Bad_NoData\n%[1]s,2026-11-22T12:00:02Z,\"a \"\"text\"\"\",Good\n", name)
		}
		for _, format := range []string{"", "&format=csv"} {
			a := r.do("GET", path+format, "", bearer("tok-viewer")...)
			if a.status != 200 || a.body != "tag,time,value,quality\n"+rows || a.header.Get("Content-Type") != "text/csv; charset=utf-8" || !strings.Contains(a.header.Get("Content-Disposition"), "history.csv") {
				t.Errorf("%d %v\n%s", a.status, a.header, a.body)
			}
		}
		a := r.do("GET", path+"&format=parquet", "", bearer("tok-viewer")...)
		if a.status != 200 || a.header.Get("Content-Type") != parquet.MediaType || !strings.Contains(a.header.Get("Content-Disposition"), "history.parquet") {
			t.Fatalf("%d %v", a.status, a.header)
		}
		if got := parquetRows(t, a.body); got != rows {
			t.Errorf("in the Parquet file:\n%s", got)
		}
		for query, want := range map[string]int{"": 400, "?tag=none": 404, "?tag=a/x&format=xls": 400, "?tag=a/x&points=3": 400, "?tag=a/x&from=now": 400} {
			if a := r.do("GET", "/api/v1/history/export"+query, "", bearer("tok-viewer")...); a.status != want {
				t.Errorf("%s: %d, want %d", query, a.status, want)
			}
		}
	})
}

// TestEveryFormatOfAnExportIsDescribed: the description knew of one format for each export, and generated clients refuse what it does not know.
func TestEveryFormatOfAnExportIsDescribed(t *testing.T) {
	doc, err := json.Marshal(describe(routes(), "test"))
	if err != nil {
		t.Fatal(err)
	}
	var api struct {
		Paths map[string]map[string]struct {
			Responses map[string]struct{ Content map[string]any }
		}
	}
	if err := json.Unmarshal(doc, &api); err != nil {
		t.Fatal(err)
	}
	for path, formats := range map[string][]string{
		"/api/v1/history/export": {"text/csv", parquet.MediaType},
		"/api/v1/journal/export": {"application/jsonl", "text/csv"},
	} {
		if got := slices.Sorted(maps.Keys(api.Paths[path]["get"].Responses["200"].Content)); !slices.Equal(got, slices.Sorted(slices.Values(formats))) {
			t.Errorf("%s is described as %q, want %q", path, got, formats)
		}
	}
}

// parquetRows writes the rows of a file as CSV.
func parquetRows(t *testing.T, file string) string {
	t.Helper()
	in, err := parquet.Open(strings.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	out := newCSVFile(&b).(*csvFile)
	out.begun = true // no header line
	for {
		row, _, err := in.Next()
		if errors.Is(err, io.EOF) {
			out.w.Flush()
			return b.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := out.Write(api.Series{Tag: row.Name, Samples: []api.Sample{row.Sample}}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBrokenExportIsSeen: what came before an error must not pass for all, and an error before anything came is told as one.
func TestBrokenExportIsSeen(t *testing.T) {
	f := &shelf{fake: newFake("a", float("a/x")), fault: errors.New("the disk")}
	shelfRig(t, f, func(r *rig) {
		if a := r.do("GET", "/api/v1/history/export?tag=a/x&format=parquet", "", bearer("tok-viewer")...); a.status == 200 && strings.HasSuffix(a.body, parquet.Magic) {
			t.Errorf("a whole file although the history failed: %d bytes", len(a.body))
		}
	})
}

func TestExportsAreBounded(t *testing.T) {
	f := &shelf{fake: newFake("a", float("a/x")), begun: make(chan struct{}), let: make(chan struct{})}
	shelfRig(t, f, func(r *rig) {
		const path = "/api/v1/history/export?tag=a/x"
		done := make(chan answer)
		for range maxExports {
			go func() { done <- r.do("GET", path, "", bearer("tok-viewer")...) }()
			<-f.begun
		}
		if a := r.do("GET", path, "", bearer("tok-viewer")...); a.status != 429 {
			t.Errorf("one too many: %d", a.status)
		}
		go func() {
			for range maxExports { // their second pages
				<-f.begun
			}
		}()
		for range 2 * maxExports {
			f.let <- struct{}{}
		}
		for range maxExports {
			if a := <-done; a.status != 200 {
				t.Errorf("%d %s", a.status, a.body)
			}
		}
	})
}
