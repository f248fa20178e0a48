package web

import (
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
)

func TestMimics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig("a")
		cfg.Mimics = fstest.MapFS{
			"pumps.svg":      {Data: []byte(`<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(1)</script><rect data-tag="a/x" data-show="run"/></svg>`)},
			"broken.svg":     {Data: []byte(`<svg`)},
			"not a name.svg": {Data: []byte(`<svg/>`)},
			"secret.yaml":    {Data: []byte(`key`)},
		}
		r := startRig(t, cfg, newFake("a"))
		defer r.stop()
		if a := r.do("GET", "/api/v1/mimics", "", bearer("tok-viewer")...); !strings.Contains(a.body, `{"mimics":["broken","pumps"]}`) {
			t.Errorf("list: %s", a.body)
		}
		a := r.do("GET", "/api/v1/mimics/pumps", "", bearer("tok-viewer")...)
		if a.status != 200 || a.body != `<svg xmlns="http://www.w3.org/2000/svg"><rect data-tag="a/x" data-show="run"></rect></svg>` || !strings.HasPrefix(a.header.Get("Content-Type"), "image/svg+xml") {
			t.Errorf("%d %s %s", a.status, a.header, a.body)
		}
		for path, want := range map[string]int{"/api/v1/mimics/broken": 503, "/api/v1/mimics/none": 404, "/api/v1/mimics/..%2fsecret": 404, "/api/v1/mimics/secret.yaml": 404,
			"/api/v1/mimics/" + strings.Repeat("a", maxMimicName+1): 404} {
			if a := r.do("GET", path, "", bearer("tok-viewer")...); a.status != want {
				t.Errorf("%s: %d, want %d", path, a.status, want)
			}
		}
	})
}
