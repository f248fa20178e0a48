package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// row is a line of the table: what is compared, and how the first column relates to the others.
type row struct {
	name  string
	value func(r result) float64 // 0: not measured
	text  func(v float64) string
	small bool // the smaller the better
}

func rows() []row {
	number := func(format string, by float64) func(float64) string {
		return func(v float64) string { return fmt.Sprintf(format, v/by) }
	}
	ms := func(v float64) string { return fmt.Sprintf("%.1f ms", v/float64(time.Millisecond)) }
	return []row{
		{"samples/s per processor core", func(r result) float64 { return r.PerCore }, number("%.2f M", 1e6), false},
		{"samples/s, making and sending them included", func(r result) float64 { return r.PerSecond }, number("%.2f M", 1e6), false},
		{"bytes/sample on disk, fresh", func(r result) float64 { return r.Fresh }, number("%.3f", 1), true},
		{"bytes/sample on disk, sealed or compacted", func(r result) float64 { return r.Sealed }, number("%.3f", 1), true},
		{"bytes/sample written in all", func(r result) float64 { return r.Written }, number("%.2f", 1), true},
		{"1 tag, 1 day raw, p50", func(r result) float64 { return float64(r.DayRaw.P50) }, ms, true},
		{"1 tag, 1 day raw, p99", func(r result) float64 { return float64(r.DayRaw.P99) }, ms, true},
		{"1,000 tags, 1 hour raw, p50", func(r result) float64 { return float64(r.HourRaw.P50) }, ms, true},
		{"resident memory after recording", func(r result) float64 { return r.RSS }, number("%.0f MiB", 1), true},
		{"start after kill -9", func(r result) float64 { return float64(r.Recovery) }, ms, true},
	}
}

// printTable prints the results side by side, with how many times better (or worse, below 1) the first one is.
func printTable(w io.Writer, results []result) {
	if len(results) == 0 {
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(cells ...string) {
		for _, c := range cells {
			fmt.Fprintf(t, "| %s\t", c)
		}
		fmt.Fprintln(t, "|")
	}
	head, rule := []string{""}, []string{"---"}
	for _, r := range results {
		head, rule = append(head, r.Name), append(rule, "---")
	}
	line(head...)
	line(rule...)
	for _, w := range rows() {
		cells := []string{w.name}
		own := w.value(results[0])
		for i, r := range results {
			v := w.value(r)
			switch {
			case v == 0:
				cells = append(cells, "-")
			case i == 0 || own == 0:
				cells = append(cells, w.text(v))
			case w.small:
				cells = append(cells, fmt.Sprintf("%s (%.1f ×)", w.text(v), v/own))
			default:
				cells = append(cells, fmt.Sprintf("%s (%.1f ×)", w.text(v), own/v))
			}
		}
		line(cells...)
	}
	lost := []string{"acknowledged samples lost on kill -9"}
	for _, r := range results {
		if r.Lost == "" {
			r.Lost = "-"
		}
		lost = append(lost, r.Lost)
	}
	line(lost...)
	_ = t.Flush()
	for _, r := range results {
		fmt.Fprintf(w, "%s: a day's query returned %d samples, the hour's %d\n", r.Name, r.DayRaw.Samples, r.HourRaw.Samples)
	}
}
