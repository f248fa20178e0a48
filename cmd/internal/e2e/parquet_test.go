//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// parquetRow is a row as an independent reader gives it.
type parquetRow struct {
	Tag, Time, Quality string
	Value              *float64
	Text               *string
}

// checkParquet exports a tag as Parquet, by scadactl and from the interface itself, and has an independent reader read both:
// they hold what the CSV export does. The file can be imported again, and adds nothing.
func (r *rig) checkParquet(tag, unit string, from, to time.Time) {
	t := r.t
	t.Helper()
	span := []string{"history", "export", tag, "--from", from.Format(time.RFC3339), "--to", to.Format(time.RFC3339), "-f"}
	table, file := filepath.Join(r.dir, "export.csv"), filepath.Join(r.dir, "export.parquet")
	for _, args := range [][]string{append(span, table), append(span, file, "--format", "parquet")} {
		if code, out := r.scadactl("b", args...); code != 0 {
			t.Fatalf("%v: exit %d, %s", args, code, out)
		}
	}
	fetched := filepath.Join(r.dir, "fetched.parquet")
	q := url.Values{"tag": {tag}, "format": {"parquet"}, "from": {from.Format(time.RFC3339)}, "to": {to.Format(time.RFC3339)}}
	r.fetch("a", "/api/v1/history/export?"+q.Encode(), fetched)
	want := csvRows(t, table)
	for _, name := range []string{file, fetched} {
		rows, units := readParquet(t, name)
		if units != fmt.Sprintf(`{"%s":"%s"}`, tag, unit) || len(rows) != len(want) || len(rows) == 0 {
			t.Fatalf("%s: %d rows of %d, units %s", name, len(rows), len(want), units)
		}
		for i := range rows {
			if rows[i] != want[i] {
				t.Fatalf("%s: row %d is %q, in the CSV %q", name, i+1, rows[i], want[i])
			}
		}
	}
	if code, out := r.scadactl("a", "history", "import", file, "-o", "csv"); code != 0 || !strings.Contains(out, fmt.Sprintf("%d,0", len(want))) {
		t.Errorf("import of the export: exit %d, %s", code, out)
	}
}

// fetch downloads a path of a node into a file.
func (r *rig) fetch(node, path, file string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.url(node)+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.who.Token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		r.t.Fatalf("%s: %d, %v", path, resp.StatusCode, err)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// csvRows reads an export as rows of tag, nanoseconds, value and quality.
func csvRows(t *testing.T, file string) (out []string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows[1:] {
		at, err := time.Parse(time.RFC3339Nano, row[1])
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprint(row[0], " ", at.UnixNano(), " ", row[2], " ", row[3]))
	}
	return out
}

func readParquet(t *testing.T, file string) (rows []string, units string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "node", "read.mjs", file)
	cmd.Dir = "parquet"
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		var meta map[string]string
		if json.Unmarshal(lines.Bytes(), &meta) == nil && meta["scada.units"] != "" {
			return rows, meta["scada.units"]
		}
		var row parquetRow
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			t.Fatalf("%v: %s", err, lines.Bytes())
		}
		value := ""
		if row.Value != nil {
			value = strconv.FormatFloat(*row.Value, 'g', -1, 64)
		}
		if row.Text != nil {
			value = *row.Text
		}
		rows = append(rows, fmt.Sprint(row.Tag, " ", row.Time, " ", value, " ", row.Quality))
	}
	t.Fatal("the file has no metadata")
	return nil, ""
}
