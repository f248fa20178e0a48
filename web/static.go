package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
)

// file is one file of the dashboard, ready to send.
type file struct {
	plain, packed []byte // packed is nil without a .gz beside it
	contentType   string
	etag          string
}

// static serves the dashboard from memory: it is small, and it must come even when the disk does not answer.
type static struct{ files map[string]file }

var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
	".svg": "image/svg+xml", ".json": "application/json", ".woff2": "font/woff2", ".png": "image/png", ".txt": "text/plain; charset=utf-8",
	".webmanifest": "application/manifest+json",
}

const notBuilt = `<!doctype html><html lang="en"><meta charset="utf-8"><title>SCADA</title>
<h1>The dashboard is not in this binary</h1>
<p>The server runs; only its pages were not built. Build them with <code>make build</code> and start the new binary.</p>
<p>The HTTP interface is under <code>/api/v1</code>.</p></html>
`

// newStatic reads all files; without index.html it serves a page that says how to get one.
func newStatic(files fs.FS) (*static, error) {
	s := &static{files: map[string]file{}}
	if files != nil {
		if err := fs.WalkDir(files, ".", s.load(files)); err != nil {
			return nil, err
		}
	}
	if _, ok := s.files["index.html"]; !ok {
		s.add("index.html", []byte(notBuilt), nil)
	}
	return s, nil
}

func (s *static) load(files fs.FS) fs.WalkDirFunc {
	return func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() || strings.HasPrefix(path.Base(name), ".") || strings.HasSuffix(name, ".gz") {
			return nil
		}
		plain, err := fs.ReadFile(files, name)
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		packed, err := fs.ReadFile(files, name+".gz")
		if err != nil {
			packed = nil // there need not be one
		}
		s.add(name, plain, packed)
		return nil
	}
}

func (s *static) add(name string, plain, packed []byte) {
	sum := sha256.Sum256(plain)
	contentType, ok := contentTypes[path.Ext(name)]
	if !ok {
		contentType = "application/octet-stream"
	}
	s.files[name] = file{plain: plain, packed: packed, contentType: contentType, etag: hex.EncodeToString(sum[:12])}
}

// ServeHTTP answers with a file; a path that looks like a page of the dashboard gets index.html, which shows the page itself.
func (s *static) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
	f, ok := s.files[name]
	if !ok && path.Ext(name) == "" {
		name = "index.html"
		f, ok = s.files[name]
	}
	h := w.Header()
	if !ok {
		h.Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprintln(w, "no such file")
		return
	}
	body, etag := f.plain, `"`+f.etag+`"`
	if f.packed != nil {
		h.Add("Vary", "Accept-Encoding")
		if acceptsGzip(r) {
			body, etag = f.packed, `"`+f.etag+`-gz"`
			h.Set("Content-Encoding", "gzip")
		}
	}
	h.Set("ETag", etag)
	h.Set("Cache-Control", "no-cache")
	if r.URL.Query().Get("v") != "" {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if matchesETag(r.Header.Get("If-None-Match"), etag) {
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", f.contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodHead {
		return
	}
	if _, err := bytes.NewReader(body).WriteTo(w); err != nil {
		return // the client left
	}
}

func matchesETag(header, etag string) bool {
	for _, part := range strings.Split(header, ",") {
		if part = strings.TrimPrefix(strings.TrimSpace(part), "W/"); part == etag || part == "*" {
			return true
		}
	}
	return false
}
