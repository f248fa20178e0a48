package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// table is an answer as rows; value is the same as JSON.
type table struct {
	value  any
	header []string
	rows   [][]string
	foot   []string // lines below a table, for people
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// print writes an answer in the format asked for.
func (a *app) print(t table) error {
	switch a.format {
	case "json":
		e := json.NewEncoder(a.out)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(t.value)
	case "csv":
		w := csv.NewWriter(a.out)
		if err := w.Write(t.header); err != nil {
			return err
		}
		return w.WriteAll(t.rows)
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.ToUpper(strings.ReplaceAll(strings.Join(t.header, "\t"), "_", " ")))
	for _, row := range t.rows {
		cells := make([]string, len(row))
		for i, c := range row {
			cells[i] = clean(c)
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, line := range t.foot {
		fmt.Fprintln(a.out, clean(line))
	}
	return nil
}

// clean keeps what came from a device from moving the cursor or breaking the table.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '·'
		}
		return r
	}, s)
}

// line writes one row of an endless answer: a JSON object a line, a CSV row, or columns.
func (a *app) line(value any, cells ...string) error {
	switch a.format {
	case "json":
		e := json.NewEncoder(a.out)
		e.SetEscapeHTML(false)
		return e.Encode(value)
	case "csv":
		w := csv.NewWriter(a.out)
		if err := w.Write(cells); err != nil {
			return err
		}
		w.Flush()
		return w.Error()
	}
	for i := range cells {
		cells[i] = clean(cells[i])
	}
	_, err := fmt.Fprintln(a.out, strings.Join(cells, "  "))
	return err
}

// text shows a value of JSON.
func text(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

func when(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// parseTime reads a time as people give it: RFC 3339, a day, now, or a duration before now (-8h or 8h).
func parseTime(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if s == "now" {
		return now, nil
	}
	if d, err := time.ParseDuration(strings.TrimPrefix(s, "-")); err == nil {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usage("%q is no time: want RFC 3339, 2006-01-02 (UTC), now, or a duration before now like -8h", s)
}
