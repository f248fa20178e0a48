package svg

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestAttacksAreTakenOut cleans every file of testdata/attacks, each a known way to have a drawing run a script, load
// something, leave the page or hang the reader, and looks for what must not be left.
func TestAttacksAreTakenOut(t *testing.T) {
	files, err := filepath.Glob("testdata/attacks/*.svg")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d attacks, %v", len(files), err)
	}
	for _, path := range files {
		in, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		out, err := Clean(strings.NewReader(string(in)))
		if err != nil {
			continue // refused as a whole
		}
		harmless(t, filepath.Base(path), out)
	}
}

var forbidden = regexp.MustCompile(`(?i)script|javascript|\son\w+\s*=|foreignobject|<a[\s>]|<image|<iframe|<style|style=|<animate|<set|<handler|<!|<\?|&[^#alqg]|http:|https:|data:|//|url\([^#]|@import|expression|base64|href="[^#]`)

func harmless(t *testing.T, what string, out []byte) {
	t.Helper()
	text := strings.Replace(string(out), ` xmlns="http://www.w3.org/2000/svg"`, "", 1)
	if found := forbidden.FindString(text); found != "" {
		t.Errorf("%s: %q is left in %.400s", what, found, out)
	}
	d := xml.NewDecoder(strings.NewReader(string(out)))
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%s: not well formed: %v in %.400s", what, err, out)
		}
		e, ok := tok.(xml.StartElement)
		if !ok {
			continue
		}
		if !elements[e.Name.Local] {
			t.Errorf("%s: <%s> is left", what, e.Name.Local)
		}
		for _, a := range e.Attr {
			if n := a.Name.Local; !geometry[n] && !presentation[n] && !bindings[n] && n != "id" && n != "class" && n != "href" && n != "xmlns" {
				t.Errorf("%s: attribute %s is left", what, n)
			}
		}
	}
}

func TestADrawingOfInkscapeStaysWhatItIs(t *testing.T) {
	out, err := Clean(strings.NewReader(`<?xml version="1.0"?><!-- Created with Inkscape -->
<svg xmlns="http://www.w3.org/2000/svg" xmlns:inkscape="http://www.inkscape.org/namespaces/inkscape" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 10 10" inkscape:version="1.3">
<sodipodi:namedview xmlns:sodipodi="http://sodipodi.sourceforge.net/x"><b/></sodipodi:namedview>
<defs id="d"><linearGradient id="g"><stop offset="0" style="stop-color:#fff;stop-opacity:1"/></linearGradient></defs>
<g id="main" inkscape:label="Layer"><rect style="fill:url(#g);stroke:#000000;-inkscape-x:1" x="1" y="2" width="3" height="4" data-tag="a/b" data-show="level"/>
<use xlink:href="#d"/><text style="font-family:'Noto Sans'" data-tag="c/d">7 &lt; 8</text></g></svg>`))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`id="u-main"`, `fill="url(#u-g)"`, `stroke="#000000"`, `stop-color="#fff"`, `data-tag="a/b"`, `href="#u-d"`, `font-family="Noto Sans"`, "7 &lt; 8"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %s in %s", want, out)
		}
	}
	harmless(t, "inkscape", out)
	again, err := Clean(strings.NewReader(string(out)))
	if err != nil || strings.Count(string(again), "<") != strings.Count(string(out), "<") {
		t.Errorf("cleaning twice changes the shapes: %v", err)
	}
}

func TestLimits(t *testing.T) {
	wrap := func(s string) string { return `<svg xmlns="http://www.w3.org/2000/svg">` + s + `</svg>` }
	for what, in := range map[string]string{
		"bytes":     wrap(strings.Repeat(" ", MaxBytes)),
		"depth":     wrap(strings.Repeat("<g>", maxDepth) + strings.Repeat("</g>", maxDepth)),
		"elements":  wrap(strings.Repeat("<g/>", maxElements)),
		"attribute": wrap(`<path d="` + strings.Repeat("1", maxValue+1) + `"/>`),
		"text":      wrap(`<text>` + strings.Repeat("x", maxText+1) + `</text>`),
		"empty":     "",
		"page":      "<html><svg/></html>",
		"two":       wrap("") + wrap(""),
		"cut":       `<svg xmlns="http://www.w3.org/2000/svg"><g>`,
	} {
		if _, err := Clean(strings.NewReader(in)); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
	for what, in := range map[string]string{
		"depth":     wrap(strings.Repeat("<g>", maxDepth-1) + strings.Repeat("</g>", maxDepth-1)),
		"elements":  wrap(strings.Repeat("<g/>", maxElements-1)),
		"attribute": wrap(`<path d="` + strings.Repeat("1", maxValue) + `"/>`),
		"text":      wrap(`<text>` + strings.Repeat("x", maxText) + `</text>`),
	} {
		if _, err := Clean(strings.NewReader(in)); err != nil {
			t.Errorf("%s: just at the limit: %v", what, err)
		}
	}
}

func FuzzClean(f *testing.F) {
	files, err := filepath.Glob("testdata/attacks/*.svg")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range files {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		out, err := Clean(strings.NewReader(string(in)))
		if err != nil {
			return
		}
		d := xml.NewDecoder(strings.NewReader(string(out)))
		for {
			tok, err := d.Token()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Fatalf("not well formed: %v in %q", err, out)
			}
			if e, ok := tok.(xml.StartElement); ok {
				if !elements[e.Name.Local] {
					t.Fatalf("<%s> is left of %q", e.Name.Local, in)
				}
				for _, a := range e.Attr {
					if strings.HasPrefix(strings.ToLower(a.Name.Local), "on") || a.Name.Local == "style" || a.Name.Local == "href" && !strings.HasPrefix(a.Value, "#u-") {
						t.Fatalf("%s=%q is left of %q", a.Name.Local, a.Value, in)
					}
				}
			}
		}
	})
}
