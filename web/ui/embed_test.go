package ui

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"regexp"
	"testing"
)

// maxGzipBytes is what the page may weigh on the wire: script and style together, compressed.
const maxGzipBytes = 200 << 10

func TestBundle(t *testing.T) {
	if !Built() {
		t.Skip("the bundle is not built: go run ./web/ui/build")
	}
	total := 0
	for _, name := range []string{"app.js", "app.css"} {
		plain := read(t, name)
		packed := read(t, name+".gz")
		total += len(packed)
		r, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			t.Fatalf("%s.gz: %v", name, err)
		}
		unpacked, err := io.ReadAll(r)
		if err != nil {
			t.Fatalf("%s.gz: %v", name, err)
		}
		if !bytes.Equal(unpacked, plain) {
			t.Errorf("%s.gz is not %s", name, name)
		}
	}
	if total > maxGzipBytes {
		t.Errorf("the page weighs %d B compressed, the limit is %d", total, maxGzipBytes)
	}
}

// The page runs under default-src 'self': nothing inline, nothing from elsewhere, nothing loaded later.
func TestPageKeepsTheContentSecurityPolicy(t *testing.T) {
	if !Built() {
		t.Skip("the bundle is not built: go run ./web/ui/build")
	}
	page := read(t, "index.html")
	for _, forbidden := range []string{`<style`, `\sstyle=`, `<script>`, `\son[a-z]+=`, `https?://`} {
		if m := regexp.MustCompile(forbidden).Find(page); m != nil {
			t.Errorf("index.html contains %q", m)
		}
	}
	script := read(t, "app.js")
	for _, forbidden := range []string{`\beval\(`, `new Function\(`, `\bimport\("`} {
		if m := regexp.MustCompile(forbidden).Find(script); m != nil {
			t.Errorf("app.js contains %q", m)
		}
	}
	for _, name := range []string{"app.js", "app.css"} {
		if !regexp.MustCompile(regexp.QuoteMeta(name) + `\?v=[0-9a-f]{16}"`).Match(page) {
			t.Errorf("index.html does not ask for %s with its hash", name)
		}
	}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := fs.ReadFile(Files(), name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
