//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"scada/web/api"
)

// exportHorizon is longer than VictoriaMetrics may forget (it writes out what it took every five seconds), and shorter than
// the test.
const exportHorizon = 10 * time.Second

// metricsEngine is a VictoriaMetrics.
type metricsEngine struct {
	t    *testing.T
	dir  string
	addr string
	cmd  *exec.Cmd
}

// newMetricsEngine starts VictoriaMetrics on a port and in a folder of its own.
func newMetricsEngine(t *testing.T) *metricsEngine {
	t.Helper()
	if _, err := exec.LookPath("victoria-metrics"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("victoria-metrics is not installed (make apt)")
		}
		t.Skip("victoria-metrics is not installed (make apt)")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &metricsEngine{t: t, dir: t.TempDir(), addr: l.Addr().String()}
	l.Close()
	t.Cleanup(func() {
		if e.cmd != nil {
			e.kill()
		}
	})
	e.start()
	return e
}

func (e *metricsEngine) start() {
	e.t.Helper()
	log, err := os.OpenFile(filepath.Join(e.dir, "engine.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		e.t.Fatal(err)
	}
	defer log.Close()
	e.cmd = exec.Command("victoria-metrics", "-storageDataPath="+filepath.Join(e.dir, "data"), "-httpListenAddr="+e.addr, "-retentionPeriod=10y",
		"-dedup.minScrapeInterval=1ms", "-search.latencyOffset=0s", "-search.disableCache", "-loggerLevel=ERROR", "-memory.allowedBytes=64MB")
	e.cmd.Stdout, e.cmd.Stderr = log, log
	if err := e.cmd.Start(); err != nil {
		e.t.Fatal(err)
	}
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		resp, err := http.Get("http://" + e.addr + "/health")
		if err == nil {
			resp.Body.Close()
			return
		}
		if time.Since(began) > 20*time.Second {
			e.t.Fatalf("victoria-metrics does not answer: %v", err)
		}
	}
}

// kill ends it as a power cut would end the program.
func (e *metricsEngine) kill() {
	_ = e.cmd.Process.Signal(syscall.SIGKILL)
	_ = e.cmd.Wait()
	e.cmd = nil
}

// samples returns what it has: by tag, value by milliseconds. A time that comes twice is an error.
func (e *metricsEngine) samples(from, to time.Time) (map[string]map[int64]float64, error) {
	q := url.Values{"match[]": {`scada_value{project="waterworks"}`}, "start": {from.Format(time.RFC3339)}, "end": {to.Add(-time.Millisecond).Format(time.RFC3339Nano)}} // its end is in
	resp, err := http.Get("http://" + e.addr + "/api/v1/export?" + q.Encode())
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	out := map[string]map[int64]float64{}
	for d := json.NewDecoder(resp.Body); ; {
		var line struct {
			Metric     map[string]string
			Values     []float64
			Timestamps []int64
		}
		if err := d.Decode(&line); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, err
		}
		name := line.Metric["tag"]
		if out[name] == nil {
			out[name] = map[int64]float64{}
		}
		for i, ms := range line.Timestamps {
			if _, twice := out[name][ms]; twice {
				return nil, fmt.Errorf("%s has two samples at %d", name, ms)
			}
			out[name][ms] = line.Values[i]
		}
	}
}

// TestExportThroughKills exports to VictoriaMetrics while that and the active node are killed, with samples imported in
// between. In the end the engine has every sample of the archive once, and no other. With -long it does so three times, after
// longer times.
func TestExportThroughKills(t *testing.T) {
	e := newMetricsEngine(t)
	section := fmt.Sprintf("history:\n  export:\n    - {name: longterm, url: \"http://%s/api/v1/write\", interval: 1s, horizon: %s, labels: {site: north}}\nalarms:\n", e.addr, exportHorizon)
	r := newRig(t, replace(t, "hold_off: 10s", "hold_off: 5m", "\nalarms:\n", "\n"+section))
	began := time.Now().UTC().Add(-time.Minute)
	r.start()
	rounds, before := 1, 3*time.Second
	if *long { // much of it counts then
		rounds, before = 3, 2*exportHorizon
	}
	victim, heir := "a", "b"
	for range rounds {
		r.sends(victim, before)
		e.kill() // it has said yes to what it has not written yet
		e.start()
		imported := r.importFlow(heir)
		began = minTime(began, imported)
		r.sends(victim, time.Second)
		r.signal(victim, syscall.SIGKILL)
		r.waitSwitch(heir, "fault")
		r.sends(heir, time.Second)
		r.startNode(victim)
		r.waitStandby(victim, heir)
		e.kill() // after the nodes have exchanged what only one had: what is sent again has it, else it would be found minutes later
		e.start()
		victim, heir = heir, victim
	}
	r.sends(victim, 2*time.Second)
	to := time.Now().Truncate(time.Millisecond) // the engine knows no smaller times
	was, total := "", 0
	// What the nodes exchanged behind what counts is found when its window is over, up to thirteen minutes later: always in the
	// long form, and where a busy machine made them change roles in between.
	r.eventually(15*time.Minute, "the engine has what the archive has", func() (err error) {
		if total, err = r.sameSamples(victim, e, began, to); err != nil {
			was = err.Error()
		}
		return err
	})
	x, err := r.historyTarget(victim)
	if err != nil {
		t.Fatal(err)
	}
	if x.ParkedSamples+x.MissedSamples > 0 || x.Failed > 0 {
		t.Errorf("%+v", x)
	}
	t.Logf("%d samples of the archive are in the engine once; %d were sent, %d rewinds of this node; at last it lacked: %s", total, x.SentSamples, x.Rewinds, was)
	if code, out := r.scadactl(victim, "history", "target", "list"); code != 0 || !strings.Contains(out, "longterm") || !strings.Contains(out, "true") {
		t.Errorf("exit %d: %s", code, out)
	}
}

func minTime(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func (r *rig) historyTarget(node string) (api.HistoryTarget, error) {
	var list api.HistoryTargets
	if err := r.call(node, http.MethodGet, "/api/v1/history/targets", nil, &list); err != nil {
		return api.HistoryTarget{}, err
	}
	if len(list.Targets) != 1 {
		return api.HistoryTarget{}, fmt.Errorf("%d targets", len(list.Targets))
	}
	return list.Targets[0], nil
}

// sends waits until a node has sent what is recorded from now on for a while.
func (r *rig) sends(node string, d time.Duration) {
	r.t.Helper()
	until := time.Now().Add(d)
	r.eventually(30*time.Second, node+" sends samples", func() error {
		x, err := r.historyTarget(node)
		if err == nil && (!x.Sending || x.SentTo == nil || x.SentTo.Before(until) || x.Windows > 0) {
			err = fmt.Errorf("%+v", x)
		}
		return err
	})
}

// importFlow brings samples of yesterday through a node and returns the time of the first.
func (r *rig) importFlow(node string) time.Time {
	r.t.Helper()
	from := time.Now().UTC().Truncate(time.Hour).Add(-25 * time.Hour)
	var file strings.Builder
	file.WriteString("tag,time,value,quality\n")
	for i := range 2000 {
		fmt.Fprintf(&file, "intake/header/flow,%s,%d.25,Good\n", from.Add(time.Duration(i)*time.Second).Format(time.RFC3339), i)
	}
	path := filepath.Join(r.dir, "flow.csv")
	if err := os.WriteFile(path, []byte(file.String()), 0o600); err != nil {
		r.t.Fatal(err)
	}
	if code, out := r.scadactl(node, "history", "import", path); code != 0 {
		r.t.Fatalf("import: exit %d, %s", code, out)
	}
	return from
}

// sameSamples compares a node's archive with the engine, in both directions, and returns how many samples that is.
func (r *rig) sameSamples(node string, e *metricsEngine, from, to time.Time) (int, error) {
	has, err := e.samples(from, to)
	if err != nil {
		return 0, err
	}
	var tags api.Tags
	if err := r.call(node, http.MethodGet, "/api/v1/tags?limit=1000", nil, &tags); err != nil {
		return 0, err
	}
	c, err := api.NewClient([]string{r.url(node)}, r.who.Token, nil)
	if err != nil {
		return 0, err
	}
	total := 0
	for _, def := range tags.Tags {
		if def.Type == "string" {
			continue
		}
		want, err := r.sentOf(c, def.Name, from, to)
		if err != nil {
			return 0, err
		}
		got := has[def.Name]
		for ms, v := range want {
			x, ok := got[ms]
			equal := math.Abs(x-v) <= 1e-11*math.Abs(v) // the engine keeps decimals of some 15 digits
			if def.Type == "float32" {                  // and the API writes as many as such a number has
				equal = float32(x) == float32(v)
			}
			if !ok || !equal {
				return 0, fmt.Errorf("%s has %v (%v) at %d, want %v; %d of %d samples", def.Name, x, ok, ms, v, len(got), len(want))
			}
		}
		if len(got) != len(want) {
			return 0, fmt.Errorf("%s has %d samples, want %d", def.Name, len(got), len(want))
		}
		total += len(want)
	}
	return total, nil
}

// sentOf returns what an export sends of a tag, by milliseconds.
func (r *rig) sentOf(c *api.Client, name string, from, to time.Time) (map[int64]float64, error) {
	out := map[int64]float64{}
	q := api.HistoryQuery{Tags: []string{name}, From: from, To: to, Limit: 20_000}
	for {
		h, err := c.History(context.Background(), q)
		if err != nil {
			return nil, err
		}
		for _, s := range h.Series {
			for _, p := range s.Samples {
				if strings.HasPrefix(p.Quality, "Bad") || p.Value == nil {
					continue
				}
				v, ok := number(p.Value)
				if !ok || math.Abs(v) > 1e15 {
					continue
				}
				out[p.Time.UnixMilli()] = v
			}
		}
		if q.Cursor = h.Next; q.Cursor == "" {
			return out, nil
		}
	}
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case json.Number:
		f, err := v.Float64()
		return f, err == nil
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}
