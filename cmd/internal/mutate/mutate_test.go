package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestListsStillApply keeps the lists honest when the sources change: each fault has exactly one place.
func TestListsStillApply(t *testing.T) {
	lists, err := load("../../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lists {
		for _, m := range l.mutations {
			if _, _, err := l.faulty(m); err != nil {
				t.Errorf("%s: %s: %v", l.room, m.what, err)
			}
		}
	}
}

// TestMake makes faults in a module of its own: one that a test notices, one that nobody does, and one that does not compile.
func TestMake(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":      "module m\n",
		"r/r.go":      "package r\n\nfunc Twice(n int) int { return 2 * n }\n",
		"r/r_test.go": "package r\n\nimport \"testing\"\n\nfunc TestTwice(t *testing.T) {\n\tt.Run(\"three\", func(t *testing.T) {\n\t\tif Twice(3) != 6 {\n\t\t\tt.Error(\"wrong\")\n\t\t}\n\t})\n}\n",
		"r/mutations.txt": "noticer none: ./r -run Nothing\nnoticer all: ./r\n\n# thrice\nfile r.go\n< 2 *\n> 3 *\n\n# thrice, unseen\nfile r.go\nby none\n< 2 *\n> 3 *\n\n" +
			"# broken\nfile r.go\n< 2 *\n> *\n",
	} {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	lists, err := load(root)
	if err != nil || len(lists) != 1 || lists[0].room != "r" || len(lists[0].mutations) != 3 {
		t.Fatal(lists, err)
	}
	for i, want := range []string{"TestTwice/three", "", ""} {
		m := lists[0].mutations[i]
		by, err := lists[0].make(m)
		if by != want || (err != nil) != (m.what == "broken") {
			t.Errorf("%s: noticed by %q, %v", m.what, by, err)
		}
	}
}

func TestFailure(t *testing.T) {
	for out, want := range map[string]string{
		"--- FAIL: TestA (0s)\n    --- FAIL: TestA/b (0s)\n--- FAIL: TestC (0s)\n": "TestA/b",
		"--- FAIL: TestSeeds (0s)\n    x_test.go:1: seed 7: two\n":                 "seed 7: two",
		"panic: test timed out": "a panic or the time limit",
	} {
		if got := failure(out); got != want {
			t.Errorf("%q: %q, want %q", out, got, want)
		}
	}
}

// TestParseRefuses: a list that would silently test less is an error.
func TestParseRefuses(t *testing.T) {
	const head = "noticer all: ./r\n\n"
	for _, text := range []string{
		"", "# x\nfile r.go\n< a\n> b\n", head + "# x\nfile r.go\n> b\n", head + "# x\n< a\n> b\n", head + "file r.go\n< a\n> b\n",
		head + "# x\nfile r.go\nby you\n< a\n> b\n", head + "# x\nfile r.go\n< a\n> a\n", head + "# x\nfile r.go\n< a\n> b\nmore\n",
	} {
		if l, err := parse(text); err == nil {
			t.Errorf("%s\naccepted: %+v", strings.TrimSpace(text), l)
		}
	}
}
