package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"scada/web/api"
)

func (a *app) alarmNotifications() *cobra.Command {
	return &cobra.Command{Use: "notifications", Short: "Who is told of alarms, and what is still owed", Args: cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, _ []string) error {
			out, err := c.Notifications(ctx)
			if err != nil {
				return err
			}
			t := table{value: out, header: []string{"receiver", "area", "kind", "pending", "oldest_due", "sent", "sent_at", "failed", "error"}}
			for _, r := range out.Receivers {
				t.add(r.Name, r.Area, r.Kind, fmt.Sprint(r.Pending), when(r.OldestDue), fmt.Sprint(r.Sent), when(r.SentAt), fmt.Sprint(r.Failed), r.Error)
			}
			return a.print(t)
		})}
}

func (a *app) alarmPreview() *cobra.Command {
	var from, to string
	var limits []string
	var deadband float64
	var on, off time.Duration
	cmd := &cobra.Command{Use: "preview ID", Short: "How an alarm would have behaved with other settings, from recorded samples", Args: cobra.ExactArgs(1)}
	f := cmd.Flags()
	f.StringVar(&from, "from", "-24h", "start")
	f.StringVar(&to, "to", "now", "end")
	f.StringArrayVar(&limits, "limit", nil, "another limit, such as Hi=85; may be repeated")
	f.Float64Var(&deadband, "deadband", 0, "another deadband")
	f.DurationVar(&on, "on-delay", 0, "another on-delay")
	f.DurationVar(&off, "off-delay", 0, "another off-delay")
	cmd.RunE = a.ask(func(ctx context.Context, c *api.Client, cmd *cobra.Command, args []string) error {
		r := api.PreviewRequest{Alarm: args[0]}
		var err error
		if r.From, r.To, err = parseSpan(from, to); err != nil {
			return err
		}
		if r.Limits, err = limitArgs(limits); err != nil {
			return err
		}
		if cmd.Flags().Changed("deadband") {
			r.Deadband = &deadband
		}
		if s := on.Seconds(); cmd.Flags().Changed("on-delay") {
			r.OnDelayS = &s
		}
		if s := off.Seconds(); cmd.Flags().Changed("off-delay") {
			r.OffDelayS = &s
		}
		p, err := c.PreviewAlarm(ctx, r)
		if err != nil {
			return err
		}
		return a.print(previewTable(p))
	})
	return cmd
}

func limitArgs(list []string) (map[string]float64, error) {
	limits := map[string]float64{}
	for _, text := range list {
		level, number, ok := strings.Cut(text, "=")
		v, err := strconv.ParseFloat(number, 64)
		if !ok || err != nil {
			return nil, usage("--limit %s: want LEVEL=NUMBER", text)
		}
		limits[level] = v
	}
	return limits, nil
}

func previewTable(p api.Preview) table {
	t := table{value: p, header: []string{"measure", "now", "changed"}}
	number := func(f float64) string { return strconv.FormatFloat(f, 'f', 3, 64) }
	n, c := p.Now, p.Changed
	t.add("alarms", fmt.Sprint(n.Alarms), fmt.Sprint(c.Alarms))
	t.add("per_10min_average", number(n.Per10MinAverage), number(c.Per10MinAverage))
	t.add("per_10min_peak", fmt.Sprint(n.Per10MinPeak), fmt.Sprint(c.Per10MinPeak))
	t.add("active_percent", number(n.ActivePercent), number(c.ActivePercent))
	t.add("longest_s", number(n.LongestS), number(c.LongestS))
	t.add("chattering", fmt.Sprint(n.Chattering), fmt.Sprint(c.Chattering))
	t.add("fleeting", fmt.Sprint(n.Fleeting), fmt.Sprint(c.Fleeting))
	t.add("samples", fmt.Sprint(p.Samples), fmt.Sprint(p.Samples))
	return t
}

// journalPage is how many entries an export asks for at a time.
const journalPage = 1000

func (a *app) journalExport() *cobra.Command {
	var q api.JournalQuery
	var from, to, file string
	cmd := &cobra.Command{Use: "export", Short: "All entries of an interval as CSV, or JSON lines with -o json", Args: cobra.NoArgs}
	f := cmd.Flags()
	f.StringVar(&from, "from", "-24h", "start")
	f.StringVar(&to, "to", "now", "end")
	f.StringVar(&q.Kind, "kind", "", "alarm, write, session, role, config, system or station")
	f.StringVar(&q.Category, "category", "", "alarm, operation, login, workstation or application")
	f.StringVar(&q.Area, "area", "", "of one area")
	f.StringVar(&q.Source, "source", "", "of one condition, tag, device or user")
	f.StringVar(&q.User, "user", "", "by one user")
	f.StringVarP(&file, "file", "f", "", "write here instead of to standard output")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		a.patient()
		return a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, _ []string) (err error) {
			if q.From, q.To, err = parseSpan(from, to); err != nil {
				return err
			}
			return a.into(file, func(out io.Writer) error { return a.exportJournal(ctx, c, q, out) })
		})(cmd, args)
	}
	return cmd
}

// exportJournal writes the entries page by page, newest first.
func (a *app) exportJournal(ctx context.Context, c *api.Client, q api.JournalQuery, out io.Writer) error {
	q.Limit = journalPage
	w, lines := csv.NewWriter(out), json.NewEncoder(out)
	if a.format != "json" {
		if err := w.Write(api.JournalColumns()); err != nil {
			return fmt.Errorf("export: %w", err)
		}
	}
	for n := 0; ; {
		page, err := c.Journal(ctx, q)
		if err != nil {
			return fmt.Errorf("export after %d entries: %w", n, err)
		}
		for i := range page.Entries {
			if a.format == "json" {
				err = lines.Encode(page.Entries[i])
			} else {
				err = w.Write(page.Entries[i].Row())
			}
			if err != nil {
				return fmt.Errorf("export: %w", err)
			}
		}
		if w.Flush(); w.Error() != nil {
			return fmt.Errorf("export: %w", w.Error())
		}
		n += len(page.Entries)
		a.progress("%d entries", n)
		if q.Cursor = page.Next; q.Cursor == "" {
			a.progressEnd()
			return nil
		}
	}
}
