package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	pq "github.com/parquet-go/parquet-go"

	"scada/web"
	"scada/web/api"
)

// shelf is an archive that keeps what is imported; every sample of value 13 is wrong.
type shelf struct {
	mu       sync.Mutex
	requests int
	kept     map[string]api.TagChange
	lacking  int // windows that are missing until it is repaired
	repaired int
}

func (s *shelf) Import(_ context.Context, _ web.Actor, req api.ImportRequest) (api.ImportResult, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	out := api.ImportResult{Samples: len(req.Samples)}
	for i, r := range req.Samples {
		if fmt.Sprint(r.Value) == "13" {
			out.Wrong = append(out.Wrong, api.WrongSample{Sample: i, Reason: "bad luck"})
		}
	}
	if len(out.Wrong) > 0 || req.Check {
		return out, nil
	}
	for _, r := range req.Samples {
		key := r.Name + r.Time.String()
		if _, there := s.kept[key]; !there {
			out.Added++
		}
		s.kept[key] = r
	}
	return out, nil
}

func (s *shelf) Verify(_ context.Context, from, _ time.Time, visit func(api.VerifiedDay) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := api.VerifiedDay{Day: from.Format(time.DateOnly), Samples: 10}
	for i := s.lacking; i < 3; i++ {
		d.Windows = append(d.Windows, api.VerifiedWindow{Window: from.Add(time.Duration(i) * verifyWindow), Samples: 3, Digest: "d"})
	}
	if s.lacking > 0 {
		d.Damaged = []string{"p/20261121.l1.db: a block"}
	}
	return visit(d)
}

func (s *shelf) Repair(context.Context, web.Actor, api.RepairRequest) (api.RepairResult, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repaired++
	n := s.lacking
	s.lacking = 0
	return api.RepairResult{Blocks: n}, nil
}

// archiveServer runs the real server in front of a shelf.
func archiveServer(t *testing.T, s *shelf) string {
	t.Helper()
	s.kept = map[string]api.TagChange{}
	up, _ := serveWith(t, newPlant(), func(c *web.Config) { c.Archive = s })
	return up
}

func ctl(t *testing.T, server string, args ...string) (code int, out string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), args, world{out: &stdout, err: &stderr, getenv: env("SCADACTL_SERVER", server, "SCADACTL_TOKEN", "adm")})
	return code, stdout.String() + stderr.String()
}

func fileOf(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestImportReadsWhatExportWrites(t *testing.T) {
	s := &shelf{}
	up := archiveServer(t, s)
	for i, format := range []string{"csv", "json", "parquet"} {
		file := filepath.Join(t.TempDir(), "out")
		if code, out := ctl(t, up, "history", "export", "line1/flow", "line1/text", "-f", file, "--format", format); code != 0 {
			t.Fatal(code, out)
		}
		code, out := ctl(t, up, "history", "import", file, "-o", "csv")
		if want := []string{"samples,added\n6,6\n", "samples,added\n6,0\n", "samples,added\n6,0\n"}[i]; code != 0 || out != want {
			t.Errorf("%s: %d %q, want %q", format, code, out, want)
		}
	}
}

func TestImportOfManyRows(t *testing.T) {
	s := &shelf{}
	up := archiveServer(t, s)
	var b strings.Builder
	b.WriteString("time,value,tag\n")
	for i := range 2*api.MaxImport + 1 {
		fmt.Fprintf(&b, "%s,%d,x\n", noon.Add(time.Duration(i)*time.Second).Format(time.RFC3339), i+20)
	}
	text := b.String()
	if code, out := ctl(t, up, "history", "import", "--check", fileOf(t, text)); code != 0 || len(s.kept) != 0 || s.requests != 3 {
		t.Errorf("%d %s, %d kept, %d requests", code, out, len(s.kept), s.requests)
	}
	last := noon.Add(time.Hour * 100).Format(time.RFC3339)
	if code, out := ctl(t, up, "history", "import", fileOf(t, text+last+",13,x\n")); code != exitFailed || len(s.kept) != 0 || !strings.Contains(out, fmt.Sprintf(":%d: bad luck", 2*api.MaxImport+3)) {
		t.Errorf("%d %s, %d kept", code, out, len(s.kept))
	}
	if code, out := ctl(t, up, "history", "import", fileOf(t, text)); code != 0 || len(s.kept) != 2*api.MaxImport+1 {
		t.Errorf("%d %s, %d kept", code, out, len(s.kept))
	}
}

func TestImportNamesWrongRows(t *testing.T) {
	s := &shelf{}
	up := archiveServer(t, s)
	const row = "x,2026-11-22T12:00:00Z,1,Good\n"
	for _, x := range []struct{ text, want string }{
		{"", ":1: the file is empty"},
		{"tag,time\n", `:1: the header line has no column "value"`},
		{"tag,time,value,value\n", `:1: the header line: column "value"`},
		{"tag,time,value,colour\n", `:1: the header line: column "colour"`},
		{"tag,time,value,quality\n" + row + "x,yesterday,1,Good\n", ":3: time"},
		{"tag,time,value,quality\n" + row + "x,2026-11-22T12:00:00,1,Good\n", ":3: time"}, // no zone
		{"tag,time,value,quality\n" + row + "x,1\n" + row, ":3: wrong number of fields"},
		{"tag,time,value,quality\n" + row + "\"x,1\n", ":3: "},
		{"tag,time,value,quality\n" + row + "\"two\nlines\",2026-11-22T12:00:00Z,1,Good\nx,then,1,Good\n", ":5: time"},
		{"{\"name\":\"x\",\"time\":\"2026-11-22T12:00:00Z\",\"value\":1}\n{\"name\":\n", ":2: not a sample: it breaks off"},
		{"{\"name\":\"x\"} {}\n", ":1: not a sample: there is more"},
		{"{\"nmae\":\"x\"}\n", ":1: not a sample"},
		{"{}\n\n{\"name\":\"" + strings.Repeat("x", maxLine) + "\"}\n", ":3: it has more than"},
	} {
		file := fileOf(t, x.text)
		code, out := ctl(t, up, "history", "import", file)
		if code != exitFailed || !strings.Contains(out, file+x.want) || len(s.kept) != 0 {
			t.Errorf("%.60q: %d %q, want %q in it", x.text, code, out, x.want)
		}
	}
	for what, x := range map[string]struct{ text, want string }{
		"row 2 has no time": {parquetOf(t, false), ":2: it has no time"},
		"a cut file":        {parquetOf(t, true)[:200], "not a Parquet file"},
		"a damaged page":    {damaged(parquetOf(t, true)), "the rest of the file"},
		"a wrong value":     {parquetOf(t, true), ":3: bad luck"},
	} {
		file := fileOf(t, x.text)
		code, out := ctl(t, up, "history", "import", file)
		if code != exitFailed || !strings.Contains(out, file+":") || !strings.Contains(out, x.want) || !strings.Contains(out, "import") || len(s.kept) != 0 {
			t.Errorf("Parquet, %s: %d %q, want %q in it", what, code, out, x.want)
		}
	}
	if code, _ := ctl(t, up, "history", "import", filepath.Join(t.TempDir(), "none")); code != exitFailed {
		t.Errorf("a file that is not there: %d", code)
	}
}

// parquetOf is a file of three rows, as another program writes it; the last has a value the shelf does not like, and the
// second perhaps no time.
func parquetOf(t *testing.T, timed bool) string {
	t.Helper()
	type row struct {
		Tag   string  `parquet:"tag"`
		Time  *int64  `parquet:"time,timestamp(microsecond),optional"`
		Value float64 `parquet:"value"`
	}
	at := noon.UnixMicro()
	rows := []row{{"x", &at, 1}, {"x", nil, 2}, {"x", &at, 13}}
	if timed {
		rows[1].Time = &at
	}
	var b bytes.Buffer
	w := pq.NewGenericWriter[row](&b)
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// damaged spoils the header of the first page of a file.
func damaged(file string) string { return file[:4] + "\xff\xff\xff\xff\xff\xff" + file[10:] }

func FuzzRows(f *testing.F) {
	f.Add([]byte("tag,time,value\nx,2026-11-22T12:00:00Z,1\n"))
	f.Add([]byte("{\"name\":\"x\",\"value\":1}\n{}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		read, err := rowReader(bytes.NewReader(b))
		if err != nil {
			return
		}
		for last, n := 0, 0; n <= len(b); n++ {
			row, line, err := read()
			if line < last && line != 0 {
				t.Fatalf("row %d comes after %d", line, last)
			}
			if err != nil && line == 0 {
				return
			}
			last = line
			if err == nil {
				if _, err := json.Marshal(row); err != nil {
					t.Skip() // a year JSON has no text for
				}
			}
		}
	})
}

func TestVerifyComparesBothNodes(t *testing.T) {
	sound, lacking := &shelf{}, &shelf{lacking: 1}
	servers := archiveServer(t, sound) + "," + archiveServer(t, lacking)
	if code, out := ctl(t, servers, "history", "verify"); code != exitFailed || !strings.Contains(out, "differs: ten minutes from") || !strings.Contains(out, "damaged: p/20261121.l1.db") || lacking.repaired != 0 {
		t.Errorf("%d %s", code, out)
	}
	code, out := ctl(t, servers, "history", "verify", "--repair", "-o", "json")
	var v verification
	if err := json.Unmarshal([]byte(out[strings.Index(out, "{"):strings.LastIndex(out, "}")+1]), &v); code != 0 || err != nil || !v.Equal || len(v.Nodes) != 2 || v.Nodes[1].Windows != 3 || lacking.repaired != 1 {
		t.Errorf("%d %v %s", code, err, out)
	}
	if code, out := ctl(t, servers, "history", "verify"); code != 0 || !strings.Contains(out, "equal") {
		t.Errorf("%d %s", code, out)
	}
	one, _, _ := strings.Cut(servers, ",")
	if code, _ := ctl(t, one, "history", "verify"); code != exitUsage {
		t.Errorf("with one server: %d", code)
	}
	if code, out := ctl(t, one+","+closedPort(t), "history", "verify"); code != exitUnreachable {
		t.Errorf("with one that is down: %d %s", code, out)
	}
	if code, _ := ctl(t, servers, "history", "verify", "--from", "-1m"); code != exitUsage {
		t.Errorf("nothing that is over: %d", code)
	}
}
