package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"scada/web/api"
	"scada/web/parquet"
)

func (a *app) historyExport() *cobra.Command {
	var from, to, file, format string
	cmd := &cobra.Command{Use: "export TAG…", Short: "All raw samples of an interval as CSV, JSON lines or a Parquet file", Args: cobra.MinimumNArgs(1), ValidArgsFunction: a.completeTag}
	cmd.Flags().StringVar(&from, "from", "-24h", "start")
	cmd.Flags().StringVar(&to, "to", "now", "end")
	cmd.Flags().StringVarP(&file, "file", "f", "", "write here instead of to standard output")
	cmd.Flags().StringVar(&format, "format", "", "csv, json (also -o json) or parquet")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		a.patient()
		if format == "" {
			format = a.format
		}
		begin, known := map[string]func(io.Writer) sampleFile{"table": newCSVFile, "csv": newCSVFile, "json": newJSONFile, "parquet": newParquetFile}[format]
		if !known {
			return usage("--format %s: want csv, json or parquet", format)
		}
		if f, ok := a.out.(*os.File); ok && format == "parquet" && file == "" && term.IsTerminal(int(f.Fd())) {
			return usage("a Parquet file is nothing for a terminal: name one with --file")
		}
		return a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, args []string) error {
			return a.into(file, func(out io.Writer) error { return a.export(ctx, c, args, from, to, begin(out)) })
		})(cmd, args)
	}
	return cmd
}

// sampleFile is a file of samples that is being written.
type sampleFile interface {
	Write(api.Series) error
	// Close completes it.
	Close() error
}

func newParquetFile(out io.Writer) sampleFile { return parquet.NewWriter(out) }

// csvFile has a row for each sample.
type csvFile struct {
	w   *csv.Writer
	err error // of the header line
}

func newCSVFile(out io.Writer) sampleFile {
	f := &csvFile{w: csv.NewWriter(out)}
	f.err = f.w.Write(historyHeader)
	return f
}

// Write implements sampleFile.
func (f *csvFile) Write(s api.Series) error {
	for _, p := range s.Samples {
		if err := f.w.Write([]string{s.Tag, when(p.Time), text(p.Value), p.Quality}); err != nil {
			return err
		}
	}
	return f.Close()
}

// Close implements sampleFile.
func (f *csvFile) Close() error {
	if f.err != nil {
		return f.err
	}
	f.w.Flush()
	return f.w.Error()
}

// jsonFile has a line for each sample.
type jsonFile struct{ lines *json.Encoder }

func newJSONFile(out io.Writer) sampleFile { return jsonFile{json.NewEncoder(out)} }

// Write implements sampleFile.
func (f jsonFile) Write(s api.Series) error {
	for _, p := range s.Samples {
		if err := f.lines.Encode(api.TagChange{Name: s.Tag, Unit: s.Unit, Sample: p}); err != nil {
			return err
		}
	}
	return nil
}

// Close implements sampleFile.
func (f jsonFile) Close() error { return nil }

const exportPage = 20_000 // samples of a tag at a time

// export writes one tag after the other, page by page: pages are asked of whichever node answers.
func (a *app) export(ctx context.Context, c *api.Client, tags []string, from, to string, file sampleFile) error {
	q := api.HistoryQuery{Limit: exportPage}
	var err error
	if q.From, q.To, err = parseSpan(from, to); err != nil {
		return err
	}
	rows := 0
	for i, name := range tags {
		q.Tags, q.Cursor = []string{name}, ""
		for {
			h, err := c.History(ctx, q)
			if err != nil {
				return fmt.Errorf("export of %s after %d samples: %w", name, rows, err)
			}
			for _, s := range h.Series {
				rows += len(s.Samples)
				if err := file.Write(s); err != nil {
					return fmt.Errorf("export: %w", err)
				}
			}
			a.progress("%d of %d tags, %d samples", i+1, len(tags), rows)
			if q.Cursor = h.Next; q.Cursor == "" {
				break
			}
		}
	}
	a.progressEnd()
	if err := file.Close(); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return nil
}
