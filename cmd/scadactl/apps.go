package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"scada/web/api"
)

// maxAppSource bounds what is read of a file before the server says its own limit.
const maxAppSource = 1 << 20

func (a *app) appCommand() *cobra.Command {
	list := &cobra.Command{Use: "list", Short: "All applications", Args: cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, _ []string) error {
			apps, err := c.Apps(ctx)
			if err != nil {
				return err
			}
			// Who runs an application is asked for the numbers; the other node only knows what is deployed.
			t := table{header: []string{"name", "area", "node", "state", "generation", "by", "deployed", "calls", "failures", "disabled"}}
			for i, v := range apps.Apps {
				if full, err := c.App(ctx, v.Name); err == nil {
					full.Log, full.Source, full.State = nil, "", nil
					v = full
					apps.Apps[i] = v
				}
				g := newest(v)
				t.add(v.Name, v.Area, v.Node, appState(v), g.Hash, g.By, when(&g.Time), fmt.Sprint(v.Calls), fmt.Sprint(v.Failures), v.Disabled)
			}
			t.value = apps
			return a.print(t)
		})}
	show := &cobra.Command{Use: "show NAME", Short: "One application: state, generations", Args: cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, args []string) error {
			v, err := c.App(ctx, args[0])
			if err != nil {
				return err
			}
			t := table{value: v, header: []string{"field", "value"}}
			t.add("name", v.Name)
			t.add("area", v.Area)
			t.add("node", v.Node)
			t.add("state", appState(v))
			t.add("disabled", v.Disabled)
			t.add("calls", fmt.Sprint(v.Calls))
			t.add("failures", fmt.Sprint(v.Failures))
			t.add("data", string(v.State))
			for _, g := range v.Generations {
				t.add("generation", fmt.Sprintf("%s by %s at %s %s", g.Hash, g.By, when(&g.Time), g.Comment))
			}
			return a.print(t)
		})}
	logs := &cobra.Command{Use: "logs NAME", Short: "What the application has logged on the node that runs it", Args: cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, args []string) error {
			v, err := c.App(ctx, args[0])
			if err != nil {
				return err
			}
			t := table{value: v.Log, header: []string{"time", "text"}}
			for _, l := range v.Log {
				t.add(when(&l.Time), l.Text)
			}
			return a.print(t)
		})}
	return group("app", "Applications of the plant", list, show, logs, a.appDeploy(), a.appCheck(), a.appRollback())
}

func newest(v api.App) api.AppGeneration {
	if len(v.Generations) == 0 {
		return api.AppGeneration{}
	}
	return v.Generations[0]
}

func appState(v api.App) string {
	switch {
	case v.Disabled != "":
		return "disabled"
	case v.Running:
		return "running"
	}
	return "stopped"
}

func (a *app) appDeploy() *cobra.Command {
	var comment string
	cmd := &cobra.Command{Use: "deploy NAME FILE", Short: "Replace the source of a running application; - reads stdin", Args: cobra.ExactArgs(2),
		Long: "The new source is compiled and started with the state of the old one. When that fails the old one goes on and the reason is shown.",
		RunE: a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, args []string) error {
			source, err := a.readText(args[1])
			if err != nil {
				return err
			}
			return a.deployed(c.AppCommand(ctx, api.AppCommand{Command: api.AppDeploy, Name: args[0], Source: source, Comment: comment}))
		})}
	cmd.Flags().StringVar(&comment, "comment", "", "for the journal")
	return cmd
}

func (a *app) appCheck() *cobra.Command {
	return &cobra.Command{Use: "check NAME FILE", Short: "Compile a source without deploying it; - reads stdin", Args: cobra.ExactArgs(2),
		RunE: a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, args []string) error {
			source, err := a.readText(args[1])
			if err != nil {
				return err
			}
			_, err = c.AppCommand(ctx, api.AppCommand{Command: api.AppCheck, Name: args[0], Source: source})
			return err
		})}
}

func (a *app) appRollback() *cobra.Command {
	var comment string
	cmd := &cobra.Command{Use: "rollback NAME [GENERATION]", Short: "Return to the generation before, or to the one named", Args: cobra.RangeArgs(1, 2),
		RunE: a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, args []string) error {
			r := api.AppCommand{Command: api.AppRollback, Name: args[0], Comment: comment}
			if len(args) == 2 {
				r.Back = args[1]
			}
			return a.deployed(c.AppCommand(ctx, r))
		})}
	cmd.Flags().StringVar(&comment, "comment", "", "for the journal")
	return cmd
}

func (a *app) deployed(v api.App, err error) error {
	if err != nil {
		return err
	}
	g := newest(v)
	t := table{value: v, header: []string{"name", "generation", "node", "state"}}
	t.add(v.Name, g.Hash, v.Node, appState(v))
	return a.print(t)
}

// readText reads a file, or stdin for "-".
func (a *app) readText(name string) (string, error) {
	in := a.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return "", err
		}
		defer func() { _ = f.Close() }() // only read
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxAppSource+1))
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", name, err)
	}
	if len(b) > maxAppSource {
		return "", fmt.Errorf("%s is larger than %d bytes", name, maxAppSource)
	}
	return string(b), nil
}
