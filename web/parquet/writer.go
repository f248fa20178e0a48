package parquet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strconv"
	"strings"

	pq "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"scada/web/api"
)

// MediaType is the content type of a Parquet file.
const MediaType = "application/vnd.apache.parquet"

// UnitsKey is the key of the file's metadata under which the units of its tags are.
const UnitsKey = "scada.units"

// Bounds of a file that is being written. A row group is in memory until it is complete.
const (
	rowGroupRows  = 128 << 10 // rows
	rowGroupTexts = 16 << 20  // bytes of texts, about
	batchRows     = 4 << 10   // rows handed to the encoder at a time
	maxDictionary = 1 << 20   // bytes of one column's dictionary; what is beyond is stored as it is
)

// record is a row of the file.
type record struct {
	Tag     string   `parquet:"tag,dict"`
	Time    int64    `parquet:"time,timestamp(nanosecond),delta"`
	Value   *float64 `parquet:"value,optional,split"`
	Text    *string  `parquet:"text,optional,dict"`
	Quality string   `parquet:"quality,dict"`
}

// Writer writes samples into a file. Its memory does not grow with the file.
type Writer struct {
	file  *pq.GenericWriter[record]
	units map[string]string
	rows  []record
	// The values and texts the rows point to.
	values [batchRows]float64
	texts  [batchRows]string
	group  struct{ rows, texts int } // of the row group that has begun
}

// NewWriter begins a file.
func NewWriter(out io.Writer) *Writer {
	return &Writer{
		file: pq.NewGenericWriter[record](out, pq.Compression(&zstd.Codec{Level: zstd.SpeedDefault}), pq.CreatedBy("scada", "1", ""),
			pq.DictionaryMaxBytes(maxDictionary), pq.DataPageStatistics(true), pq.SkipPageBounds("text"), pq.SkipPageStatistics("text")), // whole texts would stand in every header
		units: map[string]string{}, rows: make([]record, 0, batchRows),
	}
}

// Write appends the samples of one tag.
func (w *Writer) Write(s api.Series) error {
	if s.Unit != "" {
		w.units[s.Tag] = s.Unit
	}
	for _, x := range s.Samples {
		if x.Time == nil {
			return fmt.Errorf("parquet: a sample of %s has no time", s.Tag)
		}
		if err := w.add(s.Tag, x); err != nil {
			return err
		}
	}
	return nil
}

func (w *Writer) add(tag string, x api.Sample) error {
	i := len(w.rows)
	r := record{Tag: utf8(tag), Time: x.Time.UnixNano(), Quality: utf8(x.Quality)}
	number, text, err := cells(x.Value)
	if err != nil {
		return fmt.Errorf("parquet: %s at %s: %w", tag, x.Time, err)
	}
	if number != nil {
		w.values[i] = *number
		r.Value = &w.values[i]
	}
	if text != nil {
		w.texts[i] = utf8(*text)
		r.Text = &w.texts[i]
		w.group.texts += len(*text)
	}
	w.rows = append(w.rows, r)
	w.group.rows++
	if w.group.rows < rowGroupRows && w.group.texts < rowGroupTexts {
		if len(w.rows) < batchRows {
			return nil
		}
		return w.encode()
	}
	w.group.rows, w.group.texts = 0, 0
	if err := w.encode(); err != nil {
		return err
	}
	if err := w.file.Flush(); err != nil {
		return fmt.Errorf("parquet: writing a row group: %w", err)
	}
	return nil
}

// encode hands the rows over.
func (w *Writer) encode() error {
	_, err := w.file.Write(w.rows)
	w.rows = w.rows[:0]
	if err != nil {
		return fmt.Errorf("parquet: encoding rows: %w", err)
	}
	return nil
}

// Close completes the file: without it nobody can read it. It does not close what the file is written to.
func (w *Writer) Close() error {
	if err := w.encode(); err != nil {
		return errors.Join(err, w.file.Close())
	}
	units, err := json.Marshal(w.units)
	if err != nil {
		return errors.Join(fmt.Errorf("parquet: the units: %w", err), w.file.Close())
	}
	w.file.SetKeyValueMetadata(UnitsKey, string(units))
	if err := w.file.Close(); err != nil {
		return fmt.Errorf("parquet: completing the file: %w", err)
	}
	return nil
}

// utf8 makes a text what a column of texts may hold, as JSON does.
func utf8(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// cells splits a value of JSON, or one the server has not made JSON of yet, into the two columns for values.
func cells(v any) (number *float64, text *string, err error) {
	switch v := v.(type) {
	case nil:
		return nil, nil, nil
	case string:
		return nil, &v, nil
	case bool:
		f := 0.0
		if v {
			f = 1
		}
		return &f, nil, nil
	case float64:
		return &v, nil, nil
	case float32: // its own shortest digits, as in JSON and CSV
		return digits(strconv.FormatFloat(float64(v), 'g', -1, 32))
	case int64:
		return digits(strconv.FormatInt(v, 10))
	case uint64:
		return digits(strconv.FormatUint(v, 10))
	case json.Number:
		return digits(v.String())
	}
	return nil, nil, fmt.Errorf("a value of type %T", v)
}

// maxExact is up to where every whole number is a float64.
const maxExact = 1 << 53

// digits is a number from its text, with the text where the number is a whole one and would be rounded.
func digits(s string) (*float64, *string, error) {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return nil, nil, fmt.Errorf("%q is not a number", s)
	}
	if f > -maxExact && f < maxExact || strings.ContainsAny(s, ".eE") {
		return &f, nil, nil
	}
	if whole, ok := new(big.Int).SetString(s, 10); ok {
		if back, _ := new(big.Float).SetFloat64(f).Int(nil); back.Cmp(whole) == 0 {
			return &f, nil, nil
		}
	}
	return &f, &s, nil
}
