package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"scada/cmd/internal/config"
	"scada/cmd/internal/server"
)

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// errUsage marks errors of the command line itself.
var errUsage = errors.New("usage")

// run is the program with its world passed in. It returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	root := rootCommand(stdout, stderr)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errUsage):
		fmt.Fprintln(stderr, "scadad:", err)
		fmt.Fprintln(stderr, root.UsageString())
		return exitUsage
	}
	fmt.Fprintln(stderr, errorText(err))
	return exitFailed
}

// rootCommand is the program with everything below it; the manual pages are made from it.
func rootCommand(stdout, stderr io.Writer) *cobra.Command {
	var path, node, level string
	root := &cobra.Command{
		Use: "scadad --config plant.yaml --node NAME", Short: "Run one node of a redundant pair of SCADA data servers",
		Version: version, SilenceErrors: true, SilenceUsage: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return serve(cmd.Context(), path, node, level, stderr) },
	}
	root.PersistentFlags().StringVar(&path, "config", "plant.yaml", "configuration of the pair")
	root.Flags().StringVar(&node, "node", "", "which of its nodes this is")
	root.Flags().StringVar(&level, "log-level", "info", "least severe messages to write: debug, info, warn or error")
	root.AddCommand(&cobra.Command{
		Use: "check", Short: "Check the configuration and say everything that is wrong with it", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return check(path, stdout) },
	})
	root.AddCommand(linkCommand(&path))
	root.AddCommand(cleanupCommand(&path, stdout))
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fmt.Errorf("%w: %w", errUsage, err) })
	return root
}

// errorText leaves configuration errors as they are: an editor jumps to file:line:column only at the start of a line.
func errorText(err error) string {
	var wrong config.Errors
	if errors.As(err, &wrong) {
		return wrong.Error()
	}
	return "scadad: " + err.Error()
}

func check(path string, stdout io.Writer) error {
	cfg, err := config.Load(path)
	if err != nil {
		return err
	}
	if err := cfg.CheckSources(); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s: correct: project %s, %d areas, %d devices, %d tags, %d alarms, digest %s\n",
		path, cfg.Project, len(cfg.Areas), len(cfg.Devices), len(cfg.Tags), len(cfg.Alarms.Alarms), cfg.Digest)
	return nil
}

// cleanupCommand is for the service manager, after the node has ended in whatever way: an address stays on its interface
// when the process that put it there is killed.
func cleanupCommand(path *string, stdout io.Writer) *cobra.Command {
	var node string
	c := &cobra.Command{
		Use: "cleanup --config plant.yaml --node NAME", Short: "Remove the virtual addresses that a killed node left behind (ExecStopPost)", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cleanup(cmd.Context(), *path, node, stdout) },
	}
	c.Flags().StringVar(&node, "node", "", "which of the nodes this machine is")
	return c
}

func cleanup(ctx context.Context, path, node string, stdout io.Writer) error {
	if node == "" {
		return fmt.Errorf("%w: --node is required", errUsage)
	}
	cfg, err := config.Load(path)
	if err != nil {
		return err
	}
	if _, ok := cfg.Nodes[node]; !ok {
		return fmt.Errorf("%s has no node %q", path, node)
	}
	removed, err := server.Cleanup(ctx, cfg)
	for _, name := range removed {
		fmt.Fprintln(stdout, "removed", name)
	}
	return err
}

func serve(ctx context.Context, path, node, level string, stderr io.Writer) error {
	if node == "" {
		return fmt.Errorf("%w: --node is required", errUsage)
	}
	least, tail := new(slog.LevelVar), new(server.LogTail)
	if err := least.UnmarshalText([]byte(level)); err != nil {
		return fmt.Errorf("%w: --log-level %q: debug, info, warn or error", errUsage, level)
	}
	log := slog.New(slog.NewTextHandler(io.MultiWriter(stderr, tail), &slog.HandlerOptions{Level: least}))
	cfg, err := config.Load(path)
	if err != nil {
		return err
	}
	if _, ok := cfg.Nodes[node]; !ok {
		return fmt.Errorf("%s has no node %q", path, node)
	}
	s, err := server.New(server.Options{Config: cfg, Node: node, Version: version, Log: log, LogLevel: least, LogTail: tail, Notice: stderr})
	if err != nil {
		return err
	}
	defer reloadOnHangup(s)()
	log.Info("Node started", "project", cfg.Project, "node", node, "digest", cfg.Digest, "http", cfg.Nodes[node].HTTP)
	told := tellManager(ctx, s, log)
	err = s.Run(ctx)
	told()
	log.Info("Node stopped", "node", node)
	return err
}

// reloadOnHangup has the server look into its files at each SIGHUP, until the returned function is called.
func reloadOnHangup(s *server.Server) (stop func()) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	ended := make(chan struct{})
	go func() {
		for {
			select {
			case <-hangup:
				s.Reload()
			case <-ended:
				return
			}
		}
	}()
	return func() {
		signal.Stop(hangup)
		close(ended)
	}
}
