package server

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
)

var rewriteMetrics = flag.Bool("rewrite-metrics", false, "write the list of docs/metrics.md")

const (
	metricsPage  = "../../../docs/metrics.md"
	monitoring   = "../../../docs/monitoring/"
	metricsTable = "| name | type | unit | labels | help |\n|---|---|---|---|---|\n"
)

// unitOf is the unit a name ends in, before _total.
func unitOf(name string) string {
	name = strings.TrimSuffix(name, "_total")
	for _, unit := range []string{"seconds", "bytes"} {
		if strings.HasSuffix(name, "_"+unit) {
			return unit
		}
	}
	return ""
}

// metricRows is what a running node says of its metrics, as rows of the page.
func metricRows(families []*dto.MetricFamily) []string {
	var rows []string
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "go_") || strings.HasPrefix(f.GetName(), "process_") {
			continue
		}
		var labels []string
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if !slices.Contains(labels, l.GetName()) {
					labels = append(labels, l.GetName())
				}
			}
		}
		rows = append(rows, fmt.Sprintf("| %s | %s | %s | %s | %s |", f.GetName(), strings.ToLower(f.GetType().String()), unitOf(f.GetName()), strings.Join(labels, ", "), f.GetHelp()))
	}
	slices.Sort(rows)
	return rows
}

// TestMetricsAreDocumented compares docs/metrics.md with a pair that has done everything metrics count: it polls, has an
// alarm, is asked over HTTP, its link is secured, and it exports its history.
func TestMetricsAreDocumented(t *testing.T) {
	plant := strings.Replace(bubblePlant, "redundancy: {", "redundancy: {tls: {dir: pki/link}, ", 1)
	plant = strings.Replace(plant, "\ntags:\n", "\ntags:\n  - {name: beyond, device: plc, address: \"hr:90\", type: uint16, scan: fast}\n", 1) // the device answers with an exception
	bubbleOf(t, plant+exportSection, func(w *world) {
		t := w.t
		time.Sleep(5 * time.Second) // not paired: a polls and says what it knows
		a := w.node["a"]
		conn, err := w.net.Host("client").Dial(t.Context(), "tcp", "10.0.0.1:80")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(conn, "GET /health/live HTTP/1.0\r\n\r\n")
		time.Sleep(time.Second)
		conn.Close()
		families, err := a.web.Registry().Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if help := f.GetHelp(); help == "" {
				t.Errorf("%s has no help", f.GetName())
			}
		}
		want := metricRows(families)
		page, err := os.ReadFile(metricsPage)
		if err != nil {
			t.Fatal(err)
		}
		head, list, ok := strings.Cut(string(page), metricsTable)
		if *rewriteMetrics && ok {
			if err := os.WriteFile(metricsPage, []byte(head+metricsTable+strings.Join(want, "\n")+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			return
		}
		got := strings.Split(strings.TrimSpace(list), "\n")
		for _, row := range want {
			if !slices.Contains(got, row) {
				t.Errorf("docs/metrics.md lacks (run with -rewrite-metrics): %s", row)
			}
		}
		for _, row := range got {
			if !slices.Contains(want, row) {
				t.Errorf("docs/metrics.md has what the node has not: %s", row)
			}
		}
	})
}

// TestMonitoringAsksForWhatThereIs: every metric a query of the dashboard or of an alert rule names is on the page.
func TestMonitoringAsksForWhatThereIs(t *testing.T) {
	page, err := os.ReadFile(metricsPage)
	if err != nil {
		t.Fatal(err)
	}
	histogram := regexp.MustCompile(`_(bucket|sum|count)$`)
	for file, least := range map[string]int{"grafana.json": 10, "alerts.yml": 8} {
		b, err := os.ReadFile(monitoring + file)
		if err != nil {
			t.Fatal(err)
		}
		names := regexp.MustCompile(`\bscada_[a-z_]+`).FindAllString(string(b), -1)
		slices.Sort(names)
		names = slices.Compact(names)
		if len(names) < least {
			t.Errorf("%s names only %v", file, names)
		}
		for _, name := range names {
			if !strings.Contains(string(page), "| "+name+" |") && !strings.Contains(string(page), "| "+histogram.ReplaceAllString(name, "")+" | histogram |") {
				t.Errorf("%s asks for %s, which no node has", file, name)
			}
		}
	}
}
