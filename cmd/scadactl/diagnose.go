package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"scada/web/api"
)

// checksTimeout is how long a node may look at its machine: a disk that hangs is what is looked for.
const checksTimeout = 8 * time.Second

// askChecks returns what the node finds on its machine; nil when it does not look, as nodes of earlier versions.
func askChecks(ctx context.Context, c *api.Client) (*api.Checks, error) {
	ctx, cancel := context.WithTimeout(ctx, checksTimeout)
	defer cancel()
	checks, err := c.Checks(ctx)
	var p *api.Problem
	if errors.As(err, &p) && p.Code == api.CodeNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("checks: %w", err)
	}
	return &checks, nil
}

func (s nodeStatus) worst() string {
	if s.Checks == nil {
		return ""
	}
	return s.Checks.State
}

// findings are the lines below the table: every check, the worst first, with what to do.
func (s nodeStatus) findings() []string {
	if s.Checks == nil {
		return nil
	}
	lines := []string{"", "node " + s.Checks.Node + ":"}
	for _, c := range s.Checks.Checks {
		value := measured(c.Value) + " " + c.Unit
		line := fmt.Sprintf("  %-4s  %-20s  %-14s  %s", c.State, c.Name, value, c.Text)
		if c.Advice != "" {
			line += " -> " + c.Advice
		}
		lines = append(lines, line)
	}
	return lines
}

// measured is a number with what matters of it, never with an exponent.
func measured(v float64) string {
	if math.Abs(v) >= 1000 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

// failing says that a check of a node fails, for scripts.
func failing(list []nodeStatus) error {
	for _, s := range list {
		if s.Checks == nil {
			continue
		}
		for _, c := range s.Checks.Checks {
			if c.State == api.CheckFail {
				return &exitError{exitFailed, fmt.Sprintf("node %s: %s fails: %s", s.Checks.Node, c.Name, c.Text)}
			}
		}
	}
	return nil
}

func (a *app) logLevelCommand() *cobra.Command {
	var hold time.Duration
	cmd := &cobra.Command{Use: "log-level [debug|info|warn|error]", Short: "Show or change for a time what every server given writes into its log", Args: cobra.MaximumNArgs(1),
		RunE: a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, args []string) error {
			t := table{header: []string{"node", "level", "configured", "until", "by"}}
			list := []api.LogLevel{}
			var failed error
			for _, server := range c.Servers() {
				one := c.Only(server)
				var l api.LogLevel
				var err error
				if len(args) == 0 {
					l, err = one.LogLevel(ctx)
				} else {
					l, err = one.SetLogLevel(ctx, api.LogLevelCommand{Level: args[0], ForS: int(hold.Seconds())})
				}
				if err != nil {
					failed = errors.Join(failed, err)
					continue
				}
				list = append(list, l)
				t.add(l.Node, l.Level, l.Configured, when(l.Until), l.By)
			}
			t.value = list
			return errors.Join(a.print(t), failed)
		})}
	cmd.Flags().DurationVar(&hold, "for", 15*time.Minute, "how long, at most 24h; then the configured level returns by itself")
	return cmd
}

func (a *app) bundleCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{Use: "bundle -f FILE.tar.gz", Short: "What support needs of the first server that answers, without secrets", Args: cobra.NoArgs}
	cmd.Flags().StringVarP(&file, "file", "f", "", "write it here")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if file == "" {
			return usage("-f FILE is required")
		}
		if !a.timeoutSet {
			a.timeout = time.Minute
		}
		return a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, _ []string) error {
			size, err := takeBundle(ctx, c, file)
			if err != nil {
				return err
			}
			t := table{value: map[string]any{"file": file, "bytes": size}, header: []string{"file", "bytes"}}
			t.add(file, fmt.Sprint(size))
			return a.print(t)
		})(cmd, args)
	}
	return cmd
}

// takeBundle writes beside the file and moves it into place when it is whole.
func takeBundle(ctx context.Context, c *api.Client, file string) (size int64, err error) {
	part := file + ".part"
	f, err := os.OpenFile(part, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err == nil {
			err = os.Rename(part, file)
		} else {
			os.Remove(part)
		}
	}()
	if err := c.Bundle(ctx, f); err != nil {
		return 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), f.Sync()
}
