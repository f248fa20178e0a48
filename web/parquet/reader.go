package parquet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	pq "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"scada/web/api"
)

// Bounds of a file that is read.
const (
	// MaxText is the longest text of a row, in bytes.
	MaxText = 64 << 10

	maxColumns    = 1 << 10  // of the file; all but five are passed over
	maxFooter     = 16 << 20 // bytes of the file's metadata
	maxPageHeader = 1 << 20
	maxPageBytes  = 64 << 20 // of a page, uncompressed
	maxPageValues = 16 << 20 // of a page
	readRows      = 1 << 10  // rows decoded at a time
)

// Magic is how a Parquet file begins.
const Magic = "PAR1"

// column is what is done with a column of the file.
type column int

const (
	ignored column = iota
	tagColumn
	timeColumn
	valueColumn
	textColumn
	qualityColumn
)

var columnNames = map[string]column{"tag": tagColumn, "time": timeColumn, "value": valueColumn, "text": textColumn, "quality": qualityColumn}

// Reader reads a file row by row.
type Reader struct {
	file    *pq.File
	columns []column // by the file's own order
	unit    int64    // nanoseconds of a unit of the column time
	signed  bool     // whole numbers of the column value have a sign
	group   int      // the next row group
	rows    pq.Rows  // of it, once it has begun
	missing int64    // rows of it that were not read
	page    []pq.Row
	left    []pq.Row // of page
	number  int      // of the last row
	body    []byte   // of the page that is looked at
	zstd    *zstd.Decoder
}

// Open looks at a file: it must have the columns tag, time and value, and may have text and quality; others are passed over.
func Open(in io.ReaderAt, size int64) (r *Reader, err error) {
	defer recovered(&err)
	if err := checkFooter(in, size); err != nil {
		return nil, fmt.Errorf("not a Parquet file: %w", err)
	}
	file, err := pq.OpenFile(in, size, pq.SkipPageIndex(true), pq.SkipBloomFilters(true))
	if err != nil {
		return nil, fmt.Errorf("not a Parquet file: %w", err)
	}
	r = &Reader{file: file, page: make([]pq.Row, readRows), signed: true}
	fields := file.Root().Columns()
	if len(fields) > maxColumns {
		return nil, fmt.Errorf("%d columns, the limit is %d", len(fields), maxColumns)
	}
	seen := map[column]bool{}
	for _, f := range fields {
		c := columnNames[f.Name()]
		if c != ignored {
			if !f.Leaf() || f.Repeated() || seen[c] {
				return nil, fmt.Errorf("column %q: it is a list, has parts, or is there twice", f.Name())
			}
			if err := r.understand(c, f.Type()); err != nil {
				return nil, fmt.Errorf("column %q: %w", f.Name(), err)
			}
			seen[c] = true
		}
		for range leaves(f) {
			r.columns = append(r.columns, c)
		}
	}
	for _, name := range []string{"tag", "time", "value"} {
		if !seen[columnNames[name]] {
			return nil, fmt.Errorf("it has no column %q", name)
		}
	}
	return r, nil
}

// leaves counts the columns that are stored of a field.
func leaves(c *pq.Column) int {
	if c.Leaf() {
		return 1
	}
	n := 0
	for _, part := range c.Columns() {
		n += leaves(part)
	}
	return n
}

// understand holds the type of a column against what it is for.
func (r *Reader) understand(c column, t pq.Type) error {
	kind := t.Kind()
	var logical format.LogicalTypeValue
	if l := t.LogicalType(); l != nil {
		logical = l.Value
	}
	switch c {
	case timeColumn:
		stamp, ok := logical.(*format.TimestampType)
		if kind != pq.Int64 || !ok || stamp.Unit.Value == nil {
			return fmt.Errorf("it is %s, want a timestamp", t)
		}
		if !stamp.IsAdjustedToUTC {
			return errors.New("its times have no zone: want a timestamp in UTC")
		}
		r.unit = int64(stamp.Unit.Value.Duration())
	case valueColumn:
		switch l := logical.(type) {
		case nil, *format.StringType:
		case *format.IntType:
			r.signed = l.IsSigned
		default:
			return fmt.Errorf("it is %s, want numbers, booleans or texts", t)
		}
		switch kind {
		case pq.Boolean, pq.Int32, pq.Int64, pq.Float, pq.Double, pq.ByteArray:
		default:
			return fmt.Errorf("it is %s, want numbers, booleans or texts", t)
		}
	default:
		if kind != pq.ByteArray {
			return fmt.Errorf("it is %s, want texts", t)
		}
	}
	return nil
}

// Next returns the next row with its number, counted from 1; io.EOF at the end. After an error of one row the next can be
// read; an error with number 0 is of the file.
func (r *Reader) Next() (row api.TagChange, number int, err error) {
	for len(r.left) == 0 {
		if err := r.more(); err != nil {
			return row, 0, err
		}
	}
	next := r.left[0]
	r.left = r.left[1:]
	r.number++
	row, err = r.row(next)
	return row, r.number, err
}

// more decodes the next rows.
func (r *Reader) more() (err error) {
	defer recovered(&err)
	groups := r.file.RowGroups()
	if r.rows == nil {
		if r.group == len(groups) {
			return io.EOF
		}
		if err := r.checkPages(r.group); err != nil {
			return r.give(err)
		}
		r.rows, r.missing = groups[r.group].Rows(), groups[r.group].NumRows()
	}
	n, err := r.rows.ReadRows(r.page)
	r.left, r.missing = r.page[:n], r.missing-int64(n)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return r.give(err)
	case n > 0: // they are in buffers that a call of Close would take away
		return nil
	case r.missing != 0:
		return r.give(fmt.Errorf("%d rows are missing", r.missing))
	}
	err, r.rows = r.rows.Close(), nil
	if err != nil {
		return r.give(err)
	}
	r.group++
	return nil
}

// give ends the reading: nothing behind what is wrong can be trusted.
func (r *Reader) give(err error) error {
	err = fmt.Errorf("row group %d: %w", r.group+1, notEnd(err))
	r.group, r.rows, r.left = len(r.file.RowGroups()), nil, nil
	return err
}

// notEnd keeps a file that breaks off from being taken for one that is over.
func notEnd(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the file breaks off")
	}
	return err
}

// row makes a sample of what is stored.
func (r *Reader) row(stored pq.Row) (row api.TagChange, err error) {
	var value, text any
	for _, v := range stored {
		i := v.Column()
		if i < 0 || i >= len(r.columns) || v.IsNull() {
			continue
		}
		c := r.columns[i]
		if c != ignored && v.Kind() == pq.ByteArray && len(v.ByteArray()) > MaxText {
			return row, fmt.Errorf("a text has more than %d bytes", MaxText)
		}
		switch c {
		case tagColumn:
			row.Name = string(v.ByteArray())
		case timeColumn:
			at, err := r.instant(v.Int64())
			if err != nil {
				return row, err
			}
			row.Time = &at
		case valueColumn:
			value = r.value(v)
		case textColumn:
			text = string(v.ByteArray())
		case qualityColumn:
			row.Quality = string(v.ByteArray())
		}
	}
	if row.Time == nil {
		return row, errors.New("it has no time")
	}
	row.Value = value
	if text != nil {
		row.Value = text
	}
	return row, nil
}

// instant makes a time of a stored one.
func (r *Reader) instant(n int64) (time.Time, error) {
	if n > math.MaxInt64/r.unit || n < math.MinInt64/r.unit {
		return time.Time{}, fmt.Errorf("the time %d is out of range", n)
	}
	return time.Unix(0, n*r.unit).UTC(), nil
}

// value makes a value of JSON of a stored one. NaN is what some programs write for none.
func (r *Reader) value(v pq.Value) any {
	switch v.Kind() {
	case pq.Boolean:
		return v.Boolean()
	case pq.Int32:
		if !r.signed {
			return json.Number(strconv.FormatUint(uint64(v.Uint32()), 10))
		}
		return json.Number(strconv.FormatInt(int64(v.Int32()), 10))
	case pq.Int64:
		if !r.signed {
			return json.Number(strconv.FormatUint(v.Uint64(), 10))
		}
		return json.Number(strconv.FormatInt(v.Int64(), 10))
	case pq.Float:
		return float(float64(v.Float()), 32)
	case pq.Double:
		return float(v.Double(), 64)
	}
	return string(v.ByteArray())
}

func float(f float64, bits int) any {
	switch {
	case math.IsNaN(f):
		return nil
	case math.IsInf(f, 0): // a text, as in a file of text: JSON has no number for it
		return strconv.FormatFloat(f, 'g', -1, bits)
	}
	return json.Number(strconv.FormatFloat(f, 'g', -1, bits))
}

// recovered makes an error of a panic: the decoder has no other answer to some files that are wrong.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("the file is damaged: %s", strings.ReplaceAll(fmt.Sprint(p), "\n", " "))
	}
}
