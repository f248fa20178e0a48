package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"scada/web/api"
)

func (a *app) configCommand() *cobra.Command {
	digest := &cobra.Command{Use: "digest [FILE]", Short: "The digests of both nodes' configurations (fails when they differ), or that of a file", Args: cobra.MaximumNArgs(1)}
	nodes := a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, _ []string) error {
		p, err := c.Role(ctx)
		if err != nil {
			return err
		}
		list := []api.ConfigDigest{}
		t := table{header: []string{"node", "config_digest", "reachable"}}
		differ := false
		for _, n := range p.Nodes {
			list = append(list, api.ConfigDigest{Node: n.Node, Digest: n.ConfigDigest})
			t.add(n.Node, n.ConfigDigest, yes(n.Reachable))
			differ = differ || n.Reachable && n.ConfigDigest != p.Nodes[0].ConfigDigest && p.Nodes[0].Reachable
		}
		t.value = list
		if err := a.print(t); err != nil {
			return err
		}
		if differ {
			return &exitError{exitFailed, "the nodes have different configurations"}
		}
		return nil
	})
	digest.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nodes(cmd, args)
		}
		a.started = true
		text, err := a.localDigest(args[0])
		if err == nil {
			fmt.Fprintln(a.out, text)
		}
		return err
	}
	return group("config", "The configuration", append(a.configChanges(), digest)...)
}

// nodeStatus is one server as scadactl reaches it.
type nodeStatus struct {
	Server    string        `json:"server"`
	Reachable bool          `json:"reachable"`
	Error     string        `json:"error,omitempty"`
	Node      *api.NodeInfo `json:"node,omitempty"`
	Areas     []api.Area    `json:"areas,omitempty"`
	Checks    *api.Checks   `json:"checks,omitempty"` // nil: the node has none
}

func (a *app) nodeCommand() *cobra.Command {
	status := &cobra.Command{Use: "status", Short: "Every server given, each asked by itself", Args: cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, _ []string) error {
			list := []nodeStatus{}
			t := table{header: []string{"server", "node", "reachable", "roles", "version", "uptime", "config_digest", "tags", "devices", "checks", "error"}}
			var failed error
			reached := 0
			for _, server := range c.Servers() {
				s, err := askNode(ctx, c.Only(server), server)
				if s.Reachable {
					reached++
				}
				if err != nil && (failed == nil || !isUnreachable(err)) {
					failed = err
				}
				list = append(list, s)
				t.rows = append(t.rows, s.cells())
				t.foot = append(t.foot, s.findings()...)
			}
			t.value = list
			if err := a.print(t); err != nil {
				return err
			}
			if reached == 0 || failed != nil && !isUnreachable(failed) {
				return failed
			}
			return failing(list)
		})}
	return group("node", "The nodes themselves", status, a.logLevelCommand(), a.bundleCommand())
}

func isUnreachable(err error) bool {
	var gone *api.Unreachable
	return errors.As(err, &gone)
}

func askNode(ctx context.Context, c *api.Client, server string) (nodeStatus, error) {
	s := nodeStatus{Server: server}
	info, err := c.Node(ctx)
	if err == nil {
		var p api.Pair
		if p, err = c.Role(ctx); err == nil {
			n, _ := p.Find(info.Node)
			s.Areas = n.Areas
			s.Checks, err = askChecks(ctx, c)
		}
		s.Node = &info
	}
	s.Reachable = !isUnreachable(err)
	if err != nil {
		s.Error = err.Error()
	}
	return s, err
}

func (s nodeStatus) cells() []string {
	if s.Node == nil {
		return []string{s.Server, "", yes(s.Reachable), "", "", "", "", "", "", "", s.Error}
	}
	var roles []string
	for _, ar := range s.Areas {
		roles = append(roles, ar.Area+" "+ar.Role)
	}
	n := s.Node
	return []string{s.Server, n.Node, yes(s.Reachable), strings.Join(roles, ", "), n.Version, n.Time.Sub(n.StartedAt).Round(time.Second).String(),
		n.ConfigDigest, fmt.Sprint(n.Tags), fmt.Sprint(n.Devices), s.worst(), s.Error}
}

func (a *app) userCommand() *cobra.Command {
	hash := &cobra.Command{Use: "hash", Short: "Read a password and print its hash for the configuration", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			a.started = true
			password, err := a.readPassword()
			if err != nil {
				return err
			}
			h, err := api.HashPassword(password)
			if err != nil {
				return err
			}
			t := table{value: map[string]string{"hash": h}, header: []string{"hash"}}
			t.add(h)
			if a.format == "table" {
				_, err = fmt.Fprintln(a.out, h) // to be copied, so without a heading
				return err
			}
			return a.print(t)
		}}
	return group("user", "Users and tokens", append(a.userCommands(), hash)...)
}

// readPassword asks twice on a terminal and reads one line otherwise. A password is never an argument: those are seen by
// everybody on the machine.
func (a *app) readPassword() (string, error) {
	f, ok := a.in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return a.askSecret("")
	}
	var typed [2]string
	for i, prompt := range []string{"Password: ", "Again: "} {
		fmt.Fprint(a.err, prompt)
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(a.err)
		if err != nil {
			return "", fmt.Errorf("read password: %w", err)
		}
		typed[i] = string(b)
	}
	if typed[0] != typed[1] {
		return "", errors.New("the two passwords differ")
	}
	return typed[0], nil
}
