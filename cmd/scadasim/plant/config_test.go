package plant

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBadFiles: every .bad file begins with the errors it must give, one `# want` line each.
func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/*.bad")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Parse("sim.bad", src)
		if err == nil {
			t.Errorf("%s is accepted", file)
			continue
		}
		for line := range strings.Lines(string(src)) {
			if want, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), "# want "); ok && !strings.Contains(err.Error(), want) {
				t.Errorf("%s: want %s\ngot %v", file, want, err)
			}
		}
	}
}

func TestASizeLimit(t *testing.T) {
	if _, err := Parse("x", make([]byte, maxFileBytes+1)); err == nil || !strings.Contains(err.Error(), "the limit is") {
		t.Errorf("a file over the limit gives %v", err)
	}
}

func FuzzParse(f *testing.F) {
	src, err := os.ReadFile("../demo/sim.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(src)
	f.Add([]byte("modbus: [{units: {1: {holes: [hr:1]}}}]"))
	f.Fuzz(func(t *testing.T, src []byte) {
		c, err := Parse("x", src)
		if err != nil {
			return
		}
		if _, err := New(c, Options{}); err != nil {
			t.Fatalf("a checked file cannot be run: %v\n%s", err, src)
		}
	})
}
