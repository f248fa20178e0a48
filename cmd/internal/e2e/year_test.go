//go:build e2e

package e2e

import (
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"scada/acquisition/tag"
	"scada/history"
	"scada/web/api"
	"scada/web/ui/uitest"
)

var yearStep = flag.Duration("year", 0, "time between the samples of the year TestYearInATrend records; 0 leaves it out")

const (
	yearPens = 10
	yearDays = 365

	sealPatience = 10 * time.Minute // a matter of a busy machine: alone it takes seconds
)

// TestYearInATrend records a year of ten tags and asks a node for it: reduced to the pixels of a trend, in more points than the hourly
// summaries have, every sample page by page; and in Chromium. It asserts nothing about speed: make bench-web runs it.
func TestYearInATrend(t *testing.T) {
	if *yearStep == 0 {
		t.Skip("a measurement: go test -tags e2e ./cmd/internal/e2e -run TestYearInATrend -year 60s")
	}
	uitest.Need(t)
	device, _ := newPeerDevice(t)
	r, _ := preparePeer(t, device.Addr().String(), yearPens, "history: {raw: 400d, hourly: 5y}\n")
	to := time.Now().UTC().Truncate(24 * time.Hour)
	from := to.AddDate(0, 0, -yearDays)
	began := time.Now()
	samples := recordYear(t, filepath.Join(r.dir, "data", "a", "history"), from)
	t.Logf("%d samples of %d tags over %d days, one each %v, recorded, sealed and summarised in %v", samples, yearPens, yearDays, *yearStep, time.Since(began).Round(time.Second))

	r.startNode("a")
	y := year{r: r, from: from, to: to}
	for i := range yearPens {
		y.tags = append(y.tags, peerTag(i))
	}
	r.eventually(time.Minute, "the node answers", func() error {
		_, err := y.ask(url.Values{"points": {"10"}, "tag": y.tags[:1]})
		return err
	})
	for _, pens := range []int{1, yearPens} {
		y.report(t, fmt.Sprintf("%d pens, 1200 points each (hourly summaries)", pens), url.Values{"points": {"1200"}, "tag": y.tags[:pens]})
		y.report(t, fmt.Sprintf("%d pens, 10000 points each (all days)", pens), url.Values{"points": {"10000"}, "tag": y.tags[:pens]})
		y.report(t, fmt.Sprintf("%d pens, mean of each day", pens), url.Values{"aggregate": {"average"}, "step": {"24h"}, "tag": y.tags[:pens]})
	}
	y.pages(t)
	y.picture(t)
}

// recordYear makes an archive with a year of random walks that are silent for an hour every thirty days.
func recordYear(t *testing.T, dir string, from time.Time) int {
	t.Helper()
	clock := from
	var defs []tag.Definition
	for i := range yearPens {
		defs = append(defs, tag.Definition{ID: tag.ID(i), Name: peerTag(i), Type: tag.TypeUint16, Area: "main"})
	}
	s, err := history.Open(dir, history.Options{Tags: defs, Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return clock }, SealAfter: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	values, n := make([]float64, yearPens), 0
	batch := make([]tag.Update, yearPens)
	for day := range yearDays {
		start := from.AddDate(0, 0, day)
		for at := start; at.Before(start.AddDate(0, 0, 1)); at = at.Add(*yearStep) {
			if day%30 == 0 && at.Sub(start) < time.Hour {
				continue
			}
			for i := range batch {
				values[i] = min(max(values[i]+rng.NormFloat64()*5, 0), 60_000)
				batch[i] = tag.Update{Tag: tag.ID(i), Sample: tag.Sample{Time: at.UnixNano(), Value: tag.Uint(tag.TypeUint16, uint64(values[i]))}}
			}
			s.Append(batch)
			n += len(batch)
		}
		clock = start.AddDate(0, 0, 1)
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	clock = clock.Add(time.Hour)
	for began := time.Now(); ; time.Sleep(200 * time.Millisecond) {
		if err := s.Flush(t.Context()); err != nil { // has the days sealed that are over
			t.Fatal(err)
		}
		open, err := filepath.Glob(filepath.Join(dir, "p", "*.l0.db"))
		if err != nil {
			t.Fatal(err)
		}
		if len(open) == 0 {
			break
		}
		if time.Since(began) > sealPatience {
			t.Fatalf("%d days are not sealed", len(open))
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return n
}

// year is what is asked for.
type year struct {
	r        *rig
	from, to time.Time
	tags     []string
}

type yearAnswer struct {
	took              time.Duration
	onTheWire, opened int
	history           api.History
}

// ask asks as a browser does, compressed.
func (y year) ask(q url.Values) (yearAnswer, error) {
	var a yearAnswer
	q.Set("from", y.from.Format(time.RFC3339))
	q.Set("to", y.to.Format(time.RFC3339))
	req, err := http.NewRequestWithContext(y.r.t.Context(), http.MethodGet, y.r.url("a")+"/api/v1/history?"+q.Encode(), nil)
	if err != nil {
		return a, err
	}
	req.Header.Set("Accept-Encoding", "gzip")
	req.Header.Set("Authorization", "Bearer "+y.r.who.Token)
	began := time.Now()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	a.took, a.onTheWire = time.Since(began), len(body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return a, fmt.Errorf("%s %s: %w", resp.Status, body, err)
	}
	text := body
	if resp.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(strings.NewReader(string(body)))
		if err == nil {
			text, err = io.ReadAll(z)
		}
		if err != nil {
			return a, err
		}
	}
	a.opened = len(text)
	return a, json.Unmarshal(text, &a.history)
}

func (a yearAnswer) samples() (n int) {
	for _, s := range a.history.Series {
		n += len(s.Samples)
	}
	return n
}

// report asks three times: the first time finds nothing in the caches of the node.
func (y year) report(t *testing.T, what string, q url.Values) {
	t.Helper()
	var took []string
	var a yearAnswer
	for range 3 {
		var err error
		if a, err = y.ask(q); err != nil {
			t.Fatal(err)
		}
		took = append(took, a.took.Round(time.Millisecond).String())
	}
	t.Logf("%s: %s; %d samples, %d bytes on the wire, %d of JSON; node %s", what, strings.Join(took, ", "), a.samples(), a.onTheWire, a.opened, y.memory())
}

// memory is what the node holds now.
func (y year) memory() string {
	_, mb := usage(y.r.t, y.r.procs["a"].Process.Pid)
	return strconv.Itoa(mb) + " MB"
}

// pages reads every sample of one tag.
func (y year) pages(t *testing.T) {
	t.Helper()
	began, n, pages, wire := time.Now(), 0, 0, 0
	q := url.Values{"limit": {"100000"}, "tag": y.tags[:1]}
	for {
		a, err := y.ask(q)
		if err != nil {
			t.Fatal(err)
		}
		n, pages, wire = n+a.samples(), pages+1, wire+a.onTheWire
		if a.history.Next == "" {
			break
		}
		q.Set("cursor", a.history.Next)
	}
	t.Logf("every sample of a tag: %d in %d pages, %v, %d bytes on the wire; node %s", n, pages, time.Since(began).Round(time.Millisecond), wire, y.memory())
}

// picture shows the year in a trend.
func (y year) picture(t *testing.T) {
	t.Helper()
	b := uitest.Open(t, 1280, 800)
	b.Shots = shotsDir
	b.SignIn(y.r.url("a"), "operator", y.r.who.Operator, 1)
	b.GoTo("trends?pens=" + strings.Join(y.tags, ","))
	b.Wait("the pens", fmt.Sprintf("document.querySelectorAll('[data-pen]').length === %d", yearPens))
	b.Script(`window.longest = 0; new PerformanceObserver(l => { for (const e of l.getEntries()) window.longest = Math.max(window.longest, e.duration) }).observe({entryTypes: ["longtask"]});
		window.begun = performance.now(); document.querySelectorAll('.page-head [role=group]')[0].lastElementChild.click()`)
	took := b.Wait("the year", "[...document.querySelectorAll('[data-pen]')].every(p => p.dataset.samples > 1000)")
	t.Logf("a year of %d pens in the browser: picture after %v (200 ms of it wait for further clicks), the page blocked for %.0f ms at most", yearPens, took.Round(10*time.Millisecond), uitest.Eval[float64](b, "window.longest"))
	b.Shot("trend-year")
	time.Sleep(2 * time.Second)
	before, began := b.RendererCPU(), time.Now()
	time.Sleep(*fuxaTime)
	t.Logf("while it is shown: renderer %.1f %% of a core, heap %.0f MB", 100*(b.RendererCPU()-before).Seconds()/time.Since(began).Seconds(), uitest.Eval[float64](b, "performance.memory.usedJSHeapSize / 1e6"))
	b.Check()
}
