package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"scada/web/api"
	"scada/web/parquet"
)

// Bounds of an import.
const (
	importBytes = 2 << 20  // of one request, about
	maxLine     = 64 << 10 // bytes of a line of JSON
	maxTold     = 20       // wrong rows that are named
)

func (a *app) historyImport() *cobra.Command {
	var check bool
	cmd := &cobra.Command{Use: "import FILE", Short: "Samples from a CSV, JSON lines or Parquet file into the history of both nodes", Args: cobra.ExactArgs(1),
		Long: "Samples from a file into the history of both nodes.\n\nThe file is CSV with a header line that has the columns tag, time and value, in any order, and perhaps quality; JSON\n" +
			"lines as history export -o json writes them, with times as of RFC 3339; or Parquet with the same columns, the times in UTC. The whole file is checked first: with one wrong row nothing is imported. What is in the\n" +
			"history already is not added again, so an import that was interrupted is repeated.",
	}
	cmd.Flags().BoolVar(&check, "check", false, "only look whether the file could be imported")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		a.patient()
		return a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, args []string) error {
			return a.importFile(ctx, c, args[0], check)
		})(cmd, args)
	}
	return cmd
}

// importFile reads the file twice: what is wrong is known before anything is imported.
func (a *app) importFile(ctx context.Context, c *api.Client, file string, check bool) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("import: %w", err)
	}
	defer f.Close()
	sum, err := a.importPass(ctx, c, f, true)
	if err != nil {
		return err
	}
	if check {
		return a.printImport(sum)
	}
	done, err := a.importPass(ctx, c, f, false)
	if err != nil {
		return fmt.Errorf("after %d of %d samples; repeat it to complete it: %w", done.Samples, sum.Samples, err)
	}
	return a.printImport(done)
}

func (a *app) printImport(sum api.ImportResult) error {
	t := table{value: sum, header: []string{"samples", "added"}}
	t.add(fmt.Sprint(sum.Samples), fmt.Sprint(sum.Added))
	return a.print(t)
}

// importPass sends the whole file, a piece at a time.
func (a *app) importPass(ctx context.Context, c *api.Client, f *os.File, check bool) (sum api.ImportResult, err error) {
	read, err := fileReader(f)
	if err != nil {
		return sum, fmt.Errorf("import: %w", err)
	}
	var rowsWrong []string
	var lines []int
	req := api.ImportRequest{Check: check}
	size := 0
	send := func() error {
		if len(req.Samples) == 0 {
			return nil
		}
		res, err := c.Import(ctx, req)
		if err != nil {
			return fmt.Errorf("import: %w", err)
		}
		sum.Samples += res.Samples
		sum.Added += res.Added
		for _, w := range res.Wrong {
			if w.Sample >= 0 && w.Sample < len(lines) {
				rowsWrong = append(rowsWrong, fmt.Sprintf("%s:%d: %s", f.Name(), lines[w.Sample], w.Reason))
			}
		}
		a.progress("%d samples %s", sum.Samples, map[bool]string{true: "checked", false: "imported"}[check])
		req.Samples, lines, size = nil, nil, 0
		return nil
	}
	for len(rowsWrong) < maxTold {
		row, line, err := read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && line == 0 {
			rowsWrong = append(rowsWrong, fmt.Sprintf("%s: the rest of the file: %s", f.Name(), err))
			break
		}
		if err != nil {
			rowsWrong = append(rowsWrong, fmt.Sprintf("%s:%d: %s", f.Name(), line, err))
			continue
		}
		req.Samples, lines = append(req.Samples, row), append(lines, line)
		if size += len(row.Name) + len(text(row.Value)) + 100; len(lines) == api.MaxImport || size > importBytes {
			if err := send(); err != nil {
				return sum, err
			}
		}
	}
	if err := send(); err != nil {
		return sum, err
	}
	a.progressEnd()
	if len(rowsWrong) > 0 {
		what := "nothing was imported"
		if !check { // the configuration is another one since the check
			what = "it stopped"
		}
		return sum, fmt.Errorf("import: %s:\n%s", what, strings.Join(rowsWrong[:min(len(rowsWrong), maxTold)], "\n"))
	}
	return sum, nil
}

// readRow returns the next row of a file with its number, counted from 1 with the header line if there is one; io.EOF at the
// end. What has number 0 is wrong with the file and not with a row.
type readRow func() (row api.TagChange, line int, err error)

// fileReader reads a file from its beginning, whatever kind it is.
func fileReader(f *os.File) (readRow, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("%s: the file is read twice: %w", f.Name(), err)
	}
	magic := make([]byte, len(parquet.Magic))
	if n, _ := f.ReadAt(magic, 0); string(magic[:n]) == parquet.Magic {
		info, err := f.Stat()
		if err != nil {
			return nil, err
		}
		r, err := parquet.Open(f, info.Size())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name(), err)
		}
		return r.Next, nil
	}
	read, err := rowReader(f)
	if err != nil {
		return nil, fmt.Errorf("%s:1: %w", f.Name(), err)
	}
	return read, nil
}

// rowReader finds out what kind of file of text it is: a line of JSON begins with a brace.
func rowReader(f io.Reader) (readRow, error) {
	in := bufio.NewReaderSize(f, maxLine)
	first, err := in.Peek(1)
	if err != nil {
		return nil, fmt.Errorf("the file is empty: %w", err)
	}
	if first[0] == '{' {
		return jsonRows(in), nil
	}
	return csvRows(in)
}

func jsonRows(in *bufio.Reader) readRow {
	line := 0
	return func() (row api.TagChange, _ int, err error) {
		var b []byte
		for len(b) == 0 { // empty lines are none
			var long bool
			line++
			b, long, err = in.ReadLine()
			for skip := long; skip && err == nil; {
				_, skip, err = in.ReadLine()
			}
			switch {
			case long && err == nil:
				return row, line, fmt.Errorf("it has more than %d bytes", maxLine)
			case err != nil:
				return row, line, err
			}
			b = bytes.TrimSpace(b)
		}
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber()
		d.DisallowUnknownFields()
		if err := d.Decode(&row); err != nil {
			return row, line, fmt.Errorf("not a sample: %w", wrongRow(err))
		}
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			return row, line, errors.New("not a sample: there is more behind it")
		}
		return row, line, nil
	}
}

// wrongRow keeps the end of a row from being taken for the end of the file.
func wrongRow(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("it breaks off")
	}
	return err
}

// csvRows reads a table with a header line.
func csvRows(in io.Reader) (readRow, error) {
	r := csv.NewReader(in)
	r.ReuseRecord = true
	header, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("the header line: %w", err)
	}
	header[0] = strings.TrimPrefix(header[0], "\ufeff")
	column := map[string]int{"tag": -1, "time": -1, "value": -1, "quality": -1}
	for i, name := range header {
		name = strings.TrimSpace(name)
		if at, known := column[name]; !known || at >= 0 {
			return nil, fmt.Errorf("the header line: column %q: want tag, time, value and quality, each once", name)
		}
		column[name] = i
	}
	for _, name := range []string{"tag", "time", "value"} {
		if column[name] < 0 {
			return nil, fmt.Errorf("the header line has no column %q, it has %s", name, strings.Join(slices.Clone(header), ", "))
		}
	}
	return func() (row api.TagChange, line int, err error) {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return row, 0, io.EOF
		}
		var bad *csv.ParseError
		if errors.As(err, &bad) {
			return row, bad.Line, bad.Err
		}
		if err != nil {
			return row, 0, err
		}
		line, _ = r.FieldPos(0)
		at, err := time.Parse(time.RFC3339Nano, record[column["time"]])
		if err != nil {
			return row, line, fmt.Errorf("time %q: want RFC 3339 with a zone", record[column["time"]])
		}
		row.Name, row.Time, row.Value = record[column["tag"]], &at, record[column["value"]]
		if q := column["quality"]; q >= 0 {
			row.Quality = record[q]
		}
		return row, line, nil
	}, nil
}
