package web

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"scada/web/api"
	"scada/web/parquet"
)

const (
	maxExports    = 4      // exports of samples at the same time
	exportSamples = 20_000 // of a tag that are in memory at a time
)

func exportRoutes() []route {
	return []route{{
		method: "GET", pattern: base + "/history/export", permission: View, handle: (*Server).getSamples, media: []string{"text/csv", parquet.MediaType},
		params:  join([]param{{"tag", "name; up to 64 of them"}, {"format", "csv, or parquet for a Parquet file"}}, spanParams),
		summary: "All recorded samples of the tags as a file: one row for each, one tag after the other",
	}}
}

// sampleFile is a file that is being written.
type sampleFile interface {
	Write(api.Series) error
	// Close completes it.
	Close() error
}

// getSamples streams all samples of some tags as a file.
func (s *Server) getSamples(c *call) (any, error) {
	q, err := s.historyQuery(c)
	if err != nil {
		return nil, err
	}
	begin, media := newCSVFile, "text/csv; charset=utf-8"
	format := c.query("format")
	switch format {
	case "":
		format = "csv"
	case "csv":
	case "parquet":
		begin, media = func(w io.Writer) sampleFile { return parquet.NewWriter(w) }, parquet.MediaType
	default:
		return nil, api.NewProblem(api.CodeBadRequest, "format=%.64s: want csv or parquet", format)
	}
	select {
	case s.exports <- struct{}{}:
		defer func() { <-s.exports }()
	default:
		return nil, api.NewProblem(api.CodeTooMany, "%d exports are being made already", maxExports)
	}
	out := &patientWriter{w: c.w, control: http.NewResponseController(c.w), now: time.Now}
	h := c.w.Header()
	h.Set("Content-Type", media)
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Disposition", `attachment; filename="history.`+format+`"`)
	if err := s.exportSamples(c.r.Context(), q, begin(out)); err != nil {
		if !out.begun {
			h.Del("Content-Disposition")
			return nil, err
		}
		s.log.Warn("An export of samples broke off", "error", err)
		panic(http.ErrAbortHandler) // the client is not to take what it has for all
	}
	return nil, nil
}

// exportSamples writes one tag after the other, page by page.
func (s *Server) exportSamples(ctx context.Context, q api.HistoryQuery, file sampleFile) error {
	tags := q.Tags
	q.Limit = exportSamples
	for _, name := range tags {
		q.Tags, q.Cursor = []string{name}, ""
		for more := true; more; more = q.Cursor != "" {
			if err := ctx.Err(); err != nil {
				return err
			}
			next, err := s.backend.History(ctx, q, file.Write)
			if err != nil {
				return err
			}
			q.Cursor = next
		}
	}
	return file.Close()
}

// csvFile writes samples as the columns tag, time, value and quality.
type csvFile struct {
	w     *csv.Writer
	begun bool
}

func newCSVFile(out io.Writer) sampleFile { return &csvFile{w: csv.NewWriter(out)} }

// Write implements sampleFile.
func (f *csvFile) Write(s api.Series) error {
	f.begin()
	for _, x := range s.Samples {
		value, err := cell(x.Value)
		if err != nil {
			return err
		}
		if err := f.w.Write([]string{s.Tag, x.Time.UTC().Format(time.RFC3339Nano), value, x.Quality}); err != nil {
			return err
		}
	}
	return f.w.Error()
}

func (f *csvFile) begin() {
	if !f.begun {
		f.begun = true
		_ = f.w.Write([]string{"tag", "time", "value", "quality"}) // what is wrong stays and is told by Error
	}
}

// Close implements sampleFile.
func (f *csvFile) Close() error {
	f.begin()
	f.w.Flush()
	return f.w.Error()
}

// cell writes a value as JSON would, texts without quotation marks and nothing for none.
func cell(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("a value as text: %w", err)
	}
	return string(b), nil
}
