//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"scada/web/api"
)

// history returns what a node has recorded of a tag in the hour before a moment.
func (r *rig) history(node, tag string, to time.Time) []api.Sample {
	r.t.Helper()
	return r.samplesOf(node, tag, to.Add(-time.Hour), to)
}

// samplesOf returns what a node has recorded of a tag, without the marks of gaps.
func (r *rig) samplesOf(node, tag string, from, to time.Time) (all []api.Sample) {
	r.t.Helper()
	q := url.Values{"tag": {tag}, "from": {from.Format(time.RFC3339Nano)}, "to": {to.Format(time.RFC3339Nano)}, "limit": {"10000"}}
	for {
		var h api.History
		if err := r.call(node, http.MethodGet, "/api/v1/history?"+q.Encode(), nil, &h); err != nil {
			if strings.Contains(err.Error(), "has no history") {
				return nil
			}
			r.t.Fatal(err)
		}
		for _, s := range h.Series {
			for _, x := range s.Samples {
				if x.Quality != "Bad_NoData" {
					all = append(all, x)
				}
			}
		}
		if h.Next == "" {
			return all
		}
		q.Set("cursor", h.Next)
	}
}

// sampleText is what makes two samples the same.
func sampleText(s api.Sample) string { return fmt.Sprint(s.Time.UnixNano(), s.Value, s.Quality) }

func equalSamples(a, b []api.Sample) error {
	for i := range min(len(a), len(b)) {
		if sampleText(a[i]) != sampleText(b[i]) {
			return fmt.Errorf("sample %d of %d and %d: %s and %s", i, len(a), len(b), sampleText(a[i]), sampleText(b[i]))
		}
	}
	if len(a) != len(b) {
		longer := a
		if len(b) > len(a) {
			longer = b
		}
		return fmt.Errorf("%d and %d samples, the first one too many is %s", len(a), len(b), sampleText(longer[min(len(a), len(b))]))
	}
	return nil
}
