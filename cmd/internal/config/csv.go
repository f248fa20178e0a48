package config

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// csvColumns sets one field of a tag from its cell.
var csvColumns = map[string]func(t *tagFile, cell string) error{
	"name":        func(t *tagFile, s string) error { t.Name = s; return nil },
	"device":      func(t *tagFile, s string) error { t.Device = s; return nil },
	"app":         func(t *tagFile, s string) error { t.App = s; return nil },
	"expr":        func(t *tagFile, s string) error { t.Expr = s; return nil },
	"area":        func(t *tagFile, s string) error { t.Area = s; return nil },
	"address":     func(t *tagFile, s string) error { t.Address = s; return nil },
	"type":        func(t *tagFile, s string) error { t.Type = s; return nil },
	"scan":        func(t *tagFile, s string) error { t.Scan = s; return nil },
	"unit":        func(t *tagFile, s string) error { t.Unit = s; return nil },
	"description": func(t *tagFile, s string) error { t.Description = s; return nil },
	"byte_order":  func(t *tagFile, s string) error { t.ByteOrder = s; return nil },
	"history":     func(t *tagFile, s string) error { t.History.Mode = s; return nil },
	"range":       func(t *tagFile, s string) (err error) { t.Range, err = parseInterval(s); return err },
	"states": func(t *tagFile, s string) error {
		if s != "" {
			t.States = strings.Split(s, "|")
		}
		return nil
	},
	"writable": func(t *tagFile, s string) error {
		if !oneOf(s, "", "true", "false", "yes", "no") {
			return fmt.Errorf("%q is neither true nor false", s)
		}
		t.Writable = s == "true" || s == "yes"
		return nil
	},
	"deadband": func(t *tagFile, s string) (err error) {
		if s != "" {
			if t.Deadband, err = strconv.ParseFloat(s, 64); err != nil {
				return fmt.Errorf("%q is not a number", s)
			}
		}
		return nil
	},
	"scale": func(t *tagFile, s string) (err error) {
		if s == "" {
			return nil
		}
		raw, eu, ok := strings.Cut(s, "->")
		if !ok {
			return fmt.Errorf("%q is not a scaling (0..27648 -> 0..100)", s)
		}
		eu, t.Scale.Clamp = strings.CutSuffix(strings.TrimSpace(eu), " clamp")
		if root, found := strings.CutPrefix(eu, "sqrt "); found {
			t.Scale.Curve, eu = "sqrt", root
		}
		if t.Scale.Raw, err = parseInterval(raw); err == nil {
			t.Scale.EU, err = parseInterval(eu)
		}
		return err
	},
}

func parseInterval(s string) (Pair, error) {
	if s = strings.TrimSpace(s); s == "" {
		return nil, nil
	}
	low, high, ok := strings.Cut(s, "..")
	lo, err1 := strconv.ParseFloat(strings.TrimSpace(low), 64)
	hi, err2 := strconv.ParseFloat(strings.TrimSpace(high), 64)
	if !ok || err1 != nil || err2 != nil || math.IsNaN(lo+hi) || math.IsInf(lo, 0) || math.IsInf(hi, 0) {
		return nil, fmt.Errorf("%q is not an interval (0..100)", s)
	}
	return Pair{lo, hi}, nil
}

func (b *builder) tagCSV(name string, src []byte) []tagFile {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(src, []byte("\xef\xbb\xbf")))) // spreadsheets write a byte order mark
	r.Comment = '#'
	r.FieldsPerRecord = 0
	header, err := r.Read()
	if err != nil {
		b.csvError(name, err)
		return nil
	}
	set, ok := b.csvHeader(name, r, header)
	if !ok {
		return nil
	}
	var rows []tagFile
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rows
		}
		if errors.Is(err, csv.ErrFieldCount) {
			line, col := r.FieldPos(0)
			b.add("", Position{name, line, col}, "%d cells, the header has %d", len(record), len(header))
			continue
		}
		if err != nil {
			b.csvError(name, err)
			return rows
		}
		line, col := r.FieldPos(0)
		t := tagFile{at: Position{name, line, col}, header: header, cells: make([]cellAt, len(record))}
		for i, cell := range record {
			line, col := r.FieldPos(i)
			t.cells[i] = cellAt{uint32(line), uint32(col)}
			if err := set[i](&t, strings.TrimSpace(cell)); err != nil {
				b.add(header[i], Position{name, line, col}, "%s", err)
			}
		}
		rows = append(rows, t)
	}
}

// csvHeader returns what each column sets, and makes the names of the columns plain.
func (b *builder) csvHeader(name string, r *csv.Reader, header []string) (set []func(*tagFile, string) error, ok bool) {
	ok = true
	for i := range header {
		line, col := r.FieldPos(i)
		header[i] = strings.TrimSpace(header[i])
		f := csvColumns[header[i]]
		switch {
		case f == nil:
			b.add("", Position{name, line, col}, "unknown column %q (known: %s)", header[i], strings.Join(slices.Sorted(maps.Keys(csvColumns)), ", "))
			ok = false
		case slices.Contains(header[:i], header[i]):
			b.add("", Position{name, line, col}, "column %q stands twice", header[i])
			ok = false
		}
		set = append(set, f)
	}
	return set, ok
}

// cellAt is where a cell of a tag file stands; lines and columns count from 1.
type cellAt struct{ line, col uint32 }

// cell returns where the cell of a column stands, if the tag is a row of a tag file that has the column.
func (t *tagFile) cell(column string) (Position, bool) {
	i := slices.Index(t.header, column)
	if i < 0 || i >= len(t.cells) {
		return Position{}, false
	}
	return Position{t.at.File, int(t.cells[i].line), int(t.cells[i].col)}, true
}

func (b *builder) csvError(name string, err error) {
	var pe *csv.ParseError
	if errors.As(err, &pe) {
		b.add("", Position{name, pe.Line, max(pe.Column, 1)}, "%s", pe.Err)
		return
	}
	if errors.Is(err, io.EOF) {
		err = errors.New("the file is empty, a header row is required")
	}
	b.add("", Position{name, 1, 1}, "%s", err)
}
