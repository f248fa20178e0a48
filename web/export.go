package web

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strconv"

	"scada/web/api"
)

// nextCursor is the header of an exported page that is not the last one.
const nextCursor = "Next-Cursor"

// getJournalExport answers a page of the journal as CSV or as JSON lines.
func (s *Server) getJournalExport(c *call) (any, error) {
	q, err := c.journalQuery(s.now(), maxPage)
	if err != nil {
		return nil, err
	}
	write, media := writeCSV, "text/csv; charset=utf-8"
	switch format := c.query("format"); format {
	case "", "csv":
	case "jsonl":
		write, media = writeLines, "application/jsonl"
	default:
		return nil, api.NewProblem(api.CodeBadRequest, "format=%s: want csv or jsonl", format)
	}
	j, err := s.backend.Journal(c.r.Context(), q)
	if err != nil {
		return nil, err
	}
	body, err := write(j.Entries, q.Cursor == "")
	if err != nil {
		return nil, err
	}
	h := c.w.Header()
	h.Set("Content-Type", media)
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if j.Next != "" {
		h.Set(nextCursor, j.Next)
	}
	_, err = c.w.Write(body)
	return nil, err
}

// writeCSV has the names of the columns on the first page only: pages put together are one file.
func writeCSV(entries []api.JournalEntry, first bool) ([]byte, error) {
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	if first {
		_ = w.Write(api.JournalColumns()) // to memory
	}
	for i := range entries {
		_ = w.Write(entries[i].Row())
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return nil, fmt.Errorf("journal as csv: %w", err)
	}
	return out.Bytes(), nil
}

func writeLines(entries []api.JournalEntry, _ bool) ([]byte, error) {
	var out bytes.Buffer
	w := json.NewEncoder(&out)
	w.SetEscapeHTML(false)
	for i := range entries {
		if err := w.Encode(&entries[i]); err != nil {
			return nil, fmt.Errorf("journal as json: %w", err)
		}
	}
	return out.Bytes(), nil
}
