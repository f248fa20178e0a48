//go:build e2e && linux

package e2e

import (
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"scada/web/api"
)

var (
	appsFigures = flag.Duration("apps.figures", 0, "how long each line of TestApplicationsCost and TestApplicationsRounds is measured; 0: they are left out")
	appsCount   = flag.Int("apps.count", 200, "applications of those")
	appsTags    = flag.Int("apps.tags", 10_000, "calculated tags of those")
)

const summing = `def init(state):
    state.setdefault("sum", 0.0)

def on_timer(tags, state):
    v = tag("%s")
    if v != None:
        state["sum"] += v
    output("figures/app%d", state["sum"])
`

// changing are tags of the demo plant that have a new value each second.
var changing = []string{"intake/pump1/current", "intake/pump1/power", "intake/pump1/flow", "treatment/filter1/flow", "treatment/filter2/flow", "wells/well1/flow", "wells/well1/pressure", "treatment/coagulant/value"}

// figuresRig is the demo plant with applications and calculated tags beside its own, each once a second.
func figuresRig(t *testing.T, apps, tags int, record string) *rig {
	t.Helper()
	if *appsFigures == 0 {
		t.Skip("figures are taken with -apps.figures 20s")
	}
	var declared, rows strings.Builder
	rows.WriteString("name,expr,app,type,scan,history\n")
	for i := range apps {
		fmt.Fprintf(&declared, "  - {name: app%d, inputs: [%s], every: 1s}\n", i, changing[i%len(changing)])
		fmt.Fprintf(&rows, "figures/app%d,,app%d,float64,,all\n", i, i)
	}
	for i := range tags {
		at := func(n int) string { return changing[(i+n)%len(changing)] }
		fmt.Fprintf(&rows, "figures/calc%d,(tag('%s') + tag('%s')) / 2 - tag('%s') * 1.8 + %d,,float64,normal,%s\n", i, at(0), at(1), at(2), i, record)
	}
	r := newRig(t, replace(t, "tag_files:", declared.String()+"tag_files:"))
	files := map[string]string{"tags/8-figures.csv": rows.String()}
	for i := range apps {
		files[fmt.Sprintf("apps/app%d.star", i)] = fmt.Sprintf(summing, changing[i%len(changing)], i)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.start()
	time.Sleep(5 * time.Second)
	return r
}

// cpu is the processor time a node has taken.
func (r *rig) cpu(node string) time.Duration {
	r.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", r.procs[node].Process.Pid))
	if err != nil {
		r.t.Fatal(err)
	}
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')'):]))
	user, _ := strconv.Atoi(fields[12])
	system, err := strconv.Atoi(fields[13])
	if err != nil {
		r.t.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}

// TestApplicationsCost measures what applications and calculated tags add to the work of both nodes.
func TestApplicationsCost(t *testing.T) {
	var idle [2]float64
	for i, c := range []struct {
		apps, tags int
		record     string
	}{{0, 0, ""}, {*appsCount, 0, ""}, {*appsCount, *appsTags, "off"}, {*appsCount, *appsTags, "all"}} {
		r := figuresRig(t, c.apps, c.tags, c.record)
		var took [2]float64
		before, began := [2]time.Duration{r.cpu("a"), r.cpu("b")}, time.Now()
		time.Sleep(*appsFigures)
		for k, node := range []string{"a", "b"} {
			took[k] = 100 * (r.cpu(node) - before[k]).Seconds() / time.Since(began).Seconds()
		}
		if i == 0 {
			idle = took
		}
		t.Logf("%d applications, %d calculated tags (history: %s): active %.1f %% of a core (+%.1f), standby %.1f %% (+%.1f)",
			c.apps, c.tags, c.record, took[0], took[0]-idle[0], took[1], took[1]-idle[1])
		r.stop()
		clear(r.procs)
	}
}

const redeployments = 20

// TestApplicationsRounds measures how late the rounds of applications are while one of them is deployed again and again, and
// while none is. The instant of a round is the time of its output in the history.
func TestApplicationsRounds(t *testing.T) {
	r := figuresRig(t, *appsCount, *appsTags, "off")
	quiet := time.Now()
	time.Sleep(*appsFigures)
	busy := time.Now()
	source, err := os.ReadFile(filepath.Join(r.dir, "apps", "app0.star"))
	if err != nil {
		t.Fatal(err)
	}
	var took []time.Duration
	for i := range redeployments {
		began := time.Now()
		cmd := api.AppCommand{Source: fmt.Sprintf("%s# %d\n", source, i)}
		if err := r.call("a", http.MethodPost, "/api/v1/apps/app0/deploy", cmd, nil); err != nil {
			t.Fatal(err)
		}
		took = append(took, time.Since(began))
		time.Sleep(max(*appsFigures/redeployments-time.Since(began), 0))
	}
	end := time.Now()
	slices.Sort(took)
	t.Logf("%d deployments, each in %s (median), %s (worst)", redeployments, took[len(took)/2], took[len(took)-1])
	time.Sleep(2 * time.Second)
	r.tellRounds("without a deployment", quiet, busy)
	r.tellRounds("while one is deployed", busy, end)
}

// tellRounds logs how late the rounds of all applications but the first were.
func (r *rig) tellRounds(what string, from, to time.Time) {
	r.t.Helper()
	var late []time.Duration
	missed := 0
	want := int(to.Truncate(time.Second).Sub(from.Truncate(time.Second)) / time.Second)
	for i := 1; i < *appsCount; i++ {
		q := url.Values{"tag": {fmt.Sprintf("figures/app%d", i)}, "from": {from.UTC().Format(time.RFC3339Nano)}, "to": {to.UTC().Format(time.RFC3339Nano)}}
		var h api.History
		if err := r.call("a", http.MethodGet, "/api/v1/history?"+q.Encode(), nil, &h); err != nil {
			r.t.Fatal(err)
		}
		for _, s := range h.Series[0].Samples {
			if s.Time != nil {
				late = append(late, s.Time.Sub(s.Time.Truncate(time.Second)))
			}
		}
		missed += max(want-1-len(h.Series[0].Samples), 0)
	}
	if len(late) == 0 {
		r.t.Fatal("no round was recorded")
	}
	slices.Sort(late)
	at := func(p float64) time.Duration { return late[int(p*float64(len(late)-1))].Round(10 * time.Microsecond) }
	r.t.Logf("%s: %d rounds, %d missed, late p50 %s, p99 %s, p99.9 %s, worst %s", what, len(late), missed, at(0.5), at(0.99), at(0.999), at(1))
}

// hostile are applications that do all they can to be in the way.
var hostile = []struct{ what, body string }{
	{"an endless loop", "n = 0\n    while True:\n        n += 1"},
	{"a range without end", "for i in range(1 << 60):\n        pass"},
	{"a long text", "s = 'x' * 1000000000"},
	{"a list that doubles", "l = [0]\n    for i in range(60):\n        l = l + l"},
	{"a large number", "n = 10\n    for i in range(40):\n        n = n * n"},
	{"deep recursion", "on_timer(tags, state)"},
	{"a fault in each call", "fail('always')"},
	{"a storm of orders", "for i in range(20000):\n        write('treatment/inlet_valve/position_sp', 40.0 + i % 10)"},
	{"a storm of outputs", "for i in range(20000):\n        output('figures/app0', i)"},
	{"much state", "state['all'] = [i for i in range(1000000)]"},
}

// TestHostileApplications measures how late the polls of the devices start while applications run that do all they can to be
// in the way, and before; and that none of them stops a scan is asserted.
func TestHostileApplications(t *testing.T) {
	*appsCount = max(*appsCount, 1)
	r := figuresRig(t, 1, 0, "")
	r.tellScans("without a hostile application", *appsFigures)
	for _, h := range hostile {
		source := "def on_timer(tags, state):\n    " + h.body + "\n"
		err := r.call("a", http.MethodPost, "/api/v1/apps/app0/deploy", api.AppCommand{Source: source}, nil)
		if err != nil {
			t.Logf("%s: refused: %.200v", h.what, err)
			continue
		}
		r.tellScans(h.what, max(*appsFigures/3, 5*time.Second))
	}
}

// tellScans logs how late the polls of all devices start, and fails if one of them stands still.
func (r *rig) tellScans(what string, length time.Duration) {
	r.t.Helper()
	devices := func() map[string]api.Device {
		var list api.Devices
		if err := r.call("a", http.MethodGet, "/api/v1/devices", nil, &list); err != nil {
			r.t.Fatal(err)
		}
		m := map[string]api.Device{}
		for _, d := range list.Devices {
			m[d.Name] = d
		}
		return m
	}
	before, began := devices(), time.Now()
	var late []float64
	for time.Since(began) < length {
		time.Sleep(50 * time.Millisecond)
		for _, d := range devices() {
			if d.Driver == "modbus" {
				late = append(late, d.StartLateMs)
			}
		}
	}
	var missed, requests uint64
	for name, d := range devices() {
		was := before[name]
		missed += d.Overruns - was.Overruns
		requests += d.Requests - was.Requests
		if d.Driver == "modbus" && d.Requests == was.Requests {
			r.t.Errorf("%s: %s was not polled", what, name)
		}
	}
	var app api.App
	if err := r.call("a", http.MethodGet, "/api/v1/apps/app0", nil, &app); err != nil {
		r.t.Fatal(err)
	}
	slices.Sort(late)
	r.t.Logf("%s: polls late p50 %.2f ms, p99 %.2f ms, %d of %d missed; %d calls, %d failures, %s", what, late[len(late)/2], late[len(late)*99/100],
		missed, requests+missed, app.Calls, app.Failures, app.Disabled)
}
