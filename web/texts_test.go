package web

import (
	"strings"
	"testing"
)

func TestTexts(t *testing.T) {
	f := newFake("a", float("a/x"))
	f.plant.Texts = map[string]map[string]string{"zh": {"Pump {n}": "泵 {n}"}}
	bubble(t, f, func(r *rig) {
		for query, want := range map[string]string{"zh": `{"texts":{"Pump {n}":"泵 {n}"}}`, "fr": `{"texts":{}}`} {
			if a := r.do("GET", "/api/v1/texts?lang="+query, "", bearer("tok-viewer")...); a.status != 200 || strings.TrimSpace(a.body) != want {
				t.Errorf("%s: %d %s", query, a.status, a.body)
			}
		}
		for _, query := range []string{"", "?lang=", "?lang=" + strings.Repeat("x", maxLanguage+1)} {
			if a := r.do("GET", "/api/v1/texts"+query, "", bearer("tok-viewer")...); a.status != 400 {
				t.Errorf("%s: %d %s", query, a.status, a.body)
			}
		}
	})
}
