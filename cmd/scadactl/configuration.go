package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"scada/cmd/internal/config"
	"scada/web/api"
)

// deployTimeout is how long a change of the configuration may take: the other node checks it, devices that leave are waited for.
const deployTimeout = 60 * time.Second

// configChanges are the commands that look at the configuration and change it.
func (a *app) configChanges() []*cobra.Command {
	check := &cobra.Command{Use: "check FILE", Short: "Say everything that is wrong with a plant.yaml; no server is asked", Args: cobra.ExactArgs(1),
		Long: "The file is checked as if it lay on this machine's node: keys it names must be here. With no mistake its digest is shown.",
		RunE: func(_ *cobra.Command, args []string) error {
			a.started = true
			digest, err := a.localDigest(args[0])
			if err != nil {
				return err
			}
			return a.print(table{value: api.ConfigAnswer{Result: "checked", Digest: digest}, header: []string{"file", "digest"}, rows: [][]string{{args[0], digest}}})
		}}
	diff := &cobra.Command{Use: "diff FILE", Short: "What a plant.yaml would change on the nodes that run", Args: cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, args []string) error {
			files, err := configFiles(args[0])
			if err != nil {
				return err
			}
			return a.configured(c.ConfigCommand(ctx, api.ConfigCommand{Command: api.ConfigDiff, Files: files}))
		})}
	discard := &cobra.Command{Use: "discard", Short: "Forget the revision that only this node has; ask it with --server", Args: cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, _ []string) error {
			return a.configured(c.ConfigCommand(ctx, api.ConfigCommand{Command: api.ConfigDiscard}))
		})}
	return []*cobra.Command{check, diff, a.configDeploy(), a.configRollback(), a.configHistory(), a.configConflict(), discard}
}

// localDigest checks files without a server.
func (a *app) localDigest(path string) (string, error) {
	cfg, err := config.Load(path)
	var wrong config.Errors
	if errors.As(err, &wrong) {
		return "", &exitError{exitFailed, wrong.Error()}
	}
	if err != nil {
		return "", err
	}
	return cfg.Digest, nil
}

// configFiles reads plant.yaml and the tag files it names.
func configFiles(path string) ([]api.ConfigFile, error) {
	b, err := config.Read(path)
	if err != nil {
		return nil, err
	}
	var files []api.ConfigFile
	for _, f := range b {
		files = append(files, api.ConfigFile{Name: f.Name, Text: string(f.Data)})
	}
	return files, nil
}

func (a *app) configDeploy() *cobra.Command {
	var cmd api.ConfigCommand
	c := &cobra.Command{Use: "deploy FILE", Short: "Change the configuration of both nodes while they run", Args: cobra.ExactArgs(1),
		Long: "Both nodes check the files first; what either refuses changes nothing. Only devices that changed are polled anew.",
		RunE: a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, args []string) error {
			files, err := configFiles(args[0])
			if err != nil {
				return err
			}
			cmd.Command, cmd.Files = api.ConfigDeploy, files
			return a.configured(c.ConfigCommand(ctx, cmd))
		})}
	c.Flags().StringVar(&cmd.Comment, "comment", "", "for the journal and the list of revisions")
	c.Flags().BoolVar(&cmd.OfflineEdit, "offline-edit", false, "also when the other node cannot check it; it follows when it is back")
	return a.lasting(c)
}

func (a *app) configRollback() *cobra.Command {
	cmd := api.ConfigCommand{Command: api.ConfigRollback}
	c := &cobra.Command{Use: "rollback [REVISION]", Short: "Return to an earlier revision: the one before, or the one named", Args: cobra.MaximumNArgs(1),
		RunE: a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, args []string) error {
			cmd.Revision = strings.Join(args, "")
			return a.configured(c.ConfigCommand(ctx, cmd))
		})}
	c.Flags().StringVar(&cmd.Comment, "comment", "", "for the journal and the list of revisions")
	c.Flags().BoolVar(&cmd.OfflineEdit, "offline-edit", false, "also when the other node cannot check it; it follows when it is back")
	return a.lasting(c)
}

// lasting gives a command more time, unless the user has said how much.
func (a *app) lasting(c *cobra.Command) *cobra.Command {
	c.PreRun = func(*cobra.Command, []string) {
		if !a.timeoutSet {
			a.timeout = deployTimeout
		}
	}
	return c
}

func (a *app) configHistory() *cobra.Command {
	return &cobra.Command{Use: "history", Aliases: []string{"log"}, Short: "The last revisions, newest first", Args: cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, _ []string) error {
			list, err := c.ConfigRevisions(ctx)
			if err != nil {
				return err
			}
			t := table{value: list, header: []string{"revision", "time", "by", "node", "digest", "parent", "comment", "state"}}
			for _, r := range list.Revisions {
				state := ""
				switch {
				case r.Current:
					state = "current"
				case r.Own:
					state = "only here"
				}
				t.add(r.ID, when(&r.Time), r.By, r.Node, r.Digest, r.Parent, r.Comment, state)
			}
			return a.print(t)
		})}
}

func (a *app) configConflict() *cobra.Command {
	return &cobra.Command{Use: "conflict", Short: "What each node changed while they were apart; ask the one that has a revision of its own", Args: cobra.NoArgs,
		Long: "The pair runs one revision in any case. To choose the other one: config rollback REVISION on the node that has it. To drop it: config discard.",
		RunE: a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, _ []string) error {
			list, err := c.ConfigRevisions(ctx)
			if err != nil {
				return err
			}
			t := table{value: list.Conflict, header: []string{"side", "section", "name", "change", "detail"}}
			if x := list.Conflict; x != nil {
				for _, change := range x.Ours {
					t.add("only on "+list.Node, change.Section, change.Name, change.Kind, change.Detail)
				}
				for _, change := range x.Theirs {
					t.add("the pair", change.Section, change.Name, change.Kind, change.Detail)
				}
			} else {
				t.foot = append(t.foot, "no conflict: node "+list.Node+" has no revision of its own")
			}
			return a.print(t)
		})}
}

// configured prints what came of a command; mistakes in the files are a failure.
func (a *app) configured(ans api.ConfigAnswer, err error) error {
	if err != nil {
		return err
	}
	if len(ans.Errors) > 0 {
		lines := make([]string, len(ans.Errors))
		for i, e := range ans.Errors {
			lines[i] = config.Error{Position: config.Position{File: e.File, Line: e.Line, Col: e.Col}, Path: e.Path, Message: e.Message}.Error()
		}
		return &exitError{exitFailed, "nothing was changed:\n" + strings.Join(lines, "\n")}
	}
	t := table{value: ans, header: []string{"what", "name", "change", "detail"}}
	for _, c := range ans.Changes {
		t.add(c.Section, c.Name, c.Kind, c.Detail)
	}
	for _, d := range ans.Reconnects {
		t.add("reconnects", d, "", "")
	}
	for _, s := range ans.Restart {
		t.add("restart", s, "", "only a restart of each node changes it")
	}
	t.add("result", ans.Result, ans.Revision, fmt.Sprintf("digest %s", ans.Digest))
	return a.print(t)
}
