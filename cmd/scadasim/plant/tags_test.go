package plant

import (
	"bytes"
	"encoding/csv"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"scada/acquisition/tag"
	"scada/simulators/process"
)

var rewrite = flag.Bool("rewrite", false, "write the demo's tag lists anew from the points of the model")

const tagFolder = "../demo/tags"

var tagFiles = map[string][]string{
	"1-intake.csv": {process.PLC1}, "2-treatment.csv": {process.PLC2},
	"3-wells.csv": {process.Well1, process.Well2, process.Well3, process.Well4}, "4-mixer.csv": {process.Mixer},
}

// TestTagFilesFollowTheModel: the tag lists are those of the model's points; run with -rewrite after changing it.
func TestTagFilesFollowTheModel(t *testing.T) {
	points := process.New(1).Points()
	for name, devices := range tagFiles {
		var out bytes.Buffer
		w := csv.NewWriter(&out)
		write(t, w, "name", "device", "address", "type", "scan", "unit", "range", "scale", "deadband", "writable", "history", "states", "description")
		for _, device := range devices {
			for _, p := range points {
				if p.Device == device {
					write(t, w, row(p)...)
				}
			}
		}
		w.Flush()
		path := filepath.Join(tagFolder, name)
		if *rewrite {
			if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		have, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(have, out.Bytes()) {
			t.Errorf("%s differs from the model: run go test ./cmd/scadasim/plant -rewrite and read the diff", path)
		}
	}
}

func write(t *testing.T, w *csv.Writer, cells ...string) {
	t.Helper()
	if err := w.Write(cells); err != nil {
		t.Fatal(err)
	}
}

func row(p process.Point) []string {
	interval := func(lo, hi float64) string { return fmt.Sprintf("%g..%g", lo, hi) }
	span, scale, deadband, writable := "", "", "", ""
	if !p.Range.IsZero() {
		span = interval(p.Range.Low, p.Range.High)
	}
	if !p.Scale.IsZero() {
		scale = interval(p.Scale.RawLow, p.Scale.RawHigh) + " -> " + interval(p.Scale.Low, p.Scale.High)
	}
	if p.Deadband != 0 {
		deadband = strconv.FormatFloat(p.Deadband, 'g', -1, 64)
	}
	if p.Writable {
		writable = "true"
	}
	return []string{
		p.Name, p.Device, p.AddressText(), p.Type.String(), p.Scan, p.Unit, span, scale, deadband, writable, p.History,
		strings.Join(p.States, "|"), p.Description,
	}
}

// tagRow is a tag as its file has it.
type tagRow struct {
	name, device, address string
	typ                   tag.Type
	scale                 tag.Linear
	writable              bool
}

func readTags(t *testing.T) []tagRow {
	t.Helper()
	var rows []tagRow
	for name := range tagFiles {
		f, err := os.Open(filepath.Join(tagFolder, name))
		if err != nil {
			t.Fatal(err)
		}
		records, err := csv.NewReader(f).ReadAll()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		for _, r := range records[1:] {
			x := tagRow{name: r[0], device: r[1], address: r[2], writable: r[9] == "true"}
			if x.typ, err = tag.ParseType(r[3]); err != nil {
				t.Fatalf("%s: %v", r[0], err)
			}
			if r[7] != "" {
				s := &x.scale
				if n, err := fmt.Sscanf(strings.ReplaceAll(r[7], "..", " "), "%g %g -> %g %g", &s.RawLow, &s.RawHigh, &s.Low, &s.High); n != 4 {
					t.Fatalf("%s: scale %q: %v", r[0], r[7], err)
				}
			}
			rows = append(rows, x)
		}
	}
	return rows
}
