package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"scada/web/api"
)

func (a *app) journalCommand() *cobra.Command {
	return group("journal", "Alarms, operators' actions and events", a.journalList(), a.journalTail(), a.journalVerify(), a.journalExport())
}

func (a *app) journalList() *cobra.Command {
	var q api.JournalQuery
	var from, to string
	cmd := &cobra.Command{Use: "list", Short: "Entries, newest first", Args: cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, _ []string) error {
			var err error
			if q.From, q.To, err = parseSpan(from, to); err != nil {
				return err
			}
			j, err := c.Journal(ctx, q)
			if err != nil {
				return err
			}
			t := table{value: j, header: journalHeader}
			for _, e := range j.Entries {
				t.rows = append(t.rows, journalCells(e))
			}
			if err := a.print(t); err != nil {
				return err
			}
			if j.Next != "" {
				fmt.Fprintf(a.err, "there is more: --cursor %s\n", j.Next)
			}
			return nil
		})}
	f := cmd.Flags()
	f.StringVar(&from, "from", "", "start")
	f.StringVar(&to, "to", "", "end")
	f.StringVar(&q.Kind, "kind", "", "alarm, write, session, role, config, system or station")
	f.StringVar(&q.Category, "category", "", "alarm, operation, login, workstation or application")
	f.StringVar(&q.Area, "area", "", "of one area")
	f.StringVar(&q.Source, "source", "", "of one condition, tag, device or user")
	f.StringVar(&q.User, "user", "", "by one user")
	f.StringVar(&q.Text, "text", "", "with this in the message")
	f.IntVar(&q.Limit, "limit", 100, "entries")
	f.StringVar(&q.Cursor, "cursor", "", "go on where a list ended")
	return cmd
}

func (a *app) journalTail() *cobra.Command {
	return &cobra.Command{Use: "tail", Short: "New entries as they come, until interrupted or --timeout; moves to the other node by itself", Args: cobra.NoArgs,
		RunE: a.follow(func(ctx context.Context, c *api.Client, _ *cobra.Command, _ []string) error {
			return c.Tail(ctx, func(e api.JournalEntry) error { return a.line(e, journalCells(e)...) })
		})}
}

var journalHeader = []string{"time", "kind", "event", "area", "source", "state", "level", "user", "old", "new", "result", "message", "node", "epoch", "id"}

func journalCells(e api.JournalEntry) []string {
	return []string{when(&e.Time), e.Kind, e.Event, e.Area, e.Source, e.State, e.Level, e.User, e.Old, e.New, e.Result, e.Message, e.Node, fmt.Sprint(e.Epoch), e.ID}
}

func (a *app) historyCommand() *cobra.Command {
	return group("history", "Recorded samples", a.historyQuery(), a.historyExport(), a.historyImport(), a.historyVerify(), a.historyTarget())
}

func (a *app) historyQuery() *cobra.Command {
	var q api.HistoryQuery
	var from, to string
	cmd := &cobra.Command{Use: "query TAG…", Short: "Samples of an interval: raw, an aggregate, or reduced to points", Args: cobra.MinimumNArgs(1), ValidArgsFunction: a.completeTag,
		RunE: a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, args []string) error {
			var err error
			q.Tags = args
			if q.From, q.To, err = parseSpan(from, to); err != nil {
				return err
			}
			h, err := c.History(ctx, q)
			if err != nil {
				return err
			}
			t := table{value: h, header: historyHeader}
			for _, s := range h.Series {
				for _, p := range s.Samples {
					t.add(s.Tag, when(p.Time), text(p.Value), p.Quality)
				}
			}
			if err := a.print(t); err != nil {
				return err
			}
			if h.Next != "" {
				fmt.Fprintln(a.err, "there is more: raise --limit, or use history export")
			}
			return nil
		})}
	f := cmd.Flags()
	f.StringVar(&from, "from", "-1h", "start")
	f.StringVar(&to, "to", "now", "end")
	f.StringVar(&q.Aggregate, "aggregate", "", "OPC UA name: Average, Minimum, Maximum, Count…")
	f.DurationVar(&q.Step, "step", 0, "interval of the aggregate")
	f.StringVar(&q.Zone, "zone", "", "with a --step of whole days: days of this time zone (Europe/Berlin), some of 23 or 25 hours")
	f.IntVar(&q.Points, "points", 0, "reduce to about so many, extremes kept")
	f.IntVar(&q.Limit, "limit", 0, "raw samples of a tag")
	return cmd
}

var historyHeader = []string{"tag", "time", "value", "quality"}

// patient lets a command take as long as it takes; --timeout, if given, still ends it, and then as a failure.
func (a *app) patient() {
	if !a.timeoutSet {
		a.timeout = 24 * time.Hour
	}
}

// into has write write to the file, or to standard output when there is none. What cannot be stored is a failure.
func (a *app) into(file string, write func(io.Writer) error) error {
	if file == "" {
		return write(a.out)
	}
	f, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return errors.Join(write(f), f.Close())
}

// progress shows how far long work has come, on a terminal only.
func (a *app) progress(format string, args ...any) {
	if f, ok := a.err.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprintf(f, "\r\033[K"+format, args...)
	}
}

func (a *app) progressEnd() {
	if f, ok := a.err.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprintln(f)
	}
}
