package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"scada/web/api"
)

func (a *app) tagCommand() *cobra.Command {
	return group("tag", "List, read, write and watch tags", a.tagList(), a.tagShow(), a.tagRead(), a.tagWrite(), a.tagWatch())
}

func (a *app) tagList() *cobra.Command {
	var f api.TagFilter
	cmd := &cobra.Command{Use: "list [GLOB]", Short: "Tags with their present values", Args: cobra.MaximumNArgs(1),
		RunE: a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, args []string) error {
			if len(args) == 1 {
				f.Glob = args[0]
			}
			all := api.Tags{Tags: []api.Tag{}}
			for {
				page, err := c.Tags(ctx, f)
				if err != nil {
					return err
				}
				all.Tags = append(all.Tags, page.Tags...)
				all.Total = page.Total
				if f.Cursor = page.Next; f.Cursor == "" {
					break
				}
			}
			t := table{value: all, header: []string{"name", "value", "unit", "quality", "time", "type", "device", "address", "writable"}}
			for _, g := range all.Tags {
				t.add(g.Name, text(g.Value), g.Unit, g.Quality, when(g.Time), g.Type, g.Device, g.Address, yes(g.Writable))
			}
			return a.print(t)
		})}
	cmd.Flags().StringVar(&f.Area, "area", "", "of one area")
	cmd.Flags().StringVar(&f.Device, "device", "", "of one device")
	cmd.Flags().StringVar(&f.Text, "text", "", "with this in the name or description")
	return cmd
}

func (a *app) tagShow() *cobra.Command {
	return &cobra.Command{Use: "show NAME", Short: "Definition and present value of a tag", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeTag,
		RunE: a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, args []string) error {
			g, err := c.Tag(ctx, args[0])
			if err != nil {
				return err
			}
			t := table{value: g, header: []string{"field", "value"}}
			t.add("name", g.Name)
			t.add("value", text(g.Value))
			t.add("unit", g.Unit)
			t.add("quality", g.Quality)
			t.add("time", when(g.Time))
			t.add("type", g.Type)
			t.add("description", g.Description)
			t.add("area", g.Area)
			t.add("device", g.Device)
			t.add("address", g.Address)
			t.add("scan_ms", fmt.Sprint(g.ScanMs))
			t.add("writable", yes(g.Writable))
			if g.Low != nil && g.High != nil {
				t.add("range", fmt.Sprintf("%g to %g", *g.Low, *g.High))
			}
			t.add("deadband", fmt.Sprint(g.Deadband))
			t.add("history", g.History)
			return a.print(t)
		})}
}

func (a *app) tagRead() *cobra.Command {
	return &cobra.Command{Use: "read NAME…", Short: "Present values", Args: cobra.MinimumNArgs(1), ValidArgsFunction: a.completeTag,
		RunE: a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, args []string) error {
			list := []api.TagChange{}
			t := table{header: []string{"name", "value", "unit", "quality", "time"}}
			for _, name := range args {
				g, err := c.Tag(ctx, name)
				if err != nil {
					return err
				}
				list = append(list, api.TagChange{Name: g.Name, Unit: g.Unit, Sample: g.Sample})
				t.add(g.Name, text(g.Value), g.Unit, g.Quality, when(g.Time))
			}
			t.value = list
			return a.print(t)
		})}
}

// negativeLast moves the negative number of `tag write NAME -5` to the end, behind a --: it is no flag.
func negativeLast(args []string) []string {
	i := slices.Index(args, "write")
	if i < 1 || !slices.Contains(args[:i], "tag") || slices.Contains(args, "--") {
		return args
	}
	for at := i + 1; at < len(args); at++ {
		if _, err := strconv.ParseFloat(args[at], 64); err == nil && strings.HasPrefix(args[at], "-") {
			rest := slices.Delete(slices.Clone(args), at, at+1)
			return append(rest, "--", args[at])
		}
	}
	return args
}

func (a *app) tagWrite() *cobra.Command {
	var w api.Write
	cmd := &cobra.Command{Use: "write NAME VALUE", Short: "Write a value and wait for the read-back", Args: cobra.ExactArgs(2), ValidArgsFunction: a.completeTag,
		RunE: a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, args []string) error {
			w.Value, w.Nonce = args[1], rand.Text()
			r, err := c.WriteTag(ctx, args[0], w)
			if err != nil {
				return err
			}
			t := table{value: r, header: []string{"tag", "result", "value", "read_back", "quality", "node", "epoch", "detail"}}
			t.add(r.Tag, r.Result, text(r.Value), text(r.ReadBack), r.Quality, r.Node, fmt.Sprint(r.Epoch), r.Detail)
			if err := a.print(t); err != nil {
				return err
			}
			if r.Result != api.WriteConfirmed {
				return &exitError{exitFailed, "the write is " + r.Result}
			}
			return nil
		})}
	cmd.Flags().StringVar(&w.Reason, "reason", "", "for the journal")
	cmd.Flags().Uint64Var(&w.Epoch, "epoch", 0, "only in this epoch of the area")
	cmd.Flags().StringVar(&w.ExpectRole, "expect-role", "", "only if the node asked has this role in the area")
	return cmd
}

func (a *app) tagWatch() *cobra.Command {
	var glob string
	cmd := &cobra.Command{Use: "watch [NAME…]", Short: "Values as they change, until interrupted or --timeout", ValidArgsFunction: a.completeTag,
		RunE: a.follow(func(ctx context.Context, c *api.Client, _ *cobra.Command, args []string) error {
			if len(args) == 0 && glob == "" {
				return usage("name tags, or give --glob")
			}
			return c.Watch(ctx, args, glob, func(g api.TagChange) error {
				return a.line(g, when(g.Time), g.Name, text(g.Value), g.Unit, g.Quality)
			})
		})}
	cmd.Flags().StringVar(&glob, "glob", "", "pattern: * within a part of the name, ** over parts")
	return cmd
}

const maxCompletions = 50

// completeTag offers tag names that begin with what was typed.
func (a *app) completeTag(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	c, err := a.client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), defaultTimeout)
	defer cancel()
	page, err := c.Tags(ctx, api.TagFilter{Glob: typed + "**", Limit: maxCompletions})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, g := range page.Tags {
		names = append(names, g.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
